//! What a map is like, and which combinations of sizes and flags the kernel refuses to make.
//!
//! The rules are those of the kernel's `map_alloc_check` and `map_alloc` functions (`kernel/bpf/*map*.c`, 6.12).
//! Contents are no business of this module.

use nonna_bpf::{Map, MapFlags, MapType};

use super::error::MapError;

/// The largest block that the kernel allocates for one element (`KMALLOC_MAX_SIZE` on x86-64).
const MAX_BLOCK_BYTES: u64 = 4 << 20;
/// What the kernel keeps beside each element of a hash.
const HASH_HEADER_BYTES: u64 = 48;
/// The largest value of the per-processor kinds (`PCPU_MIN_UNIT_SIZE`).
const MAX_PER_CPU_BYTES: u32 = 32 << 10;
/// The largest value of storage that hangs on an object.
const MAX_STORAGE_BYTES: u32 = 65_535 - 80;
/// The most addresses of a stack trace (`kernel.perf_event_max_stack`).
pub(super) const MAX_STACK_DEPTH: u32 = 127;
/// The most entries of a processor map: what distributions build for (`NR_CPUS`).
const MAX_CPUS: u32 = 8192;
/// Pages, of which rings are made.
const PAGE_BYTES: u32 = 4096;

/// Flags that say who may read and write.
const ACCESS: MapFlags =
    MapFlags::RDONLY.union(MapFlags::WRONLY).union(MapFlags::RDONLY_PROG).union(MapFlags::WRONLY_PROG);
/// Flags of maps that the host alone is restricted in.
const HOST_ACCESS: MapFlags = MapFlags::NUMA_NODE.union(MapFlags::RDONLY).union(MapFlags::WRONLY);

/// Type, sizes and flags of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Type.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key_bytes: u32,
    /// Bytes of a value; of one processor's, in the per-processor kinds.
    pub value_bytes: u32,
    /// Entries that fit, or bytes of a ring.
    pub max_entries: u32,
    /// Flags.
    pub flags: MapFlags,
}

impl Shape {
    /// What the loader asks for: as declared, with what loaders fill in for some types.
    pub(super) fn of(map: &Map, n_processors: u32) -> Result<Shape, MapError> {
        let mut shape = Shape {
            map_type: map.map_type,
            key_bytes: map.key_size,
            value_bytes: map.value_size,
            max_entries: map.max_entries,
            flags: map.flags,
        };
        match map.map_type {
            MapType::Ringbuf | MapType::UserRingbuf => {
                (shape.key_bytes, shape.value_bytes) = (0, 0);
                let pages = shape.max_entries.max(PAGE_BYTES).checked_next_power_of_two();
                shape.max_entries = pages.unwrap_or(1 << 31);
            }
            MapType::PerfEventArray => {
                (shape.key_bytes, shape.value_bytes) = (4, 4);
                if shape.max_entries == 0 {
                    shape.max_entries = n_processors;
                }
            }
            MapType::ArrayOfMaps | MapType::HashOfMaps => shape.value_bytes = 4,
            MapType::LpmTrie
            | MapType::SkStorage
            | MapType::InodeStorage
            | MapType::TaskStorage
            | MapType::CgrpStorage => shape.flags |= MapFlags::NO_PREALLOC,
            _ => {}
        }
        shape.check(map.extra.map_extra)?;
        Ok(shape)
    }

    fn check(&self, extra: u64) -> Result<(), MapError> {
        let both = |a, b| self.flags.contains(a) && self.flags.contains(b);
        if both(MapFlags::RDONLY, MapFlags::WRONLY) || extra != 0 && self.map_type != MapType::BloomFilter {
            return Err(MapError::Invalid);
        }
        match self.map_type {
            MapType::Array | MapType::PercpuArray => self.check_array(),
            MapType::ProgArray | MapType::CgroupArray | MapType::ArrayOfMaps | MapType::PerfEventArray => {
                self.refuse_unless(
                    self.value_bytes == 4
                        && !self.flags.intersects(MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG),
                )?;
                self.check_array()
            }
            MapType::ReuseportSockarray => {
                self.refuse_unless(matches!(self.value_bytes, 4 | 8))?;
                self.check_array()
            }
            MapType::Hash | MapType::PercpuHash | MapType::LruHash | MapType::LruPercpuHash => {
                self.check_hash()
            }
            MapType::HashOfMaps => {
                self.refuse_unless(self.value_bytes == 4)?;
                self.check_hash()
            }
            MapType::LpmTrie => self.check_trie(),
            MapType::Queue | MapType::Stack => self.check_queue(),
            MapType::BloomFilter => self.check_bloom(extra),
            MapType::Ringbuf | MapType::UserRingbuf => {
                self.only(MapFlags::NUMA_NODE)?;
                let pages = self.max_entries.is_power_of_two() && self.max_entries.is_multiple_of(PAGE_BYTES);
                self.refuse_unless(self.key_bytes == 0 && self.value_bytes == 0 && pages)
            }
            MapType::StackTrace => self.check_stacks(),
            MapType::Devmap
            | MapType::DevmapHash
            | MapType::Cpumap
            | MapType::Xskmap
            | MapType::Sockmap
            | MapType::Sockhash => self.check_redirection(),
            MapType::SkStorage | MapType::InodeStorage | MapType::TaskStorage | MapType::CgrpStorage => {
                self.only(MapFlags::NO_PREALLOC | MapFlags::CLONE)?;
                self.refuse_unless(self.key_bytes == 4 && self.value_bytes != 0 && self.max_entries == 0)?;
                self.limit(self.value_bytes <= MAX_STORAGE_BYTES)
            }
            MapType::CgroupStorage | MapType::PercpuCgroupStorage => {
                self.only(MapFlags::NUMA_NODE | ACCESS)?;
                self.refuse_unless(matches!(self.key_bytes, 8 | 16) && self.value_bytes != 0)?;
                let per_cpu = self.map_type.is_per_cpu();
                self.limit(self.value_bytes <= if per_cpu { MAX_PER_CPU_BYTES } else { MAX_STORAGE_BYTES })?;
                self.refuse_unless(self.max_entries == 0)
            }
            MapType::Unspecified | MapType::StructOps | MapType::Arena => Err(MapError::Invalid),
        }
    }

    fn refuse_unless(&self, right: bool) -> Result<(), MapError> {
        if right { Ok(()) } else { Err(MapError::Invalid) }
    }

    fn limit(&self, small_enough: bool) -> Result<(), MapError> {
        if small_enough { Ok(()) } else { Err(MapError::TooBig) }
    }

    /// No other flags, and programs may read or write (`bpf_map_flags_access_ok`).
    fn only(&self, flags: MapFlags) -> Result<(), MapError> {
        let useless = MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG;
        self.refuse_unless(flags.contains(self.flags) && !self.flags.contains(useless))
    }

    fn check_array(&self) -> Result<(), MapError> {
        let per_cpu = self.map_type == MapType::PercpuArray;
        let mut allowed = ACCESS;
        if !per_cpu {
            allowed |= MapFlags::NUMA_NODE;
        }
        if self.map_type == MapType::Array {
            allowed |= MapFlags::MMAPABLE | MapFlags::INNER_MAP;
        }
        if self.map_type == MapType::PerfEventArray {
            allowed |= MapFlags::PRESERVE_ELEMS;
        }
        self.refuse_unless(self.max_entries != 0 && self.key_bytes == 4 && self.value_bytes != 0)?;
        self.only(allowed)?;
        self.limit(i32::try_from(self.value_bytes).is_ok())?;
        self.limit(!per_cpu || self.value_bytes <= MAX_PER_CPU_BYTES)
    }

    fn check_hash(&self) -> Result<(), MapError> {
        let lru = matches!(self.map_type, MapType::LruHash | MapType::LruPercpuHash);
        let own_lists = self.flags.contains(MapFlags::NO_COMMON_LRU);
        let allowed =
            MapFlags::NO_PREALLOC | MapFlags::NO_COMMON_LRU | MapFlags::NUMA_NODE | MapFlags::ZERO_SEED;
        self.only(allowed | ACCESS)?;
        self.refuse_unless(lru || !own_lists)?;
        if lru && self.flags.contains(MapFlags::NO_PREALLOC) {
            return Err(MapError::Impossible);
        }
        let spread = self.map_type.is_per_cpu() || own_lists;
        self.refuse_unless(!(self.flags.contains(MapFlags::NUMA_NODE) && spread))?;
        self.refuse_unless(self.max_entries != 0 && self.key_bytes != 0 && self.value_bytes != 0)?;
        let bytes = u64::from(self.key_bytes) + u64::from(self.value_bytes);
        self.limit(bytes < MAX_BLOCK_BYTES - HASH_HEADER_BYTES)?;
        self.limit(!self.map_type.is_per_cpu() || self.value_bytes <= MAX_PER_CPU_BYTES)?;
        // As many buckets as entries, rounded up to a power of two, of 16 bytes each, counted in 32 bits.
        self.limit(self.max_entries.checked_next_power_of_two().is_some_and(|n| n <= u32::MAX / 16))
    }

    fn check_trie(&self) -> Result<(), MapError> {
        self.only(MapFlags::NO_PREALLOC | MapFlags::NUMA_NODE | ACCESS)?;
        let value = u64::from(self.value_bytes);
        self.refuse_unless(
            self.max_entries != 0
                && self.flags.contains(MapFlags::NO_PREALLOC)
                && (5..=260).contains(&self.key_bytes)
                && (1..=MAX_BLOCK_BYTES - 256 - 40).contains(&value),
        )
    }

    fn check_queue(&self) -> Result<(), MapError> {
        self.refuse_unless(self.max_entries != 0 && self.key_bytes == 0 && self.value_bytes != 0)?;
        self.only(MapFlags::NUMA_NODE | ACCESS)?;
        self.limit(u64::from(self.value_bytes) <= MAX_BLOCK_BYTES)?;
        self.limit(self.max_entries < u32::MAX / self.value_bytes)
    }

    fn check_bloom(&self, extra: u64) -> Result<(), MapError> {
        self.limit(u64::from(self.value_bytes) <= MAX_BLOCK_BYTES)?;
        self.refuse_unless(
            self.key_bytes == 0 && self.value_bytes != 0 && self.max_entries != 0 && extra <= 15,
        )?;
        self.only(MapFlags::NUMA_NODE | MapFlags::ZERO_SEED | ACCESS)
    }

    fn check_stacks(&self) -> Result<(), MapError> {
        self.only(HOST_ACCESS | MapFlags::STACK_BUILD_ID)?;
        let address_bytes = if self.flags.contains(MapFlags::STACK_BUILD_ID) { 32 } else { 8 };
        self.refuse_unless(
            self.max_entries != 0
                && self.key_bytes == 4
                && self.value_bytes >= 8
                && self.value_bytes.is_multiple_of(address_bytes)
                && self.value_bytes / address_bytes <= MAX_STACK_DEPTH,
        )?;
        self.limit(self.max_entries <= 1 << 31)
    }

    fn check_redirection(&self) -> Result<(), MapError> {
        let is_hash = self.map_type == MapType::Sockhash;
        let value = match self.map_type {
            MapType::Xskmap => self.value_bytes == 4,
            _ => matches!(self.value_bytes, 4 | 8),
        };
        let key = if is_hash { self.key_bytes != 0 } else { self.key_bytes == 4 };
        self.refuse_unless(self.max_entries != 0 && key && value)?;
        self.only(if self.map_type == MapType::Cpumap { MapFlags::NUMA_NODE } else { HOST_ACCESS })?;
        match self.map_type {
            MapType::Cpumap => self.limit(self.max_entries <= MAX_CPUS),
            MapType::DevmapHash => self.refuse_unless(self.max_entries <= 1 << 31),
            MapType::Sockhash => self.limit(self.key_bytes <= 512),
            _ => Ok(()),
        }
    }
}
