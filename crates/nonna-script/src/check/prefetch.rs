//! Looks up all names of kernel types that a script mentions in one pass over the BTF.
//!
//! One pass costs a millisecond however many names it looks for, and answers are remembered; asking name by name would cost a
//! pass each.

use nonna_bpf::Target;
use nonna_btf::Kind;

use crate::ast::{ExprKind, Script, StmtKind, TypeKeyword, TypeName};

/// Asks for every name once.
pub(super) fn prefetch(script: &Script, target: &Target) {
    let mut names = Names::default();
    for probe in &script.probes {
        for point in &probe.attach_points {
            names.attach_point(&point.text);
        }
        let mut visit = |expr: &crate::ast::Expr| match &expr.kind {
            ExprKind::Cast { type_name, .. }
            | ExprKind::SizeOfType(type_name)
            | ExprKind::OffsetOf { type_name, .. } => names.type_name(type_name),
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
                names.type_name(type_name);
            }
        }
    }
    for definition in &script.c_types {
        definition.members.iter().for_each(|member| names.type_name(&member.type_name));
    }
    let wanted: Vec<(Kind, &str)> = names.0.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
    if !wanted.is_empty() {
        target.btf.find_many(&wanted);
    }
}

#[derive(Default)]
struct Names(Vec<(Kind, String)>);

impl Names {
    fn add(&mut self, kind: Kind, name: impl Into<String>) {
        let wanted = (kind, name.into());
        if !self.0.contains(&wanted) {
            self.0.push(wanted);
        }
    }

    fn type_name(&mut self, name: &TypeName) {
        match name.keyword {
            Some(TypeKeyword::Struct) => self.add(Kind::Struct, &name.name),
            Some(TypeKeyword::Union) => self.add(Kind::Union, &name.name),
            Some(TypeKeyword::Enum) => {
                self.add(Kind::Enum, &name.name);
                self.add(Kind::Enum64, &name.name);
            }
            None if crate::types::is_integer_name(&name.name) => {}
            None => {
                for kind in [
                    Kind::Struct,
                    Kind::Union,
                    Kind::Enum,
                    Kind::Enum64,
                    Kind::Typedef,
                    Kind::Int,
                    Kind::Float,
                ] {
                    self.add(kind, &name.name);
                }
            }
        }
    }

    fn attach_point(&mut self, text: &str) {
        let Some((kind, rest)) = text.split_once(':') else { return };
        let last = rest.rsplit(':').next().unwrap_or(rest);
        if last.contains(['*', '?']) {
            return;
        }
        match kind {
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
