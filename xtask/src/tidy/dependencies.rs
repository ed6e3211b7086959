//! `docs/dependencies.md` against the workspace's `Cargo.toml`.
//!
//! Code of others is chosen once, in `[workspace.dependencies]`, and explained in one table; a member that declares
//! its own version would escape both.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Violation, line_of};
use crate::workspace::Workspace;

const PAGE: &str = "docs/dependencies.md";
const RULE: &str = "dependencies";

/// Checks the table in both directions, and that members inherit every version.
pub fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let manifest = workspace.read("Cargo.toml")?.context("Cargo.toml is missing")?;
    let page = workspace.read(PAGE)?.unwrap_or_default();
    let mut violations = table(&manifest, &page)?;
    for package in workspace.members() {
        let path = workspace.relative(package.manifest_path.as_std_path());
        let text = workspace.read(&path)?.unwrap_or_default();
        violations.extend(inherited(&path, &text)?);
    }
    Ok(violations)
}

fn table(manifest: &str, page: &str) -> Result<Vec<Violation>> {
    let parsed: toml::Table = toml::from_str(manifest).context("parse Cargo.toml")?;
    let declared = parsed["workspace"]["dependencies"].as_table().context("no [workspace.dependencies]")?;
    let mut rows = rows(page);
    let mut violations = Vec::new();
    for (name, dependency) in declared {
        if dependency.get("path").is_some() {
            continue;
        }
        match rows.remove(name.as_str()) {
            None => violations.push(Violation::new(
                "Cargo.toml",
                line_of(manifest, &format!("{name} = ")),
                RULE,
                format!("`{name}` has no row in {PAGE}, so nobody knows why it is here"),
                format!("add `| {name} | what for | why this one |`"),
            )),
            Some((line, cells)) if cells.len() < 3 || cells.iter().any(String::is_empty) => {
                violations.push(Violation::new(
                    PAGE,
                    line,
                    RULE,
                    format!("the row of `{name}` has an empty or missing column"),
                    "fill crate, what for and why this one",
                ));
            }
            Some(_) => {}
        }
    }
    for (name, (line, _)) in rows {
        violations.push(Violation::new(
            PAGE,
            line,
            RULE,
            format!("`{name}` is no dependency of the workspace"),
            "remove the row",
        ));
    }
    Ok(violations)
}

/// The rows of the table by the name in their first column; the head and the rule under it are left out.
fn rows(page: &str) -> BTreeMap<&str, (usize, Vec<String>)> {
    let mut rows = BTreeMap::new();
    for (at, line) in page.lines().enumerate() {
        let Some(inner) = line.trim().strip_prefix('|') else { continue };
        let cells: Vec<&str> = inner.trim_end_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`');
        if name == "crate" || name.is_empty() || name.chars().all(|c| matches!(c, '-' | ':' | ' ')) {
            continue;
        }
        rows.insert(name, (at + 1, cells.iter().map(|&c| c.to_owned()).collect()));
    }
    rows
}

fn inherited(path: &str, text: &str) -> Result<Vec<Violation>> {
    let parsed: toml::Table = toml::from_str(text).with_context(|| format!("parse {path}"))?;
    let mut violations = Vec::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = parsed.get(kind).and_then(toml::Value::as_table) else { continue };
        for (name, dependency) in table {
            if dependency.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                violations.push(Violation::new(
                    path,
                    line_of(text, &format!("{name} ")),
                    RULE,
                    format!("`{name}` is declared here and not in the workspace, so two versions can meet"),
                    format!("declare it in [workspace.dependencies] and write `{name}.workspace = true`"),
                ));
            }
        }
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "[workspace.dependencies]\nroom = { path = \"room\" }\nserde = \"1\"\ntoml = \"1\"\n";

    #[test]
    fn the_table_and_the_manifest_agree() {
        let page = "| crate | what for | why |\n|---|---|---|\n| serde | json | the field's |\n| toml | files | small |\n";
        assert_eq!(table(MANIFEST, page).unwrap(), []);
        let page = "| crate | what for | why |\n|---|---|---|\n| serde | json | |\n| gone | x | y |\n";
        let found: Vec<String> = table(MANIFEST, page)
            .unwrap()
            .iter()
            .map(|v| format!("{}:{} {}", v.path, v.line, v.why))
            .collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("docs/dependencies.md:3 the row of `serde` has an empty"));
        assert!(found[1].starts_with("Cargo.toml:4 `toml` has no row"));
        assert!(found[2].starts_with("docs/dependencies.md:4 `gone` is no dependency"));
    }

    #[test]
    fn members_inherit_versions() {
        assert_eq!(inherited("a/Cargo.toml", "[dependencies]\nserde.workspace = true\n").unwrap(), []);
        let found = inherited("a/Cargo.toml", "[dev-dependencies]\nserde = \"1\"\n").unwrap();
        assert_eq!((found.len(), found[0].line), (1, 2));
    }
}
