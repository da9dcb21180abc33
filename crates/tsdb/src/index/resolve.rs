//! Matchers to a bitmap of series, over any index: the registry's or a block's.

use std::sync::Arc;

use muster_series::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::holders::Holders;
use super::pattern::Pattern;
use super::scans::{ScanCache, ScanKey};
use crate::TsdbError;

/// Which series have which value of a label.
pub(crate) trait LabelIndex {
    /// Every series.
    fn all(&self) -> RoaringBitmap;

    /// The series whose label `name` is `value`, which is not empty.
    fn equal(&self, name: &str, value: &str) -> Result<RoaringBitmap, TsdbError>;

    /// Shows every value of the label `name` that begins with `prefix`, and the series that have it.
    fn each_value(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, Holders<'_>),
    ) -> Result<(), TsdbError>;

    /// The number of this index, no other's in this process, and the version of the label `name` in it, which changes whenever a
    /// series gets or loses that label.
    fn source(&self, name: &str) -> (u64, u64);
}

/// The series that pass all matchers.
#[cfg(test)]
pub(crate) fn resolve(
    index: &dyn LabelIndex,
    matchers: &[Matcher],
) -> Result<RoaringBitmap, TsdbError> {
    Selection::new(matchers).find(index, &ScanCache::new(0))
}

/// Matchers that a series is to pass, all of them, made ready once for any number of indexes.
pub(crate) struct Selection<'a> {
    conditions: Vec<Condition<'a>>,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(matchers: &'a [Matcher]) -> Self {
        let mut conditions: Vec<Condition<'a>> = matchers.iter().map(Condition::new).collect();
        conditions.sort_by_key(|condition| {
            let matcher = condition.matcher;
            (matcher.matches_absent(), matcher.op() != MatchOp::Equal)
        });
        Self { conditions }
    }

    /// The series of an index that pass all matchers; what is scanned for it is kept.
    ///
    /// 1. A matcher that a series without the label fails is a union over the values that pass; these are intersected,
    ///    equality first, as it is the narrowest and cheapest.
    /// 2. The others are a union over the values that fail, taken away at the end.
    pub(crate) fn find(
        &self,
        index: &dyn LabelIndex,
        scans: &ScanCache,
    ) -> Result<RoaringBitmap, TsdbError> {
        let mut found: Option<RoaringBitmap> = None;
        for condition in &self.conditions {
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }
            found = Some(match (condition.narrowing(index, scans)?, found) {
                (Narrowing::Only(only), Some(found)) => found & &*only,
                (Narrowing::Only(only), None) => Arc::unwrap_or_clone(only),
                (Narrowing::Without(without), found) => {
                    found.unwrap_or_else(|| index.all()) - &*without
                }
            });
        }
        Ok(found.unwrap_or_else(|| index.all()))
    }

    /// The series that pass one of several selections; all, where there is none.
    pub(crate) fn find_any(
        selections: &[Self],
        index: &dyn LabelIndex,
        scans: &ScanCache,
    ) -> Result<RoaringBitmap, TsdbError> {
        if selections.is_empty() {
            return Ok(index.all());
        }
        let mut union = RoaringBitmap::new();
        for selection in selections {
            union |= selection.find(index, scans)?;
        }
        Ok(union)
    }
}

/// A matcher, and what it asks of values.
struct Condition<'a> {
    matcher: &'a Matcher,
    /// Whether a value is to pass that does not fit the pattern.
    negated: bool,
    pattern: Pattern,
}

/// How a matcher narrows the series.
enum Narrowing {
    /// Only these pass.
    Only(Arc<RoaringBitmap>),
    /// These do not pass.
    Without(Arc<RoaringBitmap>),
}

impl<'a> Condition<'a> {
    fn new(matcher: &'a Matcher) -> Self {
        let negated = matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotRegex);
        let pattern = match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::Literals(vec![matcher.value().into()]),
            MatchOp::Regex | MatchOp::NotRegex => Pattern::reduce(matcher.value()),
        };
        Self { matcher, negated, pattern }
    }

    fn narrowing(&self, index: &dyn LabelIndex, scans: &ScanCache) -> Result<Narrowing, TsdbError> {
        if self.pattern.is_anything() {
            let nothing = Arc::default();
            let only = Narrowing::Only;
            return Ok(if self.negated { only(nothing) } else { Narrowing::Without(nothing) });
        }
        // A series without the label has the empty value. Where that fits, those that fit are all but those that have
        // another value.
        let absent_fits = self.matcher.matches_absent() != self.negated;
        let seek = if absent_fits { Seek::Misfits } else { Seek::Fits };
        let series = self.union(index, scans, seek)?;
        Ok(if absent_fits == self.negated {
            Narrowing::Only(series)
        } else {
            Narrowing::Without(series)
        })
    }

    /// The series that have the label with a value that fits the pattern, or with one that does not.
    fn union(
        &self,
        index: &dyn LabelIndex,
        scans: &ScanCache,
        seek: Seek,
    ) -> Result<Arc<RoaringBitmap>, TsdbError> {
        let name = self.matcher.name();
        if let (Pattern::Literals(literals), Seek::Fits) = (&self.pattern, seek) {
            let mut union = RoaringBitmap::new();
            for literal in literals {
                union |= index.equal(name, literal)?;
            }
            return Ok(Arc::new(union));
        }
        let (source, version) = index.source(name);
        let expression = seek.key(self.matcher.value());
        let key = ScanKey { source, name: name.into(), expression };
        if let Some(found) = scans.get(&key, version) {
            return Ok(found);
        }
        let mut union = RoaringBitmap::new();
        let prefix = if seek == Seek::Fits { self.pattern.prefix() } else { "" };
        let plain = |value: &str| self.matcher.matches(value) != self.negated;
        index.each_value(name, prefix, &mut |value, series| {
            if self.pattern.matches(value, plain) == (seek == Seek::Fits) {
                series.add_to(&mut union);
            }
        })?;
        let union = Arc::new(union);
        scans.insert(key, version, Arc::clone(&union));
        Ok(union)
    }
}

/// Which values of a label are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seek {
    Fits,
    Misfits,
}

impl Seek {
    /// Names a scan for values; one character tells the two from each other.
    fn key(self, expression: &str) -> Box<str> {
        let mark = match self {
            Self::Fits => '+',
            Self::Misfits => '-',
        };
        format!("{mark}{expression}").into()
    }
}
