//! Writes what is selected to standard output, as sentences or as JSON.
//!
//! It chooses no event; that is `Selection`'s part.

use std::convert::Infallible;
use std::io::{self, Write};

use nonna_agent::Output;
use nonna_agent::alert::Alerts;
use nonna_agent::observation::Observation;
use nonna_agent::output::json;
use nonna_agent::output::plain::Plain;
use nonna_agent::output::repeats::Repeats;

use super::quiet;
use super::selection::Selection;
use crate::cli::{Format, Global};
use crate::terminal;

/// Tells what is selected, as sentences or as JSON.
pub(in crate::verbs) struct Teller<'a, W: Write> {
    selection: &'a Selection<'a>,
    /// The rules inside, where they are asked.
    standard: Option<Alerts>,
    json: bool,
    plain: Plain,
    repeats: Repeats,
    out: W,
}

impl<W: Write> Output for Teller<'_, W> {
    fn take(&mut self, observation: &Observation) -> io::Result<bool> {
        let remarks = self.ask_rules(observation);
        if remarks.is_empty() && !self.selection.shows(observation) {
            return Ok(false);
        }
        if self.json {
            match remarks.is_empty() {
                true => json::write_line(&mut self.out, observation)?,
                false => remarks.iter().try_for_each(|remark| writeln!(self.out, "{remark}"))?,
            }
            return Ok(true);
        }
        for repeated in self.repeats.ended(observation) {
            writeln!(self.out, "{}", self.plain.repeated(&repeated))?;
        }
        let args = self.selection.args;
        let in_full =
            !remarks.is_empty() || args.all || !args.events.is_empty() || quiet::stands_alone(observation);
        if in_full || self.repeats.is_told(observation) {
            writeln!(self.out, "{}", self.plain.line(observation))?;
        }
        for remark in remarks {
            writeln!(self.out, "          ! {remark}")?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<'a, W: Write> Teller<'a, W> {
    /// Writes to `out`, in the format that was asked for.
    pub(in crate::verbs) fn new(
        selection: &'a Selection<'a>,
        standard: Option<Alerts>,
        global: &Global,
        out: W,
    ) -> Self {
        Self {
            selection,
            standard,
            json: global.format == Format::Json,
            plain: Plain::new(terminal::color_stdout(global)),
            repeats: Repeats::new(),
            out,
        }
    }

    /// What the rules inside have to say: in plain words, or as whole objects.
    fn ask_rules(&mut self, observation: &Observation) -> Vec<String> {
        let (mut remarks, json) = (Vec::new(), self.json);
        if let Some(alerts) = &mut self.standard {
            let asked = alerts.take(observation, |alert| {
                remarks.push(if json { alert.json().to_string() } else { alert.remark() });
                Ok::<(), Infallible>(())
            });
            asked.unwrap_or_else(|never| match never {});
        }
        remarks
    }

    /// Tells the repeats that are still open. The rules with what they counted, and where everything went.
    pub(in crate::verbs) fn end(mut self) -> (Option<Alerts>, W) {
        for repeated in self.repeats.rest() {
            // Where nobody reads any more, the run has ended for that reason.
            let _ = writeln!(self.out, "{}", self.plain.repeated(&repeated));
        }
        (self.standard, self.out)
    }
}
