//! The programs as a C compiler makes them for this processor: what all machines are measured against. It does not check them.

use std::hint::black_box;

use anyhow::{Context as _, Result};

use crate::code::Program;
use crate::timed;

macro_rules! natives {
    ($($symbol:ident $name:literal)+) => {
        unsafe extern "C" {
            $(fn $symbol(memory: *mut u8) -> u64;)+
        }

        fn function(name: &str) -> Option<unsafe extern "C" fn(*mut u8) -> u64> {
            match name {
                $($name => Some($symbol),)+
                _ => None,
            }
        }
    };
}

natives! {
    native_empty "empty" native_arith "arith" native_sieve "sieve" native_csum1500 "csum1500" native_parse5 "parse5"
    native_siphash "siphash" native_jhash "jhash" native_prefix "prefix" native_classify "classify"
    native_calls "calls" native_helper "helper" native_maploop "maploop" native_arrayloop "arrayloop"
}

/// Runs the native form of a program so often: the time of one run, and the result.
pub fn run(name: &str, program: &mut Program, runs: u32) -> Result<(f64, u64)> {
    let function = function(name).context("it has no native form")?;
    let memory = program.memory.as_mut_ptr();
    // SAFETY: the program works on the 4096 bytes that it is given, which the benchmark hands over with it.
    timed(runs, || Ok(u64::from(unsafe { function(black_box(memory)) } as u32)))
}
