//! What people and machines are told: sentences, JSON lines, and that nothing can spoil them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod grandma;
mod lines;
mod nonsense;
mod schemas;
