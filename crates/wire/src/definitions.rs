//! Series definitions: which number stands for which labels (docs/format/wire.md, "Series").
//!
//! Each definition is the number, the count of labels, then name and value of each label with their
//! lengths. Nothing is shared between definitions: the frame's compression does that better.

use muster_series::Labels;

use crate::varint::{self, Reader};
use crate::{Limits, WireError};

/// Appends the definition of one series.
pub(crate) fn encode(reference: u32, labels: &Labels, bytes: &mut Vec<u8>) {
    varint::put(bytes, u64::from(reference));
    varint::put(bytes, labels.len() as u64);
    for (name, value) in labels.iter() {
        for text in [name, value] {
            varint::put(bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
}

/// Whether labels keep to the limits.
pub(crate) fn check(labels: &Labels, limits: &Limits) -> Result<(), WireError> {
    limit("labels of a series", labels.len(), limits.labels_per_series)?;
    for (name, value) in labels.iter() {
        limit("bytes of a label name", name.len(), limits.label_name_bytes)?;
        limit("bytes of a label value", value.len(), limits.label_value_bytes)?;
    }
    Ok(())
}

/// Reads definitions. `defined` is how many numbers are in use so far: a definition may replace one
/// of those or take the next.
pub(crate) fn decode(
    bytes: &[u8],
    mut defined: usize,
    limits: &Limits,
) -> Result<Vec<(u32, Labels)>, WireError> {
    let mut reader = Reader::new(bytes, "series definition");
    let mut all = Vec::new();
    while !reader.is_empty() {
        let reference = reader.count()?;
        if reference > defined {
            return Err(reader.malformed("a number is skipped"));
        }
        limit("series of a session", reference + 1, limits.series)?;
        limit("definitions in a frame", all.len() + 1, limits.series)?;
        let count = reader.count()?;
        limit("labels of a series", count, limits.labels_per_series)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let name = text(&mut reader, "bytes of a label name", limits.label_name_bytes)?;
            let value = text(&mut reader, "bytes of a label value", limits.label_value_bytes)?;
            pairs.push((name, value));
        }
        all.push((reference as u32, Labels::from_pairs(pairs)?));
        defined = defined.max(reference + 1);
    }
    Ok(all)
}

fn text<'a>(
    reader: &mut Reader<'a>,
    what: &'static str,
    longest: usize,
) -> Result<&'a str, WireError> {
    let length = reader.count()?;
    limit(what, length, longest)?;
    std::str::from_utf8(reader.take(length)?)
        .map_err(|_| reader.malformed("a label is not valid UTF-8"))
}

fn limit(what: &'static str, got: usize, limit: usize) -> Result<(), WireError> {
    if got > limit { Err(WireError::Limit { what, limit, got }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[track_caller]
    fn check_limit(labels: &Labels, limits: Limits, what: &'static str) {
        let mut bytes = Vec::new();
        encode(0, labels, &mut bytes);
        let refused =
            |result| matches!(result, Err(WireError::Limit { what: got, .. }) if got == what);
        assert!(refused(decode(&bytes, 0, &limits).map(|_| ())), "decode");
        assert!(refused(check(labels, &limits)), "check");
    }

    #[test]
    fn definitions_come_back() {
        let up = labels(&[("__name__", "up")]);
        let disk = labels(&[("__name__", "disk"), ("ort", "Büro \"1\"")]);
        let mut bytes = Vec::new();
        encode(0, &up, &mut bytes);
        encode(1, &disk, &mut bytes);
        encode(0, &disk, &mut bytes);
        let expected = vec![(0, up), (1, disk.clone()), (0, disk)];
        assert_eq!(decode(&bytes, 0, &Limits::default()), Ok(expected));
    }

    #[test]
    fn each_limit_is_kept() {
        let two = labels(&[("name", "value"), ("x", "y")]);
        let limits = Limits::default();
        check_limit(&two, Limits { labels_per_series: 1, ..limits }, "labels of a series");
        check_limit(&two, Limits { label_name_bytes: 3, ..limits }, "bytes of a label name");
        check_limit(&two, Limits { label_value_bytes: 4, ..limits }, "bytes of a label value");
        let mut bytes = Vec::new();
        encode(0, &two, &mut bytes);
        encode(1, &two, &mut bytes);
        let few = Limits { series: 1, ..limits };
        assert!(matches!(decode(&bytes, 0, &few), Err(WireError::Limit { .. })));
    }

    #[test]
    fn numbers_are_not_skipped() {
        let mut bytes = Vec::new();
        encode(5, &Labels::empty(), &mut bytes);
        assert!(decode(&bytes, 4, &Limits::default()).is_err());
        assert!(decode(&bytes, 5, &Limits::default()).is_ok());
    }

    #[test]
    fn bad_labels_are_refused() {
        assert!(
            decode(&[0, 2, 1, b'a', 1, b'x', 1, b'a', 1, b'y'], 0, &Limits::default()).is_err()
        );
        assert!(decode(&[0, 1, 1, 0xff, 1, b'x'], 0, &Limits::default()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = decode(&bytes, 3, &Limits::default());
        }
    }
}
