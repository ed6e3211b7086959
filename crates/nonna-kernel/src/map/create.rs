//! Making an object's maps, with what the kernel wants special for some types.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nonna_bpf::{Map, MapFlags, MapIdx, MapType};

use super::{KernelMap, kernel_name};
use crate::cpus::n_possible_cpus;
use crate::error::{Context, Error};
use crate::kernel::Kernel;
use crate::load::LoadError;
use crate::pin::BPFFS;
use crate::sys::{MapCreate, RawMap, UpdateMode};

/// Makes all maps in order, writes their first values and freezes those that are constant.
pub(crate) fn create_maps(
    kernel: &Kernel,
    maps: &[Map],
    btf: Option<BorrowedFd<'_>>,
) -> Result<Vec<KernelMap>, LoadError> {
    maps.iter()
        .map(|map| {
            if let Some(shared) = open_shared(map)? {
                return Ok(shared);
            }
            let made = create_with_inner(maps, map, btf)?;
            if map.extra.settings.is_empty() {
                initialize(&made, map)?;
            } else {
                let mut filled = map.clone();
                filled.fill_settings(|name| kernel.setting(name))?;
                initialize(&made, &filled)?;
            }
            if map.extra.pinned_by_name {
                made.pin(&shared_path(map))?;
            }
            Ok(made)
        })
        .collect()
}

/// Where a map that objects share is pinned.
fn shared_path(map: &Map) -> PathBuf {
    // A path separator in a name would lead elsewhere; bpffs takes no dots.
    Path::new(BPFFS).join(map.name.replace(['/', '.'], "_"))
}

/// A shared map that an object before this one has made.
fn open_shared(map: &Map) -> Result<Option<KernelMap>, Error> {
    let path = shared_path(map);
    if !map.extra.pinned_by_name || !path.exists() {
        return Ok(None);
    }
    let shared = KernelMap::open_pinned(&path)?;
    let like = |shared: &KernelMap| {
        (shared.map_type(), shared.key_bytes(), shared.value_size())
            == (Some(map.map_type), map.key_size as usize, map.value_size)
    };
    if like(&shared) {
        return Ok(Some(shared));
    }
    Err(std::io::Error::from_raw_os_error(libc::EINVAL))
        .context(|| format!("share the map pinned at {}, which is of another kind", path.display()))
}

/// A map of maps needs another map as the template of its values, at creation only.
fn create_with_inner(maps: &[Map], map: &Map, btf: Option<BorrowedFd<'_>>) -> Result<KernelMap, Error> {
    let template = match map.inner {
        None => None,
        Some(MapIdx(idx)) => {
            let inner = maps.get(idx as usize).filter(|inner| inner.inner.is_none()).ok_or_else(|| {
                Error::System {
                    operation: format!(
                        "make map `{}`: its template is missing or holds maps itself",
                        map.name
                    ),
                    source: std::io::Error::from_raw_os_error(libc::EINVAL),
                }
            })?;
            Some(KernelMap::create(inner, btf, None)?)
        }
    };
    KernelMap::create(map, btf, template.as_ref())
}

fn initialize(made: &KernelMap, map: &Map) -> Result<(), Error> {
    if let Some(initial) = &map.initial_value {
        let mut value = initial.clone();
        if value.len() > made.value_bytes() {
            return Err(Error::Length {
                map: map.name.clone(),
                what: "values",
                expected: made.value_bytes(),
                found: value.len(),
            });
        }
        value.resize(made.value_bytes(), 0);
        made.update(&vec![0; made.key_bytes()], &value, UpdateMode::Any)?;
    }
    if map.frozen { made.freeze() } else { Ok(()) }
}

impl KernelMap {
    /// Makes one map. `btf` is where its type ids count; `template` is what a map of maps holds.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] or [`Error::System`] with what the kernel says.
    pub fn create(
        map: &Map,
        btf: Option<BorrowedFd<'_>>,
        template: Option<&KernelMap>,
    ) -> Result<Self, Error> {
        let (attr, cpus) = creation(map, btf, template)?;
        let made = match RawMap::create(&attr, cpus) {
            // Types that an older kernel does not take are for display only, except where storage demands them.
            Err(error) if attr.btf_fd != 0 && !needs_btf(map.map_type) && refuses_btf(&error) => {
                let plain = MapCreate { btf_fd: 0, btf_key_type_id: 0, btf_value_type_id: 0, ..attr };
                RawMap::create(&plain, cpus)
            }
            made => made,
        };
        let raw = made.context(|| {
            format!(
                "make map `{}` ({}, {} entries, keys of {} and values of {} bytes)",
                map.name, map.map_type, attr.max_entries, attr.key_size, attr.value_size
            )
        })?;
        Ok(Self {
            raw,
            name: map.name.clone(),
            map_type: Some(map.map_type),
            value_size: attr.value_size,
            max_entries: attr.max_entries,
            flags: attr.map_flags,
        })
    }
}

/// The creation structure, and the processors that share a value.
fn creation(
    map: &Map,
    btf: Option<BorrowedFd<'_>>,
    template: Option<&KernelMap>,
) -> Result<(MapCreate, Option<u32>), Error> {
    use std::os::fd::AsRawFd;
    let number = |fd: BorrowedFd<'_>| fd.as_raw_fd().cast_unsigned();
    let cpus = if map.map_type.is_per_cpu() { Some(n_possible_cpus()?) } else { None };
    let mut attr = MapCreate {
        map_type: map.map_type.number(),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_flags: map.flags.bits(),
        inner_map_fd: template.map_or(0, |t| number(t.as_fd())),
        numa_node: map.extra.numa_node,
        map_name: kernel_name(&map.name),
        map_extra: map.extra.map_extra,
        ..MapCreate::default()
    };
    match map.map_type {
        MapType::Ringbuf | MapType::UserRingbuf => {
            attr.key_size = 0;
            attr.value_size = 0;
            // A power of two and whole pages (`ringbuf_map_alloc`).
            let page = u32::try_from(rustix::param::page_size()).unwrap_or(4096);
            attr.max_entries = attr.max_entries.max(page).checked_next_power_of_two().unwrap_or(1 << 31);
        }
        MapType::PerfEventArray => {
            attr.key_size = 4;
            attr.value_size = 4;
            if attr.max_entries == 0 {
                attr.max_entries = n_possible_cpus()?;
            }
        }
        MapType::ArrayOfMaps | MapType::HashOfMaps => attr.value_size = 4,
        MapType::LpmTrie => attr.map_flags |= MapFlags::NO_PREALLOC.bits(),
        kind if is_storage(kind) => {
            attr.map_flags |= MapFlags::NO_PREALLOC.bits();
            attr.max_entries = 0;
        }
        _ => {}
    }
    if let Some(btf) = btf.filter(|_| map.btf_value_type_id != 0 && takes_btf(map.map_type)) {
        attr.btf_fd = number(btf);
        attr.btf_key_type_id = map.btf_key_type_id;
        attr.btf_value_type_id = map.btf_value_type_id;
    }
    Ok((attr, cpus))
}

/// Local storage, kept with its owner.
fn is_storage(map_type: MapType) -> bool {
    matches!(
        map_type,
        MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage
    )
}

/// Types whose creation fails without BTF (`bpf_local_storage_map_check_btf`).
fn needs_btf(map_type: MapType) -> bool {
    is_storage(map_type)
}

/// Types that keep no typed keys and values of the user's (those without `map_check_btf`).
fn takes_btf(map_type: MapType) -> bool {
    !matches!(
        map_type,
        MapType::ProgArray
            | MapType::PerfEventArray
            | MapType::CgroupArray
            | MapType::StackTrace
            | MapType::ArrayOfMaps
            | MapType::HashOfMaps
            | MapType::Devmap
            | MapType::DevmapHash
            | MapType::Sockmap
            | MapType::Sockhash
            | MapType::Cpumap
            | MapType::Xskmap
            | MapType::Queue
            | MapType::Stack
            | MapType::Ringbuf
            | MapType::UserRingbuf
            | MapType::BloomFilter
    )
}

/// Whether a refusal may be about the types (`ENOTSUPP` is 524, which libc does not name).
fn refuses_btf(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | 524))
}
