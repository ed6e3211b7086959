//! Sources, spans and diagnostics as data, with their renderers.
//!
//! Every front end and the verifier say what is wrong with a user's text through [`Diagnostic`]: plain
//! data with a readable slug, spans into the [`Sources`], the reason and what to do. [`render`] turns it into
//! text for people, one-line text, JSON or SARIF. This room knows no language and no kernel, and prints
//! nothing itself.

mod diagnostic;
mod near;
mod render;
mod slug;
mod source;

pub use diagnostic::{Diagnostic, Edit, Label, Severity, Step};
pub use near::nearest;
pub use render::{Format, render};
pub use slug::SlugInfo;
pub use source::{LineColumn, Source, SourceId, Sources, Span};
