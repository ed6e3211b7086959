//! Tracing programs: registers, records, arguments.
//!
//! After `kprobe_prog_is_valid_access`, `tp_prog_is_valid_access`, `pe_prog_is_valid_access`,
//! `raw_tp_prog_is_valid_access` and `raw_tp_writable_prog_is_valid_access` in `kernel/trace/bpf_trace.c`,
//! `bpf_tracing_ctx_access` in `include/linux/bpf.h`, and `syscall_prog_is_valid_access` in `kernel/bpf/syscall.c`.
//! Registers are those of the processor that this is built for.

use super::field::{Field, Table, Widths};
use super::layout::Layout;

/// Bytes of `struct pt_regs`.
const REGISTERS_BYTES: u16 = if cfg!(target_arch = "aarch64") { 336 } else { 168 };
/// Bytes of `bpf_user_pt_regs_t`, with which the context of perf events begins.
const USER_REGISTERS_BYTES: u16 = if cfg!(target_arch = "aarch64") { 272 } else { 168 };
/// `MAX_BPF_FUNC_ARGS`.
const ARGUMENTS_MAX: u16 = 12;
/// `PERF_MAX_TRACE_SIZE`.
const RECORD_BYTES_MAX: u16 = 8192;

/// `struct pt_regs`, in any width.
pub(super) const KPROBE: Layout = Layout::Bytes { start: 0, end: REGISTERS_BYTES, writable: false };

/// A tracepoint's record. Its first 8 bytes are the kernel's; where it ends is checked when the program is attached.
pub(super) const TRACEPOINT: Layout = Layout::Bytes { start: 8, end: RECORD_BYTES_MAX, writable: false };

/// The arguments of a raw tracepoint.
pub(super) const RAW_TRACEPOINT: Layout = Layout::Words { count: ARGUMENTS_MAX, buffer: false };

/// The arguments of a raw tracepoint whose first is a buffer that the program may change.
pub(super) const RAW_TRACEPOINT_WRITABLE: Layout = Layout::Words { count: ARGUMENTS_MAX, buffer: true };

/// The typed arguments of a function, tracepoint, hook or iterator.
pub(super) const ARGUMENTS: Layout = Layout::Arguments { slots: ARGUMENTS_MAX };

/// What the caller of a syscall program passes; where it ends is checked when the program is run.
pub(super) const SYSCALL: Layout = Layout::Bytes { start: 0, end: u16::MAX, writable: true };

/// `struct bpf_perf_event_data`.
pub(super) static PERF_EVENT: Table = Table {
    name: "bpf_perf_event_data",
    by_attach_type: false,
    fields: &[
        Field { bytes: USER_REGISTERS_BYTES, ..Field::long("regs", 0) },
        Field::long("sample_period", USER_REGISTERS_BYTES).loads(Widths::Narrow),
        Field::long("addr", USER_REGISTERS_BYTES + 8).loads(Widths::Narrow),
    ],
};
