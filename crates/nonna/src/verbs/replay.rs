//! `nonna replay`, and `nonna watch --replay`: tells a recording as it would have been told when it was made.
//!
//! Nothing is asked of this machine, so it needs no rights, and it goes as fast as it can.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::Path;

use anyhow::Context as _;
use nonna_agent::drops::{Drops, Stage};
use nonna_agent::recording::{Ended, Recording, RecordingError};
use nonna_agent::{Output, Summary};

use super::watch::rules::{self, AlertTeller};
use super::watch::selection::Selection;
use super::watch::tell;
use super::watch::teller::Teller;
use crate::cli::{Global, ReplayArgs, WatchArgs};
use crate::outcome::{Done, Outcome, Trouble};
use crate::terminal;

/// Replays what `nonna replay` was given.
pub fn command(args: &ReplayArgs, global: &Global) -> Outcome {
    let watch_args = WatchArgs {
        rules: args.rules.clone(),
        all_matches: args.all_matches,
        events: args.events.clone(),
        all: args.all,
        ..WatchArgs::default()
    };
    run(&watch_args, &args.file, global)
}

/// Replays a file with what `nonna watch` was asked for.
pub fn run(args: &WatchArgs, file: &Path, global: &Global) -> Outcome {
    let alerts = rules::load(args, global)?;
    let opened = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut recording = Recording::open(BufReader::new(opened)).map_err(|error| trouble(file, &error))?;
    let out = BufWriter::new(io::stdout());
    let (summary, mut out, alerts) = match alerts {
        None => {
            let standard = rules::standard(args);
            let selection = Selection::of_recording(args, standard.is_some());
            let mut teller = Teller::new(&selection, standard, global, out);
            let summary = replay(&mut recording, file, &mut teller, global)?;
            let (standard, out) = teller.end();
            (summary, out, standard)
        }
        Some(alerts) => {
            let mut teller = AlertTeller::new(alerts, args, global, out)?;
            let mut summary = replay(&mut recording, file, &mut teller, global)?;
            let (alerts, out) = teller.end(&mut summary.drops);
            (summary, out, Some(alerts))
        }
    };
    tell(&summary, alerts.as_ref(), &mut out, global)?;
    Ok(Done::Fine)
}

fn replay<R: Read>(
    recording: &mut Recording<BufReader<R>>,
    file: &Path,
    output: &mut dyn Output,
    global: &Global,
) -> Result<Summary, Trouble> {
    let (mut n_told, mut n_records, mut drops) = (0, 0, Drops::new());
    while let Some(observation) = recording.next_observation().map_err(|error| trouble(file, &error))? {
        n_records += 1;
        match output.take(&observation) {
            Ok(told) => n_told += u64::from(told),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(anyhow::Error::from(error).context("write the output").into()),
        }
    }
    match recording.ended() {
        Some(Ended::Whole(end)) => drops.add(Stage::Kernel, "when it was recorded", "", end.n_lost),
        Some(Ended::Cut) => {
            terminal::note(
                global,
                "The recording ends in the middle: whoever made it was stopped, or the file was cut.",
            );
        }
        None => {}
    }
    Ok(Summary { n_told, n_records, n_late: 0, n_repeated: 0, drops })
}

fn trouble(file: &Path, error: &RecordingError) -> Trouble {
    let help = match error {
        RecordingError::NotARecording => "`nonna record -o FILE` makes one",
        RecordingError::Version { .. } => "use the nonna that made it, or a newer one",
        RecordingError::Io(_) | RecordingError::Damaged(_) => "what comes before the damage was told",
    };
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    Trouble::Environment {
        message: format!("{}: {error}{cause}", file.display()),
        help: vec![help.to_owned()],
    }
}
