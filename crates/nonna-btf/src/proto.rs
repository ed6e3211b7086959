//! Function prototypes: parameters of functions, tracepoints, LSM hooks and iterators.
//!
//! The kernel's conventions for where these are found in its BTF live here: `btf_trace_X`, `__traceiter_X`,
//! `bpf_lsm_X`, `bpf_iter__X` (include/trace/bpf_probe.h, include/linux/tracepoint.h, include/linux/bpf_lsm.h,
//! include/linux/bpf.h).

use crate::error::Error;
use crate::file::Btf;
use crate::kind::{Kind, TypeId};
use crate::types::{Param, Type};

/// Parameters and return type of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prototype<'a> {
    /// What was asked for by name: the [`Type::Func`]; else the [`Type::FuncProto`].
    pub id: TypeId,
    /// Its parameters in order; names can be empty.
    pub params: Vec<Param<'a>>,
    /// What it returns; `void` is [`TypeId::VOID`].
    pub return_type: TypeId,
    /// It takes more arguments after the parameters.
    pub is_variadic: bool,
}

/// A tracepoint that programs can attach to with typed arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracepoint<'a> {
    /// The typedef `btf_trace_X`: what a program names as its attach type.
    pub id: TypeId,
    /// Its arguments as a program sees them: the kernel's own first one (`void *__data`) is left out.
    pub args: Vec<Param<'a>>,
}

impl Btf {
    /// The prototype of type `id`: a function, a function prototype, or a typedef of or pointer to one.
    ///
    /// # Errors
    /// If it is none of these, or cannot be read.
    pub fn prototype(&self, id: TypeId) -> Result<Prototype<'_>, Error> {
        let not_a_function = || Error::NotAFunction { id, found: self.type_name(id) };
        let mut at = self.skip_modifiers(id)?;
        if let Some(pointer) = self.pointer(at)? {
            at = self.skip_modifiers(pointer.target)?;
        }
        let proto = match self.ty(at)? {
            Type::Func(func) => func.proto,
            _ => at,
        };
        let Type::FuncProto(found) = self.ty(proto)? else { return Err(not_a_function()) };
        let mut params: Vec<Param<'_>> = found.params().collect();
        let is_variadic =
            params.pop_if(|last| last.type_id == TypeId::VOID && last.name.is_empty()).is_some();
        Ok(Prototype { id: at, params, return_type: found.return_type, is_variadic })
    }

    /// The prototype of the function `name`.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn function(&self, name: &str) -> Result<Option<Prototype<'_>>, Error> {
        self.find(Kind::Func, name).map(|id| self.prototype(id)).transpose()
    }

    /// The tracepoint `name` with its arguments. Types come from the typedef `btf_trace_NAME`, whose parameters have no
    /// names; these come from the function `__traceiter_NAME`, which is declared with the same list.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn tracepoint(&self, name: &str) -> Result<Option<Tracepoint<'_>>, Error> {
        let (typedef, traceiter) = (format!("btf_trace_{name}"), format!("__traceiter_{name}"));
        let found = self.find_many(&[(Kind::Typedef, &typedef), (Kind::Func, &traceiter)]);
        let Some(id) = found[0] else { return Ok(None) };
        let mut args = self.prototype(id)?.params;
        if let Some(named) = found[1].map(|id| self.prototype(id)).transpose()?
            && named.params.len() == args.len()
        {
            for (arg, named) in args.iter_mut().zip(&named.params).filter(|(arg, _)| arg.name.is_empty()) {
                arg.name = named.name;
            }
        }
        args.drain(..args.len().min(1));
        Ok(Some(Tracepoint { id, args }))
    }

    /// The names of all tracepoints that [`Btf::tracepoint`] knows, in the order of the BTF.
    pub fn tracepoint_names(&self) -> impl Iterator<Item = &str> {
        self.find_with_prefix(Kind::Typedef, TRACEPOINT_PREFIX)
            .map(|(_, name)| &name[TRACEPOINT_PREFIX.len()..])
    }

    /// The LSM hook `name`, such as `file_open`: the function `bpf_lsm_NAME`.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn lsm_hook(&self, name: &str) -> Result<Option<Prototype<'_>>, Error> {
        self.function(&format!("bpf_lsm_{name}"))
    }

    /// The context of iterator `name`, such as `task`: the struct `bpf_iter__NAME`. Its fields ([`Btf::fields`]) are
    /// what a program of that iterator is given.
    #[must_use]
    pub fn iter_context(&self, name: &str) -> Option<TypeId> {
        self.find(Kind::Struct, &format!("bpf_iter__{name}"))
    }
}

const TRACEPOINT_PREFIX: &str = "btf_trace_";
