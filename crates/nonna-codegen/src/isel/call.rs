//! Calls: of helpers, of functions, and of the helpers behind map instructions.

use nonna_bpf::{Helper, Width};
use nonna_ir::{Inst, MapId, Region, Type, Value};

use super::Selector;
use crate::CodegenError;
use crate::legalize::CAST_FUNCTION;
use crate::mir::{Callee, Constant, Op, Operand, Place, VReg};

/// An argument of a call.
enum Argument {
    Value(Value),
    Map(MapId),
    Constant(i64),
}

impl Selector<'_> {
    pub(super) fn select_call(&mut self, inst: &Inst, result: Option<Value>) {
        let values = |args: &[Value]| args.iter().copied().map(Argument::Value).collect::<Vec<_>>();
        let (callee, args) = match inst {
            Inst::CallHelper { helper, args } => (Callee::Helper(*helper), values(args)),
            Inst::Call { function, args } => (Callee::Function(*function), values(args)),
            Inst::MapLookup { map, key } => {
                (Callee::Helper(Helper::MAP_LOOKUP_ELEM), vec![Argument::Map(*map), Argument::Value(*key)])
            }
            Inst::MapUpdate { map, key, value, flags } => (
                Callee::Helper(Helper::MAP_UPDATE_ELEM),
                vec![
                    Argument::Map(*map),
                    Argument::Value(*key),
                    Argument::Value(*value),
                    Argument::Constant(flags.cast_signed()),
                ],
            ),
            Inst::MapDelete { map, key } => {
                (Callee::Helper(Helper::MAP_DELETE_ELEM), vec![Argument::Map(*map), Argument::Value(*key)])
            }
            _ => unreachable!("only calls are selected as calls"),
        };
        self.pass_arguments(&args);
        self.push(Op::Call { callee, n_args: args.len() as u8 });
        self.data_regs.clear();
        if let Some(result) = result {
            let dst = self.reg_of(result);
            self.push(Op::Mov { width: Width::W64, dst, src: Operand::Reg(VReg::R0) });
        }
    }

    /// The kernel's verifier makes a move of the call (`fixup_kfunc_call` in kernel/bpf/verifier.c).
    pub(super) fn select_distrust(&mut self, pointer: Value, result: Value) -> Result<(), CodegenError> {
        let Type::Pointer(Region::Kernel(Some(structure))) = self.function.type_of(result) else {
            return Err(self.invalid("a pointer to no structure in particular"));
        };
        self.pass_arguments(&[Argument::Value(pointer), Argument::Constant(structure.0.into())]);
        self.push(Op::Call { callee: Callee::Kernel(CAST_FUNCTION), n_args: 2 });
        self.data_regs.clear();
        let dst = self.reg_of(result);
        self.push(Op::Mov { width: Width::W64, dst, src: Operand::Reg(VReg::R0) });
        Ok(())
    }

    /// Registers first, all at once; then what is made on the spot, which reads no register.
    fn pass_arguments(&mut self, args: &[Argument]) {
        let mut copies = Vec::new();
        for (idx, arg) in args.iter().enumerate() {
            if let Argument::Value(value) = arg
                && !self.facts.is_made_anew(*value)
            {
                let from = self.reg_of(*value);
                copies.push((Place::Reg(VReg::argument(idx)), Place::Reg(from)));
            }
        }
        if !copies.is_empty() {
            self.push(Op::Copies(copies));
        }
        for (idx, arg) in args.iter().enumerate() {
            let dst = VReg::argument(idx);
            match arg {
                Argument::Value(value) if self.facts.is_made_anew(*value) => self.make_into(*value, dst),
                Argument::Value(_) => {}
                Argument::Map(map) => {
                    let map = (self.around.maps)(*map);
                    self.push(Op::LoadConstant { dst, value: Constant::Map(map) });
                }
                Argument::Constant(constant) => self.make_constant(*constant, dst),
            }
        }
    }
}
