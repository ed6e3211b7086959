//! One program on all engines: who can run it, whether all agree, and what a run costs.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nonna_kernel::{Kernel, Loaded};
use nonna_verifier::Verified;

use super::ours::Ours;
use super::peers::Peers;
use super::{Engine, Options, kernel, object, proved};
use crate::bench::measure::{Series, Subject, in_turns};

/// What each map but the memory holds, whoever's engine it is: 64 keys with a value each.
pub fn entries(map: &str) -> impl Iterator<Item = ([u8; 4], [u8; 8])> + use<> {
    let n = if matches!(map, "hash" | "array") { 64 } else { 0 };
    (0..n).map(|number: u32| ((number * 3).to_ne_bytes(), (u64::from(number) + 1).to_ne_bytes()))
}

/// What an engine has to say about a program.
#[derive(Debug, Clone)]
pub enum Cell {
    /// The times of its rounds.
    Ran(Series),
    /// It ran, and its result is not everybody else's.
    Wrong,
    /// It does not run the program.
    Missing,
}

/// One program's line of the table.
#[derive(Debug)]
pub struct Row {
    /// The program.
    pub name: String,
    cells: Vec<Cell>,
    /// Why cells are missing.
    pub missing: Vec<String>,
}

impl Row {
    /// The median of an engine's rounds in nanoseconds, if it ran the program and was right.
    pub fn median(&self, engine: Engine) -> Option<f64> {
        match &self.cells[engine as usize] {
            Cell::Ran(series) => Some(series.median()),
            Cell::Wrong | Cell::Missing => None,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:10}", self.name)?;
        for cell in &self.cells {
            match cell {
                Cell::Ran(series) => write!(f, "{:11.1}", series.median())?,
                Cell::Wrong => write!(f, "{:>11}", "wrong")?,
                Cell::Missing => write!(f, "{:>11}", "-")?,
            }
        }
        Ok(())
    }
}

/// A program that our verifier has proved.
pub struct Case {
    name: String,
    verified: Verified,
}

/// Something that runs the program so many times: the mean time in nanoseconds, and the result.
type Runner<'r> = Box<dyn FnMut(u32) -> Result<(f64, u64)> + 'r>;

impl Case {
    /// Reads the prebuilt object.
    pub fn read(folder: &Path, name: &str) -> Result<Self> {
        Ok(Case { name: name.to_owned(), verified: proved(object(folder, name)?)? })
    }

    /// Measures all engines in turns.
    pub fn measure(&self, kernel: &Kernel, peers: Option<&mut Peers>, options: &Options) -> Result<Row> {
        let mut missing = Vec::new();
        let loaded = kernel::load(kernel, &self.verified);
        let loaded = loaded.map_err(|error| missing.push(format!("kernel: {error:#}"))).ok();
        let mut runners = self.runners(loaded.as_ref(), peers)?;
        let mut cells: Vec<Cell> = vec![Cell::Missing; Engine::ALL.len()];
        let mut expected = None;
        let mut subjects = Vec::new();
        for (engine, mut runner) in runners.drain(..) {
            let (ns, result) = match runner(10) {
                Ok(first) => first,
                Err(error) if engine == Engine::Jit || engine == Engine::Interpreter => return Err(error),
                Err(error) => {
                    missing.push(format!("{}: {error:#}", engine.name()));
                    continue;
                }
            };
            let expected = *expected.get_or_insert(result);
            if result != expected {
                let is_judge = matches!(engine, Engine::Interpreter | Engine::Kernel | Engine::Native);
                ensure!(!is_judge, "ours is {expected:#x}, that of {} {result:#x}", engine.name());
                cells[engine as usize] = Cell::Wrong;
                continue;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "between 10 and a million"
            )]
            let runs = (options.time_us as f64 * 1000.0 / ns.max(1.0)).clamp(10.0, 1_000_000.0) as u32;
            subjects.push((
                engine,
                Subject { name: engine.name().to_owned(), run: Box::new(move || Ok(vec![runner(runs)?.0])) },
            ));
        }
        let (engines, mut subjects): (Vec<_>, Vec<_>) = subjects.into_iter().unzip();
        for (engine, mut series) in engines.iter().zip(in_turns(options.rounds, &mut subjects)?) {
            cells[*engine as usize] = Cell::Ran(series.swap_remove(0));
        }
        Ok(Row { name: self.name.clone(), cells, missing })
    }

    /// Whoever may run the program, ours first.
    fn runners<'r>(
        &'r self,
        loaded: Option<&'r Loaded>,
        peers: Option<&'r mut Peers>,
    ) -> Result<Vec<(Engine, Runner<'r>)>> {
        let mut runners: Vec<(Engine, Runner<'r>)> = Vec::new();
        for (engine, compiled) in [(Engine::Jit, true), (Engine::Interpreter, false)] {
            let mut ours = Ours::new(&self.verified, compiled)?;
            runners.push((engine, Box::new(move |runs| ours.run(runs))));
        }
        if let Some(loaded) = loaded {
            runners.push((Engine::Kernel, Box::new(move |runs| kernel::run(loaded, runs))));
        }
        let Some(peers) = peers else { return Ok(runners) };
        peers.program(&self.name, self.verified.object()).context("hand it to the peers")?;
        // One process serves them all, one at a time.
        let peers = std::rc::Rc::new(RefCell::new(peers));
        for engine in &Engine::ALL[Engine::Native as usize..] {
            let peers = peers.clone();
            let run: Runner<'r> = Box::new(move |runs| peers.borrow_mut().run(*engine, &self.name, runs));
            runners.push((*engine, run));
        }
        Ok(runners)
    }
}
