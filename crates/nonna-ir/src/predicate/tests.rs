//! The simplifier keeps the meaning; joined filters mean both conditions.

use nonna_event::{EventSchema, Field, FieldType, Ring};
use proptest::prelude::*;

use super::*;
use crate::{Entity, Error, EventId, FieldValue, Inst, Module, push_down};

const TEXTS: &[&[u8]] = &[b"", b"/", b"/tmp", b"/tmp/x", b"/tmp/x.so", b"x.so", b".so", b"sh"];

fn schema() -> EventSchema {
    let field = |name: &str, field_type| Field { name: name.into(), field_type, description: String::new() };
    EventSchema {
        id: 1,
        name: "open".into(),
        fields: vec![
            field("flags", FieldType::Unsigned { bytes: 4 }),
            field("result", FieldType::Signed { bytes: 4 }),
            field("path", FieldType::Path),
            field("to", FieldType::Inet),
        ],
        ring: Ring::Volume,
    }
}

fn relation() -> impl Strategy<Value = Relation> {
    use Relation::{AnyBit, Eq, Ge, Gt, Le, Lt, Ne};
    prop::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge, AnyBit])
}

fn text_test() -> impl Strategy<Value = TextTest> {
    (0..4, prop::sample::select(TEXTS)).prop_map(|(kind, bytes)| match kind {
        0 => TextTest::Equals(bytes.to_vec()),
        1 => TextTest::StartsWith(bytes.to_vec()),
        2 => TextTest::Contains(bytes.to_vec()),
        _ => TextTest::EndsWith(bytes.to_vec()),
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![
        Just(Predicate::True),
        Just(Predicate::False),
        (0..2usize, relation(), -2..4i64).prop_map(|(field, relation, value)| Predicate::Integer {
            field,
            relation,
            value
        }),
        (0..2usize, prop::collection::vec(-2..4i64, 0..4))
            .prop_map(|(field, values)| Predicate::OneOf { field, values }),
        prop::collection::vec(text_test(), 0..4).prop_map(|any| Predicate::Text { field: 2, any }),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Any),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

fn is_normal(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => {
            let is_all = matches!(predicate, Predicate::All(_));
            parts.len() > 1
                && parts.iter().all(|part| match part {
                    Predicate::True | Predicate::False => false,
                    Predicate::All(_) => !is_all,
                    Predicate::Any(_) => is_all,
                    _ => true,
                } && is_normal(part))
                && parts.is_sorted_by_key(Predicate::cost)
        }
        Predicate::Not(part) => matches!(
            **part,
            Predicate::OneOf { .. }
                | Predicate::Text { .. }
                | Predicate::Integer { relation: Relation::AnyBit, .. }
        ),
        _ => true,
    }
}

proptest! {
    #[test]
    fn simplifying_keeps_the_meaning(predicate in predicate()) {
        let schema = schema();
        let simple = predicate.simplify();
        prop_assert!(is_normal(&simple), "{} -> {}", predicate, simple);
        prop_assert_eq!(simple.simplify(), simple.clone());
        prop_assert!(simple.cost() <= predicate.cost() || simple.cost() <= 2, "{} -> {}", predicate, simple);
        for flags in [0, 1, 2, 3, -1, 0xffff_ffff] {
            for result in -3..4 {
                for text in TEXTS {
                    let integer = FieldValue::Integer;
                    let values = [integer(flags), integer(result), FieldValue::Text(text), FieldValue::Other];
                    let (before, after) = (predicate.eval(&schema, &values), simple.eval(&schema, &values));
                    prop_assert_eq!(before, after, "{} -> {} on {:?}", predicate, simple, values);
                }
            }
        }
    }
}

#[track_caller]
fn simplifies(from: &str, to: &str) {
    let simple = from.parse::<Predicate>().unwrap().simplify();
    assert_eq!(simple.to_string(), to, "{from}");
}

#[test]
fn tests_of_one_field_are_joined() {
    simplifies("any(field0 == 1, field0 in [3, 2], field0 == 1)", "field0 in [1, 2, 3]");
    simplifies("all(field0 in [1, 2, 3], field0 in [2, 3, 4], field0 != 3)", "field0 == 2");
    simplifies("all(field0 == 1, field0 == 2)", "false");
    simplifies("not(any(field0 == 1, field0 == 2))", "not(field0 in [1, 2])");
    simplifies("any(field0 != 1, field0 != 2)", "true");
    simplifies("not(all(field0 < 1, not(field1 & 4)))", "any(field0 >= 1, field1 & 4)");
    simplifies(
        "any(field2 text [equals \"/etc/x\"], field0 == 1, field2 text [starts_with \"/etc/\", ends_with \".so\"])",
        "any(field0 == 1, field2 text [starts_with \"/etc/\", ends_with \".so\"])",
    );
    simplifies("field2 text [ends_with \"\"]", "true");
    simplifies("not(field2 text [])", "true");
    simplifies("all(field2 text [equals \"a\"], true, any(), field0 == 1)", "false");
}

#[test]
fn unsigned_fields_compare_as_unsigned() {
    let predicate: Predicate = "field0 > -2".parse().unwrap();
    let signed: Predicate = "field1 > -2".parse().unwrap();
    let values = [FieldValue::Integer(1), FieldValue::Integer(1)];
    assert!(!predicate.eval(&schema(), &values));
    assert!(signed.eval(&schema(), &values));
}

const MODULE: &str = r#"
event0 "other" number 1 volume { "flags" bool }
event1 "open" number 2 volume { "flags" unsigned 4 "path" path }
func0 program "p" hook begin {
block0:
  v0 = const 1
  v1 = current_task
  emit event0 { scalar v0 }
  emit event1 { scalar v0 path file v1 }
  emit event1 { scalar v0 path file v1 } when field0 == 7
  return v0
}
"#;

fn filters(module: &Module) -> Vec<String> {
    let insts = module.functions.values().flat_map(|function| function.insts.values());
    let filters = insts.filter_map(|data| match &data.inst {
        Inst::Emit { filter, .. } => Some(filter.as_ref().map_or(String::new(), ToString::to_string)),
        _ => None,
    });
    filters.collect()
}

#[test]
fn conditions_are_joined_into_the_emits_of_their_event() {
    let mut module: Module = MODULE.parse().unwrap();
    let condition: Predicate = "all(field0 != 0, field1 text [starts_with \"/etc/\"])".parse().unwrap();
    assert_eq!(push_down(&mut module, "open", &Predicate::True), Ok(2));
    assert_eq!(filters(&module), ["", "", "field0 == 7"]);
    assert_eq!(push_down(&mut module, "open", &condition), Ok(2));
    let path = "field1 text [starts_with \"/etc/\"]";
    assert_eq!(
        filters(&module),
        ["".to_owned(), format!("all(field0 != 0, {path})"), format!("all(field0 == 7, {path})")]
    );
    let before = module.clone();
    let unknown = push_down(&mut module, "close", &Predicate::True);
    assert_eq!(unknown, Err(Error::UnknownEvent("close".into())));
    let wrong = push_down(&mut module, "open", &"field1 == 1".parse().unwrap()).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the condition does not fit event `open`: `path` cannot be tested as an integer"
    );
    let wrong = push_down(&mut module, "open", &"not(field9 in [1])".parse().unwrap()).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the condition does not fit event `open`: the event has 2 fields, the condition tests field9"
    );
    assert_eq!(module, before);
    assert_eq!(module.events[EventId::from_idx(1)].name, "open");
}
