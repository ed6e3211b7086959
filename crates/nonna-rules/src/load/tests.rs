//! Files as people have them, and what is wrong with others.

use std::path::Path;

use nonna_diag::{Diagnostic, SourceId};

use super::*;

fn load(files: &[&str]) -> (Collection, Vec<Diagnostic>) {
    let mut collection = Collection::new();
    let mut diagnostics = Vec::new();
    for (index, text) in files.iter().enumerate() {
        let source = SourceId(u32::try_from(index).expect("few files"));
        diagnostics.extend(collection.add(source, text));
    }
    (collection, diagnostics)
}

#[track_caller]
fn clean(files: &[&str]) -> Collection {
    let (collection, diagnostics) = load(files);
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    collection
}

/// The slugs of what is wrong, with the text that each is shown at.
fn wrong<'t>(files: &[&'t str]) -> Vec<(&'static str, &'t str)> {
    let (_, diagnostics) = load(files);
    let shown = |found: &Diagnostic| {
        let span = found.primary().expect("a place");
        (found.slug.name, &files[span.source.0 as usize][span.start as usize..span.end as usize])
    };
    diagnostics.iter().map(shown).collect()
}

const RULE: &str =
    "- rule: r\n  desc: d\n  condition: a.b = 1 or c\n  output: o\n  priority: warning\n  tags: [x]\n";

#[test]
fn a_condition_is_added_to_as_text() {
    let more =
        "- rule: r\n  condition: and x\n  tags: [y, x]\n  override: {condition: append, tags: append}\n";
    let collection = clean(&[RULE, more]);
    let rule = collection.rules.get("r").expect("it is there");
    assert_eq!(rule.condition.as_str(), "a.b = 1 or c and x");
    assert_eq!(rule.tags, ["x", "y"]);
    assert_eq!(rule.order, Order { first: 1, last: 2 });
    let at = rule.condition.as_str().find("and").expect("it is there");
    assert_eq!(rule.condition.span_of(at..at + 3).source, SourceId(1));
}

#[test]
fn a_redefinition_keeps_the_first_place() {
    let files = [
        "- macro: a\n  condition: x\n- macro: b\n  condition: y\n",
        "- macro: a\n  condition: z\n",
        "- list: l\n  items: [1, two]\n- list: l\n  append: true\n  items: ['3 4']\n",
    ];
    let collection = clean(&files);
    let names: Vec<&str> = collection.macros.iter().map(|found| found.name.text.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let first = collection.macros.get("a").expect("it is there");
    assert_eq!((first.condition.as_str(), first.order), ("z", Order { first: 1, last: 3 }));
    let items: Vec<&str> =
        collection.lists.get("l").expect("it is there").items.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(items, ["1", "two", "3 4"]);
}

#[test]
fn parts_are_replaced() {
    let other = "- rule: r\n  priority: INFO\n  enabled: false\n  override:\n    priority: replace\n    enabled: replace\n";
    let rule = clean(&[RULE, other]).rules.get("r").expect("it is there").clone();
    assert_eq!((rule.priority, rule.enabled), (Priority::Informational, false));
    let on = clean(&[RULE, other, "- rule: r\n  enabled: true\n"]);
    assert!(on.rules.get("r").expect("it is there").enabled);
}

#[test]
fn exceptions_have_their_shapes() {
    let with = |exceptions: &str| format!("{RULE}  exceptions:\n{exceptions}");
    let both = with(
        "  - name: many\n    fields: [proc.name, fd.name]\n    comps: [in, =]\n    values:\n    - [[a, b], /x]\n  - name: one\n    fields: proc.name\n    values: [a, b]\n",
    );
    let more = "- rule: r\n  exceptions:\n  - name: one\n    values: [c]\n  override: {exceptions: append}\n";
    let rule = clean(&[&both, more]).rules.get("r").expect("it is there").clone();
    assert_eq!(rule.exceptions.len(), 2);
    assert_eq!(rule.exceptions[1].values.len(), 3);
    assert!(rule.exceptions[1].is_single && !rule.exceptions[0].is_single);
    let short = with("  - name: many\n    fields: [proc.name, fd.name]\n    values:\n    - [a]\n");
    assert_eq!(wrong(&[&short]), [("bad-exception", "[a]")]);
    let operator = with("  - name: x\n    fields: [proc.name]\n    comps: [startswiht]\n    values: [[a]]\n");
    assert_eq!(wrong(&[&operator]), [("bad-exception", "startswiht")]);
    let nothing = with("  - name: x\n    values: [[a]]\n");
    assert_eq!(wrong(&[&nothing])[0].0, "bad-exception");
}

#[test]
fn everything_that_is_wrong_is_said_in_one_run() {
    let file = "- rule: a\n  condition: x\n  priority: HIGH\n- list: 'b c'\n  items: x\n- macro: 1x\n  condition: [y]\n- foo: 1\n- 3\n";
    let slugs: Vec<&str> = wrong(&[file]).iter().map(|(slug, _)| *slug).collect();
    assert_eq!(
        slugs,
        [
            "bad-rule-item",
            "bad-rule-item",
            "bad-priority",
            "bad-rule-item",
            "bad-rule-item",
            "bad-rule-item",
            "bad-rule-item",
            "unknown-rule-item",
            "bad-rule-item",
        ]
    );
    assert_eq!(wrong(&["a: 1\n"]), [("bad-rule-item", "a: 1")]);
    assert_eq!(wrong(&["- list: l\n  itmes: []\n  items: []\n"]), [("unknown-rule-key", "itmes")]);
    assert_eq!(wrong(&["- rule: nobody\n  enabled: false\n"])[1], ("nothing-to-change", "nobody"));
    assert_eq!(wrong(&["- required_engine_version: 1.0.0\n"]), [("engine-version", "1.0.0")]);
    let old = "- macro: m\n  condition: x\n- macro: m\n  condition: or y\n  append: true\n";
    assert_eq!(wrong(&[old]), [("old-append", "append")]);
    let first = format!("{RULE}  exceptions:\n  - name: e\n    fields: proc.name\n");
    let empty = "- rule: r\n  exceptions:\n  - name: e\n  override: {exceptions: append}\n";
    assert_eq!(wrong(&[&first, empty])[0].0, "empty-exception");
    let foreign = RULE.replace("  tags", "  source: k8s_audit\n  tags");
    assert_eq!(wrong(&[&foreign]), [("unknown-rule-source", "k8s_audit")]);
    let added = "- rule: r\n  priority: ERROR\n  override: {priority: append}\n";
    assert_eq!(wrong(&[RULE, added]), [("bad-override", "priority")]);
    let unnamed = "- rule: r\n  priority: ERROR\n  output: x\n  override: {priority: replace}\n";
    assert_eq!(wrong(&[RULE, unnamed]), [("bad-override", "output")]);
}

/// The official files of today and of ten years.
#[test]
fn official_files_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/falco");
    let mut files = vec![folder.join("falco_rules.yaml")];
    let history = std::fs::read_dir(folder.join("history")).expect("the corpus lies beside the project");
    files.extend(history.map(|file| file.expect("it can be listed").path()));
    let mut n_rules = 0;
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let text = std::fs::read_to_string(path).expect("the corpus can be read");
        let (collection, diagnostics) = load(&[&text]);
        for found in &diagnostics {
            assert!(!found.is_error(), "{}: {found:?}", path.display());
        }
        for rule in collection.rules.iter() {
            crate::condition::parse(&rule.condition)
                .unwrap_or_else(|error| panic!("{} {}: {error:?}", path.display(), rule.name.text));
        }
        for found in collection.macros.iter() {
            crate::condition::parse(&found.condition)
                .unwrap_or_else(|error| panic!("{} {}: {error:?}", path.display(), found.name.text));
        }
        n_rules += collection.rules.iter().count();
    }
    assert!(n_rules >= 25, "{n_rules} rules");
}
