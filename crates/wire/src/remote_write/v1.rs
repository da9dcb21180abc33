//! `prometheus.WriteRequest`, the message of remote write 1.0.

use super::{Allowance, Raw, RawLabels, SeriesVisitor, sample};
use crate::protobuf::{DecodeError, Fields};

/// Numbers of fields, by message.
const TIMESERIES: u32 = 1;
const LABELS: u32 = 1;
const SAMPLES: u32 = 2;
const EXEMPLARS: u32 = 3;
const HISTOGRAMS: u32 = 4;
/// The tag of a label in a series.
const LABEL_TAG: u8 = 0x0a;

/// Walks a 1.0 request with at most `max_samples` samples. `hash` makes the keys of series out of their labels' bytes.
///
/// What comes before an error has been told to the visitor.
pub fn decode_v1(
    request: &[u8],
    max_samples: usize,
    hash: impl Fn(&[u8]) -> u128,
    visitor: &mut impl SeriesVisitor,
) -> Result<(), DecodeError> {
    let mut allowance = Allowance::new(max_samples);
    let mut scattered = Vec::new();
    let mut fields = Fields::new(request);
    while let Some((field, value)) = fields.next()? {
        if field == TIMESERIES {
            let series = value.as_bytes(field)?;
            one_series(series, &mut allowance, &hash, &mut scattered, visitor)?;
        }
    }
    Ok(())
}

fn one_series(
    message: &[u8],
    allowance: &mut Allowance,
    hash: &impl Fn(&[u8]) -> u128,
    scattered: &mut Vec<u8>,
    visitor: &mut impl SeriesVisitor,
) -> Result<(), DecodeError> {
    let mut fields = Fields::new(message);
    let mut labels = fields.take_run(LABEL_TAG)?;
    let rest = fields.clone();
    // Senders write labels first, but a message may have its fields in any order.
    if has_labels(fields)? {
        gather_labels(message, scattered)?;
        labels = scattered;
    }
    visitor.series(hash(labels), RawLabels(Raw::Messages(labels)));
    let mut fields = rest;
    while let Some((field, value)) = fields.next()? {
        match field {
            SAMPLES => {
                allowance.take()?;
                let (timestamp_ms, value) = sample(value.as_bytes(field)?)?;
                visitor.sample(timestamp_ms, value);
            }
            EXEMPLARS => visitor.exemplar(),
            HISTOGRAMS => {
                allowance.take()?;
                visitor.histogram();
            }
            _ => {}
        }
    }
    Ok(())
}

fn has_labels(mut fields: Fields<'_>) -> Result<bool, DecodeError> {
    while let Some((field, _)) = fields.next()? {
        if field == LABELS {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts all labels of a series together, as if they had been written first.
fn gather_labels(message: &[u8], into: &mut Vec<u8>) -> Result<(), DecodeError> {
    into.clear();
    let mut fields = Fields::new(message);
    loop {
        let before = fields.rest();
        let Some((field, value)) = fields.next()? else { return Ok(()) };
        if field == LABELS {
            value.as_bytes(field)?;
            into.extend_from_slice(&before[..before.len() - fields.rest().len()]);
        }
    }
}

/// Reads a `Label`: name and value.
pub(super) fn label(message: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (mut name, mut text) = (&b""[..], &b""[..]);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => name = value.as_bytes(field)?,
            2 => text = value.as_bytes(field)?,
            _ => {}
        }
    }
    Ok((name, text))
}
