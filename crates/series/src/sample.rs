//! Samples and the stale marker.

/// The bits of the NaN by which Prometheus marks that a series has ended (its `StaleNaN`).
pub const STALE_MARKER_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A value at a time.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// Any float, kept bit for bit.
    pub value: f64,
}

impl PartialEq for Sample {
    /// Values are compared by their bits, so that stale markers equal themselves.
    fn eq(&self, other: &Self) -> bool {
        self.timestamp_ms == other.timestamp_ms && self.value.to_bits() == other.value.to_bits()
    }
}

/// The value that ends a series.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_MARKER_BITS)
}

/// Whether `value` is the stale marker (and not merely some NaN).
pub fn is_stale_marker(value: f64) -> bool {
    value.to_bits() == STALE_MARKER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stale_marker_is_one_of_many_nans() {
        assert!(stale_marker().is_nan());
        assert!(is_stale_marker(stale_marker()));
        assert!(!is_stale_marker(f64::NAN));
    }
}
