//! One value as the difference to the one before it.
//!
//! Most samples of a host are decimal numbers with few digits after the point: `1234.56` seconds,
//! 4096 bytes. Such a value is an integer times a power of ten, and what is sent is the difference
//! of integers: one byte where a float has eight. The exponent stays with the series.
//!
//! 1. A value that is exact at the series' exponent is sent as 1 + zigzag(difference).
//! 2. Else the smallest exponent that fits is announced: 0, the exponent, zigzag(integer).
//! 3. A value that is no short decimal (stale marker, -0, a ratio) is sent as it is: 0, 255, 8 bytes.

use crate::WireError;
use crate::varint::{self, Reader};

/// 10 to the power of a series' exponent, which says how many digits follow the point.
const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Beyond it neighbouring integers are no longer different floats.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;
/// Announces another exponent or a raw value.
const ESCAPE: u64 = 0;
/// In place of an exponent: the eight bytes of the value follow.
const RAW: u8 = 255;

/// The last value of a series and the exponent in use for it; both sides hold the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ValueState {
    /// Bits of the last value; a series begins at 0.
    pub(crate) bits: u64,
    /// Index into the powers of ten.
    pub(crate) exponent: u8,
}

impl ValueState {
    /// The integer from which the next difference counts.
    fn base(self) -> i64 {
        integer_at(f64::from_bits(self.bits), self.exponent).unwrap_or(0)
    }

    /// Appends `value` and remembers it.
    pub(crate) fn encode(&mut self, value: f64, bytes: &mut Vec<u8>) {
        if let Some(integer) = integer_at(value, self.exponent) {
            varint::put(bytes, varint::zigzag(integer - self.base()) + 1);
        } else {
            varint::put(bytes, ESCAPE);
            let fitting = (0..POWERS.len() as u8)
                .find_map(|exponent| Some((exponent, integer_at(value, exponent)?)));
            if let Some((exponent, integer)) = fitting {
                bytes.push(exponent);
                varint::put(bytes, varint::zigzag(integer));
                self.exponent = exponent;
            } else {
                bytes.push(RAW);
                bytes.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        self.bits = value.to_bits();
    }

    /// Reads what [`ValueState::encode`] wrote, and remembers it.
    pub(crate) fn decode(&mut self, reader: &mut Reader<'_>) -> Result<f64, WireError> {
        let token = reader.varint()?;
        let value = if token == ESCAPE {
            match reader.byte()? {
                RAW => {
                    let raw = reader.take(8)?.try_into().expect("eight bytes were taken");
                    f64::from_bits(u64::from_le_bytes(raw))
                }
                exponent if usize::from(exponent) < POWERS.len() => {
                    self.exponent = exponent;
                    value_of(varint::unzigzag(reader.varint()?), exponent)
                }
                _ => return Err(reader.malformed("a value has an unknown exponent")),
            }
        } else {
            let difference = varint::unzigzag(token - 1);
            value_of(self.base().wrapping_add(difference), self.exponent)
        };
        self.bits = value.to_bits();
        Ok(value)
    }
}

/// `value` times the power of ten, if that is an integer from which the value comes back bit for bit.
fn integer_at(value: f64, exponent: u8) -> Option<i64> {
    let scaled = (value * POWERS[usize::from(exponent)]).round_ties_even();
    if scaled.is_nan() || scaled.abs() >= MAX_INTEGER {
        return None;
    }
    let integer = scaled as i64;
    (value_of(integer, exponent).to_bits() == value.to_bits()).then_some(integer)
}

fn value_of(integer: i64, exponent: u8) -> f64 {
    integer as f64 / POWERS[usize::from(exponent)]
}

#[cfg(test)]
mod tests {
    use muster_series::stale_marker;
    use proptest::prelude::*;

    use super::*;

    /// Values in turn, and how many bytes each takes.
    #[track_caller]
    fn check(values: &[(f64, usize)]) {
        let (mut sender, mut receiver) = (ValueState::default(), ValueState::default());
        for &(value, size) in values {
            let mut bytes = Vec::new();
            sender.encode(value, &mut bytes);
            assert_eq!(bytes.len(), size, "size of {value}");
            let mut reader = Reader::new(&bytes, "test");
            let got = receiver.decode(&mut reader).unwrap();
            assert_eq!(got.to_bits(), value.to_bits(), "{value}");
            assert!(reader.is_empty());
            assert_eq!(sender, receiver);
        }
    }

    #[test]
    fn sizes() {
        check(&[(5.0, 1), (6.0, 1), (-40.0, 1), (1000.0, 2)]);
        check(&[(12345.67, 6), (12345.68, 1), (12346.0, 1)]);
        check(&[(0.1, 3), (0.3, 1), (0.25, 3), (0.1, 1)]);
        check(&[(5.0, 1), (stale_marker(), 10), (5.0, 1)]);
        check(&[(-0.0, 10), (0.0, 1), (f64::INFINITY, 10), (f64::NAN, 10), (1e300, 10)]);
        check(&[(std::f64::consts::PI, 10), (9.007_199_254_740_99e15, 8)]);
    }

    #[test]
    fn bad_tokens_are_errors() {
        for bytes in [&[0][..], &[0, 10, 0], &[0, 255, 1, 2], &[0, 3]] {
            assert!(ValueState::default().decode(&mut Reader::new(bytes, "test")).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bits_come_back(all: Vec<u64>) {
            let (mut sender, mut receiver) = (ValueState::default(), ValueState::default());
            let mut bytes = Vec::new();
            for bits in &all {
                sender.encode(f64::from_bits(*bits), &mut bytes);
            }
            let mut reader = Reader::new(&bytes, "test");
            for bits in all {
                prop_assert_eq!(receiver.decode(&mut reader).map(f64::to_bits), Ok(bits));
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let mut state = ValueState::default();
            let mut reader = Reader::new(&bytes, "test");
            while state.decode(&mut reader).is_ok() {}
        }
    }
}
