//! Small programs and objects for the tests on the running kernel.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test crate uses the parts that it needs; tests may unwrap"
)]

use nonna_bpf::{
    AluOp, AttachType, Callee, Hook, Imm64, Insn, JumpOp, Map, MapExtra, MapFlags, MapIdx, MapType, MemSize,
    Object, Operand, Program, ProgramType, Reg, Relocation, RelocationTarget, SlotMap, Width,
};

/// `bpf_map_lookup_elem`.
pub const MAP_LOOKUP: u32 = 1;
/// `bpf_map_update_elem`.
pub const MAP_UPDATE: u32 = 2;
/// `bpf_get_current_pid_tgid`.
pub const PID_TGID: u32 = 14;
/// `bpf_ringbuf_output`.
pub const RINGBUF_OUTPUT: u32 = 130;
/// `bpf_get_attach_cookie`.
pub const ATTACH_COOKIE: u32 = 174;

/// Instructions in the making; maps are named by index and relocated.
#[derive(Default)]
pub struct Asm {
    pub insns: Vec<Insn>,
    maps: Vec<(usize, MapIdx)>,
}

impl Asm {
    pub fn push(&mut self, insn: Insn) -> &mut Self {
        self.insns.push(insn);
        self
    }

    pub fn mov(&mut self, dst: Reg, src: impl Into<Src>) -> &mut Self {
        self.alu(AluOp::Mov, dst, src)
    }

    pub fn alu(&mut self, op: AluOp, dst: Reg, src: impl Into<Src>) -> &mut Self {
        self.push(Insn::Alu { width: Width::W64, op, dst, src: src.into().0 })
    }

    pub fn load(&mut self, size: MemSize, dst: Reg, base: Reg, offset: i16) -> &mut Self {
        self.push(Insn::Load { size, sign_extend: false, dst, base, offset })
    }

    pub fn store(&mut self, size: MemSize, base: Reg, offset: i16, src: impl Into<Src>) -> &mut Self {
        self.push(Insn::Store { size, base, offset, src: src.into().0 })
    }

    pub fn jump(&mut self, op: JumpOp, dst: Reg, src: impl Into<Src>, offset: i16) -> &mut Self {
        self.push(Insn::Jump { width: Width::W64, op, dst, src: src.into().0, offset })
    }

    pub fn call(&mut self, helper: u32) -> &mut Self {
        self.push(Insn::Call(Callee::Helper(helper)))
    }

    pub fn map(&mut self, dst: Reg, map: u32) -> &mut Self {
        self.maps.push((self.insns.len(), MapIdx(map)));
        self.push(Insn::LoadImm64 { dst, value: Imm64::MapFd(0) })
    }

    pub fn exit(&mut self, value: i32) -> &mut Self {
        self.mov(Reg::R0, value).push(Insn::Exit)
    }

    /// `if (current pid != pid) return 0`: other processes of the machine stay out of a test.
    pub fn only_this_process(&mut self) -> &mut Self {
        let pid = i32::try_from(std::process::id()).unwrap();
        self.call(PID_TGID).alu(AluOp::Rsh, Reg::R0, 32).jump(JumpOp::Eq, Reg::R0, pid, 2).exit(0)
    }

    /// Adds one to the 8-byte value at key 0 of an array.
    pub fn count_in(&mut self, map: u32) -> &mut Self {
        self.store(MemSize::W, Reg::R10, -4, 0)
            .mov(Reg::R2, Reg::R10)
            .alu(AluOp::Add, Reg::R2, -4)
            .map(Reg::R1, map)
            .call(MAP_LOOKUP)
            .jump(JumpOp::Eq, Reg::R0, 0, 2)
            .mov(Reg::R1, 1)
            .push(Insn::Atomic {
                size: MemSize::DW,
                op: nonna_bpf::AtomicOp::Add { fetch: false },
                base: Reg::R0,
                offset: 0,
                src: Reg::R1,
            })
    }

    pub fn program(&self, name: &str, program_type: ProgramType, hook: Hook) -> Program {
        let slots = SlotMap::new(&self.insns);
        let relocations = self.maps.iter();
        let relocations = relocations
            .map(|(at, map)| Relocation { slot: slots.slot(*at), target: RelocationTarget::Map(*map) })
            .collect();
        Program {
            name: name.to_owned(),
            section: String::new(),
            program_type,
            attach_type: None,
            attach_target: None,
            hook,
            sleepable: false,
            insns: self.insns.clone(),
            relocations,
            func_info: Vec::new(),
            line_info: Vec::new(),
            locations: Vec::new(),
        }
    }
}

/// A register or a constant.
pub struct Src(Operand);

impl From<Reg> for Src {
    fn from(reg: Reg) -> Self {
        Src(Operand::Reg(reg))
    }
}

impl From<i32> for Src {
    fn from(imm: i32) -> Self {
        Src(Operand::Imm(imm))
    }
}

pub fn map(name: &str, map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Map {
    Map {
        name: name.to_owned(),
        map_type,
        key_size,
        value_size,
        max_entries,
        flags: MapFlags::empty(),
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

pub fn counter() -> Map {
    map("count", MapType::Array, 4, 8, 1)
}

pub fn ring(bytes: u32) -> Map {
    map("events", MapType::Ringbuf, 0, 0, bytes)
}

pub fn object(maps: Vec<Map>, programs: Vec<Program>) -> Object {
    Object { license: "GPL".to_owned(), maps, programs, btf: Vec::new() }
}

pub fn verified(maps: Vec<Map>, programs: Vec<Program>) -> nonna_verifier::Verified {
    nonna_verifier::verify(object(maps, programs)).unwrap()
}

pub fn raw_tracepoint(event: &str) -> Hook {
    Hook::RawTracepoint { event: event.to_owned() }
}

/// The same program as a typed tracepoint.
pub fn typed(mut program: Program, event: &str) -> Program {
    program.program_type = ProgramType::Tracing;
    program.attach_type = Some(AttachType::TraceRawTp);
    program.attach_target = Some(event.to_owned());
    program
}

/// Sends 16 bytes to ring 0 for each system call of this process: its number and a sequence number out of array 1.
pub fn send_system_calls(size_bytes: i32) -> Asm {
    let mut asm = Asm::default();
    asm.mov(Reg::R6, Reg::R1)
        .only_this_process()
        .load(MemSize::DW, Reg::R1, Reg::R6, 8)
        .store(MemSize::DW, Reg::R10, -16, Reg::R1)
        .store(MemSize::DW, Reg::R10, -8, 0)
        .mov(Reg::R2, Reg::R10)
        .alu(AluOp::Add, Reg::R2, -16)
        .mov(Reg::R3, size_bytes)
        .mov(Reg::R4, 0)
        .map(Reg::R1, 0)
        .call(RINGBUF_OUTPUT)
        .exit(0);
    asm
}

/// The value of a counter map.
pub fn count_of(map: &nonna_kernel::KernelMap) -> u64 {
    let value = map.get(&0_u32.to_ne_bytes()).unwrap().unwrap();
    u64::from_ne_bytes(value.try_into().unwrap())
}

/// A system call that nothing else of this process makes.
pub fn getppid() {
    let _ = rustix::process::getppid();
}
