//! Values made of fields: what transformers turn them into.
//!
//! The meanings are those of `sinsp_filter_transformer*.cpp` and `sinsp_filtercheck_multivalue_transformer.cpp` (falcosecurity/libs). Where a
//! part has no value, what is made of it has none either, and every test of it fails.

use std::borrow::Cow;

use super::compile::SlotIdx;
use super::fact::Fact;
use crate::fields::FieldType;

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A field of the event.
    Field(SlotIdx),
    /// A text that was written down.
    Text(Vec<u8>),
    /// Texts that were written down.
    Texts(Vec<Vec<u8>>),
    /// Every value changed by itself.
    Each(Change, Box<Source>),
    /// How many values a list has, or how many bytes a text.
    Length { of: Box<Source>, of_list: bool },
    /// The values of a list with a text between.
    Join { separator: Box<Source>, list: Box<Source> },
    /// Texts one after the other.
    Concat(Vec<Source>),
    /// Options of a program, or what one of them says.
    Options { arguments: Box<Source>, known: Box<Source>, selected: Option<u8> },
}

/// What values of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) field_type: FieldType,
    pub(super) is_list: bool,
}

impl Shape {
    /// Whether values of both can be told to be the same.
    pub(super) fn compares_with(self, other: Shape) -> bool {
        let kind = |shape: Shape| match shape.field_type {
            FieldType::Text | FieldType::Path | FieldType::Bytes => 0,
            FieldType::Address | FieldType::Net => 1,
            FieldType::Bool => 2,
            FieldType::Unsigned
            | FieldType::Signed
            | FieldType::Port
            | FieldType::Time
            | FieldType::Duration => 3,
        };
        kind(self) == kind(other)
    }
}

/// How one text becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    SmallLetters,
    CapitalLetters,
    FromBase64,
    LastPart,
}

impl Source {
    /// Calls `found` with every field that it is made of: where one of them has no value, it has none.
    pub(super) fn each_field(&self, found: &mut dyn FnMut(SlotIdx)) {
        match self {
            Source::Field(slot) => found(*slot),
            Source::Text(_) | Source::Texts(_) => {}
            Source::Each(_, of) | Source::Length { of, .. } => of.each_field(found),
            Source::Join { separator: first, list: second }
            | Source::Options { arguments: first, known: second, .. } => {
                first.each_field(found);
                second.each_field(found);
            }
            Source::Concat(parts) => parts.iter().for_each(|part| part.each_field(found)),
        }
    }

    /// Its value for an event whose fields `field` gives.
    pub(super) fn value<'a>(
        &'a self,
        field: &mut dyn FnMut(SlotIdx) -> Option<Fact<'a>>,
    ) -> Option<Fact<'a>> {
        match self {
            Source::Field(slot) => field(*slot),
            Source::Text(text) => Some(Fact::Text(Cow::Borrowed(text))),
            Source::Texts(texts) => {
                Some(Fact::Many(texts.iter().map(|text| Fact::Text(Cow::Borrowed(text))).collect()))
            }
            Source::Each(change, of) => change.all(of.value(field)?),
            Source::Length { of, of_list } => length(&of.value(field)?, *of_list),
            Source::Join { separator, list } => {
                let separator = text(separator.value(field)?)?;
                let texts = texts(list.value(field)?)?;
                Some(Fact::Text(Cow::Owned(texts.join(separator.as_ref()))))
            }
            Source::Concat(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend_from_slice(&text(part.value(field)?)?);
                }
                Some(Fact::Text(Cow::Owned(all)))
            }
            Source::Options { arguments, known, selected } => {
                let known = text(known.value(field)?)?;
                options(&texts(arguments.value(field)?)?, &known, *selected)
            }
        }
    }
}

fn text(fact: Fact<'_>) -> Option<Cow<'_, [u8]>> {
    match fact {
        Fact::Text(text) => Some(text),
        _ => None,
    }
}

fn texts(fact: Fact<'_>) -> Option<Vec<Cow<'_, [u8]>>> {
    match fact {
        Fact::Many(facts) => facts.into_iter().map(text).collect(),
        fact => Some(vec![text(fact)?]),
    }
}

fn length<'a>(fact: &Fact<'_>, of_list: bool) -> Option<Fact<'a>> {
    let length = match fact {
        Fact::Many(facts) if of_list => facts.len(),
        _ if of_list => 1,
        Fact::Text(text) => text.len(),
        _ => return None,
    };
    u64::try_from(length).ok().map(Fact::Unsigned)
}

impl Change {
    fn all<'a>(self, fact: Fact<'a>) -> Option<Fact<'a>> {
        match fact {
            Fact::Text(text) => self.one(text).map(Fact::Text),
            Fact::Many(facts) => {
                facts.into_iter().map(|fact| self.all(fact)).collect::<Option<Vec<_>>>().map(Fact::Many)
            }
            _ => None,
        }
    }

    fn one(self, text: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Change::SmallLetters => Cow::Owned(text.to_ascii_lowercase()),
            Change::CapitalLetters => Cow::Owned(text.to_ascii_uppercase()),
            Change::FromBase64 => Cow::Owned(from_base64(&text)?),
            Change::LastPart => {
                let start = memchr::memrchr(b'/', &text).map_or(0, |slash| slash + 1);
                match text {
                    Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
                    Cow::Owned(text) => Cow::Owned(text[start..].to_vec()),
                }
            }
        })
    }
}

/// What base64 stands for, with or without the signs that fill it up; the bits left over must be 0 (RFC 4648, sections 3.2 and 3.5).
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if text.is_empty() || text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut n_bits) = (0u32, 0);
    for digit in text {
        bits = (bits << 6 | u32::from(sextet(*digit)?)) & 0xffff;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push(u8::try_from(bits >> n_bits & 0xff).ok()?);
        }
    }
    (bits & ((1 << n_bits) - 1) == 0).then_some(bytes)
}

fn sextet(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// The options among arguments, each with its value behind it, or the last value of the one that is selected.
///
/// `known` is written as for getopt(3): a letter for each option, `:` behind those that have a value. Long options are passed over; the first
/// argument that is no option ends them, and so does `--`.
fn options<'a>(arguments: &[Cow<'_, [u8]>], known: &[u8], selected: Option<u8>) -> Option<Fact<'a>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut tell = |option: &[u8], value: Option<&[u8]>| match selected {
        Some(_) => found = vec![value.unwrap_or(option).to_vec()],
        None => found.extend([Some(option), value].into_iter().flatten().map(<[u8]>::to_vec)),
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let letters = match argument.as_ref() {
            b"--" => break,
            [b'-', b'-', ..] => continue,
            [b'-', letters @ ..] if !letters.is_empty() => letters,
            _ => break,
        };
        for (place, letter) in letters.iter().enumerate() {
            let is_wanted = selected.is_none_or(|selected| selected == *letter);
            let Some(has_value) = kind_of_option(*letter, known) else {
                if selected.is_none() {
                    tell(b"?", None);
                }
                continue;
            };
            let option = std::slice::from_ref(letter);
            if !has_value {
                if is_wanted {
                    tell(option, None);
                }
                continue;
            }
            let rest = &letters[place + 1..];
            let value = if rest.is_empty() { arguments.next().map(AsRef::as_ref) } else { Some(rest) };
            match value {
                // An option whose value is missing is an empty text.
                None if is_wanted => tell(b"", None),
                Some(value) if is_wanted => tell(option, Some(value)),
                _ => {}
            }
            break;
        }
    }
    match selected {
        Some(_) => found.pop().map(|value| Fact::Text(Cow::Owned(value))),
        None => Some(Fact::Many(found.into_iter().map(|value| Fact::Text(Cow::Owned(value))).collect())),
    }
}

/// Whether an option has a value; `None` for one that is not known.
fn kind_of_option(letter: u8, known: &[u8]) -> Option<bool> {
    if letter == b':' {
        return None;
    }
    let mut places = known.iter().enumerate().filter(|(_, option)| **option == letter).peekable();
    places.peek()?;
    Some(places.any(|(place, _)| known.get(place + 1) == Some(&b':')))
}
