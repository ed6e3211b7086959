//! Whatever a record holds: nothing panics, JSON stays JSON, and no line steers a terminal.

use std::net::IpAddr;

use nonna_agent::clock::BootClock;
use nonna_agent::enrich::Enricher;
use nonna_agent::observation::Node;
use nonna_agent::output::json;
use nonna_agent::output::plain::Plain;
use nonna_event::{Event, EventSchema, FieldType, Text, Value};
use proptest::prelude::*;

use crate::schemas;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let steering = "\u{1b}]0;x\u{7}\u{202e}\u{9b}2J\r\n\"\\ ⟨".as_bytes().to_vec();
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..40), Just(steering), Just(b"/etc/../x".to_vec())]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..40_u64, any::<u64>(), Just(u64::from(u32::MAX))]
}

/// Values as decoding makes them from records of this type, and absent ones.
fn value(field_type: &FieldType) -> BoxedStrategy<Value> {
    let text = (bytes(), any::<Option<u32>>(), any::<bool>())
        .prop_map(|(bytes, truncated_from, racy)| Value::Text(Text { bytes, truncated_from, racy }));
    let list = (proptest::collection::vec(bytes(), 0..4), any::<Option<u32>>())
        .prop_map(|(items, truncated_from)| Value::TextList { items, truncated_from });
    let inet = prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Value::Inet(IpAddr::from(octets))),
        any::<[u8; 16]>().prop_map(|octets| Value::Inet(IpAddr::from(octets))),
        any::<u32>().prop_map(Value::Family),
    ];
    let present = match field_type {
        FieldType::Unsigned { .. } | FieldType::Named { .. } => number().prop_map(Value::Unsigned).boxed(),
        FieldType::Signed { .. } => prop_oneof![-200..200_i64, any::<i64>()].prop_map(Value::Signed).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Inet => inet.boxed(),
        FieldType::Text { .. } | FieldType::Path => text.boxed(),
        FieldType::TextList { .. } => list.boxed(),
        FieldType::Blob { .. } | FieldType::Bytes { .. } => bytes().prop_map(Value::Bytes).boxed(),
        FieldType::KernelStack { .. } | FieldType::UserStack { .. } => {
            proptest::collection::vec(any::<u64>(), 0..3).prop_map(Value::Stack).boxed()
        }
    };
    prop_oneof![8 => present, 1 => Just(Value::Absent)].boxed()
}

fn event() -> impl Strategy<Value = Event> {
    proptest::sample::select(schemas::sent()).prop_flat_map(|schema: EventSchema| {
        let values: Vec<_> = schema.fields.iter().map(|field| value(&field.field_type)).collect();
        values.prop_map(move |values| Event { schema: schema.clone().into(), generation: 0, values })
    })
}

proptest! {
    #[test]
    fn nothing_spoils_what_is_told(events in proptest::collection::vec(event(), 1..20)) {
        let node = Node { name: "node".to_owned(), boot_id: "boot".to_owned() };
        let mut enricher = Enricher::new(&schemas::sent(), BootClock::at_boot(0), node, None);
        let mut told = Vec::new();
        for event in events {
            enricher.take(event, &mut told);
        }
        let plain = Plain::new(false);
        for observation in &told {
            let mut line = Vec::new();
            json::write_line(&mut line, observation).unwrap();
            prop_assert_eq!(line.pop(), Some(b'\n'));
            prop_assert!(!line.contains(&b'\n'));
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(value["event"].as_str(), Some(observation.name()));
            let alone: serde_json::Value = serde_json::to_value(json::event(&observation.event)).unwrap();
            prop_assert!(alone.is_object());
            let sentence = plain.line(observation);
            prop_assert!(!sentence.chars().any(char::is_control), "{:?}", sentence);
            prop_assert!(sentence.ends_with('.'));
        }
    }
}
