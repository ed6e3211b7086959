//! The diagnostic itself: what is wrong with a user's text, as data.
//!
//! It owns no renderer and is cheap to clone. Wording: a headline of at most 72 columns in the present tense,
//! code in backticks, no full stop, `expected X, found Y`; the primary label states the fact, `help` the action.

use crate::slug::SlugInfo;
use crate::source::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Probably not what was meant; work goes on.
    Warning,
    /// The text cannot be used as it is.
    Error,
}

/// A span with what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The fact at this place; may be empty.
    pub message: String,
}

/// A replacement that would mend the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What to replace; an empty span inserts.
    pub span: Span,
    /// The new text.
    pub replacement: String,
}

/// A step on the way to what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The place, where it is known.
    pub span: Option<Span>,
    /// What happens there.
    pub message: String,
}

/// Something wrong with, or worth knowing about, a user's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its kind, which has a page of its own.
    pub slug: &'static SlugInfo,
    /// How bad it is; [`SlugInfo::severity`] unless a caller decides otherwise.
    pub severity: Severity,
    /// The headline; makes sense alone.
    pub message: String,
    /// Places, the primary one first. Empty only where no text is to blame.
    pub labels: Vec<Label>,
    /// How it comes to that, in order, up to the primary place; empty where there is no way to tell of.
    pub path: Vec<Step>,
    /// Further facts.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Vec<String>,
    /// A mechanical mend, where there is exactly one obvious one.
    pub fix: Option<Edit>,
}

impl Diagnostic {
    /// A diagnostic of this kind with a headline and nothing else.
    pub fn new(slug: &'static SlugInfo, message: impl Into<String>) -> Self {
        Self {
            slug,
            severity: slug.severity,
            message: message.into(),
            labels: Vec::new(),
            path: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label { span, message: message.into() });
        self
    }

    /// Adds a step to the way there.
    #[must_use]
    pub fn step(mut self, span: Option<Span>, message: impl Into<String>) -> Self {
        self.path.push(Step { span, message: message.into() });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Sets the mechanical mend.
    #[must_use]
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Edit { span, replacement: replacement.into() });
        self
    }

    /// The primary place, if any text is to blame.
    pub fn primary(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }

    /// Whether it stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
