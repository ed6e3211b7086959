//! Which maps can be made: all combinations of types, sizes and flags near where the kernel draws its lines.

use nonna_bpf::{Map, MapExtra, MapFlags, MapType};
use nonna_kernel::KernelMap;
use nonna_sandbox::{MapError, Maps};
use nonna_testkit::Outcome;

use crate::{errno, map, n_processors};

const TYPES: &[MapType] = &[
    MapType::Hash,
    MapType::Array,
    MapType::ProgArray,
    MapType::PerfEventArray,
    MapType::PercpuHash,
    MapType::PercpuArray,
    MapType::StackTrace,
    MapType::CgroupArray,
    MapType::LruHash,
    MapType::LruPercpuHash,
    MapType::LpmTrie,
    MapType::Devmap,
    MapType::DevmapHash,
    MapType::Sockmap,
    MapType::Sockhash,
    MapType::Cpumap,
    MapType::Xskmap,
    MapType::ReuseportSockarray,
    MapType::Queue,
    MapType::Stack,
    MapType::Ringbuf,
    MapType::UserRingbuf,
    MapType::BloomFilter,
    MapType::CgroupStorage,
    MapType::PercpuCgroupStorage,
];

const KEY_SIZES: &[u32] = &[0, 1, 3, 4, 5, 8, 12, 16, 260, 261, 513];
const VALUE_SIZES: &[u32] =
    &[0, 1, 4, 7, 8, 12, 16, 32, 127 * 8, 128 * 8, 4097, 32 << 10, (32 << 10) + 1, 4 << 20];
const ENTRIES: &[u32] = &[0, 1, 3, 4096];
const FLAGS: &[MapFlags] = &[
    MapFlags::NO_PREALLOC,
    MapFlags::NO_COMMON_LRU,
    MapFlags::NUMA_NODE,
    MapFlags::RDONLY,
    MapFlags::WRONLY,
    MapFlags::STACK_BUILD_ID,
    MapFlags::ZERO_SEED,
    MapFlags::RDONLY_PROG,
    MapFlags::WRONLY_PROG,
    MapFlags::CLONE,
    MapFlags::MMAPABLE,
    MapFlags::PRESERVE_ELEMS,
    MapFlags::INNER_MAP,
];

fn candidates() -> Vec<Map> {
    let mut all = Vec::new();
    for &map_type in TYPES {
        let none = MapFlags::empty();
        for &key in KEY_SIZES {
            for &value in VALUE_SIZES {
                all.push(map(map_type, key, value, 3, none));
            }
        }
        let (key, value) = usual(map_type);
        for &entries in ENTRIES {
            for &flags in FLAGS {
                all.push(map(map_type, key, value, entries, flags));
                all.push(map(map_type, key, value, entries, flags | MapFlags::RDONLY_PROG));
                all.push(map(map_type, key, value, entries, flags | MapFlags::RDONLY));
            }
        }
        for extra in [1, 15, 16] {
            let extra = MapExtra { map_extra: extra, ..MapExtra::default() };
            all.push(Map { extra, ..map(map_type, key, value, 3, none) });
        }
    }
    // How many processors a kernel may have is decided when it is built; none has so many.
    all.retain(|map| map.map_type != MapType::Cpumap || map.max_entries <= 64);
    for entries in [8193, 1 << 20] {
        all.push(map(MapType::Cpumap, 4, 4, entries, MapFlags::empty()));
    }
    // Nobody means more entries than there is memory for; this is refused before any is taken.
    all.push(map(MapType::Hash, 4, 4, u32::MAX, MapFlags::NO_PREALLOC));
    all
}

/// Sizes that the type takes.
fn usual(map_type: MapType) -> (u32, u32) {
    match map_type {
        MapType::Queue | MapType::Stack | MapType::BloomFilter => (0, 8),
        MapType::Ringbuf | MapType::UserRingbuf => (0, 0),
        MapType::LpmTrie | MapType::CgroupStorage | MapType::PercpuCgroupStorage => (8, 8),
        MapType::Hash | MapType::PercpuHash | MapType::LruHash | MapType::LruPercpuHash => (4, 8),
        MapType::Array | MapType::PercpuArray | MapType::StackTrace => (4, 8),
        _ => (4, 4),
    }
}

pub fn alike() -> Outcome {
    let n_processors = n_processors();
    let mut differ = Vec::new();
    let (mut n_made, mut n_refused) = (0, 0);
    for map in candidates() {
        let theirs = KernelMap::create(&map, None, None).map(|_| ()).map_err(|error| errno(&error));
        let ours = Maps::new(n_processors).create(&map).map(|_| ()).map_err(MapError::errno);
        match theirs {
            Ok(()) => n_made += 1,
            Err(_) => n_refused += 1,
        }
        if ours != theirs {
            differ.push(format!(
                "{} key {} value {} entries {} {:?} extra {}: kernel {theirs:?}, here {ours:?}",
                map.map_type, map.key_size, map.value_size, map.max_entries, map.flags, map.extra.map_extra
            ));
        }
    }
    assert!(n_made > 500 && n_refused > 500, "{n_made} made, {n_refused} refused");
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    Ok(())
}
