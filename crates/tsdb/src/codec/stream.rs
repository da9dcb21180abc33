//! The head's form of one series: a stream of bytes to which a sample is added in a few nanoseconds.
//!
//! A sample is the change of the timestamp's step (zigzag varint), then a value token (varint):
//! 1. even: half of it is the zigzag change of the mantissa, at the exponent in force;
//! 2. odd, half of it at most [`MAX_EXPONENT`]: this is the exponent from here on, and the zigzag mantissa follows;
//! 3. odd, half of it [`RAW`]: the eight bytes of the float follow.

use super::decimal::{self, MAX_EXPONENT};
use super::varint::{self, Malformed, Reader};

const RAW: u64 = MAX_EXPONENT as u64 + 1;

/// What encoder and decoder must agree on between two samples.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    timestamp: i64,
    step: i64,
    mantissa: i64,
    exponent: u8,
}

/// The samples of one series in rising time order, packed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    cursor: Cursor,
    last_value: f64,
    first_timestamp: i64,
    len: u32,
    /// One after each [`CHECKPOINT_EVERY`] samples, so that the newest samples are read without all before.
    checkpoints: Vec<Checkpoint>,
}

/// Samples from one checkpoint to the next: reading decodes so many in vain at most, and a checkpoint costs a
/// quarter of a byte a sample.
const CHECKPOINT_EVERY: u32 = 128;

/// Where reading can start.
#[derive(Debug, Clone, Copy)]
struct Checkpoint {
    /// As it is after the sample before, whose timestamp it has.
    cursor: Cursor,
    offset: u32,
}

impl Stream {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Timestamp and value of the newest sample.
    pub(crate) fn last(&self) -> Option<(i64, f64)> {
        (!self.is_empty()).then_some((self.cursor.timestamp, self.last_value))
    }

    /// Timestamp of the oldest sample.
    pub(crate) fn first_timestamp(&self) -> Option<i64> {
        (!self.is_empty()).then_some(self.first_timestamp)
    }

    /// Bytes of memory that the samples take.
    pub(crate) fn allocated(&self) -> usize {
        self.bytes.capacity() + self.checkpoints.capacity() * size_of::<Checkpoint>()
    }

    /// Adds a sample that is newer than all before.
    pub(crate) fn push(&mut self, timestamp: i64, value: f64) {
        debug_assert!(self.last().is_none_or(|(last, _)| last < timestamp));
        if self.bytes.capacity() - self.bytes.len() < 24 {
            // Doubling would leave a third of the head empty on average.
            self.bytes.reserve_exact(24 + self.bytes.len() / 4);
        }
        if self.is_empty() {
            self.first_timestamp = timestamp;
        }
        let cursor = &mut self.cursor;
        let step = timestamp.wrapping_sub(cursor.timestamp);
        varint::put_signed(&mut self.bytes, step.wrapping_sub(cursor.step));
        cursor.timestamp = timestamp;
        cursor.step = step;
        put_value(&mut self.bytes, cursor, value);
        self.last_value = value;
        self.len += 1;
        if self.len.is_multiple_of(CHECKPOINT_EVERY)
            && let Ok(offset) = u32::try_from(self.bytes.len())
        {
            self.checkpoints.push(Checkpoint { cursor: self.cursor, offset });
        }
    }

    /// The samples not older than `start_ms`, oldest first.
    pub(crate) fn iter_from(&self, start_ms: i64) -> impl Iterator<Item = (i64, f64)> + '_ {
        let passed = self.checkpoints.partition_point(|at| at.cursor.timestamp < start_ms);
        self.iter_after(passed).skip_while(move |sample| sample.0 < start_ms)
    }

    /// The samples after so many checkpoints.
    fn iter_after(&self, passed: usize) -> impl Iterator<Item = (i64, f64)> + '_ {
        let start = passed.checked_sub(1).map(|last| self.checkpoints[last]);
        let (mut cursor, offset) = start.map_or_else(Default::default, |at| (at.cursor, at.offset));
        let mut reader = Reader::new(&self.bytes[offset as usize..]);
        (passed as u32 * CHECKPOINT_EVERY..self.len).map(move |_| {
            next_sample(&mut reader, &mut cursor).expect("a stream holds what was pushed")
        })
    }
}

fn put_value(out: &mut Vec<u8>, cursor: &mut Cursor, value: f64) {
    if let Some(mantissa) = decimal::mantissa(value, cursor.exponent) {
        varint::put(out, varint::zigzag(mantissa - cursor.mantissa) << 1);
        cursor.mantissa = mantissa;
    } else if let Some((exponent, mantissa)) = decimal::decimal(value, 0) {
        varint::put(out, u64::from(exponent) << 1 | 1);
        varint::put_signed(out, mantissa);
        cursor.exponent = exponent;
        cursor.mantissa = mantissa;
    } else {
        varint::put(out, RAW << 1 | 1);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

fn next_sample(reader: &mut Reader<'_>, cursor: &mut Cursor) -> Result<(i64, f64), Malformed> {
    cursor.step = cursor.step.wrapping_add(reader.signed()?);
    cursor.timestamp = cursor.timestamp.wrapping_add(cursor.step);
    Ok((cursor.timestamp, next_value(reader, cursor)?))
}

fn next_value(reader: &mut Reader<'_>, cursor: &mut Cursor) -> Result<f64, Malformed> {
    let token = reader.varint()?;
    if token & 1 == 0 {
        cursor.mantissa = cursor.mantissa.wrapping_add(varint::unzigzag(token >> 1));
    } else if token >> 1 == RAW {
        return Ok(f64::from_bits(u64::from_le_bytes(reader.array()?)));
    } else {
        cursor.exponent = u8::try_from(token >> 1).map_err(|_| Malformed)?;
        cursor.mantissa = reader.signed()?;
    }
    Ok(decimal::to_f64(cursor.mantissa, cursor.exponent))
}

/// The value tokens of a log record: the same as in a stream, one series after another.
#[derive(Debug, Default)]
pub(crate) struct ValueCodec(Cursor);

impl ValueCodec {
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, value: f64) {
        put_value(out, &mut self.0, value);
    }

    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<f64, Malformed> {
        next_value(reader, &mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_series::stale_marker;
    use proptest::prelude::*;

    fn bits(samples: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, u64)> {
        samples.map(|(t, v)| (t, v.to_bits())).collect()
    }

    proptest! {
        #[test]
        fn samples_come_back_bit_for_bit(
            times in proptest::collection::btree_set(any::<i64>(), 0..400),
            values in proptest::collection::vec(crate::codec::column::any_value(), 400),
            from: i64,
        ) {
            let samples: Vec<(i64, f64)> = times.into_iter().zip(values).collect();
            let mut stream = Stream::default();
            for &(timestamp, value) in &samples {
                stream.push(timestamp, value);
            }
            prop_assert_eq!(bits(stream.iter_from(i64::MIN)), bits(samples.iter().copied()));
            prop_assert_eq!(stream.len(), samples.len());
            // At any instant, and at and after each sample.
            let later = samples.iter().flat_map(|sample| [sample.0, sample.0.saturating_add(1)]);
            for from in later.step_by(7).chain([from]) {
                let expected = samples.iter().copied().filter(|sample| sample.0 >= from);
                prop_assert_eq!(bits(stream.iter_from(from)), bits(expected));
            }
        }
    }

    #[test]
    fn the_newest_samples_are_read_without_all_before() {
        let mut stream = Stream::default();
        (0..10_000_i64).for_each(|at| stream.push(at, 1.0));
        // Bytes before the last checkpoint are not looked at.
        let untouched = stream.bytes.len() - 2 * CHECKPOINT_EVERY as usize;
        stream.bytes[..untouched].fill(0xff);
        assert_eq!(stream.iter_from(9_990).count(), 10);
    }

    #[test]
    fn a_regular_gauge_takes_about_two_bytes_a_sample() {
        let mut stream = Stream::default();
        for at in 0..1000_i64 {
            stream.push(1_700_000_000_000 + at * 15_000, (at % 7) as f64 / 100.0);
        }
        assert!(stream.bytes.len() < 2100, "{} bytes", stream.bytes.len());
        stream.push(1_800_000_000_000, stale_marker());
        assert_eq!(stream.last().unwrap().1.to_bits(), stale_marker().to_bits());
    }
}
