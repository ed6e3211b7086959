//! The terminal: colours, width, and writing to standard error.

use std::io::{IsTerminal, Write};

use crate::cli::{Color, Global};

fn wanted(global: &Global, is_terminal: bool) -> bool {
    match global.color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: set and not empty means no.
        Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Whether standard output takes colours.
pub fn color_stdout(global: &Global) -> bool {
    wanted(global, std::io::stdout().is_terminal())
}

/// Whether standard error takes colours.
pub fn color_stderr(global: &Global) -> bool {
    wanted(global, std::io::stderr().is_terminal())
}

/// Columns of the terminal, 100 where there is none.
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(100, |size| match size.ws_col {
        0 => 100,
        columns => usize::from(columns),
    })
}

/// Writes to standard error; nobody is left to be told where that fails.
pub fn write_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// An error that is about no text: a headline and what to do.
pub fn error(message: &str, help: &[String]) {
    let mut text = format!("error: {message}\n");
    for line in help {
        text.push_str(&format!("  {line}\n"));
    }
    write_stderr(&without_numbers(&text));
}

/// A text without the numbers that the standard library adds to the system's words, as in "(os error 2)".
pub fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// A line about what goes on, unless the user asked for quiet.
pub fn note(global: &Global, text: &str) {
    if !global.quiet {
        write_stderr(&format!("{text}\n"));
    }
}
