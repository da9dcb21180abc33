//! Frames: the parts of a column that are decoded on their own.
//!
//! A column of a day is cut into equal frames, so that a query of an hour decodes a sixth of it. Where they begin follows
//! from the length of the column, so it is not written. Layout: docs/format/block.md, "Columns".

use std::ops::Range;

use super::varint::{self, Malformed, Reader};

/// Most samples in a frame.
const MAX_FRAME: usize = 1024;

/// How a column of so many samples is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frames {
    len: usize,
    size: usize,
}

impl Frames {
    pub(super) fn of(len: usize) -> Self {
        let count = len.div_ceil(MAX_FRAME).max(1);
        Self { len, size: len.div_ceil(count).max(1) }
    }

    pub(super) fn count(self) -> usize {
        self.len.div_ceil(self.size)
    }

    /// Samples in every frame but the last.
    pub(super) fn size(self) -> usize {
        self.size
    }

    /// The places of a frame's samples in the column.
    pub(super) fn places(self, frame: usize) -> Range<usize> {
        frame * self.size..((frame + 1) * self.size).min(self.len)
    }

    /// The frames that hold these places.
    pub(super) fn holding(self, wanted: &Range<usize>) -> Range<usize> {
        if wanted.is_empty() {
            return 0..0;
        }
        wanted.start / self.size..wanted.end.div_ceil(self.size)
    }
}

/// Appends integers frame by frame: for each frame its first integer and the length of its body, then all bodies.
pub(super) fn put(out: &mut Vec<u8>, integers: &[i64], twice: bool) {
    let mut bodies = Vec::with_capacity(integers.len() * 2);
    let mut previous = 0_i64;
    for frame in integers.chunks(Frames::of(integers.len()).size()) {
        let start = bodies.len();
        put_body(&mut bodies, frame, twice);
        varint::put_signed(out, frame[0].wrapping_sub(previous));
        varint::put(out, (bodies.len() - start) as u64);
        previous = frame[0];
    }
    out.extend_from_slice(&bodies);
}

fn put_body(out: &mut Vec<u8>, frame: &[i64], twice: bool) {
    let (mut previous, mut step) = (frame[0], 0_i64);
    for &integer in &frame[1..] {
        let change = integer.wrapping_sub(previous);
        varint::put_signed(out, change.wrapping_sub(step));
        previous = integer;
        if twice {
            step = change;
        }
    }
}

/// One frame of a column on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Its first integer.
    pub(super) first: i64,
    body: &'a [u8],
}

/// The frames of a column of so many integers, which are the rest of the input.
pub(super) fn read<'a>(reader: &mut Reader<'a>, len: usize) -> Result<Vec<Frame<'a>>, Malformed> {
    let mut heads = Vec::with_capacity(Frames::of(len).count());
    let mut first = 0_i64;
    for _ in 0..Frames::of(len).count() {
        first = first.wrapping_add(reader.signed()?);
        heads.push((first, reader.count()?));
    }
    heads
        .into_iter()
        .map(|(first, body_len)| Ok(Frame { first, body: reader.take(body_len)? }))
        .collect()
}

impl Frame<'_> {
    /// Shows the integers in front of `end`, a place in the frame, from the first on.
    pub(super) fn each(
        &self,
        end: usize,
        twice: bool,
        mut visit: impl FnMut(i64),
    ) -> Result<(), Malformed> {
        let (mut integer, mut step, mut rest) = (self.first, 0_i64, self.body);
        for place in 0..end {
            if place > 0 {
                let change = step.wrapping_add(varint::unzigzag(next_varint(&mut rest)?));
                integer = integer.wrapping_add(change);
                if twice {
                    step = change;
                }
            }
            visit(integer);
        }
        Ok(())
    }
}

/// Most changes take a byte; the others go the long way.
fn next_varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    match *rest {
        [byte, after @ ..] if *byte < 0x80 => {
            *rest = after;
            Ok(u64::from(*byte))
        }
        [low, high, after @ ..] if *high < 0x80 => {
            *rest = after;
            Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
        }
        _ => {
            let mut reader = Reader::new(rest);
            let value = reader.varint()?;
            *rest = &rest[rest.len() - reader.len()..];
            Ok(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(len: usize, size: usize, count: usize) {
        let frames = Frames::of(len);
        assert_eq!((frames.size(), frames.count()), (size, count));
        let places: Vec<usize> = (0..count).flat_map(|frame| frames.places(frame)).collect();
        assert_eq!(places, (0..len).collect::<Vec<_>>());
    }

    #[test]
    fn frames_are_equal_and_hold_every_sample_once() {
        check(0, 1, 0);
        check(1, 1, 1);
        check(1024, 1024, 1);
        check(1025, 513, 2);
        check(5760, 960, 6);
        check(8192, 1024, 8);
        assert_eq!(Frames::of(5760).holding(&(959..961)), 0..2);
        assert_eq!(Frames::of(5760).holding(&(960..1920)), 1..2);
    }
}
