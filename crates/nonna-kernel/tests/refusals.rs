//! What the kernel refuses comes back in the user's terms.

mod support;

use nonna_bpf::{MemSize, ProgramType, Reg};
use nonna_diag::{SourceId, Span};
use nonna_kernel::{Kernel, LoadError};
use support::*;

/// Reads through a number: `kernel-refused` at the user's place.
#[test]
fn a_refusal_names_the_users_place() {
    let mut asm = Asm::default();
    asm.load(MemSize::DW, Reg::R1, Reg::R1, 8).load(MemSize::DW, Reg::R0, Reg::R1, 0).exit(0);
    let mut program = asm.program("bad_load", ProgramType::RawTracepoint, raw_tracepoint("sys_enter"));
    let span = |start, end| Span::new(SourceId(0), start, end);
    program.locations = vec![(0, span(0, 5)), (1, span(10, 20)), (2, span(30, 31))];
    let LoadError::Refused(refused) = Kernel::new().load(&verified(vec![], vec![program])).unwrap_err()
    else {
        panic!("not a refusal");
    };
    assert_eq!(refused.insn, Some(1));
    assert_eq!(refused.span, Some(span(10, 20)));
    assert!(refused.reason.contains("invalid mem access 'scalar'"), "{}", refused.reason);
    let diagnostic = refused.diagnostic();
    assert_eq!(diagnostic.slug.name, "kernel-refused");
    assert_eq!(diagnostic.primary(), Some(span(10, 20)));
    assert!(diagnostic.notes.iter().any(|n| n.contains("follows a number")), "{:?}", diagnostic.notes);
}

/// A log far longer than the first buffer still ends in the verdict.
#[test]
fn a_long_log_is_read_to_its_end() {
    let mut asm = Asm::default();
    asm.load(MemSize::DW, Reg::R1, Reg::R1, 8);
    for _ in 0..3000 {
        asm.mov(Reg::R2, Reg::R1);
    }
    asm.load(MemSize::DW, Reg::R0, Reg::R1, 0).exit(0);
    let program = asm.program("long_log", ProgramType::RawTracepoint, raw_tracepoint("sys_enter"));
    let LoadError::Refused(refused) = Kernel::new().load(&verified(vec![], vec![program])).unwrap_err()
    else {
        panic!("not a refusal");
    };
    assert!(refused.log.len() > 64 * 1024, "{}", refused.log.len());
    assert_eq!(refused.insn, Some(3001));
    assert!(refused.log.starts_with("func#0") || refused.log.starts_with("0:"), "the start is cut off");
}

#[test]
fn an_unknown_tracepoint_is_missing_rather_than_refused() {
    let mut asm = Asm::default();
    asm.exit(0);
    let program = asm.program("nowhere", ProgramType::RawTracepoint, raw_tracepoint("no_such"));
    let error = Kernel::new().load(&verified(vec![], vec![typed(program, "no_such")])).unwrap_err();
    assert!(matches!(&error, LoadError::Missing { name, .. } if name == "btf_trace_no_such"), "{error:?}");
}
