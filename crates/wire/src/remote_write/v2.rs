//! `io.prometheus.write.v2.Request`, the message of remote write 2.0: every text stands once, in a table of symbols.
//!
//! Symbols have other numbers in each request, so a series' key is the hash of its symbols' hashes: each text is hashed
//! once a request, and a series of ten labels costs the hash of 320 bytes.

use super::{
    Allowance, MAX_REFERENCES, MAX_SYMBOLS, Raw, RawLabels, SeriesVisitor, Symbol, sample,
};
use crate::protobuf::{DecodeError, Fields, Value};

/// Numbers of fields, by message.
const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;
const LABELS_REFS: u32 = 1;
const SAMPLES: u32 = 2;
const HISTOGRAMS: u32 = 3;
const EXEMPLARS: u32 = 4;

/// Walks a 2.0 request with at most `max_samples` samples. `hash` makes the keys of series.
///
/// What comes before an error has been told to the visitor.
pub fn decode_v2(
    request: &[u8],
    max_samples: usize,
    hash: impl Fn(&[u8]) -> u128,
    visitor: &mut impl SeriesVisitor,
) -> Result<(), DecodeError> {
    let symbols = read_symbols(request, &hash)?;
    let mut allowance = Allowance::new(max_samples);
    let mut series = SeriesReader { symbols: &symbols, references: Vec::new(), hashes: Vec::new() };
    let mut fields = Fields::new(request);
    while let Some((field, value)) = fields.next()? {
        if field == TIMESERIES {
            series.read(value.as_bytes(field)?, &mut allowance, &hash, visitor)?;
        }
    }
    Ok(())
}

fn read_symbols<'a>(
    request: &'a [u8],
    hash: &impl Fn(&[u8]) -> u128,
) -> Result<Vec<Symbol<'a>>, DecodeError> {
    let mut symbols = Vec::new();
    let mut has_series = false;
    let mut fields = Fields::new(request);
    while let Some((field, value)) = fields.next()? {
        match field {
            SYMBOLS if symbols.len() == MAX_SYMBOLS => {
                return Err(DecodeError::TooMany { what: "symbols", limit: MAX_SYMBOLS });
            }
            SYMBOLS => {
                let text = value.as_bytes(field)?;
                symbols.push((text, hash(text)));
            }
            TIMESERIES => has_series = true,
            _ => {}
        }
    }
    let first = symbols.first().map(|symbol| symbol.0);
    if first.is_some_and(|text| !text.is_empty()) || (first.is_none() && has_series) {
        return Err(DecodeError::FirstSymbol);
    }
    Ok(symbols)
}

struct SeriesReader<'a> {
    symbols: &'a [Symbol<'a>],
    references: Vec<u32>,
    hashes: Vec<u8>,
}

impl SeriesReader<'_> {
    fn read(
        &mut self,
        message: &[u8],
        allowance: &mut Allowance,
        hash: &impl Fn(&[u8]) -> u128,
        visitor: &mut impl SeriesVisitor,
    ) -> Result<(), DecodeError> {
        self.read_references(message)?;
        let key = self.key(hash);
        let (references, symbols) = (&self.references[..], self.symbols);
        visitor.series(key, RawLabels(Raw::Symbols { references, symbols }));
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next()? {
            match field {
                SAMPLES => {
                    allowance.take()?;
                    let (timestamp_ms, value) = sample(value.as_bytes(field)?)?;
                    visitor.sample(timestamp_ms, value);
                }
                HISTOGRAMS => {
                    allowance.take()?;
                    visitor.histogram();
                }
                EXEMPLARS => visitor.exemplar(),
                _ => {}
            }
        }
        Ok(())
    }

    /// The numbers of the labels' symbols, which may stand packed or one by one.
    fn read_references(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        self.references.clear();
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (LABELS_REFS, Value::Bytes(packed)) => {
                    let mut packed = Fields::new(packed);
                    while !packed.rest().is_empty() {
                        self.refer(packed.varint()?)?;
                    }
                }
                (LABELS_REFS, value) => self.refer(value.as_varint(field)?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn refer(&mut self, reference: u64) -> Result<(), DecodeError> {
        if self.references.len() == MAX_REFERENCES {
            let limit = MAX_REFERENCES / 2;
            return Err(DecodeError::TooMany { what: "labels of one series", limit });
        }
        // A number that is too large leads nowhere, as does the largest that fits.
        self.references.push(u32::try_from(reference).unwrap_or(u32::MAX));
        Ok(())
    }

    /// The key of the series whose references were read. A reference that leads nowhere gives a key that
    /// no good series has, so that the labels are looked at and refused.
    fn key(&mut self, hash: &impl Fn(&[u8]) -> u128) -> u128 {
        self.hashes.clear();
        for &reference in &self.references {
            match self.symbols.get(reference as usize) {
                Some(symbol) => self.hashes.extend_from_slice(&symbol.1.to_le_bytes()),
                None => self.hashes.push(0),
            }
        }
        hash(&self.hashes)
    }
}
