//! The program in front of the functions of one phase.

use nonna_bpf::{Hook, MemSize, SyscallPhase};
use nonna_event::COMPAT_CALLS;
use nonna_ir::{
    BinaryOp, Block, CompareOp, DataId, FuncId, Function, FunctionBuilder, FunctionKind, Inst, KernelField,
    Slot, Type, Value,
};

use super::super::Expander;
use super::super::shorthand::Shorthand;
use super::super::words;
use super::numbers::{Numbers, SOCKETCALL, native_socket_call};
use super::{MAX_ARGS, N_WORDS, SYSCALL_WANTED_COMPAT, SYSCALL_WANTED_NATIVE, Sensor, TABLE_ENTRIES};
use crate::CodegenError;

const NEEDED_FOR: &str = "system calls";

/// `TS_COMPAT`: the task is in a 32-bit system call (arch/x86/include/asm/thread_info.h).
const TS_COMPAT: i64 = 2;
/// Where the call's number lies behind its arguments.
const NUMBER_AT: u32 = MAX_ARGS as u32 * 8;
/// Registers of arguments in 64-bit calls, by their names in `pt_regs` (arch/x86/include/asm/syscall.h).
const NATIVE_REGISTERS: [&str; MAX_ARGS as usize] = ["di", "si", "dx", "r10", "r8", "r9"];
/// Registers of arguments in 32-bit calls.
const COMPAT_REGISTERS: [&str; MAX_ARGS as usize] = ["bx", "cx", "dx", "si", "di", "bp"];

/// A dispatcher under construction.
pub struct Dispatcher {
    b: FunctionBuilder,
    phase: SyscallPhase,
    table: DataId,
    regs_type: Type,
    task_type: Type,
    status: KernelField,
    number: KernelField,
    /// Positions of arguments that somebody reads, with their registers.
    native: Vec<(u32, KernelField)>,
    compat: Vec<(u32, KernelField)>,
    /// Whether somebody reads the call's number.
    reads_number: bool,
    /// Registers of `socketcall`: what to do, and where its arguments are.
    socketcall: (KernelField, KernelField),
    args: Slot,
    done: Block,
}

/// Functions to call for one number, from a block of their own.
struct Case {
    number: u32,
    block: Block,
    functions: Vec<FuncId>,
}

/// What the dispatcher found out about a call.
#[derive(Clone, Copy)]
struct Call {
    number: Value,
    /// The number, cut to the table.
    index: Value,
    /// The table's byte.
    wanted: Value,
    /// `struct pt_regs *`
    regs: Value,
}

impl Dispatcher {
    /// Prepares the dispatcher of a phase whose functions read these words of a call.
    pub fn new(
        x: &Expander<'_>,
        phase: SyscallPhase,
        table: DataId,
        words_used: &[bool; N_WORDS as usize],
    ) -> Result<Self, CodegenError> {
        x.expect_structs(&["pt_regs", "task_struct"]);
        let (name, event) = match phase {
            SyscallPhase::Enter => ("syscall_enter", "sys_enter"),
            SyscallPhase::Exit => ("syscall_exit", "sys_exit"),
        };
        let kind = FunctionKind::Program { hook: Hook::RawTracepoint { event: event.to_owned() } };
        let mut b = FunctionBuilder::new(name, kind, &[], Type::Int);
        let done = b.new_block();
        let args = b.slot(u32::from(N_WORDS) * 8, 8);
        let register = |name| x.member("pt_regs", name, NEEDED_FOR);
        let registers = |names: [&'static str; MAX_ARGS as usize]| {
            (0u32..)
                .zip(names)
                .filter(|&(position, _)| words_used[position as usize])
                .map(|(position, name)| Ok((position, register(name)?)))
                .collect::<Result<Vec<_>, CodegenError>>()
        };
        Ok(Self {
            b,
            phase,
            table,
            regs_type: x.pointer_to("pt_regs", NEEDED_FOR)?,
            task_type: x.pointer_to("task_struct", NEEDED_FOR)?,
            status: x.member("task_struct", "thread_info.status", NEEDED_FOR)?,
            number: register("orig_ax")?,
            native: registers(NATIVE_REGISTERS)?,
            compat: registers(COMPAT_REGISTERS)?,
            reads_number: words_used[usize::from(MAX_ARGS)],
            socketcall: (register(COMPAT_REGISTERS[0])?, register(COMPAT_REGISTERS[1])?),
            args,
            done,
        })
    }

    /// The program that calls these functions.
    pub fn build(mut self, sensors: &[Sensor]) -> Function {
        let b = &mut self.b;
        let number = match self.phase {
            SyscallPhase::Enter => b.arg(1, Type::Int),
            SyscallPhase::Exit => {
                let regs = b.arg(0, self.regs_type);
                b.load_kernel(regs, self.number, Type::Int)
            }
        };
        let index = b.op(BinaryOp::And, number, i64::from(TABLE_ENTRIES - 1));
        let table = b.data_address(self.table);
        let entry = b.binary(BinaryOp::Add, table, index);
        let wanted = b.get(entry, 0, MemSize::B);
        let is_wanted = b.test(CompareOp::Ne, wanted, 0);
        b.require(is_wanted, self.done);

        let regs = b.arg(0, self.regs_type);
        let call = Call { number, index, wanted, regs };
        let task = b.inst(Inst::CurrentTask, self.task_type);
        let status = b.load_kernel(task, self.status, Type::Int);
        let compat_bit = b.op(BinaryOp::And, status, TS_COMPAT);
        let (native, compat) = (b.new_block(), b.new_block());
        let is_native = b.test(CompareOp::Eq, compat_bit, 0);
        b.branch(is_native, native, compat);
        self.native(native, call, sensors);
        self.compat(compat, call, sensors);
        self.b.switch_to(self.done);
        self.b.return_const(0);
        self.b.finish()
    }

    fn native(&mut self, block: Block, call: Call, sensors: &[Sensor]) {
        self.b.switch_to(block);
        self.require_bit(call.wanted, SYSCALL_WANTED_NATIVE);
        // Numbers past the table: those of the x32 ABI, and -1 where a tracer cancelled the call.
        let in_table = self.b.compare(CompareOp::Eq, call.number, call.index);
        self.b.require(in_table, self.done);
        let args = self.b.slot_address(self.args);
        for &(position, register) in &self.native {
            let value = self.b.load_kernel(call.regs, register, Type::Int);
            self.b.put(args, position * 8, MemSize::DW, value);
        }
        if self.reads_number {
            self.b.put(args, NUMBER_AT, MemSize::DW, call.index);
        }
        let cases = self.cases(sensors, |numbers| &numbers.native);
        self.dispatch(call.index, &cases);
    }

    fn compat(&mut self, block: Block, call: Call, sensors: &[Sensor]) {
        self.b.switch_to(block);
        self.require_bit(call.wanted, SYSCALL_WANTED_COMPAT);
        let args = self.b.slot_address(self.args);
        for &(position, register) in &self.compat {
            let value = self.b.load_kernel(call.regs, register, Type::Int);
            let value = self.b.extend(value, 32, false);
            self.b.put(args, position * 8, MemSize::DW, value);
        }
        if self.reads_number {
            let number = self.b.op(BinaryOp::Or, call.index, COMPAT_CALLS as i64);
            self.b.put(args, NUMBER_AT, MemSize::DW, number);
        }
        let mut cases = self.cases(sensors, |numbers| &numbers.compat);
        let socket_cases = self.cases(sensors, |numbers| &numbers.socketcall);
        if socket_cases.is_empty() {
            self.dispatch(call.index, &cases);
            return;
        }
        // Whoever watches `socketcall` itself is called first, then whoever watches what it does.
        let position = cases.iter().position(|case| case.number == SOCKETCALL);
        let watchers = position.map_or_else(Vec::new, |position| cases.remove(position).functions);
        let block = self.b.new_block();
        let mut blocks: Vec<(u32, Block)> = cases.iter().map(|case| (case.number, case.block)).collect();
        blocks.push((SOCKETCALL, block));
        self.choose(call.index, &blocks);
        self.call_each(&cases);
        self.b.switch_to(block);
        self.call_functions(&watchers);
        self.socketcall(call, &socket_cases);
    }

    /// `socketcall(call, arguments)`: the arguments are 32-bit words in user memory.
    fn socketcall(&mut self, call: Call, cases: &[Case]) {
        let (what, array) = self.socketcall;
        let what = self.b.load_kernel(call.regs, what, Type::Int);
        let what = self.b.extend(what, 32, false);
        let array = self.b.load_kernel(call.regs, array, Type::Int);
        let array = self.b.extend(array, 32, false);
        let array = self.b.cast(array, Type::USER);
        let args = self.b.slot_address(self.args);
        for &(position, _) in &self.compat {
            let offset = i32::try_from(position * 4).expect("six words");
            let load = Inst::LoadUser { pointer: array, offset, size: MemSize::W, signed: false };
            let value = self.b.inst(load, Type::Int);
            self.b.put(args, position * 8, MemSize::DW, value);
        }
        let blocks: Vec<(u32, Block)> = cases.iter().map(|case| (case.number, case.block)).collect();
        self.choose(what, &blocks);
        for case in cases {
            self.b.switch_to(case.block);
            if self.reads_number {
                let args = self.b.slot_address(self.args);
                let number = self.b.iconst(native_socket_call(case.number));
                self.b.put(args, NUMBER_AT, MemSize::DW, number);
            }
            self.call_functions(&case.functions);
            self.b.jump(self.done, &[]);
        }
    }

    /// Goes on only where the table's byte has the bit.
    fn require_bit(&mut self, wanted: Value, bit: u8) {
        let bit = self.b.op(BinaryOp::And, wanted, i64::from(bit));
        let is_set = self.b.test(CompareOp::Ne, bit, 0);
        self.b.require(is_set, self.done);
    }

    /// The functions of each number, with a new block for each.
    fn cases(&mut self, sensors: &[Sensor], numbers: impl Fn(&Numbers) -> &[u32]) -> Vec<Case> {
        let mut cases: Vec<Case> = Vec::new();
        for sensor in sensors {
            for &number in numbers(&sensor.numbers) {
                match cases.iter_mut().find(|case| case.number == number) {
                    Some(case) => case.functions.push(sensor.function),
                    None => {
                        let block = self.b.new_block();
                        cases.push(Case { number, block, functions: vec![sensor.function] });
                    }
                }
            }
        }
        cases
    }

    /// Ends the current block: calls the functions of the number.
    fn dispatch(&mut self, number: Value, cases: &[Case]) {
        let blocks: Vec<(u32, Block)> = cases.iter().map(|case| (case.number, case.block)).collect();
        self.choose(number, &blocks);
        self.call_each(cases);
    }

    fn choose(&mut self, number: Value, blocks: &[(u32, Block)]) {
        let mut blocks: Vec<(u64, Block)> =
            blocks.iter().map(|&(number, block)| (u64::from(number), block)).collect();
        words::search(&mut self.b, number, &mut blocks, self.done);
    }

    fn call_each(&mut self, cases: &[Case]) {
        for case in cases {
            self.b.switch_to(case.block);
            self.call_functions(&case.functions);
            self.b.jump(self.done, &[]);
        }
    }

    fn call_functions(&mut self, functions: &[FuncId]) {
        for &function in functions {
            let context = self.b.context();
            let mut args = vec![context, self.b.slot_address(self.args)];
            if self.phase == SyscallPhase::Exit {
                args.push(self.b.arg(1, Type::Int));
            }
            self.b.call(function, &args, Type::Int);
        }
    }
}
