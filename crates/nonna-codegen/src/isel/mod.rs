//! Instruction selection: IR that has become simple enough, to machine code over virtual registers.
//!
//! It walks blocks in reverse postorder and instructions in order. What [`facts`] says is not needed is left out;
//! constants and addresses are made where they are used, conditions become jumps, and what a call takes goes straight to
//! its registers. It expects that legalisation has removed what the machine or the verifier does not know.

mod arith;
mod call;
mod control;
mod facts;
mod memory;

use nonna_bpf::{IsaLevel, MapIdx, MemSize, Width};
use nonna_diag::Span;
use nonna_ir::{Block, ControlFlow, DataId, Entity, Function, Inst, InstId, MapId, Slot, Value};

use crate::CodegenError;
use crate::mir::{
    Constant, End, FrameSlot, FrameSlotData, MBlock, MBlockData, MFunction, MInst, Op, Operand, Place, VReg,
};
use facts::{AddressBase, Facts};

/// What selection must know beside the function.
pub struct Surroundings<'a> {
    /// Instruction set that may be used.
    pub isa: IsaLevel,
    /// Map of the object for each map of the module.
    pub maps: &'a dyn Fn(MapId) -> MapIdx,
    /// Map and offset of each piece of global data.
    pub data: &'a dyn Fn(DataId) -> (MapIdx, u32),
}

/// Selects machine code for one function.
///
/// # Errors
///
/// [`CodegenError::InvalidModule`] where an instruction should have been removed before.
pub fn select(function: &Function, around: &Surroundings<'_>) -> Result<MFunction, CodegenError> {
    let flow = ControlFlow::new(function);
    let order = flow.reverse_post_order();
    let facts = Facts::new(function, order, around.isa >= IsaLevel::V3);
    let frame =
        function.slots.values().map(|slot| FrameSlotData { bytes: slot.bytes, align: slot.align }).collect();
    let mut selector = Selector {
        function,
        around,
        facts,
        out: MFunction {
            name: function.name.clone(),
            blocks: Vec::with_capacity(order.len() * 2),
            frame,
            n_regs: VReg::FIRST_VIRTUAL,
        },
        current: MBlock(0),
        regs: vec![None; function.values.len()],
        blocks: vec![None; function.blocks.len()],
        context: None,
        data_regs: Vec::new(),
        span: None,
    };
    selector.select_all(order)?;
    Ok(selector.out)
}

struct Selector<'a> {
    function: &'a Function,
    around: &'a Surroundings<'a>,
    facts: Facts<'a>,
    out: MFunction,
    /// The block that is appended to.
    current: MBlock,
    regs: Vec<Option<VReg>>,
    blocks: Vec<Option<MBlock>>,
    context: Option<VReg>,
    /// Addresses of global data that registers hold in the current block.
    data_regs: Vec<(DataId, VReg)>,
    span: Option<Span>,
}

impl Selector<'_> {
    fn select_all(&mut self, order: &[Block]) -> Result<(), CodegenError> {
        // Blocks appear in the order of the walk; those that conditions and edges add follow their block.
        for &block in order {
            let id = self.start_block(block);
            self.current = id;
            self.data_regs.clear();
            if block == self.function.entry() {
                self.take_parameters();
            }
            for &inst in &self.function.blocks[block].insts {
                self.select_inst(inst)?;
            }
            self.select_end(block)?;
        }
        self.patch_targets();
        Ok(())
    }

    /// The machine block that holds the start of an IR block, appended on first mention of the walk.
    fn start_block(&mut self, block: Block) -> MBlock {
        let id = self.append_block();
        self.blocks[block.idx()] = Some(id);
        id
    }

    fn append_block(&mut self) -> MBlock {
        let id = MBlock(u32::try_from(self.out.blocks.len()).expect("fewer than 2^32 blocks"));
        self.out.blocks.push(MBlockData { insts: Vec::new(), end: End::Exit, end_span: None, depth: 0 });
        id
    }

    /// The context, or the parameters of a subprogram, come in `r1` to `r5`.
    fn take_parameters(&mut self) {
        let mut copies = Vec::new();
        let params = &self.function.blocks[self.function.entry()].params;
        for (idx, &param) in params.iter().enumerate() {
            if self.facts.is_needed(param) {
                let reg = self.reg_of(param);
                copies.push((Place::Reg(reg), Place::Reg(VReg::argument(idx))));
            }
        }
        if params.is_empty() && self.function.insts.values().any(|data| data.inst == Inst::Context) {
            let reg = self.out.new_reg();
            self.context = Some(reg);
            copies.push((Place::Reg(reg), Place::Reg(VReg::argument(0))));
        }
        if !copies.is_empty() {
            self.push(Op::Copies(copies));
        }
    }

    fn push(&mut self, op: Op) {
        let span = self.span;
        self.out.blocks[self.current.idx()].insts.push(MInst { op, span });
    }

    /// The register that holds a value.
    fn reg_of(&mut self, value: Value) -> VReg {
        let root = self.facts.root(value);
        if let Some(reg) = self.regs[root.idx()] {
            return reg;
        }
        let reg = self.out.new_reg();
        self.regs[root.idx()] = Some(reg);
        reg
    }

    /// A register with the value, made here if it is a constant or an address.
    fn use_reg(&mut self, value: Value) -> VReg {
        if !self.facts.is_made_anew(value) {
            return self.reg_of(value);
        }
        let address = self.facts.address(value);
        if let (AddressBase::Data(data), 0) = (address.base, address.offset) {
            return self.data_reg(data);
        }
        let reg = self.out.new_reg();
        self.make_into(value, reg);
        reg
    }

    /// Puts a value that is made anew into a register.
    fn make_into(&mut self, value: Value, dst: VReg) {
        if let Some(constant) = self.facts.constant(value) {
            return self.make_constant(constant, dst);
        }
        let root = self.facts.root(value);
        match self.facts.def(root) {
            Some(Inst::MapHandle(map)) => {
                let map = (self.around.maps)(*map);
                return self.push(Op::LoadConstant { dst, value: Constant::Map(map) });
            }
            Some(Inst::FunctionAddress(function)) => {
                return self.push(Op::LoadConstant { dst, value: Constant::Function(*function) });
            }
            _ => {}
        }
        let address = self.facts.address(root);
        match address.base {
            AddressBase::Slot(slot) => {
                let offset = i32::try_from(address.offset).expect("offsets of addresses have 16 bits");
                self.push(Op::FrameAddress { dst, slot: frame_slot(slot), offset });
            }
            AddressBase::Data(data) => {
                let (map, start) = (self.around.data)(data);
                // An address outside the data wraps; the verifier refuses it with the user's line.
                let offset = start.wrapping_add(address.offset as u32);
                self.push(Op::LoadConstant { dst, value: Constant::MapValue(map, offset) });
            }
            AddressBase::Value(_) => unreachable!("only constants and addresses are made anew"),
        }
    }

    fn make_constant(&mut self, constant: i64, dst: VReg) {
        if let Ok(imm) = i32::try_from(constant) {
            self.push(Op::Mov { width: Width::W64, dst, src: Operand::Imm(imm) });
        } else if let Ok(low) = u32::try_from(constant) {
            self.push(Op::Mov { width: Width::W32, dst, src: Operand::Imm(low.cast_signed()) });
        } else {
            self.push(Op::LoadConstant { dst, value: Constant::Value(constant.cast_unsigned()) });
        }
    }

    /// Puts any value into a register.
    fn copy_into(&mut self, value: Value, dst: VReg) {
        if self.facts.is_made_anew(value) {
            self.make_into(value, dst);
        } else {
            let src = Operand::Reg(self.reg_of(value));
            self.push(Op::Mov { width: Width::W64, dst, src });
        }
    }

    /// The address of global data in a register, shared inside a block until a call would make keeping it dear.
    fn data_reg(&mut self, data: DataId) -> VReg {
        if let Some((_, reg)) = self.data_regs.iter().find(|(known, _)| *known == data) {
            return *reg;
        }
        let reg = self.out.new_reg();
        let (map, offset) = (self.around.data)(data);
        self.push(Op::LoadConstant { dst: reg, value: Constant::MapValue(map, offset) });
        self.data_regs.push((data, reg));
        reg
    }

    fn select_inst(&mut self, id: InstId) -> Result<(), CodegenError> {
        let data = &self.function.insts[id];
        self.span = data.span;
        let result = data.result;
        let wanted = result.filter(|r| self.facts.root(*r) == *r && self.facts.is_needed(*r));
        if facts::has_effect(&data.inst) {
            return self.select_effect(&data.inst, wanted);
        }
        let Some(result) = wanted else { return Ok(()) };
        match &data.inst {
            Inst::Context => {
                let context = self.context;
                self.regs[result.idx()] = context;
                if context.is_none() {
                    return Err(self.invalid("a subprogram has no context"));
                }
                Ok(())
            }
            Inst::Load { pointer, offset, size, signed } => {
                self.select_load(*pointer, *offset, *size, *signed, result);
                Ok(())
            }
            Inst::Binary { op, left, right } => self.select_binary(*op, *left, *right, result),
            Inst::Compare { .. } => {
                self.select_compare(result);
                Ok(())
            }
            Inst::Extend { value, bits, signed } => {
                self.select_extend(*value, *bits, *signed, result);
                Ok(())
            }
            Inst::SwapBytes { value, bits } => {
                self.select_swap(*value, *bits, result);
                Ok(())
            }
            Inst::Distrust(pointer) => self.select_distrust(*pointer, result),
            other => Err(self.invalid(&format!("selection met {other:?}"))),
        }
    }

    fn select_effect(&mut self, inst: &Inst, result: Option<Value>) -> Result<(), CodegenError> {
        match inst {
            Inst::Store { pointer, offset, size, value } => {
                self.select_store(*pointer, *offset, *size, *value);
                Ok(())
            }
            Inst::Atomic { op, pointer, offset, size, value, expected } => {
                self.select_atomic(*op, (*pointer, *offset), *size, *value, *expected, result)
            }
            Inst::CallHelper { .. }
            | Inst::Call { .. }
            | Inst::MapLookup { .. }
            | Inst::MapUpdate { .. }
            | Inst::MapDelete { .. } => {
                self.select_call(inst, result);
                Ok(())
            }
            other => Err(self.invalid(&format!("selection met {other:?}"))),
        }
    }

    fn invalid(&self, what: &str) -> CodegenError {
        CodegenError::InvalidModule(format!("function `{}`: {what}", self.function.name))
    }
}

/// IR slots are the first pieces of the frame, in order.
fn frame_slot(slot: Slot) -> FrameSlot {
    FrameSlot(u32::try_from(slot.idx()).expect("fewer than 2^32 slots"))
}

/// Bits of a memory access.
fn bits_of(size: MemSize) -> u8 {
    8 * size.bytes() as u8
}
