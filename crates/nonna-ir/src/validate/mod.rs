//! Checks a module: what a front end or a pass must have got right before code generation may rely on it.
//!
//! Everything that breaks a rule is reported, many at once, each with its place and span. A finding is a fault of
//! whoever made the module, not of the user's text. The rules:
//!
//! **Module.** Names of functions, maps, data and events are unique and not empty. Maps have entries, and keys and values
//! where their type has them. Alignments are 1, 2, 4 or 8. Events have unique numbers; their fields have unique names,
//! integers of 1, 2, 4 or 8 bytes and capacities that a record can hold. Calls do not recurse, calls by helpers
//! ([`FunctionAddress`](crate::Inst::FunctionAddress)) included.
//!
//! **Function.** It has blocks; nothing jumps to the entry; every block ends. A program has no parameters and returns an
//! integer; a subprogram has at most 5 and returns no address of a slot. A slot has 1 to 32,768 bytes.
//! Unreachable blocks are allowed and checked like others, except that dominance and null tests mean nothing there.
//!
//! **Values.** Each is defined once, by the parameter or instruction that its entry in the value table names, and its
//! definition dominates its uses. An instruction stands in one block once; it has a result if its kind has one.
//! Jumps bring as many values as the target has parameters. A value *fits* a place of its own type; a kernel pointer fits a
//! place for untyped ones, and a map value that cannot be 0 a place for one that may.
//!
//! **Operands.** Arithmetic is on integers; `Add` and `Sub` also take a pointer on the left (not the context, a map or a
//! function) and keep its region. Comparisons take anything. Casts lead from anything to integers, kernel and user
//! pointers, and from a nullable map value that was tested to one that is not nullable. The context, arguments and the
//! return value exist only in programs, where the hook has them. `Load` reads slots, data, map values and the context;
//! `Store`, `Atomic`, `Zero` and all copies write slots, mutable data and map values only: never kernel or user memory or the
//! context. Kernel and user memory is read by `LoadKernel`, `LoadUser` and the checked copies, through a pointer of
//! that space. Pointers are loaded whole (8 bytes); pointers to owned memory come back only from slots.
//! Calls pass what the callee's parameters take, helpers what the helper table says of maps, callbacks, contexts and memory.
//! A `bpf_loop` callback takes an integer and its context pointer.
//!
//! **Memory.** Accesses of slots and data at a constant distance stay inside; keys and values in them are as long as the map's.
//! Copies do not overlap where that can be seen. Alignment of accesses is code generation's business.
//!
//! **Null.** A map value that may be 0 is used (read, written, advanced, handed on as memory) only where a branch on it, or
//! on its comparison with 0, has shown that it is not: on every way to the use, on an edge, as the kernel sees it.
//!
//! **Emit.** One source a field, in order; each source fits its field's type and capacity; the filter fits the schema.

mod emit;
mod finding;
mod function;
mod inst;
mod memory;
mod module;
mod null;
mod structure;

#[cfg(test)]
mod tests;

pub use finding::{Expected, Location, ValidateError, Violation};
pub use module::validate;
