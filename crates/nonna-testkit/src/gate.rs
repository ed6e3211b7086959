//! Decides whether a machine offers what a test needs.
//!
//! A gate has three outcomes: open, closed with a typed reason, or broken. Broken is what makes it honest: a probe that cannot
//! tell fails the test instead of skipping it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nonna_bpf::{Feature, Probe};

use crate::guest;
use crate::need::{MODULES, Need, Skip};

/// Probes one kernel feature by a real load; the crate under test supplies it.
pub type FeatureProbe = Box<dyn Fn(Feature) -> Probe>;

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Everything is there.
    Open,
    /// Something is missing.
    Closed(Skip),
    /// Nobody can tell; this is a failure.
    Broken(String),
}

/// Gates of one machine; each feature is probed once.
#[derive(Default)]
pub struct Gates {
    probe: Option<FeatureProbe>,
    probed: RefCell<BTreeMap<Feature, Probe>>,
}

impl Gates {
    /// Gates without a feature probe: a need of a feature is broken.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gates that ask this probe for features.
    pub fn with_probe(probe: FeatureProbe) -> Self {
        Self { probe: Some(probe), probed: RefCell::default() }
    }

    /// The first need that is not met decides.
    pub fn check(&self, needs: &[Need]) -> Gate {
        // Without root no probe of the kernel can tell, so this goes first.
        let privileged = |need: &Need| matches!(need, Need::Root | Need::Feature(_) | Need::Guest);
        if needs.iter().any(privileged) && !is_root() {
            return Gate::Closed(Skip::new(Need::Root, "an ordinary user"));
        }
        needs.iter().map(|need| self.one(*need)).find(|gate| *gate != Gate::Open).unwrap_or(Gate::Open)
    }

    fn one(&self, need: Need) -> Gate {
        match need {
            Need::Root => Gate::Open,
            Need::Feature(feature) => self.feature(feature),
            Need::Module(name) => module(name),
            Need::Tool(name) => closed_unless(find_tool(name).is_some(), need, "it is not on the PATH"),
            Need::Path(path) => closed_unless(Path::new(path).exists(), need, "there is no such file"),
            Need::Guest => closed_unless(guest::is_guest(), need, "a machine that people work on"),
            Need::Probe { probe, .. } => match probe() {
                Ok(()) => Gate::Open,
                Err(found) => Gate::Closed(Skip::new(need, found)),
            },
        }
    }

    fn feature(&self, feature: Feature) -> Gate {
        let Some(probe) = &self.probe else {
            return Gate::Broken(format!(
                "the suite has no probe, so nobody can tell whether {feature} is there"
            ));
        };
        let outcome = self.probed.borrow_mut().entry(feature).or_insert_with(|| probe(feature)).clone();
        match outcome {
            Probe::Yes => Gate::Open,
            Probe::No(found) => Gate::Closed(Skip::new(Need::Feature(feature), found)),
            Probe::CannotTell(why) => Gate::Broken(format!("cannot tell whether {feature} is there: {why}")),
        }
    }
}

fn closed_unless(met: bool, need: Need, found: &str) -> Gate {
    if met { Gate::Open } else { Gate::Closed(Skip::new(need, found)) }
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where a program lies on the `PATH`.
pub fn find_tool(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn module(name: &'static str) -> Gate {
    let need = Need::Module(name);
    let Some(info) = MODULES.iter().find(|m| m.name == name) else {
        return Gate::Broken(format!("module {name} is not in the table of modules"));
    };
    if Path::new("/sys/module").join(name.replace('-', "_")).exists() {
        return Gate::Open;
    }
    match built_in(info.config, name) {
        Ok(built_in) => closed_unless(built_in, need, "it is neither loaded nor built in"),
        Err(why) => Gate::Broken(format!("cannot tell whether module {name} is built in: {why}")),
    }
}

/// Whether the running kernel has it built in, from its list of modules or its configuration.
fn built_in(config: &str, module: &str) -> Result<bool, String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if let Ok(list) = std::fs::read_to_string(format!("/lib/modules/{release}/modules.builtin")) {
        return Ok(list.lines().any(|line| line.ends_with(&format!("/{module}.ko"))));
    }
    let text = match std::fs::read_to_string(format!("/boot/config-{release}")) {
        Ok(text) => text,
        Err(_) => unpacked("/proc/config.gz")?,
    };
    Ok(text.lines().any(|line| line == format!("CONFIG_{config}=y")))
}

fn unpacked(path: &str) -> Result<String, String> {
    let output = Command::new("zcat").arg(path).output().map_err(|error| format!("zcat: {error}"))?;
    if !output.status.success() {
        return Err(format!("zcat {path}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{path} is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(outcome: Probe) -> Gates {
        Gates::with_probe(Box::new(move |_| outcome.clone()))
    }

    #[test]
    fn a_probe_that_cannot_tell_is_broken() {
        let needs = [Need::Feature(Feature::Lsm)];
        if !is_root() {
            assert!(matches!(gates(Probe::Yes).check(&needs), Gate::Closed(s) if s.need == "root"));
            return;
        }
        assert_eq!(gates(Probe::Yes).check(&needs), Gate::Open);
        let closed = gates(Probe::No("EPERM".to_owned())).check(&needs);
        assert_eq!(closed, Gate::Closed(Skip { need: "feature lsm".to_owned(), found: "EPERM".to_owned() }));
        assert!(matches!(gates(Probe::CannotTell("EIO".to_owned())).check(&needs), Gate::Broken(_)));
        assert!(matches!(Gates::new().check(&needs), Gate::Broken(_)));
    }

    #[test]
    fn tools_paths_and_probes_have_reasons() {
        let gates = Gates::new();
        assert_eq!(gates.check(&[Need::Tool("sh"), Need::Path("/proc")]), Gate::Open);
        let needs = [Need::Tool("sh"), Need::Tool("no-such-tool-anywhere")];
        assert!(matches!(gates.check(&needs), Gate::Closed(s) if s.need == "tool no-such-tool-anywhere"));
        let probe = Need::Probe { name: "luck", probe: || Err("none".to_owned()) };
        assert_eq!(gates.check(&[probe]), Gate::Closed(Skip::new("probe luck", "none")));
        assert!(matches!(gates.check(&[Need::Module("no-such-module")]), Gate::Broken(_)));
    }
}
