//! Format strings: cut up, and held against the values.

use nonna_diag::{Diagnostic, Span};

use super::Checker;
use crate::hir::{Expr, ExprKind};
use crate::host_data::{Conversion, Format, FormatPiece, FormatSpec, Size};
use crate::slugs;
use crate::types::Type;

/// A conversion as read from the text, before its values are known.
struct Read {
    spec: FormatSpec,
    /// The width and the precision come from values.
    star_width: bool,
    star_precision: bool,
    /// Bytes after the `%`.
    len: usize,
}

impl Checker<'_> {
    /// Cuts a format up; `None` where it or its values are wrong.
    pub(super) fn format(
        &mut self,
        text: &[u8],
        span: Span,
        values: Vec<Expr>,
    ) -> Option<(Format, Vec<Expr>)> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut next = 0_usize;
        let mut at = 0;
        let mut is_right = true;
        // Values that the record must bring; what is known now becomes part of the format.
        let mut kept: Vec<Expr> = Vec::new();
        while at < text.len() {
            let byte = text[at];
            at += 1;
            if byte != b'%' {
                literal.push(byte);
                continue;
            }
            if text.get(at) == Some(&b'%') {
                literal.push(b'%');
                at += 1;
                continue;
            }
            let Some(mut read) = read_spec(&text[at..]) else {
                self.bad_conversion(&text[at - 1..], span);
                return None;
            };
            at += read.len;
            for (is_star, size) in
                [(read.star_width, &mut read.spec.width), (read.star_precision, &mut read.spec.precision)]
            {
                if is_star {
                    is_right &= self.check_star(values.get(next));
                    *size = Some(Size::FromArg(kept.len()));
                    kept.extend(values.get(next).cloned());
                    next += 1;
                }
            }
            let value = values.get(next);
            next += 1;
            let Some(value) = value else { continue };
            is_right &= self.check_conversion(value, read.spec.conversion);
            if let Some(known) = known_text(value, &read.spec) {
                literal.extend(known);
                continue;
            }
            if !literal.is_empty() {
                pieces.push(FormatPiece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(FormatPiece::Arg { arg_idx: kept.len(), spec: read.spec });
            kept.push(value.clone());
        }
        if !literal.is_empty() {
            pieces.push(FormatPiece::Literal(literal));
        }
        is_right &= self.check_count(next, &values, span);
        // What is wrong was reported; the record is left out.
        (is_right && values.iter().all(|v| !v.ty.is_unknown())).then_some((Format { pieces }, kept))
    }

    fn bad_conversion(&mut self, text: &[u8], span: Span) {
        let shown: String =
            String::from_utf8_lossy(text).chars().take(6).filter(|c| !c.is_control()).collect();
        self.report(
            Diagnostic::new(&slugs::BAD_FORMAT, "the format holds a `%` that means nothing")
                .label(span, format!("`{shown}` is no conversion"))
                .help("a percent sign is written `%%`; numbers are `%d`, text is `%s`"),
        );
    }

    fn check_count(&mut self, wanted: usize, values: &[Expr], span: Span) -> bool {
        if wanted == values.len() {
            return true;
        }
        let plural = |n: usize| if n == 1 { "value" } else { "values" };
        let found = values.len();
        let mut diagnostic = Diagnostic::new(
            &slugs::FORMAT_MISMATCH,
            format!("the format wants {wanted} {}, found {found}", plural(wanted)),
        )
        .label(span, format!("this has {wanted} places"));
        if let Some(extra) = values.get(wanted) {
            diagnostic = diagnostic.label(extra.span, "no place for this");
        }
        self.report(diagnostic);
        false
    }

    fn check_star(&mut self, value: Option<&Expr>) -> bool {
        let Some(value) = value else { return true };
        if value.ty.is_integral() || value.ty.is_unknown() {
            return true;
        }
        let what = self.describe(&value.ty);
        self.report(
            Diagnostic::new(&slugs::FORMAT_MISMATCH, format!("`*` in the format wants a number, not {what}"))
                .label(value.span, format!("this is {what}")),
        );
        false
    }

    /// Whether a value can be shown by a conversion.
    fn check_conversion(&mut self, value: &Expr, conversion: Conversion) -> bool {
        let is_number = value.ty.is_integral() || matches!(value.ty, Type::Pointer { .. });
        let (fits, letter, wants) = match conversion {
            Conversion::Signed => (is_number, "%d", "a number"),
            Conversion::Unsigned => (is_number, "%u", "a number"),
            Conversion::Octal => (is_number, "%o", "a number"),
            Conversion::HexLower | Conversion::HexUpper => (is_number, "%x", "a number"),
            Conversion::Char => (is_number, "%c", "a number"),
            Conversion::Pointer => (is_number, "%p", "an address"),
            Conversion::Text => (true, "%s", "text"),
            Conversion::Raw | Conversion::RawHex | Conversion::Hex => {
                let is_bytes = matches!(value.ty, Type::Buffer { .. } | Type::Text { .. } | Type::Mac);
                (is_bytes, "%r", "bytes, as `buf()` gives them")
            }
        };
        if fits || value.ty.is_unknown() {
            return true;
        }
        let what = self.describe(&value.ty);
        let mut diagnostic =
            Diagnostic::new(&slugs::FORMAT_MISMATCH, format!("`{letter}` wants {wants}, found {what}"))
                .label(value.span, format!("this is {what}"));
        if matches!(conversion, Conversion::Raw | Conversion::RawHex | Conversion::Hex) {
            diagnostic = diagnostic.help("use `%d` for numbers");
        } else {
            diagnostic = diagnostic.help("use `%s` for everything that is no number");
        }
        self.report(diagnostic);
        false
    }
}

/// Text that is known before the script runs, as `%s` shows it.
fn known_text(value: &Expr, spec: &FormatSpec) -> Option<Vec<u8>> {
    let ExprKind::Text(text) = &value.kind else { return None };
    let width = match spec.width {
        None => 0,
        Some(Size::Fixed(width)) => width as usize,
        Some(Size::FromArg(_)) => return None,
    };
    if spec.conversion != Conversion::Text || spec.precision.is_some() {
        return None;
    }
    let shown = String::from_utf8_lossy(text).chars().count();
    let padding = vec![b' '; width.saturating_sub(shown)];
    Some(if spec.left { [text, padding.as_slice()].concat() } else { [padding.as_slice(), text].concat() })
}

/// Reads a conversion after its `%`.
fn read_spec(text: &[u8]) -> Option<Read> {
    let mut at = 0;
    let mut spec = FormatSpec {
        left: false,
        plus: false,
        blank: false,
        alternate: false,
        zero: false,
        width: None,
        precision: None,
        int_bytes: 4,
        conversion: Conversion::Text,
    };
    while let Some(flag) = text.get(at) {
        match flag {
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.blank = true,
            b'#' => spec.alternate = true,
            b'0' => spec.zero = true,
            _ => break,
        }
        at += 1;
    }
    let (width, star_width) = read_size(text, &mut at)?;
    spec.width = width;
    let (mut precision, mut star_precision) = (None, false);
    if text.get(at) == Some(&b'.') {
        at += 1;
        (precision, star_precision) = read_size(text, &mut at)?;
        if precision.is_none() && !star_precision {
            precision = Some(Size::Fixed(0));
        }
    }
    spec.precision = precision;
    let start = at;
    while text.get(at).is_some_and(|b| matches!(b, b'h' | b'l' | b'L' | b'j' | b'z' | b't')) {
        at += 1;
    }
    spec.int_bytes = match &text[start..at] {
        b"" => 4,
        b"h" => 2,
        b"hh" => 1,
        _ => 8,
    };
    spec.conversion = match (text.get(at)?, text.get(at + 1)) {
        (b'd' | b'i', _) => Conversion::Signed,
        (b'u', _) => Conversion::Unsigned,
        (b'o', _) => Conversion::Octal,
        (b'x', _) => Conversion::HexLower,
        (b'X', _) => Conversion::HexUpper,
        (b'p', _) => Conversion::Pointer,
        (b'c', _) => Conversion::Char,
        (b's', _) => Conversion::Text,
        (b'r', Some(b'x')) => Conversion::RawHex,
        (b'r', Some(b'h')) => Conversion::Hex,
        (b'r', _) => Conversion::Raw,
        _ => return None,
    };
    at += if matches!(spec.conversion, Conversion::RawHex | Conversion::Hex) { 2 } else { 1 };
    Some(Read { spec, star_width, star_precision, len: at })
}

/// Digits or `*`; nothing is fine too. `None` for a number that is absurd.
fn read_size(text: &[u8], at: &mut usize) -> Option<(Option<Size>, bool)> {
    if text.get(*at) == Some(&b'*') {
        *at += 1;
        return Some((None, true));
    }
    let start = *at;
    while text.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    if start == *at {
        return Some((None, false));
    }
    let digits = std::str::from_utf8(&text[start..*at]).ok()?;
    let size: u32 = digits.parse().ok().filter(|n| *n <= 65_536)?;
    Some((Some(Size::Fixed(size)), false))
}
