//! Contexts written down as JSON: what a program was, or shall be, run on.
//!
//! One object is one context. Its members are the fields of the program type's context, and beside them `packet`, `metadata`, `socket`,
//! `memory` and `args`. A member that nobody knows is an error that names those that there are. The JSON form is
//! documented in `docs/sandbox.md`. This folder makes no context itself.

mod typed;
mod value;

use nonna_bpf::{Program, ProgramType};
use nonna_btf::Btf;
use nonna_diag::{Diagnostic, SourceId, Span};
use nonna_verifier::context::{Holds, Layout, layout};
use serde_json::{Map, Value};

use crate::context::{ContextError, FieldValue, Input, SocketInput, Word, socket_fields};
use crate::slugs::{BAD_CONTEXT, NO_CONTEXT_FIELD};

pub use value::hex;

/// What a recording is read for.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The program that it is for.
    pub program: &'a Program,
    /// Types in which arguments are described, the kernel's where it is known.
    pub types: Option<&'a Btf>,
    /// Where the text stands.
    pub source: SourceId,
    /// The text.
    pub text: &'a str,
}

/// What is wrong with a part of a recording: the member, and what to say of it.
struct Wrong {
    member: String,
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(member: impl Into<String>, message: impl Into<String>) -> Wrong {
        Wrong { member: member.into(), message: message.into(), help: None }
    }
}

impl Reader<'_> {
    /// Reads the context.
    ///
    /// # Errors
    ///
    /// Diagnostics with everything that is wrong.
    pub fn read(&self) -> Result<Input, Vec<Diagnostic>> {
        let value: Value = serde_json::from_str(self.text).map_err(|error| vec![self.no_json(&error)])?;
        let Value::Object(members) = value else {
            let span = Span::new(self.source, 0, self.text.len());
            let message = "a context is a JSON object";
            return Err(vec![Diagnostic::new(&BAD_CONTEXT, message).label(span, "this is none")]);
        };
        let mut input = Input { attach_type: self.program.attach_type, ..Input::default() };
        let mut diagnostics = Vec::new();
        for (name, value) in &members {
            if let Err(diagnostic) = self.member(&mut input, name, value) {
                diagnostics.push(*diagnostic);
            }
        }
        if diagnostics.is_empty() { Ok(input) } else { Err(diagnostics) }
    }

    /// What a context's maker says against the input, at the member that it is about.
    pub fn refused(&self, error: &ContextError) -> Diagnostic {
        let member = match error {
            ContextError::NoSuchField { field, known, .. } => {
                return *self.unknown(field, known.iter().copied());
            }
            ContextError::Computed { field }
            | ContextError::TooMany { field, .. }
            | ContextError::TooLarge { field, .. } => field,
            ContextError::PacketTooShort { .. } => "packet",
            ContextError::Metadata { .. } => "metadata",
            ContextError::Unsupported { .. } => "",
        };
        *self.bad(&Wrong::new(member, error.to_string()))
    }

    fn member(&self, input: &mut Input, name: &str, value: &Value) -> Result<(), Box<Diagnostic>> {
        let bytes =
            |value: &Value| value::bytes(value).map_err(|message| self.bad(&Wrong::new(name, message)));
        match (name, layout(self.program.program_type, self.program.attach_type)) {
            ("packet" | "data", Layout::Fields { .. }) => input.packet = bytes(value)?,
            ("metadata", Layout::Fields { .. }) if has_metadata(self.program.program_type) => {
                input.metadata = bytes(value)?;
            }
            ("socket", Layout::Fields { table, .. })
                if table.fields.iter().any(|field| matches!(field.holds, Holds::Socket { .. })) =>
            {
                input.socket = self.socket(value)?;
            }
            ("memory", Layout::Bytes { .. }) => input.memory = bytes(value)?,
            ("args", Layout::Words { .. } | Layout::Arguments { .. }) => {
                let typed = typed::Arguments::of(self.program, self.types);
                (input.arguments, input.images) = typed.read(value).map_err(|wrong| self.bad(&wrong))?;
            }
            (_, Layout::Fields { table, .. }) => {
                let known = table.fields.iter().filter(|field| field.holds == Holds::Number);
                if !table.fields.iter().any(|field| field.name == name) {
                    let beside = beside(table.fields.iter().any(|f| matches!(f.holds, Holds::Socket { .. })));
                    return Err(self.unknown(name, known.map(|field| field.name).chain(beside)));
                }
                input.fields.push(self.field(name, value)?);
            }
            (_, Layout::Bytes { .. }) => return Err(self.unknown(name, ["memory"])),
            (_, Layout::Words { .. } | Layout::Arguments { .. }) => {
                return Err(self.unknown(name, ["args"]));
            }
            (_, Layout::OfExtendedProgram | Layout::Nothing) => {
                let program_type = self.program.program_type;
                return Err(
                    self.bad(&Wrong::new(name, ContextError::Unsupported { program_type }.to_string()))
                );
            }
        }
        Ok(())
    }

    fn field(&self, name: &str, value: &Value) -> Result<FieldValue, Box<Diagnostic>> {
        let values = value::numbers(value).map_err(|message| self.bad(&Wrong::new(name, message)))?;
        Ok(FieldValue { name: name.to_owned(), values })
    }

    fn socket(&self, value: &Value) -> Result<SocketInput, Box<Diagnostic>> {
        match value {
            Value::Null => Ok(SocketInput::None),
            Value::Object(members) => self.socket_members(members).map(SocketInput::Given),
            _ => {
                Err(self.bad(&Wrong::new("socket", "a socket is an object of its fields, or null for none")))
            }
        }
    }

    fn socket_members(&self, members: &Map<String, Value>) -> Result<Vec<FieldValue>, Box<Diagnostic>> {
        let known = socket_fields();
        let read = |(name, value): (&String, &Value)| {
            if !known.iter().any(|field| field == name) {
                return Err(self.unknown(name, known.iter().copied()));
            }
            self.field(name, value)
        };
        members.iter().map(read).collect()
    }

    fn no_json(&self, error: &serde_json::Error) -> Diagnostic {
        let line_start: usize =
            self.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = (line_start + error.column().saturating_sub(1)).min(self.text.len());
        let at = (0..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let message = format!("the context is no JSON: {error}");
        Diagnostic::new(&BAD_CONTEXT, message)
            .label(Span::new(self.source, at, at), "from here on it makes no sense")
    }

    fn bad(&self, wrong: &Wrong) -> Box<Diagnostic> {
        let mut diagnostic = Diagnostic::new(&BAD_CONTEXT, wrong.message.clone());
        if let Some(span) = self.find(&wrong.member) {
            diagnostic = diagnostic.label(span, "in this member");
        }
        Box::new(match &wrong.help {
            Some(help) => diagnostic.help(help.clone()),
            None => diagnostic,
        })
    }

    fn unknown<'k>(&self, name: &str, known: impl IntoIterator<Item = &'k str>) -> Box<Diagnostic> {
        let known: Vec<&str> = known.into_iter().collect();
        let message = format!("there is no `{name}` in the context of this program");
        let mut diagnostic = Diagnostic::new(&NO_CONTEXT_FIELD, message);
        if let Some(span) = self.find(name) {
            diagnostic = diagnostic.label(span, "nobody would read this");
        }
        if let Some(near) = nonna_diag::nearest(name, known.iter().copied(), 1).first() {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        Box::new(diagnostic.note(format!("it has {}", known.join(", "))))
    }

    /// Where a member's name stands in the text.
    fn find(&self, name: &str) -> Option<Span> {
        let quoted = format!("\"{name}\"");
        let at = self.text.find(&quoted).filter(|_| !name.is_empty())?;
        Some(Span::new(self.source, at, at + quoted.len()))
    }
}

/// Members beside the fields.
fn beside(has_socket: bool) -> Vec<&'static str> {
    let mut names = vec!["packet"];
    if has_socket {
        names.push("socket");
    }
    names
}

/// Whether there is room for metadata before the packet.
fn has_metadata(program_type: ProgramType) -> bool {
    matches!(program_type, ProgramType::Xdp | ProgramType::SchedCls | ProgramType::SchedAct)
}

/// The words and images of arguments.
type ArgumentImages = (Vec<Word>, Vec<crate::context::StructImage>);
