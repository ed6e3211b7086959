//! Random programs: whatever they do, they stay in their memory and come to an end.

use nonna_sandbox::{
    Answer, Arguments, Budget, Context, HelperError, Helpers, Host, Maps, Prepared, Regions, Run, Stack, run,
};
use proptest::prelude::*;

/// Answers every call with a number, and writes where it is told to.
struct Writer;

impl Host for Writer {
    fn call(
        &mut self,
        number: u32,
        arguments: Arguments,
        memory: &mut Regions<'_>,
    ) -> Result<Answer, HelperError> {
        memory.write(arguments[0], &arguments[1].to_ne_bytes()[..arguments[2] as usize % 9])?;
        Ok(Answer::Return(u64::from(number)))
    }
}

/// A slot that is an instruction more often than not: opcodes of each class, small offsets and constants.
fn slot() -> impl Strategy<Value = u64> {
    let opcode = prop_oneof![
        4 => any::<u8>().prop_map(|bits| bits & 0xf8 | 0x07),
        2 => any::<u8>().prop_map(|bits| bits & 0xf8 | 0x04),
        3 => prop_oneof![Just(0x61u8), Just(0x69), Just(0x71), Just(0x79), Just(0x81), Just(0x89), Just(0x91)],
        3 => prop_oneof![Just(0x62u8), Just(0x6a), Just(0x72), Just(0x7a), Just(0x63), Just(0x6b), Just(0x73), Just(0x7b)],
        2 => prop_oneof![Just(0xc3u8), Just(0xdb)],
        3 => any::<u8>().prop_map(|bits| bits & 0xf8 | 0x05),
        1 => any::<u8>().prop_map(|bits| bits & 0xf8 | 0x06),
    ];
    let offset = prop_oneof![3 => Just(0i16), 3 => -6i16..6, 2 => -24i16..24, 1 => any::<i16>()];
    let imm = prop_oneof![3 => Just(0i32), 2 => -8i32..24, 2 => prop_oneof![Just(0xf1i32), Just(0xe1), Just(1), Just(0x51)], 1 => any::<i32>()];
    (opcode, 0u8..11, prop_oneof![2 => Just(0u8), 3 => 0u8..11], offset, imm).prop_map(
        |(opcode, dst, src, offset, imm)| {
            u64::from(opcode)
                | u64::from(dst | src << 4) << 8
                | u64::from(offset as u16) << 16
                | u64::from(imm as u32) << 32
        },
    )
}

/// A program of those slots that can run.
fn program() -> impl Strategy<Value = Vec<nonna_bpf::Insn>> {
    prop::collection::vec(slot(), 1..40).prop_map(|slots| {
        let mut insns: Vec<_> =
            slots.into_iter().filter_map(|slot| nonna_bpf::decode_slots(&[slot]).ok()).flatten().collect();
        insns.push(nonna_bpf::Insn::Exit);
        // Drop what is refused, one at a time, until the rest can run.
        while let Err(error) = Prepared::unproved(&insns, &Helpers::none()) {
            insns.remove(error.insn);
        }
        insns
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_touches_nothing_but_its_memory_and_ends(insns in program(), seed in any::<[u64; 3]>()) {
        let prepared = Prepared::unproved(&insns, &Helpers::none()).expect("it can run");
        let mut stack = Stack::new();
        // The program gets the middle of the buffer, and another buffer for reading.
        let mut buffer = [0xa5u8; 48];
        let constants = [0x5au8; 16];
        let before = buffer;
        let mut regions = Regions::new(&mut stack);
        let at = regions.lend(&mut buffer[16..32]);
        let read_only = regions.lend_for_reading(&constants);
        let arguments = [at, read_only, seed[0] % 16, seed[1], seed[2]];
        let budget = Budget { instructions: 2_000, time: None };
        let (mut maps, mut context, mut writer) = (Maps::new(1), Context::default(), Writer);
        let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut writer);
        if let Ok(finished) = run(&prepared, arguments, &mut sandbox, budget) {
            prop_assert!(finished.instructions <= 2_000 + insns.len() as u64);
        }
        drop(regions);
        prop_assert_eq!(&buffer[..16], &before[..16]);
        prop_assert_eq!(&buffer[32..], &before[32..]);
        prop_assert_eq!(constants, [0x5a; 16]);
    }
}
