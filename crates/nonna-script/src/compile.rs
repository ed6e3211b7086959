//! The door of this room: source text in, module and host data or diagnostics out.

use nonna_bpf::Target;
use nonna_diag::{Diagnostic, SourceId, Sources, Span};
use nonna_ir::Module;

use crate::check::check;
use crate::host_data::ScriptHost;
use crate::options::Options;
use crate::parser::parse;
use crate::slugs;

/// Bytes of the longest script. The longest that people share have some 20 KiB; what is longer is no script, and its mistakes
/// would fill the screen.
const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// A compiled script: what runs in the kernel and what is decided in user space.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The kernel's side.
    pub module: Module,
    /// User space's side.
    pub host: ScriptHost,
}

/// Compiles the script `id` of `sources`. The result is there where no diagnostic is an error.
///
/// Deterministic: the same text, target and options give the same result.
pub fn compile(
    sources: &Sources,
    id: SourceId,
    target: &Target,
    options: &Options,
) -> (Option<Compiled>, Vec<Diagnostic>) {
    let Some(source) = sources.get(id) else { return (None, Vec::new()) };
    if source.text().len() > MAX_SCRIPT_BYTES {
        let span = Span::new(id, 0, 0);
        let diagnostic =
            Diagnostic::new(&slugs::TOO_LARGE, format!("a script has at most {MAX_SCRIPT_BYTES} bytes"))
                .label(span, format!("this text has {}", source.text().len()))
                .help("is this a script? divide it into several");
        return (None, vec![diagnostic]);
    }
    let (script, mut diagnostics) = parse(id, source.text());
    let is_whole = diagnostics.is_empty();
    if is_whole && script.probes.is_empty() {
        let end = source.text().len();
        let diagnostic = Diagnostic::new(&slugs::UNEXPECTED_TOKEN, "the script has no probes")
            .label(Span::new(id, end, end), "it ends here, so nothing would ever run")
            .help("write one such as `BEGIN { printf(\"hello\\n\"); }`");
        return (None, vec![diagnostic]);
    }
    let place_of = |span: Span| {
        let at = source.line_column(span.start);
        (at.line, at.column)
    };
    let (checked, found) = check(&script, target, options, &place_of, is_whole);
    diagnostics.extend(found);
    diagnostics.sort_by_key(|d| d.primary().map(|span| span.start));
    match checked {
        Some(checked) if is_whole => (Some(crate::lower::lower(checked, target)), diagnostics),
        _ => (None, diagnostics),
    }
}
