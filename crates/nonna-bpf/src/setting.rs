//! Values of the kernel's configuration that programs read (`extern … __kconfig`).
//!
//! An object only names them; the loader looks them up and has them written into the map here. The rules for text and
//! types are libbpf's (`set_kcfg_value_tri`, `set_kcfg_value_num`, `set_kcfg_value_str` in tools/lib/bpf/libbpf.c).

/// A configuration value with its place in the first value of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelSetting {
    /// `CONFIG_…`, or a fact about the kernel that the loader knows: `LINUX_KERNEL_VERSION`, `LINUX_HAS_…`.
    pub name: String,
    /// Bytes into the map's first value.
    pub offset: u32,
    /// Bytes that it takes there.
    pub size_bytes: u32,
    /// Type.
    pub kind: SettingKind,
    /// Absence gives 0 rather than an error.
    pub weak: bool,
}

/// Type of a configuration value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettingKind {
    /// `y` or `n`, as 1 or 0.
    Bool,
    /// `n`, `y` or `m`, as 0, 1 or 2.
    Tristate,
    /// `y`, `n` or `m` as a character, or a number of one byte.
    Char,
    /// A number.
    Integer {
        /// Has a sign.
        signed: bool,
    },
    /// A quoted text, ended by a zero byte and cut to the size.
    Text,
}

/// Why a configuration value could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The kernel has no such value.
    #[error("the kernel's configuration has no `{name}`")]
    Missing {
        /// Name.
        name: String,
    },
    /// The value is of another type.
    #[error("the kernel's configuration has `{name}={value}`, which the program's type for it does not hold")]
    Type {
        /// Name.
        name: String,
        /// What the configuration says.
        value: String,
    },
    /// The place lies outside the map's value.
    #[error("`{name}` lies outside the value of its map")]
    Place {
        /// Name.
        name: String,
    },
}

impl KernelSetting {
    /// The bytes of a value as the configuration file writes it: `y`, `1000`, `0x10`, `"text"`.
    ///
    /// # Errors
    ///
    /// [`SettingError::Type`] where the value does not fit the type.
    pub fn encode(&self, value: &str) -> Result<Vec<u8>, SettingError> {
        self.bytes(value)
            .ok_or_else(|| SettingError::Type { name: self.name.clone(), value: value.to_owned() })
    }

    fn bytes(&self, value: &str) -> Option<Vec<u8>> {
        let size = self.size_bytes as usize;
        let number = match (self.kind, value) {
            (SettingKind::Bool | SettingKind::Tristate, "n") => 0,
            (SettingKind::Bool | SettingKind::Tristate, "y") => 1,
            (SettingKind::Tristate, "m") => 2,
            (SettingKind::Char, "y" | "n" | "m") => i128::from(value.as_bytes()[0]),
            (SettingKind::Char | SettingKind::Integer { .. }, _) => parse_number(value)?,
            (SettingKind::Text, _) => return self.text(value),
            _ => return None,
        };
        let (1 | 2 | 4 | 8) = size else { return None };
        let bits = size * 8;
        let fits = match self.kind {
            SettingKind::Integer { signed: true } => {
                (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(&number)
            }
            _ => (0..1i128 << bits).contains(&number),
        };
        fits.then(|| number.to_le_bytes()[..size].to_vec())
    }

    fn text(&self, value: &str) -> Option<Vec<u8>> {
        let text = value.strip_prefix('"')?.strip_suffix('"')?;
        let size = self.size_bytes as usize;
        let mut bytes = text.as_bytes().to_vec();
        bytes.truncate(size.checked_sub(1)?);
        bytes.resize(size, 0);
        Some(bytes)
    }
}

/// A number as C writes it: decimal, `0x` or octal.
fn parse_number(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let magnitude = if let Some(hex) = digits.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    let magnitude = i128::from(magnitude.ok()?);
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(kind: SettingKind, size_bytes: u32) -> KernelSetting {
        KernelSetting { name: "CONFIG_X".into(), offset: 0, size_bytes, kind, weak: false }
    }

    #[test]
    fn values_follow_the_type() {
        let int = setting(SettingKind::Integer { signed: true }, 4);
        assert_eq!(int.encode("1000").unwrap(), 1000i32.to_le_bytes());
        assert_eq!(int.encode("-2").unwrap(), (-2i32).to_le_bytes());
        assert_eq!(int.encode("0x10").unwrap(), 16i32.to_le_bytes());
        assert!(int.encode("2147483648").is_err());
        assert!(int.encode("y").is_err());
        let long = setting(SettingKind::Integer { signed: false }, 8);
        assert_eq!(long.encode("0xffffffffffffffff").unwrap(), [0xff; 8]);
        assert_eq!(setting(SettingKind::Bool, 1).encode("y").unwrap(), [1]);
        assert!(setting(SettingKind::Bool, 1).encode("m").is_err());
        assert_eq!(setting(SettingKind::Tristate, 4).encode("m").unwrap(), [2, 0, 0, 0]);
        assert_eq!(setting(SettingKind::Char, 1).encode("m").unwrap(), *b"m");
        assert_eq!(setting(SettingKind::Text, 4).encode("\"(none)\"").unwrap(), *b"(no\0");
        assert!(setting(SettingKind::Text, 4).encode("5").is_err());
        // Sizes that no integer has, whatever file says so.
        for size_bytes in [0, 3, 16, 17, 1 << 29, u32::MAX] {
            assert!(setting(SettingKind::Integer { signed: true }, size_bytes).encode("5").is_err());
        }
    }
}
