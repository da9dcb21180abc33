//! Groups of samples as bytes, against what both sides remember (docs/format/wire.md, "Groups").
//!
//! 1. Samples are sorted by series number, so a list of series is a few runs of neighbours.
//! 2. A list that was used lately is named by its slot instead.
//! 3. A bitmap says which values differ from the series' last one.
//! 4. Only those follow, each as a difference (see `value`).
//!
//! Both sides keep the last value of each series, the last few lists and the last timestamp, for one
//! connection. Frames arrive complete and in order, so the two copies never part.

use std::sync::Arc;

use crate::value::ValueState;
use crate::varint::{self, Reader};
use crate::{Group, Limits, WireError};

/// Lists of series that are remembered: fast, slow, both, and a few for changes.
const LAYOUT_SLOTS: usize = 8;

/// What one side of a connection remembers of the samples that went over it.
#[derive(Debug, Default)]
pub(crate) struct GroupCodec {
    values: Vec<ValueState>,
    layouts: Vec<Arc<[u32]>>,
    next_slot: usize,
    timestamp_ms: i64,
}

impl GroupCodec {
    /// A series got this number: what the number stood for before is forgotten.
    pub(crate) fn define(&mut self, reference: u32) {
        let at = reference as usize;
        if at >= self.values.len() {
            self.values.resize(at + 1, ValueState::default());
        }
        self.values[at] = ValueState::default();
    }

    /// How many numbers are defined.
    pub(crate) fn defined(&self) -> usize {
        self.values.len()
    }

    /// Appends one group. Of a series that is in it twice the last sample counts.
    pub(crate) fn encode(&mut self, group: &Group, bytes: &mut Vec<u8>) {
        let samples = sorted(&group.samples);
        debug_assert!(samples.last().is_none_or(|last| (last.0 as usize) < self.values.len()));
        varint::put(bytes, varint::zigzag(group.timestamp_ms.wrapping_sub(self.timestamp_ms)));
        self.timestamp_ms = group.timestamp_ms;
        self.encode_layout(&samples, bytes);

        let bitmap_at = bytes.len();
        bytes.resize(bitmap_at + samples.len().div_ceil(8), 0);
        for (at, &(reference, value)) in samples.iter().enumerate() {
            let state = &mut self.values[reference as usize];
            if state.bits != value.to_bits() {
                bytes[bitmap_at + at / 8] |= 1 << (at % 8);
                state.encode(value, bytes);
            }
        }
    }

    fn encode_layout(&mut self, samples: &[(u32, f64)], bytes: &mut Vec<u8>) {
        let known = self.layouts.iter().position(|layout| {
            layout.len() == samples.len() && layout.iter().zip(samples).all(|(a, b)| *a == b.0)
        });
        if let Some(slot) = known {
            varint::put(bytes, slot as u64 + 1);
            return;
        }
        varint::put(bytes, 0);
        let layout: Arc<[u32]> = samples.iter().map(|sample| sample.0).collect();
        let runs: Vec<&[u32]> = layout.chunk_by(|a, b| a + 1 == *b).collect();
        varint::put(bytes, runs.len() as u64);
        let mut next = 0;
        for run in runs {
            varint::put(bytes, u64::from(run[0] - next));
            varint::put(bytes, run.len() as u64);
            next = run[0] + run.len() as u32;
        }
        self.remember(layout);
    }

    fn remember(&mut self, layout: Arc<[u32]>) {
        if self.layouts.len() < LAYOUT_SLOTS {
            self.layouts.push(layout);
        } else {
            self.layouts[self.next_slot] = layout;
            self.next_slot = (self.next_slot + 1) % LAYOUT_SLOTS;
        }
    }

    /// Reads all groups of a batch. After an error the two sides have parted: the connection must end.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Vec<Group>, WireError> {
        let mut reader = Reader::new(bytes, "batch");
        let mut groups = Vec::new();
        let mut total = 0;
        while !reader.is_empty() {
            if groups.len() >= limits.groups_per_batch {
                let limit = limits.groups_per_batch;
                return Err(WireError::Limit { what: "groups of a batch", limit, got: limit + 1 });
            }
            let step = varint::unzigzag(reader.varint()?);
            self.timestamp_ms = self.timestamp_ms.wrapping_add(step);
            let layout = self.decode_layout(&mut reader)?;
            total += layout.len();
            if total > limits.samples_per_batch {
                let limit = limits.samples_per_batch;
                return Err(WireError::Limit { what: "samples of a batch", limit, got: total });
            }
            let samples = self.decode_samples(&layout, &mut reader)?;
            groups.push(Group { timestamp_ms: self.timestamp_ms, samples });
        }
        Ok(groups)
    }

    /// A list names each defined series at most once, so it is never longer than there are series.
    fn decode_layout(&mut self, reader: &mut Reader<'_>) -> Result<Arc<[u32]>, WireError> {
        let slot = reader.count()?;
        if slot > 0 {
            let known = self.layouts.get(slot - 1).cloned();
            return known.ok_or_else(|| reader.malformed("it uses a list of series never sent"));
        }
        let mut layout = Vec::new();
        let mut next = 0_usize;
        for _ in 0..reader.count()? {
            let first = next.saturating_add(reader.count()?);
            let end = first.saturating_add(reader.count()?);
            if end > self.values.len() {
                let reference = u32::try_from(end - 1).unwrap_or(u32::MAX);
                return Err(WireError::UnknownSeries { reference, defined: self.values.len() });
            }
            if first == end {
                return Err(reader.malformed("a run of series is empty"));
            }
            layout.extend(first as u32..end as u32);
            next = end;
        }
        let layout: Arc<[u32]> = layout.into();
        self.remember(Arc::clone(&layout));
        Ok(layout)
    }

    fn decode_samples(
        &mut self,
        layout: &[u32],
        reader: &mut Reader<'_>,
    ) -> Result<Vec<(u32, f64)>, WireError> {
        let bitmap = reader.take(layout.len().div_ceil(8))?;
        let mut samples = Vec::with_capacity(layout.len());
        for (at, &reference) in layout.iter().enumerate() {
            let state = &mut self.values[reference as usize];
            let value = if bitmap[at / 8] & (1 << (at % 8)) == 0 {
                f64::from_bits(state.bits)
            } else {
                state.decode(reader)?
            };
            samples.push((reference, value));
        }
        Ok(samples)
    }
}

/// Samples by series number, each number once.
fn sorted(samples: &[(u32, f64)]) -> std::borrow::Cow<'_, [(u32, f64)]> {
    if samples.windows(2).all(|two| two[0].0 < two[1].0) {
        return samples.into();
    }
    let mut samples = samples.to_vec();
    samples.sort_by_key(|sample| sample.0);
    samples.reverse();
    samples.dedup_by_key(|sample| sample.0);
    samples.reverse();
    samples.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(series: u32) -> (GroupCodec, GroupCodec) {
        let (mut sender, mut receiver) = (GroupCodec::default(), GroupCodec::default());
        for reference in 0..series {
            sender.define(reference);
            receiver.define(reference);
        }
        (sender, receiver)
    }

    fn bits(groups: &[Group]) -> Vec<(i64, Vec<(u32, u64)>)> {
        let one = |samples: &[(u32, f64)]| samples.iter().map(|s| (s.0, s.1.to_bits())).collect();
        groups.iter().map(|group| (group.timestamp_ms, one(&group.samples))).collect()
    }

    #[test]
    fn a_quiet_group_costs_its_bitmap() {
        let (mut sender, _) = pair(80);
        let group = |timestamp_ms| Group {
            timestamp_ms,
            samples: (0..80).map(|reference| (reference, 1.0)).collect(),
        };
        let mut bytes = Vec::new();
        sender.encode(&group(1_000), &mut bytes);
        bytes.clear();
        sender.encode(&group(2_000), &mut bytes);
        // Two bytes of time, one of the list, ten of the bitmap.
        assert_eq!(bytes.len(), 13);
    }

    #[test]
    fn the_last_of_two_samples_counts() {
        let (mut sender, mut receiver) = pair(3);
        let mut bytes = Vec::new();
        let samples = vec![(2, 1.0), (0, 5.0), (2, 7.0)];
        sender.encode(&Group { timestamp_ms: 1, samples }, &mut bytes);
        let groups = receiver.decode(&bytes, &Limits::default()).unwrap();
        assert_eq!(groups, [Group { timestamp_ms: 1, samples: vec![(0, 5.0), (2, 7.0)] }]);
    }

    #[test]
    fn limits_and_unknown_series_are_named() {
        let (mut sender, mut receiver) = pair(9);
        let mut bytes = Vec::new();
        let group = Group { timestamp_ms: 1, samples: (0..9).map(|r| (r, 1.0)).collect() };
        sender.encode(&group, &mut bytes);
        sender.encode(&group, &mut bytes);
        let few = Limits { samples_per_batch: 17, ..Limits::default() };
        assert!(matches!(receiver.decode(&bytes, &few), Err(WireError::Limit { .. })));
        let one = Limits { groups_per_batch: 1, ..Limits::default() };
        let (_, mut receiver) = pair(9);
        assert!(matches!(receiver.decode(&bytes, &one), Err(WireError::Limit { .. })));
        let (_, mut receiver) = pair(8);
        let unknown = WireError::UnknownSeries { reference: 8, defined: 8 };
        assert_eq!(receiver.decode(&bytes, &Limits::default()), Err(unknown));
    }

    proptest! {
        #[test]
        fn groups_come_back_bit_for_bit(
            all in prop::collection::vec(
                (any::<i64>(), prop::collection::btree_map(0_u32..40, any::<u64>(), 0..40)),
                0..30,
            ),
        ) {
            let (mut sender, mut receiver) = pair(40);
            for (timestamp_ms, values) in all {
                let samples = values.into_iter().map(|(r, bits)| (r, f64::from_bits(bits))).collect();
                let group = Group { timestamp_ms, samples };
                let mut bytes = Vec::new();
                sender.encode(&group, &mut bytes);
                let got = receiver.decode(&bytes, &Limits::default()).unwrap();
                prop_assert_eq!(bits(&got), bits(&[group]));
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = pair(20).1.decode(&bytes, &Limits::default());
        }
    }
}
