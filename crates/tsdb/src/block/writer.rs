//! Writes a block, series by series in the order of their labels.
//!
//! 1. A series' samples are cut into chunks at fixed instants. Values go to the open columns page of that chunk's
//!    window, so that one page holds many series over one window.
//! 2. Timestamps go to pages of their own, each distinct column once: series scraped together share one.
//! 3. When a page of series is full, the open pages are written, and then the page, which refers to them.
//! 4. At the end come a page for each label name, the table of contents, and a trailer that says where that is.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use muster_environment::{Disk, WriteFile};
use muster_series::{Labels, TimeRange};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_128;

use super::page::{self, ColumnsPage, PageKind, PageRef};
use super::reader::{TRAILER_LEN, VERSION, trailer};
use super::series_page::{ChunkRef, ColumnRef, SERIES_PER_PAGE, SeriesPage};
use super::{BlockMeta, CHUNK_WINDOW_MS};
use crate::TsdbError;
use crate::codec::column::{self, MAX_CHUNK_SAMPLES};
use crate::codec::varint;

/// A columns page is ended when it has this many columns or bytes, whatever comes first.
const COLUMNS_PER_PAGE: usize = 64;
const COLUMN_BYTES_PER_PAGE: usize = 256 << 10;

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
    open_series: Vec<(Labels, Vec<OpenChunk>)>,
    series_pages: Vec<PageRef>,
    postings: BTreeMap<Box<str>, BTreeMap<Box<str>, RoaringBitmap>>,
    finished: bool,
}

impl<'a> BlockWriter<'a> {
    /// Starts a block of one partition, made of the heads `first_head..=last_head`.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        dir: &Path,
        partition: i64,
        heads: (u64, u64),
    ) -> Result<Self, TsdbError> {
        let meta = BlockMeta {
            partition,
            first_head: heads.0,
            last_head: heads.1,
            range: TimeRange::new(i64::MAX, i64::MIN),
            series: 0,
            samples: 0,
            bytes: 0,
        };
        let temporary = dir.join(format!("{}.tmp", meta.file_name()));
        let file = disk
            .create(&temporary)
            .map_err(|error| TsdbError::io("create", &temporary, error))?;
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
            open_series: Vec::new(),
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
        self.open_series.push((labels.clone(), chunks));
        if self.open_series.len() == SERIES_PER_PAGE as usize {
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
        let mut page = self
            .open_values
            .remove(&window)
            .unwrap_or_else(|| self.open_page());
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
        OpenPage {
            number: self.columns_pages.len() - 1,
            ..OpenPage::default()
        }
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
        let written = self.write_page(PageKind::Series, &page.put())?;
        self.series_pages.push(written);
        Ok(())
    }

    fn column_ref(&self, column: OpenColumn) -> ColumnRef {
        let page = self.columns_pages[column.page].expect("open pages were written before");
        ColumnRef {
            page,
            slot: column.slot,
        }
    }

    fn write_page(&mut self, kind: PageKind, raw: &[u8]) -> Result<PageRef, TsdbError> {
        let page = page::pack(kind, raw).and_then(|page| {
            self.file.write_all(&page)?;
            Ok(PageRef {
                offset: self.offset,
                len: page.len() as u32,
            })
        });
        let page = page.map_err(|error| TsdbError::io("write", &self.temporary, error))?;
        self.offset += u64::from(page.len);
        Ok(page)
    }

    /// Completes the file, makes it durable and gives it its name; `None` if there was no series.
    pub(crate) fn finish(mut self) -> Result<Option<BlockMeta>, TsdbError> {
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
        self.series_pages
            .iter()
            .for_each(|page| page.put(&mut contents));
        varint::put(&mut contents, labels.len() as u64);
        for (name, page) in labels {
            varint::put_bytes(&mut contents, name.as_bytes());
            page.put(&mut contents);
        }
        let contents = self.write_page(PageKind::Contents, &contents)?;
        self.meta.bytes = self.offset + TRAILER_LEN as u64;
        let path = self.dir.join(self.meta.file_name());
        self.file
            .write_all(&trailer(contents, VERSION))
            .and_then(|()| self.file.sync_data())
            .and_then(|()| self.disk.rename(&self.temporary, &path))
            .and_then(|()| self.disk.sync_dir(&self.dir))
            .map_err(|error| TsdbError::io("write", &path, error))?;
        self.finished = true;
        Ok(Some(self.meta.clone()))
    }

    fn write_labels(&mut self) -> Result<Vec<(Box<str>, PageRef)>, TsdbError> {
        let mut labels = Vec::new();
        for (name, values) in std::mem::take(&mut self.postings) {
            let mut raw = Vec::new();
            varint::put(&mut raw, values.len() as u64);
            for (value, series) in values {
                varint::put_bytes(&mut raw, value.as_bytes());
                let mut bitmap = Vec::with_capacity(series.serialized_size());
                series
                    .serialize_into(&mut bitmap)
                    .expect("memory takes every write");
                varint::put_bytes(&mut raw, &bitmap);
            }
            labels.push((name, self.write_page(PageKind::Label, &raw)?));
        }
        Ok(labels)
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
        OpenColumn {
            page: self.number,
            slot: self.columns.len() as u32 - 1,
        }
    }

    fn is_full(&self) -> bool {
        self.columns.len() >= COLUMNS_PER_PAGE || self.bytes >= COLUMN_BYTES_PER_PAGE
    }
}

fn window(timestamp: i64) -> i64 {
    timestamp.div_euclid(CHUNK_WINDOW_MS)
}
