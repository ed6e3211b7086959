//! Field paths: `task_struct.real_parent->tgid` as text.
//!
//! A path names a type and walks from it by `.member`, `->member` and `[index]`. The answer is one [`FieldAccess`] for
//! each pointer on the way, which is what code generation needs: add, load, add, load.

use std::ops::Range;

use crate::error::Error;
use crate::field::FieldAccess;
use crate::file::Btf;
use crate::kind::TypeId;

/// A resolved field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// The type that the path starts from.
    pub root: TypeId,
    /// One access for each load, at least one: the first from the start of `root`, each other from the pointer that the one
    /// before loads. The last is the field itself.
    pub hops: Vec<FieldAccess>,
}

/// One step of a path's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'t> {
    Member(&'t str),
    Arrow(&'t str),
    Index(u64),
}

impl Btf {
    /// Resolves a path such as `task_struct.real_parent->tgid` or `struct task_struct.comm[0]`. It starts with a type's
    /// name (see [`Btf::find_type`]); `.` reaches into the value, `->` follows a pointer, `[n]` takes an array's element.
    ///
    /// # Errors
    /// [`Error::PathSyntax`] if the text is malformed, [`Error::UnknownTypeName`] if the type is not there,
    /// [`Error::PathStep`] with place and reason if a step fails.
    pub fn resolve_path(&self, text: &str) -> Result<FieldPath, Error> {
        let mut steps = Steps { text, at: 0 };
        let name = steps.root()?;
        let root = self.find_type(name).ok_or_else(|| Error::UnknownTypeName { name: name.into() })?;
        let mut hops = Vec::new();
        let mut now = self.whole(root)?;
        while let Some((span, step)) = steps.next_step()? {
            let failed = |source| Error::PathStep {
                span: span.clone(),
                step: text[span.clone()].into(),
                source: Box::new(source),
            };
            now = match step {
                Step::Member(name) => self.member(now.type_id, name).and_then(|inner| now.then(inner)),
                Step::Index(index) => self.element(now.type_id, index).and_then(|inner| now.then(inner)),
                Step::Arrow(name) => self.deref(now.type_id).and_then(|target| {
                    hops.push(now);
                    self.member(target, name)
                }),
            }
            .map_err(failed)?;
        }
        hops.push(now);
        Ok(FieldPath { root, hops })
    }
}

/// Reads steps off a path's text.
struct Steps<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Steps<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn syntax<T>(&self, expected: &'static str) -> Result<T, Error> {
        Err(Error::PathSyntax { at: self.at, expected })
    }

    fn word(&mut self) -> Result<&'t str, Error> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if len == 0 {
            return self.syntax("a name");
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// The type's name, with `struct ` or its like in front.
    fn root(&mut self) -> Result<&'t str, Error> {
        let len = self.text.find(['.', '-', '[']).unwrap_or(self.text.len());
        let name = self.text[..len].trim();
        if name.is_empty() {
            return self.syntax("a type's name");
        }
        self.at = len;
        Ok(name)
    }

    fn next_step(&mut self) -> Result<Option<(Range<usize>, Step<'t>)>, Error> {
        let start = self.at;
        let rest = self.rest();
        let step = if rest.is_empty() {
            return Ok(None);
        } else if rest.starts_with("->") {
            self.at += 2;
            Step::Arrow(self.word()?)
        } else if rest.starts_with('.') {
            self.at += 1;
            Step::Member(self.word()?)
        } else if rest.starts_with('[') {
            self.at += 1;
            let digits = self.rest().find(']').map(|len| &self.rest()[..len]);
            let Some(index) = digits.and_then(|digits| digits.parse().ok()) else {
                return self.syntax("a number and `]`");
            };
            self.at += digits.map_or(0, str::len) + 1;
            Step::Index(index)
        } else {
            return self.syntax("`.`, `->` or `[`");
        };
        Ok(Some((start..self.at, step)))
    }
}
