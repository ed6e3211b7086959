//! Stacks, registers and addresses of symbols.

use nonna_diag::{Diagnostic, Span};

use super::Checker;
use super::settings::stack_mode;
use crate::ast::{self, ExprKind as Ast};
use crate::hir::{Builtin, Expr, ExprKind};
use crate::host_data::StackMode;
use crate::probes::Context;
use crate::slugs;
use crate::types::Type;

/// Frames of a stack where the script does not say (`kernel.perf_event_max_stack`).
const DEFAULT_FRAMES: u32 = 127;

impl Checker<'_> {
    pub(super) fn kernel_address(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let Some(name) = self.constant_text(arg) else { return Expr::error(span) };
        match self.target.symbols.kernel_address(&name) {
            Some(address) => Expr::int(address.cast_signed(), Type::U64, span),
            None => self.wrong(
                Diagnostic::new(&slugs::UNKNOWN_NAME, format!("the kernel has no symbol `{name}`"))
                    .label(arg.span, "no address is known for it"),
            ),
        }
    }

    pub(super) fn register(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let has_registers =
            matches!(self.body.context, Context::Perf | Context::Kprobe { .. } | Context::Uprobe { .. });
        if self.body.context == Context::Unknown {
            return Expr::error(span);
        }
        if !has_registers {
            let what = self.body.context.describe();
            return self.wrong(
                Diagnostic::new(&slugs::NOT_HERE, "there are no registers here")
                    .label(span, format!("{what} does not keep them")),
            );
        }
        let Some(name) = self.constant_text(arg) else { return Expr::error(span) };
        match self.register_offset(&name) {
            Some(offset) => Expr::new(ExprKind::Builtin(Builtin::Register(offset)), Type::U64, span),
            None => self.wrong(
                Diagnostic::new(&slugs::UNKNOWN_NAME, format!("there is no register `{name}`"))
                    .label(arg.span, "not a field of `struct pt_regs`"),
            ),
        }
    }

    pub(super) fn stack_call(&mut self, is_user: bool, args: &[ast::Expr], span: Span) -> Expr {
        let (mut mode, mut frames) = (None, None);
        for arg in args {
            if let Ast::Ident(word) = &arg.kind
                && let Some(found) = stack_mode(word)
            {
                mode = Some(found);
                continue;
            }
            let Some(n) = self.constant_int(arg) else { return Expr::error(span) };
            let Some(n) = u32::try_from(n).ok().filter(|n| (1..=DEFAULT_FRAMES).contains(n)) else {
                return self.wrong(
                    Diagnostic::new(&slugs::TOO_LARGE, format!("a stack has 1 to {DEFAULT_FRAMES} frames"))
                        .label(arg.span, "out of range"),
                );
            };
            frames = Some(n);
        }
        self.stack(is_user, mode, frames, span)
    }

    pub(super) fn stack(
        &mut self,
        is_user: bool,
        mode: Option<StackMode>,
        frames: Option<u32>,
        span: Span,
    ) -> Expr {
        let mode = mode.unwrap_or(self.settings.stack_mode);
        let max_frames = frames.unwrap_or(DEFAULT_FRAMES);
        let ty = match is_user {
            true => Type::UserStack { max_frames, mode },
            false => Type::KernelStack { max_frames, mode },
        };
        Expr::new(ExprKind::Stack, ty, span)
    }
}
