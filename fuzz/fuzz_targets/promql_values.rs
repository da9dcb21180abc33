//! Lets libFuzzer look for bytes that break the target `promql_values` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("promql_values", bytes));
