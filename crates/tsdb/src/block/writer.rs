//! Writes a block, series by series in the order of their labels.
//!
//! 1. A series' samples are cut into chunks at fixed instants. Values go to the open columns page of that chunk's
//!    window, so that one page holds many series over one window.
//! 2. Timestamps go to pages of their own, each distinct column once: series scraped together share one.
//! 3. When a page of series is full, the open pages are written, and then the page, which refers to them.
//! 4. At the end come pages for each label name, the table of contents, and a trailer that says where that is.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use muster_environment::{Disk, WriteFile};
use muster_series::{Labels, TimeRange};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_128;

use super::page::{self, ColumnsPage, PageFault, PageKind, PageRef};
use super::reader::{Block, TRAILER_LEN, VERSION, trailer};
use super::series_page::{ChunkRef, ColumnRef, SERIES_PER_PAGE, SeriesPage};
use super::{BlockMeta, CHUNK_WINDOW_MS};
use crate::TsdbError;
use crate::codec::column::{self, MAX_CHUNK_SAMPLES};
use crate::codec::varint;

/// A columns page is ended when it has this many columns or bytes, whatever comes first.
const COLUMNS_PER_PAGE: usize = 64;
const COLUMN_BYTES_PER_PAGE: usize = 256 << 10;
/// About what a chunk takes in a page of series.
const CHUNK_REF_BYTES: usize = 32;

/// How long pages may be, in bytes.
#[derive(Debug, Clone, Copy)]
struct PageSizes {
    /// A page of series or of a label is ended when it has so many.
    end_at: usize,
    /// No page has more.
    most: u32,
}

const PAGE_SIZES: PageSizes = PageSizes { end_at: 1 << 20, most: page::MAX_PAGE_LEN };

/// A columns page that still grows; its place in the file is known when it is written.
#[derive(Debug, Default)]
struct OpenPage {
    number: usize,
    columns: Vec<Vec<u8>>,
    bytes: usize,
}

/// A column by the number of its page.
#[derive(Debug, Clone, Copy)]
struct OpenColumn {
    page: usize,
    slot: u32,
}

struct OpenChunk {
    range: TimeRange,
    len: u32,
    times: OpenColumn,
    values: OpenColumn,
}

/// Writes a block under a temporary name; it is nothing until [`BlockWriter::finish`] has returned and a
/// manifest names it. Dropped before, it removes its file.
pub(crate) struct BlockWriter<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    temporary: PathBuf,
    file: Box<dyn WriteFile>,
    offset: u64,
    meta: BlockMeta,
    /// Where the columns pages are, by number; `None` while they are open.
    columns_pages: Vec<Option<PageRef>>,
    open_values: BTreeMap<i64, OpenPage>,
    open_times: Option<OpenPage>,
    known_times: HashMap<u128, OpenColumn>,
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
    pub(crate) fn create(
        disk: &'a dyn Disk,
        dir: &Path,
        partition: i64,
        heads: (u64, u64),
        sequence: u64,
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
        };
        let temporary = dir.join(format!("{}.tmp", meta.file_name()));
        let file =
            disk.create(&temporary).map_err(|error| TsdbError::io("create", &temporary, error))?;
        Ok(Self {
            disk,
            dir: dir.into(),
            temporary,
            file,
            offset: 0,
            meta,
            columns_pages: Vec::new(),
            open_values: BTreeMap::new(),
            open_times: None,
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
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Ok(());
        };
        self.meta.range.start_ms = self.meta.range.start_ms.min(first.0);
        self.meta.range.end_ms = self.meta.range.end_ms.max(last.0);
        let ordinal = self.meta.series as u32;
        self.meta.series += 1;
        self.meta.samples += samples.len() as u64;
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
        let mut chunks = Vec::new();
        for of_window in samples.chunk_by(|a, b| window(a.0) == window(b.0)) {
            for part in of_window.chunks(MAX_CHUNK_SAMPLES) {
                chunks.push(self.add_chunk(part)?);
            }
        }
        let label_bytes: usize = labels.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.open_series_bytes += label_bytes + chunks.len() * CHUNK_REF_BYTES;
        self.open_series.push((labels.clone(), chunks));
        if self.open_series.len() == SERIES_PER_PAGE as usize
            || self.open_series_bytes >= self.sizes.end_at
        {
            self.end_series_page()?;
        }
        Ok(())
    }

    fn add_chunk(&mut self, samples: &[(i64, f64)]) -> Result<OpenChunk, TsdbError> {
        let times: Vec<i64> = samples.iter().map(|sample| sample.0).collect();
        let values: Vec<f64> = samples.iter().map(|sample| sample.1).collect();
        let range = TimeRange::new(times[0], times[times.len() - 1]);
        Ok(OpenChunk {
            range,
            len: samples.len() as u32,
            times: self.add_times(&times)?,
            values: self.add_values(window(range.start_ms), &values)?,
        })
    }

    fn add_times(&mut self, times: &[i64]) -> Result<OpenColumn, TsdbError> {
        let mut column = Vec::new();
        column::put_times(&mut column, times);
        let hash = xxh3_128(&column);
        if let Some(&known) = self.known_times.get(&hash) {
            return Ok(known);
        }
        let mut page = self.open_times.take().unwrap_or_else(|| self.open_page());
        let added = page.push(column);
        if page.is_full() {
            self.write_columns(&page)?;
        } else {
            self.open_times = Some(page);
        }
        self.known_times.insert(hash, added);
        Ok(added)
    }

    fn add_values(&mut self, window: i64, values: &[f64]) -> Result<OpenColumn, TsdbError> {
        let mut column = Vec::new();
        column::put_values(&mut column, values);
        let mut page = self.open_values.remove(&window).unwrap_or_else(|| self.open_page());
        let added = page.push(column);
        if page.is_full() {
            self.write_columns(&page)?;
        } else {
            self.open_values.insert(window, page);
        }
        Ok(added)
    }

    fn open_page(&mut self) -> OpenPage {
        self.columns_pages.push(None);
        OpenPage { number: self.columns_pages.len() - 1, ..OpenPage::default() }
    }

    fn write_columns(&mut self, page: &OpenPage) -> Result<(), TsdbError> {
        let written = self.write_page(PageKind::Columns, &ColumnsPage::put(&page.columns))?;
        self.columns_pages[page.number] = Some(written);
        Ok(())
    }

    fn end_series_page(&mut self) -> Result<(), TsdbError> {
        let open = std::mem::take(&mut self.open_values);
        for page in open.into_values().chain(self.open_times.take()) {
            self.write_columns(&page)?;
        }
        let mut page = SeriesPage::default();
        let mut numbers = HashMap::new();
        for (labels, chunks) in std::mem::take(&mut self.open_series) {
            let chunks: Vec<ChunkRef> = chunks
                .iter()
                .map(|chunk| ChunkRef {
                    range: chunk.range,
                    len: chunk.len,
                    times: self.column_ref(chunk.times),
                    values: self.column_ref(chunk.values),
                })
                .collect();
            page.push(&labels, &chunks, &mut numbers);
        }
        self.open_series_bytes = 0;
        let written = self.write_page(PageKind::Series, &page.put())?;
        self.series_pages.push((page.len() as u32, written));
        Ok(())
    }

    fn column_ref(&self, column: OpenColumn) -> ColumnRef {
        let page = self.columns_pages[column.page].expect("open pages were written before");
        ColumnRef { page, slot: column.slot }
    }

    fn write_page(&mut self, kind: PageKind, raw: &[u8]) -> Result<PageRef, TsdbError> {
        let failed = |error| TsdbError::io("write", &self.temporary, error);
        let limit = self.sizes.most;
        let page = page::pack(kind, raw, limit).map_err(|fault| match fault {
            PageFault::TooLarge(bytes) => {
                TsdbError::TooLarge { what: "a page of a block", bytes, limit: u64::from(limit) }
            }
            PageFault::Pack(error) => failed(error),
            PageFault::Damaged(reason) => failed(std::io::Error::other(reason)),
        })?;
        self.file.write_all(&page).map_err(failed)?;
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
                varint::put_bytes(&mut entries, value.as_bytes());
                let mut bitmap = Vec::with_capacity(series.serialized_size());
                series.serialize_into(&mut bitmap).expect("memory takes every write");
                varint::put_bytes(&mut entries, &bitmap);
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

impl OpenPage {
    fn push(&mut self, column: Vec<u8>) -> OpenColumn {
        self.bytes += column.len();
        self.columns.push(column);
        OpenColumn { page: self.number, slot: self.columns.len() as u32 - 1 }
    }

    fn is_full(&self) -> bool {
        self.columns.len() >= COLUMNS_PER_PAGE || self.bytes >= COLUMN_BYTES_PER_PAGE
    }
}

fn window(timestamp: i64) -> i64 {
    timestamp.div_euclid(CHUNK_WINDOW_MS)
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
        let mut writer = BlockWriter::create(disk, dir, 0, (1, 1), 0)?;
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
