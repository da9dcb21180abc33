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
    Resolver { index, scans: &ScanCache::new(0) }.all_of(matchers)
}

/// Finds series in an index; what it scans it keeps.
pub(crate) struct Resolver<'a> {
    pub(crate) index: &'a dyn LabelIndex,
    pub(crate) scans: &'a ScanCache,
}

/// How a matcher narrows the series.
enum Narrowing {
    /// Only these pass.
    Only(Arc<RoaringBitmap>),
    /// These do not pass.
    Without(Arc<RoaringBitmap>),
}

impl Resolver<'_> {
    /// The series that pass all matchers.
    ///
    /// 1. A matcher that a series without the label fails is a union over the values that pass; these are intersected,
    ///    equality first, as it is the narrowest and cheapest.
    /// 2. The others are a union over the values that fail, taken away at the end.
    pub(crate) fn all_of(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, TsdbError> {
        let mut sorted: Vec<&Matcher> = matchers.iter().collect();
        sorted.sort_by_key(|matcher| (matcher.matches_absent(), matcher.op() != MatchOp::Equal));
        let mut found: Option<RoaringBitmap> = None;
        for matcher in sorted {
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }
            found = Some(match (self.narrowing(matcher)?, found) {
                (Narrowing::Only(only), Some(found)) => found & &*only,
                (Narrowing::Only(only), None) => Arc::unwrap_or_clone(only),
                (Narrowing::Without(without), found) => {
                    found.unwrap_or_else(|| self.index.all()) - &*without
                }
            });
        }
        Ok(found.unwrap_or_else(|| self.index.all()))
    }

    /// The series that pass one of several sets of matchers; all, where there is no set.
    pub(crate) fn any_of(&self, matcher_sets: &[Vec<Matcher>]) -> Result<RoaringBitmap, TsdbError> {
        if matcher_sets.is_empty() {
            return Ok(self.index.all());
        }
        let mut union = RoaringBitmap::new();
        for matchers in matcher_sets {
            union |= self.all_of(matchers)?;
        }
        Ok(union)
    }

    fn narrowing(&self, matcher: &Matcher) -> Result<Narrowing, TsdbError> {
        let (name, value) = (matcher.name(), matcher.value());
        let negated = matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotRegex);
        let pattern = match matcher.op() {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::Literals(vec![value.to_owned()]),
            MatchOp::Regex | MatchOp::NotRegex => Pattern::reduce(value),
        };
        let plain = |value: &str| matcher.matches(value) != negated;
        // Whether the plain expression, not negated, matches the empty value, which a series without the label has.
        let absent_fits = matcher.matches_absent() != negated;
        let fits = if pattern.is_anything() {
            None
        } else if absent_fits {
            // Those that fit are all but those that have another value.
            Some(self.union(name, &pattern, value, Seek::Misfits, &plain)?)
        } else {
            Some(self.union(name, &pattern, value, Seek::Fits, &plain)?)
        };
        Ok(match (fits, negated) {
            (None, false) => Narrowing::Without(Arc::default()),
            (None, true) => Narrowing::Only(Arc::default()),
            (Some(series), _) if absent_fits == negated => Narrowing::Only(series),
            (Some(series), _) => Narrowing::Without(series),
        })
    }

    /// The series that have the label with a value that fits the pattern, or with one that does not.
    fn union(
        &self,
        name: &str,
        pattern: &Pattern,
        expression: &str,
        seek: Seek,
        plain: &dyn Fn(&str) -> bool,
    ) -> Result<Arc<RoaringBitmap>, TsdbError> {
        if let (Pattern::Literals(literals), Seek::Fits) = (pattern, seek) {
            let mut union = RoaringBitmap::new();
            for literal in literals {
                union |= self.index.equal(name, literal)?;
            }
            return Ok(Arc::new(union));
        }
        let (source, version) = self.index.source(name);
        let key = ScanKey { source, name: name.into(), expression: seek.key(expression) };
        if let Some(found) = self.scans.get(&key, version) {
            return Ok(found);
        }
        let mut union = RoaringBitmap::new();
        let prefix = if seek == Seek::Fits { pattern.prefix() } else { "" };
        self.index.each_value(name, prefix, &mut |value, series| {
            if pattern.matches(value, plain) == (seek == Seek::Fits) {
                series.add_to(&mut union);
            }
        })?;
        let union = Arc::new(union);
        self.scans.insert(key, version, Arc::clone(&union));
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
