//! Calls as machine code: of helpers, of functions of the program, by register; and what lies out of line.

use nonna_bpf::{MemSize, Reg};

use super::blocks::Function;
use super::compiler::{
    Compiler, DEPTH, PROCESSOR, RUN, SCRATCH, SCRATCH_2, SCRATCH_3, STOPPED, UNTIL_LOOK, gpr, in_run,
};
use super::encoder::*;
use super::layout::{Label, Layout};
use super::outside::{self, KERNEL_FUNCTION, Outside, RETURN};
use crate::helpers::{HelperFn, Helpers};
use crate::memory::FRAME_STRIDE_BYTES;
use crate::program::Call;
use crate::run::Processor;

/// Registers that a call from machine code into Rust may change and the program must not see changed.
const CALLER_SAVED: [Gpr; 6] = [RAX, RDI, RSI, RDX, RCX, R8];
/// Those that hold arguments.
const ARGUMENTS: [Gpr; 5] = [RDI, RSI, RDX, RCX, R8];

/// Pieces of machine code that many instructions share: each calls a function in Rust with the run and two numbers, in
/// `SCRATCH_2` and `SCRATCH`, and yields its result in `SCRATCH_2`, the zero flag set where that is 0. All registers of the
/// program stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stub {
    Check,
    Probe,
    Packet,
    OpenFrame,
    CloseFrame,
    Look,
}

impl Stub {
    const ALL: [(Stub, Outside); 6] = [
        (Stub::Check, outside::check),
        (Stub::Probe, outside::probe),
        (Stub::Packet, outside::load_packet),
        (Stub::OpenFrame, outside::open_frame),
        (Stub::CloseFrame, outside::close_frame),
        (Stub::Look, outside::look),
    ];
}

/// Where the stubs lie, and which are wanted.
#[derive(Debug)]
pub(super) struct Stubs {
    labels: [Label; 6],
    wanted: [bool; 6],
}

impl Stubs {
    pub(super) fn new(layout: &mut Layout) -> Self {
        Stubs { labels: [(); 6].map(|()| layout.label()), wanted: [false; 6] }
    }
}

/// What happens rarely and lies behind the program.
#[derive(Debug, Clone, Copy)]
pub(super) enum OutOfLine {
    /// The budget is due for a look; then control goes on there.
    Look { insn: usize, then: Label },
    /// There is no such entry: the result is 0, and control goes on there.
    Absent { then: Label },
    /// The host was not asked for the processor yet: the helper, which stops nothing, asks it; then control goes on there.
    Processor { helper: HelperFn, then: Label },
    /// A helper wants the run to stop or the function to return.
    Interrupted { insn: usize, number: u64, function: Function },
    /// A helper that was called by register wants the function to return.
    Return { function: Function },
}

impl Compiler<'_> {
    pub(super) fn call_stub(&mut self, stub: Stub) {
        self.stubs.wanted[stub as usize] = true;
        self.layout.call(&self.encoder, self.stubs.labels[stub as usize]);
    }

    /// Looks at the budget if it is due, before a call.
    fn look_before_call(&mut self, insn: usize) {
        if self.is_counted {
            let (late, then) = (self.layout.label(), self.layout.label());
            self.encoder.binary_memory(Size::Qword, Binary::Cmp, in_run(UNTIL_LOOK), 0);
            self.layout.jump_if(&self.encoder, Condition::LessOrEqual, late);
            self.layout.place(then, &self.encoder);
            self.out_of_line.push((late, OutOfLine::Look { insn, then }));
        }
    }

    fn push_all(&mut self, registers: &[Gpr]) {
        for register in registers {
            self.encoder.push(*register);
        }
    }

    fn pop_all(&mut self, registers: &[Gpr]) {
        for register in registers.iter().rev() {
            self.encoder.pop(*register);
        }
    }

    fn call_address(&mut self, address: usize) {
        self.encoder.constant(SCRATCH, address as u64);
        self.encoder.call(SCRATCH);
    }

    /// A call of what is outside the program: the arguments are where it wants them.
    pub(super) fn call_out(&mut self, index: usize) {
        if self.lookup(index) {
            return;
        }
        let call = self.program.call(index).expect("the instruction is a call");
        self.look_before_call(index);
        if let Call::Helper(_, helper) = call
            && Helpers::is_processor(helper)
        {
            return self.processor(helper);
        }
        self.save_arguments();
        self.encoder.mov(Size::Qword, R9, RUN);
        let number = match call {
            Call::Helper(number, function) => {
                self.call_address(function as usize);
                number.into()
            }
            Call::KernelFunction(function) => {
                self.call_address(function as usize);
                KERNEL_FUNCTION
            }
            Call::Host(number) => {
                // The seventh argument goes by way of the stack.
                self.encoder.push_constant(number as i32);
                self.encoder.push_constant(number as i32);
                self.call_address(outside::ask_host as *const () as usize);
                self.encoder.binary_constant(Size::Qword, Binary::Add, RSP, 16);
                number.into()
            }
            Call::Absent | Call::Local | Call::Register => {
                self.call_address(outside::absent as *const () as usize);
                KERNEL_FUNCTION
            }
        };
        self.restore_arguments();
        let late = self.layout.label();
        let function = self.function;
        self.out_of_line.push((late, OutOfLine::Interrupted { insn: index, number, function }));
        // Both flags at once.
        self.encoder.binary_memory(Size::Qword, Binary::Cmp, in_run(STOPPED), 0);
        self.layout.jump_if(&self.encoder, Condition::NotEqual, late);
    }

    /// The number of the processor, which the run keeps once the host was asked.
    fn processor(&mut self, helper: HelperFn) {
        let (late, then) = (self.layout.label(), self.layout.label());
        self.encoder.load(Size::Dword, RAX, in_run(PROCESSOR));
        self.encoder.binary_constant(Size::Dword, Binary::Cmp, RAX, Processor::UNASKED_NUMBER as i32);
        self.layout.jump_if(&self.encoder, Condition::Equal, late);
        self.layout.place(then, &self.encoder);
        self.out_of_line.push((late, OutOfLine::Processor { helper, then }));
    }

    /// A program that nobody proved may look at the arguments of a call again.
    fn save_arguments(&mut self) {
        if self.is_counted {
            self.push_all(&ARGUMENTS);
            self.encoder.push(R8);
        }
    }

    fn restore_arguments(&mut self) {
        if self.is_counted {
            self.encoder.pop(SCRATCH);
            self.pop_all(&ARGUMENTS);
        }
    }

    /// A call of a function of the program. What a proved function does not use, it does not get: a frame, its place in the
    /// count of frames.
    pub(super) fn call_local(&mut self, index: usize) {
        let target = self.program.target(index);
        let callee = self.blocks.function_of(target);
        if self.blocks.quiet.is_some() {
            return self.call_quietly(callee, self.entry(target));
        }
        self.look_before_call(index);
        let has_frame = self.is_counted || callee.has_frame;
        if has_frame {
            self.encoder.constant(SCRATCH_2, index as u64);
            self.call_stub(Stub::OpenFrame);
            self.layout.jump_if(&self.encoder, Condition::Equal, self.unwind);
            self.push_all(&[RBP, RBP]);
            self.encoder.mov(Size::Qword, RBP, SCRATCH_2);
        } else if callee.calls {
            self.encoder.binary_memory(Size::Qword, Binary::Add, in_run(DEPTH), 1);
        }
        self.layout.call(&self.encoder, self.entry(target));
        if has_frame {
            self.pop_all(&[RBP, RBP]);
        }
        if self.is_counted {
            self.call_stub(Stub::CloseFrame);
        } else if has_frame || callee.calls {
            self.encoder.binary_memory(Size::Qword, Binary::Sub, in_run(DEPTH), 1);
        }
    }

    /// A call in a program of which it is known how deep its calls go: the next frame lies below the present one.
    fn call_quietly(&mut self, callee: Function, entry: Label) {
        if callee.has_frame {
            self.encoder.push(RBP);
            let below = Mem { base: RBP, displacement: -(FRAME_STRIDE_BYTES as i32) };
            self.encoder.address(Size::Qword, RBP, below);
        }
        self.layout.call(&self.encoder, entry);
        if callee.has_frame {
            self.encoder.pop(RBP);
        }
    }

    /// A call of what a register says: the address of a function, or a helper's number.
    pub(super) fn call_register(&mut self, index: usize, register: Reg) {
        let (local, returns, done) = (self.layout.label(), self.layout.label(), self.layout.label());
        self.encoder.mov(Size::Qword, SCRATCH_2, gpr(register));
        self.push_all(&[RAX, R8, RCX, RDX, RSI, RDI]);
        self.encoder.mov(Size::Qword, RDI, RUN);
        self.encoder.constant(RSI, std::ptr::from_ref(self.targets).expose_provenance() as u64);
        self.encoder.mov(Size::Qword, RDX, SCRATCH_2);
        self.encoder.constant(RCX, index as u64);
        self.encoder.mov(Size::Qword, R8, RSP);
        self.call_address(outside::call_register as *const () as usize);
        self.encoder.mov(Size::Qword, SCRATCH_2, RAX);
        self.encoder.mov(Size::Qword, SCRATCH, RDX);
        self.pop_all(&[SCRATCH_3, R8, RCX, RDX, RSI, RDI]);
        self.encoder.binary_constant(Size::Qword, Binary::Cmp, SCRATCH, RETURN as i32);
        self.layout.jump_if(&self.encoder, Condition::Above, local);
        self.layout.jump_if(&self.encoder, Condition::Equal, returns);
        self.out_of_line.push((returns, OutOfLine::Return { function: self.function }));
        self.encoder.test(Size::Dword, SCRATCH, SCRATCH);
        self.layout.jump_if(&self.encoder, Condition::NotEqual, self.unwind);
        self.layout.jump(&self.encoder, done);
        self.layout.place(local, &self.encoder);
        self.encoder.mov(Size::Qword, RAX, SCRATCH_3);
        self.push_all(&[RBP, RBP]);
        self.encoder.mov(Size::Qword, RBP, SCRATCH);
        self.encoder.call(SCRATCH_2);
        self.pop_all(&[RBP, RBP]);
        self.call_stub(Stub::CloseFrame);
        self.layout.place(done, &self.encoder);
    }

    /// A legacy load from the packet; where it ends, the run ends with 0.
    pub(super) fn load_packet(&mut self, size: MemSize, index: Option<Reg>, offset: i32) {
        match index {
            Some(index) => {
                self.encoder.mov(Size::Dword, SCRATCH_2, gpr(index));
                self.encoder.binary_constant(Size::Qword, Binary::Add, SCRATCH_2, offset);
            }
            None => self.encoder.constant(SCRATCH_2, i64::from(offset) as u64),
        }
        self.encoder.constant(SCRATCH, size.bytes().into());
        self.call_stub(Stub::Packet);
        self.encoder.binary_constant(Size::Qword, Binary::Cmp, SCRATCH_2, outside::NO_PACKET as i64 as i32);
        self.layout.jump_if(&self.encoder, Condition::Equal, self.unwind);
        self.encoder.mov(Size::Dword, RAX, SCRATCH_2);
    }

    /// Emits what lies behind the program.
    pub(super) fn finish_out_of_line(&mut self) {
        for (label, what) in std::mem::take(&mut self.out_of_line) {
            self.layout.place(label, &self.encoder);
            match what {
                OutOfLine::Look { insn, then } => {
                    self.encoder.constant(SCRATCH_2, insn as u64);
                    self.call_stub(Stub::Look);
                    self.layout.jump_if(&self.encoder, Condition::Equal, self.unwind);
                    self.layout.jump(&self.encoder, then);
                }
                OutOfLine::Interrupted { insn, number, function } => {
                    self.push_all(&[RAX, RAX]);
                    self.encoder.mov(Size::Qword, RDI, RUN);
                    self.encoder.constant(RSI, insn as u64);
                    self.encoder.constant(RDX, number);
                    self.call_address(outside::interrupted as *const () as usize);
                    self.encoder.mov(Size::Qword, SCRATCH, RAX);
                    self.pop_all(&[RAX, RAX]);
                    self.encoder.test(Size::Dword, SCRATCH, SCRATCH);
                    self.layout.jump_if(&self.encoder, Condition::NotEqual, self.unwind);
                    self.function = function;
                    self.leave();
                }
                OutOfLine::Absent { then } => {
                    self.encoder.constant(RAX, 0);
                    self.layout.jump(&self.encoder, then);
                }
                OutOfLine::Processor { helper, then } => {
                    self.save_arguments();
                    self.encoder.mov(Size::Qword, R9, RUN);
                    self.call_address(helper as usize);
                    self.restore_arguments();
                    self.layout.jump(&self.encoder, then);
                }
                OutOfLine::Return { function } => {
                    self.function = function;
                    self.leave();
                }
            }
        }
        for (index, (stub, function)) in Stub::ALL.into_iter().enumerate() {
            if self.stubs.wanted[stub as usize] {
                self.layout.place(self.stubs.labels[index], &self.encoder);
                self.stub(function);
            }
        }
    }

    fn stub(&mut self, function: Outside) {
        self.push_all(&CALLER_SAVED);
        // The return address and these make the stack pointer odd.
        self.encoder.push(RAX);
        self.encoder.mov(Size::Qword, RDI, RUN);
        self.encoder.mov(Size::Qword, RSI, SCRATCH_2);
        self.encoder.mov(Size::Qword, RDX, SCRATCH);
        self.call_address(function as usize);
        self.encoder.mov(Size::Qword, SCRATCH_2, RAX);
        self.encoder.pop(SCRATCH);
        self.pop_all(&CALLER_SAVED);
        self.encoder.test(Size::Qword, SCRATCH_2, SCRATCH_2);
        self.encoder.ret();
    }
}
