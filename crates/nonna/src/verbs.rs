//! The verbs, one file each.

pub mod build;
pub mod check;
pub mod doctor;
pub mod explain;
pub mod list;
pub mod manual;
pub mod record;
pub mod replay;
pub mod sandbox;
pub mod trace;
pub mod verify;
pub mod watch;
