//! Helpers that leave records for the host: ring buffers and perf event arrays, and the ring that the host fills.

use nonna_bpf::Helper;

use super::dynptr::{Dynptr, Kind};
use super::table::helper_table;
use super::{Called, EBUSY, EINVAL, error, handle, read_bytes};
use crate::host::HelperError;
use crate::maps::MapError;
use crate::run::Run;

/// Flags that say whether to wake the reader; nobody sleeps here.
const WAKE: u64 = 3;
/// The processor that the program runs on, in the flags of `bpf_perf_event_output`.
const CURRENT: u64 = 0xffff_ffff;
/// Bytes of the packet to append, above it.
const PACKET_BYTES: u64 = 0xf_ffff << 32;
/// Samples that one call drains at most (`BPF_MAX_USER_RINGBUF_SAMPLES`).
const MAX_SAMPLES: u64 = 128 * 1024;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::RINGBUF_OUTPUT.id() => |run, [map, from, bytes, flags, _]| {
        let map = handle(run, map)?;
        if flags & !WAKE != 0 {
            return Ok(error(EINVAL));
        }
        let record = read_bytes(run, from, bytes as usize)?;
        Ok(run.maps.output(map, &record).map_or_else(MapError::result, |()| 0))
    },
    Helper::RINGBUF_RESERVE.id() => |run, [map, bytes, flags, ..]| {
        let handle = handle(run, map)?;
        if flags != 0 {
            return Ok(0);
        }
        run.maps.reserve(handle, bytes, run.memory).map_err(|_| HelperError::Map(map))
    },
    Helper::RINGBUF_SUBMIT.id() => |run, [record, ..]| finish(run, record, false),
    Helper::RINGBUF_DISCARD.id() => |run, [record, ..]| finish(run, record, true),
    Helper::RINGBUF_QUERY.id() => |run, [map, what, ..]| {
        let handle = handle(run, map)?;
        run.maps.query(handle, what).map_err(|_| HelperError::Map(map))
    },
    Helper::RINGBUF_RESERVE_DYNPTR.id() => |run, [map, bytes, flags, to, _]| {
        let handle = handle(run, map)?;
        let bytes = bytes & 0xffff_ffff;
        let refused = if flags != 0 { EINVAL } else { Dynptr::check(bytes).map_or_else(MapError::errno, |()| 0) };
        if refused != 0 {
            Dynptr::NULL.write(run, to)?;
            return Ok(error(refused));
        }
        let address = run.maps.reserve(handle, bytes, run.memory).map_err(|_| HelperError::Map(map))?;
        if address == 0 {
            Dynptr::NULL.write(run, to)?;
            return Ok(error(EINVAL));
        }
        Dynptr::new(Kind::Record, address, bytes as u32, false).write(run, to)?;
        Ok(0)
    },
    Helper::RINGBUF_SUBMIT_DYNPTR.id() => |run, [dynptr, ..]| finish_dynptr(run, dynptr, false),
    Helper::RINGBUF_DISCARD_DYNPTR.id() => |run, [dynptr, ..]| finish_dynptr(run, dynptr, true),
    Helper::USER_RINGBUF_DRAIN.id() => drain,
    Helper::PERF_EVENT_OUTPUT.id() => perf_event_output,
    Helper::SKB_OUTPUT.id() => perf_event_output,
    Helper::XDP_OUTPUT.id() => perf_event_output,
}

fn finish(run: &mut Run<'_, '_>, record: u64, discard: bool) -> Called {
    match run.maps.submit(record, discard, run.memory) {
        true => Ok(0),
        false => Err(HelperError::Misused("it is given what is no reserved record")),
    }
}

fn finish_dynptr(run: &mut Run<'_, '_>, at: u64, discard: bool) -> Called {
    let dynptr = Dynptr::read(run, at)?;
    if dynptr.is_null() {
        return Ok(0);
    }
    let address = dynptr.start();
    if run.maps.reserved_bytes(address).is_none() {
        return Err(HelperError::Misused("it is given what is no reserved record"));
    }
    Dynptr::NULL.write(run, at)?;
    finish(run, address, discard)
}

fn perf_event_output(run: &mut Run<'_, '_>, [context, map, flags, from, bytes]: [u64; 5]) -> Called {
    let map = handle(run, map)?;
    if flags & !(CURRENT | PACKET_BYTES) != 0 {
        return Ok(error(EINVAL));
    }
    let mut record = read_bytes(run, from, (bytes & 0xffff_ffff) as usize)?;
    let n_packet = ((flags & PACKET_BYTES) >> 32) as usize;
    if n_packet != 0 {
        let packet = run.context.packet_start(run.memory, n_packet);
        match packet.filter(|_| run.context.address() == context) {
            Some(packet) if packet.len() == n_packet => record.extend(packet),
            _ => return Ok(error(super::EFAULT)),
        }
    }
    let processor = run.processor();
    let index = if flags & CURRENT == CURRENT { processor } else { flags as u32 };
    Ok(run.maps.perf_output(map, index, processor, record).map_or_else(MapError::result, |()| 0))
}

/// Calls a function of the program for each sample, with a dynamic pointer to it, until the function says 1.
fn drain(run: &mut Run<'_, '_>, [map, function, context, flags, _]: [u64; 5]) -> Called {
    let handle = handle(run, map)?;
    if flags & !WAKE != 0 {
        return Ok(error(EINVAL));
    }
    let wrong = |_| HelperError::Map(map);
    if !run.maps.set_draining(handle, true).map_err(wrong)? {
        return Ok(error(EBUSY));
    }
    let mut place =
        crate::memory::Area::new(1, Dynptr::BYTES).ok_or(HelperError::Misused("there is no memory"))?;
    let dynptr = run.memory.open_record(&place, 0, Dynptr::BYTES, false);
    let mut n_samples = 0;
    while n_samples < MAX_SAMPLES {
        let Some(sample) = run.maps.next_sample(handle, run.memory).map_err(wrong)? else { break };
        // The program may read the dynamic pointer, not change it.
        let pointer = Dynptr::new(Kind::Local, sample.0, sample.1 as u32, false);
        place.write(0, &pointer.bytes());
        let stop = run.call_back(function, [dynptr, context, 0, 0, 0]);
        run.maps.release_sample(handle, sample, run.memory);
        n_samples += 1;
        if run.is_stopped() || stop != 0 {
            break;
        }
    }
    run.memory.close_record(dynptr);
    run.maps.set_draining(handle, false).map_err(wrong)?;
    Ok(n_samples)
}
