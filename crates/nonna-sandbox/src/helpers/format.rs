//! Lines by a format, as the kernel's `bpf_bprintf_prepare` understands it: which conversions there are and what they refuse.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::probe::{Source, probe, probe_text};
use crate::run::Run;

/// The longest text that a conversion puts in.
const MAX_TEXT_BYTES: usize = 512;
/// The widest conversion.
const MAX_WIDTH: usize = 1024;

/// The arguments of a format, one after the other.
#[derive(Debug)]
pub(super) struct Arguments<'a>(std::slice::Iter<'a, u64>);

impl<'a> Arguments<'a> {
    /// These.
    pub(super) fn new(all: &'a [u64]) -> Arguments<'a> {
        Arguments(all.iter())
    }
}

/// How a conversion is padded.
#[derive(Debug, Clone, Copy, Default)]
struct Padding {
    width: usize,
    zeros: bool,
    left: bool,
    plus: bool,
    space: bool,
}

/// The line, or `None` where the kernel says `EINVAL`: the format has no end, something else than printable ASCII, a conversion that
/// does not exist, or more conversions than arguments.
pub(super) fn format(run: &mut Run<'_, '_>, text: &[u8], mut arguments: Arguments<'_>) -> Option<Vec<u8>> {
    let end = text.iter().position(|byte| *byte == 0)?;
    let text = &text[..end];
    if !text
        .iter()
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || matches!(byte, b' ' | 0x0b))
    {
        return None;
    }
    let (mut line, mut at) = (Vec::new(), 0);
    while at < text.len() {
        if text[at] != b'%' {
            line.push(text[at]);
            at += 1;
            continue;
        }
        at += 1;
        if text.get(at) == Some(&b'%') {
            line.push(b'%');
            at += 1;
            continue;
        }
        let padding = padding(text, &mut at);
        let piece = conversion(run, text, &mut at, *arguments.0.next()?, padding)?;
        pad(&mut line, &piece, padding);
    }
    Some(line)
}

fn padding(text: &[u8], at: &mut usize) -> Padding {
    let mut padding = Padding::default();
    while let Some(flag @ (b'0' | b'+' | b'-' | b' ')) = text.get(*at) {
        match flag {
            b'0' => padding.zeros = true,
            b'+' => padding.plus = true,
            b'-' => padding.left = true,
            _ => padding.space = true,
        }
        *at += 1;
    }
    while let Some(digit) = text.get(*at).filter(|byte| byte.is_ascii_digit()) {
        padding.width = (padding.width * 10 + usize::from(digit - b'0')).min(MAX_WIDTH);
        *at += 1;
    }
    padding
}

fn pad(line: &mut Vec<u8>, piece: &[u8], padding: Padding) {
    let missing = padding.width.saturating_sub(piece.len());
    let spaces = std::iter::repeat_n(b' ', missing);
    if padding.left {
        line.extend_from_slice(piece);
        line.extend(spaces);
    } else {
        line.extend(spaces);
        line.extend_from_slice(piece);
    }
}

/// What one conversion makes of its argument.
fn conversion(
    run: &mut Run<'_, '_>,
    text: &[u8],
    at: &mut usize,
    argument: u64,
    padding: Padding,
) -> Option<Vec<u8>> {
    let start = *at;
    let next = |at: &mut usize| {
        *at += 1;
        text.get(*at - 1).copied()
    };
    let (mut kind, mut n_longs) = (next(at)?, 0);
    while kind == b'l' && n_longs < 2 {
        n_longs += 1;
        kind = next(at)?;
    }
    let value = if n_longs == 0 { u64::from(argument as u32) } else { argument };
    match kind {
        b'd' | b'i' => {
            let signed = if n_longs == 0 { i64::from(argument as i32) } else { argument.cast_signed() };
            Some(number(&signed.unsigned_abs().to_string(), signed < 0, padding))
        }
        b'u' => Some(number(&value.to_string(), false, Padding { plus: false, space: false, ..padding })),
        b'x' => Some(number(&format!("{value:x}"), false, Padding { plus: false, space: false, ..padding })),
        b'X' => Some(number(&format!("{value:X}"), false, Padding { plus: false, space: false, ..padding })),
        b'c' if n_longs == 0 => Some(vec![argument as u8]),
        b's' if n_longs == 0 => Some(string(run, Source::Any, argument)),
        b'p' if n_longs == 0 => pointer(run, text, at, argument),
        _ => {
            *at = start;
            None
        }
    }
}

fn number(digits: &str, negative: bool, padding: Padding) -> Vec<u8> {
    let sign = match (negative, padding.plus, padding.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let zeros = match padding.zeros && !padding.left {
        true => padding.width.saturating_sub(sign.len() + digits.len()),
        false => 0,
    };
    format!("{sign}{}{digits}", "0".repeat(zeros)).into_bytes()
}

fn string(run: &mut Run<'_, '_>, source: Source, address: u64) -> Vec<u8> {
    let mut text = probe_text(run, source, address, MAX_TEXT_BYTES).unwrap_or_default();
    if text.last() == Some(&0) {
        text.pop();
    }
    text
}

/// `%p` and what follows it: plain, `k` and `u` with `s` for texts, `i4`, `I4`, `i6`, `I6` for addresses, `s`, `S`, `B` for symbols, which
/// are shown as numbers here.
fn pointer(run: &mut Run<'_, '_>, text: &[u8], at: &mut usize, argument: u64) -> Option<Vec<u8>> {
    let after = |n: usize| text.get(*at..*at + n);
    let plain = || format!("{argument:016x}").into_bytes();
    let (used, piece) = match (after(1), after(2)) {
        (_, Some(b"ks")) => (2, string(run, Source::Kernel, argument)),
        (_, Some(b"us")) => (2, string(run, Source::User, argument)),
        (_, Some(b"i4" | b"I4")) => {
            let mut address = [0; 4];
            probe(run, Source::Kernel, argument, &mut address);
            let dotted = match after(1) {
                Some(b"i") => address.map(|byte| format!("{byte:03}")).join("."),
                _ => Ipv4Addr::from(address).to_string(),
            };
            (2, dotted.into_bytes())
        }
        (_, Some(b"i6" | b"I6")) => {
            let mut address = [0; 16];
            probe(run, Source::Kernel, argument, &mut address);
            let groups = Ipv6Addr::from(address).segments();
            let separator = if after(1) == Some(b"I") { ":" } else { "" };
            (2, groups.map(|group| format!("{group:04x}")).join(separator).into_bytes())
        }
        (Some(b"x" | b"s" | b"S" | b"K" | b"B"), _) => (1, plain()),
        (Some(next), _) if next[0].is_ascii_whitespace() || next[0].is_ascii_punctuation() => (0, plain()),
        (None, _) => (0, plain()),
        _ => return None,
    };
    *at += used;
    Some(piece)
}
