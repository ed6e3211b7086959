//! What a comparison tells: which way control goes, and what is known on each.
//!
//! After `check_cond_jmp_op`, `try_match_pkt_pointers` and `mark_ptr_or_null_regs` in `kernel/bpf/verifier.c` (Linux 6.12). How two sets of
//! numbers narrow each other is in `numbers`.

use nonna_bpf::{AluOp, JumpOp, Operand, Width};

use super::Prover;
use super::explore::Path;
use super::failure::Failure;
use super::links::Link;
use super::state::State;
use super::step::Next;
use super::value::{Kind, Number, Pointer, Trust, Value};
use crate::numbers::Scalar;

/// Farthest that packet bounds reach (`MAX_PACKET_OFF`).
pub(crate) const MAX_PACKET_OFFSET: i64 = 0xffff;

/// Ends that are remembered of one round.
const MAX_ENDS: usize = 64;

impl Prover<'_> {
    pub(crate) fn jump(
        &mut self,
        path: &mut Path,
        width: Width,
        op: JumpOp,
        dst: u8,
        src: Operand,
    ) -> Result<Next, Failure> {
        let at = path.insn;
        let target = self.target(at);
        let left = self.read(&path.state, at, dst)?;
        let right = match src {
            Operand::Reg(src) => self.read(&path.state, at, src.number())?,
            Operand::Imm(imm) => Value::constant(i64::from(imm) as u64),
        };
        if self.ascending > 0 {
            self.note_ends(&left, &right);
        }
        let mut fall = path.state.clone();
        let taken_feasible = self.assume(&mut path.state, width, op, dst, src, &left, &right, true);
        let fall_feasible = self.assume(&mut fall, width, op, dst, src, &left, &right, false);
        let taken = std::mem::replace(&mut path.state, fall);
        match (taken_feasible, fall_feasible) {
            (true, true) => Ok(Next::Both { taken: Box::new(taken), target }),
            (is_taken, _) => {
                let mut registers = 1 << dst;
                if let Operand::Reg(src) = src {
                    registers |= 1 << src.number();
                }
                self.wants(at, registers & 0x3ff);
                if is_taken {
                    path.state = taken;
                }
                Ok(Next::Decided { taken: is_taken, target })
            }
        }
    }

    /// The ends that a loop may rest at: constants, else the end of the operand that reaches farther.
    fn note_ends(&mut self, left: &Value, right: &Value) {
        let (Some(left), Some(right)) = (left.number(), right.number()) else { return };
        let constants = [left, right].into_iter().filter_map(|number| number.scalar.as_constant());
        let mut ends: Vec<u64> = constants.collect();
        if ends.is_empty() {
            let most = |number: &Number| number.scalar.ranges(Width::W64).unsigned_max;
            ends.push(most(left).max(most(right)));
        }
        // Where some bits of a number are looked at, those below the lowest of them run up to here.
        let below = |number: &Number| {
            let mask = self.terms.mask(number.link).filter(|mask| *mask != 0)?;
            Some((1 << mask.trailing_zeros()) - 1)
        };
        ends.extend([left, right].into_iter().filter_map(below));
        for end in ends {
            if !self.ends.contains(&end) && self.ends.len() < MAX_ENDS {
                self.ends.push(end);
            }
        }
    }

    /// Narrows what is known by the outcome of a comparison; false where it cannot be.
    #[expect(clippy::too_many_arguments, reason = "the parts of one instruction")]
    fn assume(
        &mut self,
        state: &mut State,
        width: Width,
        op: JumpOp,
        dst: u8,
        src: Operand,
        left: &Value,
        right: &Value,
        taken: bool,
    ) -> bool {
        let src = if let Operand::Reg(src) = src { Some(src.number()) } else { None };
        match (left, right) {
            (Value::Number(a), Value::Number(b)) => {
                if src == Some(dst) {
                    return nonsense(op).is_none_or(|always| always == taken);
                }
                let Some((new_a, new_b)) = Scalar::refine(op, width, &a.scalar, &b.scalar, taken) else {
                    return false;
                };
                self.narrow(state, dst, a, new_a);
                if let Some(src) = src {
                    self.narrow(state, src, b, new_b);
                }
                true
            }
            (Value::Pointer(pointer), Value::Number(number))
            | (Value::Number(number), Value::Pointer(pointer)) => {
                let is_zero = number.scalar.as_constant() == Some(0) && width == Width::W64;
                let equal = match (op, taken) {
                    (JumpOp::Eq, taken) => Some(taken),
                    (JumpOp::Ne, taken) => Some(!taken),
                    _ => None,
                };
                match equal {
                    Some(equal) if is_zero => self.assume_null(state, pointer, equal),
                    _ => true,
                }
            }
            (Value::Pointer(a), Value::Pointer(b)) => {
                if width == Width::W64 {
                    packet_bounds(state, op, a, b, taken);
                    if matches!((op, taken), (JumpOp::Eq, true) | (JumpOp::Ne, false)) {
                        let (may, surely) = if a.nullable { (a, b) } else { (b, a) };
                        let typed = |kind| matches!(kind, Kind::Typed { .. });
                        if may.nullable && !surely.nullable && !typed(may.kind) && !typed(surely.kind) {
                            self.assume_null(state, may, false);
                        }
                    }
                }
                true
            }
            _ => true,
        }
    }

    /// A register turned out to hold fewer numbers, and with it all that are linked to it.
    fn narrow(&self, state: &mut State, register: u8, old: &Number, new: Scalar) {
        if old.scalar == new {
            return;
        }
        state.set(register, Value::Number(Number { scalar: new, ..*old }));
        narrow_linked(state, old.link, new);
        if let Some((whole, bits)) = self.terms.whole(old.link, &new) {
            narrow_linked(state, whole, bits);
        }
    }

    /// A pointer is 0, or is not; false where it cannot be.
    pub(crate) fn assume_null(&mut self, state: &mut State, pointer: &Pointer, null: bool) -> bool {
        if !pointer.nullable {
            let never_null = !matches!(
                pointer.kind,
                Kind::Typed { trust: Trust::Plain | Trust::Untrusted | Trust::User | Trust::PerCpu, .. }
            );
            return !(null && never_null);
        }
        let id = pointer.id;
        let same = |value: &Value| value.pointer().is_some_and(|other| other.nullable && other.id == id);
        if id != 0 {
            state.each_value(same, |value| {
                *value = if null { Value::constant(0) } else { not_null(value) };
            });
        }
        // A cast of an acquired pointer may fail while the thing itself is held.
        if null && pointer.reference != 0 && pointer.reference == pointer.id {
            let reference = pointer.reference;
            state.references.retain(|held| held.id != reference);
        }
        true
    }
}

fn not_null(value: &Value) -> Value {
    match value {
        Value::Pointer(pointer) => Value::Pointer(Pointer { nullable: false, ..*pointer }),
        other => *other,
    }
}

/// What a register compared with itself says.
fn nonsense(op: JumpOp) -> Option<bool> {
    match op {
        JumpOp::Eq | JumpOp::Ge | JumpOp::Le | JumpOp::Sge | JumpOp::Sle => Some(true),
        JumpOp::Ne | JumpOp::Gt | JumpOp::Lt | JumpOp::Sgt | JumpOp::Slt => Some(false),
        JumpOp::Set => None,
    }
}

/// What is linked with a number turned out to be one of fewer.
fn narrow_linked(state: &mut State, link: Link, new: Scalar) {
    let linked = |value: &Value| value.number().is_some_and(|number| number.link.base == link.base);
    if link.base == 0
        || !state.any_value(|value| linked(value) && value.number().is_some_and(|n| n.scalar != new))
    {
        return;
    }
    state.each_value(linked, |value| {
        if let Value::Number(number) = value {
            let difference = number.link.delta.wrapping_sub(link.delta);
            let moved = if difference == 0 {
                new
            } else {
                Scalar::alu(AluOp::Add, Width::W64, &new, &Scalar::constant(difference))
            };
            if let Some(both) = number.scalar.meet(&moved) {
                number.scalar = both;
            }
        }
    });
}

pub(crate) fn range_of(kind: Kind) -> u32 {
    match kind {
        Kind::Packet { range } | Kind::PacketMeta { range } => range,
        _ => 0,
    }
}

pub(crate) fn with_range(kind: Kind, range: u32) -> Kind {
    match kind {
        Kind::Packet { .. } => Kind::Packet { range },
        Kind::PacketMeta { .. } => Kind::PacketMeta { range },
        other => other,
    }
}

/// Learns from a comparison of a packet pointer with the end (`try_match_pkt_pointers`).
fn packet_bounds(state: &mut State, op: JumpOp, a: &Pointer, b: &Pointer, taken: bool) {
    let is_end = |of: Kind, end: Kind, end_pointer: &Pointer| match (of, end) {
        (Kind::Packet { .. }, Kind::PacketEnd) => true,
        // Metadata ends where the packet begins.
        (Kind::PacketMeta { .. }, Kind::Packet { .. }) => {
            end_pointer.is_fixed() && end_pointer.offset == 0 && end_pointer.id == 0
        }
        _ => false,
    };
    let (pointer, before_end, strict) = if is_end(a.kind, b.kind, b) {
        match (op, taken) {
            (JumpOp::Lt, true) | (JumpOp::Ge, false) => (a, true, true),
            (JumpOp::Le, true) | (JumpOp::Gt, false) => (a, true, false),
            _ => return,
        }
    } else if is_end(b.kind, a.kind, a) {
        match (op, taken) {
            (JumpOp::Gt, true) | (JumpOp::Le, false) => (b, true, true),
            (JumpOp::Ge, true) | (JumpOp::Lt, false) => (b, true, false),
            _ => return,
        }
    } else {
        return;
    };
    let top = pointer.variable.ranges(Width::W64).unsigned_max;
    if !before_end || pointer.offset <= 0 {
        return;
    }
    if i64::try_from(top).is_err()
        || top as i64 > MAX_PACKET_OFFSET
        || pointer.offset + (top as i64) > MAX_PACKET_OFFSET
    {
        return;
    }
    // Strictly before the end, at least one byte more is there.
    let range = (pointer.offset + i64::from(strict)) as u32;
    let (id, meta) = (pointer.id, matches!(pointer.kind, Kind::PacketMeta { .. }));
    let same = |value: &Value| {
        value.pointer().is_some_and(|other| {
            other.id == id
                && match other.kind {
                    Kind::PacketMeta { .. } => meta,
                    Kind::Packet { .. } => !meta,
                    _ => false,
                }
        })
    };
    state.each_value(same, |value| {
        if let Value::Pointer(other) = value {
            other.kind = with_range(other.kind, range_of(other.kind).max(range));
        }
    });
}
