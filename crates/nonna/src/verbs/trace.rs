//! `nonna trace`: runs a script in the bpftrace language on the running kernel.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nonna_bpf::{Hook, ProgramIdx};
use nonna_diag::{SourceId, Sources};
use nonna_event::{DROPS_MAP_NAME, Decoder, RawRecord, Ring};
use nonna_kernel::{Attached, Kernel, KernelMap, Loaded, RingReader, Wake};
use nonna_script::{Deed, OutputFormat, Printer, RawEntry, ScriptHost};

use crate::cli::{Format, Global, ScriptArgs, TraceArgs};
use crate::command::HeldCommand;
use crate::compile;
use crate::machine::RunningMachine;
use crate::outcome::{Done, Outcome, Trouble, show};
use crate::signals;
use crate::terminal;
use crate::verbs::check;

/// Name of the program that notes when the script started.
const CLOCK_PROGRAM: &str = "begin_clock";
/// How long the reader waits for an iterator's records before it looks whether the iterator has ended.
const ITERATION_REST: Duration = Duration::from_micros(200);

/// Reads the script that the arguments name; returns it with the positional parameters.
///
/// # Errors
///
/// Where no script is given or its file cannot be read.
pub fn read_script(args: &ScriptArgs, sources: &mut Sources) -> Result<(SourceId, Vec<String>), Trouble> {
    match (&args.expression, args.file_and_params.as_slice()) {
        (Some(text), params) => Ok((sources.add("<text>", text.as_str()), params.to_vec())),
        (None, [file, params @ ..]) => {
            let text = if file == "-" {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).context("read the script from standard input")?;
                text
            } else {
                check::read(file.as_ref())?
            };
            Ok((sources.add(file.as_str(), text), params.to_vec()))
        }
        (None, []) => Err(Trouble::Environment {
            message: "there is no script".to_owned(),
            help: vec!["give a file, or a script's text with -e".to_owned()],
        }),
    }
}

/// Options of the compilation.
pub fn script_options(args: &ScriptArgs, params: Vec<String>) -> nonna_script::Options {
    nonna_script::Options { params, allow_unsafe: args.allow_unsafe, ..nonna_script::Options::default() }
}

/// Compiles, attaches, prints what comes, and prints the maps at the end.
pub fn run(args: &TraceArgs, global: &Global) -> Outcome {
    let mut sources = Sources::new();
    let (id, params) = read_script(&args.script, &mut sources)?;
    compile::require_rights("tracing")?;
    let command = args.command.as_deref().map(HeldCommand::hold).transpose()?;
    let kernel = Kernel::new();
    let target = compile::target(&kernel)?;
    let options = nonna_script::Options {
        cpid: command.as_ref().map(HeldCommand::pid),
        target_pid: args.pid.or_else(|| command.as_ref().map(HeldCommand::pid)),
        ..script_options(&args.script, params)
    };
    let (compiled, warnings) = compile::script(&sources, id, &target, &options)?;
    show(&warnings, &sources, global);
    refuse_on_demand(&compiled)?;
    let schemas = compiled.module.events.values().cloned().collect::<Vec<_>>();
    let kernel_loads = compile::live_loads(&kernel);
    let codegen = nonna_codegen::Options { kernel_loads, ..compile::trace_options(&sources) };
    let verified = compile::programs(compiled.module, &target, &codegen, &sources)?;
    let loaded = kernel.load(&verified).map_err(|error| compile::load_trouble(error, &sources))?;
    let machine = RunningMachine::default();
    let format = if global.format == Format::Json { OutputFormat::Json } else { OutputFormat::Text };
    let printer = Printer::new(&compiled.host, &machine, format);
    let output: Box<dyn Write> = match &args.output {
        Some(file) => Box::new(File::create(file).with_context(|| format!("write {}", file.display()))?),
        None => Box::new(io::stdout()),
    };
    let session = Session {
        host: &compiled.host,
        printer,
        decoder: Decoder::new(schemas),
        output: BufWriter::new(output),
        exit: None,
    };
    session.run(&kernel, loaded, command, args, global)
}

/// Says so where a probe would never fire: this command hands no signal to a script.
fn refuse_on_demand(compiled: &nonna_script::Compiled) -> Result<(), Trouble> {
    let probe = compiled.host.probes.iter().find(|probe| probe.name.starts_with("self:"));
    probe.map_or(Ok(()), |probe| {
        Err(Trouble::Environment {
            message: format!("`nonna trace` never runs `{}`", probe.name),
            help: vec!["`interval:s:1` runs by itself, again and again".to_owned()],
        })
    })
}

/// A script that runs.
struct Session<'a> {
    host: &'a ScriptHost,
    printer: Printer<'a>,
    decoder: Decoder,
    output: BufWriter<Box<dyn Write>>,
    /// What `exit()` asked for.
    exit: Option<i32>,
}

impl Session<'_> {
    fn run(
        mut self,
        kernel: &Kernel,
        loaded: Loaded,
        command: Option<HeldCommand>,
        args: &TraceArgs,
        global: &Global,
    ) -> Outcome {
        let ring = loaded.maps().iter().find(|map| map.name() == Ring::Volume.map_name());
        let mut reader = ring.map(RingReader::open).transpose().context("read the script's records")?;
        let ended = Arc::new(Ended::new(reader.as_ref()));
        let interrupted = watch_signals(&ended)?;
        run_hooks(&loaded, &Hook::Begin)?;
        self.drain(&mut reader, &loaded)?;
        if self.exit.is_some() {
            return self.finish(loaded, &mut reader, false);
        }
        let attached = loaded.attach_all(kernel).map_err(compile::attach_trouble)?;
        self.announce(global)?;
        if let Some(command) = command {
            command.release().context("start the command")?;
            let ended = Arc::clone(&ended);
            command.when_ended(move || ended.end()).context("wait for the command")?;
        } else if let Some(pid) = args.pid {
            end_with(pid, &ended)?;
        }
        let deadline = args.duration.map(|duration| Instant::now() + duration);
        self.iterate(&mut reader, &attached)?;
        if !only_iterates(attached.loaded()) {
            self.follow(&mut reader, attached.loaded(), &ended, deadline)?;
        }
        // Detaching takes long and blocks; a child process does it while the results are printed.
        let loaded = attached.detach_in_child().context("detach the script")?;
        self.finish(loaded, &mut reader, interrupted.load(Ordering::Acquire))
    }

    /// Prints until the script, the command, the time or the user ends it.
    fn follow(
        &mut self,
        reader: &mut Option<RingReader>,
        loaded: &Loaded,
        ended: &Ended,
        deadline: Option<Instant>,
    ) -> Result<(), Trouble> {
        while self.exit.is_none() && !ended.is_ended() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            match reader {
                Some(reader) => {
                    if reader.wait(left).context("wait for records")? == Wake::TimedOut {
                        return Ok(());
                    }
                }
                None => ended.wait(left),
            }
            self.drain(reader, loaded)?;
            if reader.is_some() {
                // Records that come meanwhile wake nobody, which spares the traced process.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Runs the iterators once. One call of the kernel goes over everything, so another thread makes it while this one reads.
    fn iterate(&mut self, reader: &mut Option<RingReader>, attached: &Attached) -> Result<(), Trouble> {
        let loaded = attached.loaded();
        for (ProgramIdx(idx), link) in attached.links() {
            if !matches!(loaded.programs()[*idx as usize].hook(), Hook::Iter { .. }) {
                continue;
            }
            std::thread::scope(|scope| {
                let running = scope.spawn(|| link.read_iterator());
                while !running.is_finished() {
                    if let Some(reader) = reader {
                        reader.wait(Some(ITERATION_REST)).context("wait for records")?;
                    }
                    self.drain(reader, loaded)?;
                }
                let text =
                    running.join().map_err(|_| anyhow::anyhow!("the thread of an iterator panicked"))?;
                self.write(&text.context("run an iterator")?)
            })?;
            self.drain(reader, loaded)?;
        }
        Ok(())
    }

    fn announce(&mut self, global: &Global) -> Result<(), Trouble> {
        let n_probes = self.host.probes.len();
        let line = self.printer.attached_probes(n_probes);
        self.write(&line)?;
        self.flush()?;
        if global.format != Format::Json {
            terminal::note(
                global,
                &format!("Attached {n_probes} probe{}", if n_probes == 1 { "" } else { "s" }),
            );
        }
        Ok(())
    }

    /// Reads what is in the ring and does what it asks; after `exit()` nothing more.
    fn drain(&mut self, reader: &mut Option<RingReader>, loaded: &Loaded) -> Result<(), Trouble> {
        let Some(reader) = reader else { return Ok(()) };
        let mut outcome = Ok(());
        reader.drain(|records| {
            for record in records {
                if outcome.is_ok() && self.exit.is_none() {
                    outcome = self.perform(record, loaded);
                }
            }
        });
        outcome?;
        self.flush()?;
        Ok(())
    }

    fn perform(&mut self, record: &[u8], loaded: &Loaded) -> Result<(), Trouble> {
        let event = self.decoder.decode(RawRecord::new(record)).context("decode a record")?;
        let Some(action) = self.host.action(event.schema.id) else {
            let object =
                serde_json::to_string(&nonna_agent::output::json::event(&event)).context("write an event")?;
            return self.write(format!("{object}\n").as_bytes());
        };
        match self.printer.perform(action, &event) {
            Deed::Print(text) => self.write(&text)?,
            Deed::PrintError(text) => terminal::write_stderr(&String::from_utf8_lossy(&text)),
            Deed::Cat(path) => {
                let text = self.read_file(&path);
                let text = self.printer.cat(text);
                self.write(&text)?;
            }
            Deed::System(command) => {
                let text = run_shell(&command)?;
                let text = self.printer.system(text);
                self.write(&text)?;
            }
            Deed::PrintMap { map_idx, top, div } => {
                let entries = self.entries(loaded, map_idx)?;
                let text = self.printer.print_map(map_idx, &entries, top, div);
                self.write(&text)?;
            }
            Deed::PrintEntry { map_idx, key } => {
                let entries = self.printer.matching(map_idx, &key, self.entries(loaded, map_idx)?);
                let text = self.printer.print_map(map_idx, &entries, 0, 1);
                self.write(&text)?;
            }
            Deed::Clear(map_idx) => self.map(loaded, map_idx)?.clear().context("clear a map")?,
            Deed::Zero(map_idx) => self.map(loaded, map_idx)?.zero().context("zero a map")?,
            Deed::DeleteBuckets { map_idx, key } => {
                for (key, _) in self.printer.matching(map_idx, &key, self.entries(loaded, map_idx)?) {
                    self.map(loaded, map_idx)?.delete(&key).context("delete from a map")?;
                }
            }
            Deed::Exit(code) => self.exit = Some(code),
        }
        Ok(())
    }

    /// Runs `END`, prints the maps, says what was lost.
    fn finish(mut self, loaded: Loaded, reader: &mut Option<RingReader>, interrupted: bool) -> Outcome {
        let exit = self.exit;
        // What was on its way is printed, unless the script said that it has enough.
        self.drain(reader, &loaded)?;
        self.exit = None;
        run_hooks(&loaded, &Hook::End)?;
        self.drain(reader, &loaded)?;
        if self.host.config.print_maps_on_exit {
            if self.printer_is_text() && !self.host.maps.is_empty() {
                self.write(b"\n\n")?;
            }
            let mut entries = Vec::new();
            for map_idx in 0..self.host.maps.len() {
                entries.push(self.entries(&loaded, map_idx)?);
            }
            let text = self.printer.print_all(|map_idx| std::mem::take(&mut entries[map_idx]));
            self.write(&text)?;
        }
        let lost = lost_records(&loaded)?;
        let text = self.printer.lost_events(lost);
        self.write(&text)?;
        self.flush()?;
        Ok(match exit.or(self.exit) {
            Some(code) if code != 0 => Done::Code(u8::try_from(code).unwrap_or(1)),
            Some(_) => Done::Fine,
            None if interrupted => Done::Interrupted,
            None => Done::Fine,
        })
    }

    fn printer_is_text(&self) -> bool {
        self.printer.format() == OutputFormat::Text
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Trouble> {
        let written = self.output.write_all(text);
        self.unless_closed(written)
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let written = self.output.flush();
        self.unless_closed(written)
    }

    /// A reader that has gone, as `head` does, ends the script; that is no trouble.
    fn unless_closed(&mut self, written: io::Result<()>) -> Result<(), Trouble> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.exit = Some(0);
                Ok(())
            }
            other => Ok(other.context("write the output")?),
        }
    }

    fn map<'l>(&self, loaded: &'l Loaded, map_idx: usize) -> Result<&'l KernelMap, Trouble> {
        let name = &self.host.maps[map_idx].map_name;
        let map = loaded.maps().iter().find(|map| map.name() == name);
        Ok(map.with_context(|| format!("the map `{name}` was loaded"))?)
    }

    fn entries(&self, loaded: &Loaded, map_idx: usize) -> Result<Vec<RawEntry>, Trouble> {
        let entries = self.map(loaded, map_idx)?.entries().context("read a map")?;
        Ok(entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }

    fn read_file(&self, path: &[u8]) -> Vec<u8> {
        let path = String::from_utf8_lossy(path).into_owned();
        let mut text = Vec::new();
        let read = File::open(&path)
            .and_then(|file| file.take(self.host.config.max_cat_bytes).read_to_end(&mut text));
        if let Err(error) = read {
            terminal::error(&format!("cat: cannot read {path}: {error}"), &[]);
        }
        text
    }
}

/// Tells the reading loop that it is time to end, from other threads.
struct Ended {
    flag: AtomicBool,
    reader: Option<nonna_kernel::StopHandle>,
    wake: (crossbeam_channel::Sender<()>, crossbeam_channel::Receiver<()>),
}

impl Ended {
    fn new(reader: Option<&RingReader>) -> Self {
        let reader = reader.map(RingReader::stop_handle);
        Self { flag: AtomicBool::new(false), reader, wake: crossbeam_channel::bounded(1) }
    }

    fn end(&self) {
        self.flag.store(true, Ordering::Release);
        if let Some(reader) = &self.reader {
            reader.stop();
        }
        // A message that waits already says the same.
        let _ = self.wake.0.try_send(());
    }

    fn is_ended(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    fn wait(&self, left: Option<Duration>) {
        match left {
            Some(left) => drop(self.wake.1.recv_timeout(left)),
            None => drop(self.wake.1.recv()),
        }
    }
}

/// Ends the run at the first signal; the flag says that it was one.
fn watch_signals(ended: &Arc<Ended>) -> Result<Arc<AtomicBool>, Trouble> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let signals = signals::interruptions().context("listen for Ctrl-C")?;
    let (flag, ended) = (Arc::clone(&interrupted), Arc::clone(ended));
    let wait = move || {
        if signals.recv().is_ok() {
            flag.store(true, Ordering::Release);
            ended.end();
        }
    };
    std::thread::Builder::new().name("interruption".to_owned()).spawn(wait).context("start a thread")?;
    Ok(interrupted)
}

/// Ends the run when a process ends.
fn end_with(pid: u32, ended: &Arc<Ended>) -> Result<(), Trouble> {
    let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let flags = rustix::process::PidfdFlags::empty();
    let handle = raw.and_then(|pid| rustix::process::pidfd_open(pid, flags).ok());
    let handle = handle.ok_or_else(|| Trouble::Environment {
        message: format!("there is no process {pid}"),
        help: vec!["`ps` lists the processes that run".to_owned()],
    })?;
    let ended = Arc::clone(ended);
    let wait = move || {
        let mut fds = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
        while rustix::event::poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        ended.end();
    };
    std::thread::Builder::new().name("wait for process".to_owned()).spawn(wait).context("start a thread")?;
    Ok(())
}

fn run_hooks(loaded: &Loaded, hook: &Hook) -> Result<(), Trouble> {
    let mut programs: Vec<_> = loaded.programs().iter().filter(|program| program.hook() == hook).collect();
    // What notes the start for `elapsed` comes before whoever asks.
    programs.sort_by_key(|program| !program.name().starts_with(CLOCK_PROGRAM));
    for program in programs {
        program.run_once().with_context(|| format!("run {hook:?}"))?;
    }
    Ok(())
}

/// Whether nothing is left to wait for once the iterators have run.
fn only_iterates(loaded: &Loaded) -> bool {
    let hooks = || loaded.programs().iter().map(nonna_kernel::KernelProgram::hook);
    hooks().any(|hook| matches!(hook, Hook::Iter { .. }))
        && hooks().all(|hook| matches!(hook, Hook::Iter { .. } | Hook::Begin | Hook::End))
}

fn run_shell(command: &[u8]) -> Result<Vec<u8>, Trouble> {
    let command = String::from_utf8_lossy(command).into_owned();
    let output = Command::new("/bin/sh")
        .args(["-c", &command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("run `{command}`"))?;
    Ok(output.stdout)
}

/// Records that the programs could not send.
fn lost_records(loaded: &Loaded) -> Result<u64, Trouble> {
    let Some(map) = loaded.maps().iter().find(|map| map.name() == DROPS_MAP_NAME) else { return Ok(0) };
    let entries = map.entries().context("read the counters of losses")?;
    let words = entries.iter().flat_map(|(_, value)| value.as_chunks::<8>().0);
    Ok(words.map(|word| u64::from_ne_bytes(*word)).sum())
}
