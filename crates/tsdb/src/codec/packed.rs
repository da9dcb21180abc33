//! Numbers packed by pco: the smallest form for numbers that change in a noisy way.
//!
//! One table of frequencies serves the whole column, and each frame is a page of pco's wrapped format, so that a frame is
//! decoded on its own. Layout: docs/format/block.md, "Columns", form 4.

use std::ops::Range;

use pco::data_types::Number;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, FULL_BATCH_N, ModeSpec, PagingSpec};

use super::frames::Frames;
use super::varint::{self, Malformed, Reader};

/// What pco writes at the start of a file. It is the same for every column, so no column has it.
const HEADER: [u8; 2] = [4, 1];
/// Above this level packing takes twice the time and saves half a hundredth.
const LEVEL: usize = 6;
/// The lowest bits of packed numbers name a mode; this one asks for a table as large as the input says.
const MODE_BITS: u8 = 0x0f;
const MODE_DICTIONARY: u8 = 4;

/// How a column is to be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Integers, by their changes (1) or the changes of these (2).
    Changes(usize),
    /// Floats that are no decimals; what suits them is found out.
    Floats,
}

/// The packed column of numbers of which there is at least one; `None` where pco refuses them.
pub(super) fn pack<T: Number>(numbers: &[T], packing: Packing) -> Option<Vec<u8>> {
    let frames = Frames::of(numbers.len());
    let sizes = (0..frames.count()).map(|frame| frames.places(frame).len()).collect();
    let (delta, mode) = match packing {
        Packing::Changes(order) => (DeltaSpec::TryConsecutive(order), ModeSpec::Classic),
        Packing::Floats => (DeltaSpec::TryConsecutive(1), ModeSpec::Auto),
    };
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_delta_spec(delta)
        .with_mode_spec(mode)
        .with_paging_spec(PagingSpec::Exact(sizes));
    let mut chunk = FileCompressor::default().chunk_compressor(numbers, &config).ok()?;
    let mut body = chunk.write_meta(Vec::new()).ok()?;
    let mut lengths = Vec::with_capacity(frames.count() * 2);
    for frame in 0..frames.count() {
        let start = body.len();
        body = chunk.write_page(frame, body).ok()?;
        varint::put(&mut lengths, (body.len() - start) as u64);
    }
    lengths.append(&mut body);
    Some(lengths)
}

/// Shows the numbers at the wanted places, in order; `bytes` is what [`pack`] made of `len` numbers.
pub(super) fn unpack<T: Number + Default>(
    bytes: &[u8],
    len: usize,
    wanted: &Range<usize>,
    mut visit: impl FnMut(T),
) -> Result<(), Malformed> {
    let frames = Frames::of(len);
    let mut reader = Reader::new(bytes);
    let mut ends = Vec::with_capacity(frames.count());
    let mut end = 0_usize;
    for _ in 0..frames.count() {
        end = end.checked_add(reader.count()?).ok_or(Malformed)?;
        ends.push(end);
    }
    let body = reader.take(reader.len())?;
    if body.first().is_none_or(|first| first & MODE_BITS >= MODE_DICTIONARY) {
        return Err(Malformed);
    }
    let (file, _) = FileDecompressor::new(&HEADER[..]).map_err(|_| Malformed)?;
    let (mut chunk, pages) = file.chunk_decompressor::<T, _>(body).map_err(|_| Malformed)?;
    // Other encodings are not written, and may ask for memory that has nothing to do with the input.
    if !matches!(
        chunk.meta().delta_encoding,
        DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. }
    ) {
        return Err(Malformed);
    }
    let mut numbers = Vec::new();
    for frame in frames.holding(wanted) {
        let places = frames.places(frame);
        let start = if frame == 0 { 0 } else { ends[frame - 1] };
        let page = pages.get(start..ends[frame]).ok_or(Malformed)?;
        let here = wanted.start.max(places.start)..wanted.end.min(places.end);
        let needed = (here.end - places.start).next_multiple_of(FULL_BATCH_N).min(places.len());
        numbers.resize(needed, T::default());
        let mut page = chunk.page_decompressor(page, places.len()).map_err(|_| Malformed)?;
        let read = page.read(&mut numbers).map_err(|_| Malformed)?;
        if read.n_processed != needed {
            return Err(Malformed);
        }
        numbers[here.start - places.start..here.end - places.start]
            .iter()
            .for_each(|&number| visit(number));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(bytes: &[u8], len: usize, wanted: Range<usize>) -> Result<Vec<i64>, Malformed> {
        let mut numbers = Vec::new();
        unpack(bytes, len, &wanted, |number| numbers.push(number))?;
        Ok(numbers)
    }

    #[test]
    fn the_header_left_out_is_what_pco_writes() {
        assert_eq!(FileCompressor::default().write_header(Vec::new()).unwrap(), HEADER);
    }

    #[test]
    fn any_places_of_a_day_are_read_alone() {
        let numbers: Vec<i64> = (0..5760).map(|n| n * n % 7919 + n * 1500).collect();
        let packed = pack(&numbers, Packing::Changes(1)).unwrap();
        for wanted in [0..5760, 0..1, 959..961, 100..300, 5759..5760, 7..7] {
            let expected = numbers[wanted.clone()].to_vec();
            assert_eq!(unpacked(&packed, 5760, wanted), Ok(expected));
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<i64>(), 1..3000), order in 1_usize..3) {
            let packed = pack(&numbers, Packing::Changes(order)).unwrap();
            prop_assert_eq!(unpacked(&packed, numbers.len(), 0..numbers.len()), Ok(numbers));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, len in 0_usize..3000) {
            let _ = unpacked(&bytes, len, 0..len);
        }

        #[test]
        fn damaged_bytes_are_read_without_panic(
            at: proptest::sample::Index, change in 1_u8.., factor in 1_i64..1000,
        ) {
            let numbers: Vec<i64> = (0..2000).map(|n| n * n % 97 * factor).collect();
            let mut packed = pack(&numbers, Packing::Changes(1)).unwrap();
            let at = at.index(packed.len());
            packed[at] ^= change;
            let _ = unpacked(&packed, numbers.len(), 0..numbers.len());
        }
    }
}
