//! What a context is made of: layouts and their fields.
//!
//! The vocabulary in which the tables of this folder are written, and the judgement of one access against one field.
//! It must not know any program type: which table serves whom is said in `layout`.

use super::{AccessKind, Refusal, SocketKind, Yield};

/// A set of users of one table, one bit each; each table names its own bits.
pub type Users = u16;

/// Every user of a table.
pub const EVERYONE: Users = Users::MAX;
/// No user of a table.
pub const NOBODY: Users = 0;

/// How many bytes an access may take, and where in the field it may start. All accesses are naturally aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Widths {
    /// One element, whole.
    Whole,
    /// One element or an aligned part of it.
    Narrow,
    /// One element or a part of it that starts where the field starts.
    NarrowAtStart,
    /// One element or an aligned half of it.
    HalfAtLeast,
    /// The 2-byte field, one of its bytes, or 4 bytes from its start, as before it was cut to 2.
    NarrowOrWord,
    /// As `Narrow`, or 8 aligned bytes inside the field.
    NarrowOrWide,
    /// One element, or 8 aligned bytes inside the field.
    WholeOrWide,
    /// Any aligned 1, 2, 4 or 8 bytes inside the field.
    Free,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A number of which no more is known than its width.
    Number,
    /// The first byte of the packet (or of an option's value).
    PacketData,
    /// The byte after the packet.
    PacketEnd,
    /// The first byte of the metadata before the packet.
    PacketMeta,
    /// A socket.
    Socket {
        /// Which fields the socket shows.
        kind: SocketKind,
        /// May be 0.
        nullable: bool,
    },
    /// `struct bpf_flow_keys`, readable and writable.
    FlowKeys,
    /// A trusted pointer to this structure of the kernel's types.
    Kernel(&'static str),
}

/// A field of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name in `include/uapi/linux/bpf.h`.
    pub name: &'static str,
    /// Bytes from the start of the context.
    pub offset: u16,
    /// Bytes of the whole field, an array's as well.
    pub bytes: u16,
    /// Bytes of one element; `bytes` for what is no array.
    pub element: u16,
    /// What a load of it yields.
    pub holds: Holds,
    /// Loads.
    pub loads: Widths,
    /// Who may load.
    pub readers: Users,
    /// Stores.
    pub stores: Widths,
    /// Who may store; always readers as well.
    pub writers: Users,
}

impl Field {
    /// A 4-byte number that is loaded whole by everyone and stored by nobody.
    pub(super) const fn word(name: &'static str, offset: u16) -> Field {
        Field {
            name,
            offset,
            bytes: 4,
            element: 4,
            holds: Holds::Number,
            loads: Widths::Whole,
            readers: EVERYONE,
            stores: Widths::Whole,
            writers: NOBODY,
        }
    }

    /// An 8-byte number, else as [`Field::word`].
    pub(super) const fn long(name: &'static str, offset: u16) -> Field {
        Field { bytes: 8, element: 8, ..Field::word(name, offset) }
    }

    /// `count` numbers of 4 bytes, else as [`Field::word`].
    pub(super) const fn words(name: &'static str, offset: u16, count: u16) -> Field {
        Field { bytes: 4 * count, ..Field::word(name, offset) }
    }

    /// An 8-byte pointer, else as [`Field::word`].
    pub(super) const fn pointer(name: &'static str, offset: u16, holds: Holds) -> Field {
        Field { holds, ..Field::long(name, offset) }
    }

    /// With these widths of loads.
    pub(super) const fn loads(self, loads: Widths) -> Field {
        Field { loads, ..self }
    }

    /// Loaded by these only.
    pub(super) const fn readers(self, readers: Users) -> Field {
        Field { readers, ..self }
    }

    /// Stored by these, whole.
    pub(super) const fn writers(self, writers: Users) -> Field {
        Field { writers, ..self }
    }

    /// With these widths of stores.
    pub(super) const fn stores(self, stores: Widths) -> Field {
        Field { stores, ..self }
    }

    /// Bytes after the field's last.
    pub const fn end(&self) -> u16 {
        self.offset + self.bytes
    }

    /// An aligned access of `size` bytes that starts inside the field.
    fn check(&self, offset: u16, size: u16, widths: Widths) -> Result<(), Refusal> {
        let field = self.name;
        let wide = size == 8 && offset + size <= self.end();
        let at_start = offset == self.offset;
        let narrow = size <= self.element;
        let fits = match widths {
            Widths::Whole => size == self.element,
            Widths::Narrow => narrow,
            Widths::NarrowAtStart => narrow && at_start,
            Widths::HalfAtLeast => narrow && 2 * size >= self.element,
            Widths::NarrowOrWord => narrow || (size == 4 && at_start),
            Widths::NarrowOrWide => narrow || wide,
            Widths::WholeOrWide => size == self.element || wide,
            Widths::Free => offset + size <= self.end(),
        };
        if fits {
            Ok(())
        } else if size > self.element {
            Err(Refusal::TooWide { field })
        } else {
            Err(Refusal::TooNarrow { field })
        }
    }

    fn yields(&self, size: u16) -> Yield {
        match self.holds {
            Holds::Number => Yield::number(size),
            Holds::PacketData => Yield::PacketData,
            Holds::PacketEnd => Yield::PacketEnd,
            Holds::PacketMeta => Yield::PacketMeta,
            Holds::Socket { kind, nullable } => Yield::Socket { kind, nullable },
            Holds::FlowKeys => Yield::FlowKeys,
            Holds::Kernel(structure) => Yield::Kernel { structure },
        }
    }
}

/// A context that is a structure of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Name in C.
    pub name: &'static str,
    /// Fields by offset. What lies between them may not be touched.
    pub fields: &'static [Field],
    /// Users are attach types of one program type rather than program types.
    pub by_attach_type: bool,
}

impl Table {
    /// The field that this byte belongs to.
    pub fn field_at(&self, offset: u16) -> Option<&'static Field> {
        self.fields.iter().find(|field| (field.offset..field.end()).contains(&offset))
    }

    /// Judges an aligned access by `user`.
    pub(super) fn access(
        &self,
        user: Users,
        offset: u16,
        size: u16,
        kind: AccessKind,
    ) -> Result<Yield, Refusal> {
        let field = self.field_at(offset).ok_or(Refusal::NoSuchField)?;
        let (allowed, widths) = match kind {
            AccessKind::Load | AccessKind::SignedLoad => (field.readers, field.loads),
            AccessKind::Store => (field.writers, field.stores),
        };
        let name = field.name;
        if field.readers & user == 0 || (allowed & user == 0 && allowed != NOBODY && self.by_attach_type) {
            return Err(if self.by_attach_type {
                Refusal::NotForAttachType { field: name }
            } else {
                Refusal::NotForProgramType { field: name }
            });
        }
        if allowed & user == 0 {
            return Err(Refusal::NotWritable { field: Some(name) });
        }
        field.check(offset, size, widths)?;
        match kind {
            AccessKind::Store => Ok(Yield::Nothing),
            AccessKind::SignedLoad if field.holds != Holds::Number => {
                Err(Refusal::SignedPointer { field: name })
            }
            AccessKind::Load | AccessKind::SignedLoad => Ok(field.yields(size)),
        }
    }
}
