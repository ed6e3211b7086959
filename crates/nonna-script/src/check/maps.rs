//! Maps: keys and values joined over all uses.

use nonna_diag::{Diagnostic, Span, nearest};

use super::Checker;
use crate::ast::{self, MapAccess};
use crate::hir::{self, Expr, ExprKind, Key, MapKind};
use crate::slugs;
use crate::types::Type;

/// Longest key and longest value, in bytes: what one scratch area can hold beside a string.
const MAX_ENTRY_BYTES: u32 = 16 * 1024;

/// What is known about a map.
#[derive(Debug)]
pub(super) struct MapState {
    /// Parts of the key; `None` until the first use.
    key: Option<Vec<Type>>,
    value: MapKind,
    /// First use, and first use that stores something.
    first: Span,
    first_store: Option<Span>,
}

impl Checker<'_> {
    /// The number of a map.
    pub(super) fn map(&mut self, name: &ast::Name) -> usize {
        let key = format!("@{}", name.text);
        if let Some(idx) = self.maps.get_index_of(&key) {
            return idx;
        }
        self.changed = true;
        let state = MapState { key: None, value: MapKind::Unknown, first: name.span, first_store: None };
        self.maps.insert_full(key, state).0
    }

    pub(super) fn map_name(&self, map: usize) -> &str {
        self.maps.get_index(map).map_or("", |(name, _)| name)
    }

    pub(super) fn map_value(&self, map: usize) -> &MapKind {
        &self.maps[map].value
    }

    pub(super) fn map_key_types(&self, map: usize) -> Option<&[Type]> {
        self.maps[map].key.as_deref()
    }

    /// The key of an access; its type joins the map's.
    pub(super) fn map_key(&mut self, map: usize, parts: Option<&[ast::Expr]>, span: Span) -> Key {
        let Some(parts) = parts else {
            self.join_key(map, Vec::new(), span);
            return Key::None;
        };
        let mut values: Vec<Expr> = parts.iter().map(|part| self.value(part)).collect();
        if values.iter().any(|v| v.ty.is_unknown()) {
            return Key::Parts(values);
        }
        if let [Expr { ty: Type::Tuple(types), .. }] = values.as_slice() {
            let types = types.iter().map(Type::stored).collect();
            self.join_key(map, types, span);
            let only = values.pop().expect("there is one");
            return match only.kind {
                ExprKind::Tuple(inner) => Key::Parts(inner),
                _ => Key::Whole(only.into()),
            };
        }
        let types = values.iter().map(|v| v.ty.stored()).collect();
        self.join_key(map, types, span);
        Key::Parts(values)
    }

    fn join_key(&mut self, map: usize, types: Vec<Type>, span: Span) {
        let Some(known) = self.maps[map].key.clone() else {
            self.maps[map].key = Some(types);
            self.changed = true;
            return;
        };
        if known.len() != types.len() {
            let (name, first) = (self.map_name(map).to_owned(), self.maps[map].first);
            let describe = |n: usize| match n {
                0 => "no key".to_owned(),
                1 => "a key of one part".to_owned(),
                n => format!("a key of {n} parts"),
            };
            self.report(
                Diagnostic::new(
                    &slugs::MAP_CLASH,
                    format!("`{name}` has {} elsewhere", describe(known.len())),
                )
                .label(span, format!("here it has {}", describe(types.len())))
                .label(first, "first used here"),
            );
            return;
        }
        let joined: Option<Vec<Type>> =
            known.iter().zip(&types).map(|(a, b)| a.join(b).map(|t| t.stored())).collect();
        let Some(joined) = joined else {
            let clash = known.iter().zip(&types).find(|(a, b)| a.join(b).is_none());
            let (was, is) = clash.map(|(a, b)| (self.describe(a), self.describe(b))).unwrap_or_default();
            let (name, first) = (self.map_name(map).to_owned(), self.maps[map].first);
            self.report(
                Diagnostic::new(&slugs::MAP_CLASH, format!("the keys of `{name}` do not fit together"))
                    .label(span, format!("here {is}"))
                    .label(first, format!("here {was}")),
            );
            return;
        };
        if joined != known {
            self.maps[map].key = Some(joined);
            self.changed = true;
        }
    }

    /// Notes that a plain value is stored.
    pub(super) fn store_plain(&mut self, map: usize, ty: &Type, span: Span) {
        let state = &mut self.maps[map];
        state.first_store.get_or_insert(span);
        let kept = ty.kept();
        let joined = match &state.value {
            MapKind::Unknown => Some(kept),
            MapKind::Plain(known) => known.join(&kept),
            _ => None,
        };
        match joined {
            Some(joined) => self.set_kind(map, MapKind::Plain(joined)),
            None => {
                let what = self.describe(ty);
                self.kind_clash(map, &what, span);
            }
        }
    }

    /// Notes that an aggregation collects values.
    pub(super) fn store_aggregate(&mut self, map: usize, kind: MapKind, span: Span) {
        let state = &mut self.maps[map];
        state.first_store.get_or_insert(span);
        let joined = match (&state.value, kind) {
            (MapKind::Unknown, kind) => kind,
            (known, kind) if *known == kind => kind,
            (MapKind::Sum { .. }, MapKind::Sum { .. }) => MapKind::Sum { signed: true },
            (MapKind::Min { .. }, MapKind::Min { .. }) => MapKind::Min { signed: true },
            (MapKind::Max { .. }, MapKind::Max { .. }) => MapKind::Max { signed: true },
            (MapKind::Avg { .. }, MapKind::Avg { .. }) => MapKind::Avg { signed: true },
            (MapKind::Stats { .. }, MapKind::Stats { .. }) => MapKind::Stats { signed: true },
            (_, kind) => {
                self.kind_clash(map, kind.name(), span);
                return;
            }
        };
        self.set_kind(map, joined);
    }

    /// Notes that something of unknown type is stored.
    pub(super) fn note_store(&mut self, map: usize, span: Span) {
        self.maps[map].first_store.get_or_insert(span);
    }

    fn set_kind(&mut self, map: usize, kind: MapKind) {
        if self.maps[map].value != kind {
            self.maps[map].value = kind;
            self.changed = true;
        }
    }

    fn kind_clash(&mut self, map: usize, what: &str, span: Span) {
        let state = &self.maps[map];
        let first = state.first_store.unwrap_or(state.first);
        let was = match &state.value {
            MapKind::Plain(ty) => self.describe(ty),
            kind => format!("`{}`", kind.name()),
        };
        let same = matches!(&state.value, MapKind::Hist { .. } | MapKind::Lhist { .. })
            && was.trim_matches('`') == what;
        let what = if what.ends_with("()") { format!("`{what}`") } else { what.to_owned() };
        let name = self.map_name(map).to_owned();
        let fact = if same { "here with other arguments".to_owned() } else { format!("here {what}") };
        self.report(
            Diagnostic::new(&slugs::MAP_CLASH, format!("`{name}` holds {was} elsewhere"))
                .label(span, fact)
                .label(first, format!("here {was}"))
                .help("use two maps with different names"),
        );
    }

    /// Reports a map that is read or printed but never filled; whether it is filled.
    pub(super) fn is_filled(&mut self, map: usize, span: Span) -> bool {
        if self.maps[map].first_store.is_some() {
            return true;
        }
        if !self.is_whole {
            return false;
        }
        let name = self.map_name(map).to_owned();
        let filled: Vec<&str> =
            self.maps.iter().filter(|(_, s)| s.first_store.is_some()).map(|(n, _)| n.as_str()).collect();
        let near: Vec<String> = nearest(&name, filled, 1).into_iter().map(str::to_owned).collect();
        let mut diagnostic =
            Diagnostic::new(&slugs::UNSET_MAP, format!("nothing is ever stored in `{name}`"))
                .label(span, "so there is nothing to read");
        if let Some(near) = near.first() {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic);
        false
    }

    /// The value of an entry.
    pub(super) fn read_map(&mut self, access: &MapAccess, span: Span) -> Expr {
        let map = self.map(&access.name);
        let key = self.map_key(map, access.key.as_deref(), span);
        if !self.is_filled(map, access.name.span) {
            return Expr::error(span);
        }
        let ty = match self.map_value(map) {
            MapKind::Unknown => Type::Unknown,
            MapKind::Plain(ty) => ty.clone(),
            MapKind::Count => Type::U64,
            MapKind::Sum { signed }
            | MapKind::Min { signed }
            | MapKind::Max { signed }
            | MapKind::Avg { signed } => Type::Int { bytes: 8, signed: *signed },
            kind => {
                let (name, kind) = (self.map_name(map).to_owned(), kind.name());
                return self.mismatch(
                    span,
                    format!("`{name}` is a collection made by `{kind}`"),
                    "it has no single value to read",
                );
            }
        };
        if ty.is_unknown() {
            return Expr::error(span);
        }
        Expr::new(ExprKind::MapRead { map, key }, ty, span)
    }

    /// The maps with their final types.
    pub(super) fn finished_maps(&mut self) -> Vec<hir::Map> {
        let maps = std::mem::take(&mut self.maps);
        maps.into_iter()
            .map(|(name, state)| {
                let limit = self.map_limits.get(&name).copied();
                let (max_entries, lru) = limit.unwrap_or((self.settings.max_map_keys, false));
                let key = state.key.unwrap_or_default();
                hir::Map { name, key, value: state.value, max_entries, lru }
            })
            .collect()
    }

    /// Reports maps whose entries are too large for the kernel.
    pub(super) fn check_map_sizes(&mut self) {
        let mut wrong = Vec::new();
        for (name, state) in &self.maps {
            let key = state.key.as_deref().unwrap_or_default();
            let key_bytes = self.shapes.layout(key).1;
            let value_bytes = match &state.value {
                MapKind::Plain(ty) => self.shapes.stored_bytes(ty),
                _ => 0,
            };
            if key_bytes.max(value_bytes) > MAX_ENTRY_BYTES {
                let what = if key_bytes > value_bytes { "key" } else { "value" };
                let bytes = key_bytes.max(value_bytes);
                wrong.push(
                    Diagnostic::new(&slugs::TOO_LARGE, format!("the {what} of `{name}` takes {bytes} bytes"))
                        .label(state.first, format!("at most {MAX_ENTRY_BYTES} bytes are possible")),
                );
            }
        }
        wrong.into_iter().for_each(|diagnostic| self.report(diagnostic));
    }
}
