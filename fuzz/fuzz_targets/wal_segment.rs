//! Lets libFuzzer look for bytes that break the target `wal_segment` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("wal_segment", bytes));
