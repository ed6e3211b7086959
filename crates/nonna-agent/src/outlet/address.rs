//! How a place is written on the command line: `[FORMAT+]PLACE`.

use std::path::PathBuf;

use crate::alert::Shape;

/// A place with the shape that alerts have there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As the user wrote it, without the format and without what follows a program's name.
    pub name: String,
    /// The place.
    pub place: Place,
    /// The shape; `None` for what is usual there.
    pub shape: Option<Shape>,
}

/// A place that alerts go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file that grows.
    File(PathBuf),
    /// A syslog daemon of this machine, by its socket.
    SyslogSocket(PathBuf),
    /// A syslog daemon elsewhere, as `host:port`.
    SyslogUdp(String),
    /// A webhook.
    Http(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// When a file is put away and a new one begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Most bytes of a file; `None` for no limit.
    pub most_bytes: Option<u64>,
    /// Old files that are kept, at least 1.
    pub n_kept: u32,
}

impl Address {
    /// Reads a place.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (shape, rest) = match text.split_once('+').map(|(name, rest)| (Shape::find(name), rest)) {
            Some((Some(shape), rest)) => (Some(shape), rest),
            _ => (None, text),
        };
        let (kind, after) = rest.split_once(':').unwrap_or((rest, ""));
        let place = match kind {
            "file" if !after.is_empty() => Place::File(after.into()),
            "syslog" => match after.strip_prefix("udp://") {
                Some(to) if to.contains(':') => Place::SyslogUdp(to.to_owned()),
                Some(to) => Place::SyslogUdp(format!("{to}:514")),
                None => Place::SyslogSocket(if after.is_empty() { "/dev/log" } else { after }.into()),
            },
            "http" => Place::Http(rest.to_owned()),
            "https" => return Err("nonna speaks no https; send to a proxy on this machine".to_owned()),
            "program" => match shlex::split(after) {
                Some(words) if !words.is_empty() => Place::Program(words),
                _ => return Err("say which program, as in program:'/usr/bin/logger -t nonna'".to_owned()),
            },
            _ => return Err("a place is file:PATH, syslog, http://HOST/ or program:COMMAND".to_owned()),
        };
        let name = match &place {
            Place::Program(words) => format!("program:{}", words[0]),
            _ => rest.to_owned(),
        };
        Ok(Self { name, place, shape })
    }

    /// The shape of alerts here; `asked` is that of the whole run.
    pub fn shape(&self, asked: Shape) -> Shape {
        self.shape.unwrap_or(match self.place {
            Place::File(_) => asked,
            Place::SyslogSocket(_) | Place::SyslogUdp(_) => Shape::FalcoText,
            Place::Http(_) | Place::Program(_) => Shape::Falco,
        })
    }
}
