//! Rules and events: which fit, and what is said of rules that make no sense.

use std::collections::HashMap;
use std::path::Path;

use nonna_diag::{Diagnostic, SourceId};

use super::*;
use crate::event_types::EventType;
use crate::load::Collection;

/// An event that is written down.
struct Written<'t> {
    event_type: &'t str,
    fields: HashMap<&'t str, Fact<'t>>,
}

impl Facts for Written<'_> {
    fn event_type(&self) -> EventType {
        EventType::find(self.event_type).expect("a type")
    }

    fn get(&self, field: &FieldUse) -> Option<Fact<'_>> {
        if field.field.name == "evt.type" {
            return Some(Fact::Text(self.event_type.as_bytes().into()));
        }
        let name = match &field.argument {
            None => field.field.name.to_owned(),
            Some(FieldArgument::Index(index)) => format!("{}[{index}]", field.field.name),
            Some(FieldArgument::Key(key)) => format!("{}.{key}", field.field.name),
        };
        self.fields.get(name.as_str()).cloned()
    }
}

fn event<'t>(event_type: &'t str, fields: &[(&'t str, Fact<'t>)]) -> Written<'t> {
    Written { event_type, fields: fields.iter().cloned().collect() }
}

fn text(value: &str) -> Fact<'_> {
    Fact::Text(value.as_bytes().into())
}

fn rules(conditions: &[&str]) -> (RuleSet, Vec<Diagnostic>) {
    let mut file = String::new();
    for (index, condition) in conditions.iter().enumerate() {
        file.push_str(&format!(
            "- rule: r{index}\n  desc: d\n  condition: |2-\n    {condition}\n  output: o\n  priority: INFO\n"
        ));
    }
    let mut collection = Collection::new();
    let diagnostics = collection.add(SourceId(0), &file);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    RuleSet::new(&collection)
}

fn found(rules: &RuleSet, event: &Written<'_>, matching: Matching) -> Vec<u32> {
    let mut found = Vec::new();
    rules.matches(event, matching, &mut Scratch::default(), |RuleIdx(rule)| found.push(rule));
    found
}

/// Whether a condition holds for a start of a program with these fields.
#[track_caller]
fn holds(condition: &str, fields: &[(&str, Fact<'_>)]) -> bool {
    let (set, diagnostics) = rules(&[condition]);
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
    assert!(errors.is_empty(), "{condition}: {errors:?}");
    !found(&set, &event("execve", fields), Matching::First).is_empty()
}

#[track_caller]
fn wrong(condition: &str, slug: &str) {
    let (_, diagnostics) = rules(&[condition]);
    assert!(diagnostics.iter().any(|found| found.slug.name == slug), "{condition}: {diagnostics:?}");
}

#[test]
fn a_missing_field_fails_every_test() {
    assert!(!holds("proc.name != bash", &[]));
    assert!(holds("not proc.name = bash", &[]));
    assert!(!holds("proc.name exists", &[]));
    assert!(!holds("proc.name = bash or proc.pname != x", &[]));
    assert!(holds("proc.name != bash", &[("proc.name", text("sh"))]));
}

#[test]
fn operators_on_values() {
    let name = [("proc.name", text("nginx")), ("fd.name", text("/etc/nginx/nginx.conf"))];
    assert!(holds("proc.name in (apache2, nginx) and fd.name startswith /etc/", &name));
    assert!(holds("fd.name pmatch (/var, /etc/nginx) and fd.name endswith .conf", &name));
    assert!(holds("fd.name glob '/etc/*/*.conf' and fd.name regex '/etc/[a-z]+/.*'", &name));
    assert!(!holds("fd.name regex 'nginx'", &name));
    assert!(holds("fd.name icontains NGINX and fd.name contains anyof (x, nginx)", &name));
    assert!(!holds("proc.name intersects (a, b)", &name));
    let numbers = [
        ("proc.pid", Fact::Signed(-1)),
        ("fd.sport", Fact::Unsigned(443)),
        ("fd.connected", Fact::Bool(true)),
    ];
    assert!(holds(
        "proc.pid < 0 and fd.sport = https and fd.sport in (80, 443) and fd.connected = true",
        &numbers
    ));
    assert!(!holds("fd.sport != 443 or fd.connected = false", &numbers));
    assert!(holds("evt.arg.flags contains O_TRUNC", &[("evt.arg.flags", text("O_WRONLY|O_TRUNC"))]));
    assert!(holds(
        "evt.buffer bcontains cafebabe",
        &[("evt.buffer", Fact::Text(b"\x01\xca\xfe\xba\xbe".as_slice().into()))]
    ));
}

/// The cases of `getopt` are those of `sinsp_filtercheck_multivalue_transformer.h` (falcosecurity/libs).
#[test]
fn transformers_make_values() {
    let fields = [
        ("proc.name", text("Bash")),
        ("proc.exepath", text("/usr/bin/bash")),
        ("proc.pname", text("YmFzaA==")),
        ("fd.types", Fact::Many(vec![text("-nt"), text("x"), text("--long"), text("-p80"), text("rest")])),
    ];
    for condition in [
        "tolower(proc.name) = bash and toupper(proc.name) = BASH and not toupper(proc.name) = Bash",
        "b64(proc.pname) = bash and not b64(proc.exepath) exists",
        "basename(proc.exepath) = bash and basename(proc.name) = Bash and basename('/a/') = ''",
        "len(proc.name) = 4 and len(fd.types) > 4 and len(concat(proc.name, '-', proc.exepath)) = 18",
        "toupper(basename(proc.exepath)) in (SH, BASH) and tolower(proc.name) startswith ba",
        "join('+', ('a', 'b')) = a+b and join(',', fd.types) startswith '-nt,x'",
        "getopt(fd.types, 'nt:p:') intersects (n) and getopt(fd.types, 'nt:p:') in (n, t, x, p, 80)",
        "getopt(fd.types, 'nt:p:')[t] = x and getopt(fd.types, 'nt:p:')[p] = 80 and getopt(fd.types, 'n')[n] = n",
        "not getopt(fd.types, 'nt:p:')[z] exists and getopt(('-t'), 't:')[t] = '' and getopt(('-x'), 'n') in ('?')",
        "not getopt(('a', '-n'), 'n') intersects (n) and not getopt(('--', '-n'), 'n') intersects (n)",
        "basename(proc.exepath) = tolower(proc.name) and proc.exepath endswith tolower(proc.name)",
        "proc.name = val(proc.name) and not proc.name = val(proc.pname) and proc.name != val(proc.pname)",
        "not proc.name = val(proc.cmdline) and not proc.name != val(proc.cmdline)",
        "not tolower(proc.cmdline) = x and not tolower(proc.cmdline) != x and not len(proc.cmdline) >= 0",
    ] {
        assert!(holds(condition, &fields), "{condition}");
    }
}

#[test]
fn base64_is_strict_but_for_its_padding() {
    for (encoded, decoded) in
        [("YWFhYmJi", "aaabbb"), ("YQ", "a"), ("YQ==", "a"), ("YWE", "aa"), ("YWE=", "aa"), ("", "")]
    {
        let fields = [("proc.name", text(encoded))];
        assert!(holds(&format!("b64(proc.name) = '{decoded}'"), &fields), "{encoded}");
    }
    for wrong in ["YQ===", "=", "Y", "YR==", "YW Fh", "YWF-"] {
        assert!(!holds("b64(proc.name) exists", &[("proc.name", text(wrong))]), "{wrong}");
    }
}

#[test]
fn transformers_have_types() {
    wrong("tolower(proc.pid) = x", "operator-mismatch");
    wrong("len(proc.pid) = 3", "operator-mismatch");
    wrong("len(proc.name) contains 3", "operator-mismatch");
    wrong("len(proc.name) = abc", "bad-value");
    wrong("tolower(proc.name, proc.pname) = x", "operator-mismatch");
    wrong("concat(proc.name) = x", "operator-mismatch");
    wrong("join(proc.name, proc.pname) = x", "operator-mismatch");
    wrong("getopt(proc.name, 'n') intersects (n)", "operator-mismatch");
    wrong("getopt(fd.types, 'n')[nn] = x", "operator-mismatch");
    wrong("tolower(proc.name)[3] = x", "operator-mismatch");
    wrong("proc.pid = val(proc.name)", "operator-mismatch");
    wrong("proc.name = val(proc.nmae)", "unknown-rule-field");
    wrong("tolower(proc.nmae) = x", "unknown-rule-field");
}

#[test]
fn all_names_above_are_one_field() {
    let above =
        [("proc.aname", Fact::Many(vec![text("bash"), text("sshd")])), ("proc.aname[2]", text("sshd"))];
    assert!(holds("proc.aname = sshd and proc.aname in (x, bash) and proc.aname[2] = sshd", &above));
    assert!(!holds("proc.aname[2] = bash or proc.aname startswith x", &above));
}

#[test]
fn the_first_rule_or_all() {
    let (set, _) =
        rules(&["evt.type = execve", "evt.type in (open, execve) and proc.name = x", "evt.type = open"]);
    let start = event("execve", &[("proc.name", text("x"))]);
    assert_eq!(found(&set, &start, Matching::First), [0]);
    assert_eq!(found(&set, &start, Matching::All), [0, 1]);
    assert_eq!(found(&set, &event("open", &[]), Matching::All), [2]);
    assert_eq!(found(&set, &event("close", &[]), Matching::All), Vec::<u32>::new());
}

#[test]
fn types_of_events_follow_from_conditions() {
    let types = |condition: &str| rules(&[condition]).0.event_types().len();
    let all = crate::event_types::EventTypes::every().len();
    assert_eq!(types("evt.type = open"), 1);
    assert_eq!(types("evt.type in (open, openat) and proc.name = x"), 2);
    assert_eq!(types("evt.type = open or proc.name = x"), all);
    assert_eq!(types("not evt.type = open"), all - 1);
    assert_eq!(types("not (evt.type = open or evt.type = close)"), all - 2);
    assert_eq!(types("not (evt.type = open and proc.name = x)"), all);
    assert_eq!(types("evt.type startswith execve"), 2);
    wrong("evt.type = open and evt.type = close", "event-types");
    wrong("proc.name = x", "event-types");
    wrong("evt.type = opn", "unknown-event-type");
}

#[test]
fn what_makes_no_sense_is_said() {
    wrong("proc.nmae = x", "unknown-rule-field");
    wrong("proc.name[2] = x", "bad-field-argument");
    wrong("proc.aname[x] = y", "bad-field-argument");
    wrong("thread.cgroup = x", "bad-field-argument");
    wrong("proc.pid contains 3", "operator-mismatch");
    wrong("fd.types = file", "operator-mismatch");
    wrong("proc.pid = abc", "bad-value");
    wrong("fd.sport = 70000", "bad-value");
    wrong("fd.sip = 10.0.0.0/8", "bad-value");
    wrong("fd.snet = 10.0.0.0/40", "bad-value");
    wrong("proc.name regex '(x'", "bad-value");
    wrong("proc.name glob '!(x)'", "bad-value");
    wrong("evt.buffer bcontains xyz", "bad-value");
    wrong("fd.connected = maybe", "bad-value");
    wrong("evt.type = open and proc.vmsize > 3", "unavailable-field");
    wrong("evt.type = open and evt.dir = <", "old-field");
}

#[test]
fn a_macro_is_read_even_if_no_rule_uses_it() {
    let rule = "- rule: r\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";
    let text = format!(
        "{rule}- macro: inner\n  condition: proc.nmae = x\n- macro: outer\n  condition: inner and proc.pid contains 3\n- macro: good\n  condition: fd.sport = 1\n"
    );
    let mut collection = Collection::new();
    collection.add(SourceId(0), &text);
    let (set, diagnostics) = RuleSet::new(&collection);
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
    let told: Vec<_> = errors
        .iter()
        .map(|found| {
            let span = found.primary().expect("a place");
            (found.slug.name, &text[span.start as usize..span.end as usize])
        })
        .collect();
    assert_eq!(told, [("unknown-rule-field", "proc.nmae"), ("operator-mismatch", "contains")]);
    assert_eq!(set.program.slots.iter().map(|slot| slot.field.name).collect::<Vec<_>>(), ["evt.type"]);
}

#[test]
fn a_rule_may_allow_to_be_left_out() {
    let rule = |extra: &str| {
        format!(
            "- rule: new\n  desc: d\n  condition: evt.type = execve and proc.new_field = 1\n  output: o\n  priority: INFO\n{extra}"
        )
    };
    let load = |text: &str| {
        let mut collection = Collection::new();
        collection.add(SourceId(0), text);
        RuleSet::new(&collection)
    };
    let (set, diagnostics) = load(&rule("  skip-if-unknown-filter: true\n"));
    assert!(set.is_empty());
    let slugs: Vec<&str> = diagnostics.iter().map(|found| found.slug.name).collect();
    assert_eq!(slugs, ["skipped-rule"]);
    let (_, diagnostics) = load(&rule(""));
    assert_eq!(diagnostics[0].slug.name, "unknown-rule-field");
}

/// All rules of the official files mean something.
#[test]
fn official_rules_compile() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/falco");
    let mut files = vec![folder.join("falco_rules.yaml")];
    let history = std::fs::read_dir(folder.join("history")).expect("the corpus lies beside the project");
    files.extend(history.map(|file| file.expect("it can be listed").path()));
    for path in files {
        let text = std::fs::read_to_string(&path).expect("the corpus can be read");
        let mut collection = Collection::new();
        collection.add(SourceId(0), &text);
        let (set, diagnostics) = RuleSet::new(&collection);
        let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        let enabled = collection.rules.iter().filter(|rule| rule.enabled && rule.is_for_this_agent()).count();
        assert_eq!(set.len(), enabled, "{}", path.display());
    }
}

#[test]
fn what_one_rule_is_excused_for_another_is_not() {
    let file = "- macro: new\n  condition: proc.brand_new = x\n\
                - rule: excused\n  desc: d\n  condition: evt.type = execve and new\n  output: o\n  priority: INFO\n  skip-if-unknown-filter: true\n\
                - rule: other\n  desc: d\n  condition: evt.type = open and new\n  output: o\n  priority: INFO\n";
    let mut collection = Collection::new();
    assert!(collection.add(SourceId(0), file).is_empty());
    let (rules, diagnostics) = RuleSet::new(&collection);
    let slugs: Vec<&str> = diagnostics.iter().map(|found| found.slug.name).collect();
    assert_eq!(slugs, ["skipped-rule", "unknown-rule-field"]);
    assert!(rules.is_empty());
}

#[test]
fn patterns_are_written_and_do_not_come_with_events() {
    wrong("evt.type = execve and proc.name regex val(proc.cmdline)", "operator-mismatch");
    wrong("evt.type = execve and proc.cwd pmatch val(proc.exepath)", "operator-mismatch");
}
