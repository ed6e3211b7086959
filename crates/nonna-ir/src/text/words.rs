//! The words of the text form for each kind of operation; printing and parsing share them.

use nonna_bpf::{AtomicOp, CpuScope, MemSize, ProbePoint, SyscallPhase};
use nonna_event::Ring;

use crate::inst::{BinaryOp, CompareOp, PathSource, Space};
use crate::predicate::Relation;

/// Something with a fixed word.
pub(crate) trait Word: Copy + Sized {
    /// Its word.
    fn word(self) -> &'static str;
    /// What has this word.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($type:ty { $($value:pat = $word:literal => $make:expr,)+ }) => {
        impl Word for $type {
            fn word(self) -> &'static str {
                match self { $($value => $word),+ }
            }
            fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($make),)+ _ => None }
            }
        }
    };
    ($type:ident { $($variant:ident = $word:literal,)+ }) => {
        words! { $type { $($type::$variant = $word => $type::$variant,)+ } }
    };
}

words! { BinaryOp {
    Add = "add", Sub = "sub", Mul = "mul", UDiv = "udiv", SDiv = "sdiv", UMod = "umod", SMod = "smod", And = "and",
    Or = "or", Xor = "xor", Shl = "shl", LShr = "lshr", AShr = "ashr",
} }

words! { CompareOp {
    Eq = "eq", Ne = "ne", Ult = "ult", Ule = "ule", Ugt = "ugt", Uge = "uge", Slt = "slt", Sle = "sle", Sgt = "sgt",
    Sge = "sge",
} }

words! { Space { Kernel = "kernel", User = "user", Any = "any", } }
words! { PathSource { File = "file", Path = "path", Dentry = "dentry", } }
words! { Relation {
    Eq = "==", Ne = "!=", Lt = "<", Le = "<=", Gt = ">", Ge = ">=", AnyBit = "&",
} }
words! { ProbePoint { Entry = "entry", Return = "return", } }
words! { SyscallPhase { Enter = "enter", Exit = "exit", } }
words! { CpuScope { Every = "every", One = "one", } }
words! { Ring { Critical = "critical", Volume = "volume", } }

words! { AtomicOp {
    AtomicOp::Add { fetch: false } = "add" => AtomicOp::Add { fetch: false },
    AtomicOp::Add { fetch: true } = "fetch_add" => AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: false } = "or" => AtomicOp::Or { fetch: false },
    AtomicOp::Or { fetch: true } = "fetch_or" => AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: false } = "and" => AtomicOp::And { fetch: false },
    AtomicOp::And { fetch: true } = "fetch_and" => AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: false } = "xor" => AtomicOp::Xor { fetch: false },
    AtomicOp::Xor { fetch: true } = "fetch_xor" => AtomicOp::Xor { fetch: true },
    AtomicOp::Exchange = "exchange" => AtomicOp::Exchange,
    AtomicOp::CompareExchange = "compare_exchange" => AtomicOp::CompareExchange,
} }

/// How an integer lies in memory: its bytes, and whether it is sign-extended.
#[derive(Clone, Copy)]
pub(crate) struct Scalar {
    /// Bytes.
    pub size: MemSize,
    /// Sign-extended instead of zero-extended.
    pub signed: bool,
}

macro_rules! scalar {
    ($size:ident, $signed:literal) => {
        Scalar { size: MemSize::$size, signed: $signed }
    };
}

words! { Scalar {
    scalar!(B, false) = "u8" => scalar!(B, false),
    scalar!(H, false) = "u16" => scalar!(H, false),
    scalar!(W, false) = "u32" => scalar!(W, false),
    scalar!(DW, false) = "u64" => scalar!(DW, false),
    scalar!(B, true) = "s8" => scalar!(B, true),
    scalar!(H, true) = "s16" => scalar!(H, true),
    scalar!(W, true) = "s32" => scalar!(W, true),
    scalar!(DW, true) = "s64" => scalar!(DW, true),
} }
