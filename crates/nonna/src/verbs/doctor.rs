//! `nonna doctor`: every feature of this kernel, how it was probed, what is chosen and what falls back.

use std::io::Write;

use anyhow::Context;
use nonna_bpf::{Feature, Probe};
use nonna_kernel::Kernel;
use serde_json::json;

use crate::cli::{Format, Global};
use crate::outcome::{Done, Outcome};
use crate::sensors::{self, Choice};

/// What is known about a feature besides its outcome.
struct Note {
    /// How the probe finds out.
    probe: &'static str,
    /// What it is used for.
    chosen: &'static str,
    /// What happens without it.
    fallback: &'static str,
}

/// Probes everything and prints the report.
pub fn run(global: &Global) -> Outcome {
    let kernel = Kernel::new();
    let mut out = Vec::new();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (release, root) = (release.trim(), rustix::process::geteuid().is_root());
    if global.format == Format::Json {
        let features: Vec<_> = Feature::ALL.iter().map(|&feature| object(&kernel, feature)).collect();
        let report = json!({
            "kernel": release,
            "root": root,
            "isa": format!("{:?}", kernel.isa()).to_lowercase(),
            "features": features,
            "sensors": choices(&kernel).iter().map(choice_object).collect::<Vec<_>>(),
        });
        writeln!(out, "{report}").context("write the report")?;
    } else {
        writeln!(out, "Linux {release}, running as {}", if root { "root" } else { "an ordinary user" })
            .context("write the report")?;
        writeln!(out, "Instructions up to {:?}\n", kernel.isa()).context("write the report")?;
        for &feature in Feature::ALL {
            out.extend(lines(&kernel, feature, global.verbose).into_bytes());
        }
        writeln!(out, "\nSensors of `nonna watch`").context("write the report")?;
        for choice in choices(&kernel) {
            out.extend(choice_lines(&choice).into_bytes());
        }
        if !root {
            out.extend_from_slice(b"\nWithout root most probes cannot tell: run `sudo nonna doctor`.\n");
        }
    }
    std::io::stdout().write_all(&out).context("write the report")?;
    Ok(Done::Fine)
}

/// What became of each sensor; nothing where the kernel's types cannot be read.
fn choices(kernel: &Kernel) -> Vec<Choice> {
    kernel.target(&[]).map(|target| sensors::choices(kernel, &target)).unwrap_or_default()
}

fn choice_object(choice: &Choice) -> serde_json::Value {
    let (outcome, seen_by, reasons) = match &choice.outcome {
        Ok((_, words)) => ("yes", Some(*words), Vec::new()),
        Err(missing) => ("no", None, missing.iter().map(ToString::to_string).collect()),
    };
    json!({ "sensor": choice.name, "outcome": outcome, "seen_by": seen_by, "reasons": reasons })
}

fn choice_lines(choice: &Choice) -> String {
    match &choice.outcome {
        Ok((_, words)) => format!("{:<12} {:<18} seen by {words}\n", "yes", choice.name),
        Err(missing) => {
            let mut out = format!("{:<12} {:<18} not watched on this kernel\n", "no", choice.name);
            for why in missing {
                out.push_str(&format!("{:31} why: {why}\n", ""));
            }
            out
        }
    }
}

fn words(outcome: &Probe) -> (&'static str, &str) {
    match outcome {
        Probe::Yes => ("yes", ""),
        Probe::No(why) => ("no", why),
        Probe::CannotTell(why) => ("cannot tell", why),
    }
}

fn object(kernel: &Kernel, feature: Feature) -> serde_json::Value {
    let outcome = kernel.probe(feature);
    let (word, why) = words(&outcome);
    let note = note(feature);
    json!({
        "feature": feature.name(),
        "outcome": word,
        "reason": why,
        "since": feature.since(),
        "probed_by": note.probe,
        "used_for": note.chosen,
        "otherwise": note.fallback,
    })
}

fn lines(kernel: &Kernel, feature: Feature, verbose: bool) -> String {
    let outcome = kernel.probe(feature);
    let (word, why) = words(&outcome);
    let note = note(feature);
    let use_or_fallback = if outcome == Probe::Yes { note.chosen } else { note.fallback };
    let mut out = format!("{word:<12} {:<18} {use_or_fallback}\n", feature.name());
    if !why.is_empty() {
        out.push_str(&format!("{:31} why: {why}\n", ""));
    }
    if verbose {
        out.push_str(&format!("{:31} probed by: {}; in Linux since {}\n", "", note.probe, feature.since()));
    }
    out
}

fn note(feature: Feature) -> Note {
    let (probe, chosen, fallback) = match feature {
        Feature::TypedTracepoint => (
            "loading a program on a typed tracepoint",
            "tracepoints with typed arguments, read directly",
            "tracepoints with plain arguments, read by checked copies",
        ),
        Feature::RawTracepoint => (
            "loading and attaching a program",
            "all sensors of processes, files and the network",
            "no sensor works without it",
        ),
        Feature::PerfTracepoint => (
            "opening a tracepoint's event and attaching to it",
            "tracepoint:… in scripts",
            "rawtracepoint:… in scripts",
        ),
        Feature::Fentry => (
            "loading a program on a kernel function's entry and attaching it",
            "fentry:… and fexit:… in scripts",
            "kprobe:… where there is that, else tracepoints",
        ),
        Feature::ModifyReturn => (
            "denying one file of its own and looking whether that works",
            "second choice to prevent actions",
            "actions are ended after the fact instead of prevented",
        ),
        Feature::Lsm => (
            "denying one file of its own and looking whether that works",
            "first choice to prevent actions",
            "modify-return where there is that",
        ),
        Feature::Kprobe => (
            "attaching to a kernel function",
            "kprobe:… in scripts",
            "fentry:… where there is that, else tracepoints",
        ),
        Feature::KprobeMulti => (
            "attaching to two kernel functions by one link",
            "kprobe:… with wildcards",
            "one attachment for each function, which is slower",
        ),
        Feature::Uprobe => {
            ("attaching to a function of this program", "uprobe:… in scripts", "no user functions in scripts")
        }
        Feature::UprobeMulti => (
            "attaching to functions of this program by one link",
            "many user functions at once",
            "one attachment for each function, which is slower",
        ),
        Feature::PerfEvent => (
            "opening a clock's event and attaching to it",
            "profile:, interval:, software: and hardware:",
            "no clocks in scripts",
        ),
        Feature::TaskIter => {
            ("loading an iterator over tasks and running it", "iter:task in scripts", "/proc is read instead")
        }
        Feature::RingBuffer => ("making one", "the way of every record", "nothing is reported without it"),
        Feature::Dynptr => (
            "loading a program that uses one",
            "records of any length without a second copy",
            "records are built aside and copied",
        ),
        Feature::BpfLoop => (
            "loading a program that loops",
            "paths and arguments of any length",
            "paths and arguments up to a fixed depth",
        ),
        Feature::Kfuncs => {
            ("loading a program that calls one", "functions newer than helpers", "helpers only")
        }
        Feature::TestRun => {
            ("running a program once", "BEGIN and END in scripts", "BEGIN and END do not run")
        }
        Feature::BatchOperations => {
            ("reading a map in one call", "printing large maps quickly", "maps are read entry by entry")
        }
        Feature::RunTimeStats => {
            ("switching the counters on and off", "what each program costs", "costs are not shown")
        }
        Feature::SendSignal => (
            "loading a program that sends a signal",
            "signal() in scripts; ending a process after the fact",
            "nothing can be ended from the kernel",
        ),
        Feature::CgroupSock => {
            ("attaching to a cgroup of its own", "preventing network use", "network use is only watched")
        }
        Feature::Xdp => ("loading a program", "packets at the network card", "packets at the socket"),
        Feature::Tcx => (
            "attaching to the loopback device",
            "packets on their way in and out",
            "the older way by netlink",
        ),
        Feature::MappedBtf => (
            "mapping the kernel's types into memory",
            "a start in milliseconds",
            "the types are read, which takes 6 ms and 5 MB more",
        ),
    };
    Note { probe, chosen, fallback }
}
