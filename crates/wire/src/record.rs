//! Batches in a file: the same encoding as on a connection, for whoever keeps batches until they can be sent.
//!
//! Records build upon each other like the frames of a connection: read all of a file from its start,
//! in order. The file is to guard each record with a checksum of its own.

use muster_series::{Labels, is_stale_marker};

use crate::batch_codec::{BatchDecoder, BatchEncoder};
use crate::varint::{self, Reader};
use crate::{Group, Limits, WireError, frame};

/// What a record holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Series whose numbers this record and later ones use.
    pub new_series: Vec<(u32, Labels)>,
    /// Whether the batch was urgent.
    pub urgent: bool,
    /// The samples.
    pub groups: Vec<Group>,
}

/// Writes the records of one file.
#[derive(Debug, Default)]
pub struct RecordEncoder {
    batches: BatchEncoder,
    open: OpenRecord,
}

/// A record to which groups are still added.
#[derive(Debug, Default)]
struct OpenRecord {
    definitions: Vec<u8>,
    groups: Vec<u8>,
    /// Series that end in it. Their numbers are free after it: all of a record is named before its samples.
    ended: Vec<u32>,
}

impl RecordEncoder {
    /// For a new file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next record. Samples of series without labels are left out.
    pub fn encode(
        &mut self,
        urgent: bool,
        groups: &[Group],
        labels_of: impl Fn(u32) -> Option<Labels>,
    ) -> Result<Vec<u8>, WireError> {
        let batch = self.batches.encode(groups, labels_of, &Limits::default())?;
        Ok(frame::encode(&payload(urgent, &batch.definitions.concat(), &batch.groups)))
    }

    /// Adds a group to the record that [`RecordEncoder::seal`] ends. Samples of series without labels are left out.
    /// `labels_of` is asked once a series.
    pub fn append(&mut self, group: &Group, labels_of: impl Fn(u32) -> Option<Labels>) {
        let OpenRecord { definitions, groups, ended } = &mut self.open;
        self.batches.append(group, labels_of, &Limits::default(), definitions, groups);
        ended.extend(group.samples.iter().filter(|(_, v)| is_stale_marker(*v)).map(|(own, _)| own));
    }

    /// The record with all groups that were added since the last one.
    pub fn seal(&mut self) -> Vec<u8> {
        let OpenRecord { definitions, groups, ended } = &mut self.open;
        let record = frame::encode(&payload(false, definitions, groups));
        definitions.clear();
        groups.clear();
        self.batches.free(ended.drain(..));
        record
    }
}

fn payload(urgent: bool, definitions: &[u8], groups: &[u8]) -> Vec<u8> {
    let mut payload = vec![u8::from(urgent)];
    varint::put(&mut payload, definitions.len() as u64);
    payload.extend_from_slice(definitions);
    payload.extend_from_slice(groups);
    payload
}

/// Reads the records of one file.
#[derive(Debug, Default)]
pub struct RecordDecoder {
    batches: BatchDecoder,
}

impl RecordDecoder {
    /// For the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next record. After an error the rest of the file cannot be read.
    pub fn decode(&mut self, record: &[u8]) -> Result<Record, WireError> {
        let limits = Limits::default();
        // Names at their longest and samples at their most fit into no frame, but into this.
        let payload = frame::decode(record, limits.frame_bytes * 16)?;
        let mut reader = Reader::new(&payload, "record");
        let urgent = reader.byte()? != 0;
        let length = reader.count()?;
        let new_series = self.batches.define(reader.take(length)?, &limits)?;
        let groups = self.batches.decode(reader.rest(), &limits)?;
        Ok(Record { new_series, urgent, groups })
    }
}

#[cfg(test)]
mod tests {
    use muster_series::stale_marker;
    use proptest::prelude::*;

    use super::*;

    fn labels(own: u32) -> Option<Labels> {
        Labels::from_pairs([("__name__".to_owned(), format!("s{own}"))]).ok()
    }

    #[test]
    fn records_build_upon_each_other() {
        let (mut encoder, mut decoder) = (RecordEncoder::new(), RecordDecoder::new());
        let group =
            |timestamp_ms, value| Group { timestamp_ms, samples: vec![(7, value), (9, 2.0)] };
        let first = encoder.encode(true, &[group(5, 1.0)], labels).unwrap();
        let second = encoder.encode(false, &[group(6, 1.5), group(7, 1.0)], labels).unwrap();
        let first = decoder.decode(&first).unwrap();
        assert_eq!(first.new_series.len(), 2);
        assert!(first.urgent);
        let second = decoder.decode(&second).unwrap();
        assert!(second.new_series.is_empty() && !second.urgent);
        assert_eq!(second.groups[0], Group { timestamp_ms: 6, samples: vec![(0, 1.5), (1, 2.0)] });
        assert_eq!(second.groups[1].samples[0], (0, 1.0));
    }

    #[test]
    fn groups_can_be_added_one_by_one() {
        let (mut encoder, mut decoder) = (RecordEncoder::new(), RecordDecoder::new());
        let group = |timestamp_ms, samples: &[(u32, f64)]| Group {
            timestamp_ms,
            samples: samples.to_vec(),
        };
        encoder.append(&group(1, &[(7, 1.0)]), labels);
        // The number of a series that ends in a record belongs to it up to the record's end.
        encoder.append(&group(2, &[(7, stale_marker())]), labels);
        encoder.append(&group(3, &[(8, 5.0)]), labels);
        let first = decoder.decode(&encoder.seal()).unwrap();
        assert_eq!(first.new_series, [(0, labels(7).unwrap()), (1, labels(8).unwrap())]);
        let times: Vec<i64> = first.groups.iter().map(|group| group.timestamp_ms).collect();
        assert_eq!(times, [1, 2, 3]);
        assert_eq!(first.groups[2].samples, [(1, 5.0)]);
        encoder.append(&group(4, &[(8, 6.0), (9, 7.0)]), labels);
        let second = decoder.decode(&encoder.seal()).unwrap();
        assert_eq!(second.new_series, [(0, labels(9).unwrap())]);
        assert_eq!(second.groups[0].samples, [(0, 7.0), (1, 6.0)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = RecordDecoder::new().decode(&bytes);
        }
    }
}
