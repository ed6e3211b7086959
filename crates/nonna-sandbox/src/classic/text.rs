//! Classic programs as text: what `tcpdump -dd` and `tcpdump -ddd` write.
//!
//! `-ddd` is a count and then four decimal numbers a line; `-dd` is the same as initialisers in C. Instructions are not judged
//! here.

use super::check::MAX_INSNS;
use super::insn::Encoded;

/// Why a text is no classic program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextErrorKind {
    /// There is no instruction.
    #[error("there is no instruction")]
    Empty,
    /// A line has not four numbers.
    #[error("an instruction is four numbers: code, two jumps and a constant")]
    Shape,
    /// A number is none, or too large for its place.
    #[error("this is no number, or too large for its place")]
    Number,
    /// The count at the start is not that of the instructions.
    #[error("the count says {announced} instructions, and there are {found}")]
    Count {
        /// What the first line says.
        announced: usize,
        /// How many follow.
        found: usize,
    },
}

/// A text that is no classic program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct TextError {
    /// Line, from 1.
    pub line: usize,
    /// Why.
    pub kind: TextErrorKind,
}

/// Reads the output of `tcpdump -dd` or `tcpdump -ddd`.
///
/// # Errors
///
/// [`TextError`] at the first line that is neither.
pub fn parse(text: &str) -> Result<Vec<Encoded>, TextError> {
    let mut announced = None;
    let mut program = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = |kind| TextError { line: index + 1, kind };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let in_braces = line.strip_prefix('{').map(|rest| rest.trim_end_matches(',').trim_end());
        let fields: Vec<&str> = match in_braces {
            Some(rest) => {
                let rest = rest.strip_suffix('}').ok_or(at(TextErrorKind::Shape))?;
                rest.split(',').map(str::trim).collect()
            }
            None => line.split_ascii_whitespace().collect(),
        };
        if let ([count], None, true) = (&fields[..], announced, program.is_empty()) {
            announced = Some(
                number(count)
                    .and_then(|count| usize::try_from(count).ok())
                    .ok_or(at(TextErrorKind::Number))?,
            );
            continue;
        }
        program.push(insn(&fields).map_err(at)?);
        // The checker says what is too long; this only bounds what is kept.
        if program.len() > MAX_INSNS {
            break;
        }
    }
    let at_end = |kind| TextError { line: text.lines().count().max(1), kind };
    match announced {
        Some(announced) if announced != program.len() => {
            Err(at_end(TextErrorKind::Count { announced, found: program.len() }))
        }
        _ if program.is_empty() => Err(at_end(TextErrorKind::Empty)),
        _ => Ok(program),
    }
}

fn insn(fields: &[&str]) -> Result<Encoded, TextErrorKind> {
    let &[code, jt, jf, k] = fields else { return Err(TextErrorKind::Shape) };
    Ok(Encoded { code: within(code)?, jt: within(jt)?, jf: within(jf)?, k: within(k)? })
}

fn within<T: TryFrom<u64>>(text: &str) -> Result<T, TextErrorKind> {
    number(text).and_then(|number| T::try_from(number).ok()).ok_or(TextErrorKind::Number)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let as_numbers = parse("2\n40 0 0 12\n6 0 0 4294967295\n").unwrap();
        let as_c = parse("{ 0x28, 0, 0, 0x0000000c },\n{ 0x6, 0, 0, 0xffffffff },\n").unwrap();
        assert_eq!(as_numbers, as_c);
        assert_eq!(as_numbers[0], Encoded { code: 0x28, jt: 0, jf: 0, k: 12 });
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let kind = |text| parse(text).unwrap_err();
        assert_eq!(kind(""), TextError { line: 1, kind: TextErrorKind::Empty });
        assert_eq!(kind("1\n40 0 0\n"), TextError { line: 2, kind: TextErrorKind::Shape });
        assert_eq!(kind("1\n40 0 300 1\n"), TextError { line: 2, kind: TextErrorKind::Number });
        assert_eq!(kind("{ 0x28, 0, 0, 12 \n"), TextError { line: 1, kind: TextErrorKind::Shape });
        let count = TextErrorKind::Count { announced: 3, found: 1 };
        assert_eq!(kind("3\n6 0 0 0\n"), TextError { line: 2, kind: count });
    }
}
