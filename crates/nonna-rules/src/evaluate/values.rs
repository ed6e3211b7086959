//! Values in conditions, read as what the field holds.
//!
//! Which operators go with which fields is `flt_is_comparable` in `userspace/libsinsp/filter_compare.cpp` (falcosecurity/libs).

use nonna_diag::{Diagnostic, Span};

use super::compile::is_text;
use super::glob::{Glob, GlobError};
use super::made::Shape;
use super::paths::PathSet;
use super::test::{Net, Set, Test, TextTest, whole};
use crate::condition::{Check, Literal, Modifier, Operator, Right};
use crate::fields::FieldType;
use crate::slugs;

/// The test that a check makes of a field; `None` where it is wrong.
pub(super) fn test(name: &str, shape: Shape, check: &Check) -> (Option<Test>, Vec<Diagnostic>) {
    let mut reader = Reader { name, shape, wrong: Vec::new() };
    let test = reader.test(check);
    (test.filter(|_| reader.wrong.is_empty()), reader.wrong)
}

/// Whether an operator goes with what is tested; if not, why.
pub(super) fn goes_with(name: &str, shape: Shape, check: &Check) -> Option<Diagnostic> {
    let reader = Reader { name, shape, wrong: Vec::new() };
    (!reader.goes_with(check.operator)).then(|| reader.mismatch(check))
}

struct Reader<'f> {
    /// What is tested, as it is written.
    name: &'f str,
    shape: Shape,
    wrong: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn test(&mut self, check: &Check) -> Option<Test> {
        let operator = check.operator;
        if !self.goes_with(operator) {
            self.wrong.push(self.mismatch(check));
            return None;
        }
        let values: Vec<&Literal> = match &check.right {
            Right::Nothing => return Some(Test::Exists),
            Right::Value(value) => vec![value],
            Right::List(values) => values.iter().collect(),
            Right::Name(_) | Right::Operand(_) => return None,
        };
        match check.modifier {
            Some(modifier) => {
                let tests: Vec<Option<Test>> =
                    values.iter().map(|value| self.single(operator, &[value])).collect();
                let tests = tests.into_iter().collect::<Option<Vec<_>>>()?;
                Some(simplest(modifier, operator, tests))
            }
            None => self.single(operator, &values),
        }
    }

    fn mismatch(&self, check: &Check) -> Diagnostic {
        let list = if self.shape.is_list { "a list of " } else { "" };
        let message = format!(
            "`{}` does not go with `{}`, which is {list}{}",
            check.operator.name(),
            self.name,
            self.shape.field_type.name()
        );
        let diagnostic =
            Diagnostic::new(&slugs::OPERATOR_MISMATCH, message).label(check.operator_span, "here");
        diagnostic.help(self.operators())
    }

    /// Whether an operator goes with the field.
    fn goes_with(&self, operator: Operator) -> bool {
        use Operator as O;
        let equality = matches!(operator, O::Exists | O::Equal | O::NotEqual | O::In | O::Intersects);
        if self.shape.is_list {
            return matches!(operator, O::Exists | O::In | O::Intersects);
        }
        match self.shape.field_type {
            FieldType::Text | FieldType::Path => !matches!(operator, O::ContainsBytes | O::StartsWithBytes),
            FieldType::Bytes => {
                equality
                    || matches!(
                        operator,
                        O::Contains | O::ContainsBytes | O::StartsWith | O::StartsWithBytes | O::EndsWith
                    )
            }
            FieldType::Bool | FieldType::Address | FieldType::Net => equality,
            FieldType::Unsigned
            | FieldType::Signed
            | FieldType::Port
            | FieldType::Time
            | FieldType::Duration => equality || operator.compares(),
        }
    }

    fn operators(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (name, operator) in Operator::ALL {
            if name != "==" && self.goes_with(operator) {
                names.push(name);
            }
        }
        format!("these do: {}", names.join(" "))
    }

    /// The test of one operator with all its values.
    fn single(&mut self, operator: Operator, values: &[&Literal]) -> Option<Test> {
        use Operator as O;
        match operator {
            O::Exists => Some(Test::Exists),
            O::Equal | O::In | O::Intersects => self.set(values).map(Test::OneOf),
            O::NotEqual => self.set(values).map(Test::NoneOf),
            O::Less | O::LessOrEqual | O::Greater | O::GreaterOrEqual => {
                let value = values.first()?;
                if is_text(self.shape.field_type) {
                    return Some(Test::Text(TextTest::Compared(operator, value.bytes.clone())));
                }
                self.number(value).map(|number| Test::Compared(operator, number))
            }
            O::PathPrefix => {
                let mut paths = PathSet::default();
                for value in values {
                    if let Err(error) = paths.insert(&value.bytes) {
                        self.bad_pattern::<Test>(value.span, &error);
                    }
                }
                Some(Test::Text(TextTest::Below(paths)))
            }
            _ => self.text(operator, values.first()?).map(Test::Text),
        }
    }

    fn text(&mut self, operator: Operator, value: &Literal) -> Option<TextTest> {
        let bytes = value.bytes.clone();
        Some(match operator {
            Operator::Contains => TextTest::Contains(bytes),
            Operator::ContainsAnyCase => TextTest::ContainsAnyCase(bytes.to_ascii_lowercase()),
            Operator::StartsWith => TextTest::StartsWith(bytes),
            Operator::EndsWith => TextTest::EndsWith(bytes),
            Operator::ContainsBytes => TextTest::Contains(self.hex(value)?),
            Operator::StartsWithBytes => TextTest::StartsWith(self.hex(value)?),
            Operator::Glob | Operator::GlobAnyCase => {
                match Glob::new(&bytes, operator == Operator::GlobAnyCase) {
                    Ok(glob) => TextTest::Glob(glob),
                    Err(error) => return self.bad_pattern(value.span, &error),
                }
            }
            Operator::Regex => {
                let Ok(text) = std::str::from_utf8(&bytes) else {
                    return self.bad(
                        value.span,
                        "this is no regular expression: it is not UTF-8".to_owned(),
                        "",
                    );
                };
                match whole(text) {
                    Ok(regex) => TextTest::Regex(Box::new(regex)),
                    Err(error) => {
                        let reason = error.to_string();
                        let last = reason.lines().last().unwrap_or_default();
                        let why = last.trim_start_matches("error: ");
                        return self.bad(value.span, format!("this is no regular expression: {why}"), "");
                    }
                }
            }
            _ => return None,
        })
    }

    fn bad<T>(&mut self, span: Span, message: String, help: &str) -> Option<T> {
        let mut diagnostic = Diagnostic::new(&slugs::BAD_VALUE, message).label(span, "here");
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.wrong.push(diagnostic);
        None
    }

    fn bad_pattern<T>(&mut self, span: Span, error: &GlobError) -> Option<T> {
        match error {
            GlobError::Negation => {
                let help = "write `not` before the test instead";
                self.bad(span, "`!(…)` is not understood in patterns".to_owned(), help)
            }
            GlobError::TooLarge => self.bad(span, "this pattern is too large".to_owned(), ""),
        }
    }

    fn hex(&mut self, value: &Literal) -> Option<Vec<u8>> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits: Option<Vec<u8>> = value.bytes.iter().map(digit).collect();
        match digits.filter(|digits| digits.len() % 2 == 0) {
            Some(digits) => Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
            None => {
                let help = "write two digits for each byte, such as `cafebabe`";
                self.bad(value.span, "bytes should stand here in hexadecimal".to_owned(), help)
            }
        }
    }

    fn set(&mut self, values: &[&Literal]) -> Option<Set> {
        let field_type = self.shape.field_type;
        match field_type {
            FieldType::Text | FieldType::Path | FieldType::Bytes => {
                Some(Set::Texts(values.iter().map(|value| value.bytes.clone()).collect()))
            }
            FieldType::Bool => {
                let mut bools = [false; 2];
                for value in values {
                    match value.bytes.as_slice() {
                        b"true" => bools[1] = true,
                        b"false" => bools[0] = true,
                        _ => {
                            let message = format!("`{}` is neither `true` nor `false`", shown(value));
                            self.bad::<Set>(value.span, message, "");
                        }
                    }
                }
                Some(Set::Bools(bools))
            }
            FieldType::Address => {
                let addresses: Vec<_> = values.iter().filter_map(|value| self.address(value)).collect();
                Some(Set::Addresses(addresses.into_iter().collect()))
            }
            FieldType::Net => {
                let nets = values.iter().filter_map(|value| self.net(value)).collect();
                Some(Set::Nets(nets))
            }
            FieldType::Unsigned
            | FieldType::Signed
            | FieldType::Port
            | FieldType::Time
            | FieldType::Duration => {
                let numbers: Vec<_> = values.iter().filter_map(|value| self.number(value)).collect();
                Some(Set::Numbers(numbers.into_iter().collect()))
            }
        }
    }

    fn address(&mut self, value: &Literal) -> Option<std::net::IpAddr> {
        let found = std::str::from_utf8(&value.bytes).ok().and_then(|text| text.parse().ok());
        found.or_else(|| {
            let message = format!("`{}` is no address", shown(value));
            self.bad(
                value.span,
                message,
                "addresses look like `10.0.0.1` or `fd00::1`; networks are for `fd.net`",
            )
        })
    }

    fn net(&mut self, value: &Literal) -> Option<Net> {
        let found = std::str::from_utf8(&value.bytes).ok().and_then(Net::parse);
        found.or_else(|| {
            let message = format!("`{}` is no network", shown(value));
            self.bad(value.span, message, "networks look like `10.0.0.0/8` or `fd00::/8`")
        })
    }

    fn number(&mut self, value: &Literal) -> Option<i128> {
        let text = String::from_utf8_lossy(&value.bytes).into_owned();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let mut number = match digits {
            Some(digits) => i128::from_str_radix(digits, 16).ok(),
            None => text.parse::<i128>().ok(),
        };
        let field_type = self.shape.field_type;
        if field_type == FieldType::Port {
            number = number.or_else(|| service(&text).map(i128::from));
        }
        let range = match field_type {
            FieldType::Signed => i128::from(i64::MIN)..=i128::from(i64::MAX),
            FieldType::Port => 0..=i128::from(u16::MAX),
            _ => 0..=i128::from(u64::MAX),
        };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let what = if field_type == FieldType::Port { "port" } else { "number" };
        let message = match number {
            Some(_) => format!("`{text}` is outside of what `{}` can be", self.name),
            None => format!("`{text}` is no {what}"),
        };
        self.bad(value.span, message, "")
    }
}

fn shown(value: &Literal) -> String {
    String::from_utf8_lossy(&value.bytes).into_owned()
}

/// Several tests as one, where that says the same: any of several values is a set of them.
fn simplest(modifier: Modifier, operator: Operator, tests: Vec<Test>) -> Test {
    let is_any = modifier == Modifier::AnyOf && operator == Operator::Equal;
    let all_texts = tests.iter().all(|test| matches!(test, Test::OneOf(Set::Texts(_))));
    if !is_any || !all_texts {
        return Test::Several(modifier, tests);
    }
    let texts = tests.into_iter().flat_map(|test| match test {
        Test::OneOf(Set::Texts(texts)) => texts,
        _ => std::collections::HashSet::new(),
    });
    Test::OneOf(Set::Texts(texts.collect()))
}

/// Ports by the names of their services, as `/etc/services` has them everywhere.
const SERVICES: [(&str, u16); 40] = [
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("whois", 43),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("irc", 194),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("rsync", 873),
    ("ftps", 990),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("nfs", 2049),
    ("mysql", 3306),
    ("postgresql", 5432),
];

fn service(name: &str) -> Option<u16> {
    SERVICES.iter().find(|(known, _)| *known == name).map(|(_, port)| *port)
}
