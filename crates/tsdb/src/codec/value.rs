//! Value tokens: a value told by how it differs from the one before of the same series.
//!
//! Head and log use the same tokens (docs/format/wal.md, "Value token"). Both sides of a stream keep the bits of the newest value and
//! an exponent; a token is one to ten bytes, and the first byte tells how many:
//! 1. up to four ones, then a zero, from the lowest bit on: so many bytes more, and all bits after the zero are the zigzag change of the
//!    mantissa at the exponent in force;
//! 2. five ones: the three bits above are the kind of an escape: [`EXPONENT`], [`RAW`], [`WIDE`], or one that the user of the token
//!    gives a meaning ([`RUN`], [`STEP`], and the short runs from [`RUN_OF_ONE`] on).
//!
//! No integer token but "unchanged" begins with a zero byte.

use super::decimal::{self, MAX_EXPONENT};
use super::varint::{Malformed, unzigzag, zigzag};

/// The five low bits of an escape's first byte.
const ESCAPE: u8 = 0b1_1111;
/// Bytes of the longest integer token, and the bits of its number.
const MOST_BYTES: u32 = 5;

/// Kinds of escape, in the three high bits.
pub(crate) const RUN: u8 = 0;
pub(crate) const STEP: u8 = 1;
const EXPONENT: u8 = 2;
const RAW: u8 = 3;
const WIDE: u8 = 4;
pub(crate) const RUN_OF_ONE: u8 = 5;

/// What both sides know of a series: the newest value and the exponent in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) bits: u64,
    pub(crate) exponent: u8,
}

/// A token in its first `len` bytes; those after it are zeros, so that a writer may copy all sixteen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) bytes: [u8; 16],
    pub(crate) len: usize,
}

impl Token {
    fn new(bits: u128, len: usize) -> Self {
        Self { bytes: bits.to_le_bytes(), len }
    }

    /// An escape with `len` bytes of `payload` after it.
    pub(crate) fn escape(kind: u8, payload: u64, len: usize) -> Self {
        Self::new(u128::from(payload) << 8 | u128::from(ESCAPE | kind << 5), 1 + len)
    }

    fn change(change: i64) -> Self {
        let number = zigzag(change);
        let len = (u64::BITS - number.leading_zeros()).div_ceil(7).max(1);
        if len > MOST_BYTES {
            return Self::escape(WIDE, number, 7);
        }
        let ones = (1_u64 << (len - 1)) - 1;
        Self::new(u128::from(number << len | ones), len as usize)
    }

    /// Appends the token.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        // A copy of fixed length is one store where one of variable length is a call.
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.truncate(start + self.len);
    }
}

impl Newest {
    /// The integer that changes are counted from: 0 where the newest value is none at the exponent in force.
    fn base(self) -> i64 {
        integer(f64::from_bits(self.bits), self.exponent).unwrap_or(0)
    }

    /// The token of the next value, which becomes the newest.
    pub(crate) fn encode(&mut self, value: f64) -> Token {
        let bits = value.to_bits();
        if bits == self.bits {
            return Token { bytes: [0; 16], len: 1 };
        }
        let change = integer(value, self.exponent).map(|mantissa| mantissa - self.base());
        // From a value that has no mantissa to 0 there is no change that could be told.
        let token = if let Some(change) = change.filter(|&change| change != 0) {
            Token::change(change)
        } else if let Some((exponent, mantissa)) = shortest(value) {
            self.exponent = exponent;
            let number = zigzag(mantissa);
            let len = (u64::BITS - number.leading_zeros()).div_ceil(8);
            let payload = number << 8 | u64::from(len << 4 | u32::from(exponent));
            Token::escape(EXPONENT, payload, 1 + len as usize)
        } else {
            Token::escape(RAW, bits, 8)
        };
        self.bits = bits;
        token
    }
}

/// The reading side: what [`Newest`] holds, and the integer that changes are counted from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ValueReader {
    newest: Newest,
    base: i64,
}

impl ValueReader {
    /// A reader where the newest value is this.
    pub(crate) fn after(newest: Newest) -> Self {
        Self { newest, base: newest.base() }
    }

    /// The newest value and the exponent.
    pub(crate) fn newest(&self) -> Newest {
        self.newest
    }

    /// The newest value.
    pub(crate) fn bits(&self) -> u64 {
        self.newest.bits
    }

    /// Reads the token at the start of `bytes`, which is not one that its user gave a meaning: its length. The value is the newest then.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let first = *bytes.first().ok_or(Malformed)?;
        if first == 0 {
            return Ok(1);
        }
        let ones = first.trailing_ones();
        if ones >= MOST_BYTES {
            return self.decode_escape(first >> 5, &bytes[1..]);
        }
        let len = ones + 1;
        let number = low_bytes(bytes, len as usize)? >> len;
        self.change(number);
        Ok(len as usize)
    }

    fn change(&mut self, number: u64) {
        self.set(self.base.wrapping_add(unzigzag(number)));
    }

    fn set(&mut self, mantissa: i64) {
        self.base = mantissa;
        self.newest.bits = decimal::to_f64(mantissa, self.newest.exponent).to_bits();
    }

    fn decode_escape(&mut self, kind: u8, rest: &[u8]) -> Result<usize, Malformed> {
        match kind {
            EXPONENT => {
                let form = *rest.first().ok_or(Malformed)?;
                let (exponent, len) = (form & 15, usize::from(form >> 4));
                if exponent > MAX_EXPONENT || len > 8 {
                    return Err(Malformed);
                }
                let mantissa = unzigzag(low_bytes(&rest[1..], len)?);
                self.newest.exponent = exponent;
                self.set(mantissa);
                Ok(2 + len)
            }
            RAW => {
                self.newest.bits = low_bytes(rest, 8)?;
                self.base = self.newest.base();
                Ok(9)
            }
            WIDE => {
                self.change(low_bytes(rest, 7)?);
                Ok(8)
            }
            _ => Err(Malformed),
        }
    }
}

/// The kind of escape that a token's first byte tells, if it is one.
pub(crate) fn escape_kind(first: u8) -> Option<u8> {
    (first & ESCAPE == ESCAPE).then_some(first >> 5)
}

/// The first `len` bytes, at most eight, as a number.
pub(crate) fn low_bytes(bytes: &[u8], len: usize) -> Result<u64, Malformed> {
    if len == 0 {
        return Ok(0);
    }
    if let Some(word) = bytes.first_chunk::<8>() {
        return Ok(u64::from_le_bytes(*word) & u64::MAX >> (64 - 8 * len));
    }
    let mut word = [0; 8];
    word[..len].copy_from_slice(bytes.get(..len).ok_or(Malformed)?);
    Ok(u64::from_le_bytes(word))
}

/// The mantissa of a value at an exponent, if it has one. Most values are whole numbers, which need no division.
fn integer(value: f64, exponent: u8) -> Option<i64> {
    /// Up to here every integer is a float.
    const MOST: u64 = 1 << 53;
    if exponent > 0 {
        return decimal::mantissa(value, exponent);
    }
    let number = value as i64;
    ((number as f64).to_bits() == value.to_bits() && number.unsigned_abs() < MOST).then_some(number)
}

/// The smallest exponent at which the value has a mantissa, and that mantissa.
fn shortest(value: f64) -> Option<(u8, i64)> {
    /// Below it, what has a mantissa at any exponent has one at the largest, within the range where rounding is exact.
    const SMALL: f64 = 2e6;
    // Most values that are no decimal are found out by one trial instead of ten.
    if value.abs() < SMALL && decimal::mantissa(value, MAX_EXPONENT).is_none() {
        return None;
    }
    decimal::decimal(value, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::column::any_value;
    use muster_series::stale_marker;
    use proptest::prelude::*;

    fn encode(values: &[f64]) -> Vec<u8> {
        let mut newest = Newest::default();
        let mut out = Vec::new();
        for &value in values {
            newest.encode(value).put(&mut out);
        }
        out
    }

    #[track_caller]
    fn check_length(values: &[f64], expected: usize) {
        assert_eq!(encode(values).len(), expected, "{values:?}");
    }

    #[test]
    fn small_changes_are_short() {
        check_length(&[0.0], 1);
        check_length(&[1.0, 63.0, 0.0, -1.0], 4);
        check_length(&[8191.0], 2);
        check_length(&[1e6, 1e6, 1e6], 5);
        check_length(&[1e9], 5);
        check_length(&[1e12], 8);
        // The exponent comes once.
        check_length(&[0.25, 0.26, 0.3, 1.0], 3 + 1 + 1 + 2);
        check_length(&[stale_marker(), stale_marker()], 10);
        check_length(&[7.0, stale_marker(), 7.0], 1 + 9 + 1);
        check_length(&[-0.0, f64::NAN, 0.1 + 0.2], 27);
        check_length(&[-0.0, 0.0], 9 + 2);
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(values in proptest::collection::vec(any_value(), 0..300)) {
            let bytes = encode(&values);
            let mut newest = ValueReader::default();
            let mut rest = &bytes[..];
            for value in values {
                let len = newest.decode(rest).unwrap();
                prop_assert!(len <= 10);
                prop_assert_eq!(newest.bits(), value.to_bits());
                rest = &rest[len..];
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn the_exponent_is_the_smallest(number in 0_u32..2_000_000_000, exponent in 0_u8..10) {
            let value = decimal::to_f64(i64::from(number), exponent);
            prop_assert_eq!(shortest(value), decimal::decimal(value, 0));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut newest = ValueReader::default();
            let mut rest = &bytes[..];
            while let Ok(len) = newest.decode(rest) {
                rest = &rest[len..];
            }
        }
    }
}
