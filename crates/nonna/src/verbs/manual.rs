//! `nonna completions` and `nonna man`: the command line's definitions as files for shells and readers.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::Cli;
use crate::outcome::{Done, Outcome};

/// Writes the completions of a shell to standard output.
pub fn completions(shell: clap_complete::Shell) -> Outcome {
    clap_complete::generate(shell, &mut Cli::command(), "nonna", &mut std::io::stdout());
    Ok(Done::Fine)
}

/// Writes a page for each verb.
pub fn man_pages(folder: &Path) -> Outcome {
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("write man pages to {}", folder.display()))?;
    Ok(Done::Fine)
}
