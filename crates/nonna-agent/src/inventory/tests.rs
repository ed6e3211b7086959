//! Tests of the inventory with events made by hand.

use std::sync::Arc;

use nonna_event::{Event, EventSchema, Field, FieldType, Ring, Text, Value};

use super::*;

/// An event with an unsigned field for each number and a text field for each string.
fn event(name: &str, numbers: &[(&str, u64)], texts: &[(&str, &str)]) -> Event {
    let number = FieldType::Unsigned { bytes: 8 };
    let text = FieldType::Text { max_bytes: 64 };
    let fields = numbers.iter().map(|(n, _)| (n, &number)).chain(texts.iter().map(|(n, _)| (n, &text)));
    let fields = fields.map(|(name, field_type)| Field {
        name: (*name).to_owned(),
        field_type: field_type.clone(),
        description: String::new(),
    });
    let schema = EventSchema { id: 1, name: name.to_owned(), fields: fields.collect(), ring: Ring::Critical };
    let texts = texts.iter().map(|(_, text)| {
        Value::Text(Text { bytes: text.as_bytes().to_vec(), truncated_from: None, racy: false })
    });
    let values = numbers.iter().map(|(_, n)| Value::Unsigned(*n)).chain(texts).collect();
    Event { schema: Arc::new(schema), generation: 0, values }
}

fn from(pid: u64, sequence: u64, time: u64) -> [(&'static str, u64); 4] {
    [("pid", pid), ("start_time_ns", pid * 100), ("exec_sequence", sequence), ("time_ns", time)]
}

fn exec(inventory: &mut Inventory, pid: u64, sequence: u64, ppid: u64, exe: &str) -> Rc<Process> {
    let mut numbers = from(pid, sequence, 0).to_vec();
    numbers.extend([("ppid", ppid), ("parent.start_time_ns", ppid * 100), ("uid", 1000)]);
    inventory.exec(&event("process_exec", &numbers, &[("exe", exe), ("name", "x")]), |_| {})
}

fn fork(inventory: &mut Inventory, pid: u64, sequence: u64, child: u64) {
    let mut numbers = from(pid, sequence, 0).to_vec();
    numbers.extend([("child.pid", child), ("child.start_time_ns", child * 100), ("child.exec_sequence", 9)]);
    inventory.fork(&event("process_fork", &numbers, &[])).unwrap();
}

#[test]
fn fork_and_exec_build_the_tree() {
    let mut inventory = Inventory::new(100);
    exec(&mut inventory, 10, 1, 1, "/usr/sbin/sshd");
    fork(&mut inventory, 10, 1, 20);
    let shell = exec(&mut inventory, 20, 10, 10, "/bin/bash");
    fork(&mut inventory, 20, 10, 30);
    let cat = exec(&mut inventory, 30, 10, 20, "/bin/cat");
    assert_eq!(cat.parent, Some(shell.exec_id));
    assert_eq!((cat.ppid, cat.uid, cat.short_name()), (20, 1000, &b"cat"[..]));
    let ancestors = inventory.ancestors(&cat);
    let names: Vec<&[u8]> = ancestors.iter().map(|p| p.short_name()).collect();
    assert_eq!(names, [&b"bash"[..], b"sshd"]);
}

#[test]
fn a_late_record_finds_the_program_that_an_exec_replaced() {
    let mut inventory = Inventory::new(100);
    let shell = exec(&mut inventory, 20, 10, 1, "/bin/sh");
    exec(&mut inventory, 20, 11, 1, "/bin/cat");
    let late = inventory.origin(&event("file_open", &from(20, 10, 5), &[]));
    assert_eq!(late, shell);
    assert_eq!(inventory.origin(&event("file_open", &from(20, 11, 6), &[])).exe, b"/bin/cat");
}

#[test]
fn reused_pids_are_different_processes() {
    let mut inventory = Inventory::new(100);
    exec(&mut inventory, 20, 1, 1, "/bin/sh");
    let mut numbers = from(20, 1, 0).to_vec();
    numbers[1].1 = 777;
    let other = inventory.origin(&event("file_open", &numbers, &[("name", "stranger")]));
    assert_eq!((other.exe.as_slice(), other.name.as_slice()), (&b""[..], &b"stranger"[..]));
}

#[test]
fn the_ended_are_remembered_for_a_while() {
    let mut inventory = Inventory::new(100);
    exec(&mut inventory, 20, 1, 1, "/bin/sh");
    let exit = event("process_exit", &from(20, 1, 1_000), &[]);
    assert!(inventory.exit(&exit).is_some());
    assert!(inventory.exit(&exit).is_none(), "a process ends once");
    inventory.expire(2_000);
    assert_eq!(inventory.len(), 1);
    inventory.expire(1_000 + REMEMBERED_NS);
    assert!(inventory.is_empty());
}

#[test]
fn many_ended_processes_do_not_pile_up() {
    let mut inventory = Inventory::new(100);
    for pid in 1..40_000 {
        exec(&mut inventory, pid, 1, 0, "/bin/true");
        inventory.exit(&event("process_exit", &from(pid, 1, 1), &[]));
    }
    assert!(inventory.len() <= MOST_REMEMBERED);
}

#[test]
fn a_circle_of_parents_ends() {
    let mut inventory = Inventory::new(100);
    exec(&mut inventory, 1, 1, 2, "/a");
    exec(&mut inventory, 2, 1, 1, "/b");
    let one = exec(&mut inventory, 1, 1, 2, "/a");
    assert!(inventory.ancestors(&one).len() <= 2);
}

#[test]
fn processes_of_proc_are_found_by_their_tick() {
    let mut inventory = Inventory::new(100);
    let id = |start_ns| ProcessId { pid: 5, start_ns };
    let start = ExecId { process: id(120_000_000), sequence: 0 };
    inventory.add_running(Process { exe: b"/sbin/init".to_vec(), ..Process::unknown(start) });
    let numbers = [("pid", 5), ("start_time_ns", 123_456_789), ("exec_sequence", 4), ("time_ns", 1)];
    let found = inventory.origin(&event("file_open", &numbers, &[]));
    assert_eq!((found.exe.as_slice(), found.exec_id.process), (&b"/sbin/init"[..], id(123_456_789)));
    inventory.exit(&event("process_exit", &numbers, &[]));
    inventory.expire(1 + REMEMBERED_NS);
    assert!(inventory.is_empty());
}

#[test]
fn an_end_that_comes_after_a_sweep_is_told_once() {
    let mut inventory = Inventory::new(100);
    exec(&mut inventory, 20, 1, 1, "/bin/true");
    inventory.sweep(1_000, &FxHashSet::default());
    let end = event("process_exit", &from(20, 1, 900), &[]);
    assert!(inventory.exit(&end).is_some(), "the end was on its way while the sweep looked");
    assert!(inventory.exit(&end).is_none());
    inventory.expire(1_000 + REMEMBERED_NS);
    assert!(inventory.is_empty());
}
