//! Records of the log: framing with checksums, and the names of series.

use muster_series::Labels;
use zstd::bulk::Compressor;

use super::{MAGIC, MAX_RECORD_LEN, RECORD_HEADER_LEN, SEGMENT_HEADER_LEN, VERSION};
use crate::TsdbError;
use crate::codec::varint::{self, Malformed, Reader};

/// Bits of a record's first number (docs/format/wal.md, "Record").
const LEN_BITS: u32 = 28;
const SERIES: u32 = 1;
const SAMPLES: u32 = 2;
const KIND_BITS: u32 = 3;
const STARTS_STRETCH: u32 = 4;
const PACKED: u32 = 8;

/// Bodies at least this long are packed.
const PACK_FROM: usize = 128;
const ZSTD_LEVEL: i32 = 1;
/// A record of series is ended when it has this many bytes.
const RECORD_BYTES: usize = 1 << 20;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Series,
    Samples {
        /// Whether values are told anew from here on.
        starts_stretch: bool,
    },
}

impl Kind {
    fn bits(self) -> u32 {
        match self {
            Self::Series => SERIES,
            Self::Samples { starts_stretch: false } => SAMPLES,
            Self::Samples { starts_stretch: true } => SAMPLES | STARTS_STRETCH,
        }
    }

    fn from_bits(bits: u32) -> Option<Self> {
        let starts_stretch = bits & STARTS_STRETCH != 0;
        match bits & KIND_BITS {
            SERIES if !starts_stretch => Some(Self::Series),
            SAMPLES => Some(Self::Samples { starts_stretch }),
            _ => None,
        }
    }
}

/// The first bytes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    is_packed: bool,
    /// Bytes of the payload.
    pub(super) len: u64,
    /// Its checksum.
    pub(super) crc: u32,
}

pub(crate) fn segment_header() -> [u8; SEGMENT_HEADER_LEN as usize] {
    let mut header = [0; SEGMENT_HEADER_LEN as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The version that a segment's first bytes tell.
pub(super) fn read_segment_header(header: [u8; 16]) -> Result<u32, Malformed> {
    let mut reader = Reader::new(&header);
    let magic: [u8; 8] = reader.array()?;
    let version = u32::from_le_bytes(reader.array()?);
    let crc = u32::from_le_bytes(reader.array()?);
    if magic == MAGIC && crc == crc32fast::hash(&header[..12]) {
        Ok(version)
    } else {
        Err(Malformed)
    }
}

/// What a record's first bytes tell.
pub(super) fn read_record_header(header: [u8; 12]) -> Result<RecordHeader, Malformed> {
    let mut reader = Reader::new(&header);
    let first = u32::from_le_bytes(reader.array()?);
    let crc = u32::from_le_bytes(reader.array()?);
    let header_crc = u32::from_le_bytes(reader.array()?);
    let bits = first >> LEN_BITS;
    let len = u64::from(first & ((1 << LEN_BITS) - 1));
    let kind = Kind::from_bits(bits).ok_or(Malformed)?;
    if header_crc == crc32fast::hash(&header[..8]) && len <= MAX_RECORD_LEN && len > 0 {
        Ok(RecordHeader { kind, is_packed: bits & PACKED != 0, len, crc })
    } else {
        Err(Malformed)
    }
}

/// Appends records to a buffer; it keeps what packing needs from one to the next.
pub(super) struct RecordWriter {
    compressor: Option<Compressor<'static>>,
    packed: Vec<u8>,
}

impl RecordWriter {
    pub(super) fn new() -> Self {
        // Without it records are not packed, and nothing else is different.
        Self { compressor: Compressor::new(ZSTD_LEVEL).ok(), packed: Vec::new() }
    }

    /// Appends a record. An error if it is longer than a reader takes.
    pub(super) fn put(
        &mut self,
        out: &mut Vec<u8>,
        kind: Kind,
        body: &[u8],
    ) -> Result<(), TsdbError> {
        let bytes = body.len() as u64;
        if bytes >= MAX_RECORD_LEN {
            let (what, limit) = ("a record of the log", MAX_RECORD_LEN);
            return Err(TsdbError::TooLarge { what, bytes, limit });
        }
        let start = out.len();
        out.extend_from_slice(&[0; RECORD_HEADER_LEN as usize]);
        let is_packed = body.len() >= PACK_FROM && self.pack(body);
        if is_packed {
            varint::put(out, bytes);
            out.extend_from_slice(&self.packed);
        } else {
            out.extend_from_slice(body);
        }
        let payload_start = start + RECORD_HEADER_LEN as usize;
        let len = (out.len() - payload_start) as u32;
        let crc = crc32fast::hash(&out[payload_start..]);
        let bits = kind.bits() | if is_packed { PACKED } else { 0 };
        out[start..start + 4].copy_from_slice(&(len | bits << LEN_BITS).to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        let header_crc = crc32fast::hash(&out[start..start + 8]);
        out[start + 8..start + 12].copy_from_slice(&header_crc.to_le_bytes());
        Ok(())
    }

    /// Packs a body into `packed`; says whether that makes it shorter.
    fn pack(&mut self, body: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else {
            return false;
        };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(body.len()));
        let packed = compressor.compress_to_buffer(body, &mut self.packed);
        packed.is_ok() && self.packed.len() + 5 < body.len()
    }

    /// Appends records that name series, each ended when it has about [`RECORD_BYTES`]. An error, after which `out` is of no use, if
    /// one series is too long for a record.
    pub(super) fn put_series<'a, L>(
        &mut self,
        out: &mut Vec<u8>,
        series: impl Iterator<Item = (u32, L)>,
    ) -> Result<(), TsdbError>
    where
        L: ExactSizeIterator<Item = (&'a str, &'a str)>,
    {
        let mut body = Vec::new();
        for (id, pairs) in series {
            varint::put(&mut body, u64::from(id));
            varint::put(&mut body, pairs.len() as u64);
            for (name, value) in pairs {
                varint::put_bytes(&mut body, name.as_bytes());
                varint::put_bytes(&mut body, value.as_bytes());
            }
            if body.len() >= RECORD_BYTES {
                self.put(out, Kind::Series, &body)?;
                body.clear();
            }
        }
        if body.is_empty() { Ok(()) } else { self.put(out, Kind::Series, &body) }
    }
}

/// The body of a record whose payload had the right checksum.
pub(super) fn read_body<'a>(
    header: &RecordHeader,
    payload: &'a [u8],
    unpacked: &'a mut Vec<u8>,
) -> Result<&'a [u8], Malformed> {
    if !header.is_packed {
        return Ok(payload);
    }
    let mut reader = Reader::new(payload);
    let len = reader.varint()?;
    if len > MAX_RECORD_LEN {
        return Err(Malformed);
    }
    let packed = reader.take(reader.len())?;
    *unpacked = zstd::bulk::decompress(packed, len as usize).map_err(|_| Malformed)?;
    Ok(unpacked)
}

/// Series and their numbers, as a record's body tells them.
pub(super) fn read_series(body: &[u8]) -> Result<Vec<(u32, Labels)>, Malformed> {
    let mut reader = Reader::new(body);
    let mut series = Vec::new();
    let mut pairs = Vec::new();
    while !reader.is_empty() {
        let id = reader.index()?;
        for _ in 0..reader.count()? {
            pairs.push((reader.text()?, reader.text()?));
        }
        series.push((id, Labels::from_pairs(pairs.drain(..)).map_err(|_| Malformed)?));
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A record as it is read.
    #[track_caller]
    fn read(record: &[u8]) -> (Kind, Vec<u8>) {
        let header = read_record_header(record[..12].try_into().unwrap()).unwrap();
        assert_eq!(header.len as usize, record.len() - 12);
        assert_eq!(header.crc, crc32fast::hash(&record[12..]));
        let mut unpacked = Vec::new();
        (header.kind, read_body(&header, &record[12..], &mut unpacked).unwrap().to_vec())
    }

    proptest! {
        #[test]
        fn bodies_come_back(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 1..600),
                proptest::collection::vec(0_u8..2, 1..600),
            ],
            starts_stretch: bool,
        ) {
            let mut record = Vec::new();
            let kind = Kind::Samples { starts_stretch };
            RecordWriter::new().put(&mut record, kind, &body).unwrap();
            prop_assert_eq!(read(&record), (kind, body));
        }

        #[test]
        fn any_payload_is_read_without_panic(bytes: Vec<u8>, is_packed: bool) {
            let header = RecordHeader { kind: Kind::Series, is_packed, len: 1, crc: 0 };
            if let Ok(body) = read_body(&header, &bytes, &mut Vec::new()) {
                let _ = read_series(body);
            }
        }
    }

    #[test]
    fn series_come_back() {
        let series: Vec<(u32, Labels)> = (0..100)
            .map(|id| (id, Labels::from_pairs([("host", format!("web-{id}"))]).unwrap()))
            .collect();
        let mut record = Vec::new();
        let named = series.iter().map(|(id, labels)| (*id, labels.iter()));
        RecordWriter::new().put_series(&mut record, named).unwrap();
        let (kind, body) = read(&record);
        assert_eq!((kind, read_series(&body)), (Kind::Series, Ok(series)));
        assert!(record.len() < 900, "packed: {}", record.len());
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        let name = |value: &str| Labels::from_pairs([("host", value)]).unwrap();
        let (long, short) = (name(&"x".repeat(MAX_RECORD_LEN as usize)), name("x"));
        let named = [(1, short.iter()), (2, long.iter())].into_iter();
        let error = RecordWriter::new().put_series(&mut Vec::new(), named);
        assert!(matches!(error, Err(TsdbError::TooLarge { .. })));
    }

    #[test]
    fn a_damaged_header_is_told() {
        let mut record = Vec::new();
        RecordWriter::new().put(&mut record, Kind::Series, b"x").unwrap();
        for at in 0..12 {
            let mut header: [u8; 12] = record[..12].try_into().unwrap();
            header[at] ^= 4;
            assert_eq!(read_record_header(header), Err(Malformed));
        }
        assert_eq!(read_segment_header(segment_header()), Ok(VERSION));
    }
}
