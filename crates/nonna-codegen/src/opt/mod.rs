//! Optimises a module: from IR to IR, without knowing the target.
//!
//! Small passes run in rounds until none finds anything, at most [`MAX_ROUNDS`] times; each is linear or nearly so in the
//! size of a function. Functions are optimised one by one: none is removed or merged, and maps, data and events stay.
//!
//! The kernel's verifier is a reader of what comes out, and a literal one. What these passes must not do is to make the
//! program cleverer than it can follow: tests and masks stay unless what they show is plain from the instruction before
//! ([`algebra`]), and values that were tested are not recomputed from what they were made of.

mod algebra;
mod alias;
mod control;
mod dead;
mod fold;
mod numbering;
mod params;
mod scoped;
mod split;

use nonna_ir::{Arena, Block, DataDecl, DataId, Function, MapDecl, MapId, Module, Terminator, ValueDef};

/// Rounds of passes over one function. Two or three are usual; a bound keeps the time linear on any input.
const MAX_ROUNDS: usize = 8;

/// What a module declares beside its functions, as far as passes look at it.
#[derive(Debug, Clone, Copy)]
pub struct Declarations<'m> {
    /// Maps.
    pub maps: &'m Arena<MapId, MapDecl>,
    /// Global data.
    pub data: &'m Arena<DataId, DataDecl>,
}

/// A pass over one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Decided branches, detours, chains, unreachable blocks.
    Control,
    /// Block parameters that are always the same.
    Params,
    /// Constants, algebra, repeated computations.
    Numbering,
    /// Unused results, parameters and writes.
    Dead,
}

impl Pass {
    /// Every pass in the order of a round.
    pub const ALL: &[Pass] = &[Pass::Control, Pass::Params, Pass::Numbering, Pass::Dead];

    /// Runs the pass over a valid function of a module that declares this; whether it changed anything. The function is valid
    /// afterwards and means the same.
    pub fn run(self, function: &mut Function, declared: &Declarations<'_>) -> bool {
        // The other passes take it for granted that every block is reached.
        let dropped = control::drop_unreachable(function);
        let changed = match self {
            Pass::Control => control::simplify_control(function),
            Pass::Params => params::remove_constant_params(function),
            Pass::Numbering => numbering::number_values(function, declared.data),
            Pass::Dead => dead::remove_dead(function, declared.maps),
        };
        dropped || changed
    }
}

/// Makes every function of the module smaller and faster; the module stays valid and means the same.
///
/// The module must be valid ([`nonna_ir::validate`]).
pub fn optimize(module: &mut Module) {
    let declared = Declarations { maps: &module.maps, data: &module.data };
    for function in module.functions.values_mut() {
        optimize_function(function, &declared);
        dead::remove_unused_slots(function);
        function.compact();
    }
}

/// Runs passes in rounds until none has a reason to run. A pass has one while another has changed something since it ran.
fn optimize_function(function: &mut Function, declared: &Declarations<'_>) {
    let mut has_reason = [true; Pass::ALL.len()];
    for _ in 0..MAX_ROUNDS {
        if has_reason == [false; Pass::ALL.len()] {
            return;
        }
        for (idx, pass) in Pass::ALL.iter().enumerate() {
            if std::mem::replace(&mut has_reason[idx], false) && pass.run(function, declared) {
                for (other, reason) in has_reason.iter_mut().enumerate() {
                    *reason |= other != idx;
                }
            }
        }
    }
}

/// Removes those parameters of a block, and what jumps bring for them. A predecessor may be named more than once.
fn remove_params(function: &mut Function, predecessors: &[Block], block: Block, removed: &[bool]) {
    let n_params = removed.len();
    let keep = |items: &mut Vec<_>| {
        let mut position = 0..;
        items.retain(|_| position.next().is_some_and(|position: usize| !removed[position]));
    };
    for &predecessor in predecessors {
        let terminator = function.blocks[predecessor].terminator.as_mut();
        for jump in terminator.into_iter().flat_map(Terminator::jumps_mut) {
            // A branch with both ways to the block is named twice, and treated once.
            if jump.block == block && jump.args.len() == n_params {
                keep(&mut jump.args);
            }
        }
    }
    keep(&mut function.blocks[block].params);
    for (position, &param) in (0..).zip(&function.blocks[block].params) {
        function.values[param].def = ValueDef::Param(block, position);
    }
}
