#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| atomlens_fuzz::read_all(&["fuzzed_000.tvips"], bytes));
