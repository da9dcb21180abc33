//! What other programs push: requests made by an independent encoder (prost, from the published field numbers) are
//! read right, and bytes of any kind are read or refused within bounds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod messages;
mod otlp;
mod remote_write;

/// A hash for keys; tests need no secret one.
fn hash(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_0000_0000_013b)
    })
}
