//! What a program runs on, from the command line.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use nonna_bpf::Program;
use nonna_btf::Btf;
use nonna_diag::{Diagnostic, Sources, Span};
use nonna_sandbox::context::Input;
use nonna_sandbox::pcap::{CaptureError, CaptureReader};
use nonna_sandbox::recording::{self, Reader};
use nonna_sandbox::slugs::{BAD_CAPTURE, BAD_HEX};

use crate::outcome::Trouble;

/// Bytes from hexadecimal digits.
pub fn hex(option: &str, text: &str) -> Result<Vec<u8>, Trouble> {
    recording::hex(text).map_err(|wrong| {
        let mut sources = Sources::new();
        let source = sources.add(option, text);
        let span = Span::new(source, 0, text.len());
        let diagnostic = Diagnostic::new(&BAD_HEX, wrong).label(span, "expected hexadecimal digits");
        Trouble::Diagnostics(vec![diagnostic], sources)
    })
}

/// A context in JSON, and the text that it was read from, for what is found wrong later.
pub fn context(program: &Program, types: Option<&Btf>, text: &str) -> Result<(Input, Text), Trouble> {
    let mut sources = Sources::new();
    let (name, text) = match text.strip_prefix('@') {
        Some(file) => (file, std::fs::read_to_string(file).with_context(|| format!("read {file}"))?),
        None => ("--context", text.to_owned()),
    };
    let source = sources.add(name, text.as_str());
    let reader = Reader { program, types, source, text: &text };
    match reader.read() {
        Ok(input) => Ok((input, Text { sources, source, text })),
        Err(diagnostics) => Err(Trouble::Diagnostics(diagnostics, sources)),
    }
}

/// The text of a context.
pub struct Text {
    sources: Sources,
    source: nonna_diag::SourceId,
    text: String,
}

impl Text {
    /// What the sandbox says against the context, where it stands.
    pub fn refused(&self, program: &Program, error: &nonna_sandbox::context::ContextError) -> Trouble {
        let reader = Reader { program, types: None, source: self.source, text: &self.text };
        Trouble::Diagnostics(vec![reader.refused(error)], self.sources.clone())
    }
}

/// A capture file.
pub fn capture(file: &Path) -> Result<CaptureReader<BufReader<File>>, Trouble> {
    let opened = File::open(file).with_context(|| format!("open {}", file.display()))?;
    CaptureReader::new(BufReader::new(opened)).map_err(|error| capture_trouble(file, error))
}

/// What is wrong with a capture file.
pub fn capture_trouble(file: &Path, error: CaptureError) -> Trouble {
    let name = file.display();
    match error {
        CaptureError::Io(error) => anyhow::Error::from(error).context(format!("read {name}")).into(),
        error => {
            let message = format!("{name} cannot be read as a capture: {error}");
            let help = "pcap and pcapng are read; `tcpdump -w FILE` writes such files";
            Trouble::Diagnostics(vec![Diagnostic::new(&BAD_CAPTURE, message).help(help)], Sources::new())
        }
    }
}
