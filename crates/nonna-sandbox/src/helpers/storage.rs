//! Helpers for values that hang on objects: tasks, inodes, sockets, control groups. The host gives the objects' numbers.

use nonna_bpf::Helper;

use super::table::helper_table;
use super::{Called, EINVAL, error, handle, read_bytes};
use crate::host::HelperError;
use crate::maps::MapError;
use crate::run::Run;

/// `BPF_LOCAL_STORAGE_GET_F_CREATE`
const CREATE: u64 = 1;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::SK_STORAGE_GET.id() => get,
    Helper::INODE_STORAGE_GET.id() => get,
    Helper::TASK_STORAGE_GET.id() => get,
    Helper::CGRP_STORAGE_GET.id() => get,
    Helper::SK_STORAGE_DELETE.id() => delete,
    Helper::INODE_STORAGE_DELETE.id() => delete,
    Helper::TASK_STORAGE_DELETE.id() => delete,
    Helper::CGRP_STORAGE_DELETE.id() => delete,
    Helper::GET_LOCAL_STORAGE.id() => |run, [map, ..]| {
        let handle = handle(run, map)?;
        let (group, processor) = (run.host.identity().cgroup, run.processor());
        let found = run.maps.storage_for(handle, group, true, None, processor);
        found.map_err(|_| HelperError::Map(map))
    },
}

fn get(run: &mut Run<'_, '_>, [map, object, value, flags, _]: [u64; 5]) -> Called {
    let handle = handle(run, map)?;
    if object == 0 || flags & !CREATE != 0 {
        return Ok(0);
    }
    let (_, bytes) = run.maps.sizes(handle).map_err(|_| HelperError::Map(map))?;
    let first = if value == 0 { None } else { Some(read_bytes(run, value, bytes)?) };
    match run.maps.storage_for(handle, object, flags & CREATE != 0, first.as_deref(), 0) {
        Err(MapError::Invalid) => Err(HelperError::Map(map)),
        found => Ok(found.unwrap_or(0)),
    }
}

fn delete(run: &mut Run<'_, '_>, [map, object, ..]: [u64; 5]) -> Called {
    let handle = handle(run, map)?;
    if object == 0 {
        return Ok(error(EINVAL));
    }
    Ok(run.maps.forget_storage(handle, object).map_or_else(MapError::result, |()| 0))
}
