//! Outputs: observations as text. Where it goes is the caller's business.

pub mod json;
pub mod plain;
pub mod repeats;
pub mod sentence;
