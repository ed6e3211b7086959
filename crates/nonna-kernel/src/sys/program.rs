//! Loading and test-running programs.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::abi::{Command, FuncInfoRecord, LineInfoRecord, NAME_LEN, ProgLoad, TestRun};
use super::object::raw;
use super::{address, address_mut, bpf, bpf_fd, len_u32};

/// What `BPF_PROG_LOAD` is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProgramSpec<'a> {
    pub program_type: u32,
    pub attach_type: u32,
    /// Encoded instructions, one slot each.
    pub insns: &'a [u64],
    pub license: &'a CStr,
    pub name: [u8; NAME_LEN],
    /// `BPF_F_*` of the load command.
    pub flags: u32,
    pub btf: Option<BorrowedFd<'a>>,
    pub func_info: &'a [FuncInfoRecord],
    pub line_info: &'a [LineInfoRecord],
    pub attach_btf_id: u32,
    /// BTF of the module that `attach_btf_id` counts in; `None` for the kernel itself.
    pub attach_btf: Option<BorrowedFd<'a>>,
    /// Descriptors that instructions name by index.
    pub fd_array: &'a [i32],
}

/// What the verifier wrote.
#[derive(Debug, Default)]
pub(crate) struct VerifierLog {
    pub text: Vec<u8>,
    /// Bytes that the whole log has, where the kernel says (6.4 and later); else 0.
    pub true_size: u32,
}

/// `BPF_PROG_LOAD` without a log.
pub(crate) fn program_load(spec: &ProgramSpec<'_>) -> io::Result<OwnedFd> {
    let mut attr = load_attr(spec)?;
    // SAFETY: every address comes from a slice in `spec` with its own length; the command returns a descriptor.
    unsafe { bpf_fd(Command::ProgLoad, &mut attr) }
}

/// `BPF_PROG_LOAD` with a log of at most `log_bytes`.
pub(crate) fn program_load_logged(
    spec: &ProgramSpec<'_>,
    level: u32,
    log_bytes: usize,
) -> (io::Result<OwnedFd>, VerifierLog) {
    let mut text = vec![0_u8; log_bytes];
    let (attr, log_size) = match (load_attr(spec), len_u32(log_bytes)) {
        (Ok(attr), Ok(size)) => (attr, size),
        (Err(error), _) | (_, Err(error)) => return (Err(error), VerifierLog::default()),
    };
    let mut attr = ProgLoad { log_level: level, log_size, log_buf: address_mut(&mut text), ..attr };
    // SAFETY: as in `program_load`; the log buffer is live and `log_size` bytes long.
    let result = unsafe { bpf_fd(Command::ProgLoad, &mut attr) };
    let len = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    text.truncate(len);
    (result, VerifierLog { text, true_size: attr.log_true_size })
}

fn load_attr(spec: &ProgramSpec<'_>) -> io::Result<ProgLoad> {
    let mut attr = ProgLoad {
        prog_type: spec.program_type,
        insn_cnt: len_u32(spec.insns.len())?,
        insns: address(spec.insns),
        license: spec.license.as_ptr() as u64,
        prog_flags: spec.flags,
        prog_name: spec.name,
        expected_attach_type: spec.attach_type,
        prog_btf_fd: spec.btf.map_or(0, raw),
        attach_btf_id: spec.attach_btf_id,
        attach_btf_obj_fd: spec.attach_btf.map_or(0, raw),
        fd_array: address(spec.fd_array),
        ..ProgLoad::default()
    };
    if !spec.func_info.is_empty() {
        attr.func_info_rec_size = len_u32(size_of::<FuncInfoRecord>())?;
        attr.func_info = address(spec.func_info);
        attr.func_info_cnt = len_u32(spec.func_info.len())?;
    }
    if !spec.line_info.is_empty() {
        attr.line_info_rec_size = len_u32(size_of::<LineInfoRecord>())?;
        attr.line_info = address(spec.line_info);
        attr.line_info_cnt = len_u32(spec.line_info.len())?;
    }
    Ok(attr)
}

/// What `BPF_PROG_TEST_RUN` is told.
#[derive(Debug, Default)]
pub(crate) struct TestRunSpec<'a> {
    pub data_in: &'a [u8],
    pub data_out: &'a mut [u8],
    pub ctx_in: &'a [u8],
    pub ctx_out: &'a mut [u8],
    /// Runs; 0 where the program type takes no count.
    pub repeat: u32,
    /// `BPF_F_TEST_*`.
    pub flags: u32,
    pub cpu: u32,
}

/// What `BPF_PROG_TEST_RUN` answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestRunAnswer {
    pub retval: u32,
    pub duration_ns: u32,
    pub data_out_bytes: usize,
    pub ctx_out_bytes: usize,
}

/// `BPF_PROG_TEST_RUN`.
pub(crate) fn test_run(program: BorrowedFd<'_>, spec: TestRunSpec<'_>) -> io::Result<TestRunAnswer> {
    let mut attr = TestRun {
        prog_fd: raw(program),
        data_size_in: len_u32(spec.data_in.len())?,
        data_size_out: len_u32(spec.data_out.len())?,
        data_in: address(spec.data_in),
        data_out: address_mut(spec.data_out),
        repeat: spec.repeat,
        ctx_size_in: len_u32(spec.ctx_in.len())?,
        ctx_size_out: len_u32(spec.ctx_out.len())?,
        ctx_in: address(spec.ctx_in),
        ctx_out: address_mut(spec.ctx_out),
        flags: spec.flags,
        cpu: spec.cpu,
        ..TestRun::default()
    };
    // SAFETY: the four buffers are live and as long as said.
    unsafe { bpf(Command::ProgTestRun, &mut attr) }?;
    Ok(TestRunAnswer {
        retval: attr.retval,
        duration_ns: attr.duration,
        data_out_bytes: (attr.data_size_out as usize).min(spec.data_out.len()),
        ctx_out_bytes: (attr.ctx_size_out as usize).min(spec.ctx_out.len()),
    })
}
