//! `Btf`: one opened BTF, alone or split from a base.
//!
//! The handle that everybody else holds. It is cheap to clone and to share between threads. Questions about types are
//! answered by the other modules of this room; here are only opening and the plainest look-ups.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::header::ByteOrder;
use crate::kind::{Kind, TypeId};
use crate::name_cache::NameCache;
use crate::record::Part;

/// Opened BTF. Cloning is cheap: clones share the bytes and what was looked up.
#[derive(Clone)]
pub struct Btf {
    pub(crate) part: Arc<Part>,
    pub(crate) cache: Arc<NameCache>,
}

impl Btf {
    /// Opens BTF that stands alone: a kernel's, or the `.BTF` section of an object file. The bytes are kept, not copied;
    /// they are walked once to check their frame, and decoded only when asked for. Either byte order is read.
    ///
    /// # Errors
    /// If header, sections or the frame of any type are wrong. What single types say is checked when they are read.
    pub fn parse(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Btf, Error> {
        Btf::open(Box::new(bytes), None)
    }

    /// Opens split BTF, such as a kernel module's, whose type numbers and strings continue those of `base`.
    ///
    /// # Errors
    /// As [`Btf::parse`]; and if it does not fit the base.
    pub fn parse_split(bytes: impl AsRef<[u8]> + Send + Sync + 'static, base: &Btf) -> Result<Btf, Error> {
        Btf::open(Box::new(bytes), Some(base.part.clone()))
    }

    fn open(owner: Box<dyn AsRef<[u8]> + Send + Sync>, base: Option<Arc<Part>>) -> Result<Btf, Error> {
        Ok(Btf { part: Arc::new(Part::open(owner, base)?), cache: Arc::default() })
    }

    /// The bytes that this BTF was opened from, without its base.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.part.bytes()
    }

    /// One past the highest type number, the base included: numbers run from 0 (`void`) to here.
    #[must_use]
    pub fn end(&self) -> TypeId {
        TypeId(self.part.end_id)
    }

    /// The first type number that is not the base's; 1 where there is no base.
    #[must_use]
    pub fn first_own(&self) -> TypeId {
        TypeId(self.part.first_id)
    }

    /// The byte order of the numbers in this BTF.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.part.order()
    }

    /// The kind of type `id`.
    ///
    /// # Errors
    /// If there is no such type, or its kind is not known.
    pub fn kind(&self, id: TypeId) -> Result<Kind, Error> {
        self.part.record(id)?.kind()
    }

    /// The name of type `id` as it is recorded, without `struct`; empty for anonymous types.
    ///
    /// # Errors
    /// If there is no such type, or its name is not a string.
    pub fn name(&self, id: TypeId) -> Result<&str, Error> {
        self.part.record(id)?.name()
    }

    /// The string at `offset` of the string section, the base's strings included.
    ///
    /// # Errors
    /// If no string starts there; the error names type `void`.
    pub fn string(&self, offset: u32) -> Result<&str, Error> {
        self.part.string(offset).ok_or(Error::BadName { id: TypeId::VOID, offset })
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("first_own", &self.part.first_id)
            .field("end", &self.part.end_id)
            .finish_non_exhaustive()
    }
}
