//! Rules and observations together: nothing that a rule fits is kept back in the kernel.

use std::path::Path;

use nonna_agent::alert::Alerts;
use nonna_agent::facts::event_types;
use nonna_agent::observation::Observation;
use nonna_agent::sample;
use nonna_diag::{Diagnostic, SourceId};
use nonna_event::{EventSchema, Field, FieldType, NameSet, Ring, Text, Value};
use nonna_ir::{FieldValue, Predicate};
use nonna_rules::evaluate::Matching;
use nonna_rules::load::Collection;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;

/// Numbers of calls that are told as opens, and as calls of other programs.
const OPENS: [u64; 4] = [2, 257, 437, 85];

fn field(name: &str, field_type: FieldType) -> Field {
    Field { name: name.to_owned(), field_type, description: String::new() }
}

fn named(set: NameSet) -> FieldType {
    FieldType::Named { set, bytes: 4 }
}

fn schema(name: &str, fields: Vec<Field>) -> EventSchema {
    let mut all = vec![field("call", FieldType::Named { set: NameSet::SystemCall, bytes: 2 })];
    all.extend(fields);
    all.push(field("result", FieldType::Signed { bytes: 8 }));
    EventSchema { id: 1, name: name.to_owned(), fields: all, ring: Ring::Volume }
}

fn file_open(name: &str) -> EventSchema {
    let fields = vec![
        field("file.path", FieldType::Path),
        field("file.raw_path", FieldType::Path),
        field("file.flags", named(NameSet::OpenFlags)),
        field("file.access", named(NameSet::OpenAccess)),
        field("file.created", FieldType::Bool),
        field("file.mode", named(NameSet::FileMode)),
    ];
    schema(name, fields)
}

fn connect() -> EventSchema {
    let fields = vec![
        field("fd", FieldType::Signed { bytes: 4 }),
        field("network.family", named(NameSet::AddressFamily)),
        field("network.protocol", named(NameSet::IpProtocol)),
        field("network.local_address", FieldType::Inet),
        field("network.local_port", FieldType::Unsigned { bytes: 2 }),
        field("network.remote_address", FieldType::Inet),
        field("network.remote_port", FieldType::Unsigned { bytes: 2 }),
    ];
    schema("connect", fields)
}

/// Paths that rules name and some near them.
const PATHS: [&str; 14] = [
    "/etc/shadow",
    "/etc/passwd",
    "/etc/../etc/shadow",
    "/etc/x/y",
    "/etc",
    "/etcetera",
    "/root/.ssh/id_rsa",
    "/root/.bashrc",
    "/bin/sh",
    "/tmp/a",
    "/dev/shm/x.sh",
    "/var/log/syslog",
    "",
    "pipe:[7]",
];
const PROGRAMS: [&str; 6] = ["cat", "sshd", "httpd", "bash", "ln", "nginx"];

fn set(observation: &mut Observation, name: &str, value: Value) {
    if let Some(idx) = observation.event.schema.field_idx(name) {
        observation.event.values[idx] = value;
    }
}

fn text(value: &str) -> Value {
    Value::Text(Text { bytes: value.as_bytes().to_vec(), ..Text::default() })
}

prop_compose! {
    fn observation()(
        kind in 0..3u8,
        call in select(&OPENS[..]),
        path in select(&PATHS[..]),
        raw in select(&PATHS[..]),
        flags in prop_oneof![Just(0u64), Just(1), Just(2), Just(0o1101), Just(0o200_000), any::<u32>().prop_map(u64::from)],
        result in prop_oneof![Just(-13i64), Just(-2), Just(0), Just(3), any::<i64>()],
        family in select(&[1u64, 2, 10, 16, 17][..]),
        address in select(&["127.0.0.1", "8.8.8.8", "10.1.2.3", "::1", "2001:db8::1"][..]),
        port in select(&[22u64, 53, 80, 443, 3333][..]),
        program in select(&PROGRAMS[..]),
        parent in select(&PROGRAMS[..]),
    ) -> Observation {
        let (schema, call) = match kind {
            0 => (file_open("file_open"), call),
            1 => (file_open("file_open_failed"), call),
            _ => (connect(), 42),
        };
        // The kernel tells an open as failed only where it did, and then by the path that was written.
        let (result, raw) = match kind {
            0 => (result & i64::MAX, raw),
            1 => (-13, path),
            _ => (result, raw),
        };
        let mut observation = sample::observation(&schema, ("", ""));
        let values = [
            ("call", Value::Unsigned(call)),
            ("file.path", text(path)),
            ("file.raw_path", text(raw)),
            ("file.flags", Value::Unsigned(flags)),
            ("file.access", Value::Unsigned(flags & 3)),
            ("result", Value::Signed(result)),
            ("network.family", Value::Unsigned(family)),
            ("network.remote_address", Value::Inet(address.parse().expect("it is an address"))),
            ("network.remote_port", Value::Unsigned(port)),
        ];
        for (name, value) in values {
            set(&mut observation, name, value);
        }
        let named = |process: &std::rc::Rc<nonna_agent::process::Process>, name: &str| {
            std::rc::Rc::new(nonna_agent::process::Process {
                name: name.as_bytes().to_vec(),
                ..(**process).clone()
            })
        };
        observation.process = named(&observation.process, program);
        observation.parent = observation.parent.as_ref().map(|process| named(process, parent));
        observation
    }
}

/// A check of a field that the kernel can test, or of one that it cannot.
fn check() -> impl Strategy<Value = String> {
    let path = || select(&PATHS[..12]);
    prop_oneof![
        (
            select(&["fd.name", "fd.directory", "fd.nameraw", "fd.filename"][..]),
            select(&["=", "!=", "startswith", "endswith", "contains"][..]),
            path()
        )
            .prop_map(|(field, operator, path)| format!("{field} {operator} \"{path}\"")),
        (path(), path()).prop_map(|(a, b)| format!("fd.name in (\"{a}\", \"{b}\")")),
        (path(), path()).prop_map(|(a, b)| format!("fd.name pmatch (\"{a}\", \"{b}\")")),
        select(&["shadow", "x.sh", "sh", "syslog", "y"][..]).prop_map(|name| format!("fd.filename = {name}")),
        select(&["shadow", "x.sh", "sh", "log"][..]).prop_map(|name| format!("fd.filename endswith {name}")),
        (select(&["is_open_write", "is_open_read"][..]), any::<bool>())
            .prop_map(|(field, yes)| format!("evt.{field} = {yes}")),
        (select(&["fd.num", "evt.rawres"][..]), select(&["<", "<=", ">", ">=", "=", "!="][..]), -1..4i64)
            .prop_map(|(field, operator, number)| format!("{field} {operator} {number}")),
        (select(&["<", "<=", ">", ">=", "=", "!="][..]), 0..3u8)
            .prop_map(|(operator, number)| format!("evt.num {operator} {number}")),
        select(&["open", "openat", "connect", "execve", "creat"][..])
            .prop_map(|name| format!("evt.type = {name}")),
        Just("evt.type in (open, openat, openat2)".to_owned()),
        Just("evt.type != connect".to_owned()),
        (select(&["f", "d", "4", "6", "u"][..]), any::<bool>())
            .prop_map(|(letter, is)| format!("fd.typechar {} {letter}", if is { "=" } else { "!=" })),
        select(&["file", "directory", "ipv4", "unix"][..]).prop_map(|name| format!("fd.type = {name}")),
        select(&PROGRAMS[..]).prop_map(|name| format!("proc.name = {name}")),
        select(&PROGRAMS[..]).prop_map(|name| format!("proc.pname != {name}")),
        select(&["fd.sip", "fd.name", "fd.l4proto", "proc.name"][..])
            .prop_map(|field| format!("{field} exists")),
        Just("fd.snet in (\"10.0.0.0/8\")".to_owned()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

fn alerts(text: &str) -> Alerts {
    let mut collection = Collection::new();
    let mut diagnostics = collection.add(SourceId(0), text);
    let (alerts, wrong) = Alerts::new(collection, Matching::All);
    diagnostics.extend(wrong);
    assert!(!diagnostics.iter().any(Diagnostic::is_error), "{diagnostics:#?}\n{text}");
    alerts
}

/// Whether the kernel would send the event.
fn is_sent(predicate: Option<&Predicate>, observation: &Observation) -> bool {
    let value = |value: &Value| match value {
        Value::Unsigned(number) => FieldValue::Integer(number.cast_signed()),
        Value::Signed(number) => FieldValue::Integer(*number),
        Value::Bool(yes) => FieldValue::Integer(i64::from(*yes)),
        _ => FieldValue::Other,
    };
    let texts: Vec<FieldValue<'_>> = observation
        .event
        .values
        .iter()
        .map(|found| match found {
            Value::Text(text) => FieldValue::Text(&text.bytes),
            other => value(other),
        })
        .collect();
    predicate.is_none_or(|predicate| predicate.eval(&observation.event.schema, &texts))
}

fn fits(alerts: &mut Alerts, observation: &Observation) -> bool {
    alerts
        .take(observation, |_| Ok::<(), std::convert::Infallible>(()))
        .unwrap_or_else(|never| match never {})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_fits_a_rule_is_sent(conditions in prop::collection::vec(condition(), 1..4), seen in prop::collection::vec(observation(), 8)) {
        let rule = |(n, condition): (usize, &String)| {
            format!("- rule: r{n}\n  desc: d\n  condition: >\n    {condition}\n  output: o\n  priority: INFO\n")
        };
        let mut alerts = alerts(&conditions.iter().enumerate().map(rule).collect::<String>());
        for observation in &seen {
            let predicate = alerts.predicate(&observation.event.schema);
            if fits(&mut alerts, observation) {
                prop_assert!(is_sent(predicate.as_ref(), observation), "{conditions:?}\n{predicate:?}\n{:?}", observation.event);
            }
        }
    }
}

/// The rules that most people run.
fn official() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/falco/falco_rules.yaml");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn of_the_official_rules_little_is_sent_and_nothing_missed() {
    let mut alerts = alerts(&official());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let schemas = [file_open("file_open"), file_open("file_open_failed"), connect()];
    let predicates = schemas.map(|schema| (alerts.predicate(&schema), schema.name));
    let (mut n_fitting, mut n_sent) = (0, 0);
    for _ in 0..20_000 {
        let observation = observation().new_tree(&mut runner).unwrap().current();
        let (predicate, _) =
            predicates.iter().find(|(_, name)| name == observation.name()).expect("one of these");
        let sent = is_sent(predicate.as_ref(), &observation);
        n_sent += u32::from(sent);
        if fits(&mut alerts, &observation) {
            n_fitting += 1;
            assert!(sent, "{predicate:?}\n{:?}", observation.event);
        }
    }
    assert!(n_fitting > 40 && n_sent < 12_000, "{n_fitting} fit, {n_sent} were sent");
}

#[test]
fn harmless_files_are_kept_back_in_the_kernel() {
    let alerts = alerts(&official());
    let schema = file_open("file_open");
    let predicate = alerts.predicate(&schema);
    let mut harmless = sample::observation(&schema, ("", ""));
    for (name, value) in [
        ("call", Value::Unsigned(257)),
        ("file.path", text("/home/anna/notes")),
        ("result", Value::Signed(3)),
    ] {
        set(&mut harmless, name, value);
    }
    assert!(!is_sent(predicate.as_ref(), &harmless), "{predicate:?}");
    assert!(!event_types("file_open").and(alerts.event_types()).is_empty());
}
