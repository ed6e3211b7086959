//! eBPF as data: instructions, helpers, objects, ELF files and targets.
//!
//! An [`Object`] is inert: programs, maps, relocations, source lines. It is made by code generation or read from an
//! ELF file, proved by the verifier and run by the kernel or the sandbox. This room makes no system call and
//! knows no IR.

mod codec;
mod elf;
mod features;
mod functions;
mod helper;
mod hook;
mod insn;
mod kinds;
mod lines;
mod object;
mod section;
mod setting;
mod target;
mod text;
mod variable;

pub use codec::{
    DecodeError, DecodeErrorKind, EncodeError, Field, SLOT_BYTES, SlotMap, decode, decode_slots, encode,
    encode_slots,
};
pub use elf::{ElfError, ElfReading, ElfWriteError, UNRESOLVED_RELOCATION};
pub use features::{Feature, Features, Probe, Unsupported};
pub use helper::{Access, Argument, DynptrUse, Helper, HelperInfo, ProgramSet, Returns, Signature};
pub use hook::{CpuScope, Hook, PerfSource, ProbePoint, Sampling, SyscallPhase, UserLocation};
pub use insn::{AluOp, AtomicOp, Callee, Endian, Imm64, Insn, JumpOp, MemSize, Operand, Reg, Width};
pub use kinds::{AttachType, MapFlags, MapType, ProgramType};
pub use object::{
    FuncInfo, LineInfo, Map, MapExtra, MapIdx, MapSlot, Object, Program, ProgramIdx, Relocation,
    RelocationTarget, SlotTarget,
};
pub use section::{SectionKind, has_xdp_fragments};
pub use setting::{KernelSetting, SettingError, SettingKind};
pub use target::{
    IsaLevel, SymbolError, SymbolSource, Target, TracepointField, TracepointFormat, TracepointSource,
    UserSymbol,
};
pub use text::{AssembleError, AssembleErrorKind, TextOptions, assemble, disassemble};
pub use variable::Variable;
