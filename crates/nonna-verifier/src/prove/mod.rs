//! The proof: every path of a program, with what is known on it, against the rules of its kind.
//!
//! [`prove`] walks a program from its entry (`explore`), instruction by instruction (`step`, `memory`, `calls`), and either yields the
//! facts that engines use or the first broken rule. Loops are summed up (`summary`); where no summary serves, up to 64 rounds are
//! walked one by one. It trusts the structure that `structure` has checked, and nothing else.

mod arithmetic;
mod branch;
mod calls;
mod context_access;
pub(crate) mod demand;
mod end;
mod explore;
mod failure;
mod fields;
pub(crate) mod flow;
mod hook;
mod joins;
mod links;
mod memory;
mod packet;
mod place;
mod seen;
mod special;
mod stack;
pub(crate) mod state;
mod step;
mod summary;
mod typed;
pub(crate) mod value;
mod walk;

use std::rc::Rc;

use nonna_bpf::{Imm64, Insn, MapIdx, Object, Program, RelocationTarget, SlotMap};
use nonna_btf::Btf;
use rustc_hash::FxHashMap;
use smallvec::smallvec;

use crate::environment::{Environment, Rules};
use crate::facts::{AccessFact, Facts, Given};
use crate::functions::Functions;
use crate::slugs;

use demand::Demand;
use explore::{Node, Path, Rounds};
pub(crate) use failure::Failure;
use fields::Field;
use flow::Flow;
use links::Terms;
use seen::Seen;
use state::{Frame, Role, State};
use step::Callback;
use summary::{Instance, InstanceIdx};
use value::{Id, Kind, Pointer, Source, Value};

/// Walks one program.
pub(crate) struct Prover<'a> {
    object: &'a Object,
    program_index: usize,
    insns: &'a [Insn],
    environment: &'a Environment,
    kernel: Option<&'a Btf>,
    own_types: Option<&'a Btf>,
    slots: SlotMap,
    functions: Functions,
    flow: Flow,
    demand: Demand,
    /// What the loader fills in, by instruction.
    relocations: FxHashMap<usize, RelocationTarget>,
    special_fields: FxHashMap<u32, Rc<Vec<Field>>>,
    /// What stands at places of kernel structures that were looked at.
    walked: FxHashMap<walk::Place, Option<walk::Found>>,
    facts: Vec<AccessFact>,
    /// Which kinds of pointers each instruction has met; 0 for none.
    classes: Vec<u8>,
    /// Maps of calls: unknown yet, one map, or several.
    call_maps: Vec<Option<Option<MapIdx>>>,
    nodes: Vec<Node>,
    next_merges: u32,
    instances: Vec<Instance>,
    callbacks: FxHashMap<InstanceIdx, Callback>,
    /// Functions that helpers call later, with their arguments.
    later: Vec<(usize, [Value; 5])>,
    seen: Seen,
    fresh: Id,
    terms: Terms,
    steps: u64,
    /// Steps before the program counts as too complex.
    max_steps: u64,
    /// Instructions judged, by the loops that they are in.
    visits: FxHashMap<u64, (Vec<u32>, u64)>,
    rounds: FxHashMap<u32, Rounds>,
    /// How many loops are being summed up at the moment.
    ascending: u32,
    /// What numbers were compared with in the round that is walked at the moment.
    ends: Vec<u64>,
    /// Rounds of each loop that are walked one by one first.
    rounds_first: u32,
    /// A global function is proved by itself.
    proves_global: bool,
}

/// The types that an object brings, if it brings some that can be read.
pub(crate) fn own_types(object: &Object) -> Option<Btf> {
    if object.btf.is_empty() { None } else { Btf::parse(object.btf.clone()).ok() }
}

/// Proves a program whose structure is sound.
pub(crate) fn prove(
    object: &Object,
    own_types: Option<&Btf>,
    program: usize,
    environment: &Environment,
) -> Result<Facts, Failure> {
    prove_by(object, own_types, program, environment, u64::MAX)
}

/// Proves the one program that is wanted; one that takes more steps counts as too complex.
pub(crate) fn prove_within(
    object: &Object,
    program: usize,
    environment: &Environment,
    max_steps: u64,
) -> Result<Facts, Failure> {
    prove_by(object, own_types(object).as_ref(), program, environment, max_steps)
}

fn prove_by(
    object: &Object,
    own_types: Option<&Btf>,
    program: usize,
    environment: &Environment,
    max_steps: u64,
) -> Result<Facts, Failure> {
    let mut refused = None;
    for rounds_first in ROUNDS_FIRST {
        let mut prover = Prover::new(object, own_types, program, environment);
        prover.rounds_first = rounds_first;
        prover.max_steps =
            max_steps.min(if rounds_first > 0 { explore::MAX_STEPS_BY_ROUNDS } else { explore::MAX_STEPS });
        match prover.walk_all() {
            Ok(()) => return Ok(prover.into_facts()),
            // What was found on single rounds is nearest to the truth, unless there were too many of them.
            Err(failure) if failure.slug.name == slugs::TOO_COMPLEX.name && refused.is_some() => {}
            Err(failure) => refused = Some(failure),
        }
        if prover.flow.loops.is_empty() {
            break;
        }
    }
    Err(refused.expect("the first walk left the loop with a failure"))
}

/// Instructions of one run beyond which a program counts as endless: some hours of a processor's time.
const MAX_INSTRUCTIONS: u64 = 1 << 44;

/// Rounds of each loop that are walked one by one before the rest is summed up, one attempt after the other: most loops need
/// none, some set up in their first rounds what the others rely on, and few are only understood round by round.
const ROUNDS_FIRST: [u32; 3] = [0, 2, 64];

impl<'a> Prover<'a> {
    fn new(
        object: &'a Object,
        own_types: Option<&'a Btf>,
        program_index: usize,
        environment: &'a Environment,
    ) -> Self {
        let program: &Program = &object.programs[program_index];
        let insns = &program.insns;
        let slots = SlotMap::new(insns);
        let functions = Functions::find(insns, &slots);
        let flow = Flow::new(insns, &slots, &functions);
        let demand = Demand::new(program, &flow, &functions, &slots);
        let relocations = program
            .relocations
            .iter()
            .filter_map(|relocation| Some((slots.index(relocation.slot)?, relocation.target.clone())))
            .collect();
        Prover {
            object,
            program_index,
            insns,
            environment,
            kernel: environment.kernel_types.as_deref(),
            own_types,
            functions,
            flow,
            demand,
            slots,
            relocations,
            special_fields: FxHashMap::default(),
            walked: FxHashMap::default(),
            facts: vec![AccessFact::Unreached; insns.len()],
            classes: vec![0; insns.len()],
            call_maps: vec![None; insns.len()],
            nodes: Vec::new(),
            next_merges: 0,
            instances: Vec::new(),
            callbacks: FxHashMap::default(),
            later: Vec::new(),
            seen: Seen::default(),
            fresh: 0,
            terms: Terms::default(),
            steps: 0,
            max_steps: explore::MAX_STEPS,
            visits: FxHashMap::default(),
            rounds: FxHashMap::default(),
            ascending: 0,
            ends: Vec::new(),
            rounds_first: 0,
            proves_global: false,
        }
    }

    /// What a program starts with.
    fn entry_state(&mut self) -> State {
        let mut frame = Frame::new(usize::MAX, Role::Entry);
        match self.environment.rules {
            Rules::Kernel => frame.registers[1] = Value::Pointer(Pointer::new(Kind::Context)),
            Rules::Plain { memory_bytes } => {
                let bytes = u32::try_from(memory_bytes).unwrap_or(u32::MAX);
                frame.registers[1] = if bytes == 0 {
                    Value::constant(0)
                } else {
                    Value::Pointer(Pointer::new(Kind::Memory {
                        bytes,
                        writable: true,
                        source: Source::Plain,
                    }))
                };
                frame.registers[2] = Value::constant(memory_bytes);
            }
        }
        State {
            frames: smallvec![Rc::new(frame)],
            references: Vec::new(),
            lock: None,
            rcu: 0,
            preempt_off: 0,
            may_goto_rounds: 0,
        }
    }

    /// Walks the program, then its global functions and the functions that helpers call later.
    fn walk_all(&mut self) -> Result<(), Failure> {
        self.check_hook()?;
        let entry = self.entry_state();
        self.walk_from(0, entry)?;
        for function in 1..self.functions.len() {
            let first = self.functions.range(function).start;
            let is_callback = self.insns.iter().enumerate().any(|(index, insn)| {
                matches!(insn, Insn::LoadImm64 { value: Imm64::Function(_), .. })
                    && self.target(index) == first
            });
            if let Some(parameters) = self.global_function(function, first)?
                && !is_callback
            {
                let state = self.global_state(&parameters);
                self.proves_global = true;
                let walked = self.walk_from(first, state);
                self.proves_global = false;
                walked?;
            }
        }
        let mut walked = Vec::new();
        while let Some((first, arguments)) = self.later.pop() {
            if walked.contains(&first) {
                continue;
            }
            walked.push(first);
            let mut state = self.entry_state();
            let mut frame = Frame::new(usize::MAX, Role::Callback { once: true });
            frame.registers[1..=5].copy_from_slice(&arguments);
            state.frames.push(Rc::new(frame));
            self.walk_from(first, state)?;
        }
        if self.most_instructions(|rounds| rounds.counted.max(1)) > MAX_INSTRUCTIONS {
            let message = "a run could take more instructions than anybody would wait for";
            return Err(Failure::new(&slugs::ENDLESS_LOOP, 0, message).help("give the loops smaller bounds"));
        }
        Ok(())
    }

    fn walk_from(&mut self, insn: usize, state: State) -> Result<(), Failure> {
        let node = self.root();
        let depth = state.depth();
        let path = Path { insn, state, node, loops: Vec::new(), trail: None, begins_round: false };
        self.run(path, None).map(|_| ()).map_err(|failure| failure.started(insn, depth))
    }

    fn too_complex(&self, insn: usize) -> Failure {
        Failure::new(&slugs::TOO_COMPLEX, insn, "this program has more different paths than can be followed")
            .help("split it into global functions, or make the variables of its branches alike")
            .decisive()
    }

    fn into_facts(self) -> Facts {
        let instructions = self.most_instructions(|rounds| rounds.all.max(1));
        let given = match self.environment.rules {
            Rules::Kernel => Given::Context(self.program().program_type),
            Rules::Plain { memory_bytes } => Given::Memory { bytes: memory_bytes },
        };
        let maps = self.call_maps.into_iter().map(Option::flatten).collect();
        let needs_empty_frames = self.environment.uninitialized_stack;
        Facts::proved(given, self.facts, maps, instructions, needs_empty_frames, self.steps)
    }
}

/// Whether a licence lets a program call helpers that are for the GPL only (`license_is_gpl_compatible`).
fn gpl_compatible(license: &str) -> bool {
    matches!(
        license,
        "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL"
    )
}
