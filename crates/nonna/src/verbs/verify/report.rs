//! Verdicts, told: for people, as JSON a line for each program, as SARIF.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Context;
use nonna_diag::{Diagnostic, Sources, render};
use serde_json::{Value, json};

use super::kernel::{self, KernelVerdict};
use super::{Judgement, Verdict};
use crate::cli::{Format, Global};
use crate::terminal;

/// How and about what is told.
pub struct Report<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Texts of source lines.
    pub sources: &'a Sources,
    /// Options of every verb.
    pub global: &'a Global,
}

impl Report<'_> {
    /// Writes all verdicts to standard output.
    pub fn write(&self, judgements: &[Judgement]) -> anyhow::Result<()> {
        let text = match self.global.format {
            Format::Plain | Format::Falco | Format::FalcoText => self.plain(judgements),
            Format::Concise => self.concise(judgements),
            Format::Json => {
                judgements.iter().map(|judgement| format!("{}\n", self.json(judgement))).collect()
            }
            Format::Sarif => {
                let all: Vec<Diagnostic> = judgements.iter().flat_map(diagnostics).cloned().collect();
                render(&all, self.sources, nonna_diag::Format::Sarif)
            }
        };
        std::io::stdout().write_all(text.as_bytes()).context("write the result")
    }

    fn plain(&self, judgements: &[Judgement]) -> String {
        let format = nonna_diag::Format::Human {
            color: terminal::color_stdout(self.global),
            width: terminal::width(),
        };
        let mut text = String::new();
        for (index, judgement) in judgements.iter().enumerate() {
            if index > 0
                && (!diagnostics(judgement).is_empty() || !diagnostics(&judgements[index - 1]).is_empty())
            {
                text.push('\n');
            }
            text.push_str(&render(diagnostics(judgement), self.sources, format));
            if !diagnostics(judgement).is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", verdict(judgement));
            if let Some(told) = &judgement.kernel {
                text.push_str(&told_kernel(told, &judgement.verdict));
            }
        }
        if judgements.len() > 1 && !self.global.quiet {
            let count = |test: fn(&Verdict) -> bool| judgements.iter().filter(|j| test(&j.verdict)).count();
            let accepted = count(|verdict| matches!(verdict, Verdict::Accepted { .. }));
            let refused = count(|verdict| matches!(verdict, Verdict::Refused(_)));
            let unread = judgements.len() - accepted - refused;
            let _ = write!(text, "\n{} programs: {accepted} accepted, {refused} refused", judgements.len());
            if unread > 0 {
                let _ = write!(text, ", {unread} not readable");
            }
            text.push('\n');
        }
        text
    }

    fn concise(&self, judgements: &[Judgement]) -> String {
        let mut text = String::new();
        for judgement in judgements {
            text.push_str(&render(diagnostics(judgement), self.sources, nonna_diag::Format::Concise));
            let _ = writeln!(text, "{}", verdict(judgement));
            match judgement.kernel.as_ref().and_then(|told| told.agrees(&judgement.verdict)) {
                Some(agrees) => {
                    let _ = writeln!(
                        text,
                        "{}: the kernel {}",
                        judgement.program,
                        if agrees { "agrees" } else { "disagrees" }
                    );
                }
                None if judgement.kernel.is_some() => {
                    let _ = writeln!(text, "{}: no verdict of the kernel", judgement.program);
                }
                None => {}
            }
        }
        text
    }

    fn json(&self, judgement: &Judgement) -> Value {
        let told: Vec<Value> = render(diagnostics(judgement), self.sources, nonna_diag::Format::Json)
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let mut object = json!({
            "file": self.file,
            "program": judgement.program,
            "section": judgement.section,
            "diagnostics": told,
            "time_us": judgement.time_us,
        });
        match &judgement.verdict {
            Verdict::Accepted { instructions, stack_bytes } => {
                object["verdict"] = json!("accepted");
                object["max_instructions"] = json!(instructions);
                object["stack_bytes"] = json!(stack_bytes);
            }
            Verdict::Refused(_) => object["verdict"] = json!("refused"),
            Verdict::Unread(_) => object["verdict"] = json!("unread"),
        }
        if let Some(told) = &judgement.kernel {
            object["kernel"] = match told {
                KernelVerdict::Accepted => json!({ "verdict": "accepted" }),
                KernelVerdict::Refused { reason, log } => {
                    json!({ "verdict": "refused", "reason": reason, "log": log })
                }
                KernelVerdict::None { why } => json!({ "verdict": null, "reason": why }),
            };
            object["kernel"]["release"] = json!(kernel::release());
            object["agrees"] = json!(told.agrees(&judgement.verdict));
        }
        object
    }
}

fn diagnostics(judgement: &Judgement) -> &[Diagnostic] {
    match &judgement.verdict {
        Verdict::Accepted { .. } => &[],
        Verdict::Refused(diagnostics) => diagnostics,
        Verdict::Unread(diagnostic) => std::slice::from_ref(diagnostic),
    }
}

/// The verdict in one line.
fn verdict(judgement: &Judgement) -> String {
    let name = &judgement.program;
    match &judgement.verdict {
        Verdict::Accepted { instructions, stack_bytes } => {
            let run = match instructions {
                Some(instructions) => format!("a run takes at most {instructions} instructions"),
                None => "nothing shows that a run ends".to_owned(),
            };
            format!(
                "{name}: accepted: {run} and {stack_bytes} bytes of stack (proved in {})",
                time(judgement.time_us)
            )
        }
        Verdict::Refused(_) => format!("{name}: refused"),
        Verdict::Unread(_) => format!("{name}: not readable"),
    }
}

fn time(time_us: u64) -> String {
    match time_us {
        0..10_000 => format!("{time_us} µs"),
        _ => format!("{} ms", time_us / 1000),
    }
}

/// What the kernel says, in lines for people.
fn told_kernel(told: &KernelVerdict, ours: &Verdict) -> String {
    let release = kernel::release();
    let agrees = match told.agrees(ours) {
        Some(true) => "agrees",
        Some(false) => "disagrees",
        None => "gives no verdict",
    };
    match told {
        KernelVerdict::Accepted => format!("  {release} {agrees}: it accepts the program\n"),
        KernelVerdict::Refused { log, .. } => {
            let mut text = format!("  {release} {agrees}: it refuses the program, and its log ends with\n");
            for line in log {
                let _ = writeln!(text, "  | {line}");
            }
            text
        }
        KernelVerdict::None { why } => format!("  {release} gives no verdict: {why}\n"),
    }
}
