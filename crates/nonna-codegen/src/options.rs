//! What the caller of code generation may choose.

use nonna_bpf::IsaLevel;
use nonna_diag::Sources;
use nonna_event::Ring;

/// How members of kernel structures are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KernelLoads {
    /// By plain loads where the verifier knows the pointer's type, else by checked copies.
    #[default]
    Direct,
    /// As `Direct`, for the running kernel: where its types have `bpf_rdonly_cast` (Linux 6.2) and the licence allows
    /// kernel functions, chains of pointers begin at a cast, which spares the verifier from judging how much each
    /// pointer can be trusted. From Linux 6.3 to 6.18 it looks through all types of the kernel for each such verdict
    /// (`btf_nested_type_is_trusted` in kernel/bpf/btf.c). Modules that load few pointers are left alone: finding the
    /// function takes as long. The object holds ids of this kernel's types and cannot be written to a file; the kernel
    /// must have its just-in-time compiler on.
    Cast,
    /// By checked copies only: for a kernel whose verifier refuses a direct load.
    Checked,
}

/// Choices of one compilation.
#[derive(Debug, Clone)]
pub struct Options<'s> {
    /// Licence that the object declares; tracing helpers want one compatible with the GPL.
    pub license: String,
    /// Highest instruction set version used, whatever the target takes.
    pub isa_cap: IsaLevel,
    /// The user's texts, for source lines in the kernel's log; without them there are none.
    pub sources: Option<&'s Sources>,
    /// Bytes of the ring for what must not be lost; a power of two and at least a page.
    pub critical_ring_bytes: u32,
    /// Bytes of the ring for the rest; a power of two and at least a page.
    pub volume_ring_bytes: u32,
    /// How often a program may interrupt itself on one processor before it runs out of scratch memory; at least 3.
    pub scratch_entries: u32,
    /// How members of kernel structures are read.
    pub kernel_loads: KernelLoads,
}

impl Options<'_> {
    /// Bytes of a ring.
    pub const fn ring_bytes(&self, ring: Ring) -> u32 {
        match ring {
            Ring::Critical => self.critical_ring_bytes,
            Ring::Volume => self.volume_ring_bytes,
        }
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            license: "GPL".to_owned(),
            isa_cap: IsaLevel::V4,
            sources: None,
            critical_ring_bytes: 4 << 20,
            volume_ring_bytes: 8 << 20,
            scratch_entries: 3,
            kernel_loads: KernelLoads::Direct,
        }
    }
}
