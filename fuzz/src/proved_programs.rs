//! Random programs of all kinds by the kernel's rules, whole or changed: what is accepted runs without a fault, the same on all engines.
//!
//! An input is the seed of the program, the seed of the changes (0 for none), and a packet.

use nonna_testkit::engines::try_verified;
use nonna_testkit::mutation::mutate;
use nonna_testkit::programs::generate;
use nonna_verifier::verify;

use crate::proved_machine::seeds_of;
use crate::{contexts, verify_object};

/// Longest packet in bytes.
const PACKET_BYTES_MAX: usize = 1500;

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let Some((seed, changes, packet)) = seeds_of(input) else { return };
    let mut object = generate(seed);
    if changes != 0 {
        mutate(&mut object.programs[0].insns, changes);
    }
    let Ok(verified) = verify(object, &verify_object::environment()) else { return };
    let mut inputs = contexts::all(&verified.object().programs);
    if packet.len() >= 14 {
        inputs[1].packet = packet[..packet.len().min(PACKET_BYTES_MAX)].to_vec();
    }
    if let Err(broken) = try_verified(&verified, &inputs) {
        panic!("{broken}");
    }
}

/// A few numbers, and a packet.
pub fn seeds() -> Vec<Vec<u8>> {
    let packet: Vec<u8> = (0..64_u8).collect();
    (0..48_u64).map(|seed| [&seed.to_le_bytes()[..], &(seed % 3).to_le_bytes(), &packet].concat()).collect()
}
