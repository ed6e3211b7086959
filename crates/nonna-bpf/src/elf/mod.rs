//! Objects as ELF files: written for bpftool, libbpf and aya, and read from what clang and aya write.
//!
//! The layout is libbpf's convention (Documentation/bpf/libbpf/libbpf_overview.rst, tools/lib/bpf/libbpf.c): programs in
//! sections that name their hook, other functions in `.text`, maps as BTF in `.maps`, global data in `.rodata`,
//! `.data` and `.bss`, names that the kernel resolves in `.ksyms` and `.kconfig`.

mod copy_types;
mod read;
mod write;

pub use read::{ElfError, ElfReading, UNRESOLVED_RELOCATION};
pub use write::ElfWriteError;
