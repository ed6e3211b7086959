//! What every member's `Cargo.toml` must say: the licence, and the lints of the workspace.
//!
//! A room that may say `unsafe` has its own lint table, because cargo cannot override one lint of an inherited table.
//! That table must repeat the others, so that a lint added to the workspace reaches it too.

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::exceptions::Exceptions;
use super::{Violation, line_of};
use crate::workspace::Workspace;

const LICENCE: &str = "MIT OR Apache-2.0";
/// Lints that a room with `unsafe` must set, with the level.
const UNSAFE_ROOM_LINTS: &[(&str, &str, &str)] = &[
    ("rust", "unsafe_code", "deny"),
    ("rust", "unsafe_op_in_unsafe_fn", "deny"),
    ("clippy", "undocumented_unsafe_blocks", "deny"),
];

/// Checks licence and lints of every member.
pub fn check(workspace: &Workspace, exceptions: &Exceptions) -> Result<Vec<Violation>> {
    let root = workspace.read("Cargo.toml")?.context("Cargo.toml is missing")?;
    let root: Table = toml::from_str(&root).context("parse Cargo.toml")?;
    let workspace_lints = &root["workspace"]["lints"];
    let mut violations = Vec::new();
    if workspace_lints.get("rust").and_then(|r| r.get("unsafe_code")).and_then(level) != Some("forbid") {
        violations.push(Violation::new(
            "Cargo.toml",
            1,
            "lints",
            "the workspace does not forbid `unsafe_code`",
            "set it to \"forbid\" in [workspace.lints.rust]",
        ));
    }
    for package in workspace.members() {
        let path = workspace.relative(package.manifest_path.as_std_path());
        let text = workspace.read(&path)?.unwrap_or_default();
        if package.license.as_deref() != Some(LICENCE) {
            violations.push(Violation::new(
                &path,
                1,
                "licence",
                format!("the licence is not `{LICENCE}`"),
                "write `license.workspace = true`",
            ));
        }
        let manifest: Table = toml::from_str(&text).with_context(|| format!("parse {path}"))?;
        let folder = path.trim_end_matches("Cargo.toml");
        let is_unsafe = exceptions.unsafe_room.iter().any(|room| room.path.starts_with(folder));
        violations.extend(lints(&path, &text, &manifest, workspace_lints, is_unsafe));
    }
    Ok(violations)
}

fn level(lint: &Value) -> Option<&str> {
    lint.as_str().or_else(|| lint.get("level").and_then(Value::as_str))
}

fn lints(path: &str, text: &str, manifest: &Table, workspace: &Value, is_unsafe: bool) -> Vec<Violation> {
    let line = line_of(text, "[lints");
    let own = manifest.get("lints");
    if own.and_then(|l| l.get("workspace")).and_then(Value::as_bool) == Some(true) {
        return Vec::new();
    }
    if !is_unsafe {
        return vec![Violation::new(
            path,
            line,
            "lints",
            "the lints of the workspace are not inherited, so `unsafe` and unwrap could slip in",
            "write `[lints]` and `workspace = true`",
        )];
    }
    let find = |family: &str, name: &str| own.and_then(|l| l.get(family)).and_then(|f| f.get(name));
    let mut violations = Vec::new();
    for (family, name, wanted) in UNSAFE_ROOM_LINTS {
        if find(family, name).and_then(level) != Some(wanted) {
            violations.push(Violation::new(
                path,
                line,
                "lints",
                format!("a room that may say `unsafe` must set `{name}`"),
                format!("set `{name} = \"{wanted}\"` in [lints.{family}]"),
            ));
        }
    }
    let families = workspace.as_table().into_iter().flatten();
    for (family, table) in families {
        for (name, wanted) in table.as_table().into_iter().flatten() {
            if name != "unsafe_code" && find(family, name) != Some(wanted) {
                violations.push(Violation::new(
                    path,
                    line,
                    "lints",
                    format!("`{name}` differs from the workspace's table"),
                    format!("set `{name} = {wanted}` in [lints.{family}]"),
                ));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str, is_unsafe: bool) -> Vec<String> {
        let workspace: Table =
            toml::from_str("rust = { unsafe_code = \"forbid\", missing_docs = \"warn\" }").unwrap();
        let manifest_table: Table = toml::from_str(manifest).unwrap();
        let violations = lints("Cargo.toml", manifest, &manifest_table, &Value::Table(workspace), is_unsafe);
        violations.into_iter().map(|v| v.why).collect()
    }

    #[test]
    fn lints_are_inherited() {
        assert!(found("[lints]\nworkspace = true\n", false).is_empty());
        assert_eq!(found("[package]\nname = \"a\"\n", false).len(), 1);
    }

    #[test]
    fn a_room_with_unsafe_repeats_the_table() {
        let whole = "[lints.rust]\nunsafe_code = \"deny\"\nunsafe_op_in_unsafe_fn = \"deny\"\nmissing_docs = \"warn\"\n\
                     [lints.clippy]\nundocumented_unsafe_blocks = \"deny\"\n";
        assert!(found(whole, true).is_empty());
        let drifted = whole.replace("missing_docs = \"warn\"\n", "");
        assert_eq!(found(&drifted, true), ["`missing_docs` differs from the workspace's table"]);
    }
}
