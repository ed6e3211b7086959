//! `nonna list fields`: what rules can ask of events, with what it costs.

use std::io::{self, Write};

use anyhow::Context as _;
use nonna_rules::fields::{Argument, Field, Origin, all};
use serde_json::json;

use crate::cli::{Format, Global};
use crate::outcome::{Done, Outcome};

/// Prints every field.
pub(super) fn run(global: &Global) -> Outcome {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written =
        all().try_for_each(|field| write(&mut out, field, global.format)).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Done::Fine),
        other => other.map(|()| Done::Fine).context("write the list").map_err(Into::into),
    }
}

fn write(out: &mut dyn Write, field: &Field, format: Format) -> io::Result<()> {
    let (from, cost) = origin(field.origin);
    if format == Format::Json {
        let object = json!({
            "field": field.name,
            "argument": argument(field.argument),
            "type": field.field_type.name(),
            "list": field.is_list,
            "meaning": field.description,
            "from": from,
            "cost": cost,
            "known_here": field.origin != Origin::Unavailable,
            "instead": field.deprecated,
        });
        return writeln!(out, "{object}");
    }
    let list = if field.is_list { "list of " } else { "" };
    writeln!(out, "{}{}  ({list}{})", field.name, argument(field.argument), field.field_type.name())?;
    writeln!(out, "    {}", field.description)?;
    writeln!(out, "    from {from}; {cost}")?;
    match field.deprecated {
        Some(instead) => writeln!(out, "    not to be used any more: {instead}"),
        None => Ok(()),
    }
}

/// How an argument is written.
fn argument(argument: Argument) -> &'static str {
    match argument {
        Argument::None => "",
        Argument::Index => "[number]",
        Argument::Key => "[name]",
        Argument::OptionalIndex => "[number]?",
        Argument::OptionalKey => "[name]?",
    }
}

/// Where a value comes from, and what it costs to get it.
fn origin(origin: Origin) -> (&'static str, &'static str) {
    match origin {
        Origin::Event => ("the event", "nothing more to do"),
        Origin::Process => ("the process and those above", "a look into memory"),
        Origin::Inventory => ("what is known of the machine", "a look into memory"),
        Origin::Derived => ("other values", "worked out each time it is asked for"),
        Origin::Unavailable => ("nowhere here", "checks of it never hold"),
    }
}
