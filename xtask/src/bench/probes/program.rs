//! A program in the kernel, and what one run of it takes there.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nonna_bpf::{MapType, Object, ProgramIdx};
use nonna_kernel::{Kernel, Loaded, RingReader};

use super::cases::Load;

/// Share of the calls that warm up before those that count.
const WARM_UP: u32 = 10;

/// Size of every ring, whichever compiler chose another: it must hold the records of one turn, and be the same for both.
const RING_BYTES: u32 = 4 << 20;

/// One program that is loaded and not attached.
pub struct Program {
    loaded: Loaded,
    /// Its ring, if it has one.
    ring: Option<RingReader>,
}

/// What was measured in one turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// Mean time of one run, in nanoseconds.
    pub run_ns: f64,
    /// Share of the runs that this process did not cause, 0 to 1.
    pub foreign: f64,
}

impl Program {
    /// Loads the one program of an object file. Both compilers' files take this way.
    ///
    /// # Errors
    ///
    /// If the file is broken, or the kernel refuses what it holds.
    pub fn load(kernel: &Kernel, file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let btf = kernel.btf()?;
        let mut object = Object::from_elf(&bytes, Some(&btf))?;
        ensure!(object.programs.len() == 1, "{} programs where one was expected", object.programs.len());
        for map in object.maps.iter_mut().filter(|map| map.map_type == MapType::Ringbuf) {
            map.max_entries = RING_BYTES;
        }
        let verified = nonna_verifier::verify_structure(object).map_err(|rejection| {
            anyhow::anyhow!("{}", rejection.diagnostics.first().map_or("refused", |first| &first.message))
        })?;
        let loaded = kernel.load(&verified)?;
        let ring = loaded.maps().iter().find(|map| map.map_type() == Some(MapType::Ringbuf));
        let ring = ring.map(RingReader::open).transpose()?;
        Ok(Self { loaded, ring })
    }

    /// Instructions after the kernel rewrote them, in slots of 8 bytes.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn n_insns(&self) -> Result<u32> {
        Ok(self.loaded.program(ProgramIdx(0)).status()?.xlated_bytes / 8)
    }

    /// Attaches the program, makes system calls, detaches. Run times must be counted meanwhile.
    ///
    /// # Errors
    ///
    /// What the kernel says; if the program missed calls; if its ring ran full, since that costs something else.
    pub fn turn(&mut self, kernel: &Kernel, load: Load, calls: u32) -> Result<Turn> {
        let program = self.loaded.program(ProgramIdx(0));
        let link = program.attach(kernel)?;
        load.make(calls / WARM_UP);
        let before = program.status()?;
        load.make(calls);
        let after = program.status()?;
        drop(link);
        if let Some(ring) = &mut self.ring {
            ensure!(
                ring.pending_bytes() < u64::from(RING_BYTES) / 10 * 9,
                "the ring ran full: take fewer --calls"
            );
            ring.drain(|batch| batch.for_each(drop));
        }
        let runs = after.run_count - before.run_count;
        ensure!(runs >= u64::from(calls), "the program saw {runs} of {calls} calls");
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of one turn are far below 2^53")]
        let (run_time_ns, runs) = ((after.run_time_ns - before.run_time_ns) as f64, runs as f64);
        Ok(Turn { run_ns: run_time_ns / runs, foreign: 1.0 - f64::from(calls) / runs })
    }
}

impl Load {
    /// Makes system calls, which cost the same each time.
    pub fn make(self, calls: u32) {
        for _ in 0..calls {
            match self {
                Load::Short => {
                    let _ = rustix::process::getppid();
                }
                Load::WithPath => {
                    let (exists, flags) = (rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty());
                    let _ = rustix::fs::accessat(rustix::fs::CWD, "/proc", exists, flags);
                }
            }
        }
    }
}
