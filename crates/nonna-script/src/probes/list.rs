//! What scripts can attach to on a machine, by pattern.
//!
//! The same resolvers that serve scripts are asked with wildcards, so that a list never names what a script could not
//! attach to.

use nonna_bpf::Target;
use nonna_diag::{SourceId, Span};

use super::{Context, Env, glob, kinds, perf, resolve};
use crate::ast::AttachPoint;
use crate::options::Options;

/// A probe with the arguments that a script sees there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProbe {
    /// Full name, as a script writes it.
    pub name: String,
    /// Names and C types of the arguments, in order.
    pub arguments: Vec<ListedArgument>,
}

/// An argument of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedArgument {
    /// Name, as in `args.name`.
    pub name: String,
    /// Type in C.
    pub c_type: String,
}

/// Kinds that have names to list, each with the pattern of all.
const LISTED: &[(&str, &str)] = &[
    ("tracepoint", "*:*"),
    ("rawtracepoint", "*"),
    ("kprobe", "*"),
    ("fentry", "*"),
    ("lsm", "*"),
    ("iter", "*"),
    ("software", "*"),
    ("hardware", "*"),
];

/// Every probe of the machine whose full name matches: `*` and `?` are wildcards, also in the kind. Sorted by kind, then by
/// name. User functions are listed where the pattern names their file.
pub fn list_probes(pattern: &str, target: &Target) -> Vec<ListedProbe> {
    let (kind, rest) = pattern.split_once(':').unwrap_or((pattern, "*"));
    let mut probes = Vec::new();
    if let Some(kind) = kinds::find(kind).filter(|kind| !LISTED.iter().any(|(name, _)| *name == kind.name)) {
        probes.extend(matching(kind.name, rest, target));
    }
    let full = kinds::find(kind).map_or(kind, |kind| kind.name);
    for (name, all) in LISTED.iter().filter(|(name, _)| glob::matches(full, name)) {
        // A pattern with fewer parts than the kind has counts for all of them.
        let n_parts = |text: &str| text.split(':').count();
        let rest = match rest {
            "*" => (*all).to_owned(),
            rest if n_parts(rest) < n_parts(all) => format!("*:{rest}"),
            rest => rest.to_owned(),
        };
        probes.extend(matching(name, &rest, target));
    }
    probes
}

/// Names of a table of counters.
fn counters(kind: &str, rest: &str, table: &[perf::Counter]) -> Vec<ListedProbe> {
    let names = table.iter().filter_map(|(names, ..)| names.first());
    let names = names.filter(|name| glob::matches(rest.trim_end_matches(':'), name));
    names.map(|name| ListedProbe { name: format!("{kind}:{name}:"), arguments: Vec::new() }).collect()
}

fn matching(kind: &str, rest: &str, target: &Target) -> Vec<ListedProbe> {
    match kind {
        "software" => return counters(kind, rest, perf::SOFTWARE.table),
        "hardware" => return counters(kind, rest, perf::HARDWARE.table),
        _ => {}
    }
    let span = Span::new(SourceId(0), 0, 0);
    let point = AttachPoint { text: format!("{kind}:{rest}"), span };
    let options = Options::default();
    // A pattern that matches nothing lists nothing.
    let places = resolve(&point, &Env { target, options: &options, suggest: false }).unwrap_or_default();
    let listed = places
        .into_iter()
        .map(|place| ListedProbe { arguments: arguments(&place.context, target), name: place.attach.name });
    let mut listed: Vec<ListedProbe> = listed.collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed
}

fn arguments(context: &Context, target: &Target) -> Vec<ListedArgument> {
    let typed = |args: &[super::Argument]| {
        let listed = args
            .iter()
            .map(|arg| ListedArgument { name: arg.name.clone(), c_type: target.btf.type_name(arg.type_id) });
        listed.collect::<Vec<_>>()
    };
    match context {
        Context::Tracepoint { format, .. } | Context::Syscall { format, .. } => {
            let own = format.fields.iter().filter(|field| !field.name.starts_with("common_"));
            own.map(|f| ListedArgument { name: f.name.clone(), c_type: f.c_type.clone() }).collect()
        }
        Context::Raw { args: Some(args) } => typed(args),
        Context::Function { args, result } => {
            let mut listed = typed(args);
            listed.extend(result.map(|result| ListedArgument {
                name: "retval".to_owned(),
                c_type: target.btf.type_name(result),
            }));
            listed
        }
        Context::Iter { context } => target
            .btf
            .fields(*context)
            .unwrap_or_default()
            .iter()
            .map(|f| ListedArgument {
                name: format!("ctx->{}", f.name),
                c_type: target.btf.type_name(f.access.type_id),
            })
            .collect(),
        _ => Vec::new(),
    }
}
