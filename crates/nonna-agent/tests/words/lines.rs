//! JSON lines of representative events, and the last line of a run.

use std::rc::Rc;

use nonna_agent::drops::{Drops, Stage};
use nonna_agent::output::json;
use nonna_agent::{Summary, sample};
use nonna_event::{Text, Value};

use crate::schemas;

fn pretty(object: impl serde::Serialize) -> String {
    serde_json::to_string_pretty(&object).unwrap()
}

#[test]
fn a_whole_object() {
    let mut observation = sample::observation(&schemas::named("file_open"), ("", ""));
    let mut process = (*observation.process).clone();
    process.args_bytes = Some(100_000);
    process.capabilities = Some(0b10_0000_0000_0001);
    process.container = Some(sample::container(("", "")).into());
    observation.process = Rc::new(process);
    let path = observation.event.schema.field_idx("file.path").unwrap();
    let bytes = b"/tmp/\xff\n".to_vec();
    observation.event.values[path] = Value::Text(Text { bytes, truncated_from: Some(5000), racy: true });
    insta::assert_snapshot!(pretty(json::object(&observation)));
}

#[test]
fn the_own_fields_of_every_event() {
    let objects = schemas::told().into_iter().map(|schema| {
        let observation = sample::observation(&schema, ("", ""));
        serde_json::to_string(&json::own(&observation)).unwrap()
    });
    insta::assert_snapshot!(objects.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_errors_of_failed_events_are_named() {
    let mut observation = sample::observation(&schemas::named("connect"), ("", ""));
    let result = observation.event.schema.field_idx("result").unwrap();
    observation.event.values[result] = Value::Signed(-111);
    observation.parent = None;
    let value = serde_json::to_value(json::object(&observation)).unwrap();
    assert_eq!(
        (&value["result"], &value["errno"]),
        (&serde_json::json!(-111), &serde_json::json!("ECONNREFUSED"))
    );
    assert_eq!(value["parent"], serde_json::Value::Null);
}

#[test]
fn fields_never_take_the_place_of_others() {
    let mut schema = schemas::named("unmount");
    schema.fields.iter_mut().last().unwrap().name = "time".to_owned();
    let value = serde_json::to_value(json::object(&sample::observation(&schema, ("", "")))).unwrap();
    assert_eq!(
        (value["time"].as_str(), &value["time_"]),
        (Some("2026-01-01T00:00:00.123456789Z"), &serde_json::json!(0))
    );
}

#[test]
fn the_last_line() {
    let mut drops = Drops::new();
    drops.add(Stage::Kernel, "ring-full", "file_open", 7);
    let summary = Summary { n_told: 1234, n_records: 5, n_late: 2, n_repeated: 3, drops };
    insta::assert_snapshot!(summary.json(), @r#"{"event":"summary","events":1234,"records":5,"drops":[{"stage":"kernel","count":7,"reason":"ring-full","what":"file_open"}]}"#);
}
