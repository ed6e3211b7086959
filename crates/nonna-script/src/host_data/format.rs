//! Format strings, cut into pieces.
//!
//! The grammar is `printf(3)`'s as far as bpftrace has it, with its own conversions `%r`, `%rx` and `%rh`.

/// A format string in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    /// The pieces, in order.
    pub pieces: Vec<FormatPiece>,
}

/// A piece of a format string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatPiece {
    /// Bytes as they are.
    Literal(Vec<u8>),
    /// An argument.
    Arg {
        /// Index in the action's arguments.
        arg_idx: usize,
        /// How to show it.
        spec: FormatSpec,
    },
}

/// A width or precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Written in the format.
    Fixed(u32),
    /// `*`: the argument with this index.
    FromArg(usize),
}

/// What stands between `%` and the end of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatSpec {
    /// `-`: pad on the right.
    pub left: bool,
    /// `+`: show the sign of positive numbers.
    pub plus: bool,
    /// A blank in place of a positive sign.
    pub blank: bool,
    /// `#`: prefix `0x` or `0`.
    pub alternate: bool,
    /// `0`: pad with zeros.
    pub zero: bool,
    /// Least width.
    pub width: Option<Size>,
    /// Precision.
    pub precision: Option<Size>,
    /// Bytes of the integer that are shown: 1 (`hh`), 2 (`h`), 4 (none) or 8 (`l`, `ll`, `j`, `z`, `t`).
    pub int_bytes: u8,
    /// The conversion.
    pub conversion: Conversion,
}

/// A conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// `%d`, `%i`
    Signed,
    /// `%u`
    Unsigned,
    /// `%o`
    Octal,
    /// `%x`
    HexLower,
    /// `%X`
    HexUpper,
    /// `%p`
    Pointer,
    /// `%c`
    Char,
    /// `%s`: whatever the argument is, as text.
    Text,
    /// `%r`: bytes, as ASCII or `\xNN`.
    Raw,
    /// `%rx`: bytes, all as `\xNN`.
    RawHex,
    /// `%rh`: bytes in hexadecimal, with a blank between two.
    Hex,
}
