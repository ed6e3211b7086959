//! Tests of the room through its public API, in one binary.
//!
//! `kernel` reads the running kernel's BTF, `writer` makes BTF and reads it back, `relocate` resolves CO-RE relocations between
//! made-up types, `hostile` feeds wrong bytes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in helpers too")]

mod hostile;
mod kernel;
mod relocate;
mod writer;

use nonna_btf::Btf;

/// The running kernel's BTF. A kernel without it fails the test: nothing here works without it.
fn kernel_btf() -> Btf {
    let path = "/sys/kernel/btf/vmlinux";
    let bytes =
        std::fs::read(path).unwrap_or_else(|error| panic!("the kernel's BTF is needed: {path}: {error}"));
    Btf::parse(bytes).expect("the kernel's BTF is good")
}
