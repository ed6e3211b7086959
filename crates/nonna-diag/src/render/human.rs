//! The form for people: the user's own lines with the place marked.
//!
//! The drawing is `annotate-snippets`'; nothing of it appears in this room's interface.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Severity, Step};
use crate::source::{Source, SourceId, Sources, Span};

pub(super) fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool, width: usize) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(width.max(40)).decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for (n, diagnostic) in diagnostics.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        out.push_str(&renderer.render(&groups(diagnostic, sources)));
        out.push('\n');
    }
    out
}

fn groups<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Vec<Group<'a>> {
    let title =
        level(diagnostic.severity).primary_title(diagnostic.message.as_str()).id(diagnostic.slug.name);
    let mut group = Group::with_title(title);
    for (id, source) in involved(diagnostic, sources) {
        let annotations =
            diagnostic.labels.iter().enumerate().filter(|(_, l)| l.span.source == id).map(|(n, label)| {
                let kind = if n == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let text = (!label.message.is_empty()).then_some(label.message.as_str());
                kind.span(range(label.span, source)).label(text)
            });
        group = group.element(Snippet::source(source.text()).path(source.name()).annotations(annotations));
    }
    let located = !diagnostic.path.is_empty() && diagnostic.path.iter().all(|step| step.span.is_some());
    let mut lines = String::new();
    if !located {
        for (n, step) in (1..).zip(&diagnostic.path) {
            lines.push_str(&format!("\n{n}. {}{}", place(step, sources), step.message));
        }
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if !lines.is_empty() {
        group = group.element(Level::NOTE.message(format!("{HOW}{lines}")));
    }
    let mut groups = Vec::new();
    if located {
        groups.push(way(diagnostic, sources));
    }
    let fix = diagnostic.fix.as_ref().and_then(|fix| Some((fix, sources.get(fix.span.source)?)));
    let Some((fix, source)) = fix else {
        let group = diagnostic.help.iter().fold(group, |g, h| g.element(Level::HELP.message(h.as_str())));
        groups.insert(0, group);
        return groups;
    };
    // The last help says what the edit does; without one, the edit speaks for itself.
    let (headline, others) = match diagnostic.help.split_last() {
        Some((last, others)) => (last.as_str(), others),
        None => ("write this instead", &[][..]),
    };
    let group = others.iter().fold(group, |g, h| g.element(Level::HELP.message(h.as_str())));
    let patch = Patch::new(range(fix.span, source), fix.replacement.as_str());
    let snippet = Snippet::source(source.text()).path(source.name()).patch(patch);
    groups.insert(0, group);
    groups.push(Group::with_title(Level::HELP.secondary_title(headline)).element(snippet));
    groups
}

/// What stands above the way there.
const HOW: &str = "how it comes there";

/// The way there, marked in the text.
fn way<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let mut group = Group::with_title(Level::NOTE.secondary_title(HOW));
    let spans = || diagnostic.path.iter().filter_map(|step| step.span);
    let mut seen: Vec<SourceId> = Vec::new();
    for id in spans().map(|span| span.source) {
        let Some(source) = sources.get(id).filter(|_| !seen.contains(&id)) else { continue };
        seen.push(id);
        let annotations = (1..).zip(&diagnostic.path).filter_map(|(n, step)| {
            let span = step.span.filter(|span| span.source == id)?;
            let label = format!("{n}. {}", step.message);
            Some(AnnotationKind::Context.span(range(span, source)).label(label))
        });
        group = group.element(Snippet::source(source.text()).path(source.name()).annotations(annotations));
    }
    group
}

/// The place of a step in front of its text, where there is one.
fn place(step: &Step, sources: &Sources) -> String {
    let found = step.span.and_then(|span| Some((sources.get(span.source)?, span)));
    found.map_or_else(String::new, |(source, span)| {
        format!("{}:{}: ", source.name(), source.line_column(span.start).line)
    })
}

/// The sources that the labels are in, that of the primary label first, each once.
fn involved<'a>(diagnostic: &Diagnostic, sources: &'a Sources) -> Vec<(SourceId, &'a Source)> {
    let mut seen: Vec<(SourceId, &Source)> = Vec::new();
    for label in &diagnostic.labels {
        let id = label.span.source;
        if let (false, Some(source)) = (seen.iter().any(|(s, _)| *s == id), sources.get(id)) {
            seen.push((id, source));
        }
    }
    seen
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// The span as a range that lies in the text and on character boundaries.
fn range(span: Span, source: &Source) -> Range<usize> {
    let text = source.text();
    let floor = |offset: u32| {
        let mut at = (offset as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}
