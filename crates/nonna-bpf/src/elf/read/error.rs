//! Why an ELF file could not be read as an object.

use crate::codec::DecodeError;

/// Why an ELF file could not be read as an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It is no ELF file, or a broken one.
    #[error("not a readable ELF file: {reason}")]
    File {
        /// What is wrong with it.
        reason: String,
    },
    /// An ELF file for another machine, word size or byte order.
    #[error("not an eBPF file of 64 bits, little-endian: {found}")]
    Machine {
        /// What it is for.
        found: String,
    },
    /// Types, function info or relocations against types are wrong.
    #[error("section {section}: {source}")]
    Btf {
        /// `.BTF` or `.BTF.ext`.
        section: &'static str,
        /// What is wrong.
        source: nonna_btf::Error,
    },
    /// A code section holds what is no instruction.
    #[error("section {section}: {source}")]
    Decode {
        /// Section.
        section: String,
        /// Where and what.
        source: DecodeError,
    },
    /// An instruction, a relocation or a symbol makes no sense where it stands.
    #[error("section {section}, slot {slot}: {reason}")]
    Code {
        /// Section.
        section: String,
        /// Slot from the start of the section.
        slot: u64,
        /// What is wrong.
        reason: String,
    },
    /// A map's definition is wrong.
    #[error("map `{map}`: {reason}")]
    Map {
        /// Map.
        map: String,
        /// What is wrong.
        reason: String,
    },
    /// A name that neither the file nor its types explain.
    #[error("`{name}` is used and defined nowhere")]
    Undefined {
        /// Name.
        name: String,
    },
    /// The file depends on the kernel's types, and none were given.
    #[error("the file depends on the kernel's types (CO-RE), which were not given")]
    TargetNeeded,
    /// A relocation against the kernel's types cannot be carried out.
    #[error("section {section}, slot {slot}: {reason}")]
    Relocation {
        /// Section.
        section: String,
        /// Slot from the start of the section.
        slot: u64,
        /// Why.
        reason: String,
    },
    /// Larger than any kernel takes.
    #[error("{what} is larger than any kernel takes")]
    TooLarge {
        /// What.
        what: String,
    },
    /// A feature of ELF objects that this room does not know.
    #[error("not supported: {what}")]
    Unsupported {
        /// What.
        what: String,
    },
}
