//! Rule files: any text is loaded or told what is wrong with it, and the rules that are left can be asked.

use nonna_diag::SourceId;
use nonna_rules::EventType;
use nonna_rules::evaluate::{Fact, Facts, FieldUse, Matching, RuleSet, Scratch};
use nonna_rules::fields::FieldType;
use nonna_rules::load::Collection;

/// An event that has something in every field.
struct Anything;

impl Facts for Anything {
    fn event_type(&self) -> EventType {
        EventType::find("openat").expect("it is a system call")
    }

    fn get(&self, field: &FieldUse) -> Option<Fact<'_>> {
        Some(match field.field.field_type {
            FieldType::Text | FieldType::Path | FieldType::Bytes => Fact::Text(b"/etc/shadow"[..].into()),
            FieldType::Unsigned | FieldType::Port | FieldType::Time | FieldType::Duration => {
                Fact::Unsigned(3)
            }
            FieldType::Signed => Fact::Signed(-1),
            FieldType::Bool => Fact::Bool(true),
            FieldType::Address | FieldType::Net => Fact::Address([10, 0, 0, 5].into()),
        })
    }
}

/// The target. The input is a rule file.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(&input[..input.len().min(1 << 16)]);
    let mut collection = Collection::new();
    for diagnostic in collection.add(SourceId(0), &text) {
        assert!(!diagnostic.message.is_empty(), "a diagnostic says something");
    }
    let (rules, _) = RuleSet::new(&collection);
    rules.matches(&Anything, Matching::All, &mut Scratch::default(), |rule| {
        assert!(collection.rules.at(rule.0 as usize).is_some(), "a rule that fits is there");
    });
}

/// Rule files with everything in them, and conditions in one.
pub fn seeds() -> Vec<Vec<u8>> {
    let conditions = [
        "evt.type in (open, openat) and (fd.name startswith /etc or not proc.aname[2] = sshd)",
        "fd.name pmatch (/etc, /usr/*/bin) and fd.name glob \"*/../*\" and proc.cmdline regex \".*(a|b)+\"",
        "fd.net != \"10.0.0.0/8\" and fd.sport in (22, https) and fd.sip = \"2001:db8::1\"",
        "toupper(proc.name) = val(basename(proc.exe)) or len(fd.name) > 3 and evt.arg.flags contains O_CREAT",
        "evt.rawres >= -1 and user.loginuid = -1 and evt.is_open_read = true and k8s.ns.name exists",
    ];
    let rule = |condition: &&str| {
        format!(
            "- rule: r\n  desc: d\n  condition: {condition}\n  output: o %fd.name %proc.aname[2]\n  priority: INFO\n"
        )
    };
    let mut seeds: Vec<Vec<u8>> = conditions.iter().map(|condition| rule(condition).into_bytes()).collect();
    seeds.push(
        b"- required_engine_version: 0.31.0\n- list: l\n  items: [a, '\"b c\"', l2]\n- macro: m\n  condition: (proc.name in (l))\n\
          - rule: r\n  desc: d\n  condition: m and evt.type = open\n  output: o\n  priority: WARNING\n  exceptions:\n    - name: e\n      \
          fields: [proc.name, fd.name]\n      comps: [=, startswith]\n      values:\n        - [a, /b]\n- rule: r\n  \
          override:\n    condition: append\n  condition: and fd.num >= 0\n- macro: m\n  append: true\n  condition: or m2\n"
            .to_vec(),
    );
    seeds
}
