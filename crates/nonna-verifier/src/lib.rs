//! The only maker of [`Verified`], and the traits that both runtimes share.
//!
//! An object goes in, and either a [`Verified`] or the reasons against it come out; nothing runs that is not verified.
//! The structural level checks that programs are well formed: encodable instructions, jump targets, reachable code,
//! registers written before they are read, stack size, known helpers for the program type. It trusts nothing from whoever made
//! the object, and knows neither IR nor code generation.

pub mod context;
mod environment;
mod explain;
mod facts;
mod frames;
mod functions;
pub mod numbers;
mod prove;
mod registers;
mod runtime;
pub mod slugs;
mod structure;
mod verified;

pub use environment::{Environment, Rules};
pub use facts::{AccessFact, Facts, Given};
pub use runtime::{Attached, MapDelta, MapEntry, Runtime};
pub use slugs::SLUGS;
pub use structure::stack_bytes;
pub use verified::{Level, Rejection, Verified, judge, verify, verify_structure};
