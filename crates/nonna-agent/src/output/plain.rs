//! Plain words: the local time, then one sentence.

use jiff::tz::TimeZone;

use crate::observation::Observation;
use crate::output::repeats::Repeated;
use crate::output::sentence::{repeats, sentence};

/// How sentences are shown.
#[derive(Debug, Clone)]
pub struct Plain {
    /// With terminal colours.
    pub color: bool,
    time_zone: TimeZone,
}

/// Dim grey.
const DIM: &str = "\x1b[2m";
/// Yellow.
const YELLOW: &str = "\x1b[33m";
/// Back to normal.
const RESET: &str = "\x1b[0m";

impl Plain {
    /// With times of this machine's time zone.
    pub fn new(color: bool) -> Self {
        Self { color, time_zone: TimeZone::system() }
    }

    /// One line without its line end. Text from the machine is escaped, so it cannot steer the terminal.
    pub fn line(&self, observation: &Observation) -> String {
        self.styled(observation, &sentence(observation))
    }

    /// One line about many files of one folder.
    pub fn repeated(&self, repeated: &Repeated) -> String {
        self.styled(&repeated.observation, &repeats(&repeated.observation, repeated.n, &repeated.folder))
    }

    fn styled(&self, observation: &Observation, text: &str) -> String {
        let time = observation.time.to_zoned(self.time_zone.clone()).strftime("%H:%M:%S").to_string();
        if !self.color {
            return format!("{time}  {text}");
        }
        let tone = if observation.failed() { YELLOW } else { "" };
        format!("{DIM}{time}{RESET}  {tone}{text}{RESET}")
    }
}
