//! Lets libFuzzer look for bytes that break the target `remote_write_1` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("remote_write_1", bytes));
