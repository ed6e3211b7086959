//! Writes what is selected to standard output, as sentences or as JSON.
//!
//! It chooses no event; that is `Selection`'s part.

use std::io::{self, Write};

use nonna_agent::Output;
use nonna_agent::observation::Observation;
use nonna_agent::output::json;
use nonna_agent::output::plain::Plain;
use nonna_agent::output::repeats::Repeats;

use super::{Selection, quiet};
use crate::cli::{Format, Global};
use crate::terminal;

/// Tells what is selected, as sentences or as JSON.
pub(super) struct Teller<'a, W: Write> {
    selection: &'a Selection<'a>,
    json: bool,
    plain: Plain,
    repeats: Repeats,
    out: W,
}

impl<W: Write> Output for Teller<'_, W> {
    fn take(&mut self, observation: &Observation) -> io::Result<bool> {
        if !self.selection.shows(observation) {
            return Ok(false);
        }
        if self.json {
            json::write_line(&mut self.out, observation)?;
            return Ok(true);
        }
        for repeated in self.repeats.ended(observation) {
            writeln!(self.out, "{}", self.plain.repeated(&repeated))?;
        }
        let args = self.selection.args;
        let in_full = args.all || !args.events.is_empty() || quiet::stands_alone(observation);
        if in_full || self.repeats.is_told(observation) {
            writeln!(self.out, "{}", self.plain.line(observation))?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<'a, W: Write> Teller<'a, W> {
    /// Writes to `out`, in the format that was asked for.
    pub(super) fn new(selection: &'a Selection<'a>, global: &Global, out: W) -> Self {
        Self {
            selection,
            json: global.format == Format::Json,
            plain: Plain::new(terminal::color_stdout(global)),
            repeats: Repeats::new(),
            out,
        }
    }

    /// Tells the repeats that are still open.
    pub(super) fn end(mut self) -> W {
        for repeated in self.repeats.rest() {
            // Where nobody reads any more, the run has ended for that reason.
            let _ = writeln!(self.out, "{}", self.plain.repeated(&repeated));
        }
        self.out
    }
}
