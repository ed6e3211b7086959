//! Probes of maps, calls and files.

use std::os::fd::{AsFd, AsRawFd};

use nonna_bpf::{MapType, ProgramType};

use super::Step;
use super::load::{NOTHING, Trial, failure};
use crate::btf;
use crate::map::kernel_name;
use crate::sys::{self, MapCreate, RawMap, RawRing, TestRunSpec};

/// Bytes of the smallest ring.
const RING_BYTES: u32 = 4096;

fn map(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Step<RawMap> {
    let attr = MapCreate {
        map_type: map_type.number(),
        key_size,
        value_size,
        max_entries,
        map_name: kernel_name("nonna_probe"),
        ..MapCreate::default()
    };
    RawMap::create(&attr, None).map_err(|e| failure(&format!("make a map of type {map_type}"), &e))
}

fn ring() -> Step<RawMap> {
    // A page may be larger than 4 KiB.
    let page_bytes = u32::try_from(rustix::param::page_size()).unwrap_or(RING_BYTES);
    map(MapType::Ringbuf, 0, 0, page_bytes)
}

pub(super) fn ring_buffer() -> Step {
    let page_bytes = u32::try_from(rustix::param::page_size()).unwrap_or(RING_BYTES);
    RawRing::open(ring()?.as_fd(), page_bytes).map(drop).map_err(|e| failure("map a ring's memory", &e))
}

pub(super) fn dynptr() -> Step {
    let ring = ring()?;
    let text = format!(
        "r1 = map[fd:{}]\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr#198\n\
         r1 = r10\nr1 += -16\nr2 = 0\ncall bpf_ringbuf_discard_dynptr#200\nr0 = 0\nexit",
        ring.as_fd().as_raw_fd()
    );
    Trial::new(ProgramType::RawTracepoint, &text).load().map(drop)
}

pub(super) fn test_run() -> Step {
    let program = Trial::new(ProgramType::RawTracepoint, NOTHING).load()?;
    let run = sys::test_run(program.as_fd(), TestRunSpec::default());
    run.map(drop).map_err(|e| failure("run a program by call", &e))
}

pub(super) fn batch_operations() -> Step {
    let map = map(MapType::Hash, 4, 4, 4)?;
    match map.update_batch(&[1; 8], &[2; 8]) {
        Ok((_, None)) => Ok(()),
        Ok((_, Some(error))) | Err(error) => Err(failure("write several entries of a map at once", &error)),
    }
}

pub(super) fn run_time_stats() -> Step {
    sys::enable_run_time_stats().map(drop).map_err(|e| failure("count the run time of programs", &e))
}

pub(super) fn mapped_btf() -> Step {
    btf::map_vmlinux().map_err(|e| failure("map the kernel's type information", &e))
}
