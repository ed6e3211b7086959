//! Falco rule files: what they say, whether it makes sense, and what it means for an event.
//!
//! This room knows the language and nothing of where events come from: fields are asked of whoever has the event. It knows no
//! bytecode and reads no files.

pub mod condition;
pub mod evaluate;
mod event_types;
pub mod fields;
pub mod load;
pub mod output;
pub mod resolve;
pub mod slugs;
mod text;

pub use event_types::{EventType, EventTypes};
pub use text::Text;
