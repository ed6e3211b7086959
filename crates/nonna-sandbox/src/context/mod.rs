//! What a program is run on: its context in memory, as the kernel's interface to user space lays it out.
//!
//! A [`Context`] is made of an [`Input`] for a program type, in [`LowPages`] that are lent to one run. It holds the packet, and
//! keeps what helpers did beside changing bytes ([`Effects`]). Which fields there are is said by the tables in
//! `nonna_verifier::context`. It knows no engine, and opens nothing of the machine's network.

mod calls;
mod checksum;
mod error_number;
mod image;
mod images;
mod input;
mod packet;
mod skb;
mod sock;
mod structure;
mod verdict;
mod xdp;

use nonna_bpf::{AttachType, ProgramType};
use nonna_verifier::context::{Layout, layout, packet_access};

use crate::memory::{LowPages, Pages, Regions};
use image::Image;
use skb::SocketBuffer;
use structure::Structure;
use xdp::Xdp;

pub use calls::with_context_helpers;
pub use images::{StructImage, Word};
pub use input::{ContextError, FieldValue, Input, Socket, SocketInput};
pub use verdict::verdict;

/// Where things lie in the pages of a context: the structure, its socket, flow keys, sockets that were found, and from a page's start on the packet
/// with its room.
const CONTEXT: usize = 0;
const GIVEN_SOCKET: usize = 1024;
const KEYS: usize = 1280;
const FOUND: usize = 2048;
const FOUND_MAX: usize = 16;
const SOCKET_ROOM_BYTES: usize = 96;
const ROOM: usize = 4096;

/// The fields of a socket that a context points to (`struct bpf_sock`).
pub fn socket_fields() -> Vec<&'static str> {
    sock::table().fields.iter().map(|field| field.name).collect()
}

/// A packet that a helper sent somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clone {
    /// Index of the device.
    pub interface: u32,
    /// The helper's flags; 1 is towards the host.
    pub flags: u64,
    /// The packet as it was.
    pub packet: Vec<u8>,
}

/// Where a program wants its packet to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// To a device.
    Interface {
        /// Index of the device.
        interface: u32,
        /// The helper's flags.
        flags: u64,
        /// As the neighbour's or the peer's, which names the helper.
        by: RedirectBy,
    },
    /// To what stands in a map.
    Map {
        /// The map, as the program names it.
        map: u64,
        /// Key.
        key: u64,
        /// The helper's flags.
        flags: u64,
    },
}

/// The helper that redirects to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectBy {
    /// `bpf_redirect`
    Device,
    /// `bpf_redirect_neigh`
    Neighbour,
    /// `bpf_redirect_peer`
    Peer,
}

/// An option that a program set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOption {
    /// `SOL_…`
    pub level: u32,
    /// Number.
    pub name: u32,
    /// Value.
    pub value: Vec<u8>,
}

/// What helpers did beside changing bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The last redirection; it counts where the program's verdict is to redirect.
    pub redirect: Option<Redirect>,
    /// Packets that were sent elsewhere.
    pub clones: Vec<Clone>,
    /// Addresses that `bpf_bind` was given, as `struct sockaddr`.
    pub bound: Vec<Vec<u8>>,
    /// Options that were set.
    pub options: Vec<SocketOption>,
    /// What `bpf_sock_ops_cb_flags_set` set last.
    pub callback_flags: Option<u32>,
    /// What `bpf_set_retval` set: the system call's result.
    pub return_value: i32,
    /// The result that `bpf_override_return` gives the probed function.
    pub overridden_return: Option<u64>,
    /// Signals that the program sent to the process.
    pub signals: Vec<u32>,
    /// Sockets that the program took and did not release.
    pub held_sockets: u32,
}

#[derive(Debug)]
enum Form {
    /// No memory of its own: the caller lends what `r1` points to.
    Plain,
    Xdp(Xdp),
    SocketBuffer(Box<SocketBuffer>),
    Structure(Structure),
    /// Bytes without a structure: a record, registers, arguments.
    Bytes {
        start: usize,
        bytes: usize,
    },
}

/// The context of one run.
#[derive(Debug)]
pub struct Context {
    form: Form,
    /// The type of program that it was made for; `None` for plain memory.
    program_type: Option<ProgramType>,
    /// Where its bytes lie; `None` for plain memory.
    pages: Option<Pages>,
    address: u64,
    /// The last word is the traced function's result.
    has_result: bool,
    found: sock::Found,
    effects: Effects,
}

impl Default for Context {
    fn default() -> Self {
        Context::plain()
    }
}

impl Context {
    /// A context without anything: for programs over memory that the caller lends.
    pub fn plain() -> Context {
        Context {
            form: Form::Plain,
            program_type: None,
            pages: None,
            address: 0,
            has_result: false,
            found: sock::Found::default(),
            effects: Effects::default(),
        }
    }

    /// Bytes of pages that the context of a program of this type needs for this input.
    pub fn page_bytes(program_type: ProgramType, input: &Input) -> usize {
        let room = match layout(program_type, input.attach_type) {
            Layout::Fields { .. } => match program_type {
                ProgramType::Xdp => xdp::room(input),
                _ if is_socket_buffer(program_type) => skb::room(input),
                _ => structure::room(input),
            },
            _ => input.memory.len().max(images::room(&input.arguments, &input.images)),
        };
        ROOM + room
    }

    /// Pages of as many bytes. They serve any number of runs, one after the other, that need no more.
    ///
    /// # Errors
    ///
    /// Where the system has no room below 4 GiB.
    pub fn pages(program_type: ProgramType, input: &Input) -> std::io::Result<LowPages> {
        LowPages::new(Context::page_bytes(program_type, input))
    }

    /// Makes the context of a program of this type.
    ///
    /// # Errors
    ///
    /// [`ContextError`] where the input does not fit the type.
    pub fn new<'m>(
        program_type: ProgramType,
        input: &Input,
        regions: &mut Regions<'m>,
        low: &'m mut LowPages,
    ) -> Result<Context, ContextError> {
        let pages = regions.lend_pages(low);
        let form = match layout(program_type, input.attach_type) {
            Layout::Fields { .. } => match program_type {
                ProgramType::Xdp => Form::Xdp(Xdp::new(regions, pages, input)?),
                _ if is_socket_buffer(program_type) => {
                    Form::SocketBuffer(Box::new(SocketBuffer::new(regions, pages, program_type, input)?))
                }
                _ => Form::Structure(Structure::new(regions, pages, program_type, input)?),
            },
            Layout::Bytes { writable, .. } => place_bytes(regions, pages, &input.memory, writable),
            Layout::Words { .. } | Layout::Arguments { .. } => {
                let bytes = images::place(regions, pages, ROOM, &input.arguments, &input.images);
                Form::Bytes { start: ROOM, bytes }
            }
            Layout::OfExtendedProgram | Layout::Nothing => {
                return Err(ContextError::Unsupported { program_type });
            }
        };
        let address = match &form {
            Form::Plain => 0,
            Form::Xdp(xdp) => xdp.image.address(regions),
            Form::SocketBuffer(socket_buffer) => socket_buffer.image.address(regions),
            Form::Structure(structure) => structure.image.address(regions),
            Form::Bytes { start, .. } => regions.page_address(pages, *start).into(),
        };
        let (found, effects) = (sock::Found::default(), Effects::default());
        let has_result = !input.arguments.is_empty()
            && matches!(input.attach_type, Some(AttachType::TraceFexit | AttachType::ModifyReturn));
        Ok(Context {
            form,
            program_type: Some(program_type),
            pages: Some(pages),
            address,
            has_result,
            found,
            effects,
        })
    }

    /// What the program finds in `r1`; 0 for plain memory.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Whether this is the address of the context of a program of this type.
    #[inline]
    pub(crate) fn is_of(&self, program_type: ProgramType, address: u64) -> bool {
        self.program_type == Some(program_type) && self.address == address
    }

    /// Whether this is the address of the context, and one with a packet.
    pub(crate) fn has_packet_at(&self, address: u64) -> bool {
        self.address == address && matches!(self.form, Form::Xdp(_) | Form::SocketBuffer(_))
    }

    /// Whether programs of this type may write into packets.
    pub(crate) fn lets_write_packets(&self) -> bool {
        self.program_type.is_some_and(|program_type| packet_access(program_type, None).writable)
    }

    /// The packet as it is now: as a frame with its link header where the program's type has packets from the network, else the bytes that
    /// the context points to.
    pub fn packet(&self, regions: &Regions<'_>) -> Option<Vec<u8>> {
        match &self.form {
            Form::Xdp(xdp) => Some(xdp.packet.bytes(regions)),
            Form::SocketBuffer(socket_buffer) => Some(socket_buffer.frame(regions)),
            Form::Structure(structure) => structure.packet.as_ref().map(|packet| packet.bytes(regions)),
            Form::Plain | Form::Bytes { .. } => None,
        }
    }

    /// The metadata before the packet.
    pub fn metadata(&self, regions: &Regions<'_>) -> Vec<u8> {
        match &self.form {
            Form::Xdp(xdp) => xdp.packet.metadata(regions),
            Form::SocketBuffer(socket_buffer) => socket_buffer.packet.metadata(regions),
            Form::Plain | Form::Structure(_) | Form::Bytes { .. } => Vec::new(),
        }
    }

    /// The bytes behind `r1` as they are now; empty for plain memory.
    pub fn bytes(&self, regions: &Regions<'_>) -> Vec<u8> {
        match (&self.form, self.pages) {
            (Form::Xdp(xdp), _) => xdp.image.copy(regions),
            (Form::SocketBuffer(socket_buffer), _) => socket_buffer.image.copy(regions),
            (Form::Structure(structure), _) => structure.image.copy(regions),
            (Form::Bytes { start, bytes }, Some(pages)) => {
                let mut into = vec![0; *bytes];
                regions.peek(pages, *start, &mut into);
                into
            }
            (Form::Plain | Form::Bytes { .. }, _) => Vec::new(),
        }
    }

    /// The program redirects the packet.
    pub(crate) fn redirect(&mut self, redirect: Redirect) {
        self.effects.redirect = Some(redirect);
    }

    /// The program overrides the result of the function that it probes.
    pub(crate) fn override_return(&mut self, value: u64) {
        self.effects.overridden_return = Some(value);
    }

    /// The program sends the process a signal.
    pub(crate) fn signal(&mut self, signal: u32) {
        self.effects.signals.push(signal);
    }

    /// Arguments of the traced function: words of the context, without its result.
    pub(crate) fn n_arguments(&self) -> u64 {
        match self.form {
            Form::Bytes { bytes, .. } => (bytes / 8) as u64 - u64::from(self.has_result),
            _ => 0,
        }
    }

    /// Whether the result of the traced function stands behind its arguments.
    pub(crate) fn has_result(&self) -> bool {
        self.has_result
    }

    /// What helpers did beside changing bytes.
    pub fn effects(&self) -> Effects {
        Effects { held_sockets: self.found.n_held(), ..self.effects.clone() }
    }
}

fn place_bytes(regions: &mut Regions<'_>, pages: Pages, bytes: &[u8], writable: bool) -> Form {
    let range = ROOM..ROOM + bytes.len();
    regions.poke(pages, ROOM, bytes);
    regions.open_window(pages, range, writable);
    Form::Bytes { start: ROOM, bytes: bytes.len() }
}

/// Whether the context is `struct __sk_buff`.
fn is_socket_buffer(program_type: ProgramType) -> bool {
    matches!(
        program_type,
        ProgramType::SocketFilter
            | ProgramType::SchedCls
            | ProgramType::SchedAct
            | ProgramType::CgroupSkb
            | ProgramType::LwtIn
            | ProgramType::LwtOut
            | ProgramType::LwtXmit
            | ProgramType::LwtSeg6local
            | ProgramType::SkSkb
            | ProgramType::FlowDissector
    )
}
