//! Functions on text, and text that names something of the machine.
//!
//! What is known at compile time becomes a number here; the rest is left to the program.

use nonna_diag::{Diagnostic, Span};

use super::Checker;
use super::names::unsigned_literal;
use crate::ast;
use crate::hir::{Expr, ExprKind};
use crate::slugs;
use crate::types::Type;

impl Checker<'_> {
    /// `strlen(text)`: bytes in front of the NUL.
    pub(super) fn text_length(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let value = self.value(arg);
        let value = self.param_as_text(arg, value);
        match (&value.kind, &value.ty) {
            (_, Type::Unknown) => value,
            (ExprKind::Text(bytes), _) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                unsigned_literal(end as u64, span)
            }
            (_, Type::Text { .. }) => Expr::new(ExprKind::TextLength(value.into()), Type::U64, span),
            (_, ty) => {
                let ty = ty.clone();
                self.wrong_argument("strlen", arg.span, "text; of an address take `str(address)`", &ty)
            }
        }
    }

    /// `cgroupid("/sys/fs/cgroup/…")`, to be compared with `cgroup`.
    pub(super) fn cgroup_id(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let Some(path) = self.constant_text(arg) else { return Expr::error(span) };
        match self.target.symbols.cgroup_id(std::path::Path::new(&path)) {
            Some(id) => unsigned_literal(id, span),
            None => self.wrong(
                Diagnostic::new(&slugs::UNKNOWN_NAME, format!("there is no cgroup `{path}`"))
                    .label(arg.span, "no such folder in a file system of cgroups")
                    .help("cgroups are folders below `/sys/fs/cgroup`"),
            ),
        }
    }
}
