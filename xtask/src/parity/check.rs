//! What must hold: our verdicts agree with the kernel's, each difference is explained, and the page says so.

use anyhow::{Context as _, Result};
use nonna_kernel::Kernel as RunningKernel;
use nonna_testkit::Skip;

use super::compare::{Compared, Counts};
use super::corpus::{self, Corpus};
use super::explained::{self, Explanations, is_unsafe};
use super::generated;
use super::objects::Objects;
use super::page::{self, Contents};
use super::record::{self, Record};
use super::verdict::Table;
use crate::packages;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// The least agreement, in per cent.
const LEAST_AGREEMENT: f64 = 95.0;
/// How many random programs the running kernel is asked about.
const N_GENERATED: u64 = 2000;

/// Compares with the recorded verdicts, and random programs with the running kernel.
///
/// # Errors
///
/// If something is broken. What a machine cannot have is a skip in the tally.
pub fn check(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    let folder = super::folder(workspace)?;
    match Objects::build(workspace, &folder)? {
        Ok(objects) => recorded(workspace, &objects, &mut tally)?,
        Err(skip) => tally.skip("verdicts beside the kernel's", skip),
    }
    if packages::is_root() {
        running(workspace, &mut tally)?;
    } else {
        tally.skip("random programs before the kernel", Skip::new("root", "an ordinary user"));
    }
    Ok(tally)
}

fn recorded(workspace: &Workspace, objects: &Objects, tally: &mut Tally) -> Result<()> {
    let record = Record::read(&workspace.root.join(record::PATH))?;
    if record.generator != generated::fingerprint(record.n_generated()) {
        tally.fail("the random programs are not those that the kernel was asked about: cargo xtask parity --ask --write");
        return Ok(());
    }
    let corpus = Corpus {
        selftests: objects.selftests.clone(),
        real: objects.real.clone(),
        table: record.table(),
        types: corpus::read_types(&objects.types)?,
        release: record.release,
    };
    let shown = Shown::of(workspace, &corpus)?;
    for (name, list) in shown.lists() {
        judge(tally, name, list, &shown.explanations);
    }
    for program in shown.explanations.stale(&shown.all()) {
        tally.fail(&format!("{}: `{program}` agrees by now", explained::PATH));
    }
    if workspace.read(page::PATH)?.as_deref() == Some(shown.page(&corpus).as_str()) {
        tally.pass();
    } else {
        tally.fail(&format!("{} is not current: cargo xtask parity --write", page::PATH));
    }
    Ok(())
}

/// Random programs before the kernel that runs here.
fn running(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let kernel = RunningKernel::new();
    let list = generated::compare(&kernel, 0..N_GENERATED)?;
    let n_judged = Counts::of(&list).judged();
    if n_judged == 0 {
        tally.skip(
            "random programs before the kernel",
            Skip::new("verdicts of the running kernel", "it gave none"),
        );
        return Ok(());
    }
    let explanations = Explanations::read(&workspace.root.join(explained::PATH), &Table::default())?;
    let mut n_trouble = 0;
    for one in list.iter().filter(|one| is_unsafe(one)) {
        let is_explained = explanations.of(one).kind != explained::UNEXPLAINED;
        if !is_explained && !generated::is_more_exact(&kernel, one) {
            tally.fail(&format!("random program, accepted only by us: {}", one.name()));
            n_trouble += 1;
        }
    }
    if Counts::of(&list).agreement() < LEAST_AGREEMENT {
        tally.fail(&format!("random programs: {}", super::compare::summary(&Counts::of(&list))));
    } else if n_trouble == 0 {
        tally.pass();
    }
    Ok(())
}

fn judge(tally: &mut Tally, name: &str, list: &[Compared], explanations: &Explanations) {
    let counts = Counts::of(list);
    // The larger ones are few, and each is looked at.
    if counts.judged() > 100 && counts.agreement() < LEAST_AGREEMENT {
        tally.fail(&format!("{name}: {}", super::compare::summary(&counts)));
    } else {
        tally.pass();
    }
    for one in list.iter().filter(|one| one.outcome().is_disagreement()) {
        let explained = explanations.of(one);
        if explanations.is_hole(one) || explained.kind == explained::UNEXPLAINED {
            tally.fail(&format!("{name}: {} is not explained ({})", one.name(), explained.why));
        }
    }
}

/// Writes the record of the table and the page, and leaves out explanations of what agrees by now.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(workspace: &Workspace, corpus: &Corpus) -> Result<()> {
    let record = Record::of(&corpus.table, &corpus.release);
    let path = workspace.root.join(record::PATH);
    std::fs::write(&path, record.to_text()).with_context(|| format!("write {}", path.display()))?;
    let shown = Shown::of(workspace, corpus)?;
    let kept = shown.explanations.without(&shown.explanations.stale(&shown.all()));
    let path = workspace.root.join(explained::PATH);
    std::fs::write(&path, kept).with_context(|| format!("write {}", path.display()))?;
    let path = workspace.root.join(page::PATH);
    std::fs::write(&path, shown.page(corpus)).with_context(|| format!("write {}", path.display()))?;
    println!("wrote {} and {}", record::PATH, page::PATH);
    Ok(())
}

/// Everything that the page shows.
struct Shown {
    selftests: corpus::Judged,
    real: corpus::Judged,
    generated: Vec<Compared>,
    explanations: Explanations,
}

impl Shown {
    fn of(workspace: &Workspace, corpus: &Corpus) -> Result<Self> {
        Ok(Self {
            selftests: corpus.judge(&corpus.selftests, None)?,
            real: corpus.judge(&corpus.real, None)?,
            generated: corpus.judge_generated(),
            explanations: Explanations::read(&workspace.root.join(explained::PATH), &corpus.table)?,
        })
    }

    fn lists(&self) -> [(&'static str, &[Compared]); 3] {
        [
            ("the kernel's tests", &self.selftests.list),
            ("larger programs", &self.real.list),
            ("random programs", &self.generated),
        ]
    }

    fn all(&self) -> Vec<Compared> {
        self.lists().into_iter().flat_map(|(_, list)| list.to_vec()).collect()
    }

    fn page(&self, corpus: &Corpus) -> String {
        page::text(&Contents {
            release: &corpus.release,
            selftests: &self.selftests.list,
            unread: &self.selftests.unread,
            real: &self.real.list,
            generated: &self.generated,
            explanations: &self.explanations,
        })
    }
}
