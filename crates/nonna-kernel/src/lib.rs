//! The running kernel: load, attach, pin, read rings, probe features, describe the target.
//!
//! This is the one room that talks to the kernel, through an own thin layer over bpf(2) and perf_event_open(2). It takes objects
//! as they are and decides nothing about them; it knows no source language and not what events mean.
//!
//! - [`Kernel`] is the handle: [`Kernel::load`] turns an object into [`Loaded`] maps and programs.
//!   Attached, a program runs as long as its [`Link`] lives; [`Attached`] holds all of an object.
//! - [`Kernel::probe`] tries what the kernel allows, [`Kernel::target`] describes it for code generation.
//! - [`KernelMap`] reads and writes maps, [`RingReader`] reads rings, [`Symbolizer`] names addresses.
//! - [`programs`], [`maps`] and [`links`] list what everybody has in the kernel.
//!
//! Nothing is pinned unless asked, every descriptor has an owner, and the kernel takes everything back when the process ends,
//! however it ends.

mod attach;
mod btf;
mod config;
mod cpus;
mod error;
mod ids;
mod kernel;
mod load;
mod map;
mod pin;
mod probe;
mod ring;
mod run;
mod runtime;
mod slugs;
mod symbolize;
mod symbols;
mod sys;
mod target;
mod tracefs;

pub use attach::{Attached, Detaching, Direction, Link, UserPlaces, XdpMode, cgroup_root};
pub use error::Error;
pub use ids::{
    LinkStatus, MapStatus, ProgramStatus, RunTimeStats, link_ids, links, map_ids, maps, program_ids, programs,
};
pub use kernel::Kernel;
pub use load::{KernelProgram, LoadError, Loaded, Refused};
pub use map::{Entries, KernelMap, MapMemory};
pub use pin::unpin;
pub use ring::{RingCounters, RingReader, StopHandle, Wake};
pub use run::{TestRun, TestRunOutcome};
pub use slugs::{KERNEL_REFUSED, SLUGS};
pub use symbolize::{Frame, Symbolizer};
pub use sys::{Records, UpdateMode};
