//! Small programs and objects for the tests on the running kernel.

use nonna_bpf::{
    AttachType, Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramType,
    Relocation, RelocationTarget, SlotMap, assemble,
};
use nonna_kernel::{Kernel, KernelMap, Loaded};
use nonna_verifier::{Verified, verify_structure};

/// Goes on only in this process, which is how others stay out of a test. Keeps the context in `r6`.
pub fn only_here() -> String {
    format!(
        "r6 = r1\ncall bpf_get_current_pid_tgid#14\nr0 >>= 32\nif r0 == {} goto here\nr0 = 0\nexit\nhere: ",
        std::process::id()
    )
}

/// Adds one to the 8-byte value at key 0 of array `map`.
pub fn count_in(map: u32) -> String {
    format!(
        "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[idx:{map}]\ncall bpf_map_lookup_elem#1\n\
         if r0 == 0 goto +2\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\n"
    )
}

/// Counts this process's events in map 0 and returns `value`.
pub fn counting(value: i32) -> String {
    format!("{}{}r0 = {value}\nexit", only_here(), count_in(0))
}

/// A program from text; `map[idx:N]` stands for map N of the object.
pub fn program(name: &str, program_type: ProgramType, hook: Hook, text: &str) -> Program {
    let mut insns = assemble(text).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"));
    let slots = SlotMap::new(&insns);
    let mut relocations = Vec::new();
    for (i, insn) in insns.iter_mut().enumerate() {
        if let Insn::LoadImm64 { value, .. } = insn
            && let Imm64::MapIndex(map) = *value
        {
            *value = Imm64::MapFd(0);
            let target = RelocationTarget::Map(MapIdx(map.cast_unsigned()));
            relocations.push(Relocation { slot: slots.slot(i), target });
        }
    }
    Program {
        name: name.to_owned(),
        section: String::new(),
        program_type,
        attach_type: None,
        attach_target: None,
        hook,
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

/// A program with an attach type and a target in the kernel's types.
pub fn typed(program: Program, attach_type: AttachType, target: Option<&str>) -> Program {
    Program { attach_type: Some(attach_type), attach_target: target.map(str::to_owned), ..program }
}

pub fn raw_tracepoint(event: &str, text: &str) -> Program {
    let hook = Hook::RawTracepoint { event: event.to_owned() };
    program(event, ProgramType::RawTracepoint, hook, text)
}

pub fn typed_tracepoint(event: &str, text: &str) -> Program {
    let hook = Hook::RawTracepoint { event: event.to_owned() };
    typed(program(event, ProgramType::Tracing, hook, text), AttachType::TraceRawTp, Some(event))
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

pub fn verified(maps: Vec<Map>, programs: Vec<Program>) -> Verified {
    let object = Object { license: "GPL".to_owned(), maps, programs, btf: Vec::new() };
    verify_structure(object).unwrap_or_else(|rejection| panic!("{:?}", rejection.diagnostics))
}

pub fn load(maps: Vec<Map>, programs: Vec<Program>) -> Loaded {
    Kernel::new().load(&verified(maps, programs)).unwrap_or_else(|error| panic!("{error:?}"))
}

/// The value of a counter map.
pub fn count_of(map: &KernelMap) -> u64 {
    let value = map.get(&0_u32.to_ne_bytes()).expect("it can be read").expect("key 0 exists");
    u64::from_ne_bytes(value.try_into().expect("8 bytes"))
}

/// A system call that nothing else of this process makes; its number is [`GETPPID`].
pub fn getppid() {
    let _ = rustix::process::getppid();
}

/// The number of getppid(2).
pub const GETPPID: u64 = if cfg!(target_arch = "x86_64") { 110 } else { 173 };

/// This process's cgroup in the unified hierarchy.
pub fn own_cgroup() -> std::path::PathBuf {
    let text = std::fs::read_to_string("/proc/self/cgroup").expect("procfs");
    let path = text.lines().find_map(|line| line.strip_prefix("0::/")).expect("a unified cgroup");
    nonna_kernel::cgroup_root().expect("a unified hierarchy").join(path)
}
