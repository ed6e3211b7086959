//! Objects in the sandbox: their maps made, their programs ready, run on what contexts are made of.
//!
//! [`Sandbox`] is how things are run, [`Loaded`] is an object in it. It is one of the two runtimes that [`Runtime`] describes: a program's hook
//! never comes by itself here, whoever embeds the sandbox calls [`Loaded::run`].

mod attached;
mod explain;
mod timing;

use std::time::{Duration, Instant};

use nonna_bpf::{Object, ProgramIdx};
use nonna_verifier::Verified;

use crate::budget::Budget;
use crate::context::{Context, ContextError, Effects, Input, with_context_helpers};
use crate::fault::{Fault, Finished};
use crate::helpers::Helpers;
use crate::host::Host;
use crate::interpreter;
#[cfg(target_arch = "x86_64")]
use crate::jit::Code;
use crate::maps::{CreateError, MapHandle, Maps};
use crate::memory::{LowPages, Regions, Stack};
use crate::program::{Links, PrepareError, Prepared};
use crate::run::{Engine, Programs, Run};

pub use attached::{Attached, RuntimeError};
pub use timing::Repeated;

/// What runs instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// One by one, with every access checked that was not proved.
    #[default]
    Interpreter,
    /// As machine code. Only what was verified runs so.
    #[cfg(target_arch = "x86_64")]
    Jit,
}

/// How objects are run.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Answers calls.
    pub helpers: Helpers,
    /// Processors that maps of the per-processor kinds are made for.
    pub n_processors: u32,
    /// What one run may take.
    pub budget: Budget,
    /// What runs the instructions of verified objects.
    pub engine: EngineKind,
}

impl Default for Sandbox {
    /// With every helper that there is, one processor, the usual budget, and the interpreter.
    fn default() -> Self {
        Sandbox {
            helpers: with_context_helpers(Helpers::kernel()),
            n_processors: 1,
            budget: Budget::default(),
            engine: EngineKind::default(),
        }
    }
}

/// Why an object cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A map cannot be made.
    #[error(transparent)]
    Map(#[from] CreateError),
}

/// Why a program did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It cannot run here at all.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It cannot be made machine code.
    #[error("{reason}")]
    Compile {
        /// Why.
        reason: String,
    },
    /// The input makes no context for it.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// It did what it may not do.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is no memory for its context.
    #[error("memory for the context: {0}")]
    Memory(#[from] std::io::Error),
}

/// What a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `r0`.
    pub result: u64,
    /// Instructions that ran; machine code of a program that is proved to end does not count them.
    pub instructions: u64,
    /// The packet afterwards, for contexts that have one.
    pub packet: Option<Vec<u8>>,
    /// The metadata before it.
    pub metadata: Vec<u8>,
    /// The bytes behind `r1` afterwards.
    pub context: Vec<u8>,
    /// What helpers did beside changing bytes.
    pub effects: Effects,
}

/// Why a program cannot run, for as often as somebody asks.
#[derive(Debug, Clone)]
enum NotReady {
    Prepare(PrepareError),
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "nothing is compiled on other processors")
    )]
    Compile(String),
}

impl From<NotReady> for RunError {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::Prepare(error) => error.into(),
            NotReady::Compile(reason) => RunError::Compile { reason },
        }
    }
}

/// A program in the form that its engine takes.
#[derive(Debug)]
enum Ready {
    Interpreted(Box<Prepared>),
    #[cfg(target_arch = "x86_64")]
    Compiled(Code),
}

impl Ready {
    fn new(prepared: Prepared, engine: EngineKind) -> Result<Ready, NotReady> {
        match engine {
            EngineKind::Interpreter => Ok(Ready::Interpreted(Box::new(prepared))),
            #[cfg(target_arch = "x86_64")]
            EngineKind::Jit => match Code::compile(&prepared) {
                Ok(code) => Ok(Ready::Compiled(code)),
                Err(error) => Err(NotReady::Compile(error.to_string())),
            },
        }
    }

    fn engine(&self) -> &dyn Engine {
        match self {
            Ready::Interpreted(prepared) => &**prepared,
            #[cfg(target_arch = "x86_64")]
            Ready::Compiled(code) => code,
        }
    }

    fn run(&self, arguments: [u64; 5], run: &mut Run<'_, '_>, budget: Budget) -> Result<Finished, Fault> {
        match self {
            Ready::Interpreted(prepared) => interpreter::run(prepared, arguments, run, budget),
            #[cfg(target_arch = "x86_64")]
            Ready::Compiled(code) => code.run(arguments, run, budget),
        }
    }
}

/// The programs of an object, by number: what its program arrays hold. A program that cannot run is found out when somebody
/// wants it.
#[derive(Debug)]
struct Table(Vec<Result<Ready, NotReady>>);

impl Programs for Table {
    fn program(&self, number: u32) -> Option<&dyn Engine> {
        self.0.get(number as usize)?.as_ref().ok().map(Ready::engine)
    }
}

/// An object whose maps exist and whose programs can run.
#[derive(Debug)]
pub struct Loaded {
    object: Object,
    maps: Maps,
    handles: Vec<MapHandle>,
    programs: Table,
    budget: Budget,
    stack: Stack,
    /// Pages of the last context: they serve the next one where they are large enough.
    low: Option<LowPages>,
}

impl Sandbox {
    /// Loads a verified object: checks that its proof makes needless are left out.
    ///
    /// # Errors
    ///
    /// [`LoadError`] where a map cannot be made. A program that cannot run says so when it is run.
    pub fn load(&self, verified: &Verified) -> Result<Loaded, LoadError> {
        let prepare = |program, links: Links<'_>| Prepared::verified(verified, program, links);
        self.load_with(verified.object(), self.engine, prepare)
    }

    /// Loads an object that nobody has proved: every access is checked, and the interpreter runs it.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::load`].
    pub fn load_unproved(&self, object: &Object) -> Result<Loaded, LoadError> {
        let prepare = |program: ProgramIdx, links: Links<'_>| {
            Prepared::unproved_program(&object.programs[program.0 as usize], links)
        };
        self.load_with(object, EngineKind::Interpreter, prepare)
    }

    fn load_with(
        &self,
        object: &Object,
        engine: EngineKind,
        prepare: impl Fn(ProgramIdx, Links<'_>) -> Result<Prepared, PrepareError>,
    ) -> Result<Loaded, LoadError> {
        let mut maps = Maps::new(self.n_processors);
        let handles = maps.create_all(object)?;
        let programs = (0..object.programs.len() as u32).map(|program| {
            let links = Links { maps: &maps, handles: &handles, helpers: &self.helpers };
            let prepared = prepare(ProgramIdx(program), links).map_err(NotReady::Prepare)?;
            Ready::new(prepared, engine)
        });
        let programs = Table(programs.collect());
        let (object, budget) = (object.clone(), self.budget);
        Ok(Loaded { object, maps, handles, programs, budget, stack: Stack::new(), low: None })
    }
}

impl Loaded {
    /// The object.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The maps, and which of them each map of the object became, by index.
    pub fn maps(&mut self) -> (&mut Maps, &[MapHandle]) {
        (&mut self.maps, &self.handles)
    }

    /// Runs a program on a context.
    ///
    /// # Errors
    ///
    /// [`RunError`] where it cannot run or was stopped. What it did to maps until then stays.
    ///
    /// # Panics
    ///
    /// If the object has no such program.
    pub fn run(
        &mut self,
        program: ProgramIdx,
        input: &Input,
        host: &mut dyn Host,
    ) -> Result<Outcome, RunError> {
        self.run_timed(program, input, host).map(|(outcome, _)| outcome)
    }

    /// As [`Loaded::run`], and how long the program itself took.
    fn run_timed(
        &mut self,
        program: ProgramIdx,
        input: &Input,
        host: &mut dyn Host,
    ) -> Result<(Outcome, Duration), RunError> {
        let program_type = self.object.programs[program.0 as usize].program_type;
        let bytes = Context::page_bytes(program_type, input);
        let low = match self.low.take() {
            Some(low) if low.bytes() >= bytes => low,
            _ => LowPages::new(bytes)?,
        };
        let low = self.low.insert(low);
        let mut regions = Regions::new(&mut self.stack);
        let mut context = Context::new(program_type, input, &mut regions, low)?;
        let at = context.address();
        let mut run =
            Run::new(&mut regions, &mut self.maps, &mut context, host).with_programs(&self.programs);
        let (finished, time) = execute(&self.programs, program, [at, 0, 0, 0, 0], &mut run, self.budget)?;
        let outcome = Outcome {
            result: finished.result,
            instructions: finished.instructions,
            packet: context.packet(&regions),
            metadata: context.metadata(&regions),
            context: context.bytes(&regions),
            effects: context.effects(),
        };
        Ok((outcome, time))
    }

    /// Runs a program on plain memory: `r1` is its address, `r2` its length. The memory is changed in place.
    ///
    /// # Errors
    ///
    /// As [`Loaded::run`].
    ///
    /// # Panics
    ///
    /// If the object has no such program.
    pub fn run_on_memory(
        &mut self,
        program: ProgramIdx,
        memory: &mut [u8],
        host: &mut dyn Host,
    ) -> Result<Outcome, RunError> {
        self.run_on_memory_timed(program, memory, host).map(|(outcome, _)| outcome)
    }

    fn run_on_memory_timed(
        &mut self,
        program: ProgramIdx,
        memory: &mut [u8],
        host: &mut dyn Host,
    ) -> Result<(Outcome, Duration), RunError> {
        let length = memory.len() as u64;
        let mut regions = Regions::new(&mut self.stack);
        let at = regions.lend(memory);
        let mut context = Context::plain();
        let mut run =
            Run::new(&mut regions, &mut self.maps, &mut context, host).with_programs(&self.programs);
        let arguments = [at, length, 0, 0, 0];
        let (finished, time) = execute(&self.programs, program, arguments, &mut run, self.budget)?;
        let outcome = Outcome {
            result: finished.result,
            instructions: finished.instructions,
            packet: None,
            metadata: Vec::new(),
            context: Vec::new(),
            effects: context.effects(),
        };
        Ok((outcome, time))
    }
}

fn execute(
    programs: &Table,
    program: ProgramIdx,
    arguments: [u64; 5],
    run: &mut Run<'_, '_>,
    budget: Budget,
) -> Result<(Finished, Duration), RunError> {
    let ready = programs.0[program.0 as usize].as_ref().map_err(Clone::clone)?;
    let before = Instant::now();
    let finished = ready.run(arguments, run, budget)?;
    Ok((finished, before.elapsed()))
}
