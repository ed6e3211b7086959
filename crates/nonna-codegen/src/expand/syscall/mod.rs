//! System calls: one program on every entry and one on every return, that calls the functions of those it knows.
//!
//! A program on `sys_enter` taxes every system call of the machine, so there is one for all sensors, and it first looks up
//! the call's number in a table of bytes: a miss costs eight instructions. Programs on [`Hook::Syscall`] become
//! functions that it calls with the context, the arguments in memory and, on return, the result.
//!
//! 32-bit processes have other numbers and registers. Which table counts is told by the task's state, since a
//! 64-bit process can make 32-bit calls too. Their old way to sockets, `socketcall`, is taken apart.

mod dispatcher;
mod numbers;
mod sensor;

use nonna_bpf::{Hook, SyscallPhase};
use nonna_ir::{DataDecl, DataId, FuncId, Function, FunctionBuilder, FunctionKind, Type};

use super::Expander;
use crate::CodegenError;
use dispatcher::Dispatcher;
use numbers::Numbers;

/// Numbers in the table; the kernel has fewer.
const TABLE_ENTRIES: u32 = 512;
/// Arguments of a system call.
const MAX_ARGS: u8 = 6;
/// What a function can read of a call: its arguments, and then its number. That of a 32-bit call is 1,024 more.
const N_WORDS: u8 = MAX_ARGS + 1;
/// The global variable that switches system call sensors on and off: one byte for each number below 512, a sum of
/// [`SYSCALL_WANTED_NATIVE`] and [`SYSCALL_WANTED_COMPAT`]. User space may change it at any time.
pub const fn syscall_table_name(phase: SyscallPhase) -> &'static str {
    match phase {
        SyscallPhase::Enter => "syscalls_entered",
        SyscallPhase::Exit => "syscalls_left",
    }
}

/// In a byte of the table: the 64-bit call with this number is wanted.
pub const SYSCALL_WANTED_NATIVE: u8 = 1;
/// In a byte of the table: the 32-bit call with this number is wanted.
pub const SYSCALL_WANTED_COMPAT: u8 = 2;

/// A function that serves a system call.
struct Sensor {
    function: FuncId,
    numbers: Numbers,
}

/// Whether two functions differ only in their names and in the calls that they serve.
fn does_the_same(a: &Function, b: &Function) -> bool {
    (&a.blocks, &a.insts, &a.values, &a.slots, a.result)
        == (&b.blocks, &b.insts, &b.values, &b.slots, b.result)
}

/// A function that does nothing and that nobody calls.
fn nothing(name: &str) -> Function {
    let mut builder = FunctionBuilder::new(name, FunctionKind::Subprogram, &[], Type::Int);
    let zero = builder.iconst(0);
    builder.ret(zero);
    builder.finish()
}

impl Expander<'_> {
    /// Turns the programs on system calls into functions of two dispatchers.
    pub fn merge_syscalls(&mut self) -> Result<(), CodegenError> {
        for phase in [SyscallPhase::Enter, SyscallPhase::Exit] {
            let sensors = self.sensors(phase)?;
            if sensors.is_empty() {
                continue;
            }
            let mut words_used = [false; N_WORDS as usize];
            for sensor in &sensors {
                let function = &mut self.module.functions[sensor.function];
                sensor::become_function(function, phase, &mut words_used)?;
            }
            let table = self.syscall_table(phase, &sensors);
            let program = Dispatcher::new(self, phase, table, &words_used)?.build(&sensors);
            self.module.functions.push(program);
        }
        Ok(())
    }

    /// The functions of a phase. Those that do the same become one.
    fn sensors(&mut self, phase: SyscallPhase) -> Result<Vec<Sensor>, CodegenError> {
        let mut sensors: Vec<Sensor> = Vec::new();
        let mut doubles = Vec::new();
        for (function, data) in self.module.functions.iter() {
            let FunctionKind::Program { hook: Hook::Syscall { phase: its_phase, name } } = &data.kind else {
                continue;
            };
            if *its_phase == phase {
                let numbers =
                    Numbers::of(name).ok_or_else(|| CodegenError::UnknownSyscall { name: name.clone() })?;
                let functions = &self.module.functions;
                match sensors.iter_mut().find(|known| does_the_same(&functions[known.function], data)) {
                    Some(known) => {
                        known.numbers.add(numbers);
                        doubles.push(function);
                    }
                    None => sensors.push(Sensor { function, numbers }),
                }
            }
        }
        for double in doubles {
            self.module.functions[double] = nothing(&self.module.functions[double].name);
        }
        Ok(sensors)
    }

    fn syscall_table(&mut self, phase: SyscallPhase, sensors: &[Sensor]) -> DataId {
        let mut bytes = vec![0; TABLE_ENTRIES as usize];
        for sensor in sensors {
            for &number in &sensor.numbers.native {
                bytes[number as usize] |= SYSCALL_WANTED_NATIVE;
            }
            for &number in &sensor.numbers.compat {
                bytes[number as usize] |= SYSCALL_WANTED_COMPAT;
            }
            if !sensor.numbers.socketcall.is_empty() {
                bytes[numbers::SOCKETCALL as usize] |= SYSCALL_WANTED_COMPAT;
            }
        }
        let name = syscall_table_name(phase).to_owned();
        self.module.data.push(DataDecl { name, bytes, align: 8, mutable: true })
    }
}
