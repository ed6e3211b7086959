//! The runner of kernel tests: gates, children, pins, and one verdict.
//!
//! Tests run one after the other, since they share a kernel. The last line is `N passed, N failed, N skipped`; the line before it is the
//! same for machines.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nonna_bpf::{Feature, Probe};
use serde::{Deserialize, Serialize};

use crate::gate::{Gate, Gates, is_root};
use crate::leaks::ObjectIds;
use crate::need::Need;
use crate::pins::{Pins, running_release};
use crate::verdict::{Skipped, Verdict};
use crate::{child, guest};

pub use crate::isolate::Share;

/// What a test returns; any error fails it, and so does a panic.
pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Prints what the guest must hold for this suite, as JSON, instead of running it.
pub const GUEST_NEEDS: &str = "--guest-needs";
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// One test of the kernel.
#[derive(Debug, Clone)]
pub struct KernelTest {
    /// Its name, unique in the suite.
    pub name: &'static str,
    /// What it cannot do without.
    pub needs: Vec<Need>,
    /// What of the machine it uses instead of having its own.
    pub shares: Vec<Share>,
    /// When it is killed; stretched in a guest.
    pub time_limit: Duration,
    /// The test.
    pub run: fn() -> Outcome,
}

impl KernelTest {
    /// A test with its own network namespace, mounts and cgroup, killed after a minute.
    pub fn new(name: &'static str, needs: &[Need], run: fn() -> Outcome) -> Self {
        Self { name, needs: needs.to_vec(), shares: Vec::new(), time_limit: TIME_LIMIT, run }
    }

    /// Lets it use something of the machine.
    #[must_use]
    pub fn share(mut self, share: Share) -> Self {
        self.shares.push(share);
        self
    }

    /// Sets when it is killed.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }
}

/// What a guest must hold so that a suite can run in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GuestNeeds {
    /// Modules to load, by name.
    pub modules: BTreeSet<String>,
    /// Programs of the machine, by name.
    pub tools: BTreeSet<String>,
    /// Files and folders of the project.
    pub paths: BTreeSet<PathBuf>,
}

/// Tests that share a binary.
pub struct Suite {
    name: &'static str,
    pins: PathBuf,
    tests: Vec<KernelTest>,
    probe: Option<fn(Feature) -> Probe>,
    objects: Option<ObjectIds>,
    paths: BTreeSet<PathBuf>,
}

impl Suite {
    /// A suite without tests. `manifest_dir` is the `CARGO_MANIFEST_DIR` of its crate, which lies in `crates/` or at the root.
    pub fn new(name: &'static str, manifest_dir: &str) -> Self {
        let pins = pins_of(manifest_dir);
        Self { name, pins, tests: Vec::new(), probe: None, objects: None, paths: BTreeSet::new() }
    }

    /// How features of the kernel are probed.
    #[must_use]
    pub fn features(mut self, probe: fn(Feature) -> Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// How the kernel's programs, maps and links are listed; with it, a guest notices objects that outlive their test.
    #[must_use]
    pub fn objects(mut self, list: ObjectIds) -> Self {
        self.objects = Some(list);
        self
    }

    /// A file or folder that tests read or run, packed into the guest at the same path: `env!("CARGO_BIN_EXE_…")` for instance.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.insert(path.into());
        self
    }

    /// Adds a test.
    #[must_use]
    pub fn test(mut self, test: KernelTest) -> Self {
        self.tests.push(test);
        self
    }

    /// Runs what the command line asks for; to be the whole `main` of a test with `harness = false`.
    ///
    /// # Panics
    ///
    /// If two tests have the same name: one of them could never be chosen.
    pub fn main(self) -> ExitCode {
        let mut names = BTreeSet::new();
        assert!(
            self.tests.iter().all(|t| names.insert(t.name)),
            "two tests of {} have the same name",
            self.name
        );
        let args: Vec<String> = std::env::args().collect();
        match args.get(1).map(String::as_str) {
            Some(child::IN_CHILD) => {
                match args.get(2).and_then(|name| self.tests.iter().find(|t| t.name == name)) {
                    Some(test) => child::main(test),
                    None => ExitCode::from(2),
                }
            }
            Some(GUEST_NEEDS) => answer(&self.guest_needs()),
            _ => self.run(Arguments::from_args()),
        }
    }

    /// What a guest must hold for these tests.
    pub fn guest_needs(&self) -> GuestNeeds {
        let mut needs = GuestNeeds { paths: self.paths.clone(), ..GuestNeeds::default() };
        needs.paths.insert(self.pins.clone());
        for need in self.tests.iter().flat_map(|test| &test.needs) {
            match need {
                Need::Module(name) => _ = needs.modules.insert((*name).to_owned()),
                Need::Tool(name) => _ = needs.tools.insert((*name).to_owned()),
                Need::Path(path) => _ = needs.paths.insert(PathBuf::from(path)),
                Need::Root | Need::Feature(_) | Need::Guest | Need::Probe { .. } => {}
            }
        }
        needs
    }

    fn run(self, mut args: Arguments) -> ExitCode {
        args.test_threads = Some(1);
        let selected = |test: &KernelTest| !args.is_filtered_out(&Trial::test(test.name, || Ok(())));
        let all: Vec<String> = self.tests.iter().map(|t| t.name.to_owned()).collect();
        let tests: Vec<KernelTest> = self.tests.iter().filter(|t| selected(t)).cloned().collect();
        let ran: Vec<String> = tests.iter().map(|t| t.name.to_owned()).collect();

        let gates = self.probe.map_or_else(Gates::new, |probe| Gates::with_probe(Box::new(probe)));
        let empty = Verdict { suite: self.name.to_owned(), release: running_release(), ..Verdict::default() };
        let verdict = Arc::new(Mutex::new(empty));
        let mut trials = Vec::new();
        for test in tests {
            let gate = if args.list { Gate::Open } else { gates.check(&test.needs) };
            let (verdict, objects) = (Arc::clone(&verdict), self.objects);
            trials.push(Trial::ignorable_test(test.name, move || trial(&test, gate, objects, &verdict)));
        }
        let conclusion = libtest_mimic::run(&args, trials);
        if args.list {
            return ExitCode::SUCCESS;
        }
        drop(conclusion);
        let mut verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner).clone();
        keep_promises(&self.pins, &mut verdict, &all, &ran);
        conclude(&verdict)
    }
}

fn trial(
    test: &KernelTest,
    gate: Gate,
    objects: Option<ObjectIds>,
    verdict: &Mutex<Verdict>,
) -> Result<Completion, Failed> {
    let result = match gate {
        Gate::Open => child::run(test, objects).map_err(|report| format!("{report:#}")),
        Gate::Broken(why) => Err(why),
        Gate::Closed(skip) => {
            let reason = skip.to_string();
            let skipped = Skipped { test: test.name.to_owned(), need: skip.need, found: skip.found };
            verdict.lock().unwrap_or_else(PoisonError::into_inner).skips.push(skipped);
            return Ok(Completion::ignored_with(reason));
        }
    };
    let mut verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(()) => {
            verdict.passed += 1;
            Ok(Completion::Completed)
        }
        Err(report) => {
            verdict.failures.push(test.name.to_owned());
            Err(report.into())
        }
    }
}

/// Answers the question of [`GUEST_NEEDS`].
pub fn answer(needs: &GuestNeeds) -> ExitCode {
    say(&serde_json::to_string(needs).expect("names and paths always serialize"));
    ExitCode::SUCCESS
}

/// Where the expected skips of a crate in `crates/`, or at the root, are pinned.
pub fn pins_of(manifest_dir: &str) -> PathBuf {
    let crate_folder = Path::new(manifest_dir);
    let root = match crate_folder.parent() {
        Some(parent) if parent.ends_with("crates") => parent.parent().unwrap_or(parent),
        Some(parent) => parent,
        None => crate_folder,
    };
    root.join("tests/kernel/expected-skips")
}

/// Adds the suite's broken promises about its skips to its failures. `all` are its tests, `ran` those that were selected.
pub fn keep_promises(pins: &Path, verdict: &mut Verdict, all: &[String], ran: &[String]) {
    let promises = broken_promises(pins, verdict, all, ran);
    for promise in &promises {
        say(&format!("FAILED: {promise}"));
    }
    verdict.failures.extend(promises);
}

/// What the suite promises about its skips, and does not keep.
fn broken_promises(folder: &Path, verdict: &Verdict, all: &[String], ran: &[String]) -> Vec<String> {
    let strict = std::env::var("CI").is_ok_and(|ci| ci == "true") || guest::is_guest();
    let mut broken = Vec::new();
    if !is_root() {
        // An ordinary user's run says nothing about the kernel.
        if strict && !verdict.skips.is_empty() {
            broken.push("skipped for want of root, where everything must run".to_owned());
        }
        return broken;
    }
    if !ran.is_empty() && verdict.skips.len() == ran.len() && ran.len() == all.len() {
        broken.push("every test was skipped".to_owned());
    }
    match Pins::find(folder, &verdict.release) {
        Ok(Some(mut pins)) if std::env::var_os("NONNA_BLESS").is_some() && ran.len() == all.len() => {
            if !guest::is_guest()
                && let Err(error) = pins.bless(verdict)
            {
                broken.push(format!("{error:#}"));
            }
        }
        Ok(Some(pins)) => broken.extend(pins.drift(verdict, all, ran).iter().map(ToString::to_string)),
        Ok(None) if verdict.skips.is_empty() => {}
        Ok(None) => {
            let unknown = format!("no file in {} is for Linux {}", folder.display(), verdict.release);
            if strict {
                broken.push(format!("{unknown}, so its skips cannot be judged"));
            } else {
                say(&format!("note: {unknown}; its skips are counted, not judged"));
            }
        }
        Err(error) => broken.push(format!("{error:#}")),
    }
    broken
}

/// Prints the verdict, for machines and in the last line for people, and keeps it where the guest asks for it.
pub fn conclude(verdict: &Verdict) -> ExitCode {
    for (n, need, found) in verdict.reasons() {
        say(&format!("skipped {n:3}  needs {need}, found: {found}"));
    }
    if let Some(file) = std::env::var_os(guest::VERDICT_FILE)
        && let Err(error) = std::fs::write(&file, verdict.to_line())
    {
        say(&format!("FAILED: write the verdict to {}: {error}", file.display()));
        return ExitCode::from(101);
    }
    say(&verdict.to_line());
    say(&verdict.to_string());
    if verdict.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

#[expect(clippy::print_stdout, reason = "the runner of a test binary talks to who runs it")]
fn say(text: &str) {
    println!("{text}");
}
