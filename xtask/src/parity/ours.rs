//! Our verdict on a program.
//!
//! The verifier runs in a thread of its own, so that one which falls over or never ends spoils one verdict and not the list.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use nonna_bpf::Object;
use nonna_verifier::Environment;

/// How long a verdict on a small program may take before it counts as none.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The same for large programs: nowhere near what they take, so that a slow machine finds the same.
pub const LONG_PATIENCE: Duration = Duration::from_secs(180);
/// Room for the verifier's recursion in a debug build.
const STACK_BYTES: usize = 64 << 20;

/// What our verifier says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ours {
    /// It accepts.
    Accept,
    /// It refuses: the first reason's slug, and its whole text.
    Refuse {
        /// Slug of the first reason.
        slug: String,
        /// Message and notes of the first reason.
        text: String,
    },
    /// It fell over or did not end: a fault of ours in either case.
    Broken(String),
}

/// Our verdict within some time, and how long it took.
pub fn judge(object: Object, environment: &Environment, patience: Duration) -> (Ours, Duration) {
    let environment = environment.clone();
    let (send, receive) = mpsc::channel();
    let started = Instant::now();
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let started = Instant::now();
        let verdict = verdict(object, &environment);
        // Nobody listens any more where it took too long.
        let _ = send.send((verdict, started.elapsed()));
    });
    let Ok(worker) = worker else {
        return (Ours::Broken("no thread to verify in".to_owned()), started.elapsed());
    };
    match receive.recv_timeout(patience) {
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            (Ours::Broken(format!("no verdict in {} s", patience.as_secs())), started.elapsed())
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panic = worker.join().err();
            let text = panic.as_ref().and_then(|panic| {
                let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                fixed.or_else(|| panic.downcast_ref::<String>().cloned())
            });
            (
                Ours::Broken(format!("panic: {}", text.unwrap_or_else(|| "no text".to_owned()))),
                started.elapsed(),
            )
        }
    }
}

fn verdict(object: Object, environment: &Environment) -> Ours {
    match nonna_verifier::verify(object, environment) {
        Ok(_) => Ours::Accept,
        Err(rejection) => match rejection.diagnostics.first() {
            Some(first) => {
                let mut text = first.message.clone();
                for note in &first.notes {
                    text.push_str("; ");
                    text.push_str(note);
                }
                Ours::Refuse { slug: first.slug.name.to_owned(), text }
            }
            None => Ours::Broken("a refusal without a reason".to_owned()),
        },
    }
}
