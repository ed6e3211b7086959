//! The pipeline from raw records to sentences: inventory, enrichment, outputs.
//!
//! Records come from the rings, are decoded by the schemas that wrote them, put in the order of the kernel's clock,
//! joined with what is known of their process and handed to outputs. This room knows no source language and no terminal screen.

pub mod accounts;
mod agent;
pub mod alert;
pub mod clock;
pub mod container;
pub mod docs;
pub mod drops;
pub mod enrich;
mod error;
pub mod facts;
pub mod inventory;
pub mod observation;
pub mod outlet;
pub mod output;
mod pipeline;
pub mod process;
pub mod procfs;
pub mod recording;
pub mod refine;
pub mod sample;
pub mod surroundings;

pub use agent::{Agent, Output, Summary, Until};
pub use error::AgentError;
