//! The tables of program contexts against the running kernel: every offset and width of every program type that it
//! loads, what loads yield, and the values that programs return.
//!
//! A program type that this kernel was built without, or refuses to this process, gets no verdict and is left out.

#[allow(dead_code, reason = "the other suite uses the rest")]
#[path = "kernel/support.rs"]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use nonna_bpf::{AttachType, Hook, ProgramType};
use nonna_kernel::{Kernel, LoadError};
use nonna_testkit::{KernelTest, Need, Outcome, Suite};
use nonna_verifier::context::{self, AccessKind, Layout, ReturnRange, SocketKind, Yield};

use support::*;

fn main() -> ExitCode {
    let test = |name, run| KernelTest::new(name, &[Need::Root], run).time_limit(Duration::from_secs(300));
    Suite::new("kernel-contexts", env!("CARGO_MANIFEST_DIR"))
        .test(test("accesses_to_contexts_are_judged_as_by_the_kernel", accesses))
        .test(test("loads_from_contexts_yield_what_the_kernel_says", yields))
        .test(test("typed_arguments_are_judged_as_by_the_kernel", arguments))
        .test(test("returns_are_judged_as_by_the_kernel", return_values))
        .main()
}

/// The kernel, as (major, minor), from which on it has what the tables say of this access; those before refuse it.
fn since(kind: Kind, offset: u16, access: AccessKind) -> (u32, u32) {
    match (kind.0, offset, access) {
        // Loads with sign extension.
        (_, _, AccessKind::SignedLoad) => (6, 6),
        // `skb_hwtstamp`.
        (ProgramType::SockOps, 216..224, _) => (6, 2),
        _ => (0, 0),
    }
}

/// The running kernel as (major, minor).
fn running() -> (u32, u32) {
    let release = nonna_testkit::running_release();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().expect("a number"));
    (numbers.next().expect("major"), numbers.next().expect("minor"))
}

type Kind = (ProgramType, Option<AttachType>);

/// Every program type with every attach type that matters to it. Those typed by BTF need a function and are elsewhere.
fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for &program_type in ProgramType::ALL {
        match (program_type, context::attach_types(program_type)) {
            (
                ProgramType::Unspecified
                | ProgramType::Ext
                | ProgramType::Tracing
                | ProgramType::Lsm
                | ProgramType::StructOps,
                _,
            ) => {}
            (ProgramType::Xdp, _) => {
                let attach = [AttachType::Xdp, AttachType::XdpDevmap, AttachType::XdpCpumap];
                kinds.extend(attach.map(|a| (program_type, Some(a))));
            }
            (_, Some(attach)) => kinds.extend(attach.iter().map(|&a| (program_type, Some(a)))),
            (_, None) => kinds.push((program_type, None)),
        }
    }
    kinds
}

/// The kernel's word: accepted, refused with its log, or `None` without a verdict.
fn verdict((program_type, attach_type): Kind, text: &str) -> Option<Result<(), String>> {
    let mut program = program("context", program_type, Hook::OnDemand("context".to_owned()), text);
    program.attach_type = attach_type;
    // A program that sleeps is the only kind of syscall program.
    program.sleepable = program_type == ProgramType::Syscall;
    match Kernel::new().load(&verified(vec![], vec![program])) {
        Ok(_) => Some(Ok(())),
        Err(LoadError::Refused(refused)) => Some(Err(refused.log)),
        Err(_) => None,
    }
}

/// A value that programs of this kind may return.
fn legal((program_type, attach_type): Kind) -> i32 {
    match context::returns(program_type, attach_type) {
        ReturnRange::Within { min, .. } => min,
        _ => 0,
    }
}

/// Kinds that this kernel loads at all.
fn loadable() -> Vec<Kind> {
    let (judged, rest): (Vec<Kind>, Vec<Kind>) = kinds()
        .into_iter()
        .partition(|&kind| verdict(kind, &format!("r0 = {}\nexit", legal(kind))) == Some(Ok(())));
    assert!(judged.len() >= 15, "too few kinds of program load: {judged:?}, not {rest:?}");
    judged
}

/// Bytes to try: the whole context and some after it.
fn offsets(kind: Kind) -> Vec<u16> {
    match context::layout(kind.0, kind.1) {
        Layout::Fields { table, .. } => {
            (0..table.fields.last().map_or(0, context::Field::end) + 17).collect()
        }
        Layout::Bytes { end, .. } if end < 1024 => (0..end + 17).collect(),
        Layout::Bytes { end, .. } => {
            (0..64).chain(end.min(0x7fff) - 17..=end.min(0x7fff - 17) + 17).collect()
        }
        Layout::Words { count, .. } => (0..8 * count + 17).collect(),
        Layout::Arguments { .. } | Layout::OfExtendedProgram | Layout::Nothing => Vec::new(),
    }
}

const SIZES: [(u16, &str); 4] = [(1, "8"), (2, "16"), (4, "32"), (8, "64")];

fn accesses() -> Outcome {
    let mut disagreements = Vec::new();
    let mut loads = 0;
    let mut swept = Vec::new();
    for kind in loadable() {
        let layout = context::layout(kind.0, kind.1);
        // Kinds that share a context with one before them are asked about whole fields only: slow guests have a time limit.
        let whole_only = swept.contains(&layout);
        swept.push(layout);
        for offset in offsets(kind) {
            for (size, bits) in SIZES {
                if whole_only && (offset % 4 != 0 || size < 4) {
                    continue;
                }
                for access in [AccessKind::Load, AccessKind::SignedLoad, AccessKind::Store] {
                    let body = match access {
                        AccessKind::Load => format!("r2 = *(u{bits} *)(r1 +{offset})"),
                        AccessKind::SignedLoad if size == 8 => continue,
                        AccessKind::SignedLoad => format!("r2 = *(s{bits} *)(r1 +{offset})"),
                        AccessKind::Store => format!("r2 = 0\n*(u{bits} *)(r1 +{offset}) = r2"),
                    };
                    let kernel = verdict(kind, &format!("{body}\nr0 = {}\nexit", legal(kind)));
                    let ours = context::access(kind.0, kind.1, i64::from(offset), size, access);
                    loads += 1;
                    let expected = ours.is_ok() && since(kind, offset, access) <= running();
                    let agrees = kernel.as_ref().is_some_and(|kernel| kernel.is_ok() == expected);
                    if !agrees {
                        disagreements
                            .push(format!("{kind:?} {access:?} {offset} {size}: {ours:?}, {kernel:?}"));
                    }
                }
            }
        }
    }
    assert!(disagreements.is_empty(), "{} of {loads}:\n{}", disagreements.len(), disagreements.join("\n"));
    Ok(())
}

/// Numbers can be multiplied, pointers cannot; sockets show their fields when they are known not to be 0.
fn yields() -> Outcome {
    let mut disagreements = Vec::new();
    for kind in loadable() {
        for offset in offsets(kind) {
            for (size, bits) in SIZES {
                let Ok(yielded) = context::access(kind.0, kind.1, i64::from(offset), size, AccessKind::Load)
                else {
                    continue;
                };
                if since(kind, offset, AccessKind::Load) > running() {
                    continue;
                }
                let mut expect = |what: &str, expected: bool| {
                    let text = format!("r2 = *(u{bits} *)(r1 +{offset})\n{what}\nr0 = {}\nexit", legal(kind));
                    let kernel = verdict(kind, &text);
                    if kernel.as_ref().is_none_or(|kernel| kernel.is_ok() != expected) {
                        disagreements
                            .push(format!("{kind:?} {offset} {size}: {yielded:?}, {what}: {kernel:?}"));
                    }
                };
                expect("r2 *= 3", matches!(yielded, Yield::Number { .. }));
                if let Yield::Socket { kind: socket, nullable } = yielded {
                    expect("r3 = *(u32 *)(r2 +72)", !nullable);
                    for field in 0..84_u16 {
                        for (size, bits) in SIZES {
                            let ours =
                                context::socket_access(socket, i64::from(field), size, AccessKind::Load);
                            let text = format!("if r2 == 0 goto +1\nr3 = *(u{bits} *)(r2 +{field})");
                            expect(&text, ours.is_ok());
                        }
                    }
                    assert_ne!((socket, nullable), (SocketKind::Common, false), "common sockets may be 0");
                }
            }
        }
    }
    assert!(disagreements.is_empty(), "{}:\n{}", disagreements.len(), disagreements.join("\n"));
    Ok(())
}

/// Programs whose arguments BTF types: what the table refuses, the kernel refuses too; what the kernel accepts is an
/// argument. Between the two stands the argument's type.
///
/// One difference is meant: kernels accept stores into the arguments of security hooks (`bpf_lsm_verifier_ops` judges by
/// `btf_ctx_access` alone, which does not ask for the direction). A program that runs after would take what was stored for
/// a trusted pointer, so the table refuses them.
fn arguments() -> Outcome {
    let targets = [
        (ProgramType::Tracing, AttachType::TraceFentry, "bpf_fentry_test1", 1),
        (ProgramType::Tracing, AttachType::TraceFexit, "bpf_fentry_test1", 2),
        (ProgramType::Tracing, AttachType::ModifyReturn, "bpf_modify_return_test", 3),
        (ProgramType::Tracing, AttachType::TraceRawTp, "sched_switch", 4),
        (ProgramType::Tracing, AttachType::TraceIter, "task", 2),
        (ProgramType::Lsm, AttachType::LsmMac, "file_open", 2),
    ];
    let mut disagreements = Vec::new();
    for (program_type, attach_type, target, slots) in targets {
        let verdict = |text: &str| {
            let program = program("context", program_type, Hook::OnDemand("context".to_owned()), text);
            match Kernel::new().load(&verified(vec![], vec![typed(program, attach_type, Some(target))])) {
                Ok(_) => Some(Ok(())),
                Err(LoadError::Refused(refused)) => Some(Err(refused.log)),
                Err(_) => None,
            }
        };
        if verdict("r0 = 0\nexit") != Some(Ok(())) {
            continue;
        }
        for offset in 0..112_u16 {
            for (size, bits) in SIZES {
                for access in [AccessKind::Load, AccessKind::Store] {
                    let body = match access {
                        AccessKind::Store => format!("r2 = 0\n*(u{bits} *)(r1 +{offset}) = r2"),
                        _ => format!("r2 = *(u{bits} *)(r1 +{offset})"),
                    };
                    let kernel = verdict(&format!("{body}\nr0 = 0\nexit"));
                    let accepted = kernel == Some(Ok(()));
                    let ours =
                        context::access(program_type, Some(attach_type), i64::from(offset), size, access);
                    let expected = match ours {
                        Ok(Yield::Argument { slot }) if slot < slots => size == 8 || accepted,
                        Ok(Yield::Argument { .. }) | Err(_) => false,
                        Ok(_) => !accepted,
                    };
                    if accepted != expected {
                        disagreements
                            .push(format!("{target} {access:?} {offset} {size}: {ours:?}, {kernel:?}"));
                    }
                }
            }
        }
    }
    assert!(disagreements.is_empty(), "{}:\n{}", disagreements.len(), disagreements.join("\n"));
    Ok(())
}

fn return_values() -> Outcome {
    let mut disagreements = Vec::new();
    for kind in loadable() {
        let range = context::returns(kind.0, kind.1);
        for value in [i32::MIN, -4096, -2, -1, 0, 1, 2, 3, 4, 5, 7, 255, 65_536, i32::MAX] {
            let kernel = verdict(kind, &format!("r0 = {value}\nexit"));
            let ours = range.contains(i64::from(value));
            if kernel.as_ref().is_none_or(|kernel| kernel.is_ok() != ours) {
                disagreements.push(format!("{kind:?} returns {value}: {range:?}, {kernel:?}"));
            }
        }
    }
    assert!(disagreements.is_empty(), "{}:\n{}", disagreements.len(), disagreements.join("\n"));
    Ok(())
}
