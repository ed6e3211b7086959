//! Comparisons, copies and the other sources of fields, fed with the names that a test gives to `memfd_create`.

use nonna_bpf::{Helper, Hook, SyscallPhase};
use nonna_event::{Event, FieldType, Ring, Value};
use nonna_ir::{DataDecl, FieldSource, Inst, Predicate, Relation, Space, Type};
use nonna_testkit::{KernelTest, Outcome};
use rustix::fs::MemfdFlags;

use crate::kit::{Body, Builder, Fault, Running, string, text};

pub fn tests() -> Vec<KernelTest> {
    vec![
        crate::test("texts_and_bytes_compare_as_they_should", &[], texts_and_bytes_compare_as_they_should),
        crate::test("large_memory_is_zeroed_and_copied", &[], large_memory_is_zeroed_and_copied),
        crate::test("bytes_come_at_their_length", &[], bytes_come_at_their_length),
        crate::test("texts_say_when_they_were_cut", &[], texts_say_when_they_were_cut),
        crate::test("names_of_tasks_stand_around_texts", &[], names_of_tasks_stand_around_texts),
        crate::test("stacks_are_addresses", &[], stacks_are_addresses),
    ]
}

/// A program on `memfd_create` that emits an event of these fields when this process calls it.
fn on_memfd(
    fields: &[(&str, FieldType)],
    sources: impl FnOnce(&mut Body<'_>, nonna_ir::Value) -> Vec<FieldSource>,
    data: &[(&str, &[u8])],
) -> Result<Running, Fault> {
    let mut builder = Builder::new()?;
    for (name, bytes) in data {
        let (name, bytes) = ((*name).to_owned(), bytes.to_vec());
        builder.module.data.push(DataDecl { name, bytes, align: 1, mutable: false });
    }
    let fields: Vec<_> =
        [("pid", FieldType::Unsigned { bytes: 4 })].into_iter().chain(fields.to_vec()).collect();
    let event = builder.event("memfd", Ring::Volume, &fields);
    let hook = Hook::Syscall { phase: SyscallPhase::Enter, name: "memfd_create".to_owned() };
    let value = i64::from(std::process::id());
    builder.program("memfd", hook, |body| {
        let pid = body.pid();
        let name = body.b.arg(0, Type::USER);
        let mut all = vec![FieldSource::Scalar(pid)];
        all.extend(sources(body, name));
        let mine = Predicate::Integer { field: 0, relation: Relation::Eq, value };
        body.b.effect(Inst::Emit { event, fields: all, filter: Some(mine) });
    });
    builder.run()
}

fn send(running: &mut Running, name: &str) -> Result<Event, Fault> {
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    let mut events = running.events()?;
    assert_eq!(events.len(), 1);
    Ok(events.remove(0))
}

/// Memory with the name in it, zeroed behind.
fn name_in_slot(body: &mut Body<'_>, name: nonna_ir::Value, bytes: u32) -> nonna_ir::Value {
    let slot = body.b.slot(bytes, 1);
    let memory = body.b.slot_address(slot);
    body.b.zero(memory, 0, bytes);
    body.b.read_text(Space::User, name, memory, bytes);
    memory
}

/// The running task's name as a text field.
fn own_name(body: &mut Body<'_>) -> FieldSource {
    let slot = body.b.slot(16, 1);
    let memory = body.b.slot_address(slot);
    let bytes = body.b.iconst(16);
    body.b.call_helper(Helper::GET_CURRENT_COMM, &[memory, bytes]);
    let pointer = body.b.cast(memory, Type::KERNEL);
    FieldSource::Text { space: Space::Kernel, pointer, max_bytes: 16 }
}

fn names_of_tasks_stand_around_texts() -> Outcome {
    let (name, text) = (FieldType::Text { max_bytes: 16 }, FieldType::Text { max_bytes: 600 });
    let fields = [("first", name.clone()), ("second", name.clone()), ("text", text), ("last", name)];
    let mut running = on_memfd(
        &fields,
        |body, argument| {
            let [first, second, last] = std::array::from_fn(|_| own_name(body));
            let text = FieldSource::Text { space: Space::User, pointer: argument, max_bytes: 600 };
            vec![first, second, text, last]
        },
        &[],
    )?;
    let own = std::fs::read_to_string("/proc/self/comm")?;
    let long = "l".repeat(240);
    for given in ["", "x", "seven s", "eight so", &long] {
        let event = send(&mut running, given)?;
        let found = ["first", "second", "text", "last"].map(|field| string(&event, field));
        assert_eq!(found, [own.trim_end(), own.trim_end(), given, own.trim_end()]);
    }
    Ok(())
}

fn texts_and_bytes_compare_as_they_should() -> Outcome {
    const WORD: &[u8] = b"a word\0";
    let long = [&[b'l'; 140][..], b"\0"].concat();
    let data: &[(&str, &[u8])] = &[("word", WORD), ("long", &long), ("table", b"a word, and more")];
    let names = ["is_word", "is_long", "as_long_text", "starts_so", "starts_alike", "same_memory"];
    let fields = names.map(|name| (name, FieldType::Bool));
    let mut running = on_memfd(
        &fields,
        |body, name| {
            let mut data = body.data();
            let [word, long, table] = std::array::from_fn(|_| data.next().expect("three pieces of data"));
            let memory = name_in_slot(body, name, 160);
            let other = body.b.slot(160, 8);
            let other = body.b.slot_address(other);
            body.b.zero(other, 0, 160);
            let long_at = body.b.data_address(long);
            body.b.effect(Inst::Copy { to: other, to_offset: 0, from: long_at, from_offset: 0, bytes: 141 });
            let (word, table) = (body.b.data_address(word), body.b.data_address(table));
            let comparisons = [
                Inst::EqualText { left: word, right: memory, max_bytes: 7 },
                Inst::EqualText { left: memory, right: long_at, max_bytes: 141 },
                Inst::EqualText { left: memory, right: other, max_bytes: 157 },
                Inst::EqualText { left: memory, right: table, max_bytes: 4 },
                Inst::EqualBytes { left: memory, right: table, bytes: 6 },
                Inst::EqualBytes { left: memory, right: other, bytes: 155 },
            ];
            comparisons.map(|inst| FieldSource::Scalar(body.b.inst(inst, Type::Int))).to_vec()
        },
        data,
    )?;
    let long = "l".repeat(140);
    let cases: [(&str, [u64; 6]); 9] = [
        ("a word", [1, 0, 0, 1, 1, 0]),
        ("a wor", [0, 0, 0, 1, 0, 0]),
        ("a word, and", [0, 0, 0, 1, 1, 0]),
        ("a w", [0, 0, 0, 0, 0, 0]),
        ("b word", [0, 0, 0, 0, 0, 0]),
        ("", [0, 0, 0, 0, 0, 0]),
        (&long, [0, 1, 1, 0, 0, 1]),
        (&long[1..], [0, 0, 0, 0, 0, 0]),
        (&format!("{long}x"), [0, 0, 0, 0, 0, 0]),
    ];
    for (name, expected) in cases {
        let event = send(&mut running, name)?;
        assert_eq!(names.map(|field| event.unsigned(field)), expected.map(Some), "{name}");
    }
    Ok(())
}

fn large_memory_is_zeroed_and_copied() -> Outcome {
    let fields = [("copied", FieldType::Blob { bytes: 240 }), ("zeroed", FieldType::Blob { bytes: 240 })];
    let mut running = on_memfd(
        &fields,
        |body, name| {
            let memory = name_in_slot(body, name, 240);
            let copies = [0, 0].map(|_| body.b.slot(240, 1));
            let [copied, zeroed] = copies.map(|slot| body.b.slot_address(slot));
            for to in [copied, zeroed] {
                body.b.effect(Inst::Copy { to, to_offset: 0, from: memory, from_offset: 0, bytes: 240 });
            }
            body.b.zero(zeroed, 3, 200);
            [copied, zeroed].map(|pointer| FieldSource::Memory { pointer, bytes: 240 }).to_vec()
        },
        &[],
    )?;
    let name: String = ('a'..='z').cycle().take(230).collect();
    let mut expected = name.clone().into_bytes();
    expected.resize(240, 0);
    let event = send(&mut running, &name)?;
    assert_eq!(event.get("copied"), Some(&Value::Bytes(expected.clone())));
    expected[3..203].fill(0);
    assert_eq!(event.get("zeroed"), Some(&Value::Bytes(expected)));
    Ok(())
}

/// Reads the length of the name from the flags, which the call ignores beyond the lowest bits.
fn bytes_come_at_their_length() -> Outcome {
    let fields = [
        ("in_place", FieldType::Bytes { max_bytes: 16 }),
        ("owned", FieldType::Bytes { max_bytes: 32 }),
        ("none", FieldType::Bytes { max_bytes: 8 }),
    ];
    let mut running = on_memfd(
        &fields,
        |body, name| {
            let memory = name_in_slot(body, name, 32);
            let length = body.b.load(memory, 0, nonna_bpf::MemSize::B, false);
            let nowhere = body.b.iconst(0);
            let nowhere = body.b.cast(nowhere, Type::USER);
            let space = Space::User;
            vec![
                FieldSource::Bytes { space, pointer: name, length, max_bytes: 16 },
                FieldSource::Sized { pointer: memory, length, capacity: 32 },
                FieldSource::Bytes { space, pointer: nowhere, length, max_bytes: 8 },
            ]
        },
        &[],
    )?;
    for length in [1, 8, 16, 17, 32, 33, 120] {
        let name = format!("{}{}", char::from(length), "0123456789".repeat(6));
        let event = send(&mut running, &name)?;
        let mut memory = name.clone().into_bytes();
        memory[31] = 0;
        let expected = |bytes: &[u8], max: usize| Value::Bytes(bytes[..max.min(length.into())].to_vec());
        assert_eq!(event.get("in_place"), Some(&expected(name.as_bytes(), 16)), "{length}");
        assert_eq!(event.get("owned"), Some(&expected(&memory, 32)), "{length}");
        assert_eq!(event.get("none"), Some(&Value::Absent));
    }
    Ok(())
}

fn texts_say_when_they_were_cut() -> Outcome {
    // Small ones in the ring itself, and with one large one packed in scratch memory.
    for large in [16, 1024] {
        let fields =
            [("short", FieldType::Text { max_bytes: 16 }), ("long", FieldType::Text { max_bytes: large })];
        let mut running = on_memfd(
            &fields,
            |_, pointer| {
                [16, large]
                    .map(|max_bytes| FieldSource::Text { space: Space::User, pointer, max_bytes })
                    .to_vec()
            },
            &[],
        )?;
        for length in [0, 1, 14, 15, 16, 17, 40] {
            let name = "n".repeat(length);
            let event = send(&mut running, &name)?;
            for (field, max_bytes) in [("short", 16), ("long", large as usize)] {
                let found = text(&event, field);
                let kept = length.min(max_bytes - 1);
                assert_eq!(found.bytes.len(), kept, "{field} of {length}");
                // How long it really is stays unknown: at least one byte more than was kept.
                let cut = (length > kept).then_some(u32::try_from(max_bytes)?);
                assert_eq!(found.truncated_from, cut, "{field} of {length}");
                assert!(found.racy);
            }
        }
    }
    Ok(())
}

fn stacks_are_addresses() -> Outcome {
    let fields = [
        ("kernel", FieldType::KernelStack { max_frames: 8 }),
        ("user", FieldType::UserStack { max_frames: 127 }),
    ];
    let mut running = on_memfd(
        &fields,
        |_, _| {
            [(Space::Kernel, 8), (Space::User, 127)]
                .map(|(space, max_frames)| FieldSource::Stack { space, max_frames })
                .to_vec()
        },
        &[],
    )?;
    let event = send(&mut running, "any")?;
    let (Some(Value::Stack(kernel)), Some(Value::Stack(user))) = (event.get("kernel"), event.get("user"))
    else {
        panic!("{event:?}");
    };
    assert!(!kernel.is_empty() && kernel.len() <= 8 && kernel.iter().all(|frame| frame >> 63 == 1));
    assert!(!user.is_empty() && user.iter().all(|frame| frame >> 63 == 0));
    Ok(())
}
