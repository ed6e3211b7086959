//! Programs that need nothing but memory, proved and unproved.

use nonna_bpf::{Hook, Insn, Object, Program, ProgramIdx, ProgramType, TextOptions, disassemble};
#[cfg(target_arch = "x86_64")]
use nonna_sandbox::jit::{Code, CodeMemory};
use nonna_sandbox::{
    Budget, Context, Engine, Fault, Finished, Helpers, Links, Maps, NoHelpers, Prepared, Regions, Run, Stack,
};
use nonna_verifier::{Environment, Rules, verify};

use super::{Broken, Tried};

/// Accepted programs that may take longer are not run.
const MAX_INSTRUCTIONS: u64 = 2_000_000;
/// What programs that nobody proved may take.
const BUDGET: u64 = 20_000;

/// An object with one program of these instructions and nothing else.
pub fn object(insns: Vec<Insn>) -> Object {
    let program = Program {
        name: "random".to_owned(),
        section: "socket".to_owned(),
        program_type: ProgramType::SocketFilter,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("socket".to_owned()),
        sleepable: false,
        insns,
        relocations: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    Object { license: "GPL".to_owned(), maps: Vec::new(), programs: vec![program], btf: Vec::new() }
}

/// What a run gave, and the memory after it.
type Seen = (Result<Finished, Fault>, Vec<u8>);

/// The memory of all runs of one program: it never moves, so that addresses in results are alike.
struct Place {
    stack: Stack,
    memory: Vec<u8>,
}

impl Place {
    fn run(&mut self, engine: &dyn Engine, memory: &[u8], instructions: u64) -> Seen {
        self.memory.copy_from_slice(memory);
        let (mut maps, mut context, mut host) = (Maps::new(1), Context::default(), NoHelpers);
        let mut regions = Regions::new(&mut self.stack);
        let length = memory.len() as u64;
        let address = if memory.is_empty() { 0 } else { regions.lend(&mut self.memory) };
        let mut view = Run::new(&mut regions, &mut maps, &mut context, &mut host);
        let budget = Budget { instructions, time: None };
        let finished = view.execute(engine, [address, length, 0, 0, 0], budget);
        (finished, self.memory.clone())
    }
}

#[cfg(target_arch = "x86_64")]
thread_local! {
    /// Every program's machine code lies where another's was: what is left of that must not matter.
    static MEMORY: CodeMemory = CodeMemory::new();
}

/// Judges a program under the plain rules for memory of this length, and runs it on each of the memories.
///
/// # Errors
///
/// [`Broken`] where an accepted program faults or takes more instructions than was proved, or where two engines differ.
///
/// # Panics
///
/// If the memories are not all of the same length, or the system has no memory for machine code.
pub fn try_plain(insns: &[Insn], memories: &[Vec<u8>]) -> Result<Tried, Broken> {
    let helpers = Helpers::none();
    let Ok(unproved) = Prepared::unproved(insns, &helpers) else { return Ok(Tried::Nothing) };
    let memory_bytes = memories.first().map_or(0, |memory| memory.len() as u64);
    let environment = Environment { rules: Rules::Plain { memory_bytes }, ..Environment::default() };
    let verified = verify(object(insns.to_vec()), &environment).ok();
    let broken = |what: String| Broken(format!("{what}\n{}", disassemble(insns, TextOptions::default())));
    let mut place = Place { stack: Stack::new(), memory: vec![0; memory_bytes as usize] };
    let most = verified.as_ref().and_then(|verified| verified.facts(ProgramIdx(0))?.max_instructions());
    if most.is_some_and(|most| most > MAX_INSTRUCTIONS) {
        return Ok(Tried::TooLong);
    }
    #[cfg(target_arch = "x86_64")]
    let checked_code = Code::compile(&unproved).expect("there is memory for code");
    let proved = match &verified {
        Some(verified) => {
            let maps = Maps::new(1);
            let links = Links { maps: &maps, handles: &[], helpers: &helpers };
            Some(
                Prepared::verified(verified, ProgramIdx(0), links)
                    .map_err(|error| broken(error.to_string()))?,
            )
        }
        None => None,
    };
    #[cfg(target_arch = "x86_64")]
    let proved_code = proved.as_ref().map(|proved| {
        MEMORY.with(|memory| Code::compile_in(proved, memory)).expect("there is memory for code")
    });
    for memory in memories {
        // The promise is exact: not one instruction more than was proved.
        let judged = place.run(&unproved, memory, most.unwrap_or(BUDGET));
        if let (Some(_), Err(fault)) = (&verified, &judged.0) {
            return Err(broken(format!("accepted, and then {fault}, with {memory:02x?}")));
        }
        // A run may exceed its budget by the piece of code that it is in when the budget ends.
        if let (Some(most), Ok(finished)) = (most, &judged.0)
            && finished.instructions > most
        {
            let taken = finished.instructions;
            return Err(broken(format!("{taken} instructions, and {most} were proved, with {memory:02x?}")));
        }
        let same = |name: &str, seen: Seen, counted: bool| {
            let is_same = match (&seen.0, &judged.0) {
                (Ok(seen), Ok(judged)) if !counted => seen.result == judged.result,
                (seen, judged) => seen == judged,
            };
            if is_same && seen.1 == judged.1 {
                return Ok(());
            }
            Err(broken(format!("{name}: {seen:02x?}, but interpreted {judged:02x?}, with {memory:02x?}")))
        };
        #[cfg(target_arch = "x86_64")]
        same(
            "machine code, checked",
            place.run(&checked_code, memory, BUDGET.max(most.unwrap_or(0))),
            most.is_none(),
        )?;
        if let Some(proved) = &proved {
            same("interpreted as proved", place.run(proved, memory, most.unwrap_or(BUDGET)), true)?;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(code) = &proved_code {
            same("machine code", place.run(code, memory, u64::MAX), false)?;
        }
    }
    Ok(if proved.is_some() { Tried::Ran } else { Tried::Refused })
}
