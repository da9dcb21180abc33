//! Lets libFuzzer look for bytes that break the target `text_lines` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("text_lines", bytes));
