//! `layers.toml` against the dependencies that cargo reports.
//!
//! A room imports only from lower layers. For tests it may import sideways and downwards, and from the tools, but never from
//! a room that stands on it: what a lower room needs from an upper one belongs in a test of the upper one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use cargo_metadata::DependencyKind;
use serde::Deserialize;

use super::{Violation, line_of};
use crate::workspace::Workspace;

const FILE: &str = "layers.toml";
const RULE: &str = "layers";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layers {
    layer: Vec<Layer>,
    tools: Tools,
    #[serde(default)]
    only: Vec<Only>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    level: u32,
    rooms: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tools {
    rooms: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    #[serde(rename = "crate")]
    name: String,
    rooms: Vec<String>,
    reason: String,
}

/// One declared dependency of a member.
#[derive(Debug, Clone)]
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
    manifest: String,
    line: usize,
}

/// Checks every declared dependency of every member.
pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let text = workspace.read(FILE)?.with_context(|| format!("{FILE} is missing"))?;
    let layers: Layers = toml::from_str(&text).with_context(|| format!("parse {FILE}"))?;
    let members: BTreeSet<String> = workspace.members().iter().map(|p| p.name.to_string()).collect();
    let edges = edges(workspace)?;
    let mut violations = places(&layers, &members, &text);
    violations.extend(judge(&layers, &members, &edges));
    Ok(violations)
}

fn edges(workspace: &Workspace) -> Result<Vec<Edge>> {
    let mut edges = Vec::new();
    for package in workspace.members() {
        let manifest = workspace.relative(package.manifest_path.as_std_path());
        let text = workspace.read(&manifest)?.unwrap_or_default();
        for dependency in &package.dependencies {
            let line = text.lines().position(|l| l.split(['.', ' ', '=']).next() == Some(&dependency.name));
            edges.push(Edge {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                for_tests: dependency.kind == DependencyKind::Development,
                manifest: manifest.clone(),
                line: line.map_or(1, |at| at + 1),
            });
        }
    }
    Ok(edges)
}

/// Every member has one place, and every place a member.
fn places(layers: &Layers, members: &BTreeSet<String>, text: &str) -> Vec<Violation> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for room in layers.layer.iter().flat_map(|l| &l.rooms).chain(&layers.tools.rooms) {
        *seen.entry(room).or_default() += 1;
    }
    let mut violations = Vec::new();
    for member in members.iter().filter(|m| !seen.contains_key(m.as_str())) {
        violations.push(Violation::new(
            FILE,
            1,
            RULE,
            format!("`{member}` has no layer, so nothing says what it may import"),
            "add it to a layer, or to the tools",
        ));
    }
    for (room, count) in seen {
        let line = line_of(text, &format!("\"{room}\""));
        if !members.contains(room) {
            violations.push(Violation::new(
                FILE,
                line,
                RULE,
                format!("`{room}` is not a member of the workspace"),
                "remove it or correct its name",
            ));
        } else if count > 1 {
            violations.push(Violation::new(
                FILE,
                line,
                RULE,
                format!("`{room}` is listed {count} times"),
                "keep one place",
            ));
        }
    }
    violations
}

fn judge(layers: &Layers, members: &BTreeSet<String>, edges: &[Edge]) -> Vec<Violation> {
    let level = |room: &str| layers.layer.iter().find(|l| l.rooms.iter().any(|r| r == room)).map(|l| l.level);
    let is_tool = |room: &str| layers.tools.rooms.iter().any(|r| r == room);
    let mut violations = Vec::new();
    for edge in edges {
        let Edge { from, to, for_tests, manifest, line } = edge;
        let mut report = |why: String, fix: &str| {
            violations.push(Violation::new(manifest.clone(), *line, RULE, why, fix));
        };
        if !members.contains(to) {
            if let Some(only) = layers.only.iter().find(|o| o.name == *to)
                && !for_tests
                && !only.rooms.contains(from)
            {
                let rooms = only.rooms.join(", ");
                let why = format!("`{from}` imports `{to}`, which only {rooms} may: {}", only.reason);
                report(why, "use what that room offers, or argue in layers.toml");
            }
            continue;
        }
        if is_tool(from) {
            continue;
        }
        if is_tool(to) {
            if !for_tests {
                report(
                    format!("`{from}` ships with `{to}`, which is a tool"),
                    "move it to [dev-dependencies]",
                );
            }
            continue;
        }
        let (Some(upper), Some(lower)) = (level(from), level(to)) else { continue };
        if *for_tests {
            if stands_on(edges, to, from) {
                report(
                    format!("`{from}` imports `{to}` for its tests, but `{to}` stands on `{from}`"),
                    "move the test to the upper room",
                );
            }
        } else if lower >= upper {
            report(
                format!(
                    "`{from}` (layer {upper}) imports `{to}` (layer {lower}); imports go to lower layers only"
                ),
                "move what both need into a lower room, or pass it in from above",
            );
        }
    }
    violations
}

/// Whether `upper` needs `lower`, directly or not, in what it ships.
fn stands_on(edges: &[Edge], upper: &str, lower: &str) -> bool {
    let mut open = vec![upper];
    let mut seen = BTreeSet::new();
    while let Some(room) = open.pop() {
        if room == lower {
            return true;
        }
        if seen.insert(room) {
            open.extend(edges.iter().filter(|e| e.from == room && !e.for_tests).map(|e| e.to.as_str()));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Layers {
        toml::from_str(
            r#"
            layer = [{ level = 0, rooms = ["a", "b"] }, { level = 1, rooms = ["c"] }]
            tools = { rooms = ["kit"] }
            only = [{ crate = "libc", rooms = ["c"], reason = "one door" }]
            "#,
        )
        .unwrap()
    }

    fn judged(edges: &[(&str, &str, bool)]) -> Vec<String> {
        let members = ["a", "b", "c", "kit"].map(str::to_owned).into();
        let edge = |(from, to, for_tests): &(&str, &str, bool)| Edge {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            for_tests: *for_tests,
            manifest: "Cargo.toml".to_owned(),
            line: 1,
        };
        let edges: Vec<Edge> = edges.iter().map(edge).collect();
        judge(&layers(), &members, &edges).into_iter().map(|v| v.why).collect()
    }

    #[test]
    fn imports_go_down() {
        assert!(judged(&[("c", "a", false), ("c", "b", false), ("kit", "c", false)]).is_empty());
        assert!(judged(&[("a", "c", false)])[0].contains("imports go to lower layers only"));
        assert!(judged(&[("a", "b", false)])[0].contains("imports go to lower layers only"));
    }

    #[test]
    fn tests_may_import_sideways_but_not_what_stands_on_them() {
        assert!(judged(&[("a", "b", true), ("a", "kit", true), ("kit", "a", false)]).is_empty());
        let found = judged(&[("a", "c", true), ("c", "b", false), ("b", "a", false)]);
        assert!(found.iter().any(|why| why.contains("`c` stands on `a`")), "{found:?}");
        assert!(judged(&[("a", "kit", false)])[0].contains("which is a tool"));
    }

    #[test]
    fn a_reserved_crate_has_its_rooms() {
        assert!(judged(&[("c", "libc", false), ("a", "libc", true)]).is_empty());
        assert!(judged(&[("a", "libc", false)])[0].contains("one door"));
    }

    #[test]
    fn every_member_has_one_place() {
        let members = ["a", "b", "kit", "new"].map(str::to_owned).into();
        let found: Vec<String> = places(&layers(), &members, "").into_iter().map(|v| v.why).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`new` has no layer") && found[1].contains("`c` is not a member"));
    }
}
