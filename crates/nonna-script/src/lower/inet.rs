//! Internet addresses in memory: family, then 16 bytes.

use nonna_bpf::MemSize;
use nonna_ir::{CompareOp, Inst, Type as IrType, Value};

use super::body::Body;
use crate::hir::{Expr, InetSource};

/// Address families.
const AF_INET: i64 = 2;
const AF_INET6: i64 = 10;
/// Where the address lies behind the family.
const ADDRESS_AT: i32 = 4;
/// Bytes of the longer kind of address.
const V6_BYTES: u32 = 16;
/// Where a socket address holds what (`struct sockaddr_in`, `struct sockaddr_in6`).
const SOCKADDR_V4_AT: u32 = 4;
const SOCKADDR_V6_AT: u32 = 8;

impl Body<'_, '_> {
    pub fn store_inet(&mut self, source: &InetSource, to: Value, offset: i32) {
        match source {
            InetSource::V4(number) => {
                let number = self.number(number);
                self.store_v4(number, to, offset);
            }
            InetSource::V4At(place) => {
                self.store_family(AF_INET, to, offset);
                self.b.zero(to, offset + ADDRESS_AT, V6_BYTES);
                self.read_bytes_at(place, to, offset + ADDRESS_AT, 4);
            }
            InetSource::V6At(place) => {
                self.store_family(AF_INET6, to, offset);
                self.read_bytes_at(place, to, offset + ADDRESS_AT, V6_BYTES);
            }
            InetSource::ByFamily { family, address } => self.store_by_family(family, address, to, offset),
            InetSource::Sockaddr(address) => self.store_sockaddr(address, to, offset),
        }
    }

    fn store_family(&mut self, family: i64, to: Value, offset: i32) {
        let family = self.b.iconst(family);
        self.b.store(to, offset, MemSize::W, family);
    }

    fn store_v4(&mut self, number: Value, to: Value, offset: i32) {
        self.store_family(AF_INET, to, offset);
        self.b.store(to, offset + ADDRESS_AT, MemSize::W, number);
        self.b.zero(to, offset + ADDRESS_AT + 4, V6_BYTES - 4);
    }

    fn store_by_family(&mut self, family: &Expr, address: &Expr, to: Value, offset: i32) {
        let family = self.number(family);
        self.b.store(to, offset, MemSize::W, family);
        self.b.zero(to, offset + ADDRESS_AT, V6_BYTES);
        if address.ty.is_integral() {
            let number = self.number(address);
            self.b.store(to, offset + ADDRESS_AT, MemSize::W, number);
            return;
        }
        let own = self.l.shapes.stored_bytes(&address.ty).min(V6_BYTES);
        if own < V6_BYTES {
            return self.read_bytes_at(address, to, offset + ADDRESS_AT, own.max(4));
        }
        let v4 = self.b.iconst(AF_INET);
        let is_v4 = self.b.compare(CompareOp::Eq, family, v4);
        self.when(is_v4, &mut |body| body.read_bytes_at(address, to, offset + ADDRESS_AT, 4), &mut |body| {
            body.read_bytes_at(address, to, offset + ADDRESS_AT, V6_BYTES);
        });
    }

    /// A socket address: what lies behind its family depends on it.
    fn store_sockaddr(&mut self, address: &Expr, to: Value, offset: i32) {
        let (pointer, space) = self.foreign_address(address);
        self.b.zero(to, offset, ADDRESS_AT.unsigned_abs() + V6_BYTES);
        let two = self.b.iconst(2);
        let inst = Inst::ReadBytes { space, pointer, to, to_offset: offset, length: two, max_bytes: 2 };
        self.b.inst(inst, IrType::Int);
        let family = self.b.load(to, offset, MemSize::H, false);
        let (v4, v6) = (self.b.iconst(AF_INET), self.b.iconst(AF_INET6));
        let is_v4 = self.b.compare(CompareOp::Eq, family, v4);
        let is_v6 = self.b.compare(CompareOp::Eq, family, v6);
        let read = |body: &mut Self, at: u32, bytes: u32| {
            let from = body.add_const(pointer, i64::from(at));
            let length = body.b.iconst(i64::from(bytes));
            let to_offset = offset + ADDRESS_AT;
            let inst = Inst::ReadBytes { space, pointer: from, to, to_offset, length, max_bytes: bytes };
            body.b.inst(inst, IrType::Int);
        };
        self.when(is_v4, &mut |body| read(body, SOCKADDR_V4_AT, 4), &mut |_| {});
        self.when(is_v6, &mut |body| read(body, SOCKADDR_V6_AT, V6_BYTES), &mut |_| {});
    }
}
