//! Random programs: whatever they do, they stay in their memory and come to an end, the same on both engines.

use nonna_sandbox::{
    Answer, Arguments, Budget, Context, Fault, Finished, HelperError, Helpers, Host, Maps, Prepared, Regions,
    Run, Stack, run,
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

fn outcome(
    stack: &mut Stack,
    buffer: &mut [u8; 48],
    constants: &[u8; 16],
    seed: [u64; 3],
    engine: impl FnOnce([u64; 5], &mut Run<'_, '_>, Budget) -> Result<Finished, Fault>,
) -> Result<Finished, Fault> {
    let mut regions = Regions::new(stack);
    let at = regions.lend(&mut buffer[16..32]);
    let read_only = regions.lend_for_reading(constants);
    let arguments = [at, read_only, seed[0] % 16, seed[1], seed[2]];
    let (mut maps, mut context, mut writer) = (Maps::new(1), Context::default(), Writer);
    let mut sandbox = Run::new(&mut regions, &mut maps, &mut context, &mut writer);
    engine(arguments, &mut sandbox, Budget { instructions: 2_000, time: None })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_touches_nothing_but_its_memory_and_ends_alike_on_both_engines(insns in program(), seed in any::<[u64; 3]>()) {
        let prepared = Prepared::unproved(&insns, &Helpers::none()).expect("it can run");
        let mut stack = Stack::new();
        // The program gets the middle of the buffer, and another buffer for reading.
        let mut buffer = [0xa5u8; 48];
        let constants = [0x5au8; 16];
        let interpreted = outcome(&mut stack, &mut buffer, &constants, seed, |arguments, sandbox, budget| {
            run(&prepared, arguments, sandbox, budget)
        });
        if let Ok(finished) = interpreted {
            prop_assert!(finished.instructions <= 2_000 + insns.len() as u64);
        }
        prop_assert_eq!(&buffer[..16], [0xa5; 16]);
        prop_assert_eq!(&buffer[32..], [0xa5; 16]);
        prop_assert_eq!(constants, [0x5a; 16]);
        #[cfg(target_arch = "x86_64")]
        {
            let before = std::mem::replace(&mut buffer, [0xa5; 48]);
            let code = nonna_sandbox::jit::Code::compile(&prepared).expect("there is memory for code");
            let compiled = outcome(&mut stack, &mut buffer, &constants, seed, |arguments, sandbox, budget| {
                code.run(arguments, sandbox, budget)
            });
            prop_assert_eq!(compiled, interpreted);
            prop_assert_eq!(buffer, before);
            prop_assert_eq!(constants, [0x5a; 16]);
        }
    }
}
