//! Lookups that machine code makes itself: the same program finds the same on both engines, while entries come and go.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;

use nonna_bpf::{
    Hook, Imm64, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, ProgramIdx, ProgramType,
    Relocation, RelocationTarget, assemble,
};
use nonna_sandbox::context::Input;
use nonna_sandbox::jit::Code;
use nonna_sandbox::{
    Budget, Context, Helpers, Links, MapHandle, Maps, NoHelpers, Prepared, Regions, Run, Stack, UpdateMode,
    run,
};
use nonna_verifier::{Environment, verify};
use proptest::prelude::*;

/// Looks up what map 0 holds, in map 1, in a function with a frame of its own; yields the first byte of the value plus one, and what the
/// caller keeps in a register and in its frame.
fn text(key_bytes: u32) -> String {
    let (kind, at) = if key_bytes == 4 { ("u32", 4) } else { ("u64", 8) };
    format!(
        "r6 = 1000\n*(u64 *)(r10 -8) = 100000\n\
         r1 = map[idx:0]\n*(u32 *)(r10 -16) = 0\nr2 = r10\nr2 += -16\ncall 1\nif r0 == 0 goto out\n\
         r1 = *(u64 *)(r0 +0)\ncall find\nr0 += r6\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nout: exit\n\
         find: r6 = r1\n*({kind} *)(r10 -{at}) = r6\nr1 = map[idx:1]\nr2 = r10\nr2 += -{at}\ncall 1\nr6 = r0\nr0 = 0\n\
         if r6 == 0 goto done\nr0 = *(u8 *)(r6 +0)\nr0 += 1\ndone: exit"
    )
}

fn map(map_type: MapType, key_bytes: u32, value_bytes: u32, max_entries: u32) -> Map {
    Map {
        name: "numbers".to_owned(),
        map_type,
        key_size: key_bytes,
        value_size: value_bytes,
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

fn object(second: Map) -> Object {
    let mut insns = assemble(&text(second.key_size)).expect("the text is right");
    let (mut slot, mut relocations) = (0, Vec::new());
    for insn in &mut insns {
        if let Insn::LoadImm64 { value, .. } = insn {
            if let Imm64::MapIndex(map) = *value {
                relocations.push(Relocation { slot, target: RelocationTarget::Map(MapIdx(map as u32)) });
                *value = Imm64::MapFd(0);
            }
            slot += 1;
        }
        slot += 1;
    }
    let program = Program {
        name: "lookup".to_owned(),
        section: "socket".to_owned(),
        program_type: ProgramType::SocketFilter,
        attach_type: None,
        attach_target: None,
        hook: Hook::Section("socket".to_owned()),
        sleepable: false,
        insns,
        relocations,
        func_info: Vec::new(),
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    let maps = vec![map(MapType::Array, 4, 8, 1), second];
    Object { license: "GPL".to_owned(), maps, programs: vec![program], btf: Vec::new() }
}

/// What happens to the second map, and what is then looked up.
#[derive(Debug, Clone)]
enum Step {
    Put(u64, u8),
    Remove(u64),
    Find(u64),
}

fn key() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..40u64, 1 => any::<u64>(), 1 => prop::sample::select(vec![u64::MAX, u32::MAX.into(), 1 << 32])]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (key(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        1 => key().prop_map(Step::Remove),
        3 => key().prop_map(Step::Find),
    ]
}

fn both(prepared: &Prepared, code: &Code, maps: &mut Maps) -> [u64; 2] {
    let mut stack = Stack::new();
    let mut regions = Regions::new(&mut stack);
    let input = Input { packet: vec![0; 64], ..Input::default() };
    let mut pages = Context::pages(ProgramType::SocketFilter, &input).expect("there is room");
    let mut context =
        Context::new(ProgramType::SocketFilter, &input, &mut regions, &mut pages).expect("it fits");
    let (arguments, mut host) = ([context.address(), 0, 0, 0, 0], NoHelpers);
    let mut sandbox = Run::new(&mut regions, maps, &mut context, &mut host);
    let interpreted = run(prepared, arguments, &mut sandbox, Budget::default()).expect("it was proved");
    let compiled = code.run(arguments, &mut sandbox, Budget::default()).expect("it was proved");
    [interpreted.result, compiled.result]
}

fn check(second: Map, steps: &[Step]) -> Result<(), TestCaseError> {
    let (key_bytes, value_bytes) = (second.key_size as usize, second.value_size as usize);
    let is_array = second.map_type == MapType::Array;
    let n = second.max_entries as usize;
    let verified = verify(object(second), &Environment::default()).expect("it is safe");
    let mut maps = Maps::new(1);
    let handles: Vec<MapHandle> = maps.create_all(verified.object()).expect("the maps are made");
    let links = Links { maps: &maps, handles: &handles, helpers: &Helpers::kernel() };
    let prepared = Prepared::verified(&verified, ProgramIdx(0), links).expect("it can run");
    let code = Code::compile(&prepared).expect("there is memory for code");
    let mut model: BTreeMap<u64, u8> = BTreeMap::new();
    if is_array {
        model.extend((0..n as u64).map(|key| (key, 0)));
    }
    let cut = |key: u64| if key_bytes == 4 { key & 0xffff_ffff } else { key };
    for step in steps {
        match *step {
            Step::Put(key, value) => {
                let mut bytes = vec![0; value_bytes];
                bytes[0] = value;
                let fits = model.contains_key(&cut(key)) || !is_array && model.len() < n;
                let put = maps.update(handles[1], &key.to_le_bytes()[..key_bytes], &bytes, UpdateMode::Any);
                prop_assert_eq!(put.is_ok(), fits);
                if fits {
                    model.insert(cut(key), value);
                }
            }
            Step::Remove(key) => {
                if maps.delete(handles[1], &key.to_le_bytes()[..key_bytes]).is_ok() {
                    model.remove(&cut(key));
                }
            }
            Step::Find(key) => {
                let put = maps.update(handles[0], &[0; 4], &key.to_le_bytes(), UpdateMode::Any);
                prop_assert!(put.is_ok());
                let wanted = 101_000 + model.get(&cut(key)).map_or(0, |value| u64::from(*value) + 1);
                prop_assert_eq!(both(&prepared, &code, &mut maps), [wanted; 2]);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn machine_code_finds_what_the_helper_finds(
        steps in prop::collection::vec(step(), 1..120),
        value_bytes in prop::sample::select(vec![1u32, 8, 12, 24, 100]),
    ) {
        check(map(MapType::Array, 4, value_bytes, 37), &steps)?;
        check(map(MapType::Hash, 4, value_bytes, 30), &steps)?;
        check(map(MapType::Hash, 8, value_bytes, 1000), &steps)?;
        check(map(MapType::LruHash, 8, value_bytes, 1000), &steps)?;
    }
}
