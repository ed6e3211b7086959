//! Helpers that work on maps: keys and values are read from the program's memory, addresses of values go back.

use nonna_bpf::{Helper, MapType};

use super::table::helper_table;
use super::{Called, E2BIG, EINVAL, HelperFn, error, handle, read_bytes};
use crate::context::Redirect;
use crate::host::HelperError;
use crate::maps::{MapError, MapHandle};
use crate::memory::Access;
use crate::run::Run;

/// Keys up to this size are read into place.
const SHORT_KEY_BYTES: usize = 64;
/// `XDP_REDIRECT`
const XDP_REDIRECT: u64 = 4;
/// The verdict that a redirection falls back to, in its flags.
const ACTION: u64 = 3;
/// To all devices of the map, and whether that of the packet is left out.
const BROADCAST: u64 = 1 << 3;
const EXCLUDE_INGRESS: u64 = 1 << 4;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::MAP_UPDATE_ELEM.id() => update,
    Helper::MAP_DELETE_ELEM.id() => |run, [map, key, ..]| {
        let map = handle(run, map)?;
        with_key(run, map, key, |run, key| Ok(done(run.maps.delete_for(map, key))))
    },
    Helper::MAP_LOOKUP_PERCPU_ELEM.id() => |run, [map, key, processor, ..]| {
        let map = handle(run, map)?;
        let processor = processor & 0xffff_ffff;
        with_key(run, map, key, |run, key| Ok(run.maps.lookup_other(map, key, processor).unwrap_or(0)))
    },
    Helper::MAP_PUSH_ELEM.id() => |run, [map, value, flags, ..]| {
        let map = handle(run, map)?;
        let value = read_value(run, map, value)?;
        Ok(done(run.maps.push_for(map, &value, flags)))
    },
    Helper::MAP_POP_ELEM.id() => |run, [map, value, ..]| next(run, map, value, true),
    Helper::MAP_PEEK_ELEM.id() => |run, [map, value, ..]| next(run, map, value, false),
    Helper::FOR_EACH_MAP_ELEM.id() => for_each,
    Helper::REDIRECT_MAP.id() => redirect_map,
    Helper::TAIL_CALL.id() => |run, [context, map, index, ..]| {
        let map = handle(run, map)?;
        if run.maps.map_type(map) != Ok(MapType::ProgArray) {
            return Err(HelperError::Map(map.guest()));
        }
        match run.maps.reference(map, index as u32) {
            Ok(Some(program)) => Ok(run.tail_call(program, context).unwrap_or_else(|| error(MapError::Absent.errno()))),
            Ok(None) => Ok(error(MapError::Absent.errno())),
            Err(_) => Err(HelperError::Map(map.guest())),
        }
    },
}

/// `bpf_map_lookup_elem`: written by hand, since it is what programs call most.
pub(super) const LOOKUP: (u32, HelperFn) = (Helper::MAP_LOOKUP_ELEM.id(), lookup);

extern "C" fn lookup(map: u64, key: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    let found = handle(run, map).and_then(|map| {
        if let Some(found) = run.maps.lookup_short(map, key, run.memory, (&mut run.processor, run.host)) {
            return Ok(found?);
        }
        let processor = if run.maps.is_per_cpu(map) { run.processor() } else { 0 };
        with_key(run, map, key, |run, key| Ok(run.maps.lookup_for(map, key, processor).unwrap_or(0)))
    });
    found.unwrap_or_else(|error| run.fail(error))
}

/// What a helper returns for a map operation.
fn done(result: Result<(), MapError>) -> u64 {
    result.map_or_else(MapError::result, |()| 0)
}

/// Reads a key from the program's memory.
#[inline]
fn with_key(
    run: &mut Run<'_, '_>,
    map: MapHandle,
    address: u64,
    then: impl FnOnce(&mut Run<'_, '_>, &[u8]) -> Called,
) -> Called {
    let (bytes, _) = run.maps.sizes(map).map_err(|_| HelperError::Map(map.guest()))?;
    match bytes {
        4 => {
            let mut key = [0; 4];
            run.memory.read(address, &mut key)?;
            then(run, &key)
        }
        5..=SHORT_KEY_BYTES => {
            let mut key = [0; SHORT_KEY_BYTES];
            run.memory.read(address, &mut key[..bytes])?;
            then(run, &key[..bytes])
        }
        _ => {
            let key = read_bytes(run, address, bytes)?;
            then(run, &key)
        }
    }
}

fn read_value(run: &Run<'_, '_>, map: MapHandle, address: u64) -> Result<Vec<u8>, HelperError> {
    let (_, bytes) = run.maps.sizes(map).map_err(|_| HelperError::Map(map.guest()))?;
    read_bytes(run, address, bytes)
}

fn update(run: &mut Run<'_, '_>, [map, key, value, flags, _]: [u64; 5]) -> Called {
    let map = handle(run, map)?;
    let value = read_value(run, map, value)?;
    let processor = run.processor();
    with_key(run, map, key, |run, key| Ok(done(run.maps.update_for(map, key, &value, flags, processor))))
}

/// The next value of a queue or stack; a bloom filter is asked for the value given.
fn next(run: &mut Run<'_, '_>, map: u64, address: u64, take: bool) -> Called {
    let map = handle(run, map)?;
    let is_filter = run.maps.map_type(map) == Ok(MapType::BloomFilter);
    let (_, bytes) = run.maps.sizes(map).map_err(|_| HelperError::Map(map.guest()))?;
    let mut value = vec![0; bytes];
    if is_filter {
        run.memory.read(address, &mut value)?;
        return Ok(done(run.maps.next_for(map, &mut value, take)));
    }
    run.memory.check(address, bytes, Access::Write)?;
    let result = run.maps.next_for(map, &mut value, take);
    run.memory.write(address, &value)?;
    Ok(done(result))
}

/// Calls a function of the program for each entry: map, key, value, the caller's context.
fn for_each(run: &mut Run<'_, '_>, [map, function, context, flags, _]: [u64; 5]) -> Called {
    if flags != 0 {
        return Ok(error(EINVAL));
    }
    let map = handle(run, map)?;
    let processor = run.processor();
    let (mut place, mut n_entries) = (0, 0);
    loop {
        let entry = match run.maps.walk_for(map, place, processor) {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(n_entries),
            Err(error) => return Ok(error.result()),
        };
        let (key, value, after) = entry;
        place = after;
        n_entries += 1;
        let stop = run.call_back(function, [map.guest(), key, value, context, 0]);
        if run.is_stopped() || stop != 0 {
            return Ok(n_entries);
        }
    }
}

fn redirect_map(run: &mut Run<'_, '_>, [map, key, flags, ..]: [u64; 5]) -> Called {
    let map = handle(run, map)?;
    let Ok(map_type) = run.maps.map_type(map) else { return Err(HelperError::Map(map.guest())) };
    let is_device = matches!(map_type, MapType::Devmap | MapType::DevmapHash);
    let known = if is_device { ACTION | BROADCAST | EXCLUDE_INGRESS } else { ACTION };
    if flags & !known != 0 {
        return Ok(0);
    }
    let target = run.maps.reference(map, key as u32);
    let target = target.map_err(|_| HelperError::Map(map.guest()))?;
    if target.is_none() && flags & BROADCAST == 0 {
        return Ok(flags & ACTION);
    }
    run.context.redirect(Redirect::Map { map: map.guest(), key: u64::from(key as u32), flags });
    Ok(XDP_REDIRECT)
}

/// The errors of maps that helpers name themselves.
const _: () = assert!(E2BIG == MapError::TooBig.errno() && EINVAL == MapError::Invalid.errno());
