//! Reads a block: its contents at opening, its pages when they are asked for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_environment::{Disk, ReadFile};
use muster_series::Labels;
use roaring::RoaringBitmap;

use super::BlockMeta;
use super::label_page::LabelPage;
use super::page::{self, CachedPage, ColumnsPage, PageCache, PageFault, PageKind, PageRef};
use super::series_page::{ColumnsRef, SERIES_PER_PAGE, SeriesPage};
use crate::TsdbError;
use crate::codec::varint::{Malformed, Reader};
use crate::index::holders::Holders;
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
    pub(super) number: u64,
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
    pub(super) page: Arc<SeriesPage>,
    pub(super) at: usize,
}

/// Series of a block that stand together.
#[derive(Clone)]
pub(crate) struct SeriesGroup {
    /// The number of the first.
    first: u32,
    page: Arc<SeriesPage>,
}

impl SeriesGroup {
    /// The series with this number, if it is one of these.
    pub(crate) fn get(&self, number: u32) -> Option<SeriesAt> {
        let at = number.checked_sub(self.first)? as usize;
        (at < self.page.len()).then(|| SeriesAt { page: Arc::clone(&self.page), at })
    }
}

impl Block {
    /// Opens a block and checks its table of contents. `number` must be new in this process.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, number: u64) -> Result<Self, TsdbError> {
        let failed = |offset| move |error| TsdbError::reading(path, offset, error);
        let corrupt = |offset, reason| TsdbError::Corrupt { path: path.into(), offset, reason };
        let file = disk.open(path).map_err(failed(0))?;
        let len = file.len().map_err(failed(0))?;
        let trailer_offset = len
            .checked_sub(TRAILER_LEN as u64)
            .ok_or_else(|| corrupt(0, "the file is too short"))?;
        let mut bytes = [0; TRAILER_LEN];
        file.read_exact_at(&mut bytes, trailer_offset).map_err(failed(trailer_offset))?;
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
        let mut columns: BTreeSet<ColumnsRef> = BTreeSet::new();
        for (_, at) in &self.index.series {
            go_on()?;
            if let CachedPage::Series(page) = self.read(*at, PageKind::Series)? {
                columns.extend(page.columns());
            }
        }
        for columns in columns {
            go_on()?;
            self.read(columns.at, columns.kind)?;
        }
        for (_, at) in &self.index.labels {
            go_on()?;
            self.read(*at, PageKind::Label)?;
        }
        Ok(())
    }

    /// Bytes of the file by what they hold.
    #[cfg(test)]
    pub(crate) fn bytes_by_kind(&self) -> Result<Vec<(&'static str, u64)>, TsdbError> {
        let mut columns: BTreeSet<ColumnsRef> = BTreeSet::new();
        let mut times: BTreeSet<PageRef> = BTreeSet::new();
        let cache = PageCache::new(1 << 20);
        for number in 0..self.meta.series as u32 {
            let series = self.series(number, &cache)?;
            columns.extend(series.page.columns());
            let chunks = series.page.chunks(series.at).iter();
            let columns = chunks.map(|chunk| series.page.timeline(chunk).column);
            times.extend(columns.map(|column| series.page.page_of(column).at));
        }
        let sum =
            |pages: &mut dyn Iterator<Item = PageRef>| pages.map(|at| u64::from(at.len)).sum();
        let of_kind = |kind| {
            let pages = columns.iter().filter(move |page| page.kind == kind).map(|page| page.at);
            sum(&mut pages.filter(|at| !times.contains(at)))
        };
        Ok(vec![
            ("times", sum(&mut times.iter().copied())),
            ("columns", of_kind(PageKind::Columns)),
            ("packed columns", of_kind(PageKind::PackedColumns)),
            ("series", sum(&mut self.index.series.iter().map(|(_, at)| *at))),
            ("labels", sum(&mut self.index.labels.iter().map(|(_, at)| *at))),
        ])
    }

    /// The series with this number, below the count of series in the block; numbers rise with the label sets.
    pub(crate) fn series(&self, number: u32, cache: &PageCache) -> Result<SeriesAt, TsdbError> {
        let group = self.series_group(number, cache)?;
        group
            .get(number)
            .ok_or_else(|| self.corrupt(0, "the index names a series that is not there"))
    }

    /// The series that stand with this one.
    pub(crate) fn series_group(
        &self,
        number: u32,
        cache: &PageCache,
    ) -> Result<SeriesGroup, TsdbError> {
        let pages = &self.index.series;
        let after = pages.partition_point(|(first, _)| *first <= number);
        let &(first, at) = after
            .checked_sub(1)
            .and_then(|at| pages.get(at))
            .ok_or_else(|| self.corrupt(0, "the index names a series that is not there"))?;
        let CachedPage::Series(page) = self.cached(at, PageKind::Series, cache)? else {
            return Err(self.corrupt(at.offset, "a page is not of the kind that it should be"));
        };
        if (number - first) as usize >= page.len() {
            return Err(self.corrupt(at.offset, "the index names a series that is not there"));
        }
        Ok(SeriesGroup { first, page })
    }

    /// The label set of a series.
    pub(crate) fn labels(&self, series: &SeriesAt) -> Result<Labels, TsdbError> {
        series
            .page
            .labels(series.at)
            .map_err(|Malformed| self.corrupt(0, "a label set is not valid"))
    }

    pub(super) fn cached(
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
            PageKind::Label => {
                LabelPage::read(raw, self.meta.series).map(|page| CachedPage::Label(Arc::new(page)))
            }
            PageKind::Columns | PageKind::PackedColumns => {
                ColumnsPage::read(raw).map(|page| CachedPage::Columns(Arc::new(page)))
            }
            PageKind::Contents => Err(Malformed),
        };
        page.map_err(|Malformed| self.malformed(at))
    }

    fn malformed(&self, at: PageRef) -> TsdbError {
        self.corrupt(at.offset, "a page does not decode")
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

    pub(super) fn corrupt(&self, offset: u64, reason: &'static str) -> TsdbError {
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
        _ => TsdbError::reading(path, at.offset, error),
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
        if series > SERIES_PER_PAGE {
            return Err(Malformed);
        }
        pages.series.push((first, PageRef::read(&mut reader)?));
        first = first.checked_add(series).ok_or(Malformed)?;
    }
    for _ in 0..reader.count()? {
        let name = reader.text()?.into();
        pages.labels.push((name, PageRef::read(&mut reader)?));
    }
    // Whoever asks for all series gets a bitmap of so many.
    if meta.series != u64::from(first) || !reader.is_empty() {
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
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.block.meta.series as u32);
        all
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
        let series = page.get(value).map_err(|Malformed| self.block.malformed(*at))?;
        Ok(series.unwrap_or_default())
    }

    fn each_value(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, Holders<'_>),
    ) -> Result<(), TsdbError> {
        for (_, at) in self.block.label_pages(name) {
            let page = self.block.label_page(*at, self.cache)?;
            page.each(prefix, visit).map_err(|Malformed| self.block.malformed(*at))?;
        }
        Ok(())
    }

    fn source(&self, _name: &str) -> (u64, u64) {
        // Number 0 is the registry's; a block never changes.
        (self.block.number + 1, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockWriter, Recent};
    use crate::codec::column::Effort;
    use crate::index::resolve::resolve;
    use muster_environment::MemoryDisk;
    use muster_series::{Matcher, TimeRange};

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
        let mut writer = BlockWriter::create(&disk, &dir, 0, (1, 1), 0, Effort::Fast).unwrap();
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
            let read = block.columns(&series, range, &cache, &mut Recent::default()).unwrap();
            assert_eq!(read.samples(), samples(number)[239..=241]);
        }
    }

    #[test]
    fn the_golden_block_is_read_for_ever() {
        let (disk, path) = (MemoryDisk::new(), Path::new("/golden.blk"));
        disk.create_dir_all(Path::new("/")).unwrap();
        let golden = include_bytes!("../../tests/golden/block-v3.blk");
        disk.create(path).unwrap().write_all(golden).unwrap();
        let (block, cache) = (Block::open(&disk, path, 0).unwrap(), PageCache::new(1 << 20));
        block.verify(&mut || Ok(())).unwrap();
        assert_eq!((block.meta.series, block.meta.settled), (300, true));
        for number in [0, 1, 2, 255, 299] {
            let host = format!("web-{number:04}");
            let found = resolve(&block.index(&cache), &[Matcher::equal("host", &host)]).unwrap();
            let series = block.series(found.min().unwrap(), &cache).unwrap();
            let read =
                block.columns(&series, TimeRange::ALL, &cache, &mut Recent::default()).unwrap();
            assert_eq!(read.samples(), golden_samples(number));
        }
    }

    /// Columns of all six forms, by turns.
    fn golden_samples(number: u32) -> Vec<(i64, f64)> {
        let len = if number < 6 { 1200 } else { 3 };
        let noise = |at: u32| f64::from((at + number).wrapping_mul(0x9e37_79b9) >> 20);
        let value = |at: u32| match number % 6 {
            0 => 1.5,
            1 => f64::from(at % 3),
            2 => f64::from(at / 300 * at),
            3 if len == 3 => f64::from(at) / 7.0,
            3 => noise(at) / 1023.7,
            4 => noise(at) * 4096.0,
            _ => noise(at) / 100.0,
        };
        (0..len).map(|at| (i64::from(at) * 15_000, value(at))).collect()
    }

    /// Writes the golden file of the present version; run by hand when the version rises.
    #[test]
    #[ignore = "writes the golden file: cargo test -p muster-tsdb golden -- --ignored"]
    fn write_the_golden_block() {
        let (disk, dir) = (MemoryDisk::new(), PathBuf::from("/blocks"));
        disk.create_dir_all(&dir).unwrap();
        let mut writer = BlockWriter::create(&disk, &dir, 0, (1, 9), 0, Effort::Small).unwrap();
        for number in 0..300 {
            writer.add(&labels(number), &golden_samples(number)).unwrap();
        }
        let meta = writer.finish(&mut || Ok(())).unwrap().unwrap();
        let bytes = muster_environment::read_all(&disk, &dir.join(meta.file_name())).unwrap();
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/block-v3.blk");
        std::fs::write(golden, bytes).unwrap();
    }

    #[test]
    fn a_block_of_another_version_is_refused() {
        let (disk, path) = written(1);
        disk.corrupt(&path, |bytes| {
            let at = bytes.len() - TRAILER_LEN;
            let mut reader = Reader::new(&bytes[at..]);
            let offset = u64::from_le_bytes(reader.array().unwrap());
            let len = u32::from_le_bytes(reader.array().unwrap());
            let trailer = trailer(PageRef { offset, len }, VERSION - 1);
            bytes[at..].copy_from_slice(&trailer);
        })
        .unwrap();
        let opened = Block::open(&disk, &path, 0).map(|_| ());
        assert!(matches!(opened, Err(TsdbError::Version { found: 2, known: 3, .. })));
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
                let read =
                    block.columns(&series, TimeRange::ALL, &cache, &mut Recent::default()).unwrap();
                assert!(read.samples() == samples(number) || read.damaged_chunks > 0, "byte {at}");
            }
        }
    }
}
