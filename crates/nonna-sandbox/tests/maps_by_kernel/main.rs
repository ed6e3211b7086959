//! Maps against the kernel: the same maps made, the same operations done, in the sandbox and in the running kernel; every result and
//! error number must be the same.

mod making;
mod operations;
mod programs;

use std::process::ExitCode;

use nonna_bpf::{Feature, Map, MapExtra, MapFlags, MapType, Probe};
use nonna_kernel::{Error, Kernel};
use nonna_testkit::{KernelTest, Need, Suite};

fn main() -> ExitCode {
    let suite = Suite::new("nonna-sandbox-maps", env!("CARGO_MANIFEST_DIR"))
        .features(|feature: Feature| -> Probe { Kernel::new().probe(feature) });
    let needs = [Need::Root];
    suite
        .test(KernelTest::new("maps_are_made_and_refused_alike", &needs, making::alike))
        .test(KernelTest::new("arrays_do_the_same", &needs, operations::arrays))
        .test(KernelTest::new("hashes_do_the_same", &needs, operations::hashes))
        .test(KernelTest::new("lru_hashes_forget_the_same", &needs, operations::lru_hashes))
        .test(KernelTest::new("tries_do_the_same", &needs, operations::tries))
        .test(KernelTest::new("queues_and_stacks_do_the_same", &needs, operations::queues))
        .test(KernelTest::new("programs_do_the_same", &needs, programs::alike))
        .main()
}

/// A map of this kind.
pub fn map(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32, flags: MapFlags) -> Map {
    Map {
        name: "compared".to_owned(),
        map_type,
        key_size,
        value_size,
        max_entries,
        flags,
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

/// The kernel's error number.
pub fn errno(error: &Error) -> i32 {
    match error {
        Error::System { source, .. } | Error::NotPermitted { source, .. } => {
            source.raw_os_error().unwrap_or(0)
        }
        other => panic!("{other}"),
    }
}

/// Processors, as the kernel's per-processor maps count them.
pub fn n_processors() -> u32 {
    let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").expect("sysfs");
    let last = possible.trim().rsplit(['-', ',']).next().expect("a list");
    last.parse::<u32>().expect("a number") + 1
}
