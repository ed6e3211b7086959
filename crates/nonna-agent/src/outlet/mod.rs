//! Where alerts go besides standard output: files, syslog, webhooks, programs.
//!
//! Each place has a thread of its own behind a bounded queue of finished lines, so that a slow place never holds up events or other places.
//! What does not fit into the queue, or does not get out, is counted. Standard output is not here: it is written by the pipeline itself, so
//! its reader sets the pace, and what comes too fast meanwhile is counted by the kernel.

mod address;
mod file;
mod http;
mod program;
mod syslog;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use nonna_rules::load::Priority;

pub use address::{Address, Place, Rotation};

use crate::drops::{Drops, Stage};

/// Most bytes that wait for one place.
const QUEUE_BYTES: usize = 8 << 20;
/// Most lines that wait for one place.
const QUEUE_LINES: usize = 16_384;
/// How long places have at the end to write what waits.
const END: Duration = Duration::from_secs(5);

/// A finished alert.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its text, without an end of line.
    pub text: Arc<str>,
    /// How much it matters.
    pub priority: Priority,
}

/// A place that alerts go to, with its thread.
#[derive(Debug)]
pub struct Outlet {
    name: String,
    lines: Sender<Line>,
    shared: Arc<Shared>,
    ended: Receiver<Drops>,
    n_sent: u64,
    n_full: u64,
}

/// What the thread of a place and the pipeline both see.
#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    /// Lines that are out or counted as lost.
    n_done: AtomicU64,
    /// When to give up; set once the end has come.
    give_up: OnceLock<Instant>,
}

impl Shared {
    fn is_ending(&self) -> bool {
        self.give_up.get().is_some()
    }

    fn is_late(&self) -> bool {
        self.give_up.get().is_some_and(|at| Instant::now() >= *at)
    }

    /// Sleeps, in short pieces once the end has come. False where there is no time left.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.is_late() {
            thread::sleep(Duration::from_millis(20));
        }
        !self.is_late()
    }
}

/// Writes lines somewhere. Returns what was lost, by reason.
trait Write: Send {
    fn write(&mut self, lines: &[Line], shared: &Shared, lost: &mut dyn FnMut(&str, u64));

    /// Nothing more comes.
    fn end(&mut self, _shared: &Shared) {}
}

impl Outlet {
    /// Opens a place and starts its thread.
    ///
    /// # Errors
    ///
    /// Where the place cannot be opened. A server that does not answer is no error: it may come back.
    pub fn start(address: &Address, rotation: Rotation, hostname: &str) -> io::Result<Self> {
        let write: Box<dyn Write> = match &address.place {
            Place::File(path) => Box::new(file::File::open(path, rotation)?),
            Place::SyslogSocket(path) => Box::new(syslog::Syslog::local(path)?),
            Place::SyslogUdp(to) => Box::new(syslog::Syslog::remote(to, hostname)?),
            Place::Http(url) => Box::new(http::Http::new(url)),
            Place::Program(words) => Box::new(program::Program::start(words)?),
        };
        let (lines, queue) = bounded(QUEUE_LINES);
        let (report, ended) = bounded(1);
        let (shared, name) = (Arc::new(Shared::default()), address.name.clone());
        let (theirs, what) = (Arc::clone(&shared), name.clone());
        thread::Builder::new().name("outlet".to_owned()).spawn(move || {
            // Nobody waits any more where this fails.
            let _ = report.send(work(write, &queue, &theirs, &what));
        })?;
        Ok(Self { name, lines, shared, ended, n_sent: 0, n_full: 0 })
    }

    /// Hands on a line; counts it where the queue is full. Never waits.
    pub fn send(&mut self, line: Line) {
        let n_bytes = line.text.len();
        let queued = self.shared.queued_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        if queued + n_bytes > QUEUE_BYTES || self.lines.try_send(line).is_err() {
            self.shared.queued_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
            self.n_full += 1;
        } else {
            self.n_sent += 1;
        }
    }

    /// Lets the place write what waits, for a bounded time, and adds what was lost.
    pub fn end(self, drops: &mut Drops) {
        // Set once, here.
        let _ = self.shared.give_up.set(Instant::now() + END);
        drop(self.lines);
        drops.add(Stage::Output, "queue-full", &self.name, self.n_full);
        match self.ended.recv_timeout(END + Duration::from_secs(1)) {
            Ok(lost) => drops.add_all(&lost),
            Err(_) => {
                let n_stuck = self.n_sent - self.shared.n_done.load(Ordering::Relaxed);
                drops.add(Stage::Output, "stuck", &self.name, n_stuck);
            }
        }
    }
}

/// The thread of a place. Takes all lines that wait at once, so that places can write many in one go.
fn work(mut write: Box<dyn Write>, queue: &Receiver<Line>, shared: &Shared, name: &str) -> Drops {
    let (mut drops, mut lines) = (Drops::new(), Vec::new());
    while let Ok(first) = queue.recv() {
        lines.push(first);
        lines.extend(queue.try_iter().take(63));
        let n_bytes: usize = lines.iter().map(|line| line.text.len()).sum();
        let mut lost = |reason: &str, count| drops.add(Stage::Output, reason, name, count);
        if shared.is_late() {
            lost("no-time-left", lines.len() as u64);
        } else {
            write.write(&lines, shared, &mut lost);
        }
        shared.n_done.fetch_add(lines.len() as u64, Ordering::Relaxed);
        shared.queued_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
        lines.clear();
    }
    write.end(shared);
    drops
}
