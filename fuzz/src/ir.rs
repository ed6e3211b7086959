//! The text form of modules: what is read prints and reads the same, and what the validator accepts can be compiled.

use nonna_ir::{Module, Predicate, validate};

use crate::machine;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(predicate) = text.parse::<Predicate>() {
        assert_eq!(predicate.to_string().parse().as_ref(), Ok(&predicate), "printed: {predicate}");
        let simple = predicate.simplify();
        assert!(simple.cost() <= predicate.cost(), "{predicate} became {simple}");
    }
    let Ok(module) = text.parse::<Module>() else { return };
    let printed = module.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&module), "printed:\n{printed}");
    if validate(&module).is_err() {
        return;
    }
    let Ok(object) = machine::object(module, None) else { return };
    if let Err(rejection) = nonna_verifier::verify_structure(object) {
        panic!("the verifier refuses what the compiler made: {:?}\n{printed}", rejection.diagnostics);
    }
}

/// Modules of the seeds of scripts.
pub fn seeds() -> Vec<Vec<u8>> {
    let compiled = machine::SCRIPTS.iter().filter_map(|text| machine::script(text, false).0);
    compiled.map(|compiled| compiled.module.to_string().into_bytes()).collect()
}
