//! Random programs do the same before and after each pass, and stay valid.

use nonna_codegen::{Declarations, Pass, optimize};
use nonna_ir::{Module, validate};
use proptest::prelude::*;

use super::{generate, machine};

fn check_valid(module: &Module, after: &str, before: &str) -> Result<(), TestCaseError> {
    validate(module).map_err(|findings| {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        TestCaseError::fail(format!("after {after}: {findings:#?}\n{module}\nbefore:\n{before}"))
    })
}

fn check_same(module: &Module, original: &Module, after: &str) -> Result<(), TestCaseError> {
    for seed in 0..3 {
        let Some(expected) = machine::run(original, seed) else { continue };
        let found = machine::run(module, seed);
        prop_assert_eq!(
            found,
            Some(expected),
            "seed {}, after {}:\n{}\nbefore:\n{}",
            seed,
            after,
            module,
            original
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn each_pass_keeps_meaning_and_validity(choices in prop::collection::vec(any::<u32>(), 0..500)) {
        let original = generate::module(choices);
        check_valid(&original, "generation", "")?;
        let mut module = original.clone();
        let declared = Declarations { maps: &original.maps, data: &original.data };
        for round in 0..3 {
            for pass in Pass::ALL {
                let before = module.to_string();
                for function in module.functions.values_mut() {
                    pass.run(function, &declared);
                }
                let after = format!("{pass:?} in round {round}");
                check_valid(&module, &after, &before)?;
                check_same(&module, &original, &after)?;
            }
        }
    }

    #[test]
    fn optimising_keeps_meaning_and_ends(choices in prop::collection::vec(any::<u32>(), 0..1500)) {
        let original = generate::module(choices);
        let mut module = original.clone();
        optimize(&mut module);
        check_valid(&module, "optimize", &original.to_string())?;
        check_same(&module, &original, "optimize")?;
        let text = module.to_string();
        let read: Module = text.parse().unwrap();
        prop_assert_eq!(&read, &module);
    }

    #[test]
    fn passes_come_to_an_end(choices in prop::collection::vec(any::<u32>(), 0..1500)) {
        let mut module = generate::module(choices);
        let declared = Declarations { maps: &module.maps, data: &module.data };
        for function in module.functions.values_mut() {
            let n_rounds = (0..40).take_while(|_| {
                Pass::ALL.iter().fold(false, |changed, pass| pass.run(function, &declared) | changed)
            });
            prop_assert!(n_rounds.count() < 20, "{}", function);
        }
    }
}
