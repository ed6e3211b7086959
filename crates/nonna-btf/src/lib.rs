//! BTF type information: lazy reader, writer and CO-RE matching; knows no files and no bytecode.
