//! Batches as bytes: series are numbered and named as they first appear, then `group_codec` packs the samples.

use std::collections::HashMap;

use muster_series::{Labels, is_stale_marker};

use crate::group_codec::GroupCodec;
use crate::{Group, Limits, WireError, definitions};

/// Definitions are spread over parts of about this many bytes.
const DEFINITIONS_PER_PART_BYTES: usize = 256 << 10;

/// A batch as bytes, and what must be read before it.
pub(crate) struct EncodedBatch {
    pub(crate) definitions: Vec<Vec<u8>>,
    pub(crate) groups: Vec<u8>,
    /// Samples left out.
    pub(crate) dropped: usize,
}

/// The sender's side of one stream of batches.
#[derive(Debug, Default)]
pub(crate) struct BatchEncoder {
    codec: GroupCodec,
    numbers: HashMap<u32, u32>,
    free: Vec<u32>,
}

impl BatchEncoder {
    /// Encodes groups whose samples bear the caller's own series numbers.
    pub(crate) fn encode(
        &mut self,
        groups: &[Group],
        labels_of: impl Fn(u32) -> Option<Labels>,
        limits: &Limits,
    ) -> Result<EncodedBatch, WireError> {
        let limit = limits.groups_per_batch;
        if groups.len() > limit {
            return Err(WireError::Limit { what: "groups of a batch", limit, got: groups.len() });
        }
        let limit = limits.samples_per_batch;
        let total = groups.iter().map(|group| group.samples.len()).sum();
        if total > limit {
            return Err(WireError::Limit { what: "samples of a batch", limit, got: total });
        }
        let mut definitions = Definitions::within(limits);
        let mut dropped = 0;
        let mut bytes = Vec::new();
        for group in groups {
            let known = self.number(group, &labels_of, limits, &mut definitions);
            dropped += group.samples.len() - known.samples.len();
            self.codec.encode(&known, &mut bytes);
        }
        self.free_ended(groups);
        Ok(EncodedBatch { definitions: definitions.parts, groups: bytes, dropped })
    }

    /// Appends one group, and the definitions of its new series. Series that it ends keep their numbers until they are
    /// given to [`BatchEncoder::free`]. Samples of series without labels, or with labels over a limit, are left out.
    pub(crate) fn append(
        &mut self,
        group: &Group,
        labels_of: impl Fn(u32) -> Option<Labels>,
        limits: &Limits,
        definitions: &mut Vec<u8>,
        bytes: &mut Vec<u8>,
    ) {
        let mut parts = Definitions::within(limits);
        let known = self.number(group, labels_of, limits, &mut parts);
        for part in parts.parts {
            definitions.extend_from_slice(&part);
        }
        self.codec.encode(&known, bytes);
    }

    /// These series, by the caller's numbers, have ended: their numbers are free for others.
    pub(crate) fn free(&mut self, ended: impl Iterator<Item = u32>) {
        for own in ended {
            self.free.extend(self.numbers.remove(&own));
        }
    }

    /// A group with the numbers of the wire, without the samples that cannot have one.
    fn number(
        &mut self,
        group: &Group,
        labels_of: impl Fn(u32) -> Option<Labels>,
        limits: &Limits,
        definitions: &mut Definitions,
    ) -> Group {
        let mut samples = Vec::with_capacity(group.samples.len());
        for &(own, value) in &group.samples {
            let number = match self.numbers.get(&own) {
                Some(&number) => Some(number),
                None => self.define(own, &labels_of, limits, definitions),
            };
            samples.extend(number.map(|number| (number, value)));
        }
        Group { timestamp_ms: group.timestamp_ms, samples }
    }

    /// Numbers and names a series, if it may be sent. The receiver reads all definitions before the groups, and a number
    /// has no second use among those, so it makes no difference that groups before this one are encoded already.
    fn define(
        &mut self,
        own: u32,
        labels_of: impl Fn(u32) -> Option<Labels>,
        limits: &Limits,
        definitions: &mut Definitions,
    ) -> Option<u32> {
        let labels = labels_of(own)?;
        definitions::check(&labels, limits).ok()?;
        let number = self.take_number(limits)?;
        definitions.push(number, &labels);
        self.codec.define(number);
        self.numbers.insert(own, number);
        Some(number)
    }

    fn take_number(&mut self, limits: &Limits) -> Option<u32> {
        self.free.pop().or_else(|| {
            let next = self.codec.defined();
            (next < limits.series).then_some(next as u32)
        })
    }

    /// A series whose last sample is a stale marker has ended: its number is free for another.
    fn free_ended(&mut self, groups: &[Group]) {
        for &(own, value) in groups.iter().flat_map(|group| &group.samples) {
            if is_stale_marker(value)
                && let Some(number) = self.numbers.remove(&own)
            {
                self.free.push(number);
            }
        }
    }
}

/// Definitions on their way into frames.
struct Definitions {
    parts: Vec<Vec<u8>>,
    /// From so many bytes on a part is full.
    part_bytes: usize,
}

impl Definitions {
    fn within(limits: &Limits) -> Self {
        let part_bytes = DEFINITIONS_PER_PART_BYTES.min(limits.frame_bytes / 4);
        Self { parts: Vec::new(), part_bytes }
    }

    fn push(&mut self, number: u32, labels: &Labels) {
        if self.parts.last().is_none_or(|part| part.len() >= self.part_bytes) {
            self.parts.push(Vec::new());
        }
        let part = self.parts.last_mut().expect("a part was pushed if there was none");
        definitions::encode(number, labels, part);
    }
}

/// The receiver's side of one stream of batches.
#[derive(Debug, Default)]
pub(crate) struct BatchDecoder {
    codec: GroupCodec,
}

impl BatchDecoder {
    /// Reads definitions.
    pub(crate) fn define(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Vec<(u32, Labels)>, WireError> {
        let all = definitions::decode(bytes, self.codec.defined(), limits)?;
        for (reference, _) in &all {
            self.codec.define(*reference);
        }
        Ok(all)
    }

    /// Reads the groups of a batch.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Vec<Group>, WireError> {
        self.codec.decode(bytes, limits)
    }
}
