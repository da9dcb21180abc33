//! Writes a block, series by series in the order of their labels.
//!
//! 1. A series' samples are cut into chunks at fixed instants. Values go to an open page of columns: one for each hour in
//!    which chunks begin, so that a page holds many series over one time, and apart those that are packed already.
//! 2. Timestamps go to pages of their own, each distinct column once: series scraped together share one.
//! 3. When a page of series is full, the open pages are written, and then the page, which refers to them.
//! 4. At the end come pages for each label name, the table of contents, and a trailer that says where that is.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use muster_environment::{Disk, WriteFile};
use muster_series::{Labels, TimeRange};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_128;

use super::open_pages::{OpenChunk, OpenColumn, OpenPage, OpenTimeline, series_page};
use super::page::{self, ColumnsPage, Packer, PageFault, PageKind, PageRef};
use super::reader::{Block, TRAILER_LEN, VERSION, trailer};
use super::series_page::{ColumnsRef, SERIES_PER_PAGE};
use super::{BlockMeta, Chunk, PARTITION_MS, label_page};
use crate::TsdbError;
use crate::codec::column::{self, Effort, MAX_CHUNK_SAMPLES, ValueEncoder};
use crate::codec::varint;

/// Into so many parts a day is cut at most, so that a part of a dense series is a chunk: a whole day at 15 s, 5 min at 40 ms.
const DAY_PARTS: [usize; 10] = [1, 2, 3, 4, 6, 8, 12, 24, 96, 288];
/// Chunks that begin in different hours have their values in different pages.
const HOUR_MS: i64 = 3_600_000;
/// About what a chunk takes in a page of series.
const CHUNK_REF_BYTES: usize = 4;
/// Levels of zstd for a block that is merged soon, and for one that stays.
const LEVEL_FAST: i32 = 1;
const LEVEL_SMALL: i32 = 9;

/// How long pages may be, in bytes.
#[derive(Debug, Clone, Copy)]
struct PageSizes {
    /// A page of series or of a label is ended when it has so many.
    end_at: usize,
    /// No page has more.
    most: u32,
}

const PAGE_SIZES: PageSizes = PageSizes { end_at: 128 << 10, most: page::MAX_PAGE_LEN };

/// Writes a block under a temporary name; it is nothing until [`BlockWriter::finish`] has returned and a
/// manifest names it. Dropped before, it removes its file.
pub(crate) struct BlockWriter<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    temporary: PathBuf,
    file: Box<dyn WriteFile>,
    offset: u64,
    meta: BlockMeta,
    encoder: ValueEncoder,
    packer: Packer,
    /// The pages of columns by number; `None` while they are open.
    columns_pages: Vec<Option<ColumnsRef>>,
    /// By kind and by the hour in which their chunks begin.
    open_values: BTreeMap<(PageKind, i64), OpenPage>,
    open_times: Option<OpenPage>,
    timelines: Vec<OpenTimeline>,
    known_times: HashMap<u128, u32>,
    sizes: PageSizes,
    open_series: Vec<(Labels, Vec<OpenChunk>)>,
    open_series_bytes: usize,
    /// How many series each has, and where it is.
    series_pages: Vec<(u32, PageRef)>,
    postings: BTreeMap<Box<str>, BTreeMap<Box<str>, RoaringBitmap>>,
    finished: bool,
}

impl<'a> BlockWriter<'a> {
    /// Starts a block of one partition, made of the heads `heads.0..=heads.1`, with its number in the store's sequence.
    /// [`Effort::Small`] is for one that holds all of its partition.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        dir: &Path,
        partition: i64,
        heads: (u64, u64),
        sequence: u64,
        effort: Effort,
    ) -> Result<Self, TsdbError> {
        let meta = BlockMeta {
            partition,
            first_head: heads.0,
            last_head: heads.1,
            sequence,
            range: TimeRange::new(i64::MAX, i64::MIN),
            series: 0,
            samples: 0,
            bytes: 0,
            settled: effort == Effort::Small,
        };
        let temporary = dir.join(format!("{}.tmp", meta.file_name()));
        let failed = |error| TsdbError::io("create", &temporary, error);
        let level = if meta.settled { LEVEL_SMALL } else { LEVEL_FAST };
        let (encoder, packer) =
            (ValueEncoder::new(effort).map_err(failed)?, Packer::new(level).map_err(failed)?);
        let file = disk.create(&temporary).map_err(failed)?;
        Ok(Self {
            disk,
            dir: dir.into(),
            temporary,
            file,
            offset: 0,
            meta,
            encoder,
            packer,
            columns_pages: Vec::new(),
            open_values: BTreeMap::new(),
            open_times: None,
            timelines: Vec::new(),
            known_times: HashMap::new(),
            sizes: PAGE_SIZES,
            open_series: Vec::new(),
            open_series_bytes: 0,
            series_pages: Vec::new(),
            postings: BTreeMap::new(),
            finished: false,
        })
    }

    /// Adds a series with its samples, which rise in time and lie in the partition. Series come in the order of their
    /// labels, each once; one without samples is left out.
    pub(crate) fn add(&mut self, labels: &Labels, samples: &[(i64, f64)]) -> Result<(), TsdbError> {
        let (times, values) = samples.iter().copied().unzip();
        self.add_chunks(labels, vec![Chunk::Samples { times, values }])
    }

    /// Adds a series as [`BlockWriter::add`] does; each chunk is later than the one before.
    pub(crate) fn add_chunks(
        &mut self,
        labels: &Labels,
        chunks: Vec<Chunk>,
    ) -> Result<(), TsdbError> {
        let mut written = Vec::new();
        for chunk in chunks {
            match chunk {
                Chunk::Samples { times, values } => {
                    self.cut(&times, &values, &mut written)?;
                }
                Chunk::Columns { range, len, times, values } => {
                    let timeline = self.add_times(&times, range, len)?;
                    let values = self.add_values(range.start_ms, values)?;
                    written.push(OpenChunk { timeline, values });
                }
            }
        }
        let (Some(first), Some(last)) = (written.first(), written.last()) else {
            return Ok(());
        };
        let (first, last) = (self.timeline(*first).range, self.timeline(*last).range);
        self.meta.range.start_ms = self.meta.range.start_ms.min(first.start_ms);
        self.meta.range.end_ms = self.meta.range.end_ms.max(last.end_ms);
        self.meta.samples +=
            written.iter().map(|chunk| u64::from(self.timeline(*chunk).len)).sum::<u64>();
        self.add_labels(labels);
        let label_bytes: usize = labels.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.open_series_bytes += label_bytes + written.len() * CHUNK_REF_BYTES;
        self.open_series.push((labels.clone(), written));
        if self.open_series.len() == SERIES_PER_PAGE as usize
            || self.open_series_bytes >= self.sizes.end_at
        {
            self.end_series_page()?;
        }
        Ok(())
    }

    fn timeline(&self, chunk: OpenChunk) -> &OpenTimeline {
        &self.timelines[chunk.timeline as usize]
    }

    /// Numbers the series and notes its labels.
    fn add_labels(&mut self, labels: &Labels) {
        let ordinal = self.meta.series as u32;
        self.meta.series += 1;
        for (name, value) in labels.iter() {
            let values = match self.postings.get_mut(name) {
                Some(values) => values,
                None => self.postings.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(series) => series.insert(ordinal),
                None => values.entry(value.into()).or_default().insert(ordinal),
            };
        }
    }

    fn cut(
        &mut self,
        times: &[i64],
        values: &[f64],
        chunks: &mut Vec<OpenChunk>,
    ) -> Result<(), TsdbError> {
        let window_ms = window_ms(times.len());
        let mut start = 0;
        for of_window in times.chunk_by(|a, b| a.div_euclid(window_ms) == b.div_euclid(window_ms)) {
            for times in of_window.chunks(MAX_CHUNK_SAMPLES) {
                let of_times = &values[start..start + times.len()];
                chunks.push(self.add_chunk(times, of_times)?);
                start += times.len();
            }
        }
        Ok(())
    }

    fn add_chunk(&mut self, times: &[i64], values: &[f64]) -> Result<OpenChunk, TsdbError> {
        let range = TimeRange::new(times[0], times[times.len() - 1]);
        let mut column = Vec::with_capacity(times.len() + 32);
        column::put_times(&mut column, times);
        let timeline = self.add_times(&column, range, times.len() as u32)?;
        let column = self.encoder.encode(values).map_err(|error| self.failed(error))?;
        Ok(OpenChunk { timeline, values: self.add_values(range.start_ms, column)? })
    }

    fn add_times(&mut self, column: &[u8], range: TimeRange, len: u32) -> Result<u32, TsdbError> {
        let hash = xxh3_128(column);
        if let Some(&known) = self.known_times.get(&hash) {
            return Ok(known);
        }
        let mut page = match self.open_times.take() {
            Some(page) => page,
            None => self.open_page(PageKind::Columns),
        };
        let number = self.timelines.len() as u32;
        self.timelines.push(OpenTimeline { column: page.push(column.into()), range, len });
        if page.is_full() {
            self.write_columns(&page)?;
        } else {
            self.open_times = Some(page);
        }
        self.known_times.insert(hash, number);
        Ok(number)
    }

    fn add_values(&mut self, start_ms: i64, column: Vec<u8>) -> Result<OpenColumn, TsdbError> {
        let kind =
            if column::is_packed(&column) { PageKind::PackedColumns } else { PageKind::Columns };
        let key = (kind, start_ms.div_euclid(HOUR_MS));
        let mut page = match self.open_values.remove(&key) {
            Some(page) => page,
            None => self.open_page(kind),
        };
        let added = page.push(column);
        if page.is_full() {
            self.write_columns(&page)?;
        } else {
            self.open_values.insert(key, page);
        }
        Ok(added)
    }

    fn open_page(&mut self, kind: PageKind) -> OpenPage {
        self.columns_pages.push(None);
        OpenPage::new(self.columns_pages.len() as u32 - 1, kind)
    }

    fn write_columns(&mut self, page: &OpenPage) -> Result<(), TsdbError> {
        let at = self.write_page(page.kind, &ColumnsPage::put(&page.columns))?;
        self.columns_pages[page.number as usize] = Some(ColumnsRef { at, kind: page.kind });
        Ok(())
    }

    fn end_series_page(&mut self) -> Result<(), TsdbError> {
        let open = std::mem::take(&mut self.open_values);
        for page in open.into_values().chain(self.open_times.take()) {
            self.write_columns(&page)?;
        }
        let open = std::mem::take(&mut self.open_series);
        let page = series_page(&open, &self.timelines, &self.columns_pages);
        self.open_series_bytes = 0;
        let written = self.write_page(PageKind::Series, &page.put())?;
        self.series_pages.push((page.len() as u32, written));
        Ok(())
    }

    fn failed(&self, error: io::Error) -> TsdbError {
        TsdbError::io("write", &self.temporary, error)
    }

    fn write_page(&mut self, kind: PageKind, raw: &[u8]) -> Result<PageRef, TsdbError> {
        let limit = self.sizes.most;
        let page = self.packer.pack(kind, raw, limit).map_err(|fault| match fault {
            PageFault::TooLarge(bytes) => {
                TsdbError::TooLarge { what: "a page of a block", bytes, limit: u64::from(limit) }
            }
            PageFault::Pack(error) => self.failed(error),
            PageFault::Damaged(reason) => self.failed(io::Error::other(reason)),
        })?;
        if let Err(error) = self.file.write_all(&page) {
            return Err(self.failed(error));
        }
        let (offset, len) = (self.offset, page.len() as u32);
        self.offset += u64::from(len);
        Ok(PageRef { offset, len })
    }

    /// Completes the file, makes it durable, reads all of it back and gives it its name; `None` if there was no series.
    /// An error of `go_on`, which is asked again and again, ends it.
    pub(crate) fn finish(
        mut self,
        go_on: &mut dyn FnMut() -> Result<(), TsdbError>,
    ) -> Result<Option<BlockMeta>, TsdbError> {
        if self.meta.series == 0 {
            return Ok(None);
        }
        if !self.open_series.is_empty() {
            self.end_series_page()?;
        }
        let labels = self.write_labels()?;
        let mut contents = Vec::new();
        self.meta.put(&mut contents);
        varint::put(&mut contents, self.series_pages.len() as u64);
        for (count, page) in &self.series_pages {
            varint::put(&mut contents, u64::from(*count));
            page.put(&mut contents);
        }
        varint::put(&mut contents, labels.len() as u64);
        for (name, page) in labels {
            varint::put_bytes(&mut contents, name.as_bytes());
            page.put(&mut contents);
        }
        let contents = self.write_page(PageKind::Contents, &contents)?;
        self.meta.bytes = self.offset + TRAILER_LEN as u64;
        let path = self.dir.join(self.meta.file_name());
        let failed = |error| TsdbError::io("write", &path, error);
        self.file
            .write_all(&trailer(contents, VERSION))
            .and_then(|()| self.file.sync_data())
            .map_err(failed)?;
        // Read back under the temporary name, so that what a crash leaves here is no block.
        Block::open(self.disk, &self.temporary, 0)?.verify(go_on)?;
        self.disk
            .rename(&self.temporary, &path)
            .and_then(|()| self.disk.sync_dir(&self.dir))
            .map_err(failed)?;
        self.finished = true;
        Ok(Some(self.meta.clone()))
    }

    /// Writes the values of each label name, in several pages where they are many.
    fn write_labels(&mut self) -> Result<Vec<(Box<str>, PageRef)>, TsdbError> {
        let mut labels = Vec::new();
        for (name, values) in std::mem::take(&mut self.postings) {
            let (mut count, mut entries) = (0, Vec::new());
            let mut values = values.into_iter().peekable();
            while let Some((value, series)) = values.next() {
                label_page::put_entry(&mut entries, &value, &series);
                count += 1;
                if entries.len() >= self.sizes.end_at || values.peek().is_none() {
                    let page = self.write_label_page(count, &entries)?;
                    labels.push((name.clone(), page));
                    (count, entries) = (0, Vec::new());
                }
            }
        }
        Ok(labels)
    }

    fn write_label_page(&mut self, count: u64, entries: &[u8]) -> Result<PageRef, TsdbError> {
        let mut raw = Vec::with_capacity(entries.len() + 10);
        varint::put(&mut raw, count);
        raw.extend_from_slice(entries);
        self.write_page(PageKind::Label, &raw)
    }
}

impl Drop for BlockWriter<'_> {
    /// Removes what was written of a block that was not finished.
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Err(error) = self.disk.remove(&self.temporary) {
            let path = self.temporary.display();
            tracing::warn!(%path, %error, "a temporary file stays until the next start");
        }
    }
}

/// How long the windows are at whose ends the chunks of a series are cut, by the number of its samples in its partition.
/// Series that are scraped together have as many, so their chunks are cut at the same instants.
fn window_ms(samples: usize) -> i64 {
    let fits = |parts: &&usize| samples.div_ceil(**parts) <= MAX_CHUNK_SAMPLES;
    let parts = DAY_PARTS.iter().find(fits).unwrap_or(&DAY_PARTS[DAY_PARTS.len() - 1]);
    PARTITION_MS / *parts as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::PageCache;
    use crate::index::resolve::resolve;
    use muster_environment::MemoryDisk;
    use muster_series::Matcher;

    fn labels(number: u32) -> Labels {
        let host = format!("web-{number:04}");
        Labels::from_pairs([("__name__", "up"), ("host", &host)]).unwrap()
    }

    fn write(disk: &MemoryDisk, sizes: PageSizes) -> Result<BlockMeta, TsdbError> {
        let dir = Path::new("/blocks");
        disk.create_dir_all(dir).unwrap();
        let mut writer = BlockWriter::create(disk, dir, 0, (1, 1), 0, Effort::Fast)?;
        writer.sizes = sizes;
        for number in 0..600 {
            writer.add(&labels(number), &[(1, f64::from(number))])?;
        }
        Ok(writer.finish(&mut || Ok(()))?.expect("it has series"))
    }

    #[test]
    fn an_index_of_many_small_pages_answers_like_one_of_few() {
        let disk = MemoryDisk::new();
        let meta = write(&disk, PageSizes { end_at: 500, most: 4_000 }).unwrap();
        let block = Block::open(&disk, &Path::new("/blocks").join(meta.file_name()), 0).unwrap();
        let cache = PageCache::new(1 << 20);
        block.verify(&mut || Ok(())).unwrap();
        assert_eq!(block.label_names().collect::<Vec<_>>(), ["__name__", "host"]);
        for number in 0..600 {
            let matcher = Matcher::equal("host", &format!("web-{number:04}"));
            let found = resolve(&block.index(&cache), &[matcher]).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), [number]);
            let series = block.series(number, &cache).unwrap();
            assert_eq!(block.labels(&series).unwrap(), labels(number));
        }
        let count = |op: &str, value: &str| {
            let matcher = Matcher::parse_pair("host", op, value).unwrap();
            resolve(&block.index(&cache), &[matcher]).unwrap().len()
        };
        assert_eq!((count("=~", "web-0.*"), count("=", "a"), count("=", "z")), (600, 0, 0));
        assert!(block.series(600, &cache).is_err());
    }

    #[test]
    fn a_page_that_could_not_be_read_back_fails_the_block() {
        let disk = MemoryDisk::new();
        let written = write(&disk, PageSizes { end_at: 100_000, most: 4_000 });
        assert!(matches!(written, Err(TsdbError::TooLarge { limit: 4_000, .. })));
        assert_eq!(disk.files(), [] as [PathBuf; 0]);
    }
}
