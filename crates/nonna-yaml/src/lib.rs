//! YAML text as a tree in which everything knows where it was written.
//!
//! Rules and policies are YAML, and languages stand inside its values; what is wrong in one of those must be shown where the
//! author wrote it, behind folded lines, quotes and escapes. A text may hold many documents: one that cannot be read costs the
//! others nothing. This room knows no document's meaning and reads no files.

mod node;
mod places;
mod read;
pub mod slugs;

pub use node::{Entry, Kind, Node, Scalar, Style};
pub use read::{Document, MAX_NODES, read};
