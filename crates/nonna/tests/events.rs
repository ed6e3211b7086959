//! `docs/events.md` says what the sensors inside send. `NONNA_BLESS=1` rewrites the sections of the events that this kernel
//! knows; sensors for which it has no tracepoint keep theirs.

use std::collections::BTreeMap;
use std::path::Path;

use nonna_bpf::Feature;
use nonna_diag::{Format, Sources, render};
use nonna_event::EventSchema;
use nonna_kernel::Kernel;

/// Files of sensors, each with the raw tracepoint without which it means nothing.
const SENSORS: &[(&str, Option<&str>)] = &[
    ("process", None),
    ("file", None),
    ("mount", None),
    ("network", None),
    ("security", None),
    ("module", Some("module_load")),
    ("uring", Some("io_uring_complete")),
    ("capability", Some("cap_capable")),
];

fn project(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The line of comment that stands above the first `emit` of each event.
fn summaries(text: &str) -> BTreeMap<String, String> {
    let mut comment = String::new();
    let mut summaries = BTreeMap::new();
    let mut continues = false;
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("// ") {
            comment = if continues { format!("{comment} {words}") } else { words.to_owned() };
            continues = true;
            continue;
        }
        continues = false;
        let emitted =
            line.trim_start().strip_prefix("emit ").map(|rest| rest.trim_start_matches("critical "));
        if let Some((name, _)) = emitted.and_then(|rest| rest.split_once(" {")) {
            summaries.entry(name.to_owned()).or_insert_with(|| comment.clone());
        }
    }
    summaries
}

/// Head and sections by name, in order.
fn sections(page: &str) -> (String, Vec<(String, String)>) {
    let mut parts = page.split("\n## ");
    let head = parts.next().unwrap_or_default().trim_end().to_owned();
    let section = |part: &str| {
        let (name, text) = part.split_once('\n').expect("a section has a body");
        (name.to_owned(), text.trim().to_owned())
    };
    (head, parts.map(section).collect())
}

#[test]
fn the_page_of_events_is_current() {
    let kernel = Kernel::new();
    let target = kernel.target(&[Feature::TypedTracepoint]).expect("the kernel has type information");
    let has = |name| target.btf.tracepoint(name).is_ok_and(|found| found.is_some());
    // Several sensors may send one event, so they are compiled together, as they run.
    let mut text = "config = { missing_probes = ignore }\n".to_owned();
    let mut words = BTreeMap::new();
    for (name, needs) in SENSORS {
        let sensor =
            std::fs::read_to_string(project(&format!("sensors/{name}.bt"))).expect("the sensor is there");
        for (event, summary) in summaries(&sensor) {
            words.entry(event).or_insert(summary);
        }
        if needs.is_none_or(has) {
            text += &sensor;
        }
    }
    let mut sources = Sources::new();
    let id = sources.add("sensors", text);
    let options = nonna_script::Options { sensors: true, ..nonna_script::Options::default() };
    let (compiled, diagnostics) = nonna_script::compile(&sources, id, &target, &options);
    let compiled = compiled.unwrap_or_else(|| panic!("{}", render(&diagnostics, &sources, Format::Concise)));
    let schemas: Vec<EventSchema> = compiled.module.events.values().cloned().collect();
    let pairs: Vec<(&str, &str)> = words.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (head, made) = sections(&nonna_agent::docs::events_markdown(&schemas, &pairs));
    let file = project("docs/events.md");
    let (old_head, mut old) = sections(&std::fs::read_to_string(&file).expect("docs/events.md is there"));
    if std::env::var_os("NONNA_BLESS").is_some() {
        old.retain(|(name, _)| !made.iter().any(|(n, _)| n == name) && words.contains_key(name));
        let all = made.into_iter().chain(old).map(|(name, text)| format!("## {name}\n\n{text}\n"));
        let page = format!("{head}\n\n{}", all.collect::<Vec<_>>().join("\n"));
        std::fs::write(&file, page).expect("docs/events.md can be written");
        return;
    }
    assert_eq!(head, old_head, "run with NONNA_BLESS=1");
    for (name, text) in made {
        let found = old.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        assert_eq!(found, Some(&text), "run with NONNA_BLESS=1: {name}");
    }
}
