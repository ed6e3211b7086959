//! Street tests: Markdown files whose blocks are stages of one journey.
//!
//! ````markdown
//! # Count calls by command
//!
//! The key is the 16-byte name of the task.
//!
//! ```bt
//! tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }
//! ```
//! ```verdict
//! accepted: 21 instructions
//! ```
//! ````
//!
//! Each heading opens a case, whose name is the heading. Blocks whose name is an *input* hold what is given, those whose name is an
//! *output* hold what must come out; each output is a test of its own. Words after the name are the block's argument. Blocks without a name, and
//! `text`, are prose. Which names there are, and how outputs come about, is the business of the crate that runs the
//! tests: it implements [`Stages`].
//!
//! `NONNA_BLESS=1` rewrites outputs that differ; the diff is then for a person to judge.

mod bless;
mod difference;
mod parse;
mod run;

pub use parse::{Block, Case, Document, ParseError};
pub use run::{Produced, Stages, Street};
