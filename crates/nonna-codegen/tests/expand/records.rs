//! Records: the shape of the code that builds them.

use nonna_bpf::{Helper, Hook, MapType, MemSize};
use nonna_event::{DropReason, FieldType, RECORD_MAX_BYTES};
use nonna_ir::{
    BinaryOp, DataDecl, FieldSource, FunctionBuilder, Inst, KernelField, Module, PathSource, Predicate,
    Relation, Space, TextTest, Type,
};

use crate::kit::{self, expanded};

fn hook() -> Hook {
    Hook::RawTracepoint { event: "sched_process_exec".to_owned() }
}

fn calls(module: &Module, wanted: Helper) -> usize {
    kit::count(module, |inst| matches!(inst, Inst::CallHelper { helper, .. } if *helper == wanted))
}

#[test]
fn a_small_record_is_built_in_the_ring() {
    let schema = kit::schema(&[
        ("pid", FieldType::Unsigned { bytes: 4 }),
        ("time_ns", FieldType::Unsigned { bytes: 8 }),
        ("comm", FieldType::Text { max_bytes: 16 }),
    ]);
    let module = expanded(kit::module(hook(), schema, |b, event| {
        let pid = b.call_helper(Helper::GET_CURRENT_PID_TGID, &[]);
        let time = b.call_helper(Helper::KTIME_GET_NS, &[]);
        let task = b.current_task(None);
        let text = FieldSource::Text { space: Space::Kernel, pointer: task, max_bytes: 16 };
        b.emit(event, vec![FieldSource::Scalar(pid), FieldSource::Scalar(time), text]);
    }));
    assert_eq!((calls(&module, Helper::RINGBUF_RESERVE), calls(&module, Helper::RINGBUF_OUTPUT)), (1, 0));
    assert_eq!(calls(&module, Helper::GET_CURRENT_PID_TGID), 1);
    let names: Vec<_> = module.maps.values().map(|m| (m.name.as_str(), m.map_type)).collect();
    assert_eq!(names, [("ring_volume", MapType::Ringbuf), ("drops", MapType::PercpuArray)]);
    assert_eq!(module.maps.values().last().unwrap().max_entries, DropReason::n_counters(1));
    // Reserving comes before what only the record needs.
    let function = module.functions.values().next().unwrap();
    let entry = &function.blocks[function.entry()];
    assert!(entry.insts.iter().all(|&id| !matches!(&function.insts[id].inst, Inst::CurrentTask)));
}

#[test]
fn a_large_record_is_packed_in_scratch_memory_that_a_processor_can_hold() {
    let schema = kit::schema(&[
        ("first", FieldType::Text { max_bytes: 4096 }),
        ("second", FieldType::Bytes { max_bytes: 8192 }),
        ("third", FieldType::Text { max_bytes: 4096 }),
        ("fourth", FieldType::KernelStack { max_frames: 127 }),
    ]);
    assert_eq!(schema.layout().max_bytes, RECORD_MAX_BYTES);
    let module = expanded(kit::module(hook(), schema, |b, event| {
        let pointer = b.arg(0, Type::KERNEL);
        let length = b.arg(1, Type::Int);
        let text = FieldSource::Text { space: Space::Kernel, pointer, max_bytes: 4096 };
        let user = b.arg(2, Type::USER);
        let bytes = FieldSource::Bytes { space: Space::User, pointer: user, length, max_bytes: 8192 };
        let stack = FieldSource::Stack { space: Space::Kernel, max_frames: 127 };
        b.emit(event, vec![text, bytes, text, stack]);
    }));
    assert_eq!((calls(&module, Helper::RINGBUF_RESERVE), calls(&module, Helper::RINGBUF_OUTPUT)), (0, 1));
    let slots: Vec<_> = module.functions.values().next().unwrap().slots.values().map(|s| s.bytes).collect();
    assert_eq!(slots.iter().filter(|&&bytes| bytes > 16384 && bytes <= 32768).count(), 1, "{slots:?}");
}

#[test]
fn paths_of_a_module_share_one_walk() {
    let schema = kit::schema(&[("exe", FieldType::Path), ("cwd", FieldType::Path)]);
    let module = expanded(kit::module(hook(), schema, |b, event| {
        let file = b.arg(2, Type::KERNEL);
        let dentry = b.arg(1, Type::KERNEL);
        b.emit(
            event,
            vec![
                FieldSource::Path { source: PathSource::File, pointer: file },
                FieldSource::Path { source: PathSource::Dentry, pointer: dentry },
            ],
        );
        let slot = b.slot(256, 1);
        let to = b.slot_address(slot);
        b.read_path(PathSource::File, file, to, 256);
    }));
    let names: Vec<_> = module.functions.values().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["program", "path_step", "path_pseudo", "path_walk"]);
    assert_eq!(kit::count(&module, |inst| matches!(inst, Inst::Call { .. })), 4);
}

#[test]
fn arguments_and_environment_come_from_the_running_task() {
    let schema = kit::schema(&[
        ("args", FieldType::TextList { max_bytes: 8192 }),
        ("preload", FieldType::Text { max_bytes: 256 }),
        ("again", FieldType::Text { max_bytes: 64 }),
    ]);
    let module = expanded(kit::module_with(hook(), schema, |module, b, event| {
        let name =
            DataDecl { name: "name".to_owned(), bytes: b"LD_PRELOAD\0".to_vec(), align: 1, mutable: false };
        let name = module.data.push(name);
        let task = b.current_task(None);
        b.emit(
            event,
            vec![
                FieldSource::TaskArgs { task, max_bytes: 8192 },
                FieldSource::TaskEnv { task, name, max_bytes: 256 },
                FieldSource::TaskEnv { task, name, max_bytes: 64 },
            ],
        );
    }));
    let names: Vec<_> = module.functions.values().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["program", "env_step_0"]);
}

#[test]
fn a_filter_is_tested_before_the_record_is_built() {
    let schema = kit::schema(&[
        ("flags", FieldType::Unsigned { bytes: 4 }),
        ("time_ns", FieldType::Unsigned { bytes: 8 }),
        ("path", FieldType::Path),
    ]);
    let wanted = Predicate::All(vec![
        Predicate::Integer { field: 0, relation: Relation::AnyBit, value: 3 },
        Predicate::Text {
            field: 2,
            any: vec![
                TextTest::StartsWith(b"/etc/".to_vec()),
                TextTest::Equals(b"/root/.ssh/authorized_keys".to_vec()),
                TextTest::EndsWith(b".so".to_vec()),
            ],
        },
    ]);
    let module = kit::module(hook(), schema, |b, event| {
        let flags = b.arg(1, Type::Int);
        let time = b.call_helper(Helper::KTIME_GET_NS, &[]);
        let file = b.arg(2, Type::KERNEL);
        let path = FieldSource::Path { source: PathSource::File, pointer: file };
        let fields = vec![FieldSource::Scalar(flags), FieldSource::Scalar(time), path];
        b.effect(Inst::Emit { event, fields, filter: Some(wanted) });
    });
    let module = expanded(module);
    let function = module.functions.values().next().unwrap();
    // What is done for a record that the flags refuse: the flags, and nothing that costs.
    let entry = &function.blocks[function.entry()];
    assert!(
        entry
            .insts
            .iter()
            .all(|&id| !matches!(function.insts[id].inst, Inst::Call { .. } | Inst::CallHelper { .. }))
    );
}

#[test]
fn comparisons_become_loads() {
    let schema = kit::schema(&[("a", FieldType::Unsigned { bytes: 8 })]);
    expanded(kit::module_with(hook(), schema, |module, b, event| {
        let text = DataDecl { name: "text".to_owned(), bytes: b"bash\0".to_vec(), align: 1, mutable: false };
        let text = module.data.push(text);
        let (first, second) = (b.slot(200, 1), b.slot(200, 1));
        let (first, second) = (b.slot_address(first), b.slot_address(second));
        b.zero(first, 0, 200);
        b.zero(second, 0, 16);
        let text = b.data_address(text);
        let results = [
            Inst::EqualText { left: text, right: first, max_bytes: 5 },
            Inst::EqualText { left: first, right: second, max_bytes: 197 },
            Inst::EqualBytes { left: first, right: second, bytes: 20 },
            Inst::EqualBytes { left: first, right: second, bytes: 200 },
        ];
        let results = results.map(|inst| b.inst(inst, Type::Int));
        let sum = results.into_iter().reduce(|sum, result| b.binary(BinaryOp::Add, sum, result)).unwrap();
        b.emit(event, vec![FieldSource::Scalar(sum)]);
    }));
}

#[test]
fn the_kernel_writes_the_task_s_name_into_the_record() {
    let schema = kit::schema(&[
        ("comm", FieldType::Text { max_bytes: 16 }),
        ("raw", FieldType::Blob { bytes: 16 }),
        ("time_ns", FieldType::Unsigned { bytes: 8 }),
    ]);
    let build = |b: &mut FunctionBuilder, event| {
        let name = |b: &mut FunctionBuilder| {
            let slot = b.slot(16, 1);
            let memory = b.slot_address(slot);
            let bytes = b.iconst(16);
            b.call_helper(Helper::GET_CURRENT_COMM, &[memory, bytes]);
            memory
        };
        let task = b.current_task(None);
        let started =
            KernelField { container: None, offset: 8, size: MemSize::DW, signed: false, bits: None };
        let time = b.load_kernel(task, started, Type::Int);
        let (first, second) = (name(b), name(b));
        let text =
            FieldSource::Text { space: Space::Kernel, pointer: b.cast(first, Type::KERNEL), max_bytes: 16 };
        let raw = FieldSource::Memory { pointer: second, bytes: 16 };
        b.emit(event, vec![text, raw, FieldSource::Scalar(time)]);
    };
    let module = expanded(kit::module(hook(), schema, build));
    assert_eq!(
        (calls(&module, Helper::GET_CURRENT_COMM), calls(&module, Helper::PROBE_READ_KERNEL_STR)),
        (2, 0)
    );
    // All of it comes after the room in the ring, the load from the kernel included.
    let function = module.functions.values().next().unwrap();
    let entry = &function.blocks[function.entry()];
    let is_late = |inst: &Inst| {
        matches!(inst, Inst::CallHelper { helper: Helper::GET_CURRENT_COMM, .. } | Inst::LoadKernel { .. })
    };
    assert!(entry.insts.iter().all(|&id| !is_late(&function.insts[id].inst)));
}
