//! Clocks and counters: `profile`, `interval`, `software`, `hardware`.

use nonna_bpf::{CpuScope, Hook, PerfSource, Sampling};
use nonna_diag::nearest;

use super::{Ask, Context, Found};
use crate::lexer::parse_int;

/// A counter: its names, the kernel's number (`include/uapi/linux/perf_event.h`), and how many events make one hit where the
/// script does not say.
pub(super) type Counter = (&'static [&'static str], u64, u64);

/// Counters of the kernel with the way to name them.
pub(super) struct Counters {
    source: fn(u64) -> PerfSource,
    pub(super) table: &'static [Counter],
}

pub(super) const SOFTWARE: Counters = Counters {
    source: PerfSource::Software,
    table: &[
        (&["cpu-clock", "cpu"], 0, 1_000_000),
        (&["task-clock"], 1, 1_000_000),
        (&["page-faults", "faults"], 2, 100),
        (&["context-switches", "cs"], 3, 1_000),
        (&["cpu-migrations"], 4, 1),
        (&["minor-faults"], 5, 100),
        (&["major-faults"], 6, 1),
        (&["alignment-faults"], 7, 1),
        (&["emulation-faults"], 8, 1),
        (&["dummy"], 9, 1),
        (&["bpf-output"], 10, 1),
    ],
};

pub(super) const HARDWARE: Counters = Counters {
    source: PerfSource::Hardware,
    table: &[
        (&["cpu-cycles", "cycles"], 0, 1_000_000),
        (&["instructions"], 1, 1_000_000),
        (&["cache-references"], 2, 1_000_000),
        (&["cache-misses"], 3, 1_000_000),
        (&["branch-instructions", "branches"], 4, 100_000),
        (&["branch-misses"], 5, 100_000),
        (&["bus-cycles"], 6, 100_000),
        (&["frontend-stalls"], 7, 1_000_000),
        (&["backend-stalls"], 8, 1_000_000),
        (&["ref-cycles"], 9, 1_000_000),
    ],
};

/// `PERF_COUNT_SW_CPU_CLOCK`
const CPU_CLOCK: u64 = 0;

impl Ask<'_> {
    /// `profile:hz:99`, `interval:s:1`, `interval:5s`.
    pub(super) fn clock(&self, scope: CpuScope) -> Found {
        let sampling = match self.parts {
            ["hz", n] => Sampling::FrequencyHz(self.number(n)?),
            [unit @ ("s" | "ms" | "us" | "ns"), n] => {
                let factor = parse_int(&format!("1{unit}")).unwrap_or(1);
                let period = self.number(n)?.checked_mul(factor);
                Sampling::Period(period.ok_or_else(|| self.malformed("this time is too long"))?)
            }
            [duration] if duration.ends_with('s') || duration.ends_with(['m', 'h']) => {
                Sampling::Period(self.number(duration)?)
            }
            _ => return Err(self.malformed("a unit (hz, s, ms, us) and a number must follow")),
        };
        let hook = Hook::PerfEvent { source: PerfSource::Software(CPU_CLOCK), sampling, scope };
        let name = format!("{}:{}", self.kind.name, self.parts.join(":"));
        Ok(vec![self.place(hook, name, "", Context::Perf)])
    }

    fn number(&self, text: &str) -> Result<u64, Box<nonna_diag::Diagnostic>> {
        match self.parameter(text).unwrap_or_else(|| parse_int(text).ok()) {
            Some(0) | None => Err(self.malformed("a number above 0 is needed")),
            Some(n) => Ok(n),
        }
    }

    /// `$1` in an attach point.
    fn parameter(&self, text: &str) -> Option<Option<u64>> {
        let n: usize = text.strip_prefix('$')?.parse().ok()?;
        let value = self.env.options.params.get(n.checked_sub(1)?);
        Some(value.and_then(|value| parse_int(value).ok()))
    }

    /// `software:page-faults:100`
    pub(super) fn counter(&self, counters: Counters) -> Found {
        let (name, period) = match self.parts {
            [name] | [name, ""] => (*name, None),
            [name, n] => (*name, Some(self.number(n)?)),
            _ => return Err(self.malformed("the name of a counter must follow")),
        };
        let Some((names, config, usual)) = counters.table.iter().find(|(names, ..)| names.contains(&name))
        else {
            let all = counters.table.iter().flat_map(|(names, ..)| names.iter().copied());
            let near: Vec<String> = nearest(name, all, 2).into_iter().map(str::to_owned).collect();
            return Err(self.missing("counter", name, &near));
        };
        let sampling = Sampling::Period(period.unwrap_or(*usual));
        let hook = Hook::PerfEvent { source: (counters.source)(*config), sampling, scope: CpuScope::Every };
        let full = format!("{}:{}", self.kind.name, self.parts.join(":"));
        Ok(vec![self.place(hook, full, names[0], Context::Perf)])
    }
}
