//! The messages of OTLP's metrics, read in place.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::protobuf::{DecodeError, Fields, Value};

/// Nested attribute values deeper than this are left out.
const MAX_DEPTH: usize = 8;

/// What kind of numbers a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum { cumulative: bool, monotonic: bool },
    Histogram { cumulative: bool },
    ExponentialHistogram,
    Summary,
}

/// A metric without its points.
#[derive(Debug)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a str,
    pub(super) unit: &'a str,
    pub(super) kind: Kind,
    /// The message that holds the points.
    pub(super) data: &'a [u8],
}

/// The fields of a message that are nested messages with this number.
pub(super) fn each<'a>(
    message: &'a [u8],
    wanted: u32,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        if field == wanted {
            visit(value.as_bytes(field)?)?;
        }
    }
    Ok(())
}

impl<'a> Metric<'a> {
    /// Reads a `Metric`; none if its kind of data is not known.
    pub(super) fn read(message: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let (mut name, mut unit, mut found) = ("", "", None);
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => name = text_or_empty(field, value)?,
                3 => unit = text_or_empty(field, value)?,
                5 | 7 | 9 | 10 | 11 => found = Some((field, value.as_bytes(field)?)),
                _ => {}
            }
        }
        let Some((field, data)) = found else { return Ok(None) };
        let kind = match field {
            5 => Kind::Gauge,
            7 => Kind::Sum { cumulative: is_cumulative(data)?, monotonic: flag(data, 3)? },
            9 => Kind::Histogram { cumulative: is_cumulative(data)? },
            10 => Kind::ExponentialHistogram,
            _ => Kind::Summary,
        };
        Ok(Some(Self { name, unit, kind, data }))
    }
}

fn is_cumulative(data: &[u8]) -> Result<bool, DecodeError> {
    const CUMULATIVE: u64 = 2;
    Ok(varint(data, 2)? == CUMULATIVE)
}

fn flag(data: &[u8], wanted: u32) -> Result<bool, DecodeError> {
    Ok(varint(data, wanted)? != 0)
}

fn varint(data: &[u8], wanted: u32) -> Result<u64, DecodeError> {
    let mut last = 0;
    let mut fields = Fields::new(data);
    while let Some((field, value)) = fields.next()? {
        if field == wanted {
            last = value.as_varint(field)?;
        }
    }
    Ok(last)
}

/// A data point of any kind; what its kind does not have is empty.
#[derive(Debug, Default)]
pub(super) struct Point<'a> {
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) timestamp_ms: i64,
    /// Whether the point says that there is nothing to tell: the series has ended.
    pub(super) ended: bool,
    pub(super) number: Option<f64>,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) bucket_counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) quantiles: Vec<(f64, f64)>,
}

/// The bit of a point's flags that says that it has no value.
const NO_RECORDED_VALUE: u64 = 1;
const NANOS_PER_MS: u64 = 1_000_000;

impl<'a> Point<'a> {
    /// Reads a `NumberDataPoint`.
    pub(super) fn number(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut point = Self::default();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next()? {
            match field {
                3 => point.timestamp_ms = timestamp_ms(value.as_fixed64(field)?),
                4 => point.number = Some(value.as_double(field)?),
                6 => point.number = Some(value.as_fixed64(field)? as i64 as f64),
                7 => point.attributes.extend(attribute(value.as_bytes(field)?)?),
                8 => point.ended = value.as_varint(field)? & NO_RECORDED_VALUE != 0,
                _ => {}
            }
        }
        Ok(point)
    }

    /// Reads a `HistogramDataPoint`.
    pub(super) fn histogram(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut point = Self::default();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next()? {
            match field {
                3 => point.timestamp_ms = timestamp_ms(value.as_fixed64(field)?),
                4 => point.count = value.as_fixed64(field)?,
                5 => point.sum = Some(value.as_double(field)?),
                6 => packed(value, field, |bits| point.bucket_counts.push(bits))?,
                7 => packed(value, field, |bits| point.bounds.push(f64::from_bits(bits)))?,
                9 => point.attributes.extend(attribute(value.as_bytes(field)?)?),
                10 => point.ended = value.as_varint(field)? & NO_RECORDED_VALUE != 0,
                _ => {}
            }
        }
        Ok(point)
    }

    /// Reads a `SummaryDataPoint`.
    pub(super) fn summary(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut point = Self { sum: Some(0.0), ..Self::default() };
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next()? {
            match field {
                3 => point.timestamp_ms = timestamp_ms(value.as_fixed64(field)?),
                4 => point.count = value.as_fixed64(field)?,
                5 => point.sum = Some(value.as_double(field)?),
                6 => point.quantiles.push(quantile(value.as_bytes(field)?)?),
                7 => point.attributes.extend(attribute(value.as_bytes(field)?)?),
                8 => point.ended = value.as_varint(field)? & NO_RECORDED_VALUE != 0,
                _ => {}
            }
        }
        Ok(point)
    }
}

fn timestamp_ms(unix_nanos: u64) -> i64 {
    (unix_nanos / NANOS_PER_MS) as i64
}

/// Numbers of 8 bytes, packed or one by one.
fn packed(value: Value<'_>, field: u32, mut push: impl FnMut(u64)) -> Result<(), DecodeError> {
    let Value::Bytes(bytes) = value else {
        push(value.as_fixed64(field)?);
        return Ok(());
    };
    let mut numbers = Fields::new(bytes);
    while !numbers.rest().is_empty() {
        push(numbers.fixed64()?);
    }
    Ok(())
}

fn quantile(message: &[u8]) -> Result<(f64, f64), DecodeError> {
    let (mut quantile, mut measured) = (0.0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => quantile = value.as_double(field)?,
            2 => measured = value.as_double(field)?,
            _ => {}
        }
    }
    Ok((quantile, measured))
}

/// An attribute's key and its value as text.
pub(super) type Attribute<'a> = (&'a str, Cow<'a, str>);

/// The attributes of a `Resource`.
pub(super) fn resource_attributes(message: &[u8]) -> Result<Vec<Attribute<'_>>, DecodeError> {
    let mut attributes = Vec::new();
    each(message, 1, |pair| {
        attributes.extend(attribute(pair)?);
        Ok(())
    })?;
    Ok(attributes)
}

/// Reads a `KeyValue`; none without a key or a value.
fn attribute(message: &[u8]) -> Result<Option<Attribute<'_>>, DecodeError> {
    let (key, value) = key_value(message)?;
    if key.is_empty() {
        return Ok(None);
    }
    let Some((field, value)) = any_value(value)? else { return Ok(None) };
    if field == 1 {
        return Ok(Some((key, Cow::Borrowed(text(field, value)?))));
    }
    let mut written = String::new();
    write_value(&mut written, field, value, 0)?;
    Ok(Some((key, Cow::Owned(written))))
}

fn key_value(message: &[u8]) -> Result<(&str, &[u8]), DecodeError> {
    let (mut key, mut any) = ("", &b""[..]);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => key = text(field, value)?,
            2 => any = value.as_bytes(field)?,
            _ => {}
        }
    }
    Ok((key, any))
}

/// The one field of an `AnyValue`.
fn any_value(message: &[u8]) -> Result<Option<(u32, Value<'_>)>, DecodeError> {
    let mut found = None;
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        if (1..=7).contains(&field) {
            found = Some((field, value));
        }
    }
    Ok(found)
}

/// Writes a value other than a plain text: numbers as they are, lists and maps as JSON, bytes as hexadecimal digits.
fn write_value(
    out: &mut String,
    field: u32,
    value: Value<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    // A string takes all, so writing to it cannot fail.
    let _ = match field {
        1 => write!(out, "{:?}", text(field, value)?),
        2 => write!(out, "{}", value.as_varint(field)? != 0),
        3 => write!(out, "{}", value.as_varint(field)? as i64),
        4 => write!(out, "{}", value.as_double(field)?),
        5 | 6 if depth < MAX_DEPTH => {
            return write_nested(out, field == 6, value.as_bytes(field)?, depth + 1);
        }
        7 => value.as_bytes(field)?.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        _ => Ok(()),
    };
    Ok(())
}

fn write_nested(
    out: &mut String,
    map: bool,
    message: &[u8],
    depth: usize,
) -> Result<(), DecodeError> {
    let (open, close) = if map { ('{', '}') } else { ('[', ']') };
    out.push(open);
    let mut first = true;
    each(message, 1, |item| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        let mut any = item;
        if map {
            let (key, value) = key_value(item)?;
            // A string takes all, so writing to it cannot fail.
            let _ = write!(out, "{key:?}:");
            any = value;
        }
        let Some((field, value)) = any_value(any)? else {
            out.push_str("null");
            return Ok(());
        };
        write_value(out, field, value, depth)
    })?;
    out.push(close);
    Ok(())
}

/// Protobuf's texts are UTF-8; one that is not would make one series of several if it were mended.
fn text(field: u32, value: Value<'_>) -> Result<&str, DecodeError> {
    std::str::from_utf8(value.as_bytes(field)?).map_err(|_| DecodeError::NotUtf8 { field })
}

/// A metric's text that is not UTF-8 is left empty, and no metric may have an empty name.
fn text_or_empty(field: u32, value: Value<'_>) -> Result<&str, DecodeError> {
    match text(field, value) {
        Err(DecodeError::NotUtf8 { .. }) => Ok(""),
        other => other,
    }
}
