//! Helpers that call functions of the program or that the kernel cannot be asked about by a test run: what they do in the sandbox.

use nonna_bpf::{Hook, Program, ProgramType};
use nonna_bpf::{
    Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Relocation, RelocationTarget, assemble,
};
use nonna_sandbox::{
    Budget, Clock, Context, Engine, FaultKind, HelperError, Helpers, Host, Identity, Links, MapHandle, Maps,
    Prepared, Programs, Regions, Run, Stack, UpdateMode, run,
};

fn map(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Map {
    Map {
        name: "map".to_owned(),
        map_type,
        key_size,
        value_size,
        max_entries,
        flags: MapFlags::empty(),
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    }
}

fn program(text: &str) -> Program {
    let insns = assemble(&text.replace("; ", "\n")).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    let (mut slot, mut relocations) = (0, Vec::new());
    for insn in &insns {
        if let Insn::LoadImm64 { value: Imm64::MapIndex(map), .. } = insn {
            relocations.push(Relocation { slot, target: RelocationTarget::Map(MapIdx(*map as u32)) });
        }
        slot += if matches!(insn, Insn::LoadImm64 { .. }) { 2 } else { 1 };
    }
    Program {
        name: "program".to_owned(),
        section: "tc".to_owned(),
        program_type: ProgramType::SchedCls,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("tc".to_owned()),
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    }
}

/// A host with a clock of its own, a process, and a list of what was printed.
#[derive(Default)]
struct World {
    now_ns: u64,
    printed: Vec<String>,
}

impl Host for World {
    fn clock_ns(&mut self, _: Clock) -> u64 {
        self.now_ns
    }

    fn identity(&mut self) -> Identity {
        Identity {
            process: 7,
            thread: 8,
            user: 1000,
            group: 100,
            name: *b"a program\0\0\0\0\0\0\0",
            cgroup: 5,
        }
    }

    fn task(&mut self) -> u64 {
        77
    }

    fn print(&mut self, line: &[u8]) {
        self.printed.push(String::from_utf8_lossy(line).into_owned());
    }
}

/// Maps, and a host.
struct Sandbox {
    maps: Maps,
    handles: Vec<MapHandle>,
    world: World,
}

impl Sandbox {
    fn new(maps: Vec<Map>) -> Sandbox {
        let object = Object { license: "GPL".to_owned(), maps, ..Object::default() };
        let mut maps = Maps::new(2);
        let handles = maps.create_all(&object).expect("the maps are made");
        Sandbox { maps, handles, world: World::default() }
    }

    fn prepare(&self, text: &str) -> Prepared {
        let links = Links { maps: &self.maps, handles: &self.handles, helpers: &Helpers::kernel() };
        Prepared::unproved_program(&program(text), links).expect("it can run")
    }

    fn with<T>(&mut self, programs: &dyn Programs, body: impl FnOnce(&mut Run<'_, '_>) -> T) -> T {
        let mut stack = Stack::new();
        let mut regions = Regions::new(&mut stack);
        let mut context = Context::default();
        let sandbox = Run::new(&mut regions, &mut self.maps, &mut context, &mut self.world);
        body(&mut sandbox.with_programs(programs))
    }

    fn try_run(&mut self, text: &str) -> Result<u64, FaultKind> {
        let prepared = self.prepare(text);
        let budget = Budget { instructions: 1_000_000, time: None };
        let finished = self.with(&Nothing, |sandbox| run(&prepared, [0; 5], sandbox, budget));
        finished.map(|finished| finished.result).map_err(|fault| fault.kind)
    }

    fn run(&mut self, text: &str) -> u64 {
        self.try_run(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }
}

/// No programs to go over to.
struct Nothing;

impl Programs for Nothing {
    fn program(&self, _: u32) -> Option<&dyn Engine> {
        None
    }
}

#[test]
fn a_loop_calls_until_it_is_told_to_stop() {
    let mut sandbox = Sandbox::new(Vec::new());
    let looped = |n: u32, last: u32| {
        format!(
            "*(u64 *)(r10 -8) = 0; r1 = {n}; r2 = subprog[body]; r3 = r10; r3 += -8; r4 = 0; call 181; r0 <<= 32; \
             r1 = *(u64 *)(r10 -8); r0 |= r1; exit; body: r3 = *(u64 *)(r2 +0); r3 += r1; *(u64 *)(r2 +0) = r3; r0 = 0; \
             if r1 != {last} goto out; r0 = 1; out: exit"
        )
    };
    assert_eq!(sandbox.run(&looped(5, 100)), 5 << 32 | 10);
    assert_eq!(sandbox.run(&looped(5, 2)), 3 << 32 | 3);
    assert_eq!(sandbox.run(&looped(0, 2)), 0);
    // More rounds than the kernel makes are refused, and the budget holds inside.
    assert_eq!(
        sandbox.run("r1 = 8388609; r2 = subprog[body]; r3 = 0; r4 = 0; call 181; exit; body: r0 = 0; exit")
            as i64,
        -7
    );
    let endless = "r1 = 8388608; r2 = subprog[body]; r3 = 0; r4 = 0; call 181; exit; body: r0 = 0; exit";
    assert_eq!(sandbox.try_run(endless), Err(FaultKind::Instructions));
    let wrong = "r1 = 1; r2 = 5; r3 = 0; r4 = 0; call 181; exit";
    assert_eq!(
        sandbox.try_run(wrong),
        Err(FaultKind::Helper { number: 181, error: HelperError::NoFunction(5) })
    );
}

#[test]
fn each_entry_is_shown_and_may_be_deleted_meanwhile() {
    let text = "*(u64 *)(r10 -8) = 0; r1 = map[idx:0]; r2 = subprog[body]; r3 = r10; r3 += -8; r4 = 0; call 164; r0 <<= 32; r1 = *(u64 *)(r10 -8); \
                r0 |= r1; exit; body: r5 = *(u64 *)(r3 +0); r6 = *(u32 *)(r2 +0); r5 += r6; r6 = *(u64 *)(r4 +0); r6 += r5; *(u64 *)(r4 +0) = r6; DELETE r0 = 0; exit";
    let mut sandbox = Sandbox::new(vec![map(MapType::Hash, 4, 8, 10)]);
    for key in 1..=4u32 {
        let value = u64::from(key * 100).to_ne_bytes();
        sandbox
            .maps
            .update(sandbox.handles[0], &key.to_ne_bytes(), &value, UpdateMode::Any)
            .expect("there is room");
    }
    assert_eq!(sandbox.run(&text.replace("DELETE", "")), 4 << 32 | 1010);
    assert_eq!(sandbox.run(&text.replace("DELETE", "call 3;")), 4 << 32 | 1010);
    assert_eq!(sandbox.maps.keys(sandbox.handles[0]).expect("keys").len(), 0);
    let mut array = Sandbox::new(vec![map(MapType::Array, 4, 8, 5)]);
    assert_eq!(array.run(&text.replace("DELETE", "")), 5 << 32 | 10);
    let mut queue = Sandbox::new(vec![map(MapType::Queue, 0, 8, 5)]);
    assert_eq!((queue.run(&text.replace("DELETE", "")) as i64) >> 32, -22);
}

/// One program, under number 3.
struct Third(Prepared);

impl Programs for Third {
    fn program(&self, number: u32) -> Option<&dyn Engine> {
        (number == 3).then_some(&self.0 as &dyn Engine)
    }
}

#[test]
fn a_tail_call_goes_over_and_at_most_33_times() {
    let mut sandbox = Sandbox::new(vec![map(MapType::ProgArray, 4, 4, 4), map(MapType::Array, 4, 8, 1)]);
    let [programs, counter] = [sandbox.handles[0], sandbox.handles[1]];
    sandbox
        .maps
        .update(programs, &1u32.to_ne_bytes(), &3u32.to_ne_bytes(), UpdateMode::Any)
        .expect("it fits");
    let count = "*(u32 *)(r10 -4) = 0; r6 = r1; r1 = map[idx:1]; r2 = r10; r2 += -4; call 1; if r0 == 0 goto out; r1 = *(u64 *)(r0 +0); r1 += 1; \
                 *(u64 *)(r0 +0) = r1; r1 = r6; r2 = map[idx:0]; r3 = INDEX; call 12; out: r0 = 5; exit";
    let again = Third(sandbox.prepare(&count.replace("INDEX", "1")));
    let budget = Budget::default();
    let counted =
        |sandbox: &Sandbox| sandbox.maps.lookup(counter, &[0; 4]).expect("it can be read").expect("an entry");
    let finished = sandbox.with(&again, |inner| run(&again.0, [0; 5], inner, budget)).expect("it ends");
    assert_eq!((finished.result, counted(&sandbox)), (5, 34u64.to_ne_bytes().to_vec()));
    let absent = sandbox.prepare(&count.replace("INDEX", "2"));
    let finished = sandbox.with(&again, |inner| run(&absent, [0; 5], inner, budget)).expect("it ends");
    assert_eq!((finished.result, counted(&sandbox)), (5, 35u64.to_ne_bytes().to_vec()));
}

#[test]
fn records_go_to_the_host_and_an_open_one_is_exactly_lent() {
    let mut sandbox = Sandbox::new(vec![map(MapType::Ringbuf, 0, 0, 4096)]);
    let reserve = "r1 = map[idx:0]; r2 = 12; r3 = 0; call 131; if r0 == 0 goto out; *(u32 *)(r0 +AT) = 0x01020304; r1 = r0; r2 = 0; END out: r0 = 0; exit";
    let text = |at: &str, end: &str| reserve.replace("AT", at).replace("END", end);
    sandbox.run(&text("8", "call 132;"));
    sandbox.run(&text("0", "call 133;"));
    // The first byte behind a record is none of the program's; what it leaves open counts for nothing.
    assert!(matches!(sandbox.try_run(&text("9", "call 132;")), Err(FaultKind::Memory(_))));
    sandbox.run(&text("0", ""));
    let twice = text("8", "r6 = r1; call 132; r1 = r6; r2 = 0; call 132;");
    assert!(matches!(sandbox.try_run(&twice), Err(FaultKind::Helper { number: 132, .. })));
    let after = text("8", "r6 = r1; call 132; r0 = *(u8 *)(r6 +0);");
    assert!(matches!(sandbox.try_run(&after), Err(FaultKind::Memory(_))));
    let ring = sandbox.handles[0];
    let mut record = [0u8; 12];
    record[8..].copy_from_slice(&0x0102_0304u32.to_ne_bytes());
    for _ in 0..3 {
        assert_eq!(sandbox.maps.consume(ring), Ok(Some(record.to_vec())));
    }
    assert_eq!(sandbox.maps.consume(ring), Ok(None));
    // A ring that wraps keeps its records whole.
    let output =
        "*(u64 *)(r10 -8) = 7; r1 = map[idx:0]; r2 = r10; r2 += -300; r3 = 300; r4 = 0; call 130; exit";
    for _ in 0..40 {
        assert_eq!(sandbox.run(output), 0);
        let record = sandbox.maps.consume(ring).expect("a ring").expect("a record");
        assert_eq!((record.len(), &record[292..]), (300, &7u64.to_ne_bytes()[..]));
    }
    let results: Vec<i64> = (0..15).map(|_| sandbox.run(output) as i64).collect();
    assert_eq!((results[12], results[13], results[14]), (0, -11, -11));
}

#[test]
fn samples_of_the_host_are_drained() {
    let mut sandbox = Sandbox::new(vec![map(MapType::UserRingbuf, 0, 0, 4096)]);
    let ring = sandbox.handles[0];
    for sample in [1u64, 20, 300] {
        sandbox.maps.produce(ring, &sample.to_ne_bytes()).expect("there is room");
    }
    let text = "*(u64 *)(r10 -8) = 0; r1 = map[idx:0]; r2 = subprog[body]; r3 = r10; r3 += -8; r4 = 0; call 209; r0 <<= 32; r1 = *(u64 *)(r10 -8); r0 |= r1; exit; \
                body: r6 = r2; r3 = r1; r1 = r10; r1 += -8; r2 = 8; r4 = 0; r5 = 0; call 201; r1 = *(u64 *)(r10 -8); r2 = *(u64 *)(r6 +0); r2 += r1; *(u64 *)(r6 +0) = r2; \
                r0 = 0; if r1 != 20 goto out; r0 = 1; out: exit";
    assert_eq!(sandbox.run(text), 2 << 32 | 21);
    assert_eq!(sandbox.run(text), 1 << 32 | 300);
    assert_eq!(sandbox.run(text), 0);
}

#[test]
fn timers_come_when_they_are_due() {
    let mut sandbox = Sandbox::new(vec![map(MapType::Array, 4, 32, 2)]);
    let text = "*(u32 *)(r10 -4) = 1; r1 = map[idx:0]; r2 = r10; r2 += -4; call 1; if r0 == 0 goto out; r6 = r0; r1 = r6; r2 = map[idx:0]; r3 = 1; call 169; r7 = r0; \
                r1 = r6; r2 = subprog[body]; call 170; r1 = r6; r2 = 1000; r3 = 0; call 171; r1 = r6; r2 = map[idx:0]; r3 = 1; call 169; r7 <<= 8; r0 &= 255; r7 |= r0; r0 = r7; out: exit; \
                body: r2 = *(u32 *)(r2 +0); *(u64 *)(r3 +16) = r2; r4 = *(u64 *)(r3 +24); r4 += 1; *(u64 *)(r3 +24) = r4; r0 = 0; exit";
    // Made once; a second time it is there already.
    assert_eq!(sandbox.run(text), u64::from((-16i8).cast_unsigned()));
    let prepared = sandbox.prepare(text);
    for (now_ns, fired) in [(999, 0), (1000, 1), (5000, 0)] {
        sandbox.world.now_ns = now_ns;
        let n_fired = sandbox.with(&Nothing, |inner| inner.fire_timers(&prepared, Budget::default()));
        assert_eq!(n_fired, Ok(fired), "{now_ns}");
    }
    let value = sandbox
        .maps
        .lookup(sandbox.handles[0], &1u32.to_ne_bytes())
        .expect("it can be read")
        .expect("an entry");
    assert_eq!(value[16..], [1u64.to_ne_bytes(), 1u64.to_ne_bytes()].concat());
}

#[test]
fn values_hang_on_objects() {
    let mut storage = map(MapType::TaskStorage, 4, 8, 0);
    storage.btf_value_type_id = 0;
    let mut sandbox = Sandbox::new(vec![storage, map(MapType::CgroupStorage, 8, 8, 0)]);
    let text = "call 158; r6 = r0; r1 = map[idx:0]; r2 = r6; r3 = 0; r4 = FLAGS; call 156; if r0 == 0 goto out; r1 = *(u64 *)(r0 +0); r1 += 1; *(u64 *)(r0 +0) = r1; r0 = r1; out: exit";
    assert_eq!(sandbox.run(&text.replace("FLAGS", "0")), 0);
    assert_eq!(sandbox.run(&text.replace("FLAGS", "1")), 1);
    assert_eq!(sandbox.run(&text.replace("FLAGS", "0")), 2);
    let entries = sandbox.maps.entries(sandbox.handles[0]).expect("entries");
    assert_eq!(entries, [(77u64.to_ne_bytes().to_vec(), 2u64.to_ne_bytes().to_vec())]);
    assert_eq!(sandbox.run("call 158; r1 = map[idx:0]; r2 = r0; call 157; exit"), 0);
    assert_eq!(sandbox.run("call 158; r1 = map[idx:0]; r2 = r0; call 157; exit") as i64, -2);
    let local = "r1 = map[idx:1]; r2 = 0; call 81; r1 = *(u64 *)(r0 +0); r1 += 1; *(u64 *)(r0 +0) = r1; r0 = r1; exit";
    assert_eq!((sandbox.run(local), sandbox.run(local)), (1, 2));
}

#[test]
fn maps_of_maps_give_the_inner_map() {
    let outer = Map { inner: Some(MapIdx(1)), ..map(MapType::HashOfMaps, 4, 4, 4) };
    let mut sandbox = Sandbox::new(vec![outer, map(MapType::Array, 4, 8, 2), map(MapType::Array, 4, 8, 3)]);
    let [outer, inner, other] = [sandbox.handles[0], sandbox.handles[1], sandbox.handles[2]];
    sandbox.maps.update(inner, &[0; 4], &42u64.to_ne_bytes(), UpdateMode::Any).expect("an entry");
    let put = |sandbox: &mut Sandbox, inner: MapHandle| {
        sandbox.maps.update(outer, &9u32.to_ne_bytes(), &inner.0.to_ne_bytes(), UpdateMode::Any)
    };
    assert_eq!(put(&mut sandbox, other), Err(nonna_sandbox::MapError::Invalid));
    let text = "*(u32 *)(r10 -4) = 9; r1 = map[idx:0]; r2 = r10; r2 += -4; call 1; if r0 == 0 goto out; *(u32 *)(r10 -4) = 0; r1 = r0; r2 = r10; r2 += -4; call 1; \
                if r0 == 0 goto out; r0 = *(u64 *)(r0 +0); out: exit";
    assert_eq!(sandbox.run(text), 0);
    put(&mut sandbox, inner).expect("it fits");
    assert_eq!(sandbox.run(text), 42);
}

#[test]
fn a_program_runs_over_the_maps_that_it_was_linked_with() {
    let mut sandbox = Sandbox::new(vec![map(MapType::Array, 4, 8, 1)]);
    let mut other = Sandbox::new(vec![map(MapType::Array, 4, 8, 1)]);
    let prepared = sandbox.prepare("r0 = 3; exit");
    let over = |sandbox: &mut Sandbox| {
        let budget = Budget::default();
        let finished = sandbox.with(&Nothing, |inner| run(&prepared, [0; 5], inner, budget));
        finished.map(|finished| finished.result).map_err(|fault| fault.kind)
    };
    assert_eq!(over(&mut sandbox), Ok(3));
    assert_eq!(over(&mut other), Err(FaultKind::OtherMaps));
    // More maps beside the first ones change nothing.
    sandbox.maps.create(&map(MapType::Hash, 4, 8, 1)).expect("it is made");
    assert_eq!(over(&mut sandbox), Ok(3));
}

#[test]
fn a_value_is_lent_to_its_last_byte_and_constants_only_for_reading() {
    let constant = Map { flags: MapFlags::RDONLY_PROG, ..map(MapType::Array, 4, 12, 3) };
    let mut sandbox = Sandbox::new(vec![map(MapType::Array, 4, 12, 3), constant]);
    let text = |map: u32, access: &str| {
        format!(
            "*(u32 *)(r10 -4) = 1; r1 = map[idx:{map}]; r2 = r10; r2 += -4; call 1; if r0 == 0 goto out; {access}; r0 = 0; out: exit"
        )
    };
    for right in ["r0 = *(u32 *)(r0 +8)", "*(u32 *)(r0 +8) = 1", "r0 = *(u8 *)(r0 +11)"] {
        assert_eq!(sandbox.run(&text(0, right)), 0, "{right}");
    }
    for wrong in
        ["r0 = *(u64 *)(r0 +8)", "*(u8 *)(r0 +12) = 1", "r0 = *(u8 *)(r0 -1)", "*(u32 *)(r0 +10) = 1"]
    {
        assert!(matches!(sandbox.try_run(&text(0, wrong)), Err(FaultKind::Memory(_))), "{wrong}");
    }
    assert_eq!(sandbox.run(&text(1, "r0 = *(u32 *)(r0 +8)")), 0);
    assert!(matches!(sandbox.try_run(&text(1, "*(u32 *)(r0 +8) = 1")), Err(FaultKind::Memory(_))));
    let update = "*(u32 *)(r10 -4) = 1; *(u64 *)(r10 -24) = 1; *(u64 *)(r10 -16) = 1; r1 = map[idx:1]; r2 = r10; r2 += -4; r3 = r10; r3 += -24; r4 = 0; call 2; exit";
    assert_eq!(sandbox.run(update) as i64, -1);
}

#[test]
fn locks_texts_and_who_runs() {
    let mut sandbox = Sandbox::new(vec![map(MapType::Array, 4, 8, 1)]);
    let lock = "*(u32 *)(r10 -4) = 0; r1 = map[idx:0]; r2 = r10; r2 += -4; call 1; if r0 == 0 goto out; r6 = r0; r1 = r6; call 93; r7 = *(u32 *)(r6 +0); r1 = r6; UN; r0 = r7; out: exit";
    assert_eq!(sandbox.run(&lock.replace("UN", "call 94")), 1);
    assert!(matches!(
        sandbox.try_run(&lock.replace("UN", "call 93")),
        Err(FaultKind::Helper { number: 93, .. })
    ));
    // "%d %s\n", and a text behind it.
    let print = "*(u32 *)(r10 -24) = 0x25206425; *(u32 *)(r10 -20) = 0x00000a73; *(u64 *)(r10 -32) = 0x6168; r1 = r10; r1 += -24; r2 = 8; r3 = -5; \
                 r4 = r10; r4 += -32; r5 = 0; call 6; exit";
    assert_eq!(sandbox.run(print), 6);
    assert_eq!(sandbox.world.printed, ["-5 ha\n"]);
    assert_eq!(sandbox.run("call 14; exit"), 7 << 32 | 8);
    assert_eq!(sandbox.run("call 15; exit"), 100 << 32 | 1000);
    assert_eq!(sandbox.run("r1 = r10; r1 += -8; r2 = 5; call 16; r0 = *(u8 *)(r10 -4); r1 = *(u8 *)(r10 -5); r0 <<= 8; r0 |= r1; exit"), u64::from(b'r'));
}
