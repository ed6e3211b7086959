//! Why a module could not become an object for a target.

use nonna_bpf::Unsupported;
use nonna_diag::Span;

/// What code generation cannot do. A front end's module that the validator accepts fails only for what the target
/// lacks, or for what is too large for the kernel.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CodegenError {
    /// The kernel's types lack one that a construct needs.
    #[error("the kernel's type information has no `{path}`, which {needed_for} needs")]
    MissingType {
        /// Type or member path, such as `dentry.d_parent`.
        path: String,
        /// What needs it, in words.
        needed_for: &'static str,
    },
    /// The kernel's types cannot be read.
    #[error("the kernel's type information cannot be read")]
    Btf(#[from] nonna_btf::Error),
    /// A field of an event cannot be made from the source that the module gives.
    #[error("field `{field}` of event `{event}` cannot be made from {given}")]
    FieldSource {
        /// Event.
        event: String,
        /// Field.
        field: String,
        /// The source, in words.
        given: &'static str,
    },
    /// No system call of this name on this machine.
    #[error("there is no system call `{name}`")]
    UnknownSyscall {
        /// Name as the module has it.
        name: String,
    },
    /// The kernel does not offer what a hook or an instruction needs.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The kernel has no such place to attach to.
    #[error("this kernel has no {kind} `{name}`")]
    UnknownHook {
        /// Such as `function`, `security hook`, `iterator`.
        kind: &'static str,
        /// Name as the module has it.
        name: String,
    },
    /// What a program reads is not there at its hook.
    #[error("program `{function}` reads {what}, which its hook does not give")]
    NotAtHook {
        /// Program.
        function: String,
        /// In words, such as `argument 7` or `a return value`.
        what: String,
        /// Where in the user's text.
        span: Option<Span>,
    },
    /// Functions need more private memory together than the kernel's stack of 512 bytes holds.
    #[error("`{function}` and what it calls need {bytes} bytes of stack, {limit} are there")]
    StackOverflow {
        /// The outermost function.
        function: String,
        /// Bytes needed.
        bytes: u32,
        /// Bytes that the kernel gives.
        limit: u32,
        /// What needs most, in the user's text.
        span: Option<Span>,
    },
    /// Private memory that does not fit into scratch memory either.
    #[error("`{function}` needs {bytes} bytes in one piece, at most {limit} can be had")]
    SlotTooLarge {
        /// Function.
        function: String,
        /// Bytes needed.
        bytes: u32,
        /// Most bytes of one piece.
        limit: u32,
        /// What needs them, in the user's text.
        span: Option<Span>,
    },
    /// A program is longer than the kernel takes or than jumps reach.
    #[error("program `{function}` has {insns} instructions, {limit} are the limit")]
    ProgramTooLarge {
        /// Program.
        function: String,
        /// Instructions.
        insns: usize,
        /// The limit.
        limit: usize,
    },
    /// A function calls itself, directly or through others.
    #[error("function `{function}` calls itself")]
    Recursion {
        /// Function.
        function: String,
        /// Where in the user's text.
        span: Option<Span>,
    },
    /// The module breaks a rule of the intermediate representation: a bug in who made it.
    #[error("the module is not valid: {0}")]
    InvalidModule(String),
}

impl CodegenError {
    /// The place in the user's text that is to blame, where one is.
    pub fn span(&self) -> Option<Span> {
        match self {
            CodegenError::NotAtHook { span, .. }
            | CodegenError::StackOverflow { span, .. }
            | CodegenError::SlotTooLarge { span, .. }
            | CodegenError::Recursion { span, .. } => *span,
            _ => None,
        }
    }
}
