//! Records of the log: framing with checksums, series, samples.

use muster_series::Labels;

use super::{MAGIC, MAX_RECORD_LEN, RECORD_HEADER_LEN, SEGMENT_HEADER_LEN, VERSION};
use crate::TsdbError;
use crate::codec::stream::ValueCodec;
use crate::codec::varint::{self, Malformed, Reader};

/// Kinds of record (docs/format/wal.md, "Record").
const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
/// Set in the kind where the payload is packed by zstd.
const PACKED: u8 = 0x80;

/// Payloads at least this long are packed.
const PACK_FROM: usize = 128;
const ZSTD_LEVEL: i32 = 1;
/// A record of series is ended when it has this many bytes.
const RECORD_BYTES: usize = 1 << 20;

/// The samples of one scrape, by series number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResolvedGroup {
    pub(crate) timestamp: i64,
    pub(crate) samples: Vec<(u32, f64)>,
}

/// What a record says.
#[derive(Debug)]
pub(crate) enum Record {
    Series(Vec<(u32, Labels)>),
    Samples(Vec<ResolvedGroup>),
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
pub(crate) fn read_segment_header(header: [u8; 16]) -> Result<u32, Malformed> {
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

/// Length of the payload and its checksum, from the first bytes of a record.
pub(crate) fn read_record_header(header: [u8; 12]) -> Result<(u64, u32), Malformed> {
    let mut reader = Reader::new(&header);
    let len = u64::from(u32::from_le_bytes(reader.array()?));
    let payload_crc = u32::from_le_bytes(reader.array()?);
    let header_crc = u32::from_le_bytes(reader.array()?);
    if header_crc == crc32fast::hash(&header[..8]) && len <= MAX_RECORD_LEN && len > 0 {
        Ok((len, payload_crc))
    } else {
        Err(Malformed)
    }
}

/// Appends records that name series, each ended when it has about [`RECORD_BYTES`]. An error, after which `out` is of no use, if
/// one series is too long for a record.
pub(crate) fn put_series<'a, L>(
    out: &mut Vec<u8>,
    series: impl Iterator<Item = (u32, L)>,
) -> Result<(), TsdbError>
where
    L: ExactSizeIterator<Item = (&'a str, &'a str)>,
{
    let (mut count, mut named) = (0_u64, Vec::new());
    for (id, pairs) in series {
        varint::put(&mut named, u64::from(id));
        varint::put(&mut named, pairs.len() as u64);
        for (name, value) in pairs {
            varint::put_bytes(&mut named, name.as_bytes());
            varint::put_bytes(&mut named, value.as_bytes());
        }
        count += 1;
        if named.len() >= RECORD_BYTES {
            end_series(out, count, &named)?;
            (count, named) = (0, Vec::new());
        }
    }
    if count > 0 {
        end_series(out, count, &named)?;
    }
    Ok(())
}

fn end_series(out: &mut Vec<u8>, count: u64, named: &[u8]) -> Result<(), TsdbError> {
    let mut body = Vec::with_capacity(named.len() + 10);
    varint::put(&mut body, count);
    body.extend_from_slice(named);
    put_record(out, SERIES, &body)
}

/// Appends a record of samples: for each scrape the change of the timestamp, then for each sample the change of
/// the series number, then the values. An error if they are too many for a record.
pub(crate) fn put_samples<'a>(
    out: &mut Vec<u8>,
    groups: impl ExactSizeIterator<Item = &'a ResolvedGroup>,
) -> Result<(), TsdbError> {
    let mut body = Vec::new();
    let mut values = Vec::new();
    let mut codec = ValueCodec::default();
    varint::put(&mut body, groups.len() as u64);
    let mut previous_timestamp = 0_i64;
    for group in groups {
        varint::put_signed(&mut body, group.timestamp.wrapping_sub(previous_timestamp));
        previous_timestamp = group.timestamp;
        varint::put(&mut body, group.samples.len() as u64);
        let mut previous_id = 0_i64;
        for &(id, value) in &group.samples {
            varint::put_signed(&mut body, i64::from(id) - previous_id);
            previous_id = i64::from(id);
            codec.put(&mut values, value);
        }
    }
    body.extend_from_slice(&values);
    put_record(out, SAMPLES, &body)
}

/// A reader takes a longer record for damage, so none is ever written.
fn put_record(out: &mut Vec<u8>, kind: u8, body: &[u8]) -> Result<(), TsdbError> {
    let bytes = body.len() as u64;
    if bytes >= MAX_RECORD_LEN {
        let (what, limit) = ("a record of the log", MAX_RECORD_LEN);
        return Err(TsdbError::TooLarge { what, bytes, limit });
    }
    let packed = (body.len() >= PACK_FROM)
        .then(|| zstd::bulk::compress(body, ZSTD_LEVEL).ok())
        .flatten()
        .filter(|packed| packed.len() + 5 < body.len());
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEADER_LEN as usize]);
    if let Some(packed) = packed {
        out.push(kind | PACKED);
        varint::put(out, body.len() as u64);
        out.extend_from_slice(&packed);
    } else {
        out.push(kind);
        out.extend_from_slice(body);
    }
    let payload_start = start + RECORD_HEADER_LEN as usize;
    let len = (out.len() - payload_start) as u32;
    let crc = crc32fast::hash(&out[payload_start..]);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    let header_crc = crc32fast::hash(&out[start..start + 8]);
    out[start + 8..start + 12].copy_from_slice(&header_crc.to_le_bytes());
    Ok(())
}

/// Reads a payload whose checksum was right.
pub(crate) fn read_payload(payload: &[u8]) -> Result<Record, Malformed> {
    let mut reader = Reader::new(payload);
    let kind = reader.byte()?;
    if kind & PACKED == 0 {
        return read_body(kind, reader);
    }
    let len = reader.varint()?;
    if len > MAX_RECORD_LEN {
        return Err(Malformed);
    }
    let packed = &payload[payload.len() - reader.len()..];
    let body = zstd::bulk::decompress(packed, len as usize).map_err(|_| Malformed)?;
    read_body(kind & !PACKED, Reader::new(&body))
}

fn read_body(kind: u8, reader: Reader<'_>) -> Result<Record, Malformed> {
    match kind {
        SERIES => read_series(reader).map(Record::Series),
        SAMPLES => read_samples(reader).map(Record::Samples),
        _ => Err(Malformed),
    }
}

fn read_series(mut reader: Reader<'_>) -> Result<Vec<(u32, Labels)>, Malformed> {
    let mut series = Vec::new();
    for _ in 0..reader.count()? {
        let id = reader.index()?;
        let mut pairs = Vec::new();
        for _ in 0..reader.count()? {
            pairs.push((reader.text()?, reader.text()?));
        }
        series.push((id, Labels::from_pairs(pairs).map_err(|_| Malformed)?));
    }
    Ok(series)
}

fn read_samples(mut reader: Reader<'_>) -> Result<Vec<ResolvedGroup>, Malformed> {
    let mut groups = Vec::new();
    let mut timestamp = 0_i64;
    for _ in 0..reader.count()? {
        timestamp = timestamp.wrapping_add(reader.signed()?);
        let count = reader.count()?;
        let mut samples = Vec::with_capacity(count);
        let mut id = 0_i64;
        for _ in 0..count {
            id = id.wrapping_add(reader.signed()?);
            samples.push((u32::try_from(id).map_err(|_| Malformed)?, 0.0));
        }
        groups.push(ResolvedGroup { timestamp, samples });
    }
    let mut codec = ValueCodec::default();
    for group in &mut groups {
        for (_, value) in &mut group.samples {
            *value = codec.next(&mut reader)?;
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payload(record: &[u8]) -> &[u8] {
        let header = record[..12].try_into().unwrap();
        let (len, crc) = read_record_header(header).unwrap();
        assert_eq!(len as usize, record.len() - 12);
        assert_eq!(crc, crc32fast::hash(&record[12..]));
        &record[12..]
    }

    proptest! {
        #[test]
        fn samples_come_back(groups in proptest::collection::vec(
            (any::<i64>(), proptest::collection::vec((any::<u32>(), -1e6..1e6), 0..60)), 0..5))
        {
            let groups: Vec<ResolvedGroup> = groups
                .into_iter()
                .map(|(timestamp, samples)| ResolvedGroup { timestamp, samples })
                .collect();
            let mut record = Vec::new();
            put_samples(&mut record, groups.iter()).unwrap();
            let Ok(Record::Samples(back)) = read_payload(payload(&record)) else { panic!() };
            prop_assert_eq!(back, groups);
        }

        #[test]
        fn any_payload_is_read_without_panic(bytes: Vec<u8>, kind in 0_u8..3) {
            let _ = read_payload(&bytes);
            let _ = read_payload(&[&[kind], &bytes[..]].concat());
        }
    }

    #[test]
    fn series_come_back() {
        let series: Vec<(u32, Labels)> = (0..100)
            .map(|id| (id, Labels::from_pairs([("host", format!("web-{id}"))]).unwrap()))
            .collect();
        let mut record = Vec::new();
        put_series(&mut record, series.iter().map(|(id, labels)| (*id, labels.iter()))).unwrap();
        let Ok(Record::Series(back)) = read_payload(payload(&record)) else { panic!() };
        assert_eq!(back, series);
        assert!(record.len() < 900, "packed: {}", record.len());
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        let name = |value: &str| Labels::from_pairs([("host", value)]).unwrap();
        let (long, short) = (name(&"x".repeat(MAX_RECORD_LEN as usize)), name("x"));
        let mut out = Vec::new();
        let error = put_series(&mut out, [(1, short.iter()), (2, long.iter())].into_iter());
        assert!(matches!(error, Err(TsdbError::TooLarge { .. })));
    }

    #[test]
    fn a_damaged_header_is_told() {
        let mut record = Vec::new();
        put_samples(&mut record, [].iter()).unwrap();
        for at in 0..12 {
            let mut header: [u8; 12] = record[..12].try_into().unwrap();
            header[at] ^= 4;
            assert_eq!(read_record_header(header), Err(Malformed));
        }
        assert_eq!(read_segment_header(segment_header()), Ok(VERSION));
    }
}
