//! Contexts that are a structure beside which nothing moves: addresses, sockets, TCP events, devices, settings.
//!
//! Fields are numbers as given, and pointers to a socket or to bytes that are given beside. What a program stores stays in the
//! image, and is read there afterwards.

use nonna_bpf::ProgramType;
use nonna_verifier::context::{Holds, packet_access};

use super::packet::Packet;
use super::{ContextError, Image, Input, ROOM, SocketInput, sock};
use crate::memory::{Pages, Regions};

/// A structure, and the bytes that it points to.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) image: Image,
    pub(super) packet: Option<Packet>,
}

/// Bytes of pages that what is pointed to needs.
pub(super) fn room(input: &Input) -> usize {
    Packet::room(0, input.packet.len(), 0)
}

impl Structure {
    pub(super) fn new(
        regions: &mut Regions<'_>,
        pages: Pages,
        program_type: ProgramType,
        input: &Input,
    ) -> Result<Structure, ContextError> {
        let image = Image::new(regions, pages, program_type, input.attach_type, true)?;
        image.fill(regions, &input.fields)?;
        let mut structure = Structure { image, packet: None };
        let fields = image.table().fields;
        if fields.iter().any(|field| field.holds == Holds::PacketData) {
            let writable = packet_access(program_type, input.attach_type).writable;
            let room = (ROOM, ROOM + input.packet.len());
            let packet = Packet::place(regions, pages, room, 0, (&[], &input.packet), writable);
            structure.packet = Some(packet);
        }
        let [_, data, end] = structure.packet.as_ref().map_or([0; 3], |packet| packet.pointers(regions));
        for field in fields {
            let pointer = match field.holds {
                Holds::PacketData => data.into(),
                Holds::PacketEnd => end.into(),
                Holds::Socket { nullable, .. } => match &input.socket {
                    SocketInput::Given(fields) => sock::given(regions, pages, fields)?.address(regions),
                    SocketInput::FromPacket if !nullable => {
                        sock::given(regions, pages, &[])?.address(regions)
                    }
                    SocketInput::FromPacket | SocketInput::None => 0,
                },
                Holds::Number | Holds::PacketMeta | Holds::FlowKeys | Holds::Kernel(_) => continue,
            };
            image.set_long(regions, field.offset.into(), pointer);
        }
        Ok(structure)
    }
}
