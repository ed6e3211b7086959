//! Stack frames: accesses stay within 512 bytes, over every chain of calls.
//!
//! The offset from `r10` is followed through copies and constant additions; a pointer that is changed otherwise is left to the
//! full proof. The kernel adds up the frames of a chain of calls, each rounded up to 16 bytes where it compiles programs, and
//! allows 8 frames (`check_max_stack_depth` and `round_up_stack_depth` in `kernel/bpf/verifier.c`, Linux 6.12).

use nonna_bpf::{AluOp, Insn, Operand, Reg, Width};

use crate::functions::{is_function_reference, successors};
use crate::slugs;
use crate::structure::Checked;

/// Bytes of stack that a chain of calls may use.
const STACK_BYTES: i64 = 512;
/// Frames in a chain of calls.
const MAX_FRAMES: usize = 8;
/// Frames to which chains are followed, far beyond what is allowed, so that no program makes the search itself too deep.
const MAX_FOLLOWED: usize = 64;

/// For each register, its constant distance from the frame pointer in bytes, where it has one.
type Offsets = [Option<i64>; 11];

/// Bytes of stack that the deepest chain of calls uses.
pub(crate) fn bytes(checked: &mut Checked<'_>) -> u32 {
    u32::try_from(deepest_chain(checked).0.bytes).unwrap_or(u32::MAX)
}

/// The deepest chain of calls from the entry, and the bytes of each frame on it.
fn deepest_chain(checked: &mut Checked<'_>) -> (Chain, Vec<i64>) {
    let mut depths = Vec::with_capacity(checked.functions.len());
    for function in 0..checked.functions.len() {
        depths.push(frame_bytes(checked, function));
    }
    let calls = calls(checked);
    let mut visits = vec![Visit::New; depths.len()];
    let chain = deepest(checked, &depths, &calls, (0, 1), &mut visits);
    let (mut function, mut frames) = (0, Vec::new());
    while let Some(Visit::Done(below)) = visits.get(function).copied() {
        frames.push(rounded(depths[function]));
        let callee = below.through.and_then(|call| {
            let offset = checked.program.insns[call].local_offset()?;
            Some(checked.functions.of(checked.slots.target(call, offset)?))
        });
        match callee {
            Some(callee) if frames.len() <= depths.len() => function = callee,
            _ => break,
        }
    }
    (chain, frames)
}

/// Reports accesses outside the frame, chains of calls that use too much, and recursion.
pub(crate) fn check(checked: &mut Checked<'_>) {
    let (chain, frames) = deepest_chain(checked);
    if checked.diagnostics.iter().any(|diagnostic| diagnostic.slug.name == slugs::CALL_TOO_DEEP.name) {
        // What was not followed to its end has no sum.
        return;
    }
    let at = chain.through.unwrap_or(0);
    if chain.frames > MAX_FRAMES {
        let message = format!("calls go {} functions deep from here; {MAX_FRAMES} are allowed", chain.frames);
        checked.report(&slugs::CALL_TOO_DEEP, at, message, "call fewer functions in a row");
    }
    if chain.bytes > STACK_BYTES {
        let each: Vec<String> = frames.iter().map(i64::to_string).collect();
        let message = format!(
            "this chain of calls uses {} = {} bytes of stack; {STACK_BYTES} are allowed",
            each.join(" + "),
            chain.bytes
        );
        let help = format!(
            "make variables on the stack smaller by {} bytes, or keep the largest in a map of one value for each processor",
            chain.bytes - STACK_BYTES
        );
        checked.report(&slugs::STACK_TOO_LARGE, at, message, &help);
    }
}

/// How deep a function reaches into its frame, in bytes.
fn frame_bytes(checked: &mut Checked<'_>, function: usize) -> i64 {
    let range = checked.functions.range(function);
    let insns = &checked.program.insns;
    // By instruction of this function: jumps stay inside of it.
    let first = range.start;
    let mut before: Vec<Option<Offsets>> = vec![None; range.len()];
    let mut entry = [None; 11];
    entry[10] = Some(0);
    before[0] = Some(entry);
    let mut pending = vec![range.start];
    while let Some(index) = pending.pop() {
        let after = step(&insns[index], before[index - first].unwrap_or_default());
        for next in successors(insns, &checked.slots, index) {
            let Some(known) = next.checked_sub(first).and_then(|next| before.get_mut(next)) else { continue };
            let joined = known.map_or(after, |known| join(known, after));
            if *known != Some(joined) {
                *known = Some(joined);
                pending.push(next);
            }
        }
    }
    let mut depth = 0;
    for index in range {
        let Some(offsets) = before[index - first] else { continue };
        let Some((base, displacement, bytes)) = access(&insns[index]) else { continue };
        let Some(offset) = offsets[usize::from(base.number())] else { continue };
        let at = offset + i64::from(displacement);
        if at < -STACK_BYTES || at + i64::from(bytes) > 0 {
            let message = format!("this access at {at} lies outside the {STACK_BYTES} bytes of stack");
            let help = "keep large values in a map; the stack reaches from r10-512 to r10-1";
            checked.report(&slugs::STACK_TOO_LARGE, index, message, help);
        } else {
            depth = depth.max(-at);
        }
    }
    depth
}

/// Base register, displacement and bytes of a memory access.
fn access(insn: &Insn) -> Option<(Reg, i16, u32)> {
    match *insn {
        Insn::Load { size, base, offset, .. }
        | Insn::Store { size, base, offset, .. }
        | Insn::Atomic { size, base, offset, .. } => Some((base, offset, size.bytes())),
        _ => None,
    }
}

fn step(insn: &Insn, mut offsets: Offsets) -> Offsets {
    let wide = Width::W64;
    match *insn {
        Insn::Alu { width, op: AluOp::Mov, dst, src: Operand::Reg(src) } if width == wide => {
            offsets[usize::from(dst.number())] = offsets[usize::from(src.number())];
        }
        Insn::Alu { width, op: op @ (AluOp::Add | AluOp::Sub), dst, src: Operand::Imm(n) }
            if width == wide =>
        {
            let change = if op == AluOp::Add { i64::from(n) } else { -i64::from(n) };
            // A pointer that wanders in a loop must not keep the data flow going.
            let moved = offsets[usize::from(dst.number())].map(|offset| offset + change);
            offsets[usize::from(dst.number())] = moved.filter(|offset| offset.abs() <= 4 * STACK_BYTES);
        }
        Insn::Alu { dst, .. }
        | Insn::MovSx { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Endian { dst, .. }
        | Insn::Load { dst, .. }
        | Insn::LoadImm64 { dst, .. } => offsets[usize::from(dst.number())] = None,
        Insn::Atomic { src, .. } => {
            offsets[usize::from(src.number())] = None;
            offsets[0] = None;
        }
        Insn::Call(_) | Insn::LoadPacket { .. } => offsets[0..6].fill(None),
        _ => {}
    }
    offsets
}

fn join(mut left: Offsets, right: Offsets) -> Offsets {
    for (one, other) in left.iter_mut().zip(right) {
        if *one != other {
            *one = None;
        }
    }
    left
}

/// Bytes that a frame counts for.
fn rounded(depth: i64) -> i64 {
    (depth + 15) & !15
}

/// For each function, the functions it calls or hands to helpers, each with the instruction.
fn calls(checked: &Checked<'_>) -> Vec<Vec<(usize, usize)>> {
    let mut calls = vec![Vec::new(); checked.functions.len()];
    for (index, insn) in checked.program.insns.iter().enumerate() {
        if !is_function_reference(insn) {
            continue;
        }
        let target = insn.local_offset().and_then(|offset| checked.slots.target(index, offset));
        if let Some(target) = target {
            let callee = checked.functions.of(target);
            let known: &mut Vec<(usize, usize)> = &mut calls[checked.functions.of(index)];
            if !known.iter().any(|(_, other)| *other == callee) {
                known.push((index, callee));
            }
        }
    }
    calls
}

/// The deepest chain of calls that begins at a function.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// Bytes of stack, this function's frame included.
    bytes: i64,
    /// Frames, this one included.
    frames: usize,
    /// The call through which it goes on, by instruction.
    through: Option<usize>,
}

/// Where the search for the deepest chain stands with a function.
#[derive(Debug, Clone, Copy)]
enum Visit {
    New,
    Open,
    Done(Chain),
}

/// The deepest chain from `function`, which is the last of `n_frames`; each function is visited once. Recursion is reported and not followed.
fn deepest(
    checked: &mut Checked<'_>,
    depths: &[i64],
    calls: &[Vec<(usize, usize)>],
    (function, n_frames): (usize, usize),
    visits: &mut [Visit],
) -> Chain {
    visits[function] = Visit::Open;
    let mut below = Chain::default();
    for &(at, callee) in &calls[function] {
        let chain = match visits[callee] {
            Visit::Done(chain) => chain,
            Visit::New if n_frames >= MAX_FOLLOWED => {
                let message =
                    format!("calls go more than {MAX_FOLLOWED} functions deep; {MAX_FRAMES} are allowed");
                checked.report(&slugs::CALL_TOO_DEEP, at, message, "call fewer functions in a row");
                continue;
            }
            Visit::New => deepest(checked, depths, calls, (callee, n_frames + 1), visits),
            Visit::Open => {
                let message = "this call leads back to a function that is still running".to_owned();
                checked.report(&slugs::CALL_TOO_DEEP, at, message, "use a loop; programs have no recursion");
                continue;
            }
        };
        if chain.bytes > below.bytes {
            below.bytes = chain.bytes;
            below.through = Some(at);
        }
        if chain.frames > below.frames {
            below.frames = chain.frames;
            below.through = below.through.or(Some(at));
        }
    }
    let frame = rounded(depths[function]);
    let chain = Chain { bytes: below.bytes + frame, frames: below.frames + 1, through: below.through };
    visits[function] = Visit::Done(chain);
    chain
}
