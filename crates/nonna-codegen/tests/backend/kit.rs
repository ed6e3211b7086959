//! What the tests of this directory share: compile a module in text form, print its programs, load and run them.

use nonna_bpf::{Feature, Features, Object, Probe, Target, TextOptions, disassemble};
use nonna_codegen::{CodegenError, Options, compile};
use nonna_ir::Module;
use nonna_kernel::{Kernel, Loaded};

/// The running kernel as a target, without probing it: what the tests use is what every kernel that counts has.
pub fn target() -> Target {
    let kernel = Kernel::new();
    let mut target = kernel.target(&[]).expect("Linux with BTF");
    let mut features = Features::new();
    features.set(Feature::TypedTracepoint, Probe::Yes);
    target.features = features;
    target
}

/// Compiles a module in text form.
pub fn build(text: &str) -> Object {
    try_build(text).expect("it compiles")
}

/// As [`build`], where it may fail.
pub fn try_build(text: &str) -> Result<Object, CodegenError> {
    let module: Module = text.parse().expect("the test's text is well-formed");
    compile(module, &target(), &Options::default())
}

/// The programs of an object as text.
pub fn print(object: &Object) -> String {
    let mut text = String::new();
    for program in &object.programs {
        text.push_str(&format!("{} ({})\n", program.name, program.section));
        text.push_str(&disassemble(&program.insns, TextOptions::default()));
    }
    text
}

/// Loads an object into the running kernel.
pub fn load(object: &Object) -> Loaded {
    let verified = nonna_verifier::verify(object.clone()).expect("the structure is sound");
    match Kernel::new().load(&verified) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error:?}\n{}", print(object)),
    }
}
