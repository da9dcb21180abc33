//! Columns of a block: the timestamps, and apart from them the values, of one chunk.
//!
//! Layouts: docs/format/block.md, "Columns". They are made to be small *after* zstd, which runs over many columns at once.

use super::decimal;
use super::varint::{self, Malformed, Reader};

/// Most samples in a chunk, so that a damaged count cannot ask for much memory.
pub(crate) const MAX_CHUNK_SAMPLES: usize = 1 << 20;

const CONSTANT: u8 = 0;
const DELTA: u8 = 1;
const DELTA_OF_DELTA: u8 = 2;
const XOR: u8 = 3;

/// Appends a column of timestamps.
pub(crate) fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    varint::put(out, times.len() as u64);
    let (mut previous, mut step) = (0_i64, 0_i64);
    for &time in times {
        let next_step = time.wrapping_sub(previous);
        varint::put_signed(out, next_step.wrapping_sub(step));
        (previous, step) = (time, next_step);
    }
}

/// Reads what [`put_times`] wrote.
pub(crate) fn read_times(bytes: &[u8]) -> Result<Vec<i64>, Malformed> {
    let mut reader = Reader::new(bytes);
    let len = reader.count()?;
    let mut times = Vec::with_capacity(len);
    let (mut time, mut step) = (0_i64, 0_i64);
    for _ in 0..len {
        step = step.wrapping_add(reader.signed()?);
        time = time.wrapping_add(step);
        times.push(time);
    }
    Ok(times)
}

/// Appends a column of values, in the form that should be smallest.
pub(crate) fn put_values(out: &mut Vec<u8>, values: &[f64]) {
    varint::put(out, values.len() as u64);
    let Some(first) = values.first() else { return };
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        out.push(CONSTANT);
        out.extend_from_slice(&first.to_bits().to_le_bytes());
        return;
    }
    match Decimals::of(values) {
        Some(decimals) => decimals.put(out),
        None => put_xor(out, values),
    }
}

/// A column as integers, and the few values that are none.
struct Decimals {
    exponent: u8,
    mantissas: Vec<i64>,
    exceptions: Vec<(usize, u64)>,
}

impl Decimals {
    /// `None` where more than an eighth of the values have no exact decimal form.
    fn of(values: &[f64]) -> Option<Self> {
        let most_exceptions = values.len() / 8;
        let (mut exponent, mut misses) = (0, 0);
        for &value in values {
            match decimal::decimal(value, exponent) {
                Some((larger, _)) => exponent = larger,
                None => misses += 1,
            }
            if misses > most_exceptions {
                return None;
            }
        }
        let (mut mantissas, mut exceptions) = (Vec::with_capacity(values.len()), Vec::new());
        let mut previous = 0;
        for (at, &value) in values.iter().enumerate() {
            if let Some(mantissa) = decimal::mantissa(value, exponent) {
                previous = mantissa;
            } else {
                exceptions.push((at, value.to_bits()));
            }
            mantissas.push(previous);
        }
        (exceptions.len() <= most_exceptions).then_some(Self { exponent, mantissas, exceptions })
    }

    fn put(&self, out: &mut Vec<u8>) {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        let (mut previous, mut step) = (0, 0);
        for &mantissa in &self.mantissas {
            let delta = mantissa - previous;
            varint::put_signed(&mut once, delta);
            varint::put_signed(&mut twice, delta - step);
            (previous, step) = (mantissa, delta);
        }
        out.push(if twice.len() < once.len() { DELTA_OF_DELTA } else { DELTA });
        out.push(self.exponent);
        varint::put(out, self.exceptions.len() as u64);
        for &(at, bits) in &self.exceptions {
            varint::put(out, at as u64);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        out.extend_from_slice(if twice.len() < once.len() { &twice } else { &once });
    }
}

/// Each float against the one before, the eight bytes in eight planes: the high planes are nearly all zeros.
fn put_xor(out: &mut Vec<u8>, values: &[f64]) {
    out.push(XOR);
    for plane in (0..8).rev() {
        let mut previous = 0;
        out.extend(values.iter().map(|value| {
            let bits = value.to_bits();
            let changed = (bits ^ previous) >> (8 * plane);
            previous = bits;
            changed as u8
        }));
    }
}

/// Reads what [`put_values`] wrote.
pub(crate) fn read_values(bytes: &[u8]) -> Result<Vec<f64>, Malformed> {
    let mut reader = Reader::new(bytes);
    let len = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    if len > MAX_CHUNK_SAMPLES {
        return Err(Malformed);
    }
    if len == 0 {
        return Ok(Vec::new());
    }
    match reader.byte()? {
        CONSTANT => Ok(vec![f64::from_bits(u64::from_le_bytes(reader.array()?)); len]),
        DELTA => read_decimals(&mut reader, len, false),
        DELTA_OF_DELTA => read_decimals(&mut reader, len, true),
        XOR => read_xor(&mut reader, len),
        _ => Err(Malformed),
    }
}

fn read_decimals(reader: &mut Reader<'_>, len: usize, twice: bool) -> Result<Vec<f64>, Malformed> {
    let exponent = reader.byte()?;
    let mut exceptions = Vec::new();
    for _ in 0..reader.count()? {
        let at = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        exceptions.push((at, f64::from_bits(u64::from_le_bytes(reader.array()?))));
    }
    let mut values = Vec::with_capacity(len);
    let (mut mantissa, mut step) = (0_i64, 0_i64);
    for _ in 0..len {
        let change = reader.signed()?;
        step = if twice { step.wrapping_add(change) } else { change };
        mantissa = mantissa.wrapping_add(step);
        values.push(decimal::to_f64(mantissa, exponent));
    }
    for (at, value) in exceptions {
        *values.get_mut(at).ok_or(Malformed)? = value;
    }
    Ok(values)
}

fn read_xor(reader: &mut Reader<'_>, len: usize) -> Result<Vec<f64>, Malformed> {
    let mut bits = vec![0_u64; len];
    for plane in (0..8).rev() {
        for (bits, &byte) in bits.iter_mut().zip(reader.take(len)?) {
            *bits |= u64::from(byte) << (8 * plane);
        }
    }
    let mut previous = 0;
    Ok(bits
        .into_iter()
        .map(|changed| {
            previous ^= changed;
            f64::from_bits(previous)
        })
        .collect())
}

/// Values as servers report them, and every strange one.
#[cfg(test)]
pub(crate) fn any_value() -> impl proptest::strategy::Strategy<Value = f64> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (-1000_i64..1000).prop_map(|n| n as f64),
        4 => (0_i64..1_000_000).prop_map(|n| n as f64 / 100.0),
        2 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(muster_series::stale_marker()),
        1 => Just(-0.0),
        1 => Just(f64::NEG_INFINITY),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(values: &[f64], kind: u8) {
        let mut bytes = Vec::new();
        put_values(&mut bytes, values);
        assert_eq!(bytes[1], kind);
        let back: Vec<u64> = read_values(&bytes).unwrap().iter().map(|v| v.to_bits()).collect();
        assert_eq!(back, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }

    #[test]
    fn the_form_fits_the_values() {
        check(&[f64::NAN; 5], CONSTANT);
        check(&[1.0, 2.0, 1.0, 2.5], DELTA);
        check(&[1e6, 2e6, 3e6, 4e6, 5e6, 6e6, 7e6, 8e6], DELTA_OF_DELTA);
        check(&[0.1 + 0.2, std::f64::consts::PI], XOR);
        check(&[1.0, 2.0, 3.0, 4.0, 9.0, 6.0, 7.0, muster_series::stale_marker()], DELTA);
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(values in proptest::collection::vec(any_value(), 0..200)) {
            let mut bytes = Vec::new();
            put_values(&mut bytes, &values);
            let back = read_values(&bytes).unwrap();
            prop_assert_eq!(
                back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                values.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            );
        }

        #[test]
        fn times_come_back(times: Vec<i64>) {
            let mut bytes = Vec::new();
            put_times(&mut bytes, &times);
            prop_assert_eq!(read_times(&bytes), Ok(times));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = read_values(&bytes);
            let _ = read_times(&bytes);
        }
    }
}
