//! System calls through the dispatcher: 64 and 32 bit, by number and by `socketcall`, switched on and off.

use std::process::Command;

use nonna_bpf::{Hook, SyscallPhase};
use nonna_codegen::{SYSCALL_WANTED_COMPAT, SYSCALL_WANTED_NATIVE, syscall_table_name};
use nonna_event::{Event, FieldType, Ring, Value};
use nonna_ir::{FieldSource, Inst, Space, Type};
use nonna_testkit::{KernelTest, Outcome};

use crate::elf;
use crate::files::touch;
use crate::kit::{Builder, Fault, Running};

pub fn tests() -> Vec<KernelTest> {
    vec![
        crate::test("both_kinds_of_calls_are_told_apart", &[], both_kinds_of_calls_are_told_apart),
        crate::test(
            "a_32_bit_process_is_seen_with_its_socketcall",
            &[],
            a_32_bit_process_is_seen_with_its_socketcall,
        ),
        crate::test("a_sensor_can_be_switched_off_and_on", &[], a_sensor_can_be_switched_off_and_on),
    ]
}

/// Reports `flock` on its return and `connect` on its entry.
fn watch() -> Result<Running, Fault> {
    let mut builder = Builder::new()?;
    let flock = builder.event(
        "flock",
        Ring::Volume,
        &[
            ("pid", FieldType::Unsigned { bytes: 4 }),
            ("fd", FieldType::Signed { bytes: 8 }),
            ("operation", FieldType::Signed { bytes: 4 }),
            ("result", FieldType::Signed { bytes: 8 }),
        ],
    );
    let connect = builder.event(
        "connect",
        Ring::Volume,
        &[
            ("pid", FieldType::Unsigned { bytes: 4 }),
            ("fd", FieldType::Signed { bytes: 8 }),
            ("address", FieldType::Bytes { max_bytes: 28 }),
        ],
    );
    let hook = Hook::Syscall { phase: SyscallPhase::Exit, name: "flock".to_owned() };
    builder.program("flock", hook, |body| {
        let pid = body.pid();
        let (fd, operation) = (body.b.arg(0, Type::Int), body.b.arg(1, Type::Int));
        let result = body.b.inst(Inst::ReturnValue, Type::Int);
        body.b.emit(flock, [pid, fd, operation, result].map(FieldSource::Scalar).to_vec());
    });
    let hook = Hook::Syscall { phase: SyscallPhase::Enter, name: "connect".to_owned() };
    builder.program("connect", hook, |body| {
        let pid = body.pid();
        let (fd, pointer, length) =
            (body.b.arg(0, Type::Int), body.b.arg(1, Type::USER), body.b.arg(2, Type::Int));
        let address = FieldSource::Bytes { space: Space::User, pointer, length, max_bytes: 28 };
        body.b.emit(connect, vec![FieldSource::Scalar(pid), FieldSource::Scalar(fd), address]);
    });
    builder.run()
}

/// Runs a program of this code and returns its events.
fn events_of(
    running: &mut Running,
    write: fn(&std::path::Path, &[u8]) -> std::io::Result<()>,
    code: &[&[u8]],
) -> Result<Vec<Event>, Fault> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("program");
    write(&path, &code.concat())?;
    let mut child = Command::new(&path).spawn()?;
    let pid = u64::from(child.id());
    assert!(child.wait()?.success());
    let events = running.events()?.into_iter();
    Ok(events.filter(|event| event.unsigned("pid") == Some(pid)).collect())
}

fn numbers(event: &Event) -> Vec<Option<i64>> {
    ["fd", "operation", "result"].map(|field| event.signed(field)).to_vec()
}

/// `mov register, value`; 0xb8 is the first register's code, the number its place.
fn set(register: u8, value: u32) -> Vec<u8> {
    let mut code = vec![0xb8 + register];
    code.extend(value.to_le_bytes());
    code
}

const EAX: u8 = 0;
const ECX: u8 = 1;
const EDX: u8 = 2;
const EBX: u8 = 3;
const ESI: u8 = 6;
const EDI: u8 = 7;
const INT_80: &[u8] = &[0xcd, 0x80];
const SYSCALL: &[u8] = &[0x0f, 0x05];
/// `EBADF`
const BAD_DESCRIPTOR: i64 = -9;

fn both_kinds_of_calls_are_told_apart() -> Outcome {
    let mut running = watch()?;
    // Native: flock is 73, and 143 is another call, with the number that flock has in 32-bit processes.
    let native = [set(EAX, 73), set(EDI, 77), set(ESI, 8), SYSCALL.to_vec()].concat();
    let other = [set(EAX, 143), set(EDI, 78), set(ESI, 8), SYSCALL.to_vec()].concat();
    // A 64-bit process that makes a 32-bit call, and one whose 32-bit number is native flock.
    let compat = [set(EAX, 143), set(EBX, 79), set(ECX, 8), INT_80.to_vec()].concat();
    let compat_other = [set(EAX, 73), set(EBX, 80), set(ECX, 8), INT_80.to_vec()].concat();
    let code = [&native[..], &other, &compat, &compat_other, elf::EXIT_64];
    let events = events_of(&mut running, elf::write_64, &code)?;
    let found: Vec<_> = events.iter().map(numbers).collect();
    let flock = |fd| vec![Some(fd), Some(8), Some(BAD_DESCRIPTOR)];
    assert_eq!(found, [flock(77), flock(79)]);
    Ok(())
}

fn a_32_bit_process_is_seen_with_its_socketcall() -> Outcome {
    let mut running = watch()?;
    // Code begins at a known address; the words behind it are at a known distance.
    let flock = [set(EAX, 143), set(EBX, 81), set(ECX, 8), INT_80.to_vec()].concat();
    let connect = |words_at| [set(EAX, 102), set(EBX, 3), set(ECX, words_at), INT_80.to_vec()].concat();
    let direct = |address_at| {
        [set(EAX, 362), set(EBX, 83), set(ECX, address_at), set(EDX, 8), INT_80.to_vec()].concat()
    };
    let code_bytes = flock.len() + connect(0).len() + direct(0).len() + elf::EXIT_32.len();
    let words_at = elf::CODE_ADDRESS + u32::try_from(code_bytes)?;
    let address_at = words_at + 12;
    let words = [82, address_at, 8].map(u32::to_le_bytes).concat();
    let address = [2, 0, 0, 53, 127, 0, 0, 1];
    let (connect, direct) = (connect(words_at), direct(address_at));
    let code = [&flock[..], &connect, &direct, elf::EXIT_32, &words, &address];
    let events = events_of(&mut running, elf::write_32, &code)?;
    assert_eq!(numbers(&events[0]), [Some(81), Some(8), Some(BAD_DESCRIPTOR)]);
    for (event, fd) in events[1..].iter().zip([82, 83]) {
        assert_eq!(event.signed("fd"), Some(fd));
        assert_eq!(event.get("address"), Some(&Value::Bytes(address.to_vec())));
    }
    assert_eq!(events.len(), 3);
    Ok(())
}

fn a_sensor_can_be_switched_off_and_on() -> Outcome {
    let mut running = watch()?;
    let file = std::fs::File::open("/")?;
    let pid = u64::from(std::process::id());
    let count = |running: &mut Running| -> Result<usize, Fault> {
        touch(&file);
        Ok(running.events()?.iter().filter(|event| event.unsigned("pid") == Some(pid)).count())
    };
    assert_eq!(count(&mut running)?, 1);
    let table = syscall_table_name(SyscallPhase::Exit);
    let entry = running.variable_byte(table, 73)?;
    assert_eq!(entry, SYSCALL_WANTED_NATIVE);
    assert_eq!(running.variable_byte(table, 143)?, SYSCALL_WANTED_COMPAT);
    running.set_variable_byte(table, 73, 0)?;
    assert_eq!(count(&mut running)?, 0);
    running.set_variable_byte(table, 73, entry)?;
    assert_eq!(count(&mut running)?, 1);
    Ok(())
}
