//! Lets libFuzzer look for bytes that break the target `frames_to_agent` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("frames_to_agent", bytes));
