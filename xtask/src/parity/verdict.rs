//! What a kernel says of a program, as one line of a table.
//!
//! A table is what was learned by running; it holds no text of the kernel's but the sentence that its log ends with, and that only in
//! tables that stay on this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nonna_bpf::{Object, Program, ProgramIdx, ProgramType, UNRESOLVED_RELOCATION};
use nonna_kernel::{Kernel, LoadError};
use serde::{Deserialize, Serialize};

use super::cases;

/// What a kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It loads.
    Accept,
    /// The verifier refuses it.
    Refuse,
    /// There is no verdict: the machine forbids the family of programs, or lacks what the program names.
    None,
}

/// A verdict with its circumstances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Object file, without its ending.
    pub object: String,
    /// Program.
    pub program: String,
    /// Verdict.
    pub verdict: Verdict,
    /// The last sentence of the log, or why there is no verdict.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Slot at which the verifier stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// How long the load took, all in all, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// The verdicts of one kernel, by object and program.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// By object and program.
    pub by_program: BTreeMap<(String, String), Heard>,
}

impl Table {
    /// Adds a verdict.
    pub fn insert(&mut self, heard: Heard) {
        self.by_program.insert((heard.object.clone(), heard.program.clone()), heard);
    }

    /// The verdict on a program.
    pub fn get(&self, object: &str, program: &str) -> Option<&Heard> {
        self.by_program.get(&(object.to_owned(), program.to_owned()))
    }

    /// Reads one JSON object a line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let mut table = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let heard: Heard =
                serde_json::from_str(line).with_context(|| format!("parse {}", path.display()))?;
            table.insert(heard);
        }
        Ok(table)
    }

    /// Writes one JSON object a line.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        for heard in self.by_program.values() {
            text.push_str(&serde_json::to_string(heard).context("write a verdict")?);
            text.push('\n');
        }
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// The running kernel's verdicts on every program of every object in some folders.
pub fn table(folders: &[&Path]) -> Result<Table> {
    println!("asking the running kernel");
    let mut table = Table::default();
    for folder in folders {
        ask(folder, |heard| table.insert(heard))?;
    }
    Ok(table)
}

/// Asks the running kernel about every program of every object in a folder.
pub fn ask(folder: &Path, mut hear: impl FnMut(Heard)) -> Result<()> {
    let kernel = Kernel::new();
    let types = kernel.btf().context("the types of the running kernel")?;
    for path in cases::files(folder)? {
        let source = cases::read(&path, Some(&types))?;
        if let Ok(object) = &source.object {
            ask_one(&kernel, &source.name, object, &mut hear);
        }
    }
    Ok(())
}

/// Asks the running kernel about every program of one object.
pub fn ask_one(kernel: &Kernel, name: &str, object: &Object, hear: &mut impl FnMut(Heard)) {
    let unresolved = format!("unknown#{UNRESOLVED_RELOCATION}");
    let heard = |program: &Program, answer: Result<(), LoadError>| {
        let (verdict, reason, slot) = match answer {
            Ok(()) => (Verdict::Accept, String::new(), None),
            Err(_) if matches!(program.program_type, ProgramType::StructOps | ProgramType::Ext) => {
                (Verdict::None, "it stands in for something that is not loaded here".to_owned(), None)
            }
            Err(LoadError::Refused(refused)) if refused.reason.ends_with("is not modifiable") => {
                (Verdict::None, "this kernel was built without what it hooks".to_owned(), None)
            }
            Err(LoadError::Refused(refused)) if refused.reason.contains(&unresolved) => {
                (Verdict::None, "it names a type that this kernel does not have".to_owned(), None)
            }
            Err(LoadError::Refused(refused)) => (Verdict::Refuse, refused.reason, refused.insn),
            Err(other) => (Verdict::None, chain(&other), None),
        };
        Heard { object: name.to_owned(), program: program.name.clone(), verdict, reason, slot, took_us: None }
    };
    let mut started = Instant::now();
    let outcome = kernel.judge(object, |ProgramIdx(idx), answer| {
        let took_us = u64::try_from(started.elapsed().as_micros()).ok();
        hear(Heard { took_us, ..heard(&object.programs[idx as usize], answer) });
        started = Instant::now();
    });
    if let Err(error) = outcome {
        let reason = chain(&error);
        for program in &object.programs {
            hear(Heard {
                object: name.to_owned(),
                program: program.name.clone(),
                verdict: Verdict::None,
                reason: reason.clone(),
                slot: None,
                took_us: None,
            });
        }
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
