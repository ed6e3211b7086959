//! Slugs: readable, workspace-unique names of kinds of diagnostics.
//!
//! Each room declares its own with [`declare_slugs!`](crate::declare_slugs); the page
//! `docs/diagnostics/<slug>.md` is part of the declaration, so a slug without a page does not compile.

use crate::diagnostic::Severity;

/// A kind of diagnostic.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct SlugInfo {
    /// Kebab-case name, unique in the workspace.
    pub name: &'static str,
    /// Usual severity.
    pub severity: Severity,
    /// One line: what is wrong when this appears.
    pub summary: &'static str,
    /// The page that `nonna explain` prints: What, Why, Example, Fix.
    pub page: &'static str,
}

/// Declares the slugs of a room as `pub static` items and collects them in `SLUGS`.
///
/// ```text
/// nonna_diag::declare_slugs! {
///     /// Two types that do not go together.
///     TYPE_MISMATCH = "type-mismatch", Error, "two types that do not go together";
/// }
/// ```
#[macro_export]
macro_rules! declare_slugs {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $severity:ident, $summary:literal;)+) => {
        $($(#[$doc])* pub static $name: $crate::SlugInfo = $crate::SlugInfo {
            name: $slug,
            severity: $crate::Severity::$severity,
            summary: $summary,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagnostics/", $slug, ".md")),
        };)+
        /// Every slug of this room, in the order of declaration.
        pub static SLUGS: &[&$crate::SlugInfo] = &[$(&$name),+];
    };
}
