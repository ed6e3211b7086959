//! A webhook: each alert is posted as one JSON object, as falcosidekick reads it.

use std::time::Duration;

use super::{Line, Shared, Write};

/// For one request, from its start to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses before a request is made again.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

pub(super) struct Http {
    agent: ureq::Agent,
    url: String,
}

impl Http {
    pub(super) fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("nonna/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), url: url.to_owned() }
    }

    fn post(&self, text: &str) -> Result<(), ureq::Error> {
        let mut answer = self.agent.post(&self.url).content_type("application/json").send(text)?;
        // A connection whose answer was read can be used again.
        answer.body_mut().with_config().limit(1 << 20).read_to_vec()?;
        Ok(())
    }
}

impl Write for Http {
    fn write(&mut self, lines: &[Line], shared: &Shared, lost: &mut dyn FnMut(&str, u64)) {
        for line in lines {
            let mut pauses = PAUSES.iter();
            while let Err(error) = self.post(&line.text) {
                match pauses.next() {
                    Some(pause) if may_pass(&error) && shared.pause(*pause) => {}
                    _ => {
                        lost(reason(&error), 1);
                        break;
                    }
                }
            }
        }
    }
}

/// Whether the same request may go well later.
fn may_pass(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::StatusCode(status) => *status >= 500 || matches!(status, 408 | 429),
        _ => true,
    }
}

fn reason(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::StatusCode(_) => "refused by the server",
        ureq::Error::Timeout(_) => "no answer in time",
        _ => "no connection",
    }
}
