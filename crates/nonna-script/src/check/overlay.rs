//! `overlay_upper(inode)`: whether a file of an overlay file system was written after its lower layers were made.
//!
//! The kernel keeps the upper file of an overlay's inode in the structure around it (`struct ovl_inode`,
//! `fs/overlayfs/ovl_entry.h`). A kernel without that type in its type information has no overlay, or has it as a module; the answer is
//! then no.

use nonna_diag::Span;

use super::Checker;
use crate::ast::{BinaryOp, Expr as Ast, ExprKind, Name, TypeKeyword, TypeName, TypeSuffix};
use crate::hir::Expr;
use crate::types::Type;

/// `OVERLAYFS_SUPER_MAGIC` (`include/uapi/linux/magic.h`).
const OVERLAY_MAGIC: u64 = 0x794c_7630;

impl Checker<'_> {
    /// Written as the script would: the structure around the inode, one member of it, and a look at the file system's kind.
    pub(super) fn overlay_upper(&mut self, inode: &Ast, span: Span) -> Expr {
        let btf = &self.target.btf;
        let around = btf.find_type("struct ovl_inode");
        let offset = around.and_then(|id| btf.member(id, "vfs_inode").ok()).map(|member| member.byte_offset);
        let known = around.is_some_and(|id| btf.member(id, "__upperdentry").is_ok());
        let Some(offset) = offset.filter(|_| known) else {
            // The argument is checked all the same.
            let value = self.value(inode);
            return if value.ty.is_unknown() {
                value
            } else {
                Expr::new(crate::hir::ExprKind::Int(0), Type::Bool, span)
            };
        };
        let expr = |kind| Ast { kind, span };
        let name = |text: &str| Name { text: text.to_owned(), span };
        let field = |base: Ast, text: &str| expr(ExprKind::Field { base: Box::new(base), name: name(text) });
        let binary = |op, left: Ast, right: Ast| expr(ExprKind::Binary(op, Box::new(left), Box::new(right)));
        let cast = |keyword, text: &str, suffixes, value: Ast| {
            let type_name = TypeName { keyword, name: text.to_owned(), suffixes, span };
            expr(ExprKind::Cast { type_name, value: Box::new(value) })
        };
        let magic = field(field(inode.clone(), "i_sb"), "s_magic");
        let is_overlay = binary(BinaryOp::Equal, magic, expr(ExprKind::Int(OVERLAY_MAGIC)));
        let address = cast(None, "uint64", Vec::new(), inode.clone());
        let start = binary(BinaryOp::Sub, address, expr(ExprKind::Int(u64::from(offset))));
        let around = cast(Some(TypeKeyword::Struct), "ovl_inode", vec![TypeSuffix::Pointer], start);
        let has_upper = binary(BinaryOp::NotEqual, field(around, "__upperdentry"), expr(ExprKind::Int(0)));
        self.value(&binary(BinaryOp::And, is_overlay, has_upper))
    }
}
