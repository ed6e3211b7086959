//! The same program in the running kernel, which compiles and measures it.

use anyhow::Result;
use nonna_bpf::{MapIdx, ProgramIdx};
use nonna_kernel::{Kernel, Loaded, TestRun};
use nonna_verifier::Verified;

use super::case::entries;

/// Loads the program and fills its maps.
pub fn load(kernel: &Kernel, verified: &Verified) -> Result<Loaded> {
    let loaded = kernel.load(verified)?;
    for (map, index) in verified.object().maps.iter().zip(0..) {
        let (keys, values): (Vec<_>, Vec<_>) = entries(&map.name).unzip();
        if !keys.is_empty() {
            loaded.map(MapIdx(index)).update_many(&keys.concat(), &values.concat())?;
        }
    }
    Ok(loaded)
}

/// The mean time of so many runs in nanoseconds, and the result. The kernel's own clock leaves out what the call costs, which with a
/// repetition is much.
pub fn run(loaded: &Loaded, runs: u32) -> Result<(f64, u64)> {
    let packet = [0; 64];
    let run = TestRun { data: &packet, repeat: runs, ..TestRun::default() };
    let outcome = loaded.program(ProgramIdx(0)).test_run(&run)?;
    Ok((outcome.duration_ns.into(), outcome.return_value.into()))
}
