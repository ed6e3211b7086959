//! Programs with the verdicts of a kernel, and ours on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nonna_bpf::Object;
use nonna_btf::Btf;
use nonna_testkit::programs;
use nonna_verifier::Environment;

use super::cases;
use super::compare::Compared;
use super::ours;
use super::verdict::{Heard, Table};

/// The name under which random programs stand in a table.
pub const GENERATED: &str = "generated";

/// The name under which they stand once they say what a quotient or remainder is.
pub const HINTED: &str = "hinted";

/// Objects, verdicts and types that belong together.
pub struct Corpus {
    /// The kernel's own tests of its verifier.
    pub selftests: PathBuf,
    /// Larger programs.
    pub real: PathBuf,
    /// The kernel's verdicts.
    pub table: Table,
    /// The kernel's types.
    pub types: Arc<Btf>,
    /// The kernel.
    pub release: String,
}

/// What came of a folder of objects.
#[derive(Debug, Default)]
pub struct Judged {
    /// Both verdicts.
    pub list: Vec<Compared>,
    /// Programs and objects that could not be read, with the reasons.
    pub unread: Vec<(String, String)>,
}

/// What our verifier assumes when it is compared with a kernel that has these types.
pub fn environment(types: &Arc<Btf>) -> Environment {
    Environment {
        kernel_types: Some(Arc::clone(types)),
        // As kernels have it for privileged loaders.
        uninitialized_stack: true,
        ..Environment::default()
    }
}

impl Corpus {
    /// Judges every program of a folder that the table knows and whose `object/program` contains the filter.
    pub fn judge(&self, folder: &Path, filter: Option<&str>) -> Result<Judged> {
        let environment = environment(&self.types);
        let patience = if folder == self.real { ours::LONG_PATIENCE } else { ours::PATIENCE };
        let mut judged = Judged::default();
        for path in cases::files(folder)? {
            let source = cases::read(&path, Some(&self.types))?;
            let wanted = |program: &str| {
                filter.is_none_or(|filter| format!("{}/{program}", source.name).contains(filter))
            };
            let object = match &source.object {
                Ok(object) => object,
                Err(error) => {
                    judged.unread.push((source.name.clone(), error.clone()));
                    continue;
                }
            };
            let unread = source.unread.iter().filter(|(program, _)| wanted(program));
            judged
                .unread
                .extend(unread.map(|(program, error)| (format!("{}/{program}", source.name), error.clone())));
            for (index, program) in object.programs.iter().enumerate().filter(|(_, p)| wanted(&p.name)) {
                let Some(kernel) = self.table.get(&source.name, &program.name) else { continue };
                let expected = source.expected.get(&program.name).and_then(|expected| expected.accepted);
                judged.list.push(one(kernel, expected, cases::alone(object, index), &environment, patience));
            }
        }
        Ok(judged)
    }

    /// Judges the random programs that the table knows.
    pub fn judge_generated(&self) -> Vec<Compared> {
        let environment = environment(&self.types);
        let seeds = self.table.by_program.values().filter(|heard| heard.object == GENERATED);
        let judge = |heard: &Heard| {
            let seed = seed_of(&heard.program)?;
            Some(one(heard, None, programs::generate(seed), &environment, ours::PATIENCE))
        };
        seeds.filter_map(judge).collect()
    }
}

/// The seed that a random program's name holds.
pub fn seed_of(program: &str) -> Option<u64> {
    program.strip_prefix("seed_")?.parse().ok()
}

/// Both verdicts on a program that stands alone in its object.
pub fn one(
    kernel: &Heard,
    expected: Option<bool>,
    object: Object,
    environment: &Environment,
    patience: Duration,
) -> Compared {
    let n_insns = object.programs.first().map_or(0, |program| program.insns.len());
    let (ours, took) = ours::judge(object, environment, patience);
    Compared { kernel: kernel.clone(), expected, ours, took, n_insns }
}

/// Reads a kernel's types.
pub fn read_types(path: &Path) -> Result<Arc<Btf>> {
    let types = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Arc::new(Btf::parse(types).context("the types of the packaged kernel")?))
}
