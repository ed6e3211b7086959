//! What can be wrong with BTF or with a question about it.
//!
//! One type for the whole room; each variant carries the numbers and names a message needs, so that front ends can
//! build their own diagnostics (with suggestions) from it.

use std::ops::Range;

use crate::kind::{Kind, TypeId};

/// Why BTF could not be read, or why a question about it has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before something that must be there.
    #[error("BTF ends early: {what} needs {needed_bytes} bytes, {found_bytes} are there")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Bytes that it needs.
        needed_bytes: u64,
        /// Bytes that are there.
        found_bytes: u64,
    },
    /// The first two bytes are not BTF's.
    #[error("not BTF: the magic number is {found:#06x} instead of 0xeb9f")]
    BadMagic {
        /// The number found, read as little endian.
        found: u16,
    },
    /// A version or flags that this reader does not know.
    #[error("unsupported BTF: version {version}, flags {flags:#x}")]
    Unsupported {
        /// Version field of the header; known is 1.
        version: u8,
        /// Flags field of the header; known is 0.
        flags: u8,
    },
    /// A section reaches past the end of the data or is not aligned.
    #[error(
        "the BTF {section} section at offset {offset} with {len_bytes} bytes does not fit or is not aligned"
    )]
    BadSection {
        /// `type`, `string` or `layout`; in `.BTF.ext` `func_info`, `line_info` or `core_relo`.
        section: &'static str,
        /// Offset from the end of the header.
        offset: u32,
        /// Length.
        len_bytes: u32,
    },
    /// The string section does not start or end with a NUL byte, or is not UTF-8.
    #[error("the BTF string section {reason}")]
    BadStrings {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Base and split BTF differ in byte order, or together have more than 2^32 types or string bytes.
    #[error("split BTF does not fit its base: {reason}")]
    BadSplit {
        /// What does not fit.
        reason: &'static str,
    },
    /// A kind of type that neither this reader nor the BTF's own layout section knows.
    #[error("type {id} is of unknown kind {kind}")]
    UnknownKind {
        /// The type.
        id: TypeId,
        /// Its kind number.
        kind: u8,
    },
    /// There is no type with this number.
    #[error("there is no type {id}")]
    NoSuchType {
        /// The number asked for.
        id: TypeId,
    },
    /// A type refers to a string that is not there.
    #[error("type {id} refers to a name at offset {offset}, where no string starts")]
    BadName {
        /// The type.
        id: TypeId,
        /// Offset into the string section.
        offset: u32,
    },
    /// A type refers to a type that is not there.
    #[error("type {id} refers to type {target}, which does not exist")]
    BadReference {
        /// The type.
        id: TypeId,
        /// What it refers to.
        target: TypeId,
    },
    /// A chain or nesting of types is deeper than any real one (32 levels, as in the kernel), or has no end.
    #[error("type {id} is nested deeper than 32 levels or contains itself")]
    TooDeep {
        /// Where the question started.
        id: TypeId,
    },
    /// Answering would visit more types than any real question needs.
    #[error("type {id} is too intricate to work out")]
    TooIntricate {
        /// Where the question started.
        id: TypeId,
    },
    /// A size, offset or length overflows.
    #[error("a size or offset in type {id} is too large")]
    Overflow {
        /// The type.
        id: TypeId,
    },
    /// The type has no size: a function, a declaration, `void`.
    #[error("type {id}, a {kind}, has no size")]
    NoSize {
        /// The type.
        id: TypeId,
        /// Its kind.
        kind: Kind,
    },
    /// A member was asked of something that has none.
    #[error("`{found}` has no members, it is neither a struct nor a union")]
    NotAStruct {
        /// The type asked.
        id: TypeId,
        /// Its C name.
        found: String,
    },
    /// The struct or union has no member of this name, also not in its anonymous parts.
    /// [`Btf::member_names`](crate::Btf::member_names) of `id` gives what it has.
    #[error("`{found}` has no member `{member}`")]
    NoMember {
        /// The struct or union asked.
        id: TypeId,
        /// Its C name.
        found: String,
        /// The member asked for.
        member: String,
    },
    /// An element was asked of something that is no array.
    #[error("`{found}` is not an array")]
    NotAnArray {
        /// The type asked.
        id: TypeId,
        /// Its C name.
        found: String,
    },
    /// A constant index past the end of an array.
    #[error("index {index} is past the end of `{found}`")]
    IndexOutOfRange {
        /// The array.
        id: TypeId,
        /// Its C name.
        found: String,
        /// The index.
        index: u64,
    },
    /// Something that is no pointer was followed.
    #[error("`{found}` is not a pointer")]
    NotAPointer {
        /// The type asked.
        id: TypeId,
        /// Its C name.
        found: String,
    },
    /// Something that is no function or pointer to one was asked for its parameters.
    #[error("`{found}` is not a function")]
    NotAFunction {
        /// The type asked.
        id: TypeId,
        /// Its C name.
        found: String,
    },
    /// A bit field that crosses an aligned 8-byte unit: no single load reads it.
    #[error("bit field `{member}` cannot be read by one aligned load")]
    StraddlingBitField {
        /// The member's name.
        member: String,
    },
    /// No struct, union or typedef of this name.
    #[error("there is no type `{name}`")]
    UnknownTypeName {
        /// The name asked for.
        name: String,
    },
    /// The text of a field path is not one.
    #[error("the field path is malformed at byte {at}: {expected} expected")]
    PathSyntax {
        /// Byte offset into the path's text.
        at: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// One step of a field path failed.
    #[error("step `{step}` of the field path failed: {source}")]
    PathStep {
        /// Where the step stands in the path's text, in bytes.
        span: Range<usize>,
        /// The step's text.
        step: String,
        /// Why it failed; it names the type that was reached.
        source: Box<Error>,
    },
    /// A name or string with a NUL byte in it, given to the writer.
    #[error("`{name:?}` has a NUL byte in it")]
    NulInName {
        /// The name.
        name: String,
    },
    /// A type with more than 65535 members, values or parameters, given to the writer.
    #[error("`{name}` has more than 65535 entries")]
    TooManyEntries {
        /// The type's name.
        name: String,
    },
    /// An enumeration value that does not fit its width and sign, given to the writer.
    #[error("the enumeration value `{name}` does not fit")]
    EnumValueOutOfRange {
        /// The value's name.
        name: String,
    },
    /// The writer was told to fill a number that was not reserved, or twice, or with neither a struct nor a union.
    #[error("type {id} was not reserved for a struct or union")]
    NotReserved {
        /// The number.
        id: TypeId,
    },
    /// A number was reserved in the writer and never filled.
    #[error("type {id} was reserved and never filled")]
    NotFilled {
        /// The number.
        id: TypeId,
    },
    /// A CO-RE relocation of a kind that does not exist.
    #[error("there is no CO-RE relocation of kind {kind}")]
    UnknownRelocation {
        /// Its number.
        kind: u32,
    },
    /// A CO-RE relocation that does not fit the object's own types.
    #[error("CO-RE relocation of `{name}` ({access}) is wrong: {reason}")]
    BadRelocation {
        /// C name of the local type.
        name: String,
        /// The access, as far as it is understood.
        access: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Several types of the kernel match and give different answers.
    #[error("CO-RE relocation of `{name}` ({access}) is ambiguous: the kernel's types of this name disagree")]
    AmbiguousRelocation {
        /// C name of the local type.
        name: String,
        /// The access.
        access: String,
    },
}
