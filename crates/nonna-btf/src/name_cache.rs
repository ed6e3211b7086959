//! What was looked up by name, so that asking again is free.
//!
//! Part of every opened BTF and shared by its clones. It answers nothing by itself: [`crate::Btf::find`] fills it.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::kind::{Kind, TypeId};

/// What was looked up before, found or not, by name.
#[derive(Debug, Default)]
pub(crate) struct NameCache(Mutex<Answers>);

type Answers = FxHashMap<Box<str>, Vec<(Kind, Option<TypeId>)>>;

/// More names than any script asks for; beyond, remembering starts afresh.
const CACHED_NAMES: usize = 4096;

impl NameCache {
    /// Runs `with` on the answers. A panic elsewhere cannot leave them half written in a way that matters.
    fn locked<T>(&self, with: impl FnOnce(&mut Answers) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn get(&self, kind: Kind, name: &str) -> Option<Option<TypeId>> {
        self.locked(|answers| {
            let known = answers.get(name)?;
            known.iter().find(|(known_kind, _)| *known_kind == kind).map(|(_, id)| *id)
        })
    }

    pub(crate) fn put(&self, kind: Kind, name: &str, id: Option<TypeId>) {
        self.locked(|answers| {
            if answers.len() >= CACHED_NAMES {
                answers.clear();
            }
            let known = answers.entry(name.into()).or_default();
            if known.iter().all(|(known_kind, _)| *known_kind != kind) {
                known.push((kind, id));
            }
        });
    }
}
