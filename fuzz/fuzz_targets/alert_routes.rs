//! Lets libFuzzer look for bytes that break the target `alert_routes` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("alert_routes", bytes));
