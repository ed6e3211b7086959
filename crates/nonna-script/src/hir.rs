//! The checked script: every name resolved, every type known, nothing left to be wrong.
//!
//! Lowering reads this and nothing else. Each program is a body checked for one kind of place, with the hooks that
//! run it.

use std::rc::Rc;

use nonna_bpf::{Hook, MemSize};
use nonna_btf::TypeId;
use nonna_diag::Span;
use nonna_event::EventSchema;
use nonna_ir::{Bits, CompareOp, PathSource};

use crate::host_data::{Action, HostConfig};
use crate::types::{OwnTypes, Space, Type};

/// A checked script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub programs: Vec<Program>,
    pub maps: Vec<Map>,
    /// Schemas of all records, those of actions included.
    pub schemas: Vec<EventSchema>,
    pub actions: Vec<Action>,
    /// Indexes in `schemas` of what `emit` declares.
    pub events: Vec<usize>,
    pub config: HostConfig,
    /// Some expression needs the time at which the script started.
    pub uses_start: bool,
    /// Types that the preamble defines.
    pub own: OwnTypes,
}

/// A body with the hooks that run it.
#[derive(Debug)]
pub(crate) struct Program {
    pub hooks: Vec<Attach>,
    pub predicate: Option<Expr>,
    pub body: Vec<Stmt>,
    pub locals: Vec<Local>,
}

/// One hook of a program.
#[derive(Debug, Clone)]
pub(crate) struct Attach {
    pub hook: Hook,
    /// Full name of the probe, for `probe` and for people.
    pub name: String,
    /// What `func` is.
    pub function: String,
}

/// A variable.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub name: String,
    pub ty: Type,
    /// It may be read before it was written: it starts as zero.
    pub starts_zero: bool,
}

/// A map.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    /// With `@`.
    pub name: String,
    /// Parts of the key; empty for a scalar map.
    pub key: Vec<Type>,
    pub value: MapKind,
    /// Most entries, and whether the oldest gives way.
    pub max_entries: u32,
    pub lru: bool,
}

/// What the values of a map are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MapKind {
    /// Not known yet.
    Unknown,
    Plain(Type),
    Count,
    Sum {
        signed: bool,
    },
    Min {
        signed: bool,
    },
    Max {
        signed: bool,
    },
    Avg {
        signed: bool,
    },
    Stats {
        signed: bool,
    },
    Hist {
        bits: u32,
    },
    Lhist {
        min: i64,
        max: i64,
        step: i64,
    },
}

impl MapKind {
    /// Name of the function that makes it.
    pub fn name(&self) -> &'static str {
        match self {
            MapKind::Unknown | MapKind::Plain(_) => "a value",
            MapKind::Count => "count()",
            MapKind::Sum { .. } => "sum()",
            MapKind::Min { .. } => "min()",
            MapKind::Max { .. } => "max()",
            MapKind::Avg { .. } => "avg()",
            MapKind::Stats { .. } => "stats()",
            MapKind::Hist { .. } => "hist()",
            MapKind::Lhist { .. } => "lhist()",
        }
    }

    /// A histogram, whose buckets are entries of their own.
    pub fn has_buckets(&self) -> bool {
        matches!(self, MapKind::Hist { .. } | MapKind::Lhist { .. })
    }
}

/// A statement.
#[derive(Debug)]
pub(crate) struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
}

/// What a statement does.
#[derive(Debug)]
pub(crate) enum StmtKind {
    /// Evaluates an expression for its effect.
    Eval(Expr),
    SetLocal {
        local: usize,
        value: Expr,
    },
    SetMap {
        map: usize,
        key: Key,
        value: Expr,
    },
    /// Adds to an integer in a map, in place.
    AddMap {
        map: usize,
        key: Key,
        value: Expr,
        subtract: bool,
    },
    Aggregate {
        map: usize,
        key: Key,
        value: Option<Expr>,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    While {
        condition: Expr,
        body: Vec<Stmt>,
    },
    /// `local` runs from the first up to and without the second.
    Range {
        local: usize,
        from: Expr,
        to: Expr,
        body: Vec<Stmt>,
    },
    /// `local` is a tuple of key and value.
    ForMap {
        local: usize,
        map: usize,
        body: Vec<Stmt>,
    },
    Unroll {
        count: u32,
        body: Vec<Stmt>,
    },
    Break,
    Continue,
    Return(Option<Expr>),
    /// Sends a record of a schema.
    Send {
        schema: usize,
        fields: Vec<FieldValue>,
    },
    /// Sends `schema` with the code, then returns.
    Exit {
        schema: usize,
        code: Expr,
    },
    Delete {
        map: usize,
        key: Key,
    },
    Signal(Expr),
}

/// The value of a record's field; the schema says of which type it is.
#[derive(Debug)]
pub(crate) enum FieldValue {
    /// An expression of any type.
    Value(Expr),
    /// The process id of the current task, beside user addresses.
    Pid,
    /// So many fields: the strings of an array of pointers; absent from the first null pointer on.
    Arguments { argv: Expr, count: u32 },
    /// `path(x)`
    Path { source: PathSource, pointer: Expr },
    /// `args(task)`
    TaskArgs { task: Expr, max_bytes: u32 },
    /// `env(task, "NAME")`
    TaskEnv { task: Expr, name: String, max_bytes: u32 },
}

/// A key as written.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// Of a scalar map.
    None,
    /// One expression per part.
    Parts(Vec<Expr>),
    /// A tuple that is the whole key.
    Whole(Box<Expr>),
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub kind: ExprKind,
    pub ty: Type,
    pub span: Span,
}

/// Arithmetic on 64-bit integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arith {
    Add,
    Sub,
    Mul,
    /// Unsigned; 1 where the divisor is 0.
    Div,
    /// Unsigned; 1 where the divisor is 0.
    Mod,
    And,
    Or,
    Xor,
    Shl,
    /// Logical.
    Shr,
}

/// Values that the kernel has ready.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Builtin {
    Pid,
    Tid,
    Uid,
    Gid,
    Cpu,
    Numa,
    Random,
    Jiffies,
    Cgroup,
    /// Nanoseconds of a clock.
    Nsecs(NsecsClock),
    /// Nanoseconds since the script started.
    Elapsed,
    CurrentTask,
    /// Address of the context.
    Context,
    /// Argument of the hooked function.
    Arg(u8),
    /// Its result.
    Return,
    /// A register of the interrupted code, by its offset in `struct pt_regs`.
    Register(u32),
}

/// Clocks of `nsecs()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NsecsClock {
    Monotonic,
    Boot,
    Tai,
    Coarse,
}

/// Where an internet address is taken from.
#[derive(Debug, Clone)]
pub(crate) enum InetSource {
    /// IPv4 as an integer in network order.
    V4(Box<Expr>),
    /// 4 bytes of memory.
    V4At(Box<Expr>),
    /// 16 bytes of memory.
    V6At(Box<Expr>),
    /// Family from an expression; IPv4 as an integer, or 16 bytes of memory.
    ByFamily { family: Box<Expr>, address: Box<Expr> },
    /// `struct sockaddr *`: the family decides.
    Sockaddr(Box<Expr>),
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    /// Wrong, and reported.
    Error,
    Int(i64),
    /// Without a final NUL.
    Text(Rc<[u8]>),
    Local(usize),
    Builtin(Builtin),
    Arith(Arith, Box<Expr>, Box<Expr>),
    /// Of integers or addresses.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// Of strings; at most so many bytes where given.
    TextEqual {
        left: Box<Expr>,
        right: Box<Expr>,
        max_bytes: Option<u32>,
        negated: bool,
    },
    /// Bytes of a string, without its NUL.
    TextLength(Box<Expr>),
    /// Of equal amounts of memory.
    BytesEqual {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    /// To the expression's type.
    Convert(Box<Expr>),
    /// Adds to a variable; the value is the new one (`prefix`) or the old one.
    StepLocal {
        local: usize,
        by: i64,
        prefix: bool,
    },
    /// Adds to an integer in a map.
    StepMap {
        map: usize,
        key: Key,
        by: i64,
        prefix: bool,
    },
    MapRead {
        map: usize,
        key: Key,
    },
    HasKey {
        map: usize,
        key: Key,
    },
    /// Whether there was something to delete.
    DeleteKey {
        map: usize,
        key: Key,
    },
    /// Number of entries.
    MapLen {
        map: usize,
    },
    /// Number of frames.
    StackLen(Box<Expr>),
    /// A scalar in C memory at an address.
    Load {
        base: Box<Expr>,
        offset: u32,
        size: MemSize,
        bits: Option<Bits>,
        container: Option<TypeId>,
    },
    /// Address plus a constant: a member or element that is no scalar.
    Offset {
        base: Box<Expr>,
        bytes: u32,
    },
    /// Address plus a computed number of elements.
    Element {
        base: Box<Expr>,
        index: Box<Expr>,
        stride: u32,
    },
    /// The string at an address, at most `max_bytes` with its NUL, and at most `length` where given.
    ReadText {
        address: Box<Expr>,
        length: Option<Box<Expr>>,
        max_bytes: u32,
    },
    /// Address of a dynamic array of the context: the low half of the descriptor at `offset` counts from `base`.
    DataLoc {
        offset: u32,
        base: u32,
    },
    /// `length` bytes at an address.
    ReadBytes {
        address: Box<Expr>,
        length: Box<Expr>,
        max_bytes: u32,
    },
    /// A path as text.
    Path {
        source: PathSource,
        pointer: Box<Expr>,
    },
    /// Name of the command.
    Comm,
    /// Name of the probe.
    ProbeName,
    /// Name of the function.
    FunctionName,
    /// The running stack, as its type says.
    Stack,
    /// An address of the current process.
    UserSymbol(Box<Expr>),
    Inet(InetSource),
    /// 6 bytes at an address.
    Mac(Box<Expr>),
    /// Bytes reversed.
    SwapBytes {
        value: Box<Expr>,
        bits: u8,
    },
    Tuple(Vec<Expr>),
    /// A part of a tuple in owned memory.
    Part {
        tuple: Box<Expr>,
        offset: u32,
    },
}

impl Expr {
    pub fn new(kind: ExprKind, ty: Type, span: Span) -> Self {
        Self { kind, ty, span }
    }

    pub fn error(span: Span) -> Self {
        Self::new(ExprKind::Error, Type::Unknown, span)
    }

    pub fn int(value: i64, ty: Type, span: Span) -> Self {
        Self::new(ExprKind::Int(value), ty, span)
    }

    /// The value, where it is known.
    pub fn constant(&self) -> Option<i64> {
        match self.kind {
            ExprKind::Int(value) => Some(value),
            _ => None,
        }
    }

    /// In which memory the address lies that this expression is.
    pub fn space(&self) -> Space {
        match self.ty {
            Type::Pointer { space, .. } | Type::Record { space, .. } | Type::Array { space, .. } => space,
            _ => Space::Kernel,
        }
    }
}
