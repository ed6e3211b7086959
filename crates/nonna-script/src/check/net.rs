//! Addresses of networks.

use nonna_diag::Span;

use super::Checker;
use crate::ast;
use crate::hir::{Expr, ExprKind, InetSource};
use crate::types::{Shape, Space, Type};

/// Bytes of an address of each family.
const V4_BYTES: u32 = 4;
const V6_BYTES: u32 = 16;
/// `AF_INET` and `AF_INET6`.
const AF_INET: i64 = 2;
const AF_INET6: i64 = 10;
/// Bytes of a hardware address.
const MAC_BYTES: u32 = 6;

impl Checker<'_> {
    /// `ntop(address)`, `ntop(family, address)`
    pub(super) fn ntop(&mut self, args: &[ast::Expr], span: Span) -> Expr {
        let (family, address_arg) = match args {
            [family, address] => (Some(self.integer(family, "`ntop`")), address),
            [address] => (None, address),
            _ => return Expr::error(span),
        };
        let address = self.value(address_arg);
        let source = match (family.as_ref().map(|f| (f, f.constant())), &address.ty) {
            (_, Type::Unknown) => return Expr::error(span),
            (Some((family, _)), _) if family.ty.is_unknown() => return Expr::error(span),
            (Some((family, None)), ty) if ty.is_integral() || self.byte_array(ty).is_some() => {
                InetSource::ByFamily { family: family.clone().into(), address: address.into() }
            }
            (None | Some((_, Some(AF_INET))), ty) if ty.is_integral() => InetSource::V4(address.into()),
            (family, ty) => match (family.and_then(|(_, known)| known), self.byte_array(ty)) {
                (None | Some(AF_INET), Some(V4_BYTES)) => InetSource::V4At(address.into()),
                (None | Some(AF_INET6), Some(V6_BYTES)) => InetSource::V6At(address.into()),
                _ => {
                    let ty = ty.clone();
                    let expected = "a 4-byte number or an array of 4 or 16 bytes";
                    return self.wrong_argument("ntop", address_arg.span, expected, &ty);
                }
            },
        };
        Expr::new(ExprKind::Inet(source), Type::Inet, span)
    }

    /// Bytes of an array or structure that lies in readable memory.
    fn byte_array(&self, ty: &Type) -> Option<u32> {
        match ty {
            Type::Array { of, len, .. } => Some(self.shapes.size(of)?.saturating_mul(*len)),
            Type::Record { of, .. } => self.shapes.size(&Shape::Record(*of)),
            Type::Pointer { to, .. } => match self.shapes.resolve(to) {
                shape @ (Shape::Record(_) | Shape::Array { .. }) => self.shapes.size(&shape),
                _ => None,
            },
            _ => None,
        }
    }

    /// `addr(…)`: a socket address, an internet address, or a number in network order.
    pub(super) fn addr(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let value = self.value(arg);
        let name = self.record_of(&value.ty).map(|of| self.shapes.shape_name(&Shape::Record(of)));
        let source = match (name.as_deref(), &value.ty) {
            (_, Type::Unknown) => return Expr::error(span),
            (Some(name), _) if name.starts_with("struct sockaddr") => InetSource::Sockaddr(value.into()),
            (_, ty) if ty.is_integral() => InetSource::V4(value.into()),
            (_, ty) => match self.byte_array(ty) {
                Some(V4_BYTES) => InetSource::V4At(value.into()),
                Some(V6_BYTES) => InetSource::V6At(value.into()),
                _ => {
                    let ty = ty.clone();
                    let expected = "a `struct sockaddr *`, an internet address or a number";
                    return self.wrong_argument("addr", arg.span, expected, &ty);
                }
            },
        };
        Expr::new(ExprKind::Inet(source), Type::Inet, span)
    }

    /// `port(…)`: a number in network order, or the port of a socket address.
    pub(super) fn port(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let value = self.value(arg);
        let name = self.record_of(&value.ty).map(|of| self.shapes.shape_name(&Shape::Record(of)));
        let number = match (name.as_deref(), &value.ty) {
            (_, Type::Unknown) => return Expr::error(span),
            // The port follows the family in both kinds of socket addresses (`struct sockaddr_in`, `sockaddr_in6`).
            (Some(name), _) if name.starts_with("struct sockaddr") => self.scalar_at(value, 2, 2, span),
            (_, ty) if ty.is_integral() => value,
            (_, ty) => {
                let ty = ty.clone();
                let expected = "a number or a `struct sockaddr *`";
                return self.wrong_argument("port", arg.span, expected, &ty);
            }
        };
        let kind = ExprKind::SwapBytes { value: number.into(), bits: 16 };
        Expr::new(kind, Type::Int { bytes: 2, signed: false }, span)
    }

    /// `macaddr(array)`
    pub(super) fn mac(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let value = self.value(arg);
        // An array of characters is text at first sight.
        let value = match value.kind {
            ExprKind::ReadText { address, length: None, .. } => *address,
            kind => Expr { kind, ..value },
        };
        let fits = matches!(&value.ty, Type::Pointer { .. })
            || self.byte_array(&value.ty).is_some_and(|n| n >= MAC_BYTES);
        match &value.ty {
            Type::Unknown => Expr::error(span),
            _ if fits && value.space() != Space::Owned => {
                Expr::new(ExprKind::Mac(value.into()), Type::Mac, span)
            }
            ty => {
                let ty = ty.clone();
                self.wrong_argument("macaddr", arg.span, "an array of 6 bytes", &ty)
            }
        }
    }

    /// `bswap(number)`: as many bytes as the number has.
    pub(super) fn byte_swap(&mut self, arg: &ast::Expr, span: Span) -> Expr {
        let value = self.integer(arg, "`bswap`");
        let Type::Int { bytes, .. } = value.ty else {
            return if value.ty.is_unknown() { Expr::error(span) } else { value };
        };
        if bytes == 1 {
            return value;
        }
        let kind = ExprKind::SwapBytes { value: value.into(), bits: bytes * 8 };
        Expr::new(kind, Type::Int { bytes, signed: false }, span)
    }
}
