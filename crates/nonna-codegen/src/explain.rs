//! Errors of code generation that the user's text is to blame for, as diagnostics.

use nonna_diag::{Diagnostic, SlugInfo};

use crate::error::CodegenError;

nonna_diag::declare_slugs! {
    /// More private memory than a program has.
    TOO_MUCH_MEMORY = "too-much-memory", Error, "a program needs more private memory than it can have";
    /// More instructions than the kernel takes.
    PROGRAM_TOO_LARGE = "program-too-large", Error, "a program is longer than the kernel takes";
    /// A hook that does not give what is read.
    NOT_AT_HOOK = "not-at-hook", Error, "this place does not know what is asked for";
    /// No such place in this kernel.
    NO_SUCH_HOOK = "no-such-hook", Error, "this kernel has no such place to attach to";
    /// The kernel lacks a feature.
    MISSING_FEATURE = "missing-feature", Error, "this kernel lacks what the script needs";
    /// The kernel's types lack something.
    MISSING_TYPE = "missing-type", Error, "this kernel's type information lacks what the script needs";
}

impl CodegenError {
    /// The diagnostic for the user; `None` where the error is a bug of ours.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let (slug, help): (&'static SlugInfo, &str) = match self {
            Self::StackOverflow { .. } | Self::SlotTooLarge { .. } => {
                (&TOO_MUCH_MEMORY, "use shorter strings, fewer variables or smaller keys")
            }
            Self::ProgramTooLarge { .. } => (&PROGRAM_TOO_LARGE, "split the work between several probes"),
            Self::NotAtHook { .. } => (&NOT_AT_HOOK, "`nonna list -v` shows what each place gives"),
            Self::UnknownHook { .. } | Self::UnknownSyscall { .. } => {
                (&NO_SUCH_HOOK, "`nonna list` shows what this kernel has")
            }
            Self::Unsupported(_) => {
                (&MISSING_FEATURE, "`nonna doctor` tells what this kernel offers instead")
            }
            Self::MissingType { .. } => {
                (&MISSING_TYPE, "`nonna list -v` shows the types that this kernel has")
            }
            Self::Btf(_) | Self::FieldSource { .. } | Self::Recursion { .. } | Self::InvalidModule(_) => {
                return None;
            }
        };
        let diagnostic = Diagnostic::new(slug, self.to_string()).help(help);
        Some(match self.span() {
            Some(span) => diagnostic.label(span, "asked for here"),
            None => diagnostic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_errors_have_a_slug_and_our_bugs_have_none() {
        let slug = |error: CodegenError| error.diagnostic().map(|d| d.slug.name);
        let function = || "f".to_owned();
        let stack = CodegenError::StackOverflow { function: function(), bytes: 600, limit: 512, span: None };
        assert_eq!(slug(stack), Some("too-much-memory"));
        let large = CodegenError::ProgramTooLarge { function: function(), insns: 2, limit: 1 };
        assert_eq!(slug(large), Some("program-too-large"));
        let hook = CodegenError::NotAtHook { function: function(), what: "x".to_owned(), span: None };
        assert_eq!(slug(hook), Some("not-at-hook"));
        assert_eq!(slug(CodegenError::UnknownSyscall { name: "opne".to_owned() }), Some("no-such-hook"));
        let missing = CodegenError::MissingType { path: "a.b".to_owned(), needed_for: "paths" };
        assert_eq!(slug(missing), Some("missing-type"));
        let feature = nonna_bpf::Feature::Fentry;
        let unsupported = nonna_bpf::Unsupported { feature, found: "EPERM".to_owned() };
        assert_eq!(slug(CodegenError::Unsupported(unsupported)), Some("missing-feature"));
        assert_eq!(slug(CodegenError::InvalidModule(String::new())), None);
    }
}
