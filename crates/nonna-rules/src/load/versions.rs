//! What files ask of the engine that reads them.

use std::fmt;

/// The version of Falco's engine whose rule files this room reads.
pub const ENGINE_VERSION: Version = Version { major: 0, minor: 63, patch: 0 };

/// A version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes that break files.
    pub major: u32,
    /// Additions.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
}

impl Version {
    /// Reads `1.2.3`, or the single number of old files, which stands for `0.N.0`.
    pub fn parse(text: &str) -> Option<Version> {
        if let Ok(minor) = text.parse() {
            return Some(Version { major: 0, minor, patch: 0 });
        }
        // What follows a `-` or `+` names a build.
        let plain = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = plain.split('.').map(|number| number.parse::<u32>().ok());
        let version = Version { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// Whether something of this version serves whoever asks for another: the same major version, and not older.
    pub fn serves(self, wanted: Version) -> bool {
        self.major == wanted.major && (self.minor, self.patch) >= (wanted.minor, wanted.patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_ways_to_ask() {
        assert_eq!(Version::parse("26"), Some(Version { major: 0, minor: 26, patch: 0 }));
        assert_eq!(Version::parse("0.57.0"), Some(Version { major: 0, minor: 57, patch: 0 }));
        assert_eq!(Version::parse("0.57.0-rc1"), Some(Version { major: 0, minor: 57, patch: 0 }));
        assert_eq!(Version::parse("0.57"), None);
        assert_eq!(Version::parse("1.2.3.4"), None);
        assert!(ENGINE_VERSION.serves(Version { major: 0, minor: 57, patch: 9 }));
        assert!(!ENGINE_VERSION.serves(Version { major: 1, minor: 0, patch: 0 }));
        assert!(!ENGINE_VERSION.serves(Version { major: 0, minor: 64, patch: 0 }));
    }
}
