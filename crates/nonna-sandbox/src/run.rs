//! What one run sees: the memory, maps, context and host that engines and helpers share.
//!
//! Helpers get it as their last argument and say through it that the run must stop. It knows no instruction: how a program runs
//! is the business of an [`Engine`].

use nonna_verifier::Given;

use crate::budget::{Budget, Meter};
use crate::context::Context;
use crate::fault::{Fault, FaultKind, Finished};
use crate::helpers::Copies;
use crate::host::{Answer, HelperError, Host};
use crate::maps::Maps;
use crate::memory::{Access, Regions, Values};

/// Tail calls in one run (`MAX_TAIL_CALL_CNT` in the kernel).
const MAX_TAIL_CALLS: u32 = 33;

/// The processor of a run: it stays there until the run ends, so the host is asked once.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Processor(u32);

impl Processor {
    /// The host was not asked yet; the number of no processor.
    const UNASKED: Processor = Processor(u32::MAX);
    /// What stands there until the host was asked.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const UNASKED_NUMBER: u32 = Processor::UNASKED.0;

    #[inline]
    pub(crate) fn number(&mut self, host: &mut dyn Host) -> u32 {
        if self.0 == Processor::UNASKED.0 {
            self.ask(host);
        }
        self.0
    }

    #[cold]
    fn ask(&mut self, host: &mut dyn Host) {
        self.0 = host.processor();
    }
}

/// Why a run stops before its outermost function returns.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// A helper failed; the engine knows which.
    Failed(HelperError),
    /// The program did what it may not do.
    Fault(Fault),
    /// The run ends with this result.
    Ended(u64),
}

impl Stop {
    /// What becomes of the run.
    #[cold]
    fn outcome(self, instructions: u64) -> Result<Finished, Fault> {
        match self {
            Stop::Ended(result) => Ok(Finished { result, instructions }),
            Stop::Fault(fault) => Err(fault),
            Stop::Failed(error) => Err(Fault { insn: 0, kind: FaultKind::KernelFunction(error) }),
        }
    }
}

/// Something that runs functions of a program: an interpreter or machine code.
pub trait Engine {
    /// Runs the function that starts at instruction `entry` until it returns, one frame deeper than the run is; yields its
    /// `r0`, which means nothing if the run was stopped.
    fn enter(&self, entry: usize, arguments: [u64; 5], run: &mut Run<'_, '_>) -> u64;

    /// The instruction at which the function starts that a program knows by this address.
    fn function(&self, address: u64) -> Option<usize>;

    /// The values of maps whose addresses the program knows. It runs over those maps only.
    fn values(&self) -> Option<&Values> {
        None
    }

    /// What must hold of the arguments of its first instruction.
    fn given(&self) -> Given {
        Given::Anything
    }
}

/// The programs that tail calls can reach, by the number that program arrays hold.
pub trait Programs {
    /// The program of this number.
    fn program(&self, number: u32) -> Option<&dyn Engine>;
}

/// What one run sees. `'r` is the run's time, `'m` that of the memory it is lent.
///
/// The first three fields stand first in this order, for machine code to look at.
#[repr(C)]
pub struct Run<'r, 'm> {
    /// Not 0: the run must stop; every active function returns at once.
    stopped: u32,
    /// Not 0: the function that called the helper returns at once, with the helper's value as `r0`.
    returns: u32,
    /// The budget; machine code counts its first number down.
    pub(crate) meter: Meter,
    /// Frames in use.
    pub(crate) depth: usize,
    /// Where machine code that is active keeps what it needs to leave at once.
    pub(crate) unwind: u64,
    tail_calls: u32,
    pub(crate) processor: Processor,
    stop: Option<Stop>,
    engine: Option<&'r dyn Engine>,
    programs: Option<&'r dyn Programs>,
    /// What iterators over bits go over.
    pub(crate) bits: Copies,
    /// What the program may touch.
    pub memory: &'r mut Regions<'m>,
    /// The maps.
    pub maps: &'r mut Maps,
    /// What the program's context means.
    pub context: &'r mut Context,
    /// The world around it.
    pub host: &'r mut dyn Host,
}

impl<'r, 'm> Run<'r, 'm> {
    /// A run over these.
    pub fn new(
        memory: &'r mut Regions<'m>,
        maps: &'r mut Maps,
        context: &'r mut Context,
        host: &'r mut dyn Host,
    ) -> Self {
        Run {
            stopped: 0,
            returns: 0,
            meter: Meter::new(Budget { instructions: 0, time: None }),
            depth: 0,
            unwind: 0,
            tail_calls: 0,
            processor: Processor::UNASKED,
            stop: None,
            engine: None,
            programs: None,
            bits: Copies::default(),
            memory,
            maps,
            context,
            host,
        }
    }

    /// With programs that tail calls can reach.
    pub fn with_programs(mut self, programs: &'r dyn Programs) -> Self {
        self.programs = Some(programs);
        self
    }

    /// Runs a program from its first instruction: what both engines do around it.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the program does what it may not do, or exceeds the budget.
    pub fn execute(
        &mut self,
        engine: &dyn Engine,
        arguments: [u64; 5],
        budget: Budget,
    ) -> Result<Finished, Fault> {
        self.execute_function(engine, 0, arguments, budget)
    }

    /// Runs the functions of timers that are due by the host's clocks, each within the budget; answers how many were.
    ///
    /// # Errors
    ///
    /// [`Fault`] of the first function that does what it may not do.
    pub fn fire_timers(&mut self, engine: &dyn Engine, budget: Budget) -> Result<usize, Fault> {
        let mut n_fired = 0;
        loop {
            let host = &mut *self.host;
            let Some((function, [map, key, value])) = self.maps.take_due(|clock| host.clock_ns(clock)) else {
                return Ok(n_fired);
            };
            let entry = engine.function(function);
            let entry = entry.ok_or(Fault { insn: 0, kind: FaultKind::NoFunction(function) })?;
            self.execute_function(engine, entry, [map, key, value, 0, 0], budget)?;
            n_fired += 1;
        }
    }

    /// Whether a program was linked with the maps of this run, if with any.
    #[inline]
    fn fits(&self, engine: &(impl Engine + ?Sized)) -> bool {
        engine.values().is_none_or(|values| self.maps.areas().own(values))
    }

    /// Whether arguments are what a proof takes for granted.
    #[inline]
    fn holds(&self, given: Given, arguments: &[u64; 5]) -> bool {
        match given {
            Given::Anything => true,
            Given::Context(program_type) => self.context.is_of(program_type, arguments[0]),
            Given::Memory { bytes } => {
                let length = usize::try_from(bytes).unwrap_or(usize::MAX);
                let lent = || self.memory.check(arguments[0], length, Access::Write).is_ok();
                arguments[1] == bytes && if bytes == 0 { arguments[0] == 0 } else { lent() }
            }
        }
    }

    /// Whether a program may be entered at this instruction over what this run sees.
    ///
    /// # Errors
    ///
    /// [`FaultKind::OtherMaps`], [`FaultKind::OtherArguments`].
    #[inline]
    pub(crate) fn admit(
        &self,
        engine: &(impl Engine + ?Sized),
        entry: usize,
        arguments: &[u64; 5],
    ) -> Result<(), Fault> {
        if !self.fits(engine) {
            return Err(Fault { insn: entry, kind: FaultKind::OtherMaps });
        }
        // Other functions are entered with what the program itself gave them.
        if entry == 0 && !self.holds(engine.given(), arguments) {
            return Err(Fault { insn: entry, kind: FaultKind::OtherArguments });
        }
        Ok(())
    }

    /// As [`Run::execute`], for an engine whose functions nobody can ask for while it runs: its program takes the address of none.
    /// No run of its own is made for it then.
    #[inline]
    pub(crate) fn execute_alone(
        &mut self,
        engine: &impl Engine,
        arguments: [u64; 5],
        budget: Budget,
    ) -> Result<Finished, Fault> {
        if self.depth != 0 {
            // A helper's own run: what is kept here belongs to the run that called it.
            return self.execute_function(engine, 0, arguments, budget);
        }
        self.admit(engine, 0, &arguments)?;
        self.memory.close_frames(0);
        self.memory.lend_areas(self.maps.areas());
        (self.stopped, self.returns, self.tail_calls) = (0, 0, 0);
        (self.meter, self.processor, self.stop) = (Meter::new(budget), Processor::UNASKED, None);
        let returned = engine.enter(0, arguments, self);
        let instructions = self.meter.spent();
        let outcome = match self.stop {
            None => Ok(Finished { result: returned, instructions }),
            Some(stop) => {
                (self.stopped, self.stop) = (0, None);
                stop.outcome(instructions)
            }
        };
        self.memory.close_frames(0);
        self.memory.take_back_areas();
        self.maps.end_run();
        outcome
    }

    fn execute_function(
        &mut self,
        engine: &dyn Engine,
        entry: usize,
        arguments: [u64; 5],
        budget: Budget,
    ) -> Result<Finished, Fault> {
        self.admit(engine, entry, &arguments)?;
        self.memory.close_frames(0);
        self.memory.lend_areas(self.maps.areas());
        let mut inner = Run {
            stopped: 0,
            returns: 0,
            meter: Meter::new(budget),
            depth: 0,
            unwind: 0,
            tail_calls: 0,
            processor: Processor::UNASKED,
            stop: None,
            engine: Some(engine),
            programs: self.programs,
            bits: Copies::default(),
            memory: &mut *self.memory,
            maps: &mut *self.maps,
            context: &mut *self.context,
            host: &mut *self.host,
        };
        let returned = engine.enter(entry, arguments, &mut inner);
        let instructions = inner.meter.spent();
        let outcome = match inner.stop {
            None => Ok(Finished { result: returned, instructions }),
            Some(stop) => stop.outcome(instructions),
        };
        self.memory.close_frames(0);
        self.memory.take_back_areas();
        self.maps.end_run();
        outcome
    }

    /// A helper failed: the run stops with a fault. Yields 0, for the helper to return.
    pub fn fail(&mut self, error: HelperError) -> u64 {
        self.stop(Stop::Failed(error));
        0
    }

    /// The whole run ends with this result, whatever functions are active. Yields the result, for the helper to return.
    pub fn end(&mut self, result: u64) -> u64 {
        self.stop(Stop::Ended(result));
        result
    }

    /// The program did what it may not do.
    pub(crate) fn fault(&mut self, insn: usize, kind: FaultKind) {
        self.stop(Stop::Fault(Fault { insn, kind }));
    }

    /// Says of which helper a failure was, if there was one that nobody has named yet.
    pub(crate) fn blame(&mut self, insn: usize, kind: impl FnOnce(HelperError) -> FaultKind) {
        if let Some(Stop::Failed(error)) = self.stop {
            self.stop = Some(Stop::Fault(Fault { insn, kind: kind(error) }));
        }
    }

    fn stop(&mut self, stop: Stop) {
        // What came first is the reason; the rest follows from it.
        if self.stop.is_none() {
            self.stop = Some(stop);
            self.stopped = 1;
        }
    }

    /// The processor that the program runs on. It stays there until the run ends, so the host is asked once.
    #[inline]
    pub fn processor(&mut self) -> u32 {
        self.processor.number(self.host)
    }

    /// Whether the run must stop.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.stopped != 0
    }

    /// Whether a helper has asked for anything but going on.
    #[inline]
    pub(crate) fn is_interrupted(&self) -> bool {
        self.stopped | self.returns != 0
    }

    /// Whether the function that called the helper must return now; asking takes the order back.
    #[inline]
    pub(crate) fn take_return(&mut self) -> bool {
        std::mem::take(&mut self.returns) != 0
    }

    /// Calls a function of the running program, for helpers that take one (`bpf_loop`, `bpf_for_each_map_elem`); yields its
    /// `r0`. The helper must return at once if [`Run::is_stopped`] then. Each call counts as an instruction and is checked against
    /// the budget: a helper's loop goes on as long as the program's functions let it.
    pub fn call_back(&mut self, function: u64, arguments: [u64; 5]) -> u64 {
        let found = self.engine.and_then(|engine| Some((engine, engine.function(function)?)));
        let Some((engine, entry)) = found else { return self.fail(HelperError::NoFunction(function)) };
        self.meter.until_look -= 1;
        if self.meter.until_look <= 0
            && let Err(kind) = self.meter.look()
        {
            self.fault(entry, kind);
            return 0;
        }
        engine.enter(entry, arguments, self)
    }

    /// Goes over to another program, which returns in place of the function that called the helper. Yields what the
    /// helper must return; if there is no such program, or too many have gone before it, `None`, and nothing has happened.
    pub fn tail_call(&mut self, program: u32, context: u64) -> Option<u64> {
        let engine = self.programs?.program(program)?;
        let arguments = [context, 0, 0, 0, 0];
        if self.tail_calls == MAX_TAIL_CALLS || !self.fits(engine) || !self.holds(engine.given(), &arguments)
        {
            return None;
        }
        self.tail_calls += 1;
        // The frame of the function that goes is the frame of the program that comes.
        let (depth, before) = (self.depth, self.engine.replace(engine));
        self.depth = depth.saturating_sub(1);
        let result = engine.enter(0, arguments, self);
        (self.depth, self.engine) = (depth, before);
        self.returns = 1;
        Some(result)
    }

    /// Asks the host to answer a helper call that no function answers.
    pub(crate) fn ask_host(&mut self, number: u32, arguments: [u64; 5]) -> u64 {
        match self.host.call(number, arguments, self.memory) {
            Ok(Answer::Return(value)) => value,
            Ok(Answer::End(result)) => self.end(result),
            Err(error) => self.fail(error),
        }
    }
}
