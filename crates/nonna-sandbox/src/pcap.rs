//! Packets from capture files, and packets into them.
//!
//! Reads pcap and pcapng in either byte order and any unit of time, writes pcap with nanoseconds. Files come from strangers: what is wrong in
//! them is an error, and no length in them decides how much memory is taken. This file knows no program.

mod link;

use std::io::{self, Read, Write};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapReader, PcapWriter, RawPcapPacket};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};

pub use link::ethernet;

/// First bytes of a pcapng file.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Longest packet that is written or read; Linux allows captures of 256 KiB.
const PACKET_BYTES_MAX: u32 = 262_144;

/// Why a capture cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is no capture, or damaged.
    #[error("{0}")]
    Malformed(String),
    /// The file ends in the middle of a packet.
    #[error("the file ends in the middle of a packet")]
    Truncated,
}

impl From<PcapError> for CaptureError {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                CaptureError::Truncated
            }
            PcapError::IoError(error) => CaptureError::Io(error),
            PcapError::IncompleteBuffer => CaptureError::Truncated,
            other => CaptureError::Malformed(other.to_string()),
        }
    }
}

/// A packet of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Since 1970.
    pub time: Duration,
    /// Bytes on the wire; the capture may hold fewer.
    pub original_bytes: u32,
    /// What the capture holds.
    pub bytes: Vec<u8>,
    /// Link type of the device (1 is Ethernet).
    pub link: u32,
}

enum Form<R: Read> {
    Classic {
        reader: Box<PcapReader<R>>,
        link: u32,
        unit_ns: u32,
        read: bool,
    },
    Next(Box<PcapNgReader<R>>),
    /// After an error nothing more is read.
    Ended,
}

/// Reads a capture packet by packet.
pub struct CaptureReader<R: Read> {
    form: Form<io::Chain<io::Cursor<[u8; 4]>, R>>,
}

impl<R: Read> CaptureReader<R> {
    /// Reads the file's head.
    ///
    /// # Errors
    ///
    /// Where it is no capture.
    pub fn new(mut from: R) -> Result<Self, CaptureError> {
        let mut magic = [0; 4];
        from.read_exact(&mut magic).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CaptureError::Malformed("it is shorter than any capture".into()),
            _ => CaptureError::Io(error),
        })?;
        let from = io::Cursor::new(magic).chain(from);
        let form = if magic == SECTION_HEADER {
            let reader = PcapNgReader::new(from)?;
            let section = reader.section();
            next_version(section.major_version, section.minor_version)?;
            Form::Next(Box::new(reader))
        } else {
            let reader = PcapReader::new(from)?;
            let header = reader.header();
            classic_version(header.version_major, header.version_minor)?;
            let unit_ns = match header.ts_resolution {
                TsResolution::MicroSecond => 1_000,
                TsResolution::NanoSecond => 1,
            };
            Form::Classic { link: header.datalink.into(), unit_ns, reader: Box::new(reader), read: false }
        };
        Ok(CaptureReader { form })
    }
}

impl<R: Read> std::fmt::Debug for CaptureReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaptureReader")
    }
}

impl<R: Read> Iterator for CaptureReader<R> {
    type Item = Result<Captured, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.form {
            Form::Classic { reader, link, unit_ns, read } => {
                let next = reader.next_raw_packet()?.map_err(CaptureError::from);
                *read = true;
                next.and_then(|packet| classic_packet(&packet, *link, *unit_ns))
            }
            Form::Next(reader) => next_packet(reader)?,
            Form::Ended => return None,
        };
        if next.is_err() {
            self.form = Form::Ended;
        }
        Some(next)
    }
}

/// Versions of pcap that are laid out as this one: 2.0 to 2.4 (RFC draft-ietf-opsawg-pcap, and libpcap's sf-pcap.c).
fn classic_version(major: u16, minor: u16) -> Result<(), CaptureError> {
    if major == 2 && minor <= 4 { Ok(()) } else { Err(version("pcap", major, minor)) }
}

/// Versions of pcapng: 1.0, and 1.2, which is the same (draft-ietf-opsawg-pcapng, section 4.1).
fn next_version(major: u16, minor: u16) -> Result<(), CaptureError> {
    if major == 1 && matches!(minor, 0 | 2) { Ok(()) } else { Err(version("pcapng", major, minor)) }
}

fn version(form: &str, major: u16, minor: u16) -> CaptureError {
    CaptureError::Malformed(format!("nobody knows version {major}.{minor} of {form}"))
}

fn classic_packet(packet: &RawPcapPacket<'_>, link: u32, unit_ns: u32) -> Result<Captured, CaptureError> {
    if packet.incl_len > PACKET_BYTES_MAX {
        return Err(too_long(packet.incl_len));
    }
    let fraction_ns = u64::from(packet.ts_frac) * u64::from(unit_ns);
    Ok(Captured {
        time: Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(fraction_ns),
        original_bytes: packet.orig_len.max(packet.incl_len),
        bytes: packet.data.to_vec(),
        link,
    })
}

fn too_long(bytes: u32) -> CaptureError {
    CaptureError::Malformed(format!("a packet of {bytes} bytes is longer than any capture allows"))
}

/// The next packet; blocks of other kinds are passed over.
fn next_packet<R: Read>(reader: &mut PcapNgReader<R>) -> Option<Result<Captured, CaptureError>> {
    loop {
        let (interface, units, original_bytes, bytes) = match reader.next_block()? {
            Err(error) => return Some(Err(error.into())),
            Ok(Block::EnhancedPacket(packet)) => {
                // The crate takes the number of units for nanoseconds.
                let units = packet.timestamp.as_nanos();
                (packet.interface_id, units, packet.original_len, packet.data.to_vec())
            }
            Ok(Block::SimplePacket(packet)) => (0, 0, packet.original_len, packet.data.to_vec()),
            Ok(Block::SectionHeader(section)) => {
                match next_version(section.major_version, section.minor_version) {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            }
            Ok(_) => continue,
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if length > PACKET_BYTES_MAX {
            return Some(Err(too_long(length)));
        }
        let Some(interface) = reader.interfaces().get(interface as usize) else {
            return Some(Err(CaptureError::Malformed("a packet names a device that the file lacks".into())));
        };
        let resolution = interface.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
            _ => None,
        });
        let offset = interface.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsOffset(seconds) => Some(*seconds),
            _ => None,
        });
        let time =
            time(units, resolution.unwrap_or(6)).saturating_add(Duration::from_secs(offset.unwrap_or(0)));
        let link = interface.linktype.into();
        return Some(Ok(Captured { time, original_bytes: original_bytes.max(length), bytes, link }));
    }
}

/// A time in units: the resolution is a negative power of 10, or of 2 where its upper bit is set.
fn time(units: u128, resolution: u8) -> Duration {
    let exponent = u32::from(resolution & 0x7f);
    let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
    // A unit too small to count in 128 bits makes every time 0.
    let Some(per_second) = base.checked_pow(exponent) else { return Duration::ZERO };
    let seconds = u64::try_from(units / per_second).unwrap_or(u64::MAX);
    let rest = units % per_second;
    let nanoseconds = rest.checked_mul(1_000_000_000).map_or(0, |rest| rest / per_second);
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds as u64))
}

/// Writes a capture.
pub struct CaptureWriter<W: Write> {
    writer: PcapWriter<W>,
}

impl<W: Write> std::fmt::Debug for CaptureWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaptureWriter")
    }
}

impl<W: Write> CaptureWriter<W> {
    /// Writes the file's head, for packets of this link type.
    ///
    /// # Errors
    ///
    /// Where nothing can be written.
    pub fn new(to: W, link: u32) -> Result<Self, CaptureError> {
        let header = PcapHeader {
            snaplen: PACKET_BYTES_MAX,
            datalink: DataLink::from(link),
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        Ok(CaptureWriter { writer: PcapWriter::with_header(to, header)? })
    }

    /// Writes a packet; times beyond 2106 are written as the last second of that time.
    ///
    /// # Errors
    ///
    /// Where nothing can be written, or the packet is longer than captures allow.
    pub fn write(&mut self, packet: &Captured) -> Result<(), CaptureError> {
        let length = u32::try_from(packet.bytes.len()).ok().filter(|length| *length <= PACKET_BYTES_MAX);
        let length = length.ok_or_else(|| too_long(u32::MAX))?;
        let raw = RawPcapPacket {
            ts_sec: u32::try_from(packet.time.as_secs()).unwrap_or(u32::MAX),
            ts_frac: packet.time.subsec_nanos(),
            incl_len: length,
            orig_len: packet.original_bytes.max(length),
            data: (&packet.bytes[..]).into(),
        };
        self.writer.write_raw_packet(&raw)?;
        Ok(())
    }

    /// The file, for flushing.
    pub fn into_inner(self) -> W {
        self.writer.into_writer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(time_ns: u64, bytes: &[u8]) -> Captured {
        let original_bytes = bytes.len() as u32 + 10;
        Captured { time: Duration::from_nanos(time_ns), original_bytes, bytes: bytes.to_vec(), link: 1 }
    }

    fn read(file: &[u8]) -> Vec<Result<Captured, CaptureError>> {
        CaptureReader::new(file).unwrap().collect()
    }

    fn written(packets: &[Captured]) -> Vec<u8> {
        let mut writer = CaptureWriter::new(Vec::new(), 1).unwrap();
        packets.iter().for_each(|packet| writer.write(packet).unwrap());
        writer.into_inner()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let packets = [packet(1_700_000_000_123_456_789, &[1; 60]), packet(0, &[]), packet(5, &[2; 1500])];
        let again: Vec<Captured> = read(&written(&packets)).into_iter().map(Result::unwrap).collect();
        assert_eq!(again, packets);
    }

    /// A block of pcapng in little-endian order.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = (body.len() + 12) as u32;
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body, &length.to_le_bytes()].concat()
    }

    fn next_file(resolution: Option<u8>) -> Vec<u8> {
        let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &u64::MAX.to_le_bytes()].concat();
        let options = resolution.map(|resolution| vec![9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]);
        let device = [&[1, 0, 0, 0, 0, 0, 4, 0][..], &options.unwrap_or_default()].concat();
        let (high, low) = (0u32, 3_000_001u32);
        let packet = [
            &0u32.to_le_bytes()[..],
            &high.to_le_bytes(),
            &low.to_le_bytes(),
            &4u32.to_le_bytes(),
            &9u32.to_le_bytes(),
            &[1, 2, 3, 4],
        ]
        .concat();
        [block(0x0a0d_0d0a, &section), block(1, &device), block(0xdead, &[]), block(6, &packet)].concat()
    }

    #[test]
    fn pcapng_times_follow_the_devices_unit() {
        for (resolution, nanoseconds) in [
            (None, 3_000_001_000),
            (Some(6), 3_000_001_000),
            (Some(9), 3_000_001),
            (Some(0x80 | 20), 2_861_023_902),
        ] {
            let packets: Vec<Captured> =
                read(&next_file(resolution)).into_iter().map(Result::unwrap).collect();
            let expected = Captured {
                time: Duration::from_nanos(nanoseconds),
                original_bytes: 9,
                bytes: vec![1, 2, 3, 4],
                link: 1,
            };
            assert_eq!(packets, [expected], "{resolution:?}");
        }
    }

    #[test]
    fn damaged_files_are_errors() {
        assert!(matches!(CaptureReader::new(&b"abc"[..]), Err(CaptureError::Malformed(_))));
        assert!(matches!(CaptureReader::new(&[0u8; 64][..]), Err(CaptureError::Malformed(_))));
        let file = written(&[packet(1, &[1; 60])]);
        for (major, minor) in [(1, 4), (2, 5), (3, 0)] {
            let mut other = file.clone();
            other[4..8].copy_from_slice(&[major, 0, minor, 0]);
            assert!(matches!(CaptureReader::new(&other[..]), Err(CaptureError::Malformed(_))));
        }
        for (major, minor) in [(0, 1), (1, 1), (2, 0)] {
            let mut other = next_file(None);
            other[12..16].copy_from_slice(&[major, 0, minor, 0]);
            assert!(matches!(CaptureReader::new(&other[..]), Err(CaptureError::Malformed(_))));
            // A later section may be of another version.
            assert!(matches!(read(&[next_file(None), other].concat())[..], [Ok(_), Err(_)]));
        }
        for end in 25..file.len() {
            let all = read(&file[..end]);
            assert!(matches!(all[..], [Err(CaptureError::Truncated)]), "{end}: {all:?}");
        }
        let mut long = file;
        long[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&long).len(), 1);
        let next = next_file(None);
        for end in 4..next.len() {
            if let Ok(reader) = CaptureReader::new(&next[..end]) {
                assert!(reader.count() <= 1);
            }
        }
    }
}
