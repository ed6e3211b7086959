//! Reads modules: declarations, and the parser's basic moves.
//!
//! Functions, instructions and predicates are read in the files beside this one. Nothing is checked but the form;
//! whether references lead anywhere is the validator's business, except for values, which are numbered anew.

use std::os::unix::ffi::OsStringExt;
use std::str::FromStr;

use nonna_bpf::{Hook, MapFlags, MapType, PerfSource, Sampling, UserLocation};
use nonna_btf::TypeId;
use nonna_event::{EventSchema, Field, FieldType, NameSet};

use super::lex::{Lexer, Position, Token};
use super::words::Word;
use crate::entity::Entity;
use crate::error::{Error, SyntaxProblem};
use crate::module::{DataDecl, MapDecl, Module};
use crate::types::{Region, Type};

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// Where `token` begins.
    pub(super) position: Position,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Error> {
        let mut lexer = Lexer::new(text);
        let (position, token) = lexer.next()?;
        Ok(Self { lexer, token, position })
    }

    pub(super) fn peek(&self) -> &Token {
        &self.token
    }

    pub(super) fn bump(&mut self) -> Result<Token, Error> {
        let (position, token) = self.lexer.next()?;
        self.position = position;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// The error that something else stands here.
    pub(super) fn unexpected(&self, expected: &'static str) -> Error {
        self.position.error(SyntaxProblem::Expected { expected, found: self.token.to_string() })
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(s) if s == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(w) if w == word)
    }

    pub(super) fn eat_sign(&mut self, sign: &str) -> Result<bool, Error> {
        let found = self.is_sign(sign);
        if found {
            self.bump()?;
        }
        Ok(found)
    }

    pub(super) fn eat_word(&mut self, word: &str) -> Result<bool, Error> {
        let found = self.is_word(word);
        if found {
            self.bump()?;
        }
        Ok(found)
    }

    pub(super) fn sign(&mut self, sign: &'static str) -> Result<(), Error> {
        if self.eat_sign(sign)? { Ok(()) } else { Err(self.unexpected(sign)) }
    }

    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Error> {
        if self.eat_word(word)? { Ok(()) } else { Err(self.unexpected(word)) }
    }

    /// A word that `read` knows.
    pub(super) fn one_of<T>(
        &mut self,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let found = match &self.token {
            Token::Word(word) => read(word),
            Token::Sign(sign) => read(sign),
            _ => None,
        };
        let found = found.ok_or_else(|| self.unexpected(expected))?;
        self.bump()?;
        Ok(found)
    }

    pub(super) fn keyword<T: Word>(&mut self, expected: &'static str) -> Result<T, Error> {
        self.one_of(expected, T::from_word)
    }

    pub(super) fn number<T: TryFrom<i128>>(&mut self) -> Result<T, Error> {
        let Token::Number(number, _) = self.token else { return Err(self.unexpected("a number")) };
        let value = T::try_from(number).map_err(|_| self.position.error(SyntaxProblem::Range(number)))?;
        self.bump()?;
        Ok(value)
    }

    /// A displacement such as `+8`, or 0.
    pub(super) fn offset<T: TryFrom<i128> + Default>(&mut self) -> Result<T, Error> {
        if matches!(self.token, Token::Number(_, true)) { self.number() } else { Ok(T::default()) }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.token {
            Token::Text(_) => match self.bump()? {
                Token::Text(bytes) => Ok(bytes),
                _ => Ok(Vec::new()),
            },
            _ => Err(self.unexpected("a text in quotes")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        let position = self.position;
        String::from_utf8(self.bytes()?).map_err(|_| position.error(SyntaxProblem::NotUtf8))
    }

    /// The number of an entity with this prefix, if one stands here.
    pub(super) fn entity_here(&self, prefix: &str) -> Option<u32> {
        let Token::Word(word) = &self.token else { return None };
        let digits = word.strip_prefix(prefix)?;
        if digits.starts_with('0') && digits.len() > 1 {
            return None;
        }
        digits.parse().ok()
    }

    pub(super) fn entity<E: Entity>(&mut self, prefix: &'static str) -> Result<E, Error> {
        let number = self.entity_here(prefix).ok_or_else(|| self.unexpected(prefix))?;
        self.bump()?;
        Ok(E::from_idx(number as usize))
    }

    /// The entity whose turn it is.
    pub(super) fn declaration(&mut self, prefix: &'static str, idx: usize) -> Result<(), Error> {
        if self.entity_here(prefix).is_none_or(|number| number as usize != idx) {
            return Err(self.position.error(SyntaxProblem::Order { expected: format!("{prefix}{idx}") }));
        }
        self.bump()?;
        Ok(())
    }

    /// Items with commas between, up to `close`, which is consumed.
    pub(super) fn list<T>(
        &mut self,
        close: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        while !self.eat_sign(close)? {
            if !items.is_empty() {
                self.sign(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(super) fn value_type(&mut self) -> Result<Type, Error> {
        let region = match &self.token {
            Token::Word(word) => match word.as_str() {
                "int" => None,
                "context" => Some(Region::Context),
                "slot" => Some(Region::Slot),
                "data" => Some(Region::Data),
                "map_value" => Some(Region::MapValue { nullable: false }),
                "kernel" => Some(Region::Kernel(None)),
                "user" => Some(Region::User),
                "map" => Some(Region::Map),
                "function" => Some(Region::Function),
                _ => return Err(self.unexpected("a type")),
            },
            _ => return Err(self.unexpected("a type")),
        };
        self.bump()?;
        Ok(match region {
            None => Type::Int,
            Some(Region::MapValue { .. }) => {
                Type::Pointer(Region::MapValue { nullable: self.eat_sign("?")? })
            }
            Some(Region::Kernel(_)) if self.eat_sign("(")? => {
                let id = TypeId(self.number()?);
                self.sign(")")?;
                Type::Pointer(Region::Kernel(Some(id)))
            }
            Some(region) => Type::Pointer(region),
        })
    }

    fn map(&mut self) -> Result<MapDecl, Error> {
        let name = self.text()?;
        let by_name = |word: &str| MapType::ALL.iter().copied().find(|map_type| map_type.name() == word);
        let map_type = self.one_of("a map type", by_name)?;
        self.word("key")?;
        let key_bytes = self.number()?;
        self.word("value")?;
        let value_bytes = self.number()?;
        self.word("entries")?;
        let max_entries = self.number()?;
        let bits = if self.eat_word("flags")? { self.number()? } else { 0 };
        let flags = MapFlags::from_bits_retain(bits);
        Ok(MapDecl { name, map_type, key_bytes, value_bytes, max_entries, flags })
    }

    fn data(&mut self) -> Result<DataDecl, Error> {
        let name = self.text()?;
        let mutable = self.one_of("`const` or `mutable`", |word| match word {
            "const" => Some(false),
            "mutable" => Some(true),
            _ => None,
        })?;
        self.word("align")?;
        Ok(DataDecl { name, align: self.number()?, mutable, bytes: self.bytes()? })
    }

    fn event(&mut self) -> Result<EventSchema, Error> {
        let name = self.text()?;
        self.word("number")?;
        let id = self.number()?;
        let ring = self.keyword("`critical` or `volume`")?;
        self.sign("{")?;
        let mut fields = Vec::new();
        while !self.eat_sign("}")? {
            let name = self.text()?;
            let field_type = self.field_type()?;
            let description = if self.eat_sign(":")? { self.text()? } else { String::new() };
            fields.push(Field { name, field_type, description });
        }
        Ok(EventSchema { id, name, fields, ring })
    }

    fn field_type(&mut self) -> Result<FieldType, Error> {
        let expected = "a field type";
        let Token::Word(word) = self.token.clone() else { return Err(self.unexpected(expected)) };
        let position = self.position;
        self.bump()?;
        Ok(match word.as_str() {
            "unsigned" => FieldType::Unsigned { bytes: self.number()? },
            "signed" => FieldType::Signed { bytes: self.number()? },
            "bool" => FieldType::Bool,
            "named" => {
                let set = self.one_of("a set of names", NameSet::by_function)?;
                FieldType::Named { set, bytes: self.number()? }
            }
            "inet" => FieldType::Inet,
            "blob" => FieldType::Blob { bytes: self.number()? },
            "text" => FieldType::Text { max_bytes: self.number()? },
            "path" => FieldType::Path,
            "text_list" => FieldType::TextList { max_bytes: self.number()? },
            "bytes" => FieldType::Bytes { max_bytes: self.number()? },
            "kernel_stack" => FieldType::KernelStack { max_frames: self.number()? },
            "user_stack" => FieldType::UserStack { max_frames: self.number()? },
            _ => return Err(position.error(SyntaxProblem::Expected { expected, found: format!("`{word}`") })),
        })
    }

    pub(super) fn hook(&mut self) -> Result<Hook, Error> {
        let expected = "a hook";
        let Token::Word(word) = self.token.clone() else { return Err(self.unexpected(expected)) };
        let position = self.position;
        self.bump()?;
        Ok(match word.as_str() {
            "begin" => Hook::Begin,
            "end" => Hook::End,
            "on_demand" => Hook::OnDemand(self.text()?),
            "tracepoint" => Hook::Tracepoint { category: self.text()?, event: self.text()? },
            "rawtracepoint" => Hook::RawTracepoint { event: self.text()? },
            "syscall" => Hook::Syscall { phase: self.keyword("`enter` or `exit`")?, name: self.text()? },
            "kprobe" => {
                let point = self.point()?;
                let function = self.text()?;
                self.word("offset")?;
                Hook::Kprobe { function, offset: self.number()?, point }
            }
            "fentry" => Hook::Fentry { point: self.point()?, function: self.text()? },
            "fmod_ret" => Hook::ModifyReturn { function: self.text()? },
            "lsm" => Hook::Lsm { hook: self.text()?, sleepable: self.eat_word("sleepable")? },
            "uprobe" => Hook::Uprobe { point: self.point()?, location: self.user_location()? },
            "iter" => Hook::Iter { target: self.text()? },
            "perf" => self.perf_event()?,
            "section" => Hook::Section(self.text()?),
            _ => return Err(position.error(SyntaxProblem::Expected { expected, found: format!("`{word}`") })),
        })
    }

    fn point(&mut self) -> Result<nonna_bpf::ProbePoint, Error> {
        self.keyword("`entry` or `return`")
    }

    fn user_location(&mut self) -> Result<UserLocation, Error> {
        let binary = std::ffi::OsString::from_vec(self.bytes()?).into();
        self.word("offset")?;
        let file_offset = self.number()?;
        let symbol = if self.eat_word("symbol")? { Some(self.text()?) } else { None };
        let pid = if self.eat_word("pid")? { Some(self.number()?) } else { None };
        Ok(UserLocation { binary, symbol, file_offset, pid })
    }

    fn perf_event(&mut self) -> Result<Hook, Error> {
        let make = self.one_of("a kind of perf event", |word| match word {
            "software" => Some(PerfSource::Software as fn(u64) -> PerfSource),
            "hardware" => Some(PerfSource::Hardware),
            "hardware_cache" => Some(PerfSource::HardwareCache),
            _ => None,
        })?;
        let source = make(self.number()?);
        let make = self.one_of("`period` or `frequency_hz`", |word| match word {
            "period" => Some(Sampling::Period as fn(u64) -> Sampling),
            "frequency_hz" => Some(Sampling::FrequencyHz),
            _ => None,
        })?;
        let sampling = make(self.number()?);
        Ok(Hook::PerfEvent { source, sampling, scope: self.keyword("`every` or `one`")? })
    }
}

impl FromStr for Module {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parser = Parser::new(text)?;
        let mut module = Module::default();
        while *parser.peek() != Token::End {
            if parser.entity_here("map").is_some() {
                parser.declaration("map", module.maps.len())?;
                module.maps.push(parser.map()?);
            } else if parser.entity_here("data").is_some() {
                parser.declaration("data", module.data.len())?;
                module.data.push(parser.data()?);
            } else if parser.entity_here("event").is_some() {
                parser.declaration("event", module.events.len())?;
                module.events.push(parser.event()?);
            } else if parser.entity_here("func").is_some() {
                parser.declaration("func", module.functions.len())?;
                module.functions.push(parser.function()?);
            } else {
                return Err(parser.unexpected("`mapN`, `dataN`, `eventN` or `funcN`"));
            }
        }
        Ok(module)
    }
}
