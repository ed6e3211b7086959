//! What a register or a stack slot holds, as far as the proof knows.
//!
//! A [`Value`] is a number or a pointer of a known kind, with what is known about it on the present path. Nothing here follows the
//! program; it says how values cover each other, join and widen.

use nonna_bpf::{AluOp, MapIdx, Width};

use super::links::{Link, Renaming};
use crate::context::SocketKind;
use crate::numbers::Scalar;

/// A name for "the same unknown": 0 is none. Fresh ones come from the explorer.
pub(crate) type Id = u32;

/// How far a value has moved since the head of the loop that named it, without ever wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The value at the head; 0 where it is not known any more.
    pub(crate) base: Id,
    /// Least way moved.
    pub(crate) low: i64,
    /// Greatest way moved.
    pub(crate) high: i64,
    /// It never wrapped as a signed number; else as an unsigned one.
    pub(crate) signed: bool,
}

impl Progress {
    /// The way after `low..=high` is added to `before`; lost where that may wrap.
    pub(crate) fn moved(self, before: &Scalar, low: i64, high: i64) -> Progress {
        if self.base == 0 {
            return self;
        }
        let ranges = before.ranges(Width::W64);
        let up = u64::try_from(high).map_or(Some(0), |high| ranges.unsigned_max.checked_add(high));
        let down = if low < 0 { ranges.unsigned_min.checked_sub(low.unsigned_abs()) } else { Some(0) };
        let unsigned = up.is_some() && down.is_some();
        let signed =
            ranges.signed_max.checked_add(high).is_some() && ranges.signed_min.checked_add(low).is_some();
        let still = self.low == 0 && self.high == 0;
        let reading = if still { !unsigned } else { self.signed };
        match (self.low.checked_add(low), self.high.checked_add(high)) {
            (Some(low), Some(high)) if if reading { signed } else { unsigned } => {
                Progress { base: self.base, low, high, signed: reading }
            }
            _ => Progress::default(),
        }
    }

    /// What holds on both ways.
    pub(crate) fn join(self, other: Progress) -> Progress {
        let still = |progress: Progress| progress.low == 0 && progress.high == 0;
        if self.base != other.base
            || self.base == 0
            || self.signed != other.signed && !still(self) && !still(other)
        {
            return Progress::default();
        }
        let signed = if still(self) { other.signed } else { self.signed };
        Progress { base: self.base, low: self.low.min(other.low), high: self.high.max(other.high), signed }
    }
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) scalar: Scalar,
    pub(crate) link: Link,
    pub(crate) progress: Progress,
}

impl Number {
    pub(crate) fn new(scalar: Scalar) -> Number {
        Number { scalar, link: Link::default(), progress: Progress::default() }
    }

    pub(crate) fn constant(number: u64) -> Number {
        Number::new(Scalar::constant(number))
    }

    pub(crate) fn unknown() -> Number {
        Number::new(Scalar::unknown())
    }
}

/// How far a pointer to a kernel object may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// Valid while the program runs, never 0 (`PTR_TRUSTED`).
    Trusted,
    /// Valid in this RCU section (`MEM_RCU`).
    Rcu,
    /// Loads are caught if they fault; kernel functions do not take it.
    Plain,
    /// Cast or gone stale: loads only (`PTR_UNTRUSTED`).
    Untrusted,
    /// An address in user space (`MEM_USER`): helpers only.
    User,
    /// An offset into per-CPU memory (`MEM_PERCPU`): helpers only.
    PerCpu,
    /// An object of the program's own (`MEM_ALLOC`): readable and writable.
    Owned,
}

/// Whose types a type id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Types {
    /// The kernel's.
    Kernel,
    /// The object's own.
    Object,
}

/// What a pointer points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The program's context.
    Context,
    /// The frame of an active function, by depth; offset 0 is its end (`r10`).
    Stack { depth: u8 },
    /// A map itself.
    Map(MapIdx),
    /// A map that a map of maps gave: of the shape of this template.
    InnerMap(MapIdx),
    /// A key of a map, in a callback.
    MapKey(MapIdx),
    /// A value of a map.
    MapValue { map: MapIdx },
    /// Packet bytes; `range` of them from the point that the id names are known to be there.
    Packet { range: u32 },
    /// The metadata before the packet.
    PacketMeta { range: u32 },
    /// The end of the packet.
    PacketEnd,
    /// `struct bpf_flow_keys`.
    FlowKeys,
    /// A socket.
    Socket(SocketKind),
    /// `struct bpf_tcp_sock`.
    TcpSocket,
    /// `struct bpf_xdp_sock`.
    XdpSocket,
    /// Memory of so many bytes.
    Memory { bytes: u32, writable: bool, source: Source },
    /// The buffer of a writable raw tracepoint.
    TracepointBuffer,
    /// An object with a type.
    Typed { types: Types, type_id: u32, trust: Trust },
    /// A function of the program.
    Function { insn: u32 },
    /// A dynamic pointer of the kernel's, in a callback.
    DynptrArgument,
}

/// Whose memory it is, which says how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// It lasts as long as the reference of the pointer, if there is one.
    Plain,
    /// What `bpf_ringbuf_reserve` returned.
    Record,
    /// Part of a packet, until something may have moved it.
    Packet,
}

/// A pointer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pointer {
    pub(crate) kind: Kind,
    /// It may be 0.
    pub(crate) nullable: bool,
    /// Constant part of the displacement.
    pub(crate) offset: i64,
    /// The rest of the displacement; the constant 0 where there is none.
    pub(crate) variable: Scalar,
    /// Which pointer it is: all copies share a test for 0, and packet bounds.
    pub(crate) id: Id,
    /// The reference that it stands for; 0 for none.
    pub(crate) reference: Id,
    pub(crate) progress: Progress,
}

impl Pointer {
    pub(crate) fn new(kind: Kind) -> Pointer {
        Pointer {
            kind,
            nullable: false,
            offset: 0,
            variable: Scalar::constant(0),
            id: 0,
            reference: 0,
            progress: Progress::default(),
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        self.variable.as_constant() == Some(0)
    }
}

/// What a register or slot holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// Nothing that may be used.
    Uninit,
    Number(Number),
    Pointer(Pointer),
}

impl Value {
    pub(crate) fn number(&self) -> Option<&Number> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }

    pub(crate) fn pointer(&self) -> Option<&Pointer> {
        if let Value::Pointer(pointer) = self { Some(pointer) } else { None }
    }

    pub(crate) fn constant(number: u64) -> Value {
        Value::Number(Number::constant(number))
    }

    pub(crate) fn unknown() -> Value {
        Value::Number(Number::unknown())
    }

    pub(crate) fn scalar(scalar: Scalar) -> Value {
        Value::Number(Number::new(scalar))
    }

    pub(crate) fn progress_mut(&mut self) -> Option<&mut Progress> {
        match self {
            Value::Uninit => None,
            Value::Number(number) => Some(&mut number.progress),
            Value::Pointer(pointer) => Some(&mut pointer.progress),
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        match self {
            Value::Uninit => Progress::default(),
            Value::Number(number) => number.progress,
            Value::Pointer(pointer) => pointer.progress,
        }
    }
}

/// How exactly numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// Any number covers any other: nothing depends on it.
    Kind,
    /// The set of numbers must be covered.
    Set,
}

/// Whether everything that `narrow` can be, `wide` can be too.
pub(crate) fn covers(
    wide: &Value,
    narrow: &Value,
    exactness: Exactness,
    renaming: &mut Renaming<'_>,
) -> bool {
    match (wide, narrow) {
        (Value::Uninit, _) => true,
        (Value::Number(wide), Value::Number(narrow)) => {
            exactness == Exactness::Kind
                || (wide.scalar.contains(&narrow.scalar) && renaming.admits_number(wide.link, narrow))
        }
        (Value::Pointer(wide), Value::Pointer(narrow)) => covers_pointer(wide, narrow, renaming),
        _ => false,
    }
}

fn covers_pointer(wide: &Pointer, narrow: &Pointer, renaming: &mut Renaming<'_>) -> bool {
    let kind = match (wide.kind, narrow.kind) {
        (Kind::Packet { range: wide }, Kind::Packet { range: narrow })
        | (Kind::PacketMeta { range: wide }, Kind::PacketMeta { range: narrow }) => wide <= narrow,
        (wide, narrow) => wide == narrow,
    };
    let offset = if wide.offset == narrow.offset {
        wide.variable.contains(&narrow.variable)
    } else {
        displacement(wide).contains(&displacement(narrow))
            && !matches!(wide.kind, Kind::Packet { .. } | Kind::PacketMeta { .. })
    };
    kind && offset
        && wide.nullable == narrow.nullable
        && (wide.reference == 0) == (narrow.reference == 0)
        && renaming.admits(wide.reference, narrow.reference)
        && renaming.admits(wide.id, narrow.id)
}

/// The whole displacement as one set of numbers.
pub(crate) fn displacement(pointer: &Pointer) -> Scalar {
    if pointer.offset == 0 {
        return pointer.variable;
    }
    Scalar::alu(AluOp::Add, Width::W64, &pointer.variable, &Scalar::constant(pointer.offset as u64))
}

/// How two states are made one.
#[derive(Clone, Copy)]
pub(crate) enum Merge<'t> {
    /// The least that covers both.
    Join,
    /// More than that, so that a chain of merges ends; the numbers are where ends may rest.
    Widen(&'t [u64]),
}

impl Merge<'_> {
    fn scalar(self, old: &Scalar, new: &Scalar) -> Scalar {
        match self {
            Merge::Join => old.join(new),
            Merge::Widen(thresholds) => {
                if old.contains(new) {
                    *old
                } else {
                    Scalar::widen(old, &old.join(new), thresholds)
                }
            }
        }
    }

    /// A value that covers both, or `Uninit` where none does.
    pub(crate) fn values(self, old: &Value, new: &Value, fresh: &mut Id) -> Value {
        match (old, new) {
            (Value::Number(old), Value::Number(new)) => Value::Number(Number {
                scalar: self.scalar(&old.scalar, &new.scalar),
                link: if old.link == new.link { old.link } else { Link::default() },
                progress: old.progress.join(new.progress),
            }),
            (Value::Pointer(old), Value::Pointer(new)) => self.pointers(old, new, fresh),
            _ => Value::Uninit,
        }
    }

    fn pointers(self, old: &Pointer, new: &Pointer, fresh: &mut Id) -> Value {
        let same_place = old.id == new.id && old.offset == new.offset && old.variable == new.variable;
        let kind = match (old.kind, new.kind) {
            (Kind::Packet { range: a }, Kind::Packet { range: b }) => {
                Kind::Packet { range: if same_place { a.min(b) } else { 0 } }
            }
            (Kind::PacketMeta { range: a }, Kind::PacketMeta { range: b }) => {
                Kind::PacketMeta { range: if same_place { a.min(b) } else { 0 } }
            }
            (a, b) if a == b => a,
            _ => return Value::Uninit,
        };
        if old.reference != new.reference {
            return Value::Uninit;
        }
        let (offset, variable) = if old.offset == new.offset {
            (old.offset, self.scalar(&old.variable, &new.variable))
        } else {
            (0, self.scalar(&displacement(old), &displacement(new)))
        };
        let id = if same_place && old.nullable == new.nullable {
            old.id
        } else {
            *fresh += 1;
            *fresh
        };
        let nullable = old.nullable || new.nullable;
        let progress = old.progress.join(new.progress);
        Value::Pointer(Pointer { kind, nullable, offset, variable, id, reference: old.reference, progress })
    }
}
