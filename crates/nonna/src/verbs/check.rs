//! `nonna check`: everything that is wrong with scripts and rule files, without running them.

mod cost;
mod falco;
mod rules;

use std::path::{Path, PathBuf};

use anyhow::Context;
use nonna_bpf::Target;
use nonna_diag::{Diagnostic, SourceId, Sources};
use nonna_kernel::Kernel;

use crate::cli::{CheckArgs, Format, Global};
use crate::compile;
use crate::outcome::{Done, Outcome, Trouble, show};
use crate::terminal;
use crate::verbs::watch::rules as rule_files;

/// Checks every text and file; all errors of all of them are shown.
pub fn run(args: &CheckArgs, global: &Global) -> Outcome {
    let mut sources = Sources::new();
    let mut ids = Vec::new();
    for text in &args.expression {
        ids.push(sources.add("<text>", text.as_str()));
    }
    let files = rule_files::files(&args.files)?;
    let (of_rules, scripts): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|file| rule_files::is_rule_file(file));
    for file in &scripts {
        ids.push(sources.add(file.display().to_string(), read(file)?));
    }
    if ids.is_empty() && of_rules.is_empty() {
        return Err(Trouble::Environment {
            message: "there is nothing to check".to_owned(),
            help: vec!["give a file, or a script's text with -e".to_owned()],
        });
    }
    let (mut n_wrong, mut n_errors) = (0, 0);
    let mut n_checked = ids.len();
    if !of_rules.is_empty() {
        let (n_files, errors) = rules::check(&of_rules, args.explain_cost, global)?;
        n_checked += n_files;
        n_errors += errors;
        n_wrong += usize::from(errors > 0);
    }
    // Rules need no kernel.
    let target = if ids.is_empty() { None } else { Some(compile::target(&Kernel::new())?) };
    for (&id, target) in ids.iter().zip(target.iter().cycle()) {
        let diagnostics = check(&sources, id, target, args)?;
        show(&diagnostics, &sources, global);
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        n_errors += errors;
        n_wrong += usize::from(errors > 0);
    }
    if global.format == Format::Plain {
        let verdict = match n_errors {
            0 => format!("{n_checked} checked, nothing wrong"),
            _ => format!("{n_checked} checked, {n_wrong} with errors ({n_errors} errors)"),
        };
        terminal::note(global, &verdict);
    }
    Ok(if n_errors > 0 { Done::Findings } else { Done::Fine })
}

/// Reads a script; what is not UTF-8 is shown as such rather than refused here.
pub fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn check(
    sources: &Sources,
    id: SourceId,
    target: &Target,
    args: &CheckArgs,
) -> Result<Vec<Diagnostic>, Trouble> {
    let options =
        nonna_script::Options { allow_unsafe: args.allow_unsafe, ..nonna_script::Options::default() };
    let (compiled, mut diagnostics) = nonna_script::compile(sources, id, target, &options);
    if let Some(compiled) = compiled.filter(|_| !diagnostics.iter().any(Diagnostic::is_error)) {
        match compile::programs(compiled.module, target, &compile::trace_options(sources), sources) {
            Ok(_) => {}
            Err(Trouble::Diagnostics(more, _) | Trouble::Refused(more, _)) => diagnostics.extend(more),
            Err(other) => return Err(other),
        }
    }
    Ok(diagnostics)
}
