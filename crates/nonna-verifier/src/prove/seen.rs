//! States that were seen where paths meet: which cover a path that comes later, and which become one.
//!
//! How two states compare is in `joins`; when paths meet is decided in `explore`.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::Prover;
use super::explore::{Node, NodeIdx, Path};
use super::flow::NO_LOOP;
use super::joins::loses;
use super::links::Renaming;
use super::state::{Role, State};
use super::summary::InstanceIdx;
use super::value::{Merge, Value};

/// States kept by place.
pub(crate) type Seen = FxHashMap<(usize, u64), Vec<(NodeIdx, State)>>;

/// What an arrival means.
pub(super) enum Arrival {
    Goes,
    Ends,
}

/// States that are kept at one place at most.
const MAX_KEPT: usize = 128;

/// States kept at one place before they are merged.
const MAX_STATES: usize = 48;

/// The same while rounds are walked one by one: each may bring its own.
const MAX_STATES_BY_ROUNDS: usize = 96;

/// The same inside a loop, where comparisons are stricter.
const MAX_STATES_IN_LOOP: usize = 6;

/// Merges of states at one place before they widen. Between the heads of loops paths only come by so often as there are ways.
const MAX_JOINS: u32 = 256;

impl Prover<'_> {
    /// Where paths meet: ends a path that is covered, merges states where there are too many, keeps the rest.
    pub(super) fn meet(&mut self, path: &mut Path) -> Arrival {
        if self.is_seen(path) {
            return Arrival::Ends;
        }
        let limit = match path.loops.last() {
            None => MAX_STATES,
            Some(active) if active.instance.is_none() => MAX_STATES_BY_ROUNDS,
            Some(_) => MAX_STATES_IN_LOOP,
        };
        let key = place(path);
        let instance = path.instance();
        let kept = self.seen.get(&key).map_or(0, |kept| {
            kept.iter().filter(|(node, _)| self.nodes[*node as usize].instance == instance).count()
        });
        if kept >= limit {
            self.merge_into_seen(path, key);
        }
        self.keep(path);
        Arrival::Goes
    }

    /// Widens the path's state by a kept one of the same shape, so that a place holds few states. The two lie under one summary of the loop
    /// around them: how values have moved since the head is known by the names that they had there, and each summary gives its own.
    pub(super) fn merge_into_seen(&mut self, path: &mut Path, key: (usize, u64)) {
        let views = self.views(path, false);
        let Some(kept) = self.seen.get_mut(&key) else { return };
        let instance = path.instance();
        let found = kept.iter().rposition(|(node, state)| {
            self.nodes[*node as usize].instance == instance && state.same_shape(&path.state)
        });
        let Some(found) = found else { return };
        let (node, state) = kept.swap_remove(found);
        let merges = self.nodes[node as usize].merges;
        let merge = if merges < MAX_JOINS { Merge::Join } else { Merge::Widen(&[]) };
        let merged = state.merge(&path.state, merge, self.environment.uninitialized_stack, &mut self.fresh);
        // A merge that loses a register or slot that is read would refuse what each path allows.
        if loses(&merged, &path.state, &views) || loses(&merged, &state, &views) {
            self.seen.entry(key).or_default().push((node, state));
            return;
        }
        path.state = merged;
        self.next_merges = merges + 1;
    }

    /// Whether a kept state covers the path, all of whose own paths have been walked.
    pub(crate) fn is_seen(&mut self, path: &Path) -> bool {
        let Some(kept) = self.seen.get(&place(path)) else { return false };
        // Comparing is work too, and must come to an end as well.
        self.steps += kept.len() as u64 / 8;
        let mut renaming = Renaming::new(&self.terms);
        let (mut settled, mut open) = (None, None);
        for (node, state) in kept.iter().rev() {
            if !self.nodes[*node as usize].is_complete() || self.relies_on_entry(*node) {
                continue;
            }
            let back = self.leads_back(*node);
            let views = match back {
                None => settled.get_or_insert_with(|| self.views(path, true)),
                Some(_) => open.get_or_insert_with(|| self.views(path, false)),
            };
            let covered =
                state.covers(&path.state, views, self.environment.uninitialized_stack, &mut renaming)
                    && back.is_none_or(|_| same_progress(state, &path.state));
            if covered {
                if let Some(instance) = back {
                    self.note_way_back(path.node, instance);
                }
                return true;
            }
        }
        false
    }

    /// The loop, still open, that paths from a kept state lead back to.
    pub(super) fn leads_back(&self, node: NodeIdx) -> Option<InstanceIdx> {
        let mut found = self.nodes[node as usize].leads_back;
        while let Some(instance) = found {
            let head = self.instances[instance as usize].node;
            if !self.nodes[head as usize].is_complete() {
                return Some(instance);
            }
            found = self.nodes[head as usize].leads_back.filter(|outer| *outer < instance);
        }
        None
    }

    /// Whether paths from a kept state go on in a loop, by now judged, whose state holds only for those who entered it with that loop's own
    /// entry: a path that comes later would go on beyond it.
    fn relies_on_entry(&self, node: NodeIdx) -> bool {
        let found = &self.nodes[node as usize];
        let is_head = |instance: &InstanceIdx| self.instances[*instance as usize].node == node;
        let mut around = found.instance.filter(|instance| found.leads_back.is_some() || is_head(instance));
        while let Some(instance) = around {
            let opened = &self.instances[instance as usize];
            let head = &self.nodes[opened.node as usize];
            if opened.relies_on_entry() && head.is_complete() {
                return true;
            }
            around = head.parent.and_then(|parent| self.nodes[parent as usize].instance);
        }
        false
    }

    /// Notes that paths from the nodes between here and the head of a loop lead back to it.
    pub(crate) fn note_way_back(&mut self, from: NodeIdx, instance: InstanceIdx) {
        let head = self.instances[instance as usize].node;
        let mut at = Some(from);
        while let Some(node) = at.filter(|node| *node != head) {
            let node = &mut self.nodes[node as usize];
            node.leads_back = Some(node.leads_back.map_or(instance, |known| known.min(instance)));
            at = node.parent;
        }
    }

    /// Keeps the path's state.
    pub(crate) fn keep(&mut self, path: &mut Path) {
        let node = self.nodes.len() as NodeIdx;
        let merges = std::mem::take(&mut self.next_merges);
        let (parent, instance) = (Some(path.node), path.instance());
        self.nodes.push(Node { parent, pending: 1, leads_back: None, merges, instance });
        path.node = node;
        let kept = self.seen.entry(place(path)).or_default();
        if kept.len() >= MAX_KEPT {
            // The oldest are the least like what comes now; to forget them costs time at most.
            kept.drain(..MAX_KEPT / 4);
        }
        kept.push((node, path.state.clone()));
    }
}

/// Where a path is: instruction and the calls that led there.
pub(crate) fn place(path: &Path) -> (usize, u64) {
    let mut hasher = FxHasher::default();
    for frame in &path.state.frames {
        frame.call_site.hash(&mut hasher);
        matches!(frame.role, Role::Callback { .. }).hash(&mut hasher);
    }
    // The rounds of a callback meet at its call, which is another place than the way to it.
    let depth = path.state.depth();
    path.loops
        .last()
        .is_some_and(|active| active.which == NO_LOOP && active.depth == depth)
        .hash(&mut hasher);
    (path.insn, hasher.finish())
}

/// Whether what is known of the way since the heads of open loops holds for the narrower state too.
pub(super) fn same_progress(wide: &State, narrow: &State) -> bool {
    wide.may_goto_rounds <= narrow.may_goto_rounds
        && wide.frames.iter().zip(&narrow.frames).all(|(wide, narrow)| {
            let moved = |wide: super::value::Progress, narrow: super::value::Progress| {
                wide.base == 0
                    || wide.base == narrow.base
                        && wide.signed == narrow.signed
                        && wide.low <= narrow.low
                        && narrow.high <= wide.high
            };
            let registers = wide.registers.iter().zip(&narrow.registers);
            registers.into_iter().all(|(wide, narrow)| moved(wide.progress(), narrow.progress()))
                && wide.slots.iter().enumerate().all(|(index, slot)| {
                    slot.spilled().is_none_or(|value| {
                        let other =
                            narrow.slot(index).spilled().map_or_else(Default::default, Value::progress);
                        moved(value.progress(), other)
                    })
                })
        })
}
