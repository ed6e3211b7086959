//! The target `rules` under libFuzzer; what it does stands in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nonna_fuzz::rules::run(input));
