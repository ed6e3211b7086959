//! Helpers for text: printing by a format, numbers out of text, comparing.

use nonna_bpf::Helper;

use super::format::{Arguments, format};
use super::probe::{Source, probe_text};
use super::table::helper_table;
use super::{Called, E2BIG, EINVAL, ERANGE, error, read_bytes};
use crate::host::HelperError;
use crate::memory::Access;
use crate::run::Run;

/// The longest line of `bpf_trace_printk`.
const MAX_LINE_BYTES: usize = 1024;
/// The most arguments of the helpers that take an array (`MAX_BPRINTF_VARARGS`).
const MAX_ARGUMENTS: u64 = 12;
/// The longest format.
const MAX_FORMAT_BYTES: usize = 64 << 10;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::TRACE_PRINTK.id() => |run, [text, bytes, a, b, c]| {
        let text = read_bytes(run, text, ((bytes & 0xffff_ffff) as usize).min(MAX_FORMAT_BYTES))?;
        print(run, &text, &[a, b, c])
    },
    Helper::TRACE_VPRINTK.id() => |run, [text, bytes, array, array_bytes, _]| {
        let text = read_bytes(run, text, ((bytes & 0xffff_ffff) as usize).min(MAX_FORMAT_BYTES))?;
        match words(run, array, array_bytes)? {
            Some(arguments) => print(run, &text, &arguments),
            None => Ok(error(EINVAL)),
        }
    },
    Helper::SNPRINTF.id() => |run, [to, room, text, array, array_bytes]| {
        let room = (room & 0xffff_ffff) as usize;
        run.memory.check(to, room, Access::Write)?;
        let Some(arguments) = words(run, array, array_bytes)? else { return Ok(error(EINVAL)) };
        let text = probe_text(run, Source::Kernel, text, MAX_FORMAT_BYTES);
        let Some(text) = text else { return Err(HelperError::Misused("its format is no text")) };
        let Some(line) = format(run, &text, Arguments::new(&arguments)) else { return Ok(error(EINVAL)) };
        let n_bytes = line.len() as u64 + 1;
        if room > 0 {
            let mut cut: Vec<u8> = line.into_iter().take(room - 1).collect();
            cut.push(0);
            run.memory.write(to, &cut)?;
        }
        Ok(n_bytes)
    },
    Helper::SEQ_PRINTF.id() => |run, [_, text, bytes, array, array_bytes]| {
        let text = read_bytes(run, text, ((bytes & 0xffff_ffff) as usize).min(MAX_FORMAT_BYTES))?;
        let Some(arguments) = words(run, array, array_bytes)? else { return Ok(error(EINVAL)) };
        match format(run, &text, Arguments::new(&arguments)) {
            Some(line) => run.host.print(&line),
            None => return Ok(error(EINVAL)),
        }
        Ok(0)
    },
    Helper::SEQ_WRITE.id() => |run, [_, from, bytes, ..]| {
        let bytes = read_bytes(run, from, (bytes & 0xffff_ffff) as usize)?;
        run.host.print(&bytes);
        Ok(0)
    },
    Helper::STRTOL.id() => |run, [text, bytes, flags, to, _]| parse(run, [text, bytes, flags, to], true),
    Helper::STRTOUL.id() => |run, [text, bytes, flags, to, _]| parse(run, [text, bytes, flags, to], false),
    Helper::STRNCMP.id() => |run, [a, bytes, b, ..]| {
        let bytes = (bytes & 0xffff_ffff) as usize;
        let a = read_bytes(run, a, bytes)?;
        let b = probe_text(run, Source::Kernel, b, bytes + 1);
        let Some(b) = b else { return Err(HelperError::Misused("its third argument is no text")) };
        for (at, left) in a.iter().enumerate() {
            let right = b.get(at).copied().unwrap_or(0);
            if *left != right {
                return Ok(i64::from(if *left < right { -1 } else { 1 }).cast_unsigned());
            }
            if *left == 0 {
                break;
            }
        }
        Ok(0)
    },
}

/// An array of arguments; `None` if there are too many or not whole ones.
fn words(run: &Run<'_, '_>, array: u64, bytes: u64) -> Result<Option<Vec<u64>>, HelperError> {
    let bytes = bytes & 0xffff_ffff;
    if !bytes.is_multiple_of(8) || bytes > MAX_ARGUMENTS * 8 || bytes != 0 && array == 0 {
        return Ok(None);
    }
    let read = read_bytes(run, array, bytes as usize)?;
    Ok(Some(
        read.chunks_exact(8)
            .filter_map(|word| word.first_chunk())
            .map(|word| u64::from_ne_bytes(*word))
            .collect(),
    ))
}

fn print(run: &mut Run<'_, '_>, text: &[u8], arguments: &[u64]) -> Called {
    match format(run, text, Arguments::new(arguments)) {
        Some(mut line) => {
            line.truncate(MAX_LINE_BYTES - 1);
            run.host.print(&line);
            Ok(line.len() as u64)
        }
        None => Ok(error(EINVAL)),
    }
}

/// Reads a number as C writes it, after white space; yields how many bytes belong to it.
fn parse(run: &mut Run<'_, '_>, [text, bytes, flags, to]: [u64; 4], signed: bool) -> Called {
    /// The bases that the flags may name.
    const BASES: [u64; 4] = [0, 8, 10, 16];
    /// What the kernel looks at: a number in base 8 and what goes before it (`BPF_STRTOX_BASE_MASK` bounds the flags).
    const MAX_NUMBER_BYTES: usize = 64;
    let text = read_bytes(run, text, (bytes & 0xffff_ffff) as usize)?;
    run.memory.check(to, 8, Access::Write)?;
    if text.is_empty() || !BASES.contains(&flags) {
        return Ok(error(EINVAL));
    }
    let n_space = text.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b).count();
    let rest = &text[n_space..];
    let negative = rest.first() == Some(&b'-');
    if negative && !signed {
        return Ok(error(EINVAL));
    }
    let rest = &rest[usize::from(negative)..];
    let rest = &rest[..rest.len().min(MAX_NUMBER_BYTES - 1)];
    let is_hex = rest.len() > 2 && rest[0] == b'0' && rest[1] | 32 == b'x' && rest[2].is_ascii_hexdigit();
    let (base, prefix) = match flags {
        0 if is_hex => (16, 2),
        0 if rest.first() == Some(&b'0') => (8, 0),
        0 => (10, 0),
        16 if is_hex => (16, 2),
        base => (base, 0),
    };
    let digits: Vec<u64> = rest[prefix..]
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(base as u32).map(u64::from))
        .collect();
    if digits.is_empty() {
        return Ok(error(EINVAL));
    }
    let value = digits.iter().try_fold(0u64, |value, digit| value.checked_mul(base)?.checked_add(*digit));
    let limit = if signed { i64::MAX.cast_unsigned() + u64::from(negative) } else { u64::MAX };
    match value {
        Some(value) if value <= limit => {
            let number = if negative { value.wrapping_neg() } else { value };
            run.memory.write(to, &number.to_ne_bytes())?;
            Ok((n_space + usize::from(negative) + prefix + digits.len()) as u64)
        }
        _ => Ok(error(ERANGE)),
    }
}

const _: () = assert!(E2BIG == 7);
