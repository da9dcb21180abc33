//! Prometheus's remote write, 1.0 and 2.0: requests as bytes to series and samples, without a copy of either.
//!
//! A request is walked once, and each series is told to a [`SeriesVisitor`] with a key: a hash of its labels as they
//! were received. A caller that knows the key need not look at the labels at all; this is what makes known series cheap.
//! Only who does not know it reads the [`RawLabels`], which are checked by nobody before.
//!
//! Sources: <https://prometheus.io/docs/specs/prw/remote_write_spec/>, <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>.

mod v1;
mod v2;

pub use v1::decode_v1;
pub use v2::decode_v2;

use crate::LabelLimits;
use crate::protobuf::{DecodeError, Fields};

/// The most symbols of one 2.0 request; each takes 32 bytes while it is read.
const MAX_SYMBOLS: usize = 1_000_000;
/// The most symbols that one series of a 2.0 request may refer to, whatever labels the caller allows.
const MAX_REFERENCES: usize = 2_000;

/// What a request says, in its order: a series, then what belongs to it.
pub trait SeriesVisitor {
    /// A series. Equal keys mean equal labels; the reverse holds within one message type only, and for labels in one order.
    fn series(&mut self, key: u128, labels: RawLabels<'_>);
    /// A sample of the series told last; the value bit for bit.
    fn sample(&mut self, timestamp_ms: i64, value: f64);
    /// A native histogram of the series told last.
    fn histogram(&mut self);
    /// An exemplar of the series told last.
    fn exemplar(&mut self);
}

/// The labels of a series as they were received: in any order, perhaps not UTF-8, perhaps twice.
#[derive(Debug, Clone, Copy)]
pub struct RawLabels<'a>(Raw<'a>);

#[derive(Debug, Clone, Copy)]
enum Raw<'a> {
    /// `Label` messages with their tags, as in 1.0.
    Messages(&'a [u8]),
    /// Numbers of symbols by twos, as in 2.0.
    Symbols { references: &'a [u32], symbols: &'a [Symbol<'a>] },
}

/// A text of a 2.0 request with its hash.
type Symbol<'a> = (&'a [u8], u128);

/// Why labels cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RawLabelError {
    /// A label is no message.
    #[error("a label is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A name or value is no text.
    #[error("a label's name or value is not UTF-8")]
    NotUtf8,
    /// A reference to a symbol that is not there.
    #[error("a label refers to symbol {reference}, and the request has {symbols}")]
    Reference {
        /// The number that was used.
        reference: u32,
        /// How many symbols there are.
        symbols: usize,
    },
    /// A name without a value.
    #[error("the number of label references is odd")]
    Odd,
    /// More labels than a series may have.
    #[error("a series has more than {limit} labels")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
    /// A name or value is longer than allowed.
    #[error("a label's {what} has {bytes} bytes, more than {limit}")]
    TooLong {
        /// Name or value.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
}

impl<'a> RawLabels<'a> {
    /// Appends name and value of every label; says what is wrong with the first that is none or is over a limit.
    pub fn pairs(
        &self,
        limits: &LabelLimits,
        pairs: &mut Vec<(&'a str, &'a str)>,
    ) -> Result<(), RawLabelError> {
        let too_many = RawLabelError::TooMany { limit: limits.labels };
        match self.0 {
            Raw::Messages(labels) => {
                let mut fields = Fields::new(labels);
                while let Some((field, value)) = fields.next()? {
                    let (name, text) = v1::label(value.as_bytes(field)?)?;
                    pairs.push(checked(name, text, limits)?);
                    if pairs.len() > limits.labels {
                        return Err(too_many);
                    }
                }
            }
            Raw::Symbols { references, symbols } => {
                let text = |reference: u32| {
                    let found = symbols.get(reference as usize).map(|symbol| symbol.0);
                    found.ok_or(RawLabelError::Reference { reference, symbols: symbols.len() })
                };
                let two = references.chunks_exact(2);
                if !two.remainder().is_empty() {
                    return Err(RawLabelError::Odd);
                }
                if two.len() > limits.labels {
                    return Err(too_many);
                }
                for pair in two {
                    pairs.push(checked(text(pair[0])?, text(pair[1])?, limits)?);
                }
            }
        }
        Ok(())
    }
}

/// A label's name and value as texts, if they are, and are not too long. Lengths come first: one long symbol may be
/// referred to very often.
fn checked<'a>(
    name: &'a [u8],
    value: &'a [u8],
    limits: &LabelLimits,
) -> Result<(&'a str, &'a str), RawLabelError> {
    for (what, text, limit) in
        [("name", name, limits.name_bytes), ("value", value, limits.value_bytes)]
    {
        if text.len() > limit {
            return Err(RawLabelError::TooLong { what, bytes: text.len(), limit });
        }
    }
    let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|_| RawLabelError::NotUtf8);
    Ok((utf8(name)?, utf8(value)?))
}

/// Reads a `Sample`, which is the same in both versions.
#[inline]
fn sample(message: &[u8]) -> Result<(i64, f64), DecodeError> {
    let (mut timestamp_ms, mut value) = (0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((field, content)) = fields.next()? {
        match field {
            1 => value = content.as_double(field)?,
            2 => timestamp_ms = content.as_varint(field)? as i64,
            _ => {}
        }
    }
    Ok((timestamp_ms, value))
}

/// Counts samples down to a limit.
struct Allowance {
    left: usize,
    limit: usize,
}

impl Allowance {
    fn new(limit: usize) -> Self {
        Self { left: limit, limit }
    }

    #[inline]
    fn take(&mut self) -> Result<(), DecodeError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(DecodeError::TooMany { what: "samples", limit: self.limit })?;
        Ok(())
    }
}
