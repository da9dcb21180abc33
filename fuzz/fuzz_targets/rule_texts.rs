//! Lets libFuzzer look for bytes that break the target `rule_texts` of `muster-hostile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| muster_hostile::attack("rule_texts", bytes));
