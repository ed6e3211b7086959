//! Reads instructions and the sources of event fields.

use nonna_bpf::Helper;
use nonna_btf::TypeId;

use super::lex::Token;
use super::parse::Parser;
use super::parse_function::Values;
use super::words::{Scalar, Word};
use crate::entity::Value;
use crate::error::{Error, SyntaxProblem};
use crate::inst::{BinaryOp, Bits, CompareOp, FieldSource, Inst, KernelField};

impl Parser<'_> {
    fn comma(&mut self) -> Result<(), Error> {
        self.sign(",")
    }

    fn scalar(&mut self) -> Result<Scalar, Error> {
        self.keyword("`u8` to `u64` or `s8` to `s64`")
    }

    /// `value` or `value+offset`.
    fn place<T: TryFrom<i128> + Default>(&mut self, values: &mut Values) -> Result<(Value, T), Error> {
        let pointer = self.value(values)?;
        Ok((pointer, self.offset()?))
    }

    fn pair(&mut self, values: &mut Values) -> Result<(Value, Value), Error> {
        let left = self.value(values)?;
        self.comma()?;
        Ok((left, self.value(values)?))
    }

    fn args(&mut self, values: &mut Values) -> Result<Vec<Value>, Error> {
        self.sign("(")?;
        self.list(")", |parser| parser.value(values))
    }

    /// A number after its word.
    fn named<T: TryFrom<i128>>(&mut self, word: &'static str) -> Result<T, Error> {
        self.word(word)?;
        self.number()
    }

    /// A value after its word.
    fn named_value(&mut self, word: &'static str, values: &mut Values) -> Result<Value, Error> {
        self.word(word)?;
        self.value(values)
    }

    /// An instruction, after `vN =` where there is one.
    pub(super) fn inst(&mut self, values: &mut Values) -> Result<Inst, Error> {
        let expected = "an instruction";
        let Token::Word(word) = self.peek().clone() else { return Err(self.unexpected(expected)) };
        let position = self.position;
        self.bump()?;
        if let Some(op) = BinaryOp::from_word(&word) {
            let (left, right) = self.pair(values)?;
            return Ok(Inst::Binary { op, left, right });
        }
        if let Some(op) = CompareOp::from_word(&word) {
            let (left, right) = self.pair(values)?;
            return Ok(Inst::Compare { op, left, right });
        }
        match word.as_str() {
            "const" => Ok(Inst::Const(self.number()?)),
            "extend" => {
                let signed = self.one_of("`signed` or `unsigned`", |word| match word {
                    "signed" => Some(true),
                    "unsigned" => Some(false),
                    _ => None,
                })?;
                Ok(Inst::Extend { bits: self.number()?, value: self.value(values)?, signed })
            }
            "swap_bytes" => Ok(Inst::SwapBytes { bits: self.number()?, value: self.value(values)? }),
            "cast" => Ok(Inst::Cast(self.value(values)?)),
            "distrust" => Ok(Inst::Distrust(self.value(values)?)),
            "context" => Ok(Inst::Context),
            "arg" => Ok(Inst::Arg { index: self.number()? }),
            "return_value" => Ok(Inst::ReturnValue),
            "current_task" => Ok(Inst::CurrentTask),
            "slot_address" => Ok(Inst::SlotAddress(self.entity("slot")?)),
            "data_address" => Ok(Inst::DataAddress(self.entity("data")?)),
            "map_handle" => Ok(Inst::MapHandle(self.entity("map")?)),
            "function_address" => Ok(Inst::FunctionAddress(self.entity("func")?)),
            "load" | "load_user" | "load_kernel" | "store" | "atomic" | "zero" | "copy" => {
                self.memory_inst(&word, values)
            }
            "equal_bytes" | "equal_text" | "read_text" | "read_bytes" | "read_path" => {
                self.long_memory_inst(&word, values)
            }
            "call_helper" | "call" | "map_lookup" | "map_update" | "map_delete" | "emit" => {
                self.call_inst(&word, values)
            }
            _ => Err(position.error(SyntaxProblem::Expected { expected, found: format!("`{word}`") })),
        }
    }

    /// Accesses of a few bytes, and the plain moves of many.
    fn memory_inst(&mut self, word: &str, values: &mut Values) -> Result<Inst, Error> {
        match word {
            "load" | "load_user" => {
                let Scalar { size, signed } = self.scalar()?;
                let (pointer, offset) = self.place(values)?;
                Ok(if word == "load" {
                    Inst::Load { pointer, offset, size, signed }
                } else {
                    Inst::LoadUser { pointer, offset, size, signed }
                })
            }
            "load_kernel" => self.load_kernel(values),
            "store" => {
                let size = self.scalar()?.size;
                let (pointer, offset) = self.place(values)?;
                self.comma()?;
                Ok(Inst::Store { pointer, offset, size, value: self.value(values)? })
            }
            "atomic" => {
                let op = self.keyword("an atomic operation")?;
                let size = self.scalar()?.size;
                let (pointer, offset) = self.place(values)?;
                self.comma()?;
                let value = self.value(values)?;
                let expected = if self.eat_word("expected")? { Some(self.value(values)?) } else { None };
                Ok(Inst::Atomic { op, pointer, offset, size, value, expected })
            }
            "zero" => {
                let (pointer, offset) = self.place(values)?;
                self.comma()?;
                Ok(Inst::Zero { pointer, offset, bytes: self.number()? })
            }
            _ => {
                let (to, to_offset) = self.place(values)?;
                self.comma()?;
                let (from, from_offset) = self.place(values)?;
                self.comma()?;
                Ok(Inst::Copy { to, to_offset, from, from_offset, bytes: self.number()? })
            }
        }
    }

    fn load_kernel(&mut self, values: &mut Values) -> Result<Inst, Error> {
        let Scalar { size, signed } = self.scalar()?;
        let (pointer, offset) = self.place(values)?;
        let container = if self.eat_word("in")? { Some(TypeId(self.number()?)) } else { None };
        let bits = if self.eat_word("bits")? {
            let width = self.number()?;
            Some(Bits { width, shift: self.named("shift")? })
        } else {
            None
        };
        Ok(Inst::LoadKernel { pointer, field: KernelField { container, offset, size, signed, bits } })
    }

    /// Comparisons of memory, and checked copies.
    fn long_memory_inst(&mut self, word: &str, values: &mut Values) -> Result<Inst, Error> {
        match word {
            "equal_bytes" | "equal_text" => {
                let (left, right) = self.pair(values)?;
                self.comma()?;
                let bytes = self.number()?;
                Ok(if word == "equal_bytes" {
                    Inst::EqualBytes { left, right, bytes }
                } else {
                    Inst::EqualText { left, right, max_bytes: bytes }
                })
            }
            "read_path" => {
                let source = self.keyword("`file`, `path` or `dentry`")?;
                let pointer = self.value(values)?;
                let (to, to_offset, max_bytes) = self.destination(values)?;
                Ok(Inst::ReadPath { source, pointer, to, to_offset, max_bytes })
            }
            _ => {
                let space = self.keyword("`kernel` or `user`")?;
                let pointer = self.value(values)?;
                let length =
                    if word == "read_bytes" { Some(self.named_value("length", values)?) } else { None };
                let (to, to_offset, max_bytes) = self.destination(values)?;
                Ok(match length {
                    Some(length) => Inst::ReadBytes { space, pointer, to, to_offset, length, max_bytes },
                    None => Inst::ReadText { space, pointer, to, to_offset, max_bytes },
                })
            }
        }
    }

    /// `to value+offset max number`.
    fn destination(&mut self, values: &mut Values) -> Result<(Value, i32, u32), Error> {
        self.word("to")?;
        let (to, to_offset) = self.place(values)?;
        Ok((to, to_offset, self.named("max")?))
    }

    fn call_inst(&mut self, word: &str, values: &mut Values) -> Result<Inst, Error> {
        match word {
            "call_helper" => {
                let helper = self.one_of("the name of a helper", Helper::from_name)?;
                Ok(Inst::CallHelper { helper, args: self.args(values)? })
            }
            "call" => Ok(Inst::Call { function: self.entity("func")?, args: self.args(values)? }),
            "emit" => self.emit(values),
            _ => {
                let map = self.entity("map")?;
                self.comma()?;
                let key = self.value(values)?;
                match word {
                    "map_lookup" => Ok(Inst::MapLookup { map, key }),
                    "map_delete" => Ok(Inst::MapDelete { map, key }),
                    _ => {
                        self.comma()?;
                        let value = self.value(values)?;
                        self.comma()?;
                        Ok(Inst::MapUpdate { map, key, value, flags: self.number()? })
                    }
                }
            }
        }
    }

    fn emit(&mut self, values: &mut Values) -> Result<Inst, Error> {
        let event = self.entity("event")?;
        self.sign("{")?;
        let mut fields = Vec::new();
        while !self.eat_sign("}")? {
            fields.push(self.field_source(values)?);
        }
        let filter = if self.eat_word("when")? { Some(self.predicate()?) } else { None };
        Ok(Inst::Emit { event, fields, filter })
    }

    fn field_source(&mut self, values: &mut Values) -> Result<FieldSource, Error> {
        let expected = "a source of a field";
        let Token::Word(word) = self.peek().clone() else { return Err(self.unexpected(expected)) };
        let position = self.position;
        self.bump()?;
        Ok(match word.as_str() {
            "scalar" => FieldSource::Scalar(self.value(values)?),
            "memory" => FieldSource::Memory { pointer: self.value(values)?, bytes: self.named("bytes")? },
            "sized" => FieldSource::Sized {
                pointer: self.value(values)?,
                length: self.named_value("length", values)?,
                capacity: self.named("capacity")?,
            },
            "text" => FieldSource::Text {
                space: self.keyword("`kernel` or `user`")?,
                pointer: self.value(values)?,
                max_bytes: self.named("max")?,
            },
            "bytes" => FieldSource::Bytes {
                space: self.keyword("`kernel` or `user`")?,
                pointer: self.value(values)?,
                length: self.named_value("length", values)?,
                max_bytes: self.named("max")?,
            },
            "path" => FieldSource::Path {
                source: self.keyword("`file`, `path` or `dentry`")?,
                pointer: self.value(values)?,
            },
            "task_args" => FieldSource::TaskArgs { task: self.value(values)?, max_bytes: self.named("max")? },
            "task_env" => FieldSource::TaskEnv {
                task: self.value(values)?,
                name: {
                    self.word("name")?;
                    self.entity("data")?
                },
                max_bytes: self.named("max")?,
            },
            "stack" => FieldSource::Stack {
                space: self.keyword("`kernel` or `user`")?,
                max_frames: self.named("frames")?,
            },
            _ => return Err(position.error(SyntaxProblem::Expected { expected, found: format!("`{word}`") })),
        })
    }
}
