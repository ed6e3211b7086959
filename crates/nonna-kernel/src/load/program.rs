//! Loading one program, and what is known of it afterwards.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nonna_bpf::{AttachType, Hook, Object, Program, ProgramType, encode_slots, has_xdp_fragments};

use super::LoadError;
use super::refused::Refused;
use super::resolve::Resolver;
use crate::error::{Error, c_string};
use crate::map::kernel_name;
use crate::sys::{self, FuncInfoRecord, LineInfoRecord, ProgramSpec};

/// `BPF_F_SLEEPABLE`.
const SLEEPABLE: u32 = 1 << 4;
/// `BPF_F_XDP_HAS_FRAGS`.
const XDP_HAS_FRAGMENTS: u32 = 1 << 5;
/// `BPF_LOG_LEVEL1`: the instructions that lead to the fault, with the verifier's state.
const LOG_LEVEL: u32 = 1;
/// First size of the log.
const LOG_BYTES: usize = 64 * 1024;
/// Largest size of the log: what the kernel writes beyond is of no use to a reader.
pub(super) const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Room for the end of the log, which is what kernels since 6.4 keep of one that does not fit (`bpf_verifier_vlog`).
pub(super) const LOG_END_BYTES: usize = LOG_BYTES;

/// What stands for the log of a program on which the verifier gives up.
const GAVE_UP: &[u8] = b"the verifier gave up: there are too many instructions to follow";

/// A program in the kernel, closed when dropped. It runs as long as a link or a pin holds it.
#[derive(Debug)]
pub struct KernelProgram {
    fd: OwnedFd,
    name: String,
    program_type: ProgramType,
    attach_type: Option<AttachType>,
    hook: Hook,
}

impl KernelProgram {
    /// Name, as the object has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Type.
    pub fn program_type(&self) -> ProgramType {
        self.program_type
    }

    /// Attach type, where the program type has several.
    pub fn attach_type(&self) -> Option<AttachType> {
        self.attach_type
    }

    /// Where it was built to run.
    pub fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Pins the program: it outlives this process until the file is removed. Pinning does not attach.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that `path` is not on a bpffs.
    pub fn pin(&self, path: &Path) -> Result<(), Error> {
        crate::pin::pin(self.as_fd(), path)
    }
}

impl AsFd for KernelProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Loads one program of an object; a log may grow to `log_bytes_max`.
pub(super) fn load(
    object: &Object,
    program: &Program,
    btf: Option<BorrowedFd<'_>>,
    resolver: &Resolver<'_>,
    log_bytes_max: usize,
) -> Result<KernelProgram, LoadError> {
    let (attach_btf_id, attach_btf) = resolver.attach_id(program)?;
    let (insns, fd_array) = resolver.relocate(program)?;
    let slots =
        encode_slots(&insns).map_err(|source| LoadError::Encode { program: program.name.clone(), source })?;
    let license: CString = c_string(object.license.as_str())?;
    let (func_info, line_info) = if btf.is_some() { debug_info(program) } else { (Vec::new(), Vec::new()) };
    let spec = ProgramSpec {
        program_type: program.program_type.number(),
        attach_type: program.attach_type.map_or(0, AttachType::number),
        insns: &slots,
        license: &license,
        name: kernel_name(&program.name),
        flags: flags(program),
        btf,
        func_info: &func_info,
        line_info: &line_info,
        attach_btf_id,
        attach_btf,
        fd_array: &fd_array,
    };
    // Without a log first: a program that is accepted, the usual case, needs none.
    let fd = match sys::program_load(&spec) {
        Ok(fd) => fd,
        // A program on which the verifier gives up has a log of seconds and megabytes that says no more than the number does.
        Err(error) if log_bytes_max == LOG_END_BYTES && error.raw_os_error() == Some(libc::E2BIG) => {
            return Err(refusal(program, GAVE_UP, error));
        }
        Err(error) => load_for_the_log(program, &spec, error, log_bytes_max)?,
    };
    Ok(KernelProgram {
        fd,
        name: program.name.clone(),
        program_type: program.program_type,
        attach_type: program.attach_type,
        hook: program.hook.clone(),
    })
}

fn flags(program: &Program) -> u32 {
    let mut flags = 0;
    if program.sleepable {
        flags |= SLEEPABLE;
    }
    if has_xdp_fragments(&program.section) {
        flags |= XDP_HAS_FRAGMENTS;
    }
    flags
}

/// Loads again with a log that grows until the verdict fits.
fn load_for_the_log(
    program: &Program,
    spec: &ProgramSpec<'_>,
    mut error: io::Error,
    log_bytes_max: usize,
) -> Result<OwnedFd, LoadError> {
    let mut size = LOG_BYTES;
    loop {
        let (result, log) = sys::program_load_logged(spec, LOG_LEVEL, size);
        let again = match result {
            Ok(fd) => return Ok(fd),
            Err(e) => e,
        };
        let true_size = log.true_size as usize;
        let cut = again.raw_os_error() == Some(libc::ENOSPC) || true_size > size;
        if cut && size < log_bytes_max {
            size = if true_size > size { true_size } else { size * 4 }.min(log_bytes_max);
            continue;
        }
        if again.raw_os_error() != Some(libc::ENOSPC) {
            error = again;
        }
        return Err(refusal(program, &log.text, error));
    }
}

/// A verdict of the verifier has a log; without one it is the environment that says no.
fn refusal(program: &Program, log: &[u8], source: io::Error) -> LoadError {
    let log = String::from_utf8_lossy(log).into_owned();
    if !log.trim().is_empty() {
        return LoadError::Refused(Box::new(Refused::new(program, log, source)));
    }
    let (name, program_type) = (program.name.clone(), type_in_words(program));
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => LoadError::NotPermitted { program: name, program_type, source },
        _ => LoadError::NotLoaded { program: name, program_type, source },
    }
}

fn type_in_words(program: &Program) -> String {
    match program.attach_type {
        Some(attach_type) => format!("{}, {attach_type}", program.program_type),
        None => program.program_type.to_string(),
    }
}

/// Functions and lines in the kernel's layout.
fn debug_info(program: &Program) -> (Vec<FuncInfoRecord>, Vec<LineInfoRecord>) {
    let functions = program.func_info.iter();
    let functions = functions.map(|f| FuncInfoRecord { insn_off: f.slot, type_id: f.type_id }).collect();
    let lines = program.line_info.iter();
    let lines = lines
        .map(|l| LineInfoRecord {
            insn_off: l.slot,
            file_name_off: l.file_name_offset,
            line_off: l.line_offset,
            // 22 bits of line and 10 of column (`BPF_LINE_INFO_LINE_NUM`).
            line_col: (l.line.min((1 << 22) - 1) << 10) | l.column.min(1023),
        })
        .collect();
    (functions, lines)
}
