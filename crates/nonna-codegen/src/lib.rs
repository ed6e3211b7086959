//! Module to Object: instruction selection, registers, frames, strings, maps and BTF.
