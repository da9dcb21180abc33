//! Batches in a file: the same encoding as on a connection, for whoever keeps batches until they can be sent.
//!
//! Records build upon each other like the frames of a connection: read all of a file from its start,
//! in order. The file is to guard each record with a checksum of its own.

use muster_series::Labels;

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
        let definitions = batch.definitions.concat();
        let mut payload = vec![u8::from(urgent)];
        varint::put(&mut payload, definitions.len() as u64);
        payload.extend_from_slice(&definitions);
        payload.extend_from_slice(&batch.groups);
        Ok(frame::encode(&payload))
    }
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

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = RecordDecoder::new().decode(&bytes);
        }
    }
}
