//! The text form of modules, functions and predicates: printed for people, read back exactly.
//!
//! ```text
//! map0 "counts" hash key 8 value 8 entries 1024
//! data0 "home" const align 1 "/home/\x00"
//! event0 "process_exec" number 3 critical {
//!   "exe" path: "The program that runs."
//!   "pid" unsigned 4
//! }
//! func0 program "exec" hook rawtracepoint "sched_process_exec" {
//!   slot0: 16 align 8
//! block0:
//!   v0 = current_task : kernel(1234)
//!   v1 = load_kernel u32 v0+1256 in 1234
//!   branch v1, block1(v1), block2
//! block1(v2: int):
//!   emit event0 {
//!     path file v0
//!     scalar v2
//!   } when field1 != 0
//!   jump block2
//! block2:
//!   v3 = const 0
//!   return v3
//! }
//! ```
//!
//! - Maps, data, events, functions, slots and blocks are numbered from 0 in order. Values have any numbers; reading
//!   keeps their order and closes gaps, so that what [`Function::compact`](crate::Function::compact) made is read
//!   back equal, number for number.
//! - A result's type is written after `:` where it is not the instruction's
//!   [default](crate::Inst::default_result_type).
//! - `;` begins a comment. Line ends mean nothing.
//! - Spans are not part of it.

mod lex;
mod parse;
mod parse_function;
mod parse_inst;
mod parse_predicate;
mod print;
mod print_inst;
mod words;

#[cfg(test)]
mod tests;
