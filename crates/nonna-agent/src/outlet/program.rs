//! A program that reads alerts from its standard input. It is started once, and again where it ends.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Line, Shared, Write};

/// Pause before the first start anew; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A program that ran this long is sound: pauses are short again.
const SOUND: Duration = Duration::from_secs(30);

pub(super) struct Program {
    words: Vec<String>,
    child: Child,
    started: Instant,
    pause: Duration,
}

impl Program {
    pub(super) fn start(words: &[String]) -> io::Result<Self> {
        let child = spawn(words)?;
        Ok(Self { words: words.to_vec(), child, started: Instant::now(), pause: FIRST_PAUSE })
    }

    fn tell(&mut self, line: &Line) -> io::Result<()> {
        let bytes = [line.text.as_bytes(), b"\n"].concat();
        self.child
            .stdin
            .as_mut()
            .map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), |to| to.write_all(&bytes))
    }

    fn start_again(&mut self, shared: &Shared) -> bool {
        drop(self.child.stdin.take());
        if self.started.elapsed() > SOUND {
            self.pause = FIRST_PAUSE;
        }
        if shared.is_ending() || !shared.pause(self.pause) {
            return false;
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        // It closed its input, so it has nothing more to do here; a zombie would stay without the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(child) = spawn(&self.words) {
            (self.child, self.started) = (child, Instant::now());
        }
        true
    }
}

impl Write for Program {
    fn write(&mut self, lines: &[Line], shared: &Shared, lost: &mut dyn FnMut(&str, u64)) {
        for line in lines {
            while self.tell(line).is_err() {
                if !self.start_again(shared) {
                    lost("the program ended", 1);
                    break;
                }
            }
        }
    }

    /// The end of its input tells it to end; one that does not is left to itself.
    fn end(&mut self, shared: &Shared) {
        drop(self.child.stdin.take());
        while matches!(self.child.try_wait(), Ok(None)) && shared.pause(Duration::from_millis(20)) {}
    }
}

/// In a process group of its own: Ctrl-C must not end it before it has read everything.
fn spawn(words: &[String]) -> io::Result<Child> {
    Command::new(&words[0]).args(&words[1..]).stdin(Stdio::piped()).process_group(0).spawn()
}
