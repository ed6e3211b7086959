//! `nonna explain`: the page of a diagnostic, or what an event means.

use std::io::Write;

use anyhow::Context;
use nonna_diag::{SlugInfo, nearest};

use crate::cli::{ExplainArgs, Format, Global};
use crate::outcome::{Done, Outcome, Trouble};
use crate::verbs::watch::builtin_events;

/// Every slug of every room.
pub fn slugs() -> impl Iterator<Item = &'static SlugInfo> {
    let rooms = [
        nonna_script::SLUGS,
        nonna_codegen::SLUGS,
        nonna_verifier::SLUGS,
        nonna_kernel::SLUGS,
        nonna_sandbox::SLUGS,
    ];
    rooms.into_iter().flatten().copied()
}

/// Prints a page, or a list of names.
pub fn run(args: &ExplainArgs, global: &Global) -> Outcome {
    let name = args.name.trim();
    let page = match name {
        "events" => list(builtin_events().iter().map(|e| (e.name.as_str(), e.summary.as_str()))),
        "diagnostics" => list(slugs().map(|slug| (slug.name, slug.summary))),
        _ => page(name)?,
    };
    let text = match global.format {
        Format::Json => serde_json::json!({ "name": name, "page": page }).to_string() + "\n",
        _ => page,
    };
    std::io::stdout().write_all(text.as_bytes()).context("write the page")?;
    Ok(Done::Fine)
}

fn list<'a>(names: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut lines: Vec<String> = names.map(|(name, summary)| format!("{name:<28} {summary}\n")).collect();
    lines.sort();
    lines.concat()
}

fn page(name: &str) -> Result<String, Trouble> {
    if let Some(slug) = slugs().find(|slug| slug.name == name) {
        return Ok(slug.page.to_owned());
    }
    let events = builtin_events();
    if let Some(event) = events.iter().find(|event| event.name == name) {
        return Ok(event.page());
    }
    let names = slugs().map(|slug| slug.name).chain(events.iter().map(|event| event.name.as_str()));
    let near = nearest(name, names, 3);
    let help = if near.is_empty() {
        "`nonna explain diagnostics` and `nonna explain events` list the names".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Err(Trouble::Environment { message: format!("there is nothing called `{name}`"), help: vec![help] })
}
