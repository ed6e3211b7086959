//! Reads functions and their blocks, and numbers the values anew.

use std::ops::RangeFrom;
use std::str::FromStr;

use rustc_hash::FxHashMap;

use super::lex::{Position, Token};
use super::parse::Parser;
use crate::entity::{Arena, Block, Entity, InstId, Value};
use crate::error::{Error, SyntaxProblem};
use crate::inst::{Jump, Terminator};
use crate::module::{BlockData, Function, FunctionKind, InstData, SlotData, ValueData, ValueDef};
use crate::types::Type;

/// A value's definition as it was written.
struct Definition {
    number: u32,
    position: Position,
    data: ValueData,
}

/// What is known of a function's values before all of it was read.
#[derive(Default)]
pub(super) struct Values {
    definitions: Vec<Definition>,
    /// Where each number was used first.
    uses: FxHashMap<u32, Position>,
}

impl Values {
    fn define(&mut self, number: u32, position: Position, value_type: Type, def: ValueDef) {
        self.definitions.push(Definition { number, position, data: ValueData { value_type, def } });
    }

    /// New indexes by written number, in the order of the numbers.
    fn indexes(&mut self) -> Result<FxHashMap<u32, Value>, Error> {
        self.definitions.sort_by_key(|definition| definition.number);
        let mut indexes = FxHashMap::default();
        for (idx, Definition { number, position, .. }) in self.definitions.iter().enumerate() {
            if indexes.insert(*number, Value::from_idx(idx)).is_some() {
                return Err(position.error(SyntaxProblem::DefinedTwice(*number)));
            }
        }
        let undefined = self.uses.iter().filter(|(number, _)| !indexes.contains_key(number));
        match undefined.min_by_key(|(number, _)| **number) {
            Some((number, position)) => Err(position.error(SyntaxProblem::Undefined(*number))),
            None => Ok(indexes),
        }
    }
}

impl Parser<'_> {
    /// A use of a value; its index is the written number for now.
    pub(super) fn value(&mut self, values: &mut Values) -> Result<Value, Error> {
        let number = self.entity_here("v").ok_or_else(|| self.unexpected("a value"))?;
        values.uses.entry(number).or_insert(self.position);
        self.bump()?;
        Ok(Value::from_idx(number as usize))
    }

    /// A function, after its `funcN`.
    pub(super) fn function(&mut self) -> Result<Function, Error> {
        let is_program = self.one_of("`program` or `subprogram`", |word| match word {
            "program" => Some(true),
            "subprogram" => Some(false),
            _ => None,
        })?;
        let name = self.text()?;
        let kind = if is_program {
            self.word("hook")?;
            FunctionKind::Program { hook: self.hook()? }
        } else {
            FunctionKind::Subprogram
        };
        let result = if self.eat_sign("->")? { self.value_type()? } else { Type::Int };
        let (blocks, insts, values, slots) = (Arena::new(), Arena::new(), Arena::new(), Arena::new());
        let mut function = Function { name, kind, blocks, insts, values, slots, result };
        self.sign("{")?;
        while self.entity_here("slot").is_some() {
            self.declaration("slot", function.slots.len())?;
            self.sign(":")?;
            let bytes = self.number()?;
            self.word("align")?;
            function.slots.push(SlotData { bytes, align: self.number()? });
        }
        let mut values = Values::default();
        while !self.eat_sign("}")? {
            self.block(&mut function, &mut values)?;
        }
        number_values(&mut function, values)?;
        Ok(function)
    }

    fn block(&mut self, function: &mut Function, values: &mut Values) -> Result<(), Error> {
        let block = Block::from_idx(function.blocks.len());
        self.declaration("block", block.idx())?;
        let mut data = BlockData::default();
        if self.eat_sign("(")? {
            let mut positions = 0..;
            data.params = self.list(")", |parser| parser.block_param(block, &mut positions, values))?;
        }
        self.sign(":")?;
        while !self.is_sign("}") && self.entity_here("block").is_none() {
            if let Some(terminator) = self.terminator(values)? {
                data.terminator = Some(terminator);
                break;
            }
            data.insts.push(self.result_and_inst(function, values)?);
        }
        function.blocks.push(data);
        Ok(())
    }

    fn block_param(
        &mut self,
        block: Block,
        positions: &mut RangeFrom<u32>,
        values: &mut Values,
    ) -> Result<Value, Error> {
        let written_at = self.position;
        let number = self.entity_here("v").ok_or_else(|| self.unexpected("a value"))?;
        self.bump()?;
        self.sign(":")?;
        let value_type = self.value_type()?;
        let position = positions.next().unwrap_or(u32::MAX);
        values.define(number, written_at, value_type, ValueDef::Param(block, position));
        Ok(Value::from_idx(number as usize))
    }

    fn result_and_inst(&mut self, function: &mut Function, values: &mut Values) -> Result<InstId, Error> {
        let position = self.position;
        let number = self.entity_here("v");
        if number.is_some() {
            self.bump()?;
            self.sign("=")?;
        }
        let inst = self.inst(values)?;
        let default = inst.default_result_type();
        let id = function.insts.push(InstData { inst, result: None, span: None });
        if let Some(number) = number {
            let value_type = match default {
                _ if self.eat_sign(":")? => self.value_type()?,
                Some(value_type) => value_type,
                None => return Err(self.unexpected("`:` and a type")),
            };
            values.define(number, position, value_type, ValueDef::Result(id));
            function.insts[id].result = Some(Value::from_idx(number as usize));
        }
        Ok(id)
    }

    fn terminator(&mut self, values: &mut Values) -> Result<Option<Terminator>, Error> {
        Ok(Some(if self.eat_word("jump")? {
            Terminator::Jump(self.jump(values)?)
        } else if self.eat_word("branch")? {
            let condition = self.value(values)?;
            self.sign(",")?;
            let then = self.jump(values)?;
            self.sign(",")?;
            Terminator::Branch { condition, then, otherwise: self.jump(values)? }
        } else if self.eat_word("return")? {
            Terminator::Return(self.value(values)?)
        } else {
            return Ok(None);
        }))
    }

    fn jump(&mut self, values: &mut Values) -> Result<Jump, Error> {
        let block = self.entity("block")?;
        let args =
            if self.eat_sign("(")? { self.list(")", |parser| parser.value(values))? } else { Vec::new() };
        Ok(Jump { block, args })
    }
}

/// Replaces written numbers by indexes everywhere and fills the value table.
fn number_values(function: &mut Function, mut values: Values) -> Result<(), Error> {
    let indexes = values.indexes()?;
    // Every use was checked by `indexes`, every definition is in the map.
    let renumber = |value: &mut Value| {
        if let Some(&idx) = u32::try_from(value.idx()).ok().and_then(|number| indexes.get(&number)) {
            *value = idx;
        }
    };
    for inst in function.insts.values_mut() {
        inst.inst.for_each_operand_mut(renumber);
        inst.result.iter_mut().for_each(renumber);
    }
    for block in function.blocks.values_mut() {
        block.params.iter_mut().for_each(renumber);
        if let Some(terminator) = &mut block.terminator {
            terminator.for_each_operand_mut(renumber);
        }
    }
    for definition in values.definitions {
        function.values.push(definition.data);
    }
    Ok(())
}

impl FromStr for Function {
    type Err = Error;

    /// Reads one function as `Display` writes it, without the `funcN` of a module.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parser = Parser::new(text)?;
        let function = parser.function()?;
        if *parser.peek() == Token::End {
            Ok(function)
        } else {
            Err(parser.unexpected("the end of the text"))
        }
    }
}
