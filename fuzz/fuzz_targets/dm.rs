#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| atomlens_fuzz::read_all(&["fuzzed.dm3", "fuzzed.dm4"], bytes));
