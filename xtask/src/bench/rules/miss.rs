//! What it costs to ask rules about an event that none of them fits.
//!
//! With the stable rules, and with two thousand more that ask for paths and programs of their own: what rules share is decided once.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use nonna_agent::alert::Alerts;
use nonna_agent::observation::Observation;
use nonna_agent::sample;
use nonna_diag::{Diagnostic, SourceId};
use nonna_event::{EventSchema, Field, FieldType, NameSet, Ring, Value};
use nonna_rules::evaluate::Matching;
use nonna_rules::load::Collection;

/// Nanoseconds a rule.
const BOUND_NS: f64 = 200.0;
/// Rules beside the stable ones.
const N_MORE: usize = 2_000;
/// Times that each event is asked about in a round; the best round counts.
const N_ASKED: u32 = 20_000;
const N_ROUNDS: usize = 5;

/// Measures and prints both.
pub fn print(stable: &Path) -> Result<()> {
    let stable = std::fs::read_to_string(stable).context("read the stable rules")?;
    let mut more = stable.clone();
    for n in 0..N_MORE {
        let _ = write!(
            more,
            "\n- rule: more {n}\n  desc: d\n  condition: open_read and fd.name startswith /srv/{n}/ and not proc.name in (a{n}, b{n})\n  output: o\n  priority: INFO\n"
        );
    }
    println!("\nasking rules about an event that none fits, best of {N_ROUNDS} rounds");
    for (name, text) in [("stable rules", &stable), ("2000 more", &more)] {
        let mut alerts = alerts(text)?;
        for observation in [harmless_open(), harmless_exec()] {
            let n_rules = n_asked(&alerts, &observation);
            let ns = best_ns(&mut alerts, &observation)?;
            let each = ns / n_rules;
            let verdict = if each <= BOUND_NS { "met" } else { "missed" };
            println!(
                "{name:14}{:14}{ns:9.0} ns an event, {n_rules:.0} rules look at it: {each:6.1} ns a rule, {verdict} (at most {BOUND_NS})",
                observation.name()
            );
        }
    }
    Ok(())
}

fn alerts(text: &str) -> Result<Alerts> {
    let mut collection = Collection::new();
    let mut found = collection.add(SourceId(0), text);
    let (alerts, more) = Alerts::new(collection, Matching::First);
    found.extend(more);
    ensure!(!found.iter().any(Diagnostic::is_error), "the rules are wrong");
    Ok(alerts)
}

/// How many rules look at events of this type.
fn n_asked(alerts: &Alerts, observation: &Observation) -> f64 {
    let types = nonna_agent::facts::event_types(observation.name());
    let looks = alerts.counts().into_iter().filter(|count| !count.event_types.and(types).is_empty());
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let n = looks.count() as f64;
    n
}

fn best_ns(alerts: &mut Alerts, observation: &Observation) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..N_ROUNDS {
        let start = Instant::now();
        for _ in 0..N_ASKED {
            let fits = alerts.take(black_box(observation), |_| Ok::<(), std::convert::Infallible>(()));
            ensure!(!fits.unwrap_or_else(|never| match never {}), "no rule fits this event");
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(N_ASKED));
    }
    Ok(best)
}

fn field(name: &str, field_type: FieldType) -> Field {
    Field { name: name.to_owned(), field_type, description: String::new() }
}

fn observation(name: &str, fields: Vec<Field>, call: u64) -> Observation {
    let mut all = vec![field("call", FieldType::Named { set: NameSet::SystemCall, bytes: 2 })];
    all.extend(fields);
    let schema = EventSchema { id: 1, name: name.to_owned(), fields: all, ring: Ring::Volume };
    let mut observation = sample::observation(&schema, ("", ""));
    observation.event.values[0] = Value::Unsigned(call);
    observation
}

/// A file in somebody's home is read (`openat`).
fn harmless_open() -> Observation {
    let named = |set| FieldType::Named { set, bytes: 4 };
    let fields = vec![
        field("file.path", FieldType::Path),
        field("file.raw_path", FieldType::Path),
        field("file.flags", named(NameSet::OpenFlags)),
        field("file.access", named(NameSet::OpenAccess)),
        field("result", FieldType::Signed { bytes: 8 }),
    ];
    let mut observation = observation("file_open", fields, 257);
    observation.event.values[3] = Value::Unsigned(0);
    observation.event.values[4] = Value::Unsigned(0);
    observation.event.values[5] = Value::Signed(3);
    observation
}

/// A program starts (`execve`).
fn harmless_exec() -> Observation {
    observation("process_exec", vec![field("result", FieldType::Signed { bytes: 8 })], 59)
}
