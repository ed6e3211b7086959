//! What the kernel refuses comes back in the user's terms: the slug is `kernel-refused`.

use nonna_bpf::Feature;
use nonna_diag::{SourceId, Span};
use nonna_kernel::{Kernel, LoadError, Refused};
use nonna_testkit::{KernelTest, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("a_refusal_names_the_users_place", &[], a_refusal_names_the_users_place),
        test("a_long_log_is_read_to_its_end", &[], a_long_log_is_read_to_its_end),
        test(
            "an_unknown_tracepoint_is_missing",
            &[Feature::TypedTracepoint],
            an_unknown_tracepoint_is_missing,
        ),
    ]
}

fn refused(program: nonna_bpf::Program) -> Box<Refused> {
    match Kernel::new().load(&verified(vec![], vec![program])) {
        Err(LoadError::Refused(refused)) => refused,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// Reads through a number.
fn a_refusal_names_the_users_place() -> Outcome {
    let mut program = raw_tracepoint("sys_enter", "r1 = *(u64 *)(r1 +8)\nr0 = *(u64 *)(r1 +0)\nr0 = 0\nexit");
    let span = |start, end| Span::new(SourceId(0), start, end);
    program.locations = vec![(0, span(0, 5)), (1, span(10, 20)), (2, span(30, 31))];
    let refused = refused(program);
    assert_eq!(refused.insn, Some(1));
    assert_eq!(refused.span, Some(span(10, 20)));
    assert!(refused.reason.contains("invalid mem access 'scalar'"), "{}", refused.reason);
    let diagnostic = refused.diagnostic();
    assert_eq!(diagnostic.slug.name, "kernel-refused");
    assert_eq!(diagnostic.primary(), Some(span(10, 20)));
    assert!(diagnostic.notes.iter().any(|n| n.contains("follows a number")), "{:?}", diagnostic.notes);
    Ok(())
}

/// A log far longer than the first buffer still ends in the verdict and keeps its start.
fn a_long_log_is_read_to_its_end() -> Outcome {
    let text =
        format!("r1 = *(u64 *)(r1 +8)\n{}r0 = *(u64 *)(r1 +0)\nr0 = 0\nexit", "r2 = r1\n".repeat(3000));
    let refused = refused(raw_tracepoint("sys_enter", &text));
    assert!(refused.log.len() > 64 * 1024, "{}", refused.log.len());
    assert_eq!(refused.insn, Some(3001));
    assert!(refused.log.starts_with("func#0") || refused.log.starts_with("0:"), "the start is cut off");
    Ok(())
}

fn an_unknown_tracepoint_is_missing() -> Outcome {
    let program = typed_tracepoint("no_such", "r0 = 0\nexit");
    let error = Kernel::new().load(&verified(vec![], vec![program])).expect_err("there is none");
    assert!(matches!(&error, LoadError::Missing { name, .. } if name == "btf_trace_no_such"), "{error:?}");
    Ok(())
}
