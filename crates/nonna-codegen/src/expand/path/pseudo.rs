//! Names of files that no directory holds: pipes, sockets, memory files, namespaces.
//!
//! The kernel lets the file system name them (`d_dname`). A program cannot call that, so this makes the same texts
//! from the file system's magic number: `pipe:[123]`, `socket:[123]`, `anon_inode:[eventfd]`, `net:[4026531840]`,
//! `/memfd:name (deleted)`.

use nonna_bpf::{Helper, MemSize};
use nonna_ir::{BinaryOp, Block, CompareOp, Function, FunctionBuilder, FunctionKind, Type, Value};

use super::super::Expander;
use super::super::shorthand::Shorthand;
use super::{NEEDED_FOR, work};
use crate::CodegenError;

/// `PIPEFS_MAGIC`, include/uapi/linux/magic.h; so are the others.
const PIPEFS: i64 = 0x5049_5045;
/// `SOCKFS_MAGIC`
const SOCKFS: i64 = 0x534f_434b;
/// `ANON_INODE_FS_MAGIC`
const ANON_INODE_FS: i64 = 0x0904_1934;
/// `PID_FS_MAGIC`
const PIDFS: i64 = 0x5049_4446;
/// `NSFS_MAGIC`
const NSFS: i64 = 0x6e73_6673;

/// Where the digits of a number end in the text area; what precedes and follows it is written around them.
const DIGITS_END: u32 = 56;
/// Most digits of a 64-bit number.
const DIGITS_MAX: i64 = 20;
/// Where a namespace's kind is read to before it is put in front of the number.
const KIND_AT: u32 = 64;
/// Longest kind of a namespace kept, in bytes; the kernel's longest is `time_for_children`.
const KIND_MAX_BYTES: u32 = 31;

/// `pseudo(work, dentry) -> bytes of the name`
pub fn build(x: &Expander<'_>) -> Result<Function, CodegenError> {
    let params = [Type::SLOT, Type::KERNEL];
    let mut builder = FunctionBuilder::new("path_pseudo", FunctionKind::Subprogram, &params, Type::Int);
    let b = &mut builder;
    let (work, dentry) = (b.param(0), b.param(1));
    let dentry = b.cast(dentry, x.pointer_to("dentry", NEEDED_FOR)?);
    let super_block = x.member("dentry", "d_sb", NEEDED_FOR)?;
    let super_block = b.load_kernel(dentry, super_block, x.pointer_to("super_block", NEEDED_FOR)?);
    let magic = b.load_kernel(super_block, x.member("super_block", "s_magic", NEEDED_FOR)?, Type::Int);
    let inode = x.member("dentry", "d_inode", NEEDED_FOR)?;
    let inode = b.load_kernel(dentry, inode, x.pointer_to("inode", NEEDED_FOR)?);
    let name = b.load_kernel(dentry, x.member("dentry", "d_name.name", NEEDED_FOR)?, Type::KERNEL);

    for (number, prefix) in [(PIPEFS, "pipe:["), (SOCKFS, "socket:[")] {
        let other = unless(b, magic, number);
        let digits_at = number_of(b, x, work, inode)?;
        let start = before_digits(b, work, digits_at, prefix.as_bytes());
        finish_number(b, work, start);
        b.switch_to(other);
    }
    let other = unless(b, magic, NSFS);
    namespace(b, x, work, inode)?;
    b.switch_to(other);
    let other = unless(b, magic, PIDFS);
    fixed(b, work, b"anon_inode:[pidfd]");
    b.switch_to(other);
    let other = unless(b, magic, ANON_INODE_FS);
    around(b, work, b"anon_inode:", name, b"");
    b.switch_to(other);
    around(b, work, b"/", name, b" (deleted)");
    Ok(builder.finish())
}

/// Goes on where the magic number is this one; the result is the block for the others.
fn unless(b: &mut FunctionBuilder, magic: Value, number: i64) -> Block {
    let other = b.new_block();
    let same = b.test(CompareOp::Eq, magic, number);
    b.require(same, other);
    other
}

/// Returns a name that starts at `start` in the text area.
fn finish(b: &mut FunctionBuilder, work: Value, start: Value, length: Value) {
    b.put(work, work::START, MemSize::DW, start);
    b.put(work, work::KEPT, MemSize::DW, length);
    b.ret(length);
}

/// Writes bytes at an address, as wide as they allow.
fn write(b: &mut FunctionBuilder, address: Value, offset: u32, bytes: &[u8]) {
    let mut at = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = [MemSize::DW, MemSize::W, MemSize::H, MemSize::B]
            .into_iter()
            .find(|size| size.bytes() as usize <= rest.len())
            .unwrap_or(MemSize::B);
        let (word, after) = rest.split_at(size.bytes() as usize);
        let word = word.iter().rev().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
        b.put_const(address, at, size, word.cast_signed());
        at += size.bytes();
        rest = after;
    }
}

/// A name that is always the same.
fn fixed(b: &mut FunctionBuilder, work: Value, name: &[u8]) {
    write(b, work, work::TEXT, name);
    write(b, work, work::TEXT + length_of(name), b"\0");
    let start = b.iconst(0);
    let length = b.iconst(i64::from(length_of(name)));
    finish(b, work, start, length);
}

/// The dentry's own name between two texts.
fn around(b: &mut FunctionBuilder, work: Value, before: &[u8], name: Value, after: &[u8]) {
    write(b, work, work::TEXT, before);
    let to = b.add(work, i64::from(work::TEXT + length_of(before)));
    let room = b.iconst(i64::from(work::NAME_MAX_BYTES) + 1);
    let read = b.call_helper(Helper::PROBE_READ_KERNEL_STR, &[to, room, name]);
    let is_read = b.test(CompareOp::Sgt, read, 0);
    let one = b.iconst(1);
    let read = b.select(is_read, read, one);
    let read = b.op(BinaryOp::And, read, 511);
    let end = b.binary(BinaryOp::Add, work, read);
    // `read` counts the NUL, which the text after it overwrites.
    let at = work::TEXT + length_of(before) - 1;
    write(b, end, at, after);
    write(b, end, at + length_of(after), b"\0");
    let start = b.iconst(0);
    let length = b.add(read, i64::from(length_of(before) + length_of(after)) - 1);
    finish(b, work, start, length);
}

/// Writes the inode's number so that it ends at `DIGITS_END`; the result is where it begins.
fn number_of(
    b: &mut FunctionBuilder,
    x: &Expander<'_>,
    work: Value,
    inode: Value,
) -> Result<Value, CodegenError> {
    let number = b.load_kernel(inode, x.member("inode", "i_ino", NEEDED_FOR)?, Type::Int);
    let (digit, next, done) = (b.new_block(), b.new_block(), b.new_block());
    let rest = b.block_param(digit, Type::Int);
    let count = b.block_param(digit, Type::Int);
    let zero = b.iconst(0);
    b.jump(digit, &[number, zero]);

    b.switch_to(digit);
    let last = b.op(BinaryOp::UMod, rest, 10);
    let last = b.add(last, i64::from(b'0'));
    let position = b.iconst(i64::from(DIGITS_END) - 1);
    let position = b.binary(BinaryOp::Sub, position, count);
    let position = b.op(BinaryOp::And, position, 63);
    let place = b.binary(BinaryOp::Add, work, position);
    b.put(place, work::TEXT, MemSize::B, last);
    let smaller = b.op(BinaryOp::UDiv, rest, 10);
    let written = b.add(count, 1);
    let has_more = b.test(CompareOp::Ne, smaller, 0);
    b.branch(has_more, next, done);
    b.switch_to(next);
    let may_go_on = b.test(CompareOp::Ult, written, DIGITS_MAX);
    let again = b.new_block();
    b.branch(may_go_on, again, done);
    b.switch_to(again);
    b.jump(digit, &[smaller, written]);

    b.switch_to(done);
    let end = b.iconst(i64::from(DIGITS_END));
    let start = b.binary(BinaryOp::Sub, end, written);
    // Where the number begins is one of twenty places; the verifier need not tell them apart from here on.
    Ok(b.op(BinaryOp::And, start, 63))
}

/// Writes bytes in front of a place in the text area; the result is where they begin.
fn before_digits(b: &mut FunctionBuilder, work: Value, place: Value, bytes: &[u8]) -> Value {
    let start = b.add(place, -i64::from(length_of(bytes)));
    let start = b.op(BinaryOp::And, start, 63);
    let address = b.binary(BinaryOp::Add, work, start);
    write(b, address, work::TEXT, bytes);
    start
}

/// Closes the bracket behind the number and returns the name that begins at `start`.
fn finish_number(b: &mut FunctionBuilder, work: Value, start: Value) {
    write(b, work, work::TEXT + DIGITS_END, b"]\0");
    let end = b.iconst(i64::from(DIGITS_END) + 1);
    let length = b.binary(BinaryOp::Sub, end, start);
    finish(b, work, start, length);
}

/// A namespace: its kind, then its number.
fn namespace(
    b: &mut FunctionBuilder,
    x: &Expander<'_>,
    work: Value,
    inode: Value,
) -> Result<(), CodegenError> {
    let common = x.member("inode", "i_private", NEEDED_FOR)?;
    let common = b.load_kernel(inode, common, x.pointer_to("ns_common", NEEDED_FOR)?);
    let operations = x.member("ns_common", "ops", NEEDED_FOR)?;
    let operations = b.load_kernel(common, operations, x.pointer_to("proc_ns_operations", NEEDED_FOR)?);
    let kind = x.member("proc_ns_operations", "name", NEEDED_FOR)?;
    let kind = b.load_kernel(operations, kind, Type::KERNEL);
    let digits_at = number_of(b, x, work, inode)?;
    let bracket_at = before_digits(b, work, digits_at, b":[");
    let copy = b.add(work, i64::from(work::TEXT + KIND_AT));
    let room = b.iconst(i64::from(KIND_MAX_BYTES) + 1);
    let read = b.call_helper(Helper::PROBE_READ_KERNEL_STR, &[copy, room, kind]);
    let is_read = b.test(CompareOp::Sgt, read, 0);
    let one = b.iconst(1);
    let read = b.select(is_read, read, one);
    let kind_bytes = b.add(read, -1);
    let kind_bytes = b.op(BinaryOp::And, kind_bytes, i64::from(KIND_MAX_BYTES));
    let start = b.binary(BinaryOp::Sub, bracket_at, kind_bytes);
    let start = b.op(BinaryOp::And, start, 63);
    let to = b.binary(BinaryOp::Add, work, start);
    let to = b.add(to, i64::from(work::TEXT));
    b.call_helper(Helper::PROBE_READ_KERNEL, &[to, kind_bytes, copy]);
    finish_number(b, work, start);
    Ok(())
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a short text")
}
