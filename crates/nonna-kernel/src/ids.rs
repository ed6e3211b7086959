//! What is in the kernel, by id: programs, maps and links of everybody.
//!
//! Objects come and go while one looks; one that is gone by the time it is asked about is left out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nonna_bpf::{MapType, ProgramType};

use crate::attach::Link;
use crate::error::{Context, Error};
use crate::load::KernelProgram;
use crate::map::{KernelMap, name_of};
use crate::sys::{self, InfoStruct, LinkInfo, MapInfo, ObjectKind, ProgInfo};

/// What the kernel says about a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStatus {
    /// Id.
    pub id: u32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Type; `None` for one that is newer than this program.
    pub program_type: Option<ProgramType>,
    /// Hash of its instructions.
    pub tag: [u8; 8],
    /// Bytes of the instructions as the kernel rewrote them.
    pub xlated_bytes: u32,
    /// Bytes of machine code.
    pub jited_bytes: u32,
    /// When it was loaded, in nanoseconds since boot.
    pub loaded_at_ns: u64,
    /// Time that it ran, in nanoseconds, while counters were on ([`RunTimeStats`]).
    pub run_time_ns: u64,
    /// Times that it ran, while counters were on.
    pub run_count: u64,
    /// Times that it was not run because it ran already on that processor.
    pub recursion_misses: u64,
    /// Instructions that the verifier walked.
    pub verified_insns: u32,
}

/// What the kernel says about a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapStatus {
    /// Id.
    pub id: u32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Type; `None` for one that is newer than this program.
    pub map_type: Option<MapType>,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Entries, or bytes of a ring.
    pub max_entries: u32,
}

/// What the kernel says about a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Id.
    pub id: u32,
    /// The kernel's number of its type (`enum bpf_link_type`).
    pub link_type: u32,
    /// Program that it runs.
    pub program_id: u32,
}

/// All programs.
///
/// # Errors
///
/// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
pub fn programs() -> Result<Vec<ProgramStatus>, Error> {
    all(ObjectKind::Program, "programs", |info: ProgInfo| program_status(&info))
}

/// All maps.
///
/// # Errors
///
/// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
pub fn maps() -> Result<Vec<MapStatus>, Error> {
    all(ObjectKind::Map, "maps", |info: MapInfo| map_status(&info))
}

/// All links.
///
/// # Errors
///
/// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
pub fn links() -> Result<Vec<LinkStatus>, Error> {
    all(ObjectKind::Link, "links", |info: LinkInfo| LinkStatus {
        id: info.id,
        link_type: info.link_type,
        program_id: info.prog_id,
    })
}

/// Ids of all programs, without touching the programs.
///
/// # Errors
///
/// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
pub fn program_ids() -> Result<Vec<u32>, Error> {
    ids(ObjectKind::Program, "programs")
}

/// Ids of all maps, without touching the maps.
///
/// To take a descriptor and close it is not free of effects: the last close of a program array clears it from a work
/// item (`prog_array_map_clear` in `kernel/bpf/arraymap.c`), and one that comes while that item still waits leaks a reference.
///
/// # Errors
///
/// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
pub fn map_ids() -> Result<Vec<u32>, Error> {
    ids(ObjectKind::Map, "maps")
}

/// Ids of all links, without touching the links.
///
/// # Errors
///
/// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
pub fn link_ids() -> Result<Vec<u32>, Error> {
    ids(ObjectKind::Link, "links")
}

fn ids(kind: ObjectKind, what: &str) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    while let Some(next) =
        sys::next_id(kind, found.last().copied().unwrap_or(0)).context(|| format!("list {what}"))?
    {
        found.push(next);
    }
    Ok(found)
}

fn all<I: InfoStruct, T>(kind: ObjectKind, what: &str, status: impl Fn(I) -> T) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    let mut id = 0;
    while let Some(next) = sys::next_id(kind, id).context(|| format!("list {what}"))? {
        id = next;
        if let Some(fd) = sys::fd_by_id(kind, id).context(|| format!("look at {what}"))? {
            found.push(status(info(fd.as_fd(), what)?));
        }
    }
    Ok(found)
}

fn info<I: InfoStruct>(fd: BorrowedFd<'_>, what: &str) -> Result<I, Error> {
    sys::object_info(fd).context(|| format!("look at {what}"))
}

fn program_status(info: &ProgInfo) -> ProgramStatus {
    ProgramStatus {
        id: info.id,
        name: name_of(&info.name),
        program_type: ProgramType::from_number(info.prog_type),
        tag: info.tag,
        xlated_bytes: info.xlated_prog_len,
        jited_bytes: info.jited_prog_len,
        loaded_at_ns: info.load_time,
        run_time_ns: info.run_time_ns,
        run_count: info.run_cnt,
        recursion_misses: info.recursion_misses,
        verified_insns: info.verified_insns,
    }
}

fn map_status(info: &MapInfo) -> MapStatus {
    MapStatus {
        id: info.id,
        name: name_of(&info.name),
        map_type: MapType::from_number(info.map_type),
        key_size: info.key_size,
        value_size: info.value_size,
        max_entries: info.max_entries,
    }
}

impl KernelProgram {
    /// What the kernel says about the program: its id, sizes and run time counters.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn status(&self) -> Result<ProgramStatus, Error> {
        Ok(program_status(&info::<ProgInfo>(self.as_fd(), "a program")?))
    }

    /// The ids of the maps that the program uses.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn map_ids(&self) -> Result<Vec<u32>, Error> {
        sys::program_map_ids(self.as_fd())
            .context(|| format!("ask for the maps of program `{}`", self.name()))
    }

    /// The instructions as the kernel rewrote them, 8 bytes each.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] where the kernel hides them.
    pub fn xlated(&self) -> Result<Vec<u8>, Error> {
        sys::program_xlated(self.as_fd())
            .context(|| format!("read the instructions of program `{}`", self.name()))
    }
}

impl KernelMap {
    /// What the kernel says about the map.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn status(&self) -> Result<MapStatus, Error> {
        Ok(map_status(&info::<MapInfo>(self.as_fd(), "a map")?))
    }
}

impl Link {
    /// The link with this id, or `None` where there is none. It detaches when the last descriptor of it is closed.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
    pub fn from_id(id: u32) -> Result<Option<Self>, Error> {
        Ok(sys::fd_by_id(ObjectKind::Link, id).context(|| format!("open link {id}"))?.map(Self::of))
    }
}

/// While one lives, the kernel counts the run time of all programs, which costs each run about 50 ns.
#[derive(Debug)]
pub struct RunTimeStats {
    _counting: OwnedFd,
}

impl RunTimeStats {
    /// Starts counting.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`] without `CAP_SYS_ADMIN`.
    pub fn enable() -> Result<Self, Error> {
        let counting =
            sys::enable_run_time_stats().context(|| "count the run time of programs".to_owned())?;
        Ok(Self { _counting: counting })
    }
}
