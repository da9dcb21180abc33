//! Deletions that are not carried out yet: which samples are to be hidden, and from which blocks.
//!
//! Blocks and tombstones take numbers from one sequence. A tombstone hides samples only of blocks with a lower number,
//! so what is written after the deletion is untouched, and a block that was rewritten without them is no longer looked at.
//! Layout: docs/format/block.md, "Manifest".

use muster_series::{MatchOp, Matcher, TimeRange};

use crate::block::BlockMeta;
use crate::codec::varint::{self, Malformed, Reader};

/// The samples in `range` of all series that pass the matchers, in blocks of a lower sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// Its place among the blocks and tombstones of the store.
    pub(crate) sequence: u64,
    /// When it was made, in milliseconds since 1970.
    pub(crate) created_ms: i64,
    pub(crate) range: TimeRange,
    pub(crate) matchers: Vec<Matcher>,
}

impl Tombstone {
    /// Whether it may hide samples of the block.
    pub(crate) fn concerns(&self, block: &BlockMeta) -> bool {
        self.sequence > block.sequence && self.range.overlaps(&block.range)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        varint::put(out, self.sequence);
        varint::put_signed(out, self.created_ms);
        varint::put_signed(out, self.range.start_ms);
        varint::put_signed(out, self.range.end_ms);
        varint::put(out, self.matchers.len() as u64);
        for matcher in &self.matchers {
            out.push(op_byte(matcher.op()));
            varint::put_bytes(out, matcher.name().as_bytes());
            varint::put_bytes(out, matcher.value().as_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (sequence, created_ms) = (reader.varint()?, reader.signed()?);
        let range = TimeRange::new(reader.signed()?, reader.signed()?);
        let mut matchers = Vec::new();
        for _ in 0..reader.count()? {
            let op = op_of_byte(reader.byte()?)?;
            let (name, value) = (reader.text()?, reader.text()?);
            matchers.push(Matcher::new(name, op, value).map_err(|_| Malformed)?);
        }
        Ok(Self { sequence, created_ms, range, matchers })
    }
}

fn op_byte(op: MatchOp) -> u8 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    }
}

fn op_of_byte(byte: u8) -> Result<MatchOp, Malformed> {
    Ok(match byte {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        _ => return Err(Malformed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_wrong_byte_is_told() {
        let matchers = [("a", "=", "1"), ("b", "!=", ""), ("c", "=~", "x|y.*"), ("d", "!~", "z")]
            .map(|(name, op, value)| Matcher::parse_pair(name, op, value).unwrap());
        let range = TimeRange::new(-5, i64::MAX);
        let whole = Tombstone { sequence: 9, created_ms: 77, range, matchers: matchers.into() };
        let mut bytes = Vec::new();
        whole.put(&mut bytes);
        assert_eq!(Tombstone::read(&mut Reader::new(&bytes)), Ok(whole));
        for len in 0..bytes.len() {
            assert_eq!(Tombstone::read(&mut Reader::new(&bytes[..len])), Err(Malformed));
        }
        assert_eq!(op_of_byte(4), Err(Malformed));
    }
}
