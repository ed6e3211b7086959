//! Tests of single values: what an operator and its values mean for a value of a field.
//!
//! The meanings are those of `flt_compare` in `userspace/libsinsp/filter_compare.cpp` (falcosecurity/libs). A field that has no value fails
//! every test, also `!=`.

use std::collections::HashSet;
use std::net::IpAddr;

use regex::bytes::{Regex, RegexBuilder};

use super::fact::Fact;
use super::glob::Glob;
use super::paths::PathSet;
use crate::condition::{Modifier, Operator};

/// Most bytes that a regular expression may become.
const REGEX_BYTES: usize = 10 << 20;

/// A test of a value.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// There is a value.
    Exists,
    /// It is one of these.
    OneOf(Set),
    /// It is none of these; of one value only.
    NoneOf(Set),
    /// A number compares so with another.
    Compared(Operator, i128),
    /// A text has this.
    Text(TextTest),
    /// So many of these hold.
    Several(Modifier, Vec<Test>),
}

/// Values that are looked up.
#[derive(Debug, Clone)]
pub(crate) enum Set {
    /// Texts.
    Texts(HashSet<Vec<u8>>),
    /// Numbers.
    Numbers(HashSet<i128>),
    /// Truth values: false, true.
    Bools([bool; 2]),
    /// Addresses.
    Addresses(HashSet<IpAddr>),
    /// Networks.
    Nets(Vec<Net>),
}

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Net {
    address: IpAddr,
    prefix: u8,
}

/// What a text must have.
#[derive(Debug, Clone)]
pub(crate) enum TextTest {
    Contains(Vec<u8>),
    /// In small letters.
    ContainsAnyCase(Vec<u8>),
    StartsWith(Vec<u8>),
    EndsWith(Vec<u8>),
    Glob(Glob),
    Regex(Box<Regex>),
    Below(PathSet),
    Compared(Operator, Vec<u8>),
}

impl Net {
    /// Reads `10.0.0.0/8`, or an address alone, which is a network of one.
    pub(crate) fn parse(text: &str) -> Option<Net> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        (prefix <= most).then_some(Net { address, prefix })
    }

    /// Whether an address is in it; one of the other family never is.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (net.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (net.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

/// A regular expression for whole texts.
pub(super) fn whole(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{text})$")).size_limit(REGEX_BYTES).build()
}

impl Set {
    /// Values of one kind; `None` where they are of several.
    fn of(facts: &[Fact<'_>]) -> Option<Set> {
        match facts.first()? {
            Fact::Text(_) => {
                let text = |fact: &Fact<'_>| match fact {
                    Fact::Text(text) => Some(text.to_vec()),
                    _ => None,
                };
                facts.iter().map(text).collect::<Option<_>>().map(Set::Texts)
            }
            Fact::Unsigned(_) | Fact::Signed(_) => {
                facts.iter().map(number).collect::<Option<_>>().map(Set::Numbers)
            }
            Fact::Bool(value) => Some(Set::Bools([!value, *value])),
            Fact::Address(_) => {
                let address = |fact: &Fact<'_>| match fact {
                    Fact::Address(address) => Some(*address),
                    _ => None,
                };
                facts.iter().map(address).collect::<Option<_>>().map(Set::Addresses)
            }
            Fact::Many(_) | Fact::Ends(_) => None,
        }
    }

    fn holds(&self, fact: &Fact<'_>) -> bool {
        match (self, fact) {
            (Set::Texts(texts), Fact::Text(text)) => texts.contains(text.as_ref()),
            (Set::Numbers(numbers), fact) => number(fact).is_some_and(|number| numbers.contains(&number)),
            (Set::Bools(bools), Fact::Bool(value)) => bools[usize::from(*value)],
            (Set::Addresses(addresses), Fact::Address(address)) => addresses.contains(address),
            (Set::Nets(nets), Fact::Address(address)) => nets.iter().any(|net| net.contains(*address)),
            _ => false,
        }
    }
}

fn number(fact: &Fact<'_>) -> Option<i128> {
    match fact {
        Fact::Unsigned(number) => Some(i128::from(*number)),
        Fact::Signed(number) => Some(i128::from(*number)),
        _ => None,
    }
}

/// Whether an order is what an operator asks for.
fn orders(operator: Operator, order: std::cmp::Ordering) -> bool {
    match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        _ => false,
    }
}

impl Test {
    /// The test that an operator makes with values that are known only now; `None` where they make none. Operators of one value take the first.
    pub(crate) fn against(operator: Operator, right: &Fact<'_>) -> Option<Test> {
        let facts = match right {
            Fact::Many(facts) | Fact::Ends(facts) => facts.as_slice(),
            fact => std::slice::from_ref(fact),
        };
        let first = facts.first()?;
        let set = if operator.takes_list() { Set::of(facts) } else { Set::of(std::slice::from_ref(first)) };
        match operator {
            Operator::Exists => Some(Test::Exists),
            Operator::Equal | Operator::In | Operator::Intersects => set.map(Test::OneOf),
            Operator::NotEqual => set.map(Test::NoneOf),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                match first {
                    Fact::Text(text) => Some(Test::Text(TextTest::Compared(operator, text.to_vec()))),
                    fact => number(fact).map(|number| Test::Compared(operator, number)),
                }
            }
            Operator::PathPrefix => {
                let mut paths = PathSet::default();
                for fact in facts {
                    let Fact::Text(path) = fact else { return None };
                    paths.insert(path).ok()?;
                }
                Some(Test::Text(TextTest::Below(paths)))
            }
            _ => {
                let Fact::Text(text) = first else { return None };
                TextTest::against(operator, text).map(Test::Text)
            }
        }
    }

    /// Whether the value of a field passes. `is_list` and `whole` tell what several values mean: of a list all must be in a set for `in`.
    pub(crate) fn passes(&self, fact: &Fact<'_>, is_list: bool, operator: Operator) -> bool {
        match fact {
            Fact::Many(facts) if is_list && operator == Operator::In => {
                !facts.is_empty() && facts.iter().all(|fact| self.one(fact))
            }
            Fact::Many(facts) => facts.iter().any(|fact| self.one(fact)),
            Fact::Ends(ends) if operator == Operator::NotEqual => {
                !ends.is_empty() && ends.iter().all(|fact| self.one(fact))
            }
            Fact::Ends(ends) => ends.iter().any(|fact| self.one(fact)),
            fact => self.one(fact),
        }
    }

    fn one(&self, fact: &Fact<'_>) -> bool {
        match self {
            Test::Exists => true,
            Test::OneOf(set) => set.holds(fact),
            Test::NoneOf(set) => !set.holds(fact),
            Test::Compared(operator, with) => {
                number(fact).is_some_and(|number| orders(*operator, number.cmp(with)))
            }
            Test::Text(test) => matches!(fact, Fact::Text(text) if test.passes(text)),
            Test::Several(modifier, tests) => {
                let n_passed = tests.iter().filter(|test| test.one(fact)).count();
                match modifier {
                    Modifier::OneOf => n_passed == 1,
                    Modifier::AnyOf => n_passed > 0,
                    Modifier::AllOf => n_passed == tests.len(),
                }
            }
        }
    }
}

impl TextTest {
    fn against(operator: Operator, text: &[u8]) -> Option<TextTest> {
        let bytes = text.to_vec();
        Some(match operator {
            Operator::Contains | Operator::ContainsBytes => TextTest::Contains(bytes),
            Operator::ContainsAnyCase => TextTest::ContainsAnyCase(bytes.to_ascii_lowercase()),
            Operator::StartsWith | Operator::StartsWithBytes => TextTest::StartsWith(bytes),
            Operator::EndsWith => TextTest::EndsWith(bytes),
            Operator::Glob => TextTest::Glob(Glob::new(text, false).ok()?),
            Operator::GlobAnyCase => TextTest::Glob(Glob::new(text, true).ok()?),
            Operator::Regex => {
                let text = std::str::from_utf8(text).ok()?;
                TextTest::Regex(Box::new(whole(text).ok()?))
            }
            _ => return None,
        })
    }

    fn passes(&self, text: &[u8]) -> bool {
        match self {
            TextTest::Contains(part) => contains(text, part),
            TextTest::ContainsAnyCase(part) => contains(&text.to_ascii_lowercase(), part),
            TextTest::StartsWith(part) => text.starts_with(part),
            TextTest::EndsWith(part) => text.ends_with(part),
            TextTest::Glob(glob) => glob.fits(text),
            TextTest::Regex(regex) => regex.is_match(text),
            TextTest::Below(paths) => paths.covers(text),
            TextTest::Compared(operator, with) => orders(*operator, text.cmp(with.as_slice())),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn texts(values: &[&str]) -> Set {
        Set::Texts(values.iter().map(|value| value.as_bytes().to_vec()).collect())
    }

    fn text(value: &str) -> Fact<'_> {
        Fact::Text(Cow::Borrowed(value.as_bytes()))
    }

    #[test]
    fn several_values_mean_any_of_them() {
        let above = Fact::Many(vec![text("bash"), text("sshd")]);
        let is = |set: &[&str]| Test::OneOf(texts(set));
        assert!(is(&["sshd"]).passes(&above, false, Operator::Equal));
        assert!(Test::NoneOf(texts(&["sshd"])).passes(&above, false, Operator::NotEqual));
        assert!(!is(&["bash"]).passes(&above, true, Operator::In));
        assert!(is(&["bash", "sshd", "x"]).passes(&above, true, Operator::In));
        assert!(is(&["bash"]).passes(&above, true, Operator::Intersects));
        assert!(!is(&["bash"]).passes(&Fact::Many(Vec::new()), true, Operator::In));
    }

    #[test]
    fn both_ends_must_differ() {
        let address = |text: &str| Fact::Address(text.parse().expect("an address"));
        let ends = Fact::Ends(vec![address("10.0.0.1"), address("1.1.1.1")]);
        let net = |text: &str| Set::Nets(vec![Net::parse(text).expect("a network")]);
        assert!(Test::OneOf(net("10.0.0.0/8")).passes(&ends, false, Operator::Equal));
        assert!(!Test::NoneOf(net("10.0.0.0/8")).passes(&ends, false, Operator::NotEqual));
        assert!(Test::NoneOf(net("192.168.0.0/16")).passes(&ends, false, Operator::NotEqual));
        assert!(Test::NoneOf(net("fd00::/8")).passes(&ends, false, Operator::NotEqual));
        assert!(!Test::OneOf(net("::/0")).passes(&ends, false, Operator::Equal));
    }

    #[test]
    fn networks_have_their_bounds() {
        let inside = |net: &str, address: &str| {
            Net::parse(net).expect("a network").contains(address.parse().expect("an address"))
        };
        assert!(inside("10.1.2.3", "10.1.2.3") && !inside("10.1.2.3", "10.1.2.4"));
        assert!(inside("0.0.0.0/0", "8.8.8.8") && inside("172.16.0.0/12", "172.31.255.255"));
        assert!(!inside("172.16.0.0/12", "172.32.0.0") && inside("fe80::/10", "fe80::1"));
        assert_eq!(Net::parse("10.0.0.0/33"), None);
        assert_eq!(Net::parse("10.0.0"), None);
    }

    #[test]
    fn texts_are_bytes() {
        let passes =
            |test: TextTest, value: &str| Test::Text(test).passes(&text(value), false, Operator::Contains);
        assert!(passes(TextTest::ContainsAnyCase(b"sys_mod".to_vec()), "CAP_SYS_MODULE"));
        assert!(passes(TextTest::Contains(Vec::new()), ""));
        assert!(passes(TextTest::Compared(Operator::Less, b"b".to_vec()), "a"));
        assert!(!Test::Compared(Operator::Less, 3).passes(&text("1"), false, Operator::Less));
        assert!(Test::Compared(Operator::GreaterOrEqual, 0).passes(
            &Fact::Unsigned(0),
            false,
            Operator::GreaterOrEqual
        ));
        assert!(!Test::Compared(Operator::GreaterOrEqual, 0).passes(
            &Fact::Signed(-1),
            false,
            Operator::GreaterOrEqual
        ));
    }

    #[test]
    fn modifiers_count() {
        let starts = |part: &str| Test::Text(TextTest::StartsWith(part.as_bytes().to_vec()));
        let several = |modifier| Test::Several(modifier, vec![starts("/etc"), starts("/e"), starts("/usr")]);
        let passes = |modifier| several(modifier).passes(&text("/etc/x"), false, Operator::StartsWith);
        assert!(passes(Modifier::AnyOf) && !passes(Modifier::AllOf) && !passes(Modifier::OneOf));
    }
}
