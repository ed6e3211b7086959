//! Random sequences of operations on the same map in both places.

use nonna_bpf::{MapFlags, MapType};
use nonna_kernel::{Error, KernelMap, UpdateMode as KernelMode};
use nonna_sandbox::{MapError, MapHandle, Maps, UpdateMode};
use nonna_testkit::Outcome;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{errno, map, n_processors};

/// A stream of numbers, and the seed that it began with, which failures show.
struct Numbers {
    state: u64,
    seed: u64,
}

impl Numbers {
    fn new() -> Numbers {
        let seed = std::env::var("NONNA_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |time| time.as_nanos() as u64)
        });
        Numbers { state: seed | 1, seed }
    }

    fn below(&mut self, n: u64) -> u64 {
        // xorshift64*, whose upper bits are the good ones.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.below(256) as u8).collect()
    }
}

/// A map in both places.
struct Pair {
    kernel: KernelMap,
    maps: Maps,
    handle: MapHandle,
    about: String,
    log: Vec<String>,
}

impl Pair {
    fn new(map: &nonna_bpf::Map, numbers: &Numbers) -> Pair {
        let kernel = KernelMap::create(map, None, None).expect("the kernel makes it");
        let mut maps = Maps::new(n_processors());
        let handle = maps.create(map).expect("the sandbox makes it");
        Pair { kernel, maps, handle, about: format!("NONNA_SEED={} {map:?}", numbers.seed), log: Vec::new() }
    }

    fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: String,
        theirs: Result<T, Error>,
        ours: Result<T, MapError>,
    ) -> bool {
        let theirs = theirs.map_err(|error| errno(&error));
        let ours = ours.map_err(MapError::errno);
        self.log.push(what);
        let tail = &self.log[self.log.len().saturating_sub(30)..];
        assert_eq!(
            ours,
            theirs,
            "here and in the kernel, {} after {} operations:\n{}",
            self.about,
            self.log.len(),
            tail.join("\n")
        );
        ours.is_ok()
    }

    fn update(&mut self, key: &[u8], value: &[u8], mode: u64) -> bool {
        let (theirs, ours) = match mode {
            0 => (KernelMode::Any, UpdateMode::Any),
            1 => (KernelMode::NoExist, UpdateMode::Absent),
            _ => (KernelMode::Exist, UpdateMode::Present),
        };
        let theirs = self.kernel.update(key, value, theirs);
        let ours = self.maps.update(self.handle, key, value, ours);
        self.same(format!("update {key:?} mode {mode}"), theirs, ours)
    }

    fn delete(&mut self, key: &[u8]) {
        let theirs = self.kernel.delete(key);
        let ours = match self.maps.delete(self.handle, key) {
            Ok(()) => Ok(true),
            Err(MapError::Absent) => Ok(false),
            Err(error) => Err(error),
        };
        self.same(format!("delete {key:?}"), theirs, ours);
    }

    fn lookup(&mut self, key: &[u8]) {
        let theirs = self.kernel.get(key);
        let ours = self.maps.lookup(self.handle, key);
        self.same(format!("lookup {key:?}"), theirs, ours);
    }

    /// All entries, in any order, or in the same one.
    fn entries(&mut self, in_order: bool) {
        let theirs = self.kernel.entries().map(|entries| {
            entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect::<Vec<_>>()
        });
        let sorted = |mut entries: Vec<(Vec<u8>, Vec<u8>)>| {
            if !in_order {
                entries.sort();
            }
            entries
        };
        let (theirs, ours) = (theirs.map(sorted), self.maps.entries(self.handle).map(sorted));
        self.same("entries".to_owned(), theirs, ours);
    }
}

fn walk(pair: &mut Pair, numbers: &mut Numbers, n_steps: u64, mut key: impl FnMut(&mut Numbers) -> Vec<u8>) {
    let value_bytes = pair.kernel.value_bytes();
    let padded = pair.kernel.value_size() as usize;
    for step in 0..n_steps {
        let key = key(numbers);
        match numbers.below(10) {
            0..5 => {
                let mut value = numbers.bytes(value_bytes);
                // What fills a processor's value up to 8 bytes is nobody's.
                if padded < value_bytes {
                    let stride = padded.next_multiple_of(8);
                    value.chunks_mut(stride).for_each(|one| one[padded..].fill(0));
                }
                let mode = numbers.below(4).min(2);
                pair.update(&key, &value, mode);
            }
            5..7 => pair.delete(&key),
            _ => pair.lookup(&key),
        }
        if step % 500 == 499 {
            pair.entries(false);
        }
    }
}

pub fn arrays() -> Outcome {
    let mut numbers = Numbers::new();
    for map_type in [MapType::Array, MapType::PercpuArray] {
        for (value, entries) in [(1, 5), (8, 16), (12, 7), (100, 3)] {
            let mut pair = Pair::new(&map(map_type, 4, value, entries, MapFlags::empty()), &numbers);
            walk(&mut pair, &mut numbers, 1_500, |numbers| {
                (numbers.below(u64::from(entries) + 2) as u32).to_ne_bytes().to_vec()
            });
        }
    }
    Ok(())
}

pub fn hashes() -> Outcome {
    let mut numbers = Numbers::new();
    for map_type in [MapType::Hash, MapType::PercpuHash] {
        for flags in [MapFlags::empty(), MapFlags::NO_PREALLOC] {
            for (key, value, entries) in [(1, 1, 3), (4, 8, 20), (8, 12, 100), (13, 24, 50), (70, 9, 30)] {
                let mut pair = Pair::new(&map(map_type, key, value, entries, flags), &numbers);
                walk(&mut pair, &mut numbers, 1_500, |numbers| {
                    let number = numbers.below(u64::from(entries) * 2);
                    let mut bytes = vec![number as u8; key as usize];
                    bytes[0] = (number >> 8) as u8 ^ number as u8;
                    bytes
                });
            }
        }
    }
    Ok(())
}

/// The process stays on one processor, as one run of a program does.
pub fn stay() {
    let mut first = CpuSet::new();
    first.set(0);
    sched_setaffinity(None, &first).expect("the first processor is there");
}

pub fn lru_hashes() -> Outcome {
    stay();
    let mut numbers = Numbers::new();
    for map_type in [MapType::LruHash, MapType::LruPercpuHash] {
        for flags in [MapFlags::empty(), MapFlags::NO_COMMON_LRU] {
            for entries in [1, 2, 10, 100, 700] {
                let mut pair = Pair::new(&map(map_type, 4, 8, entries, flags), &numbers);
                walk(&mut pair, &mut numbers, 4_000, |numbers| {
                    (numbers.below(u64::from(entries) * 3) as u32).to_ne_bytes().to_vec()
                });
            }
        }
    }
    Ok(())
}

pub fn tries() -> Outcome {
    let mut numbers = Numbers::new();
    for (bytes, entries, spread) in
        [(1u32, 40, 4u64), (4, 60, 3), (4, 1_000, 256), (16, 100, 2), (256, 30, 2)]
    {
        let mut pair =
            Pair::new(&map(MapType::LpmTrie, 4 + bytes, 8, entries, MapFlags::NO_PREALLOC), &numbers);
        walk(&mut pair, &mut numbers, 3_000, |numbers| {
            let n_bits = numbers.below(u64::from(bytes) * 8 + 2) as u32;
            let mut key = n_bits.to_ne_bytes().to_vec();
            key.extend((0..bytes).map(|_| (numbers.below(spread) * 255 / (spread - 1).max(1)) as u8));
            key
        });
        pair.entries(true);
    }
    Ok(())
}

pub fn queues() -> Outcome {
    let mut numbers = Numbers::new();
    for map_type in [MapType::Queue, MapType::Stack] {
        for (value, entries) in [(4, 1), (8, 5), (13, 30)] {
            let mut pair = Pair::new(&map(map_type, 0, value, entries, MapFlags::empty()), &numbers);
            for _ in 0..1_000 {
                match numbers.below(5) {
                    0..3 => {
                        let value = numbers.bytes(value as usize);
                        let mode = numbers.below(3);
                        pair.update(&[], &value, mode);
                    }
                    3 => pair.lookup(&[]),
                    _ => pair.delete(&[]),
                }
            }
        }
    }
    Ok(())
}
