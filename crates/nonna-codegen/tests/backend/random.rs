//! Random programs: what the kernel computes is what the evaluator computes.

use nonna_bpf::{IsaLevel, Target};
use nonna_codegen::{Options, compile};
use nonna_kernel::Kernel;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::generate::{self, N_WORDS};
use crate::kit;
use crate::reference::Machine;

fn outputs(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// Runs the module in the kernel; the outputs, or why it did not run.
fn run(target: &Target, module: nonna_ir::Module) -> Result<Vec<u64>, String> {
    let object = compile(module, target, &Options::default()).map_err(|error| error.to_string())?;
    let text = kit::print(&object);
    let verified = nonna_verifier::verify(object).map_err(|rejection| format!("{rejection:?}\n{text}"))?;
    let loaded = match Kernel::new().load(&verified) {
        Ok(loaded) => loaded,
        // Too much to follow for the verifier says nothing about the code.
        Err(error) if format!("{error:?}").contains("too large") => return Err("too complex".to_owned()),
        Err(error) => return Err(format!("{error:?}\n{text}")),
    };
    loaded.programs()[0].run_once().map_err(|error| error.to_string())?;
    let data = loaded.maps().iter().find(|map| map.name() == ".data").ok_or("no data map")?;
    let value = data.get(&0u32.to_ne_bytes()).map_err(|e| e.to_string())?.ok_or("no value")?;
    Ok(outputs(&value[8 * N_WORDS as usize..16 * N_WORDS as usize]))
}

fn computes_the_same(isa: IsaLevel, cases: u32) {
    let target = Target { isa, ..kit::target() };
    let choices = proptest::collection::vec(any::<u64>(), 0..500);
    let inputs = proptest::array::uniform8(any::<u64>());
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(choices, inputs), |(choices, inputs)| {
        let (module, id) = generate::module(choices, inputs);
        let mut machine = Machine::new(&module);
        machine.run(id, &[]);
        let expected = outputs(machine.data(1));
        match run(&target, module.clone()) {
            Ok(found) => prop_assert_eq!(found, expected, "\n{}", module),
            Err(why) if why == "too complex" => {}
            Err(why) => prop_assert!(false, "{}\n{}", why, module),
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn programs_of_the_newest_instruction_set_compute_what_they_mean() {
    computes_the_same(IsaLevel::V4, 200);
}

#[test]
fn programs_of_the_third_instruction_set_compute_what_they_mean() {
    computes_the_same(IsaLevel::V3, 200);
}
