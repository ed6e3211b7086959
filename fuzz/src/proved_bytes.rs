//! Instructions as bytes before the verifier that proves, by the rules of plain memory and of kernels: what is accepted runs without a fault, and
//! everything does the same on all engines.
//!
//! The first byte of an input is the length of the memory.

use nonna_bpf::{decode, encode};
use nonna_testkit::engines::{object, try_plain, try_verified};
use nonna_testkit::machine::generate;
use nonna_verifier::verify;

use crate::{contexts, instructions, verify_object};

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Some((length, code)) = input.split_first() else { return };
    let Ok(insns) = decode(code) else { return };
    let memory_bytes = usize::from(*length);
    let memories = [vec![0; memory_bytes], vec![0xff; memory_bytes], (0..*length).collect()];
    if let Err(broken) = try_plain(&insns, &memories) {
        panic!("{broken}");
    }
    if let Ok(verified) = verify(object(insns), &verify_object::environment())
        && let Err(broken) = try_verified(&verified, &contexts::all(&verified.object().programs))
    {
        panic!("{broken}");
    }
}

/// Programs of the compiler, one of each instruction, and random ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let random = (0..40).filter_map(|seed| encode(&generate(seed, 64)).ok());
    instructions::seeds().into_iter().chain(random).map(|code| [&[64], &code[..]].concat()).collect()
}
