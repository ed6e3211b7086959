//! What is done while somebody watches: a storm of system calls, a loop of requests over loopback, a compiler.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Mode, OFlags};
use tempfile::{NamedTempFile, TempDir};

/// Calls of one round of the storm: open, read, close.
const CALLS: f64 = 3.0;
/// Processors that the storm keeps busy.
const N_STORMS: usize = 2;
/// Bytes of a request and of its answer.
const REQUEST_BYTES: usize = 64;
/// Functions in the file that is compiled.
const N_FUNCTIONS: usize = 400;

/// Something to do.
pub enum Workload {
    /// Opens, reads and closes a harmless file on all processors.
    Storm { file: NamedTempFile, time: Duration },
    /// One request after the other over loopback.
    Requests { time: Duration },
    /// A C compiler over one file.
    Compiler { folder: TempDir },
}

/// What was done.
#[derive(Debug, Clone, Copy)]
pub struct Ran {
    /// Nanoseconds for one operation.
    pub ns: f64,
    /// Operations.
    pub operations: f64,
}

impl Workload {
    /// All of them.
    pub fn all(time: Duration) -> Result<Vec<Workload>> {
        let mut file = NamedTempFile::new().context("make a file")?;
        file.write_all(&[b'x'; 256]).context("fill a file")?;
        let folder = TempDir::new().context("make a folder")?;
        let mut source = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n".to_owned();
        for n in 0..N_FUNCTIONS {
            let _ = writeln!(
                source,
                "int f{n}(char *s, int x) {{ int y = x * {n}; for (int i = 0; i < x; i++) y ^= s[i] + (y << 3); return y + (int)strlen(s); }}"
            );
        }
        std::fs::write(folder.path().join("source.c"), source).context("write a C file")?;
        Ok(vec![Workload::Storm { file, time }, Workload::Requests { time }, Workload::Compiler { folder }])
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Workload::Storm { .. } => "storm",
            Workload::Requests { .. } => "request loop",
            Workload::Compiler { .. } => "compiler",
        }
    }

    /// What is one operation.
    pub fn unit(&self) -> &'static str {
        match self {
            Workload::Storm { .. } => "a system call",
            Workload::Requests { .. } => "a request",
            Workload::Compiler { .. } => "a file",
        }
    }

    /// Whether its operations are system calls.
    pub fn is_storm(&self) -> bool {
        matches!(self, Workload::Storm { .. })
    }

    /// Does it.
    pub fn run(&self) -> Result<Ran> {
        match self {
            Workload::Storm { file, time } => storm(file, *time),
            Workload::Requests { time } => requests(*time),
            Workload::Compiler { folder } => compiler(folder),
        }
    }
}

fn storm(file: &NamedTempFile, time: Duration) -> Result<Ran> {
    let one = || -> Result<f64> {
        let start = Instant::now();
        let (mut n_rounds, mut buffer) = (0.0, [0; 256]);
        while start.elapsed() < time {
            for _ in 0..100 {
                let fd = rustix::fs::open(file.path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                rustix::io::read(&fd, &mut buffer)?;
            }
            n_rounds += 100.0;
        }
        Ok(n_rounds * CALLS)
    };
    let calls: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..N_STORMS).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum::<Result<f64>>()
    })?;
    #[expect(clippy::cast_precision_loss, reason = "two")]
    let n_storms = N_STORMS as f64;
    Ok(Ran { ns: time.as_secs_f64() * 1e9 * n_storms / calls, operations: calls })
}

fn requests(time: Duration) -> Result<Ran> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    let address = listener.local_addr().context("the server's address")?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut request = [0; REQUEST_BYTES];
        while stream.read_exact(&mut request).is_ok() {
            stream.write_all(&request)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address).context("connect")?;
    stream.set_nodelay(true).context("send at once")?;
    let (start, mut n, mut answer) = (Instant::now(), 0.0, [0; REQUEST_BYTES]);
    while start.elapsed() < time {
        for _ in 0..50 {
            stream.write_all(&[b'r'; REQUEST_BYTES]).context("ask")?;
            stream.read_exact(&mut answer).context("hear the answer")?;
        }
        n += 50.0;
    }
    let ns = start.elapsed().as_secs_f64() * 1e9 / n;
    drop(stream);
    server.join().expect("it does not panic").context("serve")?;
    Ok(Ran { ns, operations: n })
}

fn compiler(folder: &TempDir) -> Result<Ran> {
    let start = Instant::now();
    let status = Command::new("cc")
        .args(["-O1", "-c", "source.c", "-o", "source.o"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .status()
        .context("run the compiler")?;
    ensure!(status.success(), "the compiler failed");
    Ok(Ran { ns: start.elapsed().as_secs_f64() * 1e9, operations: 1.0 })
}
