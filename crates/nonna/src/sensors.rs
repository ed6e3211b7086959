//! The sensors inside, and which way of each this kernel allows.
//!
//! What is seen can often be seen in several ways, of which the first that works is the best. Which one is chosen is decided by
//! probes and by what the kernel's types name, never by its version; where none works the reason is kept, for `doctor`.

use nonna_bpf::{Feature, Probe, Target, Unsupported};
use nonna_btf::Kind;
use nonna_diag::Sources;
use nonna_event::EventSchema;
use nonna_kernel::Kernel;

use crate::compile;
use crate::outcome::Trouble;

/// Something to watch, with the ways to do that, the best first.
struct Sensor {
    /// What it is called, for `doctor`.
    name: &'static str,
    /// Its scripts.
    ways: &'static [Way],
    /// It taxes the machine even where nobody wants its event: this one.
    only_for: Option<&'static str>,
}

/// A script and what it needs.
struct Way {
    text: &'static str,
    /// How it sees, in words.
    words: &'static str,
    needs: Needs,
}

#[derive(Clone, Copy)]
enum Needs {
    /// What every sensor needs.
    Nothing,
    /// A raw tracepoint of this name.
    Tracepoint(&'static str),
    /// A function of the kernel, and programs on such.
    Function(&'static str, Feature),
}

/// Why a way cannot be gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The kernel was built without the part that has this tracepoint.
    #[error("this kernel has no tracepoint {0}")]
    Tracepoint(&'static str),
    /// The kernel has no function of this name.
    #[error("this kernel has no function {0}")]
    Function(&'static str),
    /// The kernel cannot run such programs.
    #[error(transparent)]
    Feature(Unsupported),
}

/// What became of a sensor.
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// Script and how it sees, or why none of the ways can be gone.
    pub outcome: Result<(&'static str, &'static str), Vec<Missing>>,
}

impl Way {
    const fn always(text: &'static str) -> Self {
        Self { text, words: "system calls and tracepoints that every kernel has", needs: Needs::Nothing }
    }

    const fn tracepoint(text: &'static str, name: &'static str) -> Self {
        Self { text, words: "tracepoints", needs: Needs::Tracepoint(name) }
    }

    fn missing(&self, kernel: &Kernel, target: &Target) -> Option<Missing> {
        match self.needs {
            Needs::Nothing => None,
            Needs::Tracepoint(name) => {
                let found = target.btf.tracepoint(name).is_ok_and(|found| found.is_some());
                (!found).then_some(Missing::Tracepoint(name))
            }
            Needs::Function(name, feature) => {
                if target.btf.find(Kind::Func, name).is_none() {
                    return Some(Missing::Function(name));
                }
                match kernel.probe(feature) {
                    Probe::Yes => None,
                    Probe::No(found) | Probe::CannotTell(found) => {
                        Some(Missing::Feature(Unsupported { feature, found }))
                    }
                }
            }
        }
    }
}

const fn sensor(name: &'static str, ways: &'static [Way]) -> Sensor {
    Sensor { name, ways, only_for: None }
}

/// The sensors inside.
const SENSORS: &[Sensor] = &[
    sensor("processes", &[Way::always(include_str!("../../../sensors/process.bt"))]),
    sensor("files", &[Way::always(include_str!("../../../sensors/file.bt"))]),
    sensor("mounts", &[Way::always(include_str!("../../../sensors/mount.bt"))]),
    sensor("network", &[Way::always(include_str!("../../../sensors/network.bt"))]),
    sensor("rights", &[Way::always(include_str!("../../../sensors/security.bt"))]),
    sensor("modules", &[Way::tracepoint(include_str!("../../../sensors/module.bt"), "module_load")]),
    sensor(
        "opens by io_uring",
        &[Way::tracepoint(include_str!("../../../sensors/uring.bt"), "io_uring_complete")],
    ),
    Sensor {
        name: "capabilities",
        ways: &[
            Way::tracepoint(include_str!("../../../sensors/capability.bt"), "cap_capable"),
            Way {
                text: include_str!("../../../sensors/capability_function.bt"),
                words: "the end of a function of the kernel",
                needs: Needs::Function("cap_capable", Feature::Fentry),
            },
            Way {
                text: include_str!("../../../sensors/capability_probe.bt"),
                words: "a probe on a function of the kernel",
                needs: Needs::Function("cap_capable", Feature::Kprobe),
            },
        ],
        // The kernel decides about rights thousands of times a second.
        only_for: Some("capability_use"),
    },
];

/// Kernels have different calls; a sensor inside serves those that are there.
const MISSING_IS_FINE: &str = "config = { missing_probes = ignore }\n";

/// Which way of each sensor is chosen on this kernel.
pub fn choices(kernel: &Kernel, target: &Target) -> Vec<Choice> {
    SENSORS.iter().map(|sensor| sensor.choose(kernel, target)).collect()
}

/// The text of all sensors that this kernel allows. `wants` says whether somebody asks for an event by its name.
pub fn text(kernel: &Kernel, target: &Target, wants: impl Fn(&str) -> bool) -> String {
    let wanted = SENSORS.iter().filter(|sensor| sensor.only_for.is_none_or(&wants));
    let texts = wanted.filter_map(|sensor| Some(sensor.choose(kernel, target).outcome.ok()?.0));
    [MISSING_IS_FINE].into_iter().chain(texts).collect()
}

/// What the sensors that this kernel allows send.
///
/// # Errors
///
/// Where the sensors do not compile for this kernel.
pub fn schemas(kernel: &Kernel, target: &Target) -> Result<Vec<EventSchema>, Trouble> {
    let mut sources = Sources::new();
    let id = sources.add("sensors", text(kernel, target, |_| true));
    let options = nonna_script::Options { sensors: true, ..nonna_script::Options::default() };
    let (compiled, _) = compile::script(&sources, id, target, &options)?;
    Ok(compiled.module.events.values().cloned().collect())
}

impl Sensor {
    fn choose(&self, kernel: &Kernel, target: &Target) -> Choice {
        let mut missing = Vec::new();
        for way in self.ways {
            match way.missing(kernel, target) {
                None => return Choice { name: self.name, outcome: Ok((way.text, way.words)) },
                Some(why) => missing.push(why),
            }
        }
        Choice { name: self.name, outcome: Err(missing) }
    }
}
