//! Lets libFuzzer look for bytes that break the target `exposition_text` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("exposition_text", bytes));
