//! Random programs: what the kernel computes is what the evaluator computes.

use nonna_bpf::{IsaLevel, Target};
use nonna_codegen::{Options, compile};
use nonna_testkit::{KernelTest, Need, Outcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::generate::{self, N_WORDS};
use crate::reference::Machine;
use crate::{run, test};

/// Why a program that is fine does not load.
const TOO_COMPLEX: &str = "too complex";

pub fn tests() -> Vec<KernelTest> {
    let newest_instructions = Need::Probe { name: "isa-v4", probe: run::has_newest_instructions };
    vec![
        KernelTest::new(
            "random_programs_of_v4_compute_what_they_mean",
            &[Need::Root, newest_instructions],
            newest,
        ),
        test("random_programs_of_v3_compute_what_they_mean", &[], third),
    ]
}

fn outputs(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// Runs the module in the kernel; the outputs, or why it did not run.
fn compute(target: &Target, module: nonna_ir::Module) -> Result<Vec<u64>, String> {
    let object = compile(module, target, &Options::default()).map_err(|error| error.to_string())?;
    let loaded = match run::try_load(&object) {
        // Too much to follow for the verifier says nothing about the code.
        Err(why) if why.contains("too large") => return Err(TOO_COMPLEX.to_owned()),
        loaded => loaded?,
    };
    loaded.programs()[0].run_once().map_err(|error| error.to_string())?;
    Ok(run::words(&loaded, ".data", 0)[N_WORDS as usize..].to_vec())
}

fn computes_the_same(isa: IsaLevel, cases: u32) {
    let target = Target { isa, ..run::target() };
    let choices = proptest::collection::vec(any::<u64>(), 0..500);
    let inputs = proptest::array::uniform8(any::<u64>());
    // The same programs each time: a failure can be looked at again, and no file is opened for the seed.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&(choices, inputs), |(choices, inputs)| {
        let (module, id) = generate::module(choices, inputs);
        let mut machine = Machine::new(&module);
        machine.run(id, &[]);
        let expected = outputs(machine.data(1));
        match compute(&target, module.clone()) {
            Ok(found) => prop_assert_eq!(found, expected, "\n{}", module),
            Err(why) if why == TOO_COMPLEX => {}
            Err(why) => prop_assert!(false, "{}\n{}", why, module),
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn newest() -> Outcome {
    computes_the_same(IsaLevel::V4, 200);
    Ok(())
}

fn third() -> Outcome {
    computes_the_same(IsaLevel::V3, 200);
    Ok(())
}
