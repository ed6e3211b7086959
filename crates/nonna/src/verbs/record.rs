//! `nonna record`: keeps what the sensors see in a file, to be looked at later and by other rules.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use anyhow::Context as _;
use nonna_agent::Output;
use nonna_agent::observation::Observation;
use nonna_agent::recording::Recorder;

use super::watch::selection::Selection;
use super::watch::{self, Watching, rules};
use crate::cli::{Global, RecordArgs, WatchArgs};
use crate::compile;
use crate::outcome::Outcome;
use crate::terminal;

/// Records until it is time to end.
pub fn run(args: &RecordArgs, global: &Global) -> Outcome {
    compile::require_rights("recording")?;
    let watch_args = WatchArgs {
        duration: args.duration,
        events: args.events.clone(),
        rules: args.rules.clone(),
        all: args.events.is_empty() && args.rules.is_empty(),
        ..WatchArgs::default()
    };
    let alerts = rules::load(&watch_args, global)?;
    let path = args.output.display();
    let file = File::create(&args.output).with_context(|| format!("make {path}"))?;
    let recorder = Recorder::new(BufWriter::new(file), &watch::node()).context("begin the recording")?;
    let Watching { agent, selection, until } = Watching::start(&watch_args, alerts.as_ref(), global)?;
    let mut keeper = Keeper { recorder, selection: &selection };
    let summary = agent.run(&until, &mut keeper).context("record")?;
    let n_seen = keeper.recorder.n_seen();
    let mut file = keeper.recorder.end(summary.drops.total()).context("end the recording")?;
    file.flush().context("write the recording")?;
    let n_bytes = file.get_ref().metadata().context("look at the recording")?.len();
    let n_lost = summary.drops.total();
    terminal::note(global, &format!("{n_seen} events in {path}, {n_bytes} bytes; {n_lost} lost."));
    for sentence in summary.drops.sentences() {
        terminal::write_stderr(&format!("{sentence}\n"));
    }
    Ok(watch::until_done(&watch_args, &until))
}

/// Writes what it is given into a recording.
struct Keeper<'a> {
    recorder: Recorder<BufWriter<File>>,
    selection: &'a Selection<'a>,
}

impl Output for Keeper<'_> {
    fn take(&mut self, observation: &Observation) -> io::Result<bool> {
        // Rules and time lines need the processes' own events, which nobody may have asked for by name.
        if !self.selection.args.events.is_empty() && !self.selection.shows(observation) {
            return Ok(false);
        }
        self.recorder.add(observation)?;
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.recorder.flush_when_due()
    }
}
