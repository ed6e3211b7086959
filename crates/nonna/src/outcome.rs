//! How a verb ends: exit codes and the words that go with them.

use std::process::ExitCode;

use nonna_diag::{Diagnostic, Sources};

use crate::cli::{Format, Global};
use crate::terminal;

/// How a verb ended without trouble of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It did its job.
    Fine,
    /// The user's text is wrong; it has been said where and why.
    Findings,
    /// A verifier refused a program; it has been said where and why.
    Refused,
    /// Ctrl-C, after a clean detach.
    Interrupted,
    /// A script asked for this code.
    Code(u8),
}

/// What stopped a verb.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The user's text is wrong.
    #[error("the text is wrong")]
    Diagnostics(Vec<Diagnostic>, Sources),
    /// A verifier refused a program.
    #[error("a verifier refused a program")]
    Refused(Vec<Diagnostic>, Sources),
    /// The environment said no.
    #[error("{message}")]
    Environment {
        /// What does not work.
        message: String,
        /// What to do, or what works without it.
        help: Vec<String>,
    },
    /// Anything else that the machine said.
    #[error(transparent)]
    Machine(#[from] anyhow::Error),
}

/// What every verb returns.
pub type Outcome = Result<Done, Trouble>;

/// Says what went wrong on standard error and chooses the exit code.
pub fn report(outcome: Outcome, global: &Global) -> ExitCode {
    match outcome {
        Ok(Done::Fine) => ExitCode::SUCCESS,
        Ok(Done::Findings) => ExitCode::from(1),
        Ok(Done::Refused) => ExitCode::from(3),
        Ok(Done::Interrupted) => ExitCode::from(130),
        Ok(Done::Code(code)) => ExitCode::from(code),
        Err(Trouble::Diagnostics(diagnostics, sources)) => {
            show(&diagnostics, &sources, global);
            ExitCode::from(1)
        }
        Err(Trouble::Refused(diagnostics, sources)) => {
            show(&diagnostics, &sources, global);
            ExitCode::from(3)
        }
        Err(Trouble::Environment { message, help }) => {
            terminal::error(&message, &help);
            ExitCode::from(2)
        }
        // Who read the results has seen enough, as `head` has.
        Err(Trouble::Machine(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Trouble::Machine(error)) => {
            let causes = error.chain().skip(1).map(|cause| format!("because: {cause}")).collect::<Vec<_>>();
            terminal::error(&error.to_string(), &causes);
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.map(std::io::Error::kind).any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

/// Writes diagnostics to standard error: for people, or one JSON object a line with `-f json`.
pub fn show(diagnostics: &[Diagnostic], sources: &Sources, global: &Global) {
    let format = match global.format {
        Format::Plain | Format::Falco | Format::FalcoText => {
            nonna_diag::Format::Human { color: terminal::color_stderr(global), width: terminal::width() }
        }
        Format::Concise => nonna_diag::Format::Concise,
        Format::Json => nonna_diag::Format::Json,
        Format::Sarif => nonna_diag::Format::Sarif,
    };
    terminal::write_stderr(&nonna_diag::render(diagnostics, sources, format));
}
