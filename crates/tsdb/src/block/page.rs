//! Pages: the unit in which a block is written, checked, read and cached.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use parking_lot::Mutex;

use super::label_page::LabelPage;
use super::series_page::SeriesPage;
use crate::codec::varint::{self, Malformed, Reader};

/// Length of a page's first bytes (docs/format/block.md, "Page").
pub(super) const PAGE_HEADER_LEN: usize = 9;
/// Longest page, packed or not; a longer one is neither written nor read.
pub(super) const MAX_PAGE_LEN: u32 = 256 << 20;
/// A page that claims to be longer is unpacked piece by piece, so that the claim alone takes no memory.
const TRUSTED_PAGE_LEN: u32 = 4 << 20;

/// What a page holds (docs/format/block.md, "Page").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum PageKind {
    Columns = 1,
    Series = 2,
    Label = 3,
    Contents = 4,
    /// Columns that are small already; only such a page is not compressed.
    PackedColumns = 5,
}

/// Where a page is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PageRef {
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl PageRef {
    /// The first byte after the page.
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        varint::put(out, self.offset);
        varint::put(out, u64::from(self.len));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { offset: reader.varint()?, len: reader.index()? })
    }
}

/// Why a page was not made, or cannot be used.
#[derive(Debug)]
pub(super) enum PageFault {
    /// It does not hold what was written.
    Damaged(&'static str),
    /// It is whole, and has so many bytes that no memory is given to it.
    TooLarge(u64),
    /// It could not be packed.
    Pack(io::Error),
}

/// Packs pages at one level of zstd.
pub(super) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    pub(super) fn new(level: i32) -> io::Result<Self> {
        Ok(Self(zstd::bulk::Compressor::new(level)?))
    }

    /// The bytes of a page on disk, which has at most `limit` bytes, packed or not.
    pub(super) fn pack(
        &mut self,
        kind: PageKind,
        raw: &[u8],
        limit: u32,
    ) -> Result<Vec<u8>, PageFault> {
        let bounded = |len: usize| match u32::try_from(len) {
            Ok(short) if short <= limit => Ok(()),
            _ => Err(PageFault::TooLarge(len as u64)),
        };
        bounded(raw.len())?;
        let packed = match kind {
            PageKind::PackedColumns => Cow::Borrowed(raw),
            _ => Cow::Owned(self.0.compress(raw).map_err(PageFault::Pack)?),
        };
        bounded(PAGE_HEADER_LEN + packed.len())?;
        let mut page = Vec::with_capacity(PAGE_HEADER_LEN + packed.len());
        page.extend_from_slice(&[0; 4]);
        page.push(kind as u8);
        page.extend_from_slice(&(raw.len() as u32).to_le_bytes());
        page.extend_from_slice(&packed);
        let crc = crc32fast::hash(&page[4..]);
        page[..4].copy_from_slice(&crc.to_le_bytes());
        Ok(page)
    }
}

/// What [`Packer::pack`] was given, or what is wrong with the page.
pub(super) fn unpack(kind: PageKind, page: &[u8]) -> Result<Vec<u8>, PageFault> {
    let mut reader = Reader::new(page);
    let mut header = || -> Result<(u32, u8, u32), Malformed> {
        let crc = u32::from_le_bytes(reader.array()?);
        Ok((crc, reader.byte()?, u32::from_le_bytes(reader.array()?)))
    };
    let damaged = PageFault::Damaged;
    let (crc, found_kind, len) = header().map_err(|Malformed| damaged("a page is too short"))?;
    if crc != crc32fast::hash(&page[4..]) {
        return Err(damaged("a page does not match its checksum"));
    }
    if found_kind != kind as u8 {
        return Err(damaged("a page is not of the kind that it should be"));
    }
    if len > MAX_PAGE_LEN {
        return Err(PageFault::TooLarge(u64::from(len)));
    }
    let body = &page[PAGE_HEADER_LEN..];
    let raw = match kind {
        PageKind::PackedColumns => Ok(body.to_vec()),
        _ if len <= TRUSTED_PAGE_LEN => zstd::bulk::decompress(body, len as usize),
        _ => decompress_long(body, u64::from(len)),
    };
    match raw {
        Ok(raw) if raw.len() == len as usize => Ok(raw),
        _ => Err(damaged("a page does not unpack")),
    }
}

/// Unpacks at most a byte more than `len`.
fn decompress_long(body: &[u8], len: u64) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    zstd::stream::read::Decoder::with_buffer(body)?.take(len + 1).read_to_end(&mut raw)?;
    Ok(raw)
}

/// Many columns packed together: timestamps or values of chunks.
#[derive(Debug)]
pub(super) struct ColumnsPage {
    raw: Vec<u8>,
    /// Where the first column starts, and where each ends.
    bounds: Vec<u32>,
}

impl ColumnsPage {
    pub(super) fn put(columns: &[Vec<u8>]) -> Vec<u8> {
        let mut raw = Vec::with_capacity(columns.iter().map(|c| c.len() + 3).sum());
        varint::put(&mut raw, columns.len() as u64);
        for column in columns {
            varint::put(&mut raw, column.len() as u64);
        }
        for column in columns {
            raw.extend_from_slice(column);
        }
        raw
    }

    pub(super) fn read(raw: Vec<u8>) -> Result<Self, Malformed> {
        let mut reader = Reader::new(&raw);
        let count = reader.count()?;
        let mut bounds = Vec::with_capacity(count + 1);
        bounds.push(0);
        let mut end = 0_u32;
        for _ in 0..count {
            end = end.checked_add(reader.index()?).ok_or(Malformed)?;
            bounds.push(end);
        }
        if reader.len() != end as usize {
            return Err(Malformed);
        }
        let start = raw.len() as u32 - end;
        for bound in &mut bounds {
            *bound += start;
        }
        Ok(Self { raw, bounds })
    }

    pub(super) fn column(&self, slot: u32) -> Result<&[u8], Malformed> {
        let slot = slot as usize;
        let end = *self.bounds.get(slot + 1).ok_or(Malformed)?;
        Ok(&self.raw[self.bounds[slot] as usize..end as usize])
    }
}

/// A page that was read, ready for use.
#[derive(Debug, Clone)]
pub(super) enum CachedPage {
    Columns(Arc<ColumnsPage>),
    Series(Arc<SeriesPage>),
    Label(Arc<LabelPage>),
}

impl CachedPage {
    /// Bytes of memory, about.
    fn weight(&self) -> usize {
        let own = match self {
            Self::Columns(page) => page.raw.len() + page.bounds.len() * 4,
            Self::Series(page) => page.weight(),
            Self::Label(page) => page.weight(),
        };
        own + 64
    }
}

/// Number of a block within this process, and where in it the page is.
type PageKey = (u64, u64);

/// The pages read lately, up to a number of bytes.
///
/// Two generations: a page that is used comes into the young one; when that has half of the room, the old
/// generation is forgotten and the young one takes its place. So what is used stays, at the cost of one map look-up.
#[derive(Debug)]
pub(crate) struct PageCache {
    half_bytes: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<PageKey, (CachedPage, usize)>,
    old: HashMap<PageKey, (CachedPage, usize)>,
    young_bytes: usize,
    old_bytes: usize,
}

impl PageCache {
    /// A cache that holds at most about this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { half_bytes: bytes / 2, generations: Mutex::default() }
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        let generations = self.generations.lock();
        generations.young_bytes + generations.old_bytes
    }

    pub(super) fn get(&self, key: PageKey) -> Option<CachedPage> {
        let mut generations = self.generations.lock();
        if let Some((page, _)) = generations.young.get(&key) {
            return Some(page.clone());
        }
        let (page, weight) = generations.old.remove(&key)?;
        generations.old_bytes -= weight;
        generations.keep(self.half_bytes, key, page.clone(), weight);
        Some(page)
    }

    pub(super) fn insert(&self, key: PageKey, page: CachedPage) {
        let weight = page.weight();
        if weight <= self.half_bytes {
            self.generations.lock().keep(self.half_bytes, key, page, weight);
        }
    }
}

impl Generations {
    fn keep(&mut self, half_bytes: usize, key: PageKey, page: CachedPage, weight: usize) {
        if self.young_bytes + weight > half_bytes {
            self.old = std::mem::take(&mut self.young);
            self.old_bytes = std::mem::take(&mut self.young_bytes);
        }
        self.young_bytes += weight;
        if let Some((_, replaced)) = self.young.insert(key, (page, weight)) {
            self.young_bytes -= replaced;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(len: usize) -> CachedPage {
        CachedPage::Columns(Arc::new(ColumnsPage { raw: vec![0; len], bounds: Vec::new() }))
    }

    #[test]
    fn the_cache_keeps_what_is_used_and_stays_within_its_bound() {
        let cache = PageCache::new(10_000);
        cache.insert((0, 0), page(500));
        for offset in 1..100 {
            cache.insert((0, offset), page(500));
            assert!(cache.get((0, 0)).is_some(), "page 0 after {offset}");
            assert!(cache.bytes() <= 10_000);
        }
        assert!(cache.get((0, 1)).is_none());
        cache.insert((1, 0), page(20_000));
        assert!(cache.get((1, 0)).is_none());
    }

    #[test]
    fn a_page_over_the_limit_is_not_made_and_is_no_damage_when_read() {
        let mut packer = Packer::new(1).unwrap();
        let too_large =
            |made: Result<Vec<u8>, PageFault>| matches!(made, Err(PageFault::TooLarge(_)));
        assert!(!too_large(packer.pack(PageKind::Label, &[0; 100], 100)));
        assert!(too_large(packer.pack(PageKind::Label, &[0; 101], 100)));
        let page = packer.pack(PageKind::Label, &[0; 100], 100).unwrap();
        assert!(too_large(unpack(PageKind::Label, &claiming(page, MAX_PAGE_LEN + 1))));
    }

    /// The page with another length in its header.
    fn claiming(mut page: Vec<u8>, len: u32) -> Vec<u8> {
        page[5..9].copy_from_slice(&len.to_le_bytes());
        let crc = crc32fast::hash(&page[4..]);
        page[..4].copy_from_slice(&crc.to_le_bytes());
        page
    }

    #[test]
    fn a_page_has_the_length_that_it_claims() {
        let mut packer = Packer::new(1).unwrap();
        for kind in [PageKind::Series, PageKind::PackedColumns] {
            for len in [1, 9_999, 10_001, TRUSTED_PAGE_LEN + 1] {
                let page = packer.pack(kind, &[7; 10_000], MAX_PAGE_LEN).unwrap();
                let unpacked = unpack(kind, &claiming(page, len));
                assert!(matches!(unpacked, Err(PageFault::Damaged(_))), "{kind:?} {len}");
            }
        }
        let long = vec![7; TRUSTED_PAGE_LEN as usize + 1];
        let page = packer.pack(PageKind::Series, &long, MAX_PAGE_LEN).unwrap();
        assert!(matches!(unpack(PageKind::Series, &page), Ok(raw) if raw == long));
    }

    #[test]
    fn every_flipped_byte_of_a_page_is_noticed() {
        let raw = ColumnsPage::put(&[b"abc".to_vec(), Vec::new(), b"d".to_vec()]);
        for kind in [PageKind::Columns, PageKind::PackedColumns] {
            let packed = Packer::new(1).unwrap().pack(kind, &raw, MAX_PAGE_LEN).unwrap();
            let columns = ColumnsPage::read(unpack(kind, &packed).unwrap()).unwrap();
            assert_eq!(columns.column(0), Ok(&b"abc"[..]));
            assert_eq!(columns.column(1), Ok(&b""[..]));
            assert_eq!(columns.column(2), Ok(&b"d"[..]));
            assert_eq!(columns.column(3), Err(Malformed));
            assert!(unpack(PageKind::Label, &packed).is_err());
            for at in 0..packed.len() {
                let mut damaged = packed.clone();
                damaged[at] ^= 1;
                assert!(unpack(kind, &damaged).is_err());
            }
        }
    }
}
