//! Rounds of functions that a helper calls any number of times.
//!
//! Such a helper is a loop whose head is the call: its state is found and closed as that of others is.

use std::rc::Rc;

use super::super::Prover;
use super::super::explore::{Decision, Path, Scope};
use super::super::failure::Failure;
use super::super::flow::NO_LOOP;
use super::super::state::State;
use super::super::step::Callback;

impl Prover<'_> {
    /// Opens the rounds of a callback: one path calls it once more, another goes on after the helper.
    pub(crate) fn enter_callback(
        &mut self,
        path: &mut Path,
        callback: Callback,
        pending: &mut Vec<Path>,
    ) -> Result<(), Failure> {
        let depth = path.state.depth();
        let guess = self.guess(path, NO_LOOP, depth, Some(&callback))?;
        self.open(path, NO_LOOP, depth, 0, guess, true);
        self.callbacks
            .insert(path.loops.last().and_then(|active| active.instance).unwrap_or(0), callback.clone());
        self.go_on(path, &callback, pending);
        Ok(())
    }

    pub(super) fn go_on(&mut self, path: &Path, callback: &Callback, pending: &mut Vec<Path>) {
        let decide =
            |taken| Some(Rc::new(Decision { insn: callback.call, taken, before: path.trail.clone() }));
        let mut inside = path.clone();
        inside.trail = decide(true);
        callback.enter(&mut inside);
        self.add_pending(path.node);
        pending.push(inside);
        let mut after = path.clone();
        after.trail = decide(false);
        after.loops.pop();
        callback.leave(&mut after);
        self.add_pending(path.node);
        pending.push(after);
    }

    /// A callback has returned.
    pub(crate) fn callback_round(
        &mut self,
        path: &mut Path,
        pending: &mut Vec<Path>,
        scope: Option<Scope>,
        rounds: &mut Vec<State>,
    ) -> Result<(), Failure> {
        let depth = path.state.depth();
        while path.loops.last().is_some_and(|active| active.depth > depth || active.which != NO_LOOP) {
            path.loops.pop();
        }
        let Some(active) = path.loops.last().cloned() else { return Ok(()) };
        let Some(instance) = active.instance else { return Ok(()) };
        if scope.is_some_and(|scope| scope.instance == instance) {
            rounds.push(path.state.clone());
            return Ok(());
        }
        if self.close(path, instance)? {
            return Ok(());
        }
        let Some(callback) = self.callbacks.get(&instance).cloned() else { return Ok(()) };
        path.loops.pop();
        self.wider(path, instance, active.tries + 1)?;
        let guess = self.guess(path, NO_LOOP, depth, Some(&callback))?;
        self.open(path, NO_LOOP, depth, active.tries + 1, guess, true);
        self.callbacks
            .insert(path.loops.last().and_then(|active| active.instance).unwrap_or(0), callback.clone());
        self.go_on(path, &callback, pending);
        Ok(())
    }
}
