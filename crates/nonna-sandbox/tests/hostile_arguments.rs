//! Whatever a program hands to helpers, they answer or stop the run: they neither crash nor touch what is not the program's.

use nonna_bpf::{Map, MapExtra, MapFlags, MapIdx, MapType, Object};
use nonna_sandbox::{Budget, Context, Helpers, Maps, NoHelpers, Prepared, Regions, Run, Stack, run};
use proptest::prelude::*;

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

/// One of each kind.
fn every_kind() -> Object {
    let maps = vec![
        map(MapType::Array, 4, 8, 4),
        map(MapType::PercpuArray, 4, 12, 4),
        map(MapType::Hash, 4, 8, 4),
        map(MapType::Hash, 3, 1, 4),
        map(MapType::PercpuHash, 12, 8, 4),
        map(MapType::LruHash, 4, 8, 4),
        map(MapType::LruPercpuHash, 8, 8, 4),
        map(MapType::LpmTrie, 8, 8, 4),
        map(MapType::Queue, 0, 8, 4),
        map(MapType::Stack, 0, 8, 4),
        map(MapType::BloomFilter, 0, 8, 4),
        map(MapType::Ringbuf, 0, 0, 4096),
        map(MapType::UserRingbuf, 0, 0, 4096),
        map(MapType::PerfEventArray, 4, 4, 4),
        map(MapType::StackTrace, 4, 80, 4),
        map(MapType::ProgArray, 4, 4, 4),
        Map { inner: Some(MapIdx(0)), ..map(MapType::ArrayOfMaps, 4, 4, 4) },
        map(MapType::Devmap, 4, 4, 4),
        map(MapType::DevmapHash, 4, 8, 4),
        map(MapType::Sockhash, 12, 4, 4),
        map(MapType::TaskStorage, 4, 8, 0),
        map(MapType::PercpuCgroupStorage, 8, 8, 0),
    ];
    Object { maps, ..Object::default() }
}

/// An argument: where it points or what it is.
#[derive(Debug, Clone, Copy)]
enum Argument {
    Map(u64),
    Memory(u64),
    Number(u64),
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        3 => (0u64..24).prop_map(Argument::Map),
        4 => (0u64..70).prop_map(Argument::Memory),
        3 => (0u64..20).prop_map(Argument::Number),
        1 => any::<u64>().prop_map(Argument::Number),
        1 => prop_oneof![Just(u64::MAX), Just(0xffff_ffff), Just(0x7fff_ffff), Just(1 << 63)].prop_map(Argument::Number),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn helpers_answer_or_stop_the_run(
        calls in prop::collection::vec((any::<prop::sample::Index>(), [argument(), argument(), argument(), argument(), argument()]), 1..40),
        contents in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(b'%'), Just(b's'), any::<u8>()], 64),
    ) {
        let helpers = Helpers::kernel();
        let numbers: Vec<u32> = helpers.numbers().collect();
        let names: Vec<&str> = helpers.kernel_functions().collect();
        let mut maps = Maps::new(2);
        let handles = maps.create_all(&every_kind()).expect("the maps are made");
        for (index, arguments) in calls {
            // The program's memory lies between bytes that are not the program's.
            let mut buffer = [0xa5u8; 192];
            buffer[64..128].copy_from_slice(&contents);
            let mut stack = Stack::new();
            let mut regions = Regions::new(&mut stack);
            let at = regions.lend(&mut buffer[64..128]);
            let arguments = arguments.map(|argument| match argument {
                Argument::Map(index) => handles.get(index as usize).map_or(0xba00_0000_0000_1000, |handle| handle.guest()),
                Argument::Memory(offset) => at + offset,
                Argument::Number(number) => number,
            });
            let which = index.index(numbers.len() + names.len());
            let function = match numbers.get(which) {
                Some(number) => helpers.get(*number),
                None => helpers.kernel_function(names[which - numbers.len()]),
            };
            let table = Helpers::none().with(1, function.expect("it is there"));
            let insns = nonna_bpf::assemble("call 1\nexit").expect("instructions");
            let prepared = Prepared::unproved(&insns, &table).expect("it can run");
            let (mut context, mut host) = (Context::default(), NoHelpers);
            let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut host);
            let _ = run(&prepared, arguments, &mut sandbox, Budget { instructions: 1_000, time: None });
            drop(regions);
            prop_assert!(buffer[..64].iter().chain(&buffer[128..]).all(|byte| *byte == 0xa5));
        }
    }
}
