//! Remote write 1.0, as a sender writes it: protobuf by hand, in snappy's block format.
//!
//! `WriteRequest { repeated TimeSeries timeseries = 1 }`, `TimeSeries { repeated Label labels = 1;
//! repeated Sample samples = 2 }`, `Label { string name = 1; string value = 2 }`,
//! `Sample { double value = 1; int64 timestamp = 2 }`: <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

use anyhow::Context as _;

use crate::data::Host;

/// Tags: number of the field, and how long it is (1: eight bytes, 2: with its length, 0: varint).
const FIELD_1_BYTES: u8 = 0x0a;
const FIELD_2_BYTES: u8 = 0x12;
const FIELD_1_DOUBLE: u8 = 0x09;
const FIELD_2_VARINT: u8 = 0x10;

/// Hosts that are sent together, with the bytes of their labels made once.
pub(crate) struct Block {
    hosts: Vec<Host>,
    /// The `labels` fields of each series of each host, one behind the other.
    labels: Vec<u8>,
    /// Where those of each series end.
    ends: Vec<usize>,
    values: Vec<f64>,
    message: Vec<u8>,
    compressor: snap::raw::Encoder,
    body: Vec<u8>,
}

impl Block {
    pub(crate) fn new(hosts: Vec<Host>) -> Self {
        let (mut labels, mut ends) = (Vec::new(), Vec::new());
        for pairs in hosts.iter().flat_map(Host::labels) {
            for (name, value) in pairs {
                let inner = text_len(name) + text_len(value);
                labels.push(FIELD_1_BYTES);
                put_varint(&mut labels, inner as u64);
                put_text(&mut labels, FIELD_1_BYTES, name);
                put_text(&mut labels, FIELD_2_BYTES, value);
            }
            ends.push(labels.len());
        }
        Self {
            hosts,
            labels,
            ends,
            values: Vec::new(),
            message: Vec::new(),
            compressor: snap::raw::Encoder::new(),
            body: Vec::new(),
        }
    }

    /// The body of a request with the scrapes of all hosts at these ticks, and how many samples it holds.
    pub(crate) fn request(&mut self, ticks: &[i64]) -> anyhow::Result<(&[u8], u64)> {
        self.message.clear();
        let mut series = 0;
        for host in &mut self.hosts {
            self.values.clear();
            let times: Vec<i64> =
                ticks.iter().map(|&tick| host.scrape(tick, &mut self.values)).collect();
            let count = host.labels().len();
            for own in 0..count {
                let start = if series == 0 { 0 } else { self.ends[series - 1] };
                let labels = &self.labels[start..self.ends[series]];
                let values = self.values.iter().skip(own).step_by(count);
                put_series(&mut self.message, labels, times.iter().zip(values));
                series += 1;
            }
        }
        self.body.resize(snap::raw::max_compress_len(self.message.len()), 0);
        let length = self
            .compressor
            .compress(&self.message, &mut self.body)
            .context("a request is too long for snappy")?;
        Ok((&self.body[..length], (series * ticks.len()) as u64))
    }
}

fn put_series<'a>(
    message: &mut Vec<u8>,
    labels: &[u8],
    samples: impl Iterator<Item = (&'a i64, &'a f64)> + Clone,
) {
    let sample_len = |at: i64| 1 + 8 + 1 + varint_len(at as u64);
    let samples_len: usize = samples.clone().map(|(&at, _)| 2 + sample_len(at)).sum();
    message.push(FIELD_1_BYTES);
    put_varint(message, (labels.len() + samples_len) as u64);
    message.extend_from_slice(labels);
    for (&at, value) in samples {
        message.push(FIELD_2_BYTES);
        put_varint(message, sample_len(at) as u64);
        message.push(FIELD_1_DOUBLE);
        message.extend_from_slice(&value.to_le_bytes());
        message.push(FIELD_2_VARINT);
        put_varint(message, at as u64);
    }
}

fn text_len(text: &str) -> usize {
    1 + varint_len(text.len() as u64) + text.len()
}

fn put_text(message: &mut Vec<u8>, tag: u8, text: &str) {
    message.push(tag);
    put_varint(message, text.len() as u64);
    message.extend_from_slice(text.as_bytes());
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SERIES_PER_HOST;

    #[test]
    fn varints_are_as_long_as_they_say() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1_790_000_000_000, u64::MAX] {
            let mut bytes = vec![];
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_len(value), "{value}");
        }
    }

    /// The fields of a message: number and content.
    fn fields(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
        let mut found = vec![];
        while let [tag, rest @ ..] = bytes {
            bytes = rest;
            let length = || {
                let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
                let number =
                    bytes[..=end].iter().rev().fold(0, |n, byte| n << 7 | usize::from(byte & 0x7f));
                (end + 1, number)
            };
            let (skip, take) = match tag & 7 {
                0 => (0, length().0),
                1 => (0, 8),
                _ => length(),
            };
            let (content, rest) = bytes[skip..].split_at(take);
            found.push((tag >> 3, content));
            bytes = rest;
        }
        found
    }

    #[test]
    fn a_request_holds_every_series_with_its_samples() {
        let hosts = || vec![Host::new(1, "node", 0), Host::new(1, "node", 1)];
        let mut block = Block::new(hosts());
        let (body, samples) = block.request(&[15_000, 30_000, 45_000]).unwrap();
        assert_eq!(samples, 2 * 3 * SERIES_PER_HOST as u64);
        let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        let series = fields(&message);
        assert_eq!(series.len(), 2 * SERIES_PER_HOST);
        let mut second = hosts().remove(1);
        let mut values = vec![];
        let at = second.scrape(15_000, &mut values);
        let (number, content) = series[SERIES_PER_HOST + 9];
        assert_eq!(number, 1);
        let parts = fields(content);
        let expected = &second.labels()[9];
        assert_eq!(parts.len(), expected.len() + 3);
        for ((number, label), (name, value)) in parts.iter().zip(expected) {
            assert_eq!(*number, 1);
            let texts: Vec<&[u8]> = fields(label).into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, [name.as_bytes(), value.as_bytes()]);
        }
        let sample = fields(parts[expected.len()].1);
        assert_eq!(sample[0], (1, values[9].to_le_bytes().as_slice()));
        let mut time = vec![];
        put_varint(&mut time, at as u64);
        assert_eq!(sample[1], (2, time.as_slice()));
    }
}
