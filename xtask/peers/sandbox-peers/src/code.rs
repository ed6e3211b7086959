//! A program as it comes in, and the form that each machine wants. It runs nothing.

use anyhow::{Context as _, Result, ensure};

/// Bytes of an instruction slot.
const SLOT_BYTES: usize = 8;
/// `lddw`, the load of a 64-bit constant over two slots.
const LOAD_LONG: u8 = 0x18;
/// `call`.
const CALL: u8 = 0x85;
/// The source register of a `lddw` that means a place in a map's value.
const MAP_VALUE: u8 = 2;

/// A program and its memory.
pub struct Program {
    /// The memory it works on; it stays where it is.
    pub memory: Box<[u8]>,
    code: Vec<u8>,
}

impl Program {
    /// Reads both from hex.
    pub fn new(memory: &str, code: &str) -> Result<Self> {
        let (memory, code) = (bytes(memory)?, bytes(code)?);
        ensure!(code.len().is_multiple_of(SLOT_BYTES), "code is a number of slots");
        Ok(Program { memory: memory.into(), code })
    }

    /// The code, with the memory at this address and helpers called by what `helper` makes of their numbers.
    pub fn code(&self, memory: u64, helper: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut code = self.code.clone();
        let mut at = 0;
        while at < code.len() {
            let slot = &mut code[at..];
            let source = slot[1] >> 4;
            if slot[0] == LOAD_LONG {
                if source == MAP_VALUE {
                    let offset = u32::from_le_bytes([slot[12], slot[13], slot[14], slot[15]]);
                    let address = (memory + u64::from(offset)).to_le_bytes();
                    slot[1] &= 15;
                    slot[4..8].copy_from_slice(&address[..4]);
                    slot[12..16].copy_from_slice(&address[4..]);
                }
                at += SLOT_BYTES;
            } else if slot[0] == CALL && source == 0 {
                let number = u32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]]);
                slot[4..8].copy_from_slice(&helper(number).to_le_bytes());
            }
            at += SLOT_BYTES;
        }
        code
    }

    /// The address of the memory in this process.
    pub fn address(&mut self) -> u64 {
        self.memory.as_mut_ptr().expose_provenance() as u64
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    ensure!(hex.len().is_multiple_of(2), "hex has two digits a byte");
    let digits = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2));
    digits.map(|pair| Ok(u8::from_str_radix(pair.context("hex is ASCII")?, 16)?)).collect()
}
