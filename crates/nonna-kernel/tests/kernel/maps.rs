//! Maps: entries one by one and all at once, values by processor, memory that is shared.

use nonna_bpf::{Feature, Map, MapFlags, MapIdx, MapType};
use nonna_kernel::{Error, KernelMap, Loaded, UpdateMode};
use nonna_testkit::{KernelTest, Outcome};
use nonna_verifier::MapDelta;

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("entries_come_and_go", &[], entries_come_and_go),
        test("ten_thousand_entries_at_once", &[Feature::BatchOperations], ten_thousand_entries_at_once),
        test("types_without_batches_are_read_one_by_one", &[], types_without_batches),
        test("each_processor_has_a_value", &[], each_processor_has_a_value),
        test("arrays_are_cleared_and_hashes_emptied", &[], arrays_are_cleared_and_hashes_emptied),
        test("wrong_lengths_are_refused", &[], wrong_lengths_are_refused),
        test("global_data_is_shared_memory", &[], global_data_is_shared_memory),
        test("constants_are_frozen", &[], constants_are_frozen),
        test("maps_hold_maps", &[], maps_hold_maps),
        test("a_delta_is_applied", &[], a_delta_is_applied),
        test("names_are_made_to_fit", &[], names_are_made_to_fit),
        test("storage_and_tries_are_made", &[], storage_and_tries_are_made),
    ]
}

/// Loads an object of nothing but this map.
fn one(map: Map) -> Loaded {
    load(vec![map], vec![])
}

fn hash(max_entries: u32) -> Loaded {
    one(map("hash", MapType::Hash, 4, 8, max_entries))
}

fn fill(map: &KernelMap, n: u32) -> Outcome {
    let keys: Vec<u8> = (0..n).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = (0..n).flat_map(|i| (u64::from(i) * 3).to_ne_bytes()).collect();
    Ok(map.update_many(&keys, &values)?)
}

/// Sum of the keys and of the values.
fn sums(map: &KernelMap) -> Result<(usize, u64, u64), Error> {
    let entries = map.entries()?;
    let (mut keys, mut values) = (0, 0);
    for (key, value) in entries.iter() {
        keys += u64::from(u32::from_ne_bytes(key.try_into().expect("4 bytes")));
        values += u64::from_ne_bytes(value.try_into().expect("8 bytes"));
    }
    Ok((entries.len(), keys, values))
}

fn entries_come_and_go() -> Outcome {
    let loaded = hash(16);
    let map = loaded.map(MapIdx(0));
    let key = 7_u32.to_ne_bytes();
    assert_eq!(map.get(&key)?, None);
    assert!(!map.delete(&key)?);
    map.update(&key, &[1; 8], UpdateMode::NoExist)?;
    assert!(map.update(&key, &[2; 8], UpdateMode::NoExist).is_err());
    assert_eq!(map.get(&key)?, Some(vec![1; 8]));
    let mut next = [0; 4];
    assert!(map.next_key(None, &mut next)? && next == key);
    assert!(!map.next_key(Some(&key), &mut next)?);
    assert!(map.delete(&key)?);
    assert!(map.update(&key, &[2; 8], UpdateMode::Exist).is_err());
    assert!(map.entries()?.is_empty());
    Ok(())
}

fn ten_thousand_entries_at_once() -> Outcome {
    let loaded = hash(20_000);
    let map = loaded.map(MapIdx(0));
    fill(map, 10_000)?;
    let sum = 10_000 * 9_999 / 2;
    assert_eq!(sums(map)?, (10_000, sum, 3 * sum));
    // Keys that are not there are no failure, wherever they lie.
    let keys: Vec<u8> = [20_000_u32, 0, 30_000, 30_001, 1].into_iter().flat_map(u32::to_ne_bytes).collect();
    assert_eq!(map.delete_many(&keys)?, 2);
    let drained = map.drain()?;
    assert_eq!(drained.len(), 9_998);
    assert!(map.entries()?.is_empty());
    assert!(fill(map, 30_000).is_err(), "more than fit");
    Ok(())
}

/// A trie has batches, a map of maps and a stack trace do not everywhere; a queue has no keys to walk at all.
fn types_without_batches() -> Outcome {
    let inner = counter();
    let outer = Map { inner: Some(MapIdx(0)), ..map("outer", MapType::ArrayOfMaps, 4, 4, 3) };
    let loaded = load(vec![inner, outer], vec![]);
    let outer = loaded.map(MapIdx(1));
    outer.update_inner(&1_u32.to_ne_bytes(), loaded.map(MapIdx(0)))?;
    let id = loaded.map(MapIdx(0)).status()?.id;
    let entries = outer.entries()?;
    assert!(entries.iter().any(|(key, value)| key == 1_u32.to_ne_bytes() && value == id.to_ne_bytes()));
    let trie = one(map("trie", MapType::LpmTrie, 8, 8, 16));
    let trie = trie.map(MapIdx(0));
    let key = [24, 0, 0, 0, 10, 0, 0, 0];
    trie.update(&key, &[9; 8], UpdateMode::Any)?;
    assert_eq!(trie.entries()?.iter().collect::<Vec<_>>(), [(&key[..], &[9; 8][..])]);
    Ok(())
}

fn each_processor_has_a_value() -> Outcome {
    let loaded = one(map("cpus", MapType::PercpuHash, 4, 12, 8));
    let map = loaded.map(MapIdx(0));
    let n_cpus = map.value_bytes() / 16;
    assert!(n_cpus >= std::thread::available_parallelism()?.get());
    let value: Vec<u8> = (0..map.value_bytes()).map(|i| (i / 16) as u8).collect();
    map.update(&[1; 4], &value, UpdateMode::Any)?;
    let back = map.get(&[1; 4])?.ok_or("no value")?;
    for (cpu, value) in map.per_cpu(&back).enumerate() {
        assert_eq!(value, [cpu as u8; 12]);
    }
    assert_eq!(map.per_cpu(&back).count(), n_cpus);
    assert_eq!(map.entries()?.len(), 1);
    assert_eq!(map.drain()?.len(), 1);
    Ok(())
}

fn arrays_are_cleared_and_hashes_emptied() -> Outcome {
    let array = one(map("array", MapType::Array, 4, 8, 100));
    let array = array.map(MapIdx(0));
    fill(array, 100)?;
    assert_eq!(sums(array)?.0, 100);
    array.clear()?;
    assert_eq!(sums(array)?, (100, 4950, 0));
    let loaded = hash(64);
    let hash = loaded.map(MapIdx(0));
    fill(hash, 50)?;
    hash.zero()?;
    assert_eq!(sums(hash)?, (50, 50 * 49 / 2, 0));
    hash.clear()?;
    assert!(hash.entries()?.is_empty());
    hash.clear()?;
    Ok(())
}

fn wrong_lengths_are_refused() -> Outcome {
    let loaded = hash(4);
    let map = loaded.map(MapIdx(0));
    let wrong = |error: Error| assert!(matches!(error, Error::Length { .. }), "{error:?}");
    wrong(map.get(&[0; 3]).expect_err("it does not fit"));
    wrong(map.update(&[0; 4], &[0; 9], UpdateMode::Any).expect_err("it does not fit"));
    wrong(map.lookup(&[0; 4], &mut [0; 7]).expect_err("it does not fit"));
    wrong(map.update_many(&[0; 8], &[0; 8]).expect_err("it does not fit"));
    assert!(map.delete_many(&[0; 7]).is_err());
    Ok(())
}

fn global_data_is_shared_memory() -> Outcome {
    let data = Map {
        flags: MapFlags::MMAPABLE,
        initial_value: Some(vec![5, 0, 0, 0, 0, 0, 0, 0, 6]),
        ..map(".data", MapType::Array, 4, 20, 1)
    };
    let loaded = one(data);
    let map = loaded.map(MapIdx(0));
    let memory = map.map_memory(true)?;
    assert_eq!((memory.len(), memory.load_u64(0), memory.load_u64(8)), (24, Some(5), Some(6)));
    assert!(memory.store_u64(0, 77) && memory.store_u32(16, 88));
    let value = map.get(&[0; 4])?.ok_or("no value")?;
    assert_eq!((value[0], value[16]), (77, 88));
    assert_eq!((memory.load_u64(1 << 20), memory.load_u32(2)), (None, None));
    let read_only = map.map_memory(false)?;
    assert!(!read_only.store_u64(0, 1));
    let mut bytes = [0; 5];
    assert!(read_only.read(6, &mut bytes) && bytes == [0, 0, 6, 0, 0]);
    assert!(hash(1).map(MapIdx(0)).map_memory(false).is_err());
    Ok(())
}

fn constants_are_frozen() -> Outcome {
    let constants = Map {
        flags: MapFlags::RDONLY_PROG,
        initial_value: Some(vec![3; 8]),
        frozen: true,
        ..map(".rodata", MapType::Array, 4, 8, 1)
    };
    let loaded = one(constants);
    let map = loaded.map(MapIdx(0));
    assert_eq!(map.get(&[0; 4])?, Some(vec![3; 8]));
    let error = map.update(&[0; 4], &[0; 8], UpdateMode::Any).expect_err("it is frozen");
    assert!(matches!(error, Error::NotPermitted { .. }), "{error:?}");
    Ok(())
}

fn maps_hold_maps() -> Outcome {
    let outer = Map { inner: Some(MapIdx(0)), ..map("outer", MapType::HashOfMaps, 4, 4, 3) };
    let loaded = load(vec![counter(), outer], vec![]);
    let outer = loaded.map(MapIdx(1));
    outer.update_inner(&[9; 4], loaded.map(MapIdx(0)))?;
    let id = u32::from_ne_bytes(outer.get(&[9; 4])?.ok_or("no entry")?.as_slice().try_into()?);
    let inner = KernelMap::from_id(id)?.ok_or("no such map")?;
    assert_eq!(inner.name(), "count");
    assert!(outer.update_inner(&[9; 4], hash(4).map(MapIdx(0))).is_err(), "it does not fit the template");
    Ok(())
}

fn a_delta_is_applied() -> Outcome {
    let loaded = hash(8);
    let map = loaded.map(MapIdx(0));
    fill(map, 4)?;
    let delta = MapDelta {
        upserts: vec![(vec![0; 4], vec![1; 8]), (vec![9; 4], vec![2; 8])],
        removals: vec![1_u32.to_ne_bytes().to_vec(), vec![8; 4]],
    };
    map.apply(&delta)?;
    assert_eq!(map.entries()?.len(), 4);
    assert_eq!(map.get(&[0; 4])?, Some(vec![1; 8]));
    assert_eq!(map.get(&1_u32.to_ne_bytes())?, None);
    let wrong = MapDelta { upserts: vec![(vec![0; 3], vec![1; 8])], removals: vec![] };
    assert!(map.apply(&wrong).is_err());
    map.apply(&MapDelta::default())?;
    Ok(())
}

fn names_are_made_to_fit() -> Outcome {
    let loaded = one(map("a name: too long for it", MapType::Array, 4, 4, 1));
    let map = loaded.map(MapIdx(0));
    assert_eq!(map.name(), "a name: too long for it");
    assert_eq!(map.status()?.name, "a_name__too_lon");
    Ok(())
}

/// Types with rules of their own: a ring's size, tries' flags, maps of events.
fn storage_and_tries_are_made() -> Outcome {
    let ring = one(ring(5000));
    assert_eq!(ring.map(MapIdx(0)).max_entries(), 8192);
    let events = one(map("perf", MapType::PerfEventArray, 0, 0, 0));
    assert!(events.map(MapIdx(0)).max_entries() > 0);
    for map_type in [MapType::LruHash, MapType::LruPercpuHash, MapType::PercpuArray, MapType::StackTrace] {
        let made = one(map("any", map_type, 4, 16, 4));
        assert_eq!(made.map(MapIdx(0)).map_type(), Some(map_type));
    }
    Ok(())
}
