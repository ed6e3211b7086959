//! Running a program by call: `begin` and `end`, on demand, and on given data (`BPF_PROG_TEST_RUN`).

use std::os::fd::AsFd;

use crate::error::{Context, Error};
use crate::load::KernelProgram;
use crate::sys::{self, TestRunSpec};

/// Bytes of the largest context that a raw tracepoint program may read: 12 arguments (`MAX_BPF_FUNC_ARGS`).
const RAW_CONTEXT_BYTES: usize = 96;

/// Helpers make a packet no longer than this (`BPF_SKB_MAX_LEN`).
const PACKET_BYTES_MAX: usize = 16_384;
/// What a packet program may add before the packet, whatever its length.
const HEAD_ROOM_BYTES: usize = 256;

/// What a program is run on.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestRun<'a> {
    /// Packet, for the types that have one; at least 14 bytes there.
    pub data: &'a [u8],
    /// Context, in the form that the program type has in user space.
    pub context: &'a [u8],
    /// How often; 0 is once. Only program types with packets take more.
    pub repeat: u32,
}

/// What a run gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRunOutcome {
    /// The program's return value.
    pub return_value: u32,
    /// Time of one run, in nanoseconds; the mean where there were several. 0 for types that are not timed.
    pub duration_ns: u32,
    /// The packet afterwards.
    pub data: Vec<u8>,
    /// The context afterwards.
    pub context: Vec<u8>,
}

impl KernelProgram {
    /// Runs the program once with an empty context: for hooks that are calls.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that the program's type cannot be run by call.
    pub fn run_once(&self) -> Result<u32, Error> {
        let spec = TestRunSpec { ctx_in: &[0; RAW_CONTEXT_BYTES], ..TestRunSpec::default() };
        let answer =
            sys::test_run(self.as_fd(), spec).context(|| format!("run program `{}`", self.name()))?;
        Ok(answer.retval)
    }

    /// Runs the program on data.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that the program's type cannot be run by call or wants another context.
    pub fn test_run(&self, run: &TestRun<'_>) -> Result<TestRunOutcome, Error> {
        let room =
            if run.data.is_empty() { 0 } else { run.data.len().max(PACKET_BYTES_MAX) + HEAD_ROOM_BYTES };
        let mut data = vec![0; room];
        let mut context = vec![0; run.context.len()];
        let spec = TestRunSpec {
            data_in: run.data,
            data_out: &mut data,
            ctx_in: run.context,
            ctx_out: if run.data.is_empty() { &mut [] } else { &mut context },
            repeat: run.repeat,
            ..TestRunSpec::default()
        };
        let answer =
            sys::test_run(self.as_fd(), spec).context(|| format!("run program `{}`", self.name()))?;
        data.truncate(answer.data_out_bytes);
        context.truncate(answer.ctx_out_bytes);
        Ok(TestRunOutcome { return_value: answer.retval, duration_ns: answer.duration_ns, data, context })
    }
}
