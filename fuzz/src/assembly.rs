//! Assembly text: any text is read or refused with its place, and what was read is printed and read to the same instructions.

use nonna_bpf::{TextOptions, assemble, decode, disassemble, encode};

/// The target.
///
/// # Panics
///
/// On a finding.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let insns = match assemble(&text) {
        Ok(insns) => insns,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            return;
        }
    };
    let printed = disassemble(&insns, TextOptions::default());
    assert_eq!(assemble(&printed).as_ref(), Ok(&insns), "printed:\n{printed}");
    let bytes = encode(&insns).expect("what assembles can be encoded");
    assert_eq!(decode(&bytes).as_ref(), Ok(&insns), "printed:\n{printed}");
}

/// Every statement, as this room and as the kernel print it.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = include_str!("../../crates/nonna-bpf/tests/fixtures/every_insn.log").lines();
    let loop_text =
        "start: r1 = 0\nloop: r1 += 1\nif r1 s< 10 goto loop\ncall start\ngotol out\nout: exit ; done";
    lines.map(|line| line.as_bytes().to_vec()).chain([loop_text.as_bytes().to_vec()]).collect()
}
