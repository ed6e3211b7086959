//! `nonna list`: what scripts can attach to, by a pattern; with `-v` also the arguments and their types. `nonna list fields`: what rules can ask.

mod fields;

use std::io::Write;

use anyhow::Context;
use nonna_kernel::Kernel;
use serde_json::json;

use crate::cli::{Format, Global, ListArgs};
use crate::compile;
use crate::outcome::{Done, Outcome};
use crate::terminal;

/// Prints every probe whose full name matches.
pub fn run(args: &ListArgs, global: &Global) -> Outcome {
    if args.pattern == "fields" {
        return fields::run(global);
    }
    let kernel = Kernel::new();
    let target = compile::target(&kernel)?;
    let probes = nonna_script::list_probes(&args.pattern, &target);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut n_probes = 0;
    for probe in probes {
        n_probes += 1;
        let (name, arguments) = (&probe.name, &probe.arguments);
        let written = if global.format == Format::Json {
            let arguments: Vec<_> =
                arguments.iter().map(|arg| json!({ "name": arg.name, "type": arg.c_type })).collect();
            writeln!(out, "{}", json!({ "probe": name, "arguments": arguments }))
        } else {
            let shown = if global.verbose { arguments.as_slice() } else { &[] };
            writeln!(out, "{name}").and_then(|()| {
                shown.iter().try_for_each(|arg| writeln!(out, "    {} {}", arg.c_type, arg.name))
            })
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Done::Fine),
            other => other.context("write the list")?,
        }
    }
    out.flush().context("write the list")?;
    if n_probes > 0 {
        return Ok(Done::Fine);
    }
    let help = [
        "`nonna list` shows everything; `*` in a pattern stands for any text, as in 'tracepoint:sched:*'"
            .to_owned(),
        "user functions are listed where the pattern names their file: 'uprobe:/bin/bash:*'".to_owned(),
    ];
    terminal::error(&format!("no probe matches `{}`", args.pattern), &help);
    Ok(Done::Findings)
}
