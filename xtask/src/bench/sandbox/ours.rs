//! A program in a sandbox of its own, on either engine.

use anyhow::{Context as _, Result};
use nonna_bpf::{ProgramIdx, ProgramType};
use nonna_sandbox::context::Input;
use nonna_sandbox::jit::Code;
use nonna_sandbox::{
    Budget, Context, Helpers, Links, LowPages, MapHandle, Maps, NoHelpers, Prepared, Regions, Run, Stack,
    UpdateMode,
};
use nonna_verifier::Verified;

use super::case::entries;
use super::now_ns;

/// The program, its maps and its stack.
pub struct Ours {
    prepared: Prepared,
    code: Option<Code>,
    maps: Maps,
    stack: Stack,
    /// The packet and its context, which the programs do not look at.
    input: Input,
    pages: LowPages,
}

impl Ours {
    /// A sandbox with the program, as machine code if asked.
    pub fn new(verified: &Verified, compiled: bool) -> Result<Self> {
        Ours::with_helpers(verified, compiled, &Helpers::kernel())
    }

    /// The same with other helpers.
    pub fn with_helpers(verified: &Verified, compiled: bool, helpers: &Helpers) -> Result<Self> {
        let mut maps = Maps::new(1);
        let handles: Vec<MapHandle> = maps.create_all(verified.object())?;
        for (map, handle) in verified.object().maps.iter().zip(&handles) {
            for (key, value) in entries(&map.name) {
                maps.update(*handle, &key, &value, UpdateMode::Any).context("fill a map")?;
            }
        }
        let links = Links { maps: &maps, handles: &handles, helpers };
        let prepared = Prepared::verified(verified, ProgramIdx(0), links)?;
        let code = compiled.then(|| Code::compile(&prepared)).transpose()?;
        let input = Input { packet: vec![0; 64], ..Input::default() };
        let pages = Context::pages(ProgramType::Xdp, &input)?;
        Ok(Ours { prepared, code, maps, stack: Stack::new(), input, pages })
    }

    /// What the compiler starts from.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The mean time of so many runs in nanoseconds, and the result. The budget is the usual one.
    pub fn run(&mut self, runs: u32) -> Result<(f64, u64)> {
        let mut regions = Regions::new(&mut self.stack);
        let mut context = Context::new(ProgramType::Xdp, &self.input, &mut regions, &mut self.pages)?;
        let (arguments, mut host) = ([context.address(), 0, 0, 0, 0], NoHelpers);
        let mut run = Run::new(&mut regions, &mut self.maps, &mut context, &mut host);
        let mut result = 0;
        let start = now_ns();
        for _ in 0..runs {
            let finished = match &self.code {
                Some(code) => code.run(arguments, &mut run, Budget::default()),
                None => nonna_sandbox::run(&self.prepared, arguments, &mut run, Budget::default()),
            };
            result = finished?.result;
        }
        Ok(((now_ns() - start) / f64::from(runs), result & u64::from(u32::MAX)))
    }
}
