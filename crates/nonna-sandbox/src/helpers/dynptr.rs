//! Dynamic pointers: memory whose size is known at run time only, and the helpers and kernel functions on them.
//!
//! A program holds 16 bytes in the kernel's layout (`struct bpf_dynptr_kern`): address, size with flags, offset. A verifier
//! guards them; where none did, what they claim is checked like every access.

use nonna_bpf::Helper;

use super::table::helper_table;
use super::{Called, E2BIG, EFAULT, EINVAL, ERANGE, HelperFn, error, read_bytes};
use crate::host::HelperError;
use crate::maps::MapError;
use crate::run::Run;

/// The largest size (`DYNPTR_MAX_SIZE`).
const MAX_BYTES: u64 = (1 << 24) - 1;
const KIND_SHIFT: u32 = 28;
const READ_ONLY: u32 = 1 << 31;

/// What a dynamic pointer points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Memory of the program.
    Local = 1,
    /// A ring buffer record.
    Record = 2,
    /// The packet of a `__sk_buff`.
    SocketBuffer = 3,
    /// The packet of an `xdp_md`.
    Xdp = 4,
}

/// A dynamic pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dynptr {
    /// For packets, the context's.
    address: u64,
    /// Bytes, kind, and whether it is read-only.
    size: u32,
    offset: u32,
}

impl Dynptr {
    /// Bytes that one takes in a program's memory.
    pub(super) const BYTES: usize = 16;
    /// One that points nowhere.
    pub(super) const NULL: Dynptr = Dynptr { address: 0, size: 0, offset: 0 };

    /// One over memory at `address`.
    pub(super) fn new(kind: Kind, address: u64, bytes: u32, read_only: bool) -> Dynptr {
        let flags = if read_only { READ_ONLY } else { 0 };
        Dynptr { address, size: bytes | (kind as u32) << KIND_SHIFT | flags, offset: 0 }
    }

    /// Whether so many bytes fit.
    pub(super) fn check(bytes: u64) -> Result<(), MapError> {
        if bytes > MAX_BYTES { Err(MapError::TooBig) } else { Ok(()) }
    }

    /// Reads one from a program's memory.
    pub(super) fn read(run: &Run<'_, '_>, at: u64) -> Result<Dynptr, HelperError> {
        let bytes = read_bytes(run, at, Dynptr::BYTES)?;
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let address = u64::from(word(0)) | u64::from(word(4)) << 32;
        Ok(Dynptr { address, size: word(8), offset: word(12) })
    }

    /// As bytes.
    pub(super) fn bytes(self) -> [u8; Dynptr::BYTES] {
        let mut bytes = [0; Dynptr::BYTES];
        bytes[..8].copy_from_slice(&self.address.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.offset.to_ne_bytes());
        bytes
    }

    /// Writes one to a program's memory.
    pub(super) fn write(self, run: &mut Run<'_, '_>, at: u64) -> Result<(), HelperError> {
        Ok(run.memory.write(at, &self.bytes())?)
    }

    pub(super) fn is_null(self) -> bool {
        self.address == 0
    }

    /// The address that it was made with.
    pub(super) fn start(self) -> u64 {
        self.address
    }

    fn is_read_only(self) -> bool {
        self.size & READ_ONLY != 0
    }

    fn len(self) -> u64 {
        u64::from(self.size) & MAX_BYTES
    }

    /// Where a part lies, if all of it is inside.
    fn part(self, run: &Run<'_, '_>, offset: u64, bytes: u64) -> Result<Result<u64, i32>, HelperError> {
        let (offset, bytes) = (offset & 0xffff_ffff, bytes & 0xffff_ffff);
        if bytes > self.len() || offset > self.len() - bytes {
            return Ok(Err(E2BIG));
        }
        let is = |kind: Kind| self.size >> KIND_SHIFT & 7 == kind as u32;
        // A packet begins and ends where its context says now, whatever it was when the dynamic pointer was made.
        let kind = [Kind::Xdp, Kind::SocketBuffer].into_iter().find(|kind| is(*kind));
        let base = match kind {
            Some(kind) => {
                let (start, length) = packet(run, self.address, kind)?;
                if u64::from(self.offset) + offset + bytes > length {
                    return Ok(Err(if kind == Kind::Xdp { EINVAL } else { EFAULT }));
                }
                start
            }
            None => self.address,
        };
        Ok(Ok(base.wrapping_add(u64::from(self.offset)).wrapping_add(offset)))
    }
}

/// Where a context's packet begins, and its bytes: `data` and `data_end` of the context.
fn packet(run: &Run<'_, '_>, context: u64, kind: Kind) -> Result<(u64, u64), HelperError> {
    let (data, end) = if kind == Kind::Xdp { (0, 4) } else { (76, 80) };
    let field = |at: u64| -> Result<u64, HelperError> {
        let bytes = read_bytes(run, context.wrapping_add(at), 4)?;
        Ok(u64::from(u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
    };
    let (data, end) = (field(data)?, field(end)?);
    Ok((data, end.saturating_sub(data)))
}

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::DYNPTR_FROM_MEM.id() => |run, [memory, bytes, flags, to, _]| {
        let bytes = bytes & 0xffff_ffff;
        let (dynptr, answer) = if bytes > MAX_BYTES {
            (Dynptr::NULL, error(E2BIG))
        } else if flags != 0 {
            (Dynptr::NULL, error(EINVAL))
        } else {
            (Dynptr::new(Kind::Local, memory, bytes as u32, false), 0)
        };
        dynptr.write(run, to)?;
        Ok(answer)
    },
    Helper::DYNPTR_READ.id() => |run, [to, bytes, dynptr, offset, flags]| {
        let dynptr = Dynptr::read(run, dynptr)?;
        if dynptr.is_null() || flags != 0 {
            return Ok(error(EINVAL));
        }
        match dynptr.part(run, offset, bytes)? {
            Ok(from) => {
                let read = read_bytes(run, from, (bytes & 0xffff_ffff) as usize)?;
                run.memory.write(to, &read)?;
                Ok(0)
            }
            Err(number) => Ok(error(number)),
        }
    },
    Helper::DYNPTR_WRITE.id() => |run, [dynptr, offset, from, bytes, flags]| {
        let dynptr = Dynptr::read(run, dynptr)?;
        if dynptr.is_null() || flags != 0 || dynptr.is_read_only() {
            return Ok(error(EINVAL));
        }
        match dynptr.part(run, offset, bytes)? {
            Ok(to) => {
                let written = read_bytes(run, from, (bytes & 0xffff_ffff) as usize)?;
                run.memory.write(to, &written)?;
                Ok(0)
            }
            Err(number) => Ok(error(number)),
        }
    },
    Helper::DYNPTR_DATA.id() => |run, [dynptr, offset, bytes, ..]| {
        let dynptr = Dynptr::read(run, dynptr)?;
        let packet = dynptr.size >> KIND_SHIFT & 7 >= Kind::SocketBuffer as u32;
        if dynptr.is_null() || packet || dynptr.is_read_only() {
            return Ok(0);
        }
        Ok(dynptr.part(run, offset, bytes)?.unwrap_or(0))
    },
}

/// Gives the address of a part; everything lies in one piece here, so the buffer that the program offers is never needed.
fn slice(run: &mut Run<'_, '_>, [dynptr, offset, _, bytes, _]: [u64; 5]) -> Called {
    let dynptr = Dynptr::read(run, dynptr)?;
    if dynptr.is_null() {
        return Ok(0);
    }
    Ok(dynptr.part(run, offset, bytes)?.unwrap_or(0))
}

fn from_packet(run: &mut Run<'_, '_>, [context, flags, to, ..]: [u64; 5], kind: Kind) -> Called {
    if flags != 0 {
        Dynptr::NULL.write(run, to)?;
        return Ok(error(EINVAL));
    }
    // A proof takes the parts for memory that is there, so they are of the packet of this run and no other.
    if !run.context.has_packet_at(context) {
        return Err(HelperError::Misused("no packet of this run is behind what it is given"));
    }
    let (_, bytes) = packet(run, context, kind)?;
    let read_only = kind == Kind::SocketBuffer && !run.context.lets_write_packets();
    Dynptr::new(kind, context, bytes as u32, read_only).write(run, to)?;
    Ok(0)
}

helper_table! {
    /// Kernel functions, in the order of [`NAMES`].
    FUNCTIONS:
    0 => |run, arguments| from_packet(run, arguments, Kind::Xdp),
    1 => |run, arguments| from_packet(run, arguments, Kind::SocketBuffer),
    2 => slice,
    3 => |run, arguments| {
        if Dynptr::read(run, arguments[0])?.is_read_only() { Ok(0) } else { slice(run, arguments) }
    },
    4 => |run, [at, start, end, ..]| {
        let mut dynptr = Dynptr::read(run, at)?;
        let (start, end) = (start & 0xffff_ffff, end & 0xffff_ffff);
        if dynptr.is_null() || start > end {
            return Ok(error(EINVAL));
        }
        if start > dynptr.len() || end > dynptr.len() {
            return Ok(error(ERANGE));
        }
        dynptr.offset = dynptr.offset.wrapping_add(start as u32);
        dynptr.size = dynptr.size & !(MAX_BYTES as u32) | (end - start) as u32;
        dynptr.write(run, at)?;
        Ok(0)
    },
    5 => |run, [at, ..]| Ok(Dynptr::read(run, at)?.is_null().into()),
    6 => |run, [at, ..]| {
        let dynptr = Dynptr::read(run, at)?;
        Ok((!dynptr.is_null() && dynptr.is_read_only()).into())
    },
    7 => |run, [at, ..]| {
        let dynptr = Dynptr::read(run, at)?;
        Ok(if dynptr.is_null() { error(EINVAL) } else { dynptr.len() })
    },
    8 => |run, [at, to, ..]| {
        let dynptr = Dynptr::read(run, at)?;
        dynptr.write(run, to)?;
        Ok(if dynptr.is_null() { error(EINVAL) } else { 0 })
    },
}

/// Names of the kernel functions.
const NAMES: [&str; 9] = [
    "bpf_dynptr_from_xdp",
    "bpf_dynptr_from_skb",
    "bpf_dynptr_slice",
    "bpf_dynptr_slice_rdwr",
    "bpf_dynptr_adjust",
    "bpf_dynptr_is_null",
    "bpf_dynptr_is_rdonly",
    "bpf_dynptr_size",
    "bpf_dynptr_clone",
];

/// The kernel functions of this file, by name.
pub(super) fn kernel_functions() -> impl Iterator<Item = (&'static str, HelperFn)> {
    NAMES.into_iter().zip(FUNCTIONS.iter().map(|(_, function)| *function))
}

#[cfg(test)]
mod tests {
    use nonna_bpf::ProgramType;

    use super::*;
    use crate::context::Input;
    use crate::{Context, Maps, NoHelpers, Regions, Stack};

    /// Runs a test with a packet of 64 bytes: it gets the run, the context, and 32 bytes of the program's.
    fn with_packet(program_type: ProgramType, test: impl FnOnce(&mut Run<'_, '_>, u64, u64)) {
        let input = Input { packet: vec![7; 64], ..Input::default() };
        let mut low = Context::pages(program_type, &input).unwrap();
        let (mut stack, mut maps, mut host) = (Stack::new(), Maps::new(1), NoHelpers);
        let mut own = [0; 32];
        let mut memory = Regions::new(&mut stack);
        let mut context = Context::new(program_type, &input, &mut memory, &mut low).unwrap();
        let (address, at) = (context.address(), memory.lend(&mut own));
        let mut run = Run::new(&mut memory, &mut maps, &mut context, &mut host);
        test(&mut run, address, at);
    }

    fn call(run: &mut Run<'_, '_>, name: &str, [a, b, c, d]: [u64; 4]) -> u64 {
        let which = NAMES.iter().position(|known| *known == name).unwrap();
        FUNCTIONS[which].1(a, b, c, d, 0, run)
    }

    fn helper(run: &mut Run<'_, '_>, helper: Helper, [a, b, c, d]: [u64; 4]) -> i64 {
        let function = crate::Helpers::kernel().get(helper.id()).unwrap();
        function(a, b, c, d, 0, run).cast_signed()
    }

    #[test]
    fn parts_end_where_the_packet_ends_now() {
        with_packet(ProgramType::Xdp, |run, context, at| {
            assert_eq!(call(run, "bpf_dynptr_from_xdp", [context, 0, at, 0]), 0);
            let part = |run: &mut Run<'_, '_>, offset| call(run, "bpf_dynptr_slice", [at, offset, 0, 8]);
            let start = part(run, 0);
            assert_eq!(part(run, 56), start + 56);
            assert_eq!(part(run, 57), 0);
            assert_eq!(helper(run, Helper::XDP_ADJUST_TAIL, [context, 8u64.wrapping_neg(), 0, 0]), 0);
            // The dynamic pointer still has 64 bytes, the packet has not.
            assert_eq!(call(run, "bpf_dynptr_size", [at, 0, 0, 0]), 64);
            assert_eq!((part(run, 48), part(run, 49)), (start + 48, 0));
            assert_eq!(helper(run, Helper::DYNPTR_READ, [at + 16, 8, at, 49]), -i64::from(EINVAL));
            assert!(!run.is_stopped());
        });
    }

    #[test]
    fn packets_are_written_by_programs_that_may() {
        for (program_type, is_read_only) in [(ProgramType::SchedCls, false), (ProgramType::CgroupSkb, true)] {
            with_packet(program_type, |run, context, at| {
                assert_eq!(call(run, "bpf_dynptr_from_skb", [context, 0, at, 0]), 0);
                assert_eq!(call(run, "bpf_dynptr_is_rdonly", [at, 0, 0, 0]), u64::from(is_read_only));
                assert_eq!(call(run, "bpf_dynptr_slice_rdwr", [at, 0, 0, 8]) == 0, is_read_only);
                let written = helper(run, Helper::DYNPTR_WRITE, [at, 0, at + 16, 8]);
                assert_eq!(written, if is_read_only { -i64::from(EINVAL) } else { 0 });
            });
        }
    }

    #[test]
    fn packets_of_nobody_are_refused() {
        with_packet(ProgramType::SchedCls, |run, _, at| {
            assert_eq!(call(run, "bpf_dynptr_from_skb", [at, 0, at, 0]), 0);
            assert!(run.is_stopped());
        });
    }
}
