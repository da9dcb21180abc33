//! Reads a block: its contents at opening, its pages when they are asked for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, ReadFile};
use muster_series::{Labels, TimeRange};
use roaring::RoaringBitmap;

use super::BlockMeta;
use super::page::{
    self, CachedPage, ColumnsPage, LabelPage, PageCache, PageFault, PageKind, PageRef,
};
use super::series_page::{ChunkRef, ColumnRef, SeriesPage};
use crate::TsdbError;
use crate::codec::column;
use crate::codec::varint::{Malformed, Reader};
use crate::index::resolve::LabelIndex;

/// Last bytes of a block (docs/format/block.md, "Trailer").
const MAGIC: [u8; 8] = *b"MUSTRBLK";
pub(super) const VERSION: u32 = 3;
pub(super) const TRAILER_LEN: usize = 28;

/// The last bytes of a block, which say where its table of contents is.
pub(super) fn trailer(contents: PageRef, version: u32) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..8].copy_from_slice(&contents.offset.to_le_bytes());
    bytes[8..12].copy_from_slice(&contents.len.to_le_bytes());
    bytes[12..16].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..16]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    bytes[20..].copy_from_slice(&MAGIC);
    bytes
}

fn read_trailer(bytes: [u8; TRAILER_LEN]) -> Result<(PageRef, u32), Malformed> {
    let mut reader = Reader::new(&bytes);
    let offset = u64::from_le_bytes(reader.array()?);
    let len = u32::from_le_bytes(reader.array()?);
    let version = u32::from_le_bytes(reader.array()?);
    let crc = u32::from_le_bytes(reader.array()?);
    if crc == crc32fast::hash(&bytes[..16]) && reader.array()? == MAGIC {
        Ok((PageRef { offset, len }, version))
    } else {
        Err(Malformed)
    }
}

/// A block open for reading.
pub(crate) struct Block {
    /// Not the same for any two blocks of this process; names its pages in the cache.
    number: u64,
    pub(crate) meta: BlockMeta,
    pub(crate) path: PathBuf,
    file: Box<dyn ReadFile>,
    index: IndexPages,
}

/// Where the pages of a block's index are.
#[derive(Default)]
struct IndexPages {
    /// The number of the first series of each page, and the page.
    series: Vec<(u32, PageRef)>,
    /// By name; the pages of one name by the values on them.
    labels: Vec<(Box<str>, PageRef)>,
}

/// One series of a block.
pub(crate) struct SeriesAt {
    page: Arc<SeriesPage>,
    at: usize,
}

/// The samples of one series, and how many of its chunks could not be read.
#[derive(Debug, Default)]
pub(crate) struct SamplesRead {
    pub(crate) samples: Vec<(i64, f64)>,
    pub(crate) damaged_chunks: u64,
}

impl SeriesAt {
    /// Whether the series has a chunk whose range from its first to its last sample `is_wanted`.
    pub(crate) fn has_chunk(&self, is_wanted: impl Fn(TimeRange) -> bool) -> bool {
        self.page.chunks(self.at).iter().any(|chunk| is_wanted(chunk.range))
    }
}

impl Block {
    /// Opens a block and checks its table of contents. `number` must be new in this process.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, number: u64) -> Result<Self, TsdbError> {
        let failed = |error| TsdbError::io("read", path, error);
        let corrupt = |offset, reason| TsdbError::Corrupt { path: path.into(), offset, reason };
        let file = disk.open(path).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        let trailer_offset = len
            .checked_sub(TRAILER_LEN as u64)
            .ok_or_else(|| corrupt(0, "the file is too short"))?;
        let mut bytes = [0; TRAILER_LEN];
        file.read_exact_at(&mut bytes, trailer_offset).map_err(failed)?;
        let (contents, found) = read_trailer(bytes)
            .map_err(|_| corrupt(trailer_offset, "the trailer does not check"))?;
        if found != VERSION {
            return Err(TsdbError::Version { path: path.into(), found, known: VERSION });
        }
        let raw = read_page(&*file, path, PageKind::Contents, contents)?;
        let (mut meta, index) = read_contents(&raw)
            .map_err(|Malformed| corrupt(contents.offset, "the contents do not decode"))?;
        meta.bytes = len;
        Ok(Self { number, meta, path: path.into(), file, index })
    }

    /// The block's index, read through the cache.
    pub(crate) fn index<'a>(&'a self, cache: &'a PageCache) -> BlockIndex<'a> {
        BlockIndex { block: self, cache }
    }

    /// The label names that occur.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        let pages = self.index.labels.chunk_by(|a, b| a.0 == b.0);
        pages.map(|of_name| &*of_name[0].0)
    }

    /// Reads every page and checks it. `go_on` is asked before each, so that whoever waits can stop it by an error.
    pub(crate) fn verify(
        &self,
        go_on: &mut dyn FnMut() -> Result<(), TsdbError>,
    ) -> Result<(), TsdbError> {
        let mut columns = BTreeSet::new();
        for (_, at) in &self.index.series {
            go_on()?;
            if let CachedPage::Series(page) = self.read(*at, PageKind::Series)? {
                columns.extend(page.columns_pages());
            }
        }
        for at in columns {
            go_on()?;
            self.read(at, PageKind::Columns)?;
        }
        for (_, at) in &self.index.labels {
            go_on()?;
            self.read(*at, PageKind::Label)?;
        }
        Ok(())
    }

    /// The series with this number, below the count of series in the block; numbers rise with the label sets.
    pub(crate) fn series(&self, number: u32, cache: &PageCache) -> Result<SeriesAt, TsdbError> {
        let pages = &self.index.series;
        let after = pages.partition_point(|(first, _)| *first <= number);
        let &(first, at) = after
            .checked_sub(1)
            .and_then(|at| pages.get(at))
            .ok_or_else(|| self.corrupt(0, "the index names a series that is not there"))?;
        let CachedPage::Series(page) = self.cached(at, PageKind::Series, cache)? else {
            return Err(self.corrupt(at.offset, "a page is not of the kind that it should be"));
        };
        let place = (number - first) as usize;
        if place >= page.len() {
            return Err(self.corrupt(at.offset, "the index names a series that is not there"));
        }
        Ok(SeriesAt { page, at: place })
    }

    /// The label set of a series.
    pub(crate) fn labels(&self, series: &SeriesAt) -> Result<Labels, TsdbError> {
        series
            .page
            .labels(series.at)
            .map_err(|Malformed| self.corrupt(0, "a label set is not valid"))
    }

    /// The samples of a series in the range, in time order. A chunk that is damaged is left out and counted;
    /// an error is one of the system.
    pub(crate) fn samples(
        &self,
        series: &SeriesAt,
        range: TimeRange,
        cache: &PageCache,
    ) -> Result<SamplesRead, TsdbError> {
        let mut read = SamplesRead::default();
        for chunk in series.page.chunks(series.at) {
            if !chunk.range.overlaps(&range) {
                continue;
            }
            match self.chunk(chunk, range, cache, &mut read.samples) {
                Ok(()) => {}
                Err(error @ TsdbError::Corrupt { .. }) => {
                    tracing::warn!(%error, "a chunk is left out of an answer");
                    read.damaged_chunks += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn chunk(
        &self,
        chunk: &ChunkRef,
        range: TimeRange,
        cache: &PageCache,
        samples: &mut Vec<(i64, f64)>,
    ) -> Result<(), TsdbError> {
        let times = self.column(chunk.times, cache, column::read_times)?;
        let values = self.column(chunk.values, cache, column::read_values)?;
        let len = chunk.len as usize;
        if times.len() != len || values.len() != len {
            let offset = chunk.values.page.offset;
            return Err(self.corrupt(offset, "a column is not as long as it should be"));
        }
        let first = times.partition_point(|&time| time < range.start_ms);
        let end = times.partition_point(|&time| time <= range.end_ms).max(first);
        samples.extend(times[first..end].iter().copied().zip(values[first..end].iter().copied()));
        Ok(())
    }

    fn column<T>(
        &self,
        column: ColumnRef,
        cache: &PageCache,
        decode: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, TsdbError> {
        let decoded = match self.cached(column.page, PageKind::Columns, cache)? {
            CachedPage::Columns(page) => page.column(column.slot).and_then(decode),
            _ => Err(Malformed),
        };
        decoded.map_err(|Malformed| self.corrupt(column.page.offset, "a column does not decode"))
    }

    fn cached(
        &self,
        at: PageRef,
        kind: PageKind,
        cache: &PageCache,
    ) -> Result<CachedPage, TsdbError> {
        let key = (self.number, at.offset);
        if let Some(page) = cache.get(key) {
            return Ok(page);
        }
        let page = self.read(at, kind)?;
        cache.insert(key, page.clone());
        Ok(page)
    }

    fn read(&self, at: PageRef, kind: PageKind) -> Result<CachedPage, TsdbError> {
        let raw = read_page(&*self.file, &self.path, kind, at)?;
        let page = match kind {
            PageKind::Series => {
                SeriesPage::read(&raw).map(|page| CachedPage::Series(Arc::new(page)))
            }
            PageKind::Label => LabelPage::read(&raw).map(|page| CachedPage::Label(Arc::new(page))),
            PageKind::Columns => {
                ColumnsPage::read(&raw).map(|page| CachedPage::Columns(Arc::new(page)))
            }
            PageKind::Contents => Err(Malformed),
        };
        page.map_err(|Malformed| self.corrupt(at.offset, "a page does not decode"))
    }

    /// The pages of a label, by the values on them; none if no series has it.
    fn label_pages(&self, name: &str) -> &[(Box<str>, PageRef)] {
        let labels = &self.index.labels;
        let start = labels.partition_point(|(own, _)| **own < *name);
        let end = labels.partition_point(|(own, _)| **own <= *name);
        &labels[start..end]
    }

    fn label_page(&self, at: PageRef, cache: &PageCache) -> Result<Arc<LabelPage>, TsdbError> {
        match self.cached(at, PageKind::Label, cache)? {
            CachedPage::Label(page) => Ok(page),
            _ => Err(self.corrupt(at.offset, "a page is not of the kind that it should be")),
        }
    }

    fn corrupt(&self, offset: u64, reason: &'static str) -> TsdbError {
        TsdbError::Corrupt { path: self.path.clone(), offset, reason }
    }
}

fn read_page(
    file: &dyn ReadFile,
    path: &Path,
    kind: PageKind,
    at: PageRef,
) -> Result<Vec<u8>, TsdbError> {
    let corrupt = |reason| TsdbError::Corrupt { path: path.into(), offset: at.offset, reason };
    let too_large = |bytes| TsdbError::TooLarge {
        what: "a page of a block",
        bytes,
        limit: u64::from(page::MAX_PAGE_LEN),
    };
    if at.len > page::MAX_PAGE_LEN {
        // Whoever names the page has passed its own checksum.
        return Err(too_large(u64::from(at.len)));
    }
    let mut bytes = vec![0; at.len as usize];
    file.read_exact_at(&mut bytes, at.offset).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => corrupt("a page lies beyond the end of the file"),
        _ => TsdbError::io("read", path, error),
    })?;
    page::unpack(kind, &bytes).map_err(|fault| match fault {
        PageFault::Damaged(reason) => corrupt(reason),
        PageFault::TooLarge(bytes) => too_large(bytes),
        PageFault::Pack(error) => TsdbError::io("unpack", path, error),
    })
}

/// Reads the contents of a block.
fn read_contents(raw: &[u8]) -> Result<(BlockMeta, IndexPages), Malformed> {
    let mut reader = Reader::new(raw);
    let meta = BlockMeta::read(&mut reader)?;
    let mut pages = IndexPages::default();
    let mut first = 0_u32;
    for _ in 0..reader.count()? {
        let series = reader.index()?;
        pages.series.push((first, PageRef::read(&mut reader)?));
        first = first.checked_add(series).ok_or(Malformed)?;
    }
    for _ in 0..reader.count()? {
        let name = reader.text()?.into();
        pages.labels.push((name, PageRef::read(&mut reader)?));
    }
    if meta.series > u64::from(u32::MAX) {
        return Err(Malformed);
    }
    Ok((meta, pages))
}

/// A block's index with the cache that it is read through.
pub(crate) struct BlockIndex<'a> {
    block: &'a Block,
    cache: &'a PageCache,
}

impl LabelIndex for BlockIndex<'_> {
    fn all(&self) -> RoaringBitmap {
        (0..self.block.meta.series as u32).collect()
    }

    fn equal(&self, name: &str, value: &str) -> Result<RoaringBitmap, TsdbError> {
        let mut pages = self.block.label_pages(name);
        while pages.len() > 1 {
            let (before, after) = pages.split_at(pages.len() / 2);
            let page = self.block.label_page(after[0].1, self.cache)?;
            pages = if page.starts_by(value) { after } else { before };
        }
        let Some((_, at)) = pages.first() else {
            return Ok(RoaringBitmap::new());
        };
        let page = self.block.label_page(*at, self.cache)?;
        Ok(page.get(value).cloned().unwrap_or_default())
    }

    fn each_value(
        &self,
        name: &str,
        visit: &mut dyn FnMut(&str, &RoaringBitmap),
    ) -> Result<(), TsdbError> {
        for (_, at) in self.block.label_pages(name) {
            let page = self.block.label_page(*at, self.cache)?;
            page.values.iter().for_each(|(value, series)| visit(value, series));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockWriter;
    use crate::index::resolve::resolve;
    use muster_environment::MemoryDisk;
    use muster_series::Matcher;

    fn labels(number: u32) -> Labels {
        let host = format!("web-{number:04}");
        Labels::from_pairs([("__name__", "up"), ("host", &host)]).unwrap()
    }

    fn samples(number: u32) -> Vec<(i64, f64)> {
        (0..1440)
            .map(|minute| (minute * 60_000, f64::from(number) + minute as f64 / 10.0))
            .collect()
    }

    fn written(series: u32) -> (MemoryDisk, PathBuf) {
        let (disk, dir) = (MemoryDisk::new(), PathBuf::from("/blocks"));
        disk.create_dir_all(&dir).unwrap();
        let mut writer = BlockWriter::create(&disk, &dir, 0, (1, 1), 0).unwrap();
        for number in 0..series {
            writer.add(&labels(number), &samples(number)).unwrap();
        }
        let meta = writer.finish(&mut || Ok(())).unwrap().unwrap();
        assert_eq!(meta.samples, u64::from(series) * 1440);
        (disk, dir.join(meta.file_name()))
    }

    #[test]
    fn what_was_written_is_read() {
        let (disk, path) = written(600);
        let block = Block::open(&disk, &path, 0).unwrap();
        let cache = PageCache::new(1 << 20);
        let per_sample = block.meta.bytes as f64 / block.meta.samples as f64;
        assert!(per_sample < 0.2, "{per_sample} bytes a sample");
        let matcher = Matcher::parse_pair("host", "=~", "web-059.").unwrap();
        let found = resolve(&block.index(&cache), &[matcher]).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), (590..600).collect::<Vec<_>>());
        let range = TimeRange::new(14_340_000, 14_460_000);
        for number in found {
            let series = block.series(number, &cache).unwrap();
            assert_eq!(block.labels(&series).unwrap(), labels(number));
            let read = block.samples(&series, range, &cache).unwrap();
            assert_eq!(read.samples, samples(number)[239..=241]);
        }
    }

    #[test]
    fn every_flipped_byte_fails_the_reading_back() {
        let (disk, path) = written(3);
        let whole = muster_environment::read_all(&disk, &path).unwrap();
        let check = || Block::open(&disk, &path, 0)?.verify(&mut || Ok(()));
        check().unwrap();
        for at in 0..whole.len() {
            disk.corrupt(&path, |bytes| bytes[at] ^= 0x10).unwrap();
            assert!(check().is_err(), "byte {at}");
            disk.corrupt(&path, |bytes| bytes[at] ^= 0x10).unwrap();
        }
    }

    #[test]
    fn a_flipped_byte_anywhere_never_changes_an_answer_in_silence() {
        let (disk, path) = written(3);
        let whole = muster_environment::read_all(&disk, &path).unwrap();
        for at in 0..whole.len() {
            disk.corrupt(&path, |bytes| {
                bytes.clone_from(&whole);
                bytes[at] ^= 0x10;
            })
            .unwrap();
            let Ok(block) = Block::open(&disk, &path, 0) else {
                continue;
            };
            let cache = PageCache::new(1 << 20);
            for number in 0..3 {
                let Ok(series) = block.series(number, &cache) else {
                    continue;
                };
                assert_eq!(block.labels(&series).unwrap(), labels(number));
                let read = block.samples(&series, TimeRange::ALL, &cache).unwrap();
                assert!(read.samples == samples(number) || read.damaged_chunks > 0, "byte {at}");
            }
        }
    }
}
