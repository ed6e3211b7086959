//! Classic BPF: the packet filters of 1992, checked and turned into eBPF.
//!
//! [`parse`] reads what `tcpdump -ddd` writes, [`Filter::new`] holds it to the kernel's rules, [`translate`] makes
//! a program for the engines. There is no second machine: a classic program runs as its translation. This folder
//! knows no packets.

mod check;
mod insn;
mod text;
mod translate;

pub use check::{CheckError, CheckErrorKind, Extension, Filter, MAX_INSNS, SCRATCH_WORDS};
pub use insn::{Alu, ClassicInsn, Condition, Encoded, Operand, Register};
pub use text::{TextError, TextErrorKind, parse};
pub use translate::{Over, TranslateError, helper, translate};
