//! Label sets: the identity of a series.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::packed::{self, Pairs};

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// Why a label set was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// A label without a name.
    #[error("a label has an empty name; give every label a name")]
    EmptyName,
    /// The same label twice.
    #[error("label {0:?} is given twice; give each label once")]
    Duplicate(String),
}

/// A set of labels, sorted by name, each name once, no empty values (an empty value means "absent").
///
/// Cloning is cheap: the set is shared.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        Self::pack([].into_iter())
    }

    /// A label set from pairs in any order; pairs with an empty value are left out.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let given: Vec<(N, V)> = pairs.into_iter().collect();
        let mut pairs: Vec<(&str, &str)> =
            given.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_unstable();
        }
        for two in pairs.windows(2) {
            if two[0].0 == two[1].0 {
                return Err(LabelError::Duplicate(two[0].0.to_string()));
            }
        }
        if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err(LabelError::EmptyName);
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self::pack(pairs.iter().copied()))
    }

    /// A label set from pairs that come by name, each name once, with no empty name and no empty value: the quick way for
    /// what a store holds. `None` if they are otherwise.
    pub fn from_sorted<'a>(
        pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Option<Self> {
        // The empty name comes before all others, so no label may have it.
        let mut before = "";
        let valid = pairs.clone().all(|(name, value)| {
            let rises = before < name && !value.is_empty();
            before = name;
            rises
        });
        valid.then(|| Self::pack(pairs))
    }

    fn pack<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        Self(packed::pack(pairs).into())
    }

    /// The value of `name`, if the set has that label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The metric name, if the set has one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Name and value of every label, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.pairs()
    }

    fn pairs(&self) -> Pairs<'_> {
        Pairs::new(&self.0)
    }

    /// How many labels the set has.
    pub fn len(&self) -> usize {
        packed::count(&self.0)
    }

    /// Whether the set has no label at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// This set with `name` set to `value`; an empty value removes the label.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs: Vec<(&str, &str)> = self.pairs().filter(|(own, _)| *own != name).collect();
        if !value.is_empty() {
            let at = pairs.partition_point(|(own, _)| *own < name);
            pairs.insert(at, (name, value));
        }
        Self::pack(pairs.iter().copied())
    }

    /// This set without the metric name.
    #[must_use]
    pub fn without_metric_name(&self) -> Self {
        self.filtered(|name| name != METRIC_NAME)
    }

    /// The labels of this set whose name passes `keep`.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept: Vec<(&str, &str)> = self.pairs().filter(|(name, _)| keep(name)).collect();
        if kept.len() == self.len() {
            return self.clone();
        }
        Self::pack(kept.iter().copied())
    }

    /// A 64-bit xxh3 of names and values. Equal sets have equal fingerprints; the reverse is very
    /// likely, not certain.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for (name, value) in self.iter() {
            hasher.update(name.as_bytes());
            hasher.update(&[0xff]);
            hasher.update(value.as_bytes());
            hasher.update(&[0xff]);
        }
        hasher.digest()
    }
}

impl Ord for Labels {
    /// By the first label that differs: its name, then its value; a set comes after those that it begins with.
    fn cmp(&self, other: &Self) -> Ordering {
        packed::compare(&self.0, &other.0)
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Labels {
    /// The set as PromQL writes it: `name{label="value"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name().filter(|name| is_legacy_metric_name(name));
        if let Some(name) = name {
            f.write_str(name)?;
        }
        let mut rest = self.iter().filter(|(n, _)| name.is_none() || *n != METRIC_NAME).peekable();
        if name.is_some() && rest.peek().is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, (n, v)) in rest.enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(n) {
                f.write_str(n)?;
            } else {
                write_quoted(f, n)?;
            }
            f.write_str("=")?;
            write_quoted(f, v)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// Whether `name` fits `[a-zA-Z_][a-zA-Z0-9_]*` and so needs no quotes in PromQL.
pub fn is_legacy_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `name` fits `[a-zA-Z_:][a-zA-Z0-9_:]*` and so needs no quotes in PromQL.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn order_of_pairs_does_not_matter() {
        let one = labels(&[("b", "2"), ("a", "1")]);
        let other = labels(&[("a", "1"), ("b", "2")]);
        assert_eq!(one, other);
        assert_eq!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn an_empty_value_is_an_absent_label() {
        assert_eq!(labels(&[("a", ""), ("b", "2")]), labels(&[("b", "2")]));
        assert_eq!(labels(&[("a", "1")]).with("a", ""), Labels::empty());
    }

    #[test]
    fn names_are_unique_and_not_empty() {
        let twice = Labels::from_pairs([("a", "1"), ("a", "2")]);
        assert_eq!(twice, Err(LabelError::Duplicate("a".into())));
        assert_eq!(Labels::from_pairs([("", "1")]), Err(LabelError::EmptyName));
    }

    #[test]
    fn sets_are_ordered_label_by_label() {
        let mut sets = [
            labels(&[("b", "1")]),
            labels(&[("a", "2")]),
            labels(&[("a", "10"), ("b", "1")]),
            labels(&[("a", "10")]),
            Labels::empty(),
        ];
        sets.sort();
        let texts: Vec<String> = sets.iter().map(Labels::to_string).collect();
        assert_eq!(texts, ["{}", r#"{a="10"}"#, r#"{a="10", b="1"}"#, r#"{a="2"}"#, r#"{b="1"}"#]);
    }

    #[test]
    fn only_what_is_sorted_and_whole_is_taken_as_it_stands() {
        let sorted = |pairs: &[(&str, &str)]| Labels::from_sorted(pairs.to_vec().iter().copied());
        assert_eq!(sorted(&[("a", "1"), ("b", "2")]), Some(labels(&[("a", "1"), ("b", "2")])));
        assert_eq!(sorted(&[("b", "1"), ("a", "2")]), None);
        assert_eq!(sorted(&[("a", "1"), ("a", "2")]), None);
        assert_eq!(sorted(&[("", "1")]), None);
        assert_eq!(sorted(&[("a", "")]), None);
    }

    #[test]
    fn a_boundary_between_name_and_value_is_part_of_the_fingerprint() {
        assert_ne!(labels(&[("ab", "c")]).fingerprint(), labels(&[("a", "bc")]).fingerprint());
    }

    #[test]
    fn display_is_promql() {
        assert_eq!(labels(&[("__name__", "up")]).to_string(), "up");
        assert_eq!(labels(&[("a", "x\"\n\\")]).to_string(), r#"{a="x\"\n\\"}"#);
        assert_eq!(
            labels(&[("__name__", "disk.free"), ("von wo", "b")]).to_string(),
            r#"{__name__="disk.free", "von wo"="b"}"#
        );
    }
}
