//! Symbols of the kernel and of user programs, by name.

mod kallsyms;

pub(crate) use kallsyms::Kallsyms;
