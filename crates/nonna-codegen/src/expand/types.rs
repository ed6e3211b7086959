//! Kernel structures that expansions look into, by the target's type information.

use nonna_bpf::MemSize;
use nonna_btf::{Kind, TypeId};
use nonna_ir::{Bits, KernelField, Region, Type};

use super::Expander;
use crate::CodegenError;

/// Neighbouring members that one checked copy reads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes from the structure's start.
    pub offset: u32,
    /// Bytes.
    pub bytes: u32,
}

/// Members this far apart are still read together; a checked copy costs the same for 8 and for 200 bytes.
const CHUNK_MAX_BYTES: u32 = 256;

impl Expander<'_> {
    /// Looks these structures up in one pass; later questions about them are cheap.
    pub fn expect_structs(&self, names: &[&str]) {
        let wanted: Vec<(Kind, &str)> = names.iter().map(|name| (Kind::Struct, *name)).collect();
        self.target.btf.find_many(&wanted);
    }

    /// A structure's type.
    pub fn structure(&self, name: &str, needed_for: &'static str) -> Result<TypeId, CodegenError> {
        self.target
            .btf
            .find(Kind::Struct, name)
            .ok_or_else(|| CodegenError::MissingType { path: name.to_owned(), needed_for })
    }

    /// A pointer to a kernel structure of this name.
    pub fn pointer_to(&self, name: &str, needed_for: &'static str) -> Result<Type, CodegenError> {
        Ok(Type::Pointer(Region::Kernel(Some(self.structure(name, needed_for)?))))
    }

    /// A member, by a path such as `f_path.dentry`.
    pub fn member(
        &self,
        structure: &str,
        path: &str,
        needed_for: &'static str,
    ) -> Result<KernelField, CodegenError> {
        let id = self.structure(structure, needed_for)?;
        let missing = || CodegenError::MissingType { path: format!("{structure}.{path}"), needed_for };
        let mut access = self.target.btf.whole(id)?;
        for name in path.split('.') {
            let inner = self.target.btf.member(access.type_id, name).map_err(|_| missing())?;
            access = access.then(inner)?;
        }
        let size = u32::try_from(access.size_bytes).ok().and_then(MemSize::from_bytes);
        Ok(KernelField {
            container: Some(id),
            offset: access.byte_offset,
            // A member that is itself a structure is asked for its offset only.
            size: size.unwrap_or(MemSize::DW),
            signed: access.is_signed,
            bits: access.bits.map(|bits| Bits { shift: bits.shift, width: bits.width }),
        })
    }

    /// The stretch that holds all these members.
    pub fn chunk(
        &self,
        structure: &str,
        paths: &[&str],
        needed_for: &'static str,
    ) -> Result<Chunk, CodegenError> {
        let mut start = u32::MAX;
        let mut end = 0;
        for path in paths {
            let field = self.member(structure, path, needed_for)?;
            start = start.min(field.offset);
            end = end.max(field.offset + field.size.bytes());
        }
        let bytes = end.saturating_sub(start);
        if bytes > CHUNK_MAX_BYTES {
            let path = format!("{structure} with {} near each other", paths.join(", "));
            return Err(CodegenError::MissingType { path, needed_for });
        }
        Ok(Chunk { offset: start, bytes })
    }
}
