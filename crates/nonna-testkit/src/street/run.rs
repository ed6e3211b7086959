//! Runs street tests: one test for each output block.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::bless::rewrite;
use super::difference;
use super::parse::{Block, Case, Document};
use crate::need::Skip;
use crate::pins::running_release;
use crate::suite::{GUEST_NEEDS, GuestNeeds, answer, conclude, keep_promises, pins_of};
use crate::verdict::{Skipped, Verdict};

/// Blocks that are prose.
const PROSE: &[&str] = &["", "text"];

/// What came out at a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Produced {
    /// This text.
    Text(String),
    /// Nothing, since this machine lacks something.
    Skip(Skip),
}

/// The journey whose stages the blocks are.
pub trait Stages: Send + Sync + 'static {
    /// Names of blocks that hold what is given.
    fn inputs(&self) -> &[&str];

    /// Names of blocks that hold what must come out.
    fn outputs(&self) -> &[&str];

    /// What comes out of a case where `block` stands.
    ///
    /// # Errors
    ///
    /// A report of why nothing came out where something must. Trouble that a test expects is a text.
    fn produce(&self, case: &Case, block: &Block) -> Result<Produced, String>;
}

/// A folder of street tests.
#[derive(Debug, Clone)]
pub struct Street {
    name: &'static str,
    folder: PathBuf,
    pins: PathBuf,
}

/// What all tests of a run share.
struct Shared<S> {
    stages: S,
    verdict: Mutex<Verdict>,
    blessed: Mutex<BTreeMap<PathBuf, Vec<(Block, String)>>>,
    bless: bool,
}

impl Street {
    /// The tests in a folder and below. `manifest_dir` is the `CARGO_MANIFEST_DIR` of the crate that runs them.
    pub fn new(name: &'static str, manifest_dir: &str, folder: impl Into<PathBuf>) -> Self {
        Self { name, folder: folder.into(), pins: pins_of(manifest_dir) }
    }

    /// Runs what the command line asks for; to be the whole `main` of a test with `harness = false`. If its target's name begins
    /// with `kernel`, it runs in guests too.
    pub fn main<S: Stages>(&self, stages: S) -> ExitCode {
        if std::env::args().nth(1).is_some_and(|arg| arg == GUEST_NEEDS) {
            let paths = [self.folder.clone(), self.pins.clone()].into();
            return answer(&GuestNeeds { paths, ..GuestNeeds::default() });
        }
        self.run(&Arguments::from_args(), stages, std::env::var_os("NONNA_BLESS").is_some())
    }

    fn run<S: Stages>(&self, args: &Arguments, stages: S, bless: bool) -> ExitCode {
        let verdict =
            Verdict { suite: self.name.to_owned(), release: running_release(), ..Verdict::default() };
        let shared =
            Arc::new(Shared { stages, verdict: Mutex::new(verdict), blessed: Mutex::default(), bless });
        let trials = match self.trials(&shared) {
            Ok(trials) => trials,
            Err(error) => vec![broken(&shared, self.name.to_owned(), format!("{error:#}"))],
        };
        let all: Vec<String> = trials.iter().map(|t| t.name().to_owned()).collect();
        let ran: Vec<String> =
            trials.iter().filter(|t| !args.is_filtered_out(t)).map(|t| t.name().to_owned()).collect();
        let conclusion = libtest_mimic::run(args, trials);
        if args.list {
            return conclusion.exit_code();
        }
        let mut verdict = shared.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let blessed = shared.blessed.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, changes) in blessed.iter() {
            if let Err(error) = write(path, changes) {
                verdict.failures.push(format!("{error:#}"));
            }
        }
        keep_promises(&self.pins, &mut verdict, &all, &ran);
        conclude(&verdict)
    }

    fn trials<S: Stages>(&self, shared: &Arc<Shared<S>>) -> Result<Vec<Trial>> {
        let mut paths = Vec::new();
        markdown(&self.folder, &mut paths)?;
        anyhow::ensure!(!paths.is_empty(), "there is no street test in {}", self.folder.display());
        let mut trials = Vec::new();
        for path in paths {
            let name = path.strip_prefix(&self.folder).unwrap_or(&path).with_extension("");
            let name = name.to_string_lossy().replace('/', "::");
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            match Document::parse(&text) {
                Ok(document) => trials.extend(of_document(shared, &path, &name, document)),
                Err(error) => trials.push(broken(shared, name, format!("{}: {error}", path.display()))),
            }
        }
        Ok(trials)
    }
}

/// The tests of one document: its outputs, and what is wrong with its blocks.
fn of_document<S: Stages>(
    shared: &Arc<Shared<S>>,
    path: &Path,
    name: &str,
    document: Document,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    let (inputs, outputs) = (shared.stages.inputs(), shared.stages.outputs());
    if document.cases.is_empty() {
        trials.push(broken(shared, name.to_owned(), format!("{}: there is no block in it", path.display())));
    }
    for case in document.cases.into_iter().map(Arc::new) {
        let case_name = format!("{name}::{}", case.name);
        let mut taken = BTreeSet::new();
        let mut asserts = false;
        for (index, block) in case.blocks.iter().enumerate() {
            let known = block.name.as_str();
            if PROSE.contains(&known) || inputs.contains(&known) {
                continue;
            }
            asserts = true;
            let mut trial_name = format!("{case_name}::{known}");
            let mut n = 2;
            while !taken.insert(trial_name.clone()) {
                trial_name = format!("{case_name}::{known}-{n}");
                n += 1;
            }
            if outputs.contains(&known) {
                let (shared, case, path) = (Arc::clone(shared), Arc::clone(&case), path.to_owned());
                let run_name = trial_name.clone();
                trials.push(Trial::ignorable_test(trial_name, move || {
                    shared.output(&run_name, &path, &case, &case.blocks[index])
                }));
            } else {
                let all: Vec<&str> = inputs.iter().chain(outputs).copied().collect();
                let why = format!(
                    "{}:{}: no stage is named `{known}`; there are {}",
                    path.display(),
                    block.line,
                    all.join(", ")
                );
                trials.push(broken(shared, trial_name, why));
            }
        }
        if !asserts {
            let why = format!(
                "{}:{}: the case has no output block, so it asserts nothing",
                path.display(),
                case.line
            );
            trials.push(broken(shared, case_name, why));
        }
    }
    trials
}

/// A test that fails with this report.
fn broken<S: Stages>(shared: &Arc<Shared<S>>, name: String, report: String) -> Trial {
    let shared = Arc::clone(shared);
    let failed = name.clone();
    Trial::test(name, move || Err(shared.failed(&failed, report)))
}

impl<S: Stages> Shared<S> {
    fn output(&self, name: &str, path: &Path, case: &Case, block: &Block) -> Result<Completion, Failed> {
        let place = format!("{}:{}", path.display(), block.line);
        let text = match self.stages.produce(case, block) {
            Ok(Produced::Text(text)) => text,
            Ok(Produced::Skip(skip)) => {
                let reason = skip.to_string();
                let skipped = Skipped { test: name.to_owned(), need: skip.need, found: skip.found };
                self.verdict.lock().unwrap_or_else(PoisonError::into_inner).skips.push(skipped);
                return Ok(Completion::ignored_with(reason));
            }
            Err(report) => return Err(self.failed(name, format!("{place}: {report}"))),
        };
        if !difference::same(&block.text, &text) {
            if !self.bless {
                let shown = difference::show(&block.text, &text);
                let hint = "- expected, + found; NONNA_BLESS=1 makes what was found the expectation";
                return Err(self.failed(name, format!("{place}\n{shown}{hint}")));
            }
            let mut blessed = self.blessed.lock().unwrap_or_else(PoisonError::into_inner);
            blessed.entry(path.to_owned()).or_default().push((block.clone(), text));
        }
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).passed += 1;
        Ok(Completion::Completed)
    }

    fn failed(&self, name: &str, report: String) -> Failed {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).failures.push(name.to_owned());
        report.into()
    }
}

fn write(path: &Path, changes: &[(Block, String)]) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    std::fs::write(path, rewrite(&text, changes)).with_context(|| format!("write {}", path.display()))
}

/// Markdown files in a folder and below, in order; a README is prose.
fn markdown(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let mut entries: Vec<PathBuf> = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            markdown(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "md") && !path.ends_with("README.md") {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One input `word`; the output `upper` is the word in capitals, `moon` is always out of reach, `gap` fails.
    struct Words;

    impl Stages for Words {
        fn inputs(&self) -> &[&str] {
            &["word"]
        }

        fn outputs(&self) -> &[&str] {
            &["upper", "moon", "gap"]
        }

        fn produce(&self, case: &Case, block: &Block) -> Result<Produced, String> {
            let word = case.block("word").ok_or("no word")?;
            match block.name.as_str() {
                "upper" => Ok(Produced::Text(format!("{}{}", word.text.to_uppercase(), block.argument))),
                "moon" => Ok(Produced::Skip(Skip::new("the moon", "clouds"))),
                _ => Err("out of order".to_owned()),
            }
        }
    }

    fn run(text: &str, bless: bool) -> (Verdict, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("words.md");
        std::fs::write(&file, text).unwrap();
        let street =
            Street { name: "words", folder: folder.path().to_owned(), pins: folder.path().join("pins") };
        let verdict = Verdict { suite: "words".to_owned(), ..Verdict::default() };
        let shared = Arc::new(Shared {
            stages: Words,
            verdict: Mutex::new(verdict),
            blessed: Mutex::default(),
            bless,
        });
        let trials = street.trials(&shared).unwrap();
        let args = Arguments::from_iter(["words", "--quiet", "--logfile", "/dev/null"]);
        let _ = libtest_mimic::run(&args, trials);
        for (path, changes) in shared.blessed.lock().unwrap().iter() {
            write(path, changes).unwrap();
        }
        let mut verdict = shared.verdict.lock().unwrap().clone();
        verdict.failures.sort();
        (verdict, std::fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn outputs_are_compared() {
        let text = "# Greet\n```word\nciao\n```\n```upper\nCIAO\n```\n```upper x\nCIAO\ny\n```\n```moon\n```\n```gap\n```\n";
        let (verdict, after) = run(text, false);
        assert_eq!(verdict.passed, 1);
        assert_eq!(verdict.failures, ["words::greet::gap", "words::greet::upper-2"]);
        assert_eq!(
            (verdict.skips[0].test.as_str(), verdict.skips[0].need.as_str()),
            ("words::greet::moon", "the moon")
        );
        assert_eq!(after, text);
    }

    #[test]
    fn blessing_rewrites_what_differs() {
        let text = "# A\n```word\na\n```\nx\n```upper\n```\n# B\n```word\nb\n```\n```upper !\nold\n```\n";
        let (verdict, after) = run(text, true);
        assert_eq!((verdict.passed, verdict.failed()), (2, 0));
        assert_eq!(after, text.replace("```upper\n", "```upper\nA\n").replace("old", "B\n!"));
        let (verdict, _) = run(&after, false);
        assert_eq!((verdict.passed, verdict.failed()), (2, 0));
    }

    #[test]
    fn what_would_assert_nothing_fails() {
        assert_eq!(run("# A\n```word\na\n```\n", false).0.failures, ["words::a"]);
        assert_eq!(run("# A\n```wrod\na\n```\n", false).0.failures, ["words::a::wrod"]);
        assert_eq!(run("prose\n", false).0.failures, ["words"]);
        assert_eq!(run("# A\n```upper\n", false).0.failures, ["words"]);
    }
}
