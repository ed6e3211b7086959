//! Format strings applied to values, as `printf(3)` with bpftrace's additions.

use super::Printer;
use super::text::raw;
use super::value::HostValue;
use crate::host_data::{Conversion, Format, FormatPiece, FormatSpec, Size};

impl Printer<'_> {
    /// The text of a format; a missing argument counts as 0.
    pub(super) fn printf(&self, format: &Format, args: &[HostValue]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &format.pieces {
            match piece {
                FormatPiece::Literal(bytes) => out.extend_from_slice(bytes),
                FormatPiece::Arg { arg_idx, spec } => {
                    let value = args.get(*arg_idx).unwrap_or(&HostValue::Unsigned(0));
                    out.extend(self.convert(spec, value, args));
                }
            }
        }
        out
    }

    fn convert(&self, spec: &FormatSpec, value: &HostValue, args: &[HostValue]) -> Vec<u8> {
        let size = |size: Option<Size>| match size? {
            Size::Fixed(n) => Some(i64::from(n)),
            Size::FromArg(idx) => args.get(idx).map(|arg| arg.as_int().cast_signed()),
        };
        let width = size(spec.width).unwrap_or(0);
        let left = spec.left || width < 0;
        // Nobody reads a line wider than this; a wild `*` must not eat the memory.
        let width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX).min(65_536);
        let precision = size(spec.precision).and_then(|n| usize::try_from(n).ok()).map(|n| n.min(65_536));
        let (sign, body) = match spec.conversion {
            Conversion::Text => (String::new(), self.text(value)),
            Conversion::Char => (String::new(), vec![value.as_int().to_le_bytes()[0]]),
            Conversion::Raw => (String::new(), raw(bytes(value)).into_bytes()),
            Conversion::RawHex => (String::new(), hex(bytes(value), "\\x", "").into_bytes()),
            Conversion::Hex => (String::new(), hex(bytes(value), "", " ").into_bytes()),
            _ => integer(spec, value.as_int(), precision),
        };
        let length = sign.chars().count() + String::from_utf8_lossy(&body).chars().count();
        let padding = width.saturating_sub(length);
        let numeric = !matches!(spec.conversion, Conversion::Text | Conversion::Char);
        let zeros = spec.zero && !left && numeric && precision.is_none();
        let mut out = Vec::with_capacity(width.max(body.len()));
        if !left && !zeros {
            out.resize(padding, b' ');
        }
        out.extend_from_slice(sign.as_bytes());
        if zeros {
            out.resize(out.len() + padding, b'0');
        }
        out.extend(body);
        if left {
            out.resize(out.len() + padding, b' ');
        }
        out
    }
}

/// Sign or prefix, and digits.
fn integer(spec: &FormatSpec, number: u64, precision: Option<usize>) -> (String, Vec<u8>) {
    // Without a length modifier only 32 bits are shown, as a C `int` is.
    let shift = 64 - 8 * u32::from(spec.int_bytes.clamp(1, 8));
    let unsigned = (number << shift) >> shift;
    let signed = (number << shift).cast_signed() >> shift;
    let prefix =
        |prefix: &str| if spec.alternate && unsigned != 0 { prefix.to_owned() } else { String::new() };
    let (sign, mut digits) = match spec.conversion {
        Conversion::Signed => {
            let sign = match signed {
                n if n < 0 => "-",
                _ if spec.plus => "+",
                _ if spec.blank => " ",
                _ => "",
            };
            (sign.to_owned(), signed.unsigned_abs().to_string())
        }
        Conversion::Octal => (prefix("0"), format!("{unsigned:o}")),
        Conversion::HexLower => (prefix("0x"), format!("{unsigned:x}")),
        Conversion::HexUpper => (prefix("0X"), format!("{unsigned:X}")),
        Conversion::Pointer => ("0x".to_owned(), format!("{number:x}")),
        _ => (String::new(), unsigned.to_string()),
    };
    let missing = precision.unwrap_or(0).saturating_sub(digits.len());
    digits.insert_str(0, &"0".repeat(missing));
    (sign, digits.into_bytes())
}

fn bytes(value: &HostValue) -> &[u8] {
    match value {
        HostValue::Buffer(bytes) | HostValue::Text { bytes, .. } => bytes,
        HostValue::Mac(bytes) => bytes,
        _ => &[],
    }
}

fn hex(bytes: &[u8], before: &str, between: &str) -> String {
    bytes.iter().map(|b| format!("{before}{b:02x}")).collect::<Vec<_>>().join(between)
}
