//! Numbers and bytes in JSON: decimal, hexadecimal, addresses of the Internet.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

/// Bytes from hexadecimal digits; spaces, colons and line breaks between bytes are passed over.
///
/// # Errors
///
/// What is wrong, in words.
pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    if let Some(other) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("`{other}` is no hexadecimal digit"));
    }
    if !digits.len().is_multiple_of(2) {
        return Err("a byte has two hexadecimal digits, and the last one has one".to_owned());
    }
    let digit = |c: char| c.to_digit(16).expect("it was checked above") as u8;
    Ok(digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect())
}

/// Bytes: a text of hexadecimal digits, or a list of numbers.
pub(super) fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    match value {
        Value::String(text) => hex(text),
        Value::Array(items) => {
            let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
            items.iter().map(|item| byte(item).ok_or_else(|| format!("{item} is no byte"))).collect()
        }
        other => Err(format!("{other} is neither hexadecimal digits nor a list of bytes")),
    }
}

/// Numbers of a field: one, a list, or an address in network order.
pub(super) fn numbers(value: &Value) -> Result<Vec<u64>, String> {
    match value {
        Value::Array(items) => items.iter().map(number).collect(),
        Value::String(text) => {
            if let Ok(address) = text.parse::<Ipv4Addr>() {
                return Ok(vec![u32::from_ne_bytes(address.octets()).into()]);
            }
            if let Ok(address) = text.parse::<Ipv6Addr>() {
                let words = address.octets();
                let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into();
                return Ok(words.chunks(4).map(word).collect());
            }
            number(value).map(|number| vec![number])
        }
        _ => number(value).map(|number| vec![number]),
    }
}

/// One number: JSON's own, `"0x…"`, or true and false.
pub(super) fn number(value: &Value) -> Result<u64, String> {
    let wrong = || format!("{value} is no whole number");
    match value {
        Value::Bool(bit) => Ok((*bit).into()),
        Value::Number(number) => {
            number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned)).ok_or_else(wrong)
        }
        Value::String(text) => {
            let parsed = match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            };
            parsed.ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_come_in_many_forms() {
        assert_eq!(numbers(&json!(7)), Ok(vec![7]));
        assert_eq!(numbers(&json!(-1)), Ok(vec![u64::MAX]));
        assert_eq!(numbers(&json!("0x1f")), Ok(vec![31]));
        assert_eq!(numbers(&json!([1, "2", true])), Ok(vec![1, 2, 1]));
        assert_eq!(numbers(&json!("10.0.0.1")), Ok(vec![u32::from_ne_bytes([10, 0, 0, 1]).into()]));
        assert_eq!(numbers(&json!("::1")).map(|words| words.len()), Ok(4));
        assert!(
            numbers(&json!(1.5)).is_err() && numbers(&json!("ten")).is_err() && numbers(&json!({})).is_err()
        );
    }

    #[test]
    fn bytes_are_digits_or_a_list() {
        assert_eq!(hex("0x0aff"), Ok(vec![10, 255]));
        assert_eq!(hex(" 00:11\n2233 "), Ok(vec![0, 0x11, 0x22, 0x33]));
        assert!(hex("abc").is_err() && hex("zz").is_err());
        assert_eq!(bytes(&json!([1, 255])), Ok(vec![1, 255]));
        assert!(bytes(&json!([256])).is_err() && bytes(&json!(1)).is_err());
    }
}
