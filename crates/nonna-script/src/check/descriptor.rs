//! `open_file(number)` and `folder(number)`: what a process means by the number of an open file.
//!
//! System calls name files by numbers that count in the caller's own table (`struct files_struct`), and folders by such a number
//! or by one that stands for the working directory (`AT_FDCWD`, include/uapi/linux/fcntl.h). A number outside the table is no file:
//! what lies behind its end is something else's memory.

use nonna_diag::Span;

use super::Checker;
use crate::ast::{BinaryOp, Expr as Ast, ExprKind, Name, TypeKeyword, TypeName, TypeSuffix, UnaryOp};
use crate::hir::Expr;

/// `AT_FDCWD`: 100 below zero.
const WORKING_DIRECTORY: u64 = 100;

impl Checker<'_> {
    /// The caller's file of this number as `struct file *`, 0 where there is none.
    pub(super) fn open_file(&mut self, number: &Ast, span: Span) -> Expr {
        if self.integer(number, "`open_file`").ty.is_unknown() {
            return Expr::error(span);
        }
        self.value(&Written { span }.file(number))
    }

    /// The folder that this number stands for as `struct path *`.
    pub(super) fn folder(&mut self, number: &Ast, span: Span) -> Expr {
        if self.integer(number, "`folder`").ty.is_unknown() {
            return Expr::error(span);
        }
        self.value(&Written { span }.folder(number))
    }
}

/// Writes expressions as the script would.
#[derive(Clone, Copy)]
struct Written {
    span: Span,
}

impl Written {
    fn expr(self, kind: ExprKind) -> Ast {
        Ast { kind, span: self.span }
    }

    /// A member of a member of … the running task.
    fn task(self, members: &[&str]) -> Ast {
        let task = self.expr(ExprKind::Ident("curtask".to_owned()));
        members.iter().fold(task, |base, member| self.member(base, member))
    }

    fn member(self, base: Ast, name: &str) -> Ast {
        let name = Name { text: name.to_owned(), span: self.span };
        self.expr(ExprKind::Field { base: Box::new(base), name })
    }

    fn binary(self, op: BinaryOp, left: Ast, right: Ast) -> Ast {
        self.expr(ExprKind::Binary(op, Box::new(left), Box::new(right)))
    }

    fn unary(self, op: UnaryOp, value: Ast) -> Ast {
        self.expr(ExprKind::Unary(op, Box::new(value)))
    }

    fn cast(self, keyword: Option<TypeKeyword>, name: &str, suffixes: Vec<TypeSuffix>, value: Ast) -> Ast {
        let type_name = TypeName { keyword, name: name.to_owned(), suffixes, span: self.span };
        self.expr(ExprKind::Cast { type_name, value: Box::new(value) })
    }

    fn choose(self, condition: Ast, then: Ast, otherwise: Ast) -> Ast {
        self.expr(ExprKind::Ternary(Box::new(condition), Some(Box::new(then)), Box::new(otherwise)))
    }

    /// `(uint32)n < max_fds ? fd[(uint32)n] : 0`: numbers below zero are far above any table.
    fn file(self, number: &Ast) -> Ast {
        let number = self.cast(None, "uint32", Vec::new(), number.clone());
        let table = ["files", "fdt"];
        let limit = self.member(self.task(&table), "max_fds");
        let is_inside = self.binary(BinaryOp::Less, number.clone(), limit);
        let files = self.member(self.task(&table), "fd");
        let file = self.expr(ExprKind::Index { base: Box::new(files), index: Box::new(number) });
        let zero = self.expr(ExprKind::Int(0));
        let nothing = self.cast(Some(TypeKeyword::Struct), "file", vec![TypeSuffix::Pointer], zero);
        // Where a process's own addresses are meant, so is 0.
        let kptr = Name { text: "kptr".to_owned(), span: self.span };
        let nothing = self.expr(ExprKind::Call { name: kptr, args: vec![nothing] });
        self.choose(is_inside, file, nothing)
    }

    /// `(int32)n == AT_FDCWD ? &pwd : &file(n)->f_path`
    fn folder(self, number: &Ast) -> Ast {
        let signed = self.cast(None, "int32", Vec::new(), number.clone());
        let marker = self.unary(UnaryOp::Negate, self.expr(ExprKind::Int(WORKING_DIRECTORY)));
        let is_working = self.binary(BinaryOp::Equal, signed, marker);
        let working = self.unary(UnaryOp::AddressOf, self.task(&["fs", "pwd"]));
        let opened = self.unary(UnaryOp::AddressOf, self.member(self.file(number), "f_path"));
        self.choose(is_working, working, opened)
    }
}
