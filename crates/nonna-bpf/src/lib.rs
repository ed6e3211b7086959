//! eBPF as data: instructions, helpers, objects, ELF files and targets; makes no system call.
