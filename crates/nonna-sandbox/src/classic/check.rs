//! The rules that a classic program must keep before anybody runs it.
//!
//! After `bpf_check_basics_ok`, `bpf_check_classic` and `check_load_and_stores` in `net/core/filter.c`: jumps only go
//! forward and inside, so every program ends; scratch memory is written before it is read, on every way.

use super::insn::{Alu, ClassicInsn, Encoded, Operand};

/// Most instructions of a program (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;
/// Words of scratch memory (`BPF_MEMWORDS`).
pub const SCRATCH_WORDS: u32 = 16;
/// Offsets of packet loads from here on name extensions (`SKF_AD_OFF`, -4096).
pub(super) const EXTENSION_BASE: u32 = 0xffff_f000;

/// What the kernel knows of a packet beside its bytes, loaded as if it stood at a negative offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Extension {
    /// Type of the network protocol, as in an Ethernet header.
    Protocol = 0,
    /// For whom the packet is (`PACKET_HOST` …).
    PacketType = 4,
    /// Index of the device; without a device the program ends.
    InterfaceIndex = 8,
    /// Offset of the netlink attribute of type `X` from offset `A` on, or 0.
    NetlinkAttribute = 12,
    /// The same inside the attribute at offset `A`.
    NestedNetlinkAttribute = 16,
    /// The packet's mark.
    Mark = 20,
    /// Number of the device's queue.
    Queue = 24,
    /// Hardware type of the device; without a device the program ends.
    HardwareType = 28,
    /// Hash of the flow.
    Hash = 32,
    /// Number of the processor.
    Processor = 36,
    /// `A ^ X`, from before the instruction set had it.
    XorX = 40,
    /// VLAN tag.
    VlanTag = 44,
    /// Whether there is a VLAN tag.
    VlanTagPresent = 48,
    /// Where the payload starts.
    PayloadOffset = 52,
    /// A random number.
    Random = 56,
    /// Type of the VLAN tag.
    VlanProtocol = 60,
}

const EXTENSIONS: [Extension; 16] = [
    Extension::Protocol,
    Extension::PacketType,
    Extension::InterfaceIndex,
    Extension::NetlinkAttribute,
    Extension::NestedNetlinkAttribute,
    Extension::Mark,
    Extension::Queue,
    Extension::HardwareType,
    Extension::Hash,
    Extension::Processor,
    Extension::XorX,
    Extension::VlanTag,
    Extension::VlanTagPresent,
    Extension::PayloadOffset,
    Extension::Random,
    Extension::VlanProtocol,
];

impl Extension {
    /// The extension that a packet load from this offset means.
    pub fn at(offset: u32) -> Option<Extension> {
        let relative = offset.checked_sub(EXTENSION_BASE)?;
        EXTENSIONS.into_iter().find(|extension| *extension as u32 == relative)
    }

    /// The offset that names it.
    pub fn offset(self) -> u32 {
        EXTENSION_BASE + self as u32
    }
}

/// Why a classic program is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckErrorKind {
    /// There is no instruction.
    #[error("the program is empty")]
    Empty,
    /// More than [`MAX_INSNS`].
    #[error("the program has more than {MAX_INSNS} instructions")]
    TooLong,
    /// Not an instruction of the set.
    #[error("{0:#06x} is no instruction")]
    Unknown(u16),
    /// A constant 0 as divisor.
    #[error("it divides by the constant 0")]
    DivisionByZero,
    /// A constant shift by 32 or more.
    #[error("it shifts by {0} bits, and there are 32")]
    Shift(u32),
    /// Scratch memory has [`SCRATCH_WORDS`] words.
    #[error("scratch memory has no word {0}; the last is 15")]
    NoSuchScratch(u32),
    /// A jump leads past the last instruction.
    #[error("its jump leads past the last instruction")]
    Target,
    /// A load from an offset in the range of extensions that names none.
    #[error("there is no extension at offset {:#x}", .0.cast_signed())]
    NoSuchExtension(u32),
    /// The program could run past its end.
    #[error("the last instruction is no `ret`")]
    NoReturn,
    /// Scratch memory is read where it may not have been written.
    #[error("word {0} of scratch memory may not have been written before")]
    UnwrittenScratch(u32),
}

/// A classic program that is refused, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("instruction {insn}: {kind}")]
pub struct CheckError {
    /// Index of the instruction, from 0.
    pub insn: usize,
    /// Why.
    pub kind: CheckErrorKind,
}

/// A classic program that keeps the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    insns: Vec<ClassicInsn>,
}

impl Filter {
    /// Checks a program.
    ///
    /// # Errors
    ///
    /// [`CheckError`] at the first instruction that breaks a rule.
    pub fn new(program: &[Encoded]) -> Result<Filter, CheckError> {
        let at = |insn, kind| CheckError { insn, kind };
        if program.is_empty() {
            return Err(at(0, CheckErrorKind::Empty));
        }
        if program.len() > MAX_INSNS {
            return Err(at(MAX_INSNS, CheckErrorKind::TooLong));
        }
        let mut insns = Vec::with_capacity(program.len());
        for (index, encoded) in program.iter().enumerate() {
            let insn =
                ClassicInsn::decode(*encoded).ok_or(at(index, CheckErrorKind::Unknown(encoded.code)))?;
            check_insn(insn, program.len() - index - 1).map_err(|kind| at(index, kind))?;
            insns.push(insn);
        }
        if !matches!(insns.last(), Some(ClassicInsn::ReturnA | ClassicInsn::ReturnConstant(_))) {
            return Err(at(insns.len() - 1, CheckErrorKind::NoReturn));
        }
        check_scratch(&insns)?;
        Ok(Filter { insns })
    }

    /// Its instructions.
    pub fn insns(&self) -> &[ClassicInsn] {
        &self.insns
    }
}

/// Rules about one instruction, `after` others behind it.
fn check_insn(insn: ClassicInsn, after: usize) -> Result<(), CheckErrorKind> {
    match insn {
        ClassicInsn::Alu(Alu::Div | Alu::Mod, Operand::K(0)) => Err(CheckErrorKind::DivisionByZero),
        ClassicInsn::Alu(Alu::Lsh | Alu::Rsh, Operand::K(bits @ 32..)) => Err(CheckErrorKind::Shift(bits)),
        ClassicInsn::LoadScratch(_, slot @ SCRATCH_WORDS..)
        | ClassicInsn::StoreScratch(_, slot @ SCRATCH_WORDS..) => Err(CheckErrorKind::NoSuchScratch(slot)),
        ClassicInsn::Jump(skip) if skip as usize >= after => Err(CheckErrorKind::Target),
        ClassicInsn::JumpIf { taken, otherwise, .. } if usize::from(taken.max(otherwise)) >= after => {
            Err(CheckErrorKind::Target)
        }
        ClassicInsn::LoadPacket { offset: offset @ EXTENSION_BASE.., .. }
            if Extension::at(offset).is_none() =>
        {
            Err(CheckErrorKind::NoSuchExtension(offset))
        }
        _ => Ok(()),
    }
}

/// Scratch memory is written before it is read. Jumps go forward, so one walk in order sees every way.
fn check_scratch(insns: &[ClassicInsn]) -> Result<(), CheckError> {
    // Words that are written on every way to an instruction, one bit each. What no way leads to reads as all written.
    let mut written = vec![u16::MAX; insns.len() + 1];
    written[0] = 0;
    for (index, insn) in insns.iter().enumerate() {
        let here = written[index];
        let mut meet = |skip: usize, words: u16| written[index + 1 + skip] &= words;
        match *insn {
            ClassicInsn::StoreScratch(_, slot) => meet(0, here | 1 << slot),
            ClassicInsn::LoadScratch(_, slot) if here & 1 << slot == 0 => {
                return Err(CheckError { insn: index, kind: CheckErrorKind::UnwrittenScratch(slot) });
            }
            ClassicInsn::Jump(skip) => meet(skip as usize, here),
            ClassicInsn::JumpIf { taken, otherwise, .. } => {
                meet(taken.into(), here);
                meet(otherwise.into(), here);
            }
            // What follows a return counts as if the return fell through, as in the kernel.
            _ => meet(0, here),
        }
    }
    Ok(())
}
