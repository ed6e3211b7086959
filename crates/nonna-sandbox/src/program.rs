//! A program made ready to run: relocations resolved, targets found, what cannot run refused. Both engines start from it.
//!
//! What every run relies on is checked here: control never leaves the instructions, and the frame pointer stays what it is. Memory
//! is the run's business; what a verifier proved of it comes along as facts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use nonna_bpf::{
    AtomicOp, Callee, DecodeError, Imm64, Insn, MapIdx, MemSize, Program, ProgramIdx, Reg, RelocationTarget,
    SlotMap, decode,
};
use nonna_verifier::{AccessFact, Facts, Given, Verified};

use crate::helpers::{HelperFn, Helpers};
use crate::interpreter::Ops;
use crate::maps::{DirectLookup, MapHandle, Maps};
use crate::memory::Values;

/// Function addresses that programs see: this plus the index of the instruction. No processor has an address there.
const FUNCTION_BASE: u64 = 0xbf00_0000_0000_0000;

/// Stands for the target of what leads nowhere; no program is so long.
const NO_TARGET: u32 = u32::MAX;

/// Why a program cannot run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareErrorKind {
    /// The bytes are no program.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// There is no instruction.
    #[error("the program is empty")]
    Empty,
    /// More instructions than 32 bits count.
    #[error("the program is too long")]
    TooLong,
    /// A jump, call or function address leads to no instruction.
    #[error("its target is no instruction of the program")]
    Target,
    /// The frame pointer is read-only.
    #[error("it writes r10, the frame pointer")]
    FramePointer,
    /// Control could run past the last instruction.
    #[error(
        "control would run past the end: the last instruction must be `exit` or a jump that is always taken"
    )]
    RunsPastEnd,
    /// The instruction means something that only a kernel or a loader has: a map, a kernel function.
    #[error("it needs a map, a kernel function or a kernel variable, and there is none")]
    Unsupported,
    /// It calls a kernel function that the sandbox does not have.
    #[error("it calls the kernel function `{0}`, which is not there")]
    KernelFunction(String),
    /// It takes the address of a kernel variable.
    #[error("it takes the address of the kernel's `{0}`, which is not there")]
    KernelSymbol(String),
    /// The map that it names was not made, or has no value to point into.
    #[error("its map {} was not made, or holds no value at this place", .0.0)]
    Map(MapIdx),
}

/// A program that cannot run here, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("instruction {insn}: {kind}")]
pub struct PrepareError {
    /// Index of the instruction, from 0.
    pub insn: usize,
    /// What is wrong with it.
    pub kind: PrepareErrorKind,
}

/// What a program is linked with.
#[derive(Debug, Clone, Copy)]
pub struct Links<'l> {
    /// The maps of the sandbox.
    pub maps: &'l Maps,
    /// Which of them each map of the object became, by index.
    pub handles: &'l [MapHandle],
    /// The helpers.
    pub helpers: &'l Helpers,
}

/// What a call instruction calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    /// A helper that there is.
    Helper(u32, HelperFn),
    /// A helper that the host may know.
    Host(u32),
    /// A kernel function.
    KernelFunction(HelperFn),
    /// A kernel function that need not be there, and is not.
    Absent,
    /// A function of the program: the target.
    Local,
    /// What a register holds: the address of a function, or a helper's number.
    Register,
}

/// The functions whose address a program takes: at which instructions they start, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct FunctionTable(Vec<u32>);

impl FunctionTable {
    /// The instruction at which the function starts that programs know by this address.
    pub(crate) fn function(&self, address: u64) -> Option<usize> {
        let index = u32::try_from(address.checked_sub(FUNCTION_BASE)?).ok()?;
        self.0.binary_search(&index).is_ok().then_some(index as usize)
    }

    /// The instructions, in order.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn entries(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|insn| *insn as usize)
    }

    /// Whether the program takes the address of none.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A program that is ready to run, in memory that every access is checked against, but where a verifier proved that no check
/// is needed.
#[derive(Debug)]
pub struct Prepared {
    /// Addresses and maps filled in as numbers.
    insns: Vec<Insn>,
    slots: SlotMap,
    functions: FunctionTable,
    /// By instruction, where jumps and local calls lead.
    targets: Vec<u32>,
    /// Kernel functions by instruction; `None` where one may be absent.
    kernel_functions: BTreeMap<usize, Option<HelperFn>>,
    helpers: Helpers,
    facts: Facts,
    handles: Vec<MapHandle>,
    /// By instruction, lookups that need no helper.
    lookups: BTreeMap<usize, DirectLookup>,
    /// Keeps the values there whose addresses stand in the instructions.
    values: Values,
    /// What the interpreter makes of it when it is first asked to.
    ops: OnceLock<Ops>,
}

impl Prepared {
    /// Prepares encoded instructions that nobody has proved and that refer to nothing but helpers.
    ///
    /// # Errors
    ///
    /// As [`Prepared::unproved`], and where the bytes are no instructions.
    pub fn unproved_bytes(bytes: &[u8], helpers: &Helpers) -> Result<Self, PrepareError> {
        let insns = decode(bytes).map_err(|error| PrepareError { insn: error.slot, kind: error.into() })?;
        Prepared::unproved(&insns, helpers)
    }

    /// Prepares instructions that nobody has proved and that refer to nothing but helpers.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] at the first instruction that cannot run here.
    pub fn unproved(insns: &[Insn], helpers: &Helpers) -> Result<Self, PrepareError> {
        let facts = Facts::unproved(insns.len());
        let mut prepared = Prepared::new(insns.to_vec(), helpers, facts);
        prepared.check()?;
        Ok(prepared)
    }

    /// Prepares a program that nobody has proved.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] at the first instruction that cannot run here.
    pub fn unproved_program(program: &Program, links: Links<'_>) -> Result<Self, PrepareError> {
        let facts = Facts::unproved(program.insns.len());
        Prepared::linked(program, facts, links)
    }

    /// Prepares a verified program; engines leave out the checks that its proof makes needless.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] at the first instruction that cannot run here: being safe, it may still want what only a kernel has.
    ///
    /// # Panics
    ///
    /// If the object has no such program.
    pub fn verified(
        verified: &Verified,
        program: ProgramIdx,
        links: Links<'_>,
    ) -> Result<Self, PrepareError> {
        let proved = &verified.object().programs[program.0 as usize];
        let facts = verified.facts(program).cloned();
        let facts = facts.unwrap_or_else(|| Facts::unproved(proved.insns.len()));
        Prepared::linked(proved, facts, links)
    }

    fn new(insns: Vec<Insn>, helpers: &Helpers, facts: Facts) -> Self {
        Prepared {
            slots: SlotMap::new(&insns),
            functions: FunctionTable::default(),
            targets: vec![NO_TARGET; insns.len()],
            insns,
            kernel_functions: BTreeMap::new(),
            helpers: helpers.clone(),
            facts,
            handles: Vec::new(),
            lookups: BTreeMap::new(),
            values: Values::default(),
            ops: OnceLock::new(),
        }
    }

    fn linked(program: &Program, facts: Facts, links: Links<'_>) -> Result<Self, PrepareError> {
        let mut prepared = Prepared::new(program.insns.clone(), links.helpers, facts);
        prepared.handles = links.handles.to_vec();
        if !links.handles.is_empty() {
            prepared.values = links.maps.hold();
        }
        prepared.close_dead_code();
        for relocation in &program.relocations {
            let insn = prepared.slots.index(relocation.slot);
            let insn = insn.ok_or(PrepareError { insn: 0, kind: PrepareErrorKind::Target })?;
            if prepared.access(insn) == AccessFact::Unreached {
                continue;
            }
            prepared.link(insn, &relocation.target, links).map_err(|kind| PrepareError { insn, kind })?;
        }
        prepared.check()?;
        prepared.find_lookups(links.maps);
        Ok(prepared)
    }

    /// Finds the lookups that machine code can do itself: those of which a proof says which map they are in and that the key is there, as
    /// long as nobody has put another helper in the place of the usual one.
    fn find_lookups(&mut self, maps: &Maps) {
        if !self.ends() {
            return;
        }
        for (index, insn) in self.insns.iter().enumerate() {
            let Insn::Call(Callee::Helper(number)) = insn else { continue };
            let found = self.helpers.get(*number).zip(self.map(index));
            if let Some((function, map)) = found
                && Helpers::is_lookup(*number, function)
                && let lookup @ (DirectLookup::Array { .. } | DirectLookup::Table(_)) =
                    maps.direct_lookup(map)
            {
                self.lookups.insert(index, lookup);
            }
        }
    }

    /// Puts jumps to themselves where no run comes, as the kernel does (`sanitize_dead_code`): what stands there was not looked at by
    /// the verifier and may be anything.
    fn close_dead_code(&mut self) {
        for (index, insn) in self.insns.iter_mut().enumerate() {
            if self.facts.access(index) == AccessFact::Unreached {
                *insn = match insn {
                    // It must take as many slots as before.
                    Insn::LoadImm64 { .. } => Insn::LoadImm64 { dst: Reg::R0, value: Imm64::Value(0) },
                    _ => Insn::Goto { offset: -1 },
                };
            }
        }
    }

    /// Fills in what a relocation names.
    fn link(
        &mut self,
        index: usize,
        target: &RelocationTarget,
        links: Links<'_>,
    ) -> Result<(), PrepareErrorKind> {
        let handle =
            |map: MapIdx| links.handles.get(map.0 as usize).copied().ok_or(PrepareErrorKind::Map(map));
        let number = match target {
            RelocationTarget::Map(map) => handle(*map)?.guest(),
            RelocationTarget::MapValue { map, offset } => {
                let address = links.maps.value_address(handle(*map)?, *offset);
                address.ok_or(PrepareErrorKind::Map(*map))?
            }
            RelocationTarget::Kfunc { name, weak } => {
                let function = links.helpers.kernel_function(name);
                if function.is_none() && !weak {
                    return Err(PrepareErrorKind::KernelFunction(name.clone()));
                }
                self.kernel_functions.insert(index, function);
                return Ok(());
            }
            RelocationTarget::KernelSymbol { weak: true, .. } => 0,
            RelocationTarget::KernelSymbol { name, .. } => {
                return Err(PrepareErrorKind::KernelSymbol(name.clone()));
            }
        };
        match &mut self.insns[index] {
            Insn::LoadImm64 { value, .. } => *value = Imm64::Value(number),
            _ => return Err(PrepareErrorKind::Unsupported),
        }
        Ok(())
    }

    /// Checks every instruction, and fills in addresses of functions.
    fn check(&mut self) -> Result<(), PrepareError> {
        let at = |insn, kind| PrepareError { insn, kind };
        let last = self.insns.last().ok_or(at(0, PrepareErrorKind::Empty))?;
        if i32::try_from(self.slots.n_slots()).is_err() {
            return Err(at(0, PrepareErrorKind::TooLong));
        }
        if !matches!(last, Insn::Exit | Insn::Goto { .. } | Insn::GotoLong { .. }) {
            return Err(at(self.insns.len() - 1, PrepareErrorKind::RunsPastEnd));
        }
        for index in 0..self.insns.len() {
            self.check_insn(index).map_err(|kind| at(index, kind))?;
        }
        self.functions.0.sort_unstable();
        self.functions.0.dedup();
        Ok(())
    }

    fn check_insn(&mut self, index: usize) -> Result<(), PrepareErrorKind> {
        let insn = self.insns[index];
        if written(&insn) == Some(Reg::R10) {
            return Err(PrepareErrorKind::FramePointer);
        }
        let target = match insn.local_offset() {
            Some(offset) => Some(self.slots.target(index, offset).ok_or(PrepareErrorKind::Target)?),
            None => None,
        };
        if let Some(target) = target {
            self.targets[index] = target as u32;
        }
        match (insn, target) {
            (Insn::LoadImm64 { dst, value: Imm64::Function(_) }, Some(entry)) => {
                self.functions.0.push(entry as u32);
                let value = Imm64::Value(FUNCTION_BASE + entry as u64);
                self.insns[index] = Insn::LoadImm64 { dst, value };
            }
            (Insn::LoadImm64 { value: Imm64::Value(_), .. }, _) => {}
            (Insn::LoadImm64 { .. }, _) => return Err(PrepareErrorKind::Unsupported),
            (Insn::Atomic { size: MemSize::B | MemSize::H, .. }, _)
            | (Insn::LoadPacket { size: MemSize::DW, .. }, _) => return Err(PrepareErrorKind::Unsupported),
            (Insn::Call(Callee::Kfunc { .. }), _) if !self.kernel_functions.contains_key(&index) => {
                return Err(PrepareErrorKind::Unsupported);
            }
            _ => {}
        }
        Ok(())
    }

    /// The instructions, with addresses and maps filled in as numbers.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The instruction that a jump or local call at `insn` leads to.
    ///
    /// # Panics
    ///
    /// If it leads nowhere: it is neither.
    #[inline]
    pub fn target(&self, insn: usize) -> usize {
        let target = self.targets[insn];
        assert!(target != NO_TARGET, "the instruction has a target");
        target as usize
    }

    /// What the call at `insn` calls, if it is one.
    pub(crate) fn call(&self, insn: usize) -> Option<Call> {
        let Insn::Call(callee) = self.insns[insn] else { return None };
        Some(match callee {
            Callee::Helper(number) => match self.helpers.get(number) {
                Some(function) => Call::Helper(number, function),
                None => Call::Host(number),
            },
            Callee::Kfunc { .. } => match self.kernel_functions.get(&insn) {
                Some(Some(function)) => Call::KernelFunction(*function),
                _ => Call::Absent,
            },
            Callee::Local(_) => Call::Local,
            Callee::Register(_) => Call::Register,
        })
    }

    /// How the lookup at `insn` is done without its helper, if it can be.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn lookup(&self, insn: usize) -> Option<DirectLookup> {
        self.lookups.get(&insn).copied()
    }

    /// The values whose addresses stand in the instructions.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The helper of this number, for calls by register.
    pub(crate) fn helper(&self, number: u32) -> Option<HelperFn> {
        self.helpers.get(number)
    }

    /// What was proved of the access at `insn`.
    pub fn access(&self, insn: usize) -> AccessFact {
        self.facts.access(insn)
    }

    /// The same of every instruction.
    pub(crate) fn accesses(&self) -> &[AccessFact] {
        self.facts.accesses()
    }

    /// The map that the helper call at `insn` works on, where it is the same in every run.
    pub fn map(&self, insn: usize) -> Option<MapHandle> {
        self.handles.get(self.facts.map(insn)?.0 as usize).copied()
    }

    /// Whether it was proved that every run ends by itself.
    pub fn ends(&self) -> bool {
        self.facts.ends()
    }

    /// Whether a run may read bytes of its frames that it has not written.
    pub(crate) fn needs_empty_frames(&self) -> bool {
        self.facts.needs_empty_frames()
    }

    /// What must hold of the arguments that it is called with.
    pub fn given(&self) -> Given {
        self.facts.given()
    }

    /// The instruction at which the function starts that programs know by this address.
    pub(crate) fn function(&self, address: u64) -> Option<usize> {
        self.functions.function(address)
    }

    /// The functions whose address the program takes.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn functions(&self) -> &FunctionTable {
        &self.functions
    }

    /// The helpers that it was linked with.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn helpers(&self) -> &Helpers {
        &self.helpers
    }

    /// The same program, every instruction of which the interpreter runs for itself.
    #[cfg(test)]
    pub(crate) fn one_by_one(mut self) -> Self {
        self.ops = OnceLock::from(Ops::one_by_one(&self));
        self
    }

    /// What the interpreter runs.
    pub(crate) fn ops(&self) -> &Ops {
        self.ops.get_or_init(|| Ops::new(self))
    }
}

/// The register that an instruction names as its result.
fn written(insn: &Insn) -> Option<Reg> {
    match *insn {
        Insn::Alu { dst, .. }
        | Insn::MovSx { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::Endian { dst, .. }
        | Insn::LoadImm64 { dst, .. }
        | Insn::Load { dst, .. } => Some(dst),
        Insn::Atomic { op, src, .. } => match op {
            AtomicOp::Add { fetch }
            | AtomicOp::Or { fetch }
            | AtomicOp::And { fetch }
            | AtomicOp::Xor { fetch } => fetch.then_some(src),
            AtomicOp::Exchange => Some(src),
            AtomicOp::CompareExchange => None,
        },
        _ => None,
    }
}
