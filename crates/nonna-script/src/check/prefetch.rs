//! Looks up all names of kernel types that a script mentions in one pass over the BTF.
//!
//! One pass costs a millisecond however many names it looks for, and answers are remembered; asking name by name would cost a
//! pass each.

use nonna_bpf::Target;
use nonna_btf::Kind;

use crate::ast::{ExprKind, Script, StmtKind, TypeKeyword};
use crate::types::split_c_name;

/// Asks for every name once.
pub(super) fn prefetch(script: &Script, target: &Target) {
    let mut names = Names::default();
    for probe in &script.probes {
        for point in &probe.attach_points {
            names.attach_point(&point.text, target);
        }
        let mut visit = |expr: &crate::ast::Expr| match &expr.kind {
            ExprKind::Cast { type_name, .. }
            | ExprKind::SizeOfType(type_name)
            | ExprKind::OffsetOf { type_name, .. } => names.type_name(type_name.keyword, &type_name.name),
            ExprKind::Ident(name) if matches!(name.as_str(), "curtask" | "ppid" | "pcomm" | "comm") => {
                names.add(Kind::Struct, "task_struct");
            }
            ExprKind::Call { name, .. } if matches!(name.text.as_str(), "open_file" | "folder") => {
                names.add(Kind::Struct, "task_struct");
                names.add(Kind::Struct, "file");
            }
            _ => {}
        };
        probe.predicate.iter().for_each(|predicate| predicate.visit(&mut visit));
        probe.body.visit(&mut visit);
        for stmt in &probe.body.stmts {
            if let StmtKind::Let { type_name: Some(type_name), .. } = &stmt.kind {
                names.type_name(type_name.keyword, &type_name.name);
            }
        }
    }
    for definition in &script.c_types {
        definition
            .members
            .iter()
            .for_each(|member| names.type_name(member.type_name.keyword, &member.type_name.name));
    }
    let wanted: Vec<(Kind, &str)> = names.0.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
    if !wanted.is_empty() {
        target.btf.find_many(&wanted);
    }
}

/// What a bare name can mean.
const NAMED: &[Kind] =
    &[Kind::Struct, Kind::Union, Kind::Enum, Kind::Enum64, Kind::Typedef, Kind::Int, Kind::Float];

#[derive(Default)]
struct Names(Vec<(Kind, String)>);

impl Names {
    fn add(&mut self, kind: Kind, name: impl Into<String>) {
        let wanted = (kind, name.into());
        if !self.0.contains(&wanted) {
            self.0.push(wanted);
        }
    }

    fn type_name(&mut self, keyword: Option<TypeKeyword>, name: &str) {
        match keyword {
            Some(TypeKeyword::Struct) => self.add(Kind::Struct, name),
            Some(TypeKeyword::Union) => self.add(Kind::Union, name),
            Some(TypeKeyword::Enum) => {
                self.add(Kind::Enum, name);
                self.add(Kind::Enum64, name);
            }
            None if crate::types::is_integer_name(name) => {}
            None => NAMED.iter().for_each(|kind| self.add(*kind, name)),
        }
    }

    /// The types of a tracepoint's arguments. A record at a system call's return has those of its entry.
    fn arguments(&mut self, category: &str, event: &str, target: &Target) {
        let entry = event.strip_prefix("sys_exit_").map(|call| format!("sys_enter_{call}"));
        let format = target.tracepoints.format(category, entry.as_deref().unwrap_or(event));
        for field in format.iter().flat_map(|format| &format.fields) {
            let (keyword, name) = split_c_name(&field.c_type);
            self.type_name(keyword, name);
        }
    }

    fn attach_point(&mut self, text: &str, target: &Target) {
        let Some((kind, rest)) = text.split_once(':') else { return };
        let last = rest.rsplit(':').next().unwrap_or(rest);
        if last.contains(['*', '?']) {
            return;
        }
        match kind {
            "tracepoint" | "t" => {
                let category = rest.split(':').next().unwrap_or_default();
                self.arguments(category, last, target);
            }
            "rawtracepoint" | "rt" => {
                self.add(Kind::Typedef, format!("btf_trace_{last}"));
                self.add(Kind::Func, format!("__traceiter_{last}"));
            }
            "kprobe" | "k" | "kretprobe" | "kr" | "fentry" | "f" | "kfunc" | "fexit" | "fr" | "kretfunc" => {
                self.add(Kind::Func, last);
            }
            "lsm" => self.add(Kind::Func, format!("bpf_lsm_{last}")),
            "iter" | "it" => self.add(Kind::Struct, format!("bpf_iter__{last}")),
            _ => {}
        }
    }
}
