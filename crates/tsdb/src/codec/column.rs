//! Columns of a block: the timestamps, and apart from them the values, of one chunk.
//!
//! Layouts: docs/format/block.md, "Columns". Values take one of six forms. Four of them are made to be small *after* zstd, which runs over
//! many columns at once; the packed ones are small already. Which is smaller is measured for each column of a block that is
//! to be small (docs/decisions/0004-columns-are-packed-by-what-measures-smallest.md).

use std::io;
use std::ops::Range;

use muster_series::TimeRange;

use super::frames::{self, Frames};
use super::packed::{self, Packing};
use super::varint::{self, Malformed, Reader};
use super::{decimal, decimal::MAX_EXPONENT};

/// Most samples in a chunk: a day at 15 s fits, and a damaged count cannot ask for much memory.
pub(crate) const MAX_CHUNK_SAMPLES: usize = 8192;

const CONSTANT: u8 = 0;
const DELTA: u8 = 1;
const DELTA_OF_DELTA: u8 = 2;
const XOR: u8 = 3;
const PACKED: u8 = 4;
const PACKED_FLOATS: u8 = 5;

/// The level of zstd by which columns are judged: what the pages are packed with later hardly differs for them.
const JUDGED_AT_LEVEL: i32 = 1;
/// Mantissas are below 2^53, so their differences have at most so many low zeros that are worth a thought.
const MAX_SHIFT: u32 = 52;

/// How much time may be spent for a small block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Little: the block will be merged soon.
    Fast,
    /// What it takes: the block will stay.
    Small,
}

/// Appends a column of timestamps, at least one.
pub(crate) fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    frames::put(out, times, true);
}

/// Appends the timestamps within the range of a column of `len`, which rise, to `out`, and tells their places.
pub(crate) fn read_times(
    bytes: &[u8],
    len: usize,
    range: TimeRange,
    out: &mut Vec<i64>,
) -> Result<Range<usize>, Malformed> {
    if len > MAX_CHUNK_SAMPLES {
        return Err(Malformed);
    }
    let sizes = Frames::of(len);
    let frames = frames::read(&mut Reader::new(bytes), len)?;
    let first = frames.partition_point(|frame| frame.first <= range.start_ms).saturating_sub(1);
    let end = frames.partition_point(|frame| frame.first <= range.end_ms);
    let (start, mut place) = (out.len(), sizes.places(first).start);
    let mut from = place;
    out.reserve((first..end).map(|at| sizes.places(at).len()).sum());
    for (at, frame) in frames.iter().enumerate().take(end).skip(first) {
        frame.each(sizes.places(at).len(), true, |time| {
            if range.contains(time) {
                if out.len() == start {
                    from = place;
                }
                out.push(time);
            }
            place += 1;
        })?;
    }
    Ok(from..from + (out.len() - start))
}

/// Makes columns of values.
pub(crate) struct ValueEncoder {
    effort: Effort,
    judge: zstd::bulk::Compressor<'static>,
}

impl ValueEncoder {
    pub(crate) fn new(effort: Effort) -> io::Result<Self> {
        Ok(Self { effort, judge: zstd::bulk::Compressor::new(JUDGED_AT_LEVEL)? })
    }

    /// The column of these values, at least one, in the form that should be smallest.
    pub(crate) fn encode(&mut self, values: &[f64]) -> io::Result<Vec<u8>> {
        let first = values[0];
        if values.iter().all(|value| value.to_bits() == first.to_bits()) {
            let mut out = vec![CONSTANT];
            out.extend_from_slice(&first.to_bits().to_le_bytes());
            return Ok(out);
        }
        let units = Units::of(values);
        let plain = units.as_ref().map_or_else(|| xor(values), Units::plain);
        if self.effort == Effort::Fast {
            return Ok(plain);
        }
        let packed = match &units {
            Some(units) => units.packed(),
            None => packed::pack(values, Packing::Floats).map(|mut packed| {
                packed.insert(0, PACKED_FLOATS);
                packed
            }),
        };
        // Alone, a column is compressed with a table of its own; in its page it shares one with others, which fits it a little worse.
        let judged = self.judge.compress(&plain)?.len().min(coded_bytes(&plain) * 17 / 16);
        Ok(packed.filter(|packed| packed.len() < judged).unwrap_or(plain))
    }
}

/// The bytes that a Huffman code for these takes, about, without its table: no code is shorter than a bit.
fn coded_bytes(bytes: &[u8]) -> usize {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[byte as usize] += 1;
    }
    let all = bytes.len() as f32;
    let bits: f32 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| count as f32 * (all / count as f32).log2().max(1.0))
        .sum();
    (bits / 8.0) as usize
}

/// Whether nothing can be gained by packing the column again.
pub(crate) fn is_packed(column: &[u8]) -> bool {
    column.first().is_some_and(|&form| form == PACKED || form == PACKED_FLOATS)
}

/// A column as integers, `base + (unit << shift)` over `10^exponent`, and the few values that are none.
struct Units {
    exponent: u8,
    base: i64,
    shift: u32,
    numbers: Vec<i64>,
    exceptions: Vec<(usize, u64)>,
}

impl Units {
    /// `None` where more than an eighth of the values have no exact decimal form.
    fn of(values: &[f64]) -> Option<Self> {
        let mut exponent = 0;
        let (mut units, mut exceptions) = loop {
            match mantissas(values, exponent)? {
                Mantissas::All(mantissas, exceptions) => break (mantissas, exceptions),
                Mantissas::Larger(larger) => exponent = larger,
            }
        };
        exceptions.shrink_to_fit();
        let base = units[0];
        let shift = units.iter().fold(0, |bits, unit| bits | (unit - base)).trailing_zeros();
        let shift = shift.min(MAX_SHIFT);
        for unit in &mut units {
            *unit = (*unit - base) >> shift;
        }
        Some(Self { exponent, base, shift, numbers: units, exceptions })
    }

    fn put_head(&self, out: &mut Vec<u8>, form: u8) {
        out.extend_from_slice(&[form, self.exponent, self.shift as u8]);
        varint::put_signed(out, self.base);
        varint::put(out, self.exceptions.len() as u64);
        for &(at, bits) in &self.exceptions {
            varint::put(out, at as u64);
            out.extend_from_slice(&bits.to_le_bytes());
        }
    }

    fn plain(&self) -> Vec<u8> {
        let twice = self.is_smaller_twice(varint_bits);
        let mut out = Vec::with_capacity(self.numbers.len() * 2 + 32);
        self.put_head(&mut out, if twice { DELTA_OF_DELTA } else { DELTA });
        frames::put(&mut out, &self.numbers, twice);
        out
    }

    fn packed(&self) -> Option<Vec<u8>> {
        let (first, last) = (self.numbers[0], self.numbers[self.numbers.len() - 1]);
        let mean = (last - first) / self.numbers.len() as i64;
        // A table of frequencies takes a mean away from changes, but not from the changes of changes.
        let order = if self.is_smaller_twice(|change, is_once| {
            let mean = if is_once { mean } else { 0 };
            change.saturating_sub(mean).unsigned_abs()
        }) {
            2
        } else {
            1
        };
        let mut body = packed::pack(&self.numbers, Packing::Changes(order))?;
        let mut out = Vec::with_capacity(body.len() + 16);
        self.put_head(&mut out, PACKED);
        out.append(&mut body);
        Some(out)
    }

    /// Whether the changes of changes cost less in all than the changes.
    fn is_smaller_twice(&self, cost: impl Fn(i64, bool) -> u64) -> bool {
        let (mut once, mut twice) = (0_u64, 0_u64);
        let (mut previous, mut step) = (self.numbers[0], 0_i64);
        for &unit in &self.numbers[1..] {
            let change = unit - previous;
            once = once.saturating_add(cost(change, true));
            twice = twice.saturating_add(cost(change - step, false));
            (previous, step) = (unit, change);
        }
        twice < once
    }
}

/// The bytes of a change as a varint.
fn varint_bits(change: i64, _: bool) -> u64 {
    u64::from((70 - (varint::zigzag(change) | 1).leading_zeros()) / 7)
}

enum Mantissas {
    /// One for each value, and the values that have none with their places.
    All(Vec<i64>, Vec<(usize, u64)>),
    /// A value needs this exponent.
    Larger(u8),
}

fn mantissas(values: &[f64], exponent: u8) -> Option<Mantissas> {
    let most_exceptions = values.len() / 8;
    let (mut mantissas, mut exceptions) = (Vec::with_capacity(values.len()), Vec::new());
    let mut previous = None;
    for (at, &value) in values.iter().enumerate() {
        if let Some(mantissa) = decimal::mantissa(value, exponent) {
            if previous.is_none() {
                mantissas.fill(mantissa);
            }
            previous = Some(mantissa);
        } else if exponent < MAX_EXPONENT
            && let Some((larger, _)) = decimal::decimal(value, exponent + 1)
        {
            return Some(Mantissas::Larger(larger));
        } else {
            exceptions.push((at, value.to_bits()));
            if exceptions.len() > most_exceptions {
                return None;
            }
        }
        mantissas.push(previous.unwrap_or_default());
    }
    Some(Mantissas::All(mantissas, exceptions))
}

/// Each float against the one before in its frame, the eight bytes in eight planes: the high planes are nearly all zeros.
fn xor(values: &[f64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 8 + 1);
    out.push(XOR);
    for frame in values.chunks(Frames::of(values.len()).size()) {
        for plane in (0..8).rev() {
            let mut previous = 0;
            out.extend(frame.iter().map(|value| {
                let bits = value.to_bits();
                let changed = (bits ^ previous) >> (8 * plane);
                previous = bits;
                changed as u8
            }));
        }
    }
    out
}

/// Appends the values at the wanted places of a column of `len`.
pub(crate) fn read_values(
    bytes: &[u8],
    len: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), Malformed> {
    if len > MAX_CHUNK_SAMPLES || wanted.start > wanted.end || wanted.end > len {
        return Err(Malformed);
    }
    out.reserve(wanted.len());
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        CONSTANT => {
            let value = f64::from_bits(u64::from_le_bytes(reader.array()?));
            out.resize(out.len() + wanted.len(), value);
            Ok(())
        }
        form @ (DELTA | DELTA_OF_DELTA | PACKED) => read_units(&mut reader, form, len, wanted, out),
        XOR => read_xor(&mut reader, len, &wanted, out),
        PACKED_FLOATS => {
            let rest = reader.take(reader.len())?;
            packed::unpack(rest, len, &wanted, |value: f64| out.push(value))
        }
        _ => Err(Malformed),
    }
}

fn read_units(
    reader: &mut Reader<'_>,
    form: u8,
    len: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), Malformed> {
    let (exponent, shift) = (reader.byte()?, u32::from(reader.byte()?));
    if exponent > MAX_EXPONENT || shift > MAX_SHIFT {
        return Err(Malformed);
    }
    let base = reader.signed()?;
    let mut exceptions = Vec::new();
    for _ in 0..reader.count()? {
        let at = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        exceptions.push((at, f64::from_bits(u64::from_le_bytes(reader.array()?))));
    }
    let start = out.len();
    let mut push =
        |unit: i64| out.push(decimal::to_f64(base.wrapping_add(unit << shift), exponent));
    if form == PACKED {
        packed::unpack(reader.take(reader.len())?, len, &wanted, push)?;
    } else {
        let sizes = Frames::of(len);
        let frames = frames::read(reader, len)?;
        for at in sizes.holding(&wanted) {
            let places = sizes.places(at);
            let mut place = places.start;
            let end = wanted.end.min(places.end) - places.start;
            frames[at].each(end, form == DELTA_OF_DELTA, |unit| {
                if place >= wanted.start {
                    push(unit);
                }
                place += 1;
            })?;
        }
    }
    for (at, value) in exceptions {
        if wanted.contains(&at) {
            out[start + at - wanted.start] = value;
        }
    }
    Ok(())
}

fn read_xor(
    reader: &mut Reader<'_>,
    len: usize,
    wanted: &Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), Malformed> {
    let sizes = Frames::of(len);
    for at in 0..sizes.count() {
        let places = sizes.places(at);
        let planes = reader.take(places.len() * 8)?;
        if places.start >= wanted.end || places.end <= wanted.start {
            continue;
        }
        let mut previous = 0;
        for place in places.clone() {
            let column = place - places.start;
            let changed = (0..8).fold(0, |bits, plane| {
                bits << 8 | u64::from(planes[plane * places.len() + column])
            });
            previous ^= changed;
            if wanted.contains(&place) {
                out.push(f64::from_bits(previous));
            }
        }
    }
    Ok(())
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

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn decoded(column: &[u8], len: usize, wanted: Range<usize>) -> Result<Vec<u64>, Malformed> {
        let mut values = Vec::new();
        read_values(column, len, wanted, &mut values)?;
        Ok(bits(&values))
    }

    #[track_caller]
    fn check(values: &[f64], fast: u8, small: u8) {
        for (effort, form) in [(Effort::Fast, fast), (Effort::Small, small)] {
            let column = ValueEncoder::new(effort).unwrap().encode(values).unwrap();
            assert_eq!(column[0], form, "{effort:?}");
            assert_eq!(is_packed(&column), form >= PACKED);
            assert_eq!(decoded(&column, values.len(), 0..values.len()), Ok(bits(values)));
        }
    }

    #[test]
    fn the_form_fits_the_values() {
        check(&[f64::NAN; 5], CONSTANT, CONSTANT);
        check(&[1.0, 2.0, 1.0, 2.5], DELTA, DELTA);
        check(&[1e6, 2e6, 4e6, 6e6, 8e6, 1e7], DELTA_OF_DELTA, DELTA_OF_DELTA);
        check(&[0.1 + 0.2, std::f64::consts::PI], XOR, XOR);
        check(&[1.0, 2.0, 3.0, 4.0, 9.0, 6.0, 7.0, muster_series::stale_marker()], DELTA, DELTA);
        // The first value is none, and the others are far from zero.
        check(&[f64::NAN, 1e9, 1e9 + 1.0, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9 + 3.0], DELTA, DELTA);
        let noise = |n: u64| (n.pow(3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as f64;
        let noisy: Vec<f64> = (0..2000).map(|n| noise(n) * 4096.0).collect();
        check(&noisy, DELTA, PACKED);
        let ratios: Vec<f64> = (0..2000).map(|n| noise(n) / 1023.7).collect();
        check(&ratios, XOR, PACKED_FLOATS);
    }

    #[test]
    fn common_low_zeros_are_left_out() {
        let steps: Vec<f64> = (0..120).map(|n| f64::from(n * n % 50) * 4096.0 + 17.0).collect();
        let column = ValueEncoder::new(Effort::Fast).unwrap().encode(&steps).unwrap();
        assert!(column.len() < 135, "{} bytes", column.len());
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(
            values in proptest::collection::vec(any_value(), 1..3000),
            ends: (proptest::sample::Index, proptest::sample::Index),
            small: bool,
        ) {
            let effort = if small { Effort::Small } else { Effort::Fast };
            let column = ValueEncoder::new(effort).unwrap().encode(&values).unwrap();
            let (a, b) = (ends.0.index(values.len() + 1), ends.1.index(values.len() + 1));
            for wanted in [0..values.len(), a.min(b)..a.max(b)] {
                let expected = bits(&values[wanted.clone()]);
                prop_assert_eq!(decoded(&column, values.len(), wanted), Ok(expected));
            }
        }

        #[test]
        fn times_come_back(times in proptest::collection::btree_set(any::<i64>(), 1..3000), from: i64, to: i64) {
            let times: Vec<i64> = times.into_iter().collect();
            let mut column = Vec::new();
            put_times(&mut column, &times);
            let some = times[times.len() / 2];
            for range in [TimeRange::ALL, TimeRange::new(from, to), TimeRange::new(some, to), TimeRange::new(some, some)] {
                let mut read = vec![7];
                let places = read_times(&column, times.len(), range, &mut read).unwrap();
                let expected: Vec<i64> = times.iter().copied().filter(|&t| range.contains(t)).collect();
                prop_assert_eq!(&read[1..], &expected);
                prop_assert_eq!(&times[places], &expected);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            form in 0_u8..7, bytes: Vec<u8>, len in 0_usize..9000, from in 0_usize..9000,
        ) {
            let mut column = vec![form];
            column.extend(bytes);
            let _ = decoded(&column, len, from.min(len)..len);
            let _ = read_times(&column, len, TimeRange::ALL, &mut Vec::new());
        }
    }
}
