//! Matchers to a bitmap of series, over any index: the registry's or a block's.

use muster_series::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use crate::TsdbError;

/// Which series have which value of a label.
pub(crate) trait LabelIndex {
    /// Every series.
    fn all(&self) -> RoaringBitmap;

    /// The series whose label `name` is `value`, which is not empty.
    fn equal(&self, name: &str, value: &str) -> Result<RoaringBitmap, TsdbError>;

    /// Shows every value of the label `name` and the series that have it.
    fn each_value(
        &self,
        name: &str,
        visit: &mut dyn FnMut(&str, &RoaringBitmap),
    ) -> Result<(), TsdbError>;
}

/// The series that pass all matchers.
///
/// 1. A matcher that a series without the label fails is a union over the values that pass; these are intersected,
///    equality first, as it is the narrowest and cheapest.
/// 2. The others are a union over the values that fail, taken away at the end.
pub(crate) fn resolve(
    index: &dyn LabelIndex,
    matchers: &[Matcher],
) -> Result<RoaringBitmap, TsdbError> {
    let (excluding, mut including): (Vec<&Matcher>, Vec<&Matcher>) =
        matchers.iter().partition(|matcher| matcher.matches_absent());
    including.sort_by_key(|matcher| matcher.op() != MatchOp::Equal);
    let mut found: Option<RoaringBitmap> = None;
    for matcher in including {
        let passing = passing(index, matcher)?;
        let both = match found {
            Some(found) => found & passing,
            None => passing,
        };
        if both.is_empty() {
            return Ok(both);
        }
        found = Some(both);
    }
    let mut found = found.unwrap_or_else(|| index.all());
    for matcher in excluding {
        if found.is_empty() {
            break;
        }
        found -= failing(index, matcher)?;
    }
    Ok(found)
}

fn passing(index: &dyn LabelIndex, matcher: &Matcher) -> Result<RoaringBitmap, TsdbError> {
    if let Some(values) = exact_values(matcher) {
        let mut union = RoaringBitmap::new();
        for value in values {
            union |= index.equal(matcher.name(), value)?;
        }
        return Ok(union);
    }
    union_where(index, matcher, true)
}

fn failing(index: &dyn LabelIndex, matcher: &Matcher) -> Result<RoaringBitmap, TsdbError> {
    if matcher.op() == MatchOp::NotEqual {
        return index.equal(matcher.name(), matcher.value());
    }
    union_where(index, matcher, false)
}

fn union_where(
    index: &dyn LabelIndex,
    matcher: &Matcher,
    passes: bool,
) -> Result<RoaringBitmap, TsdbError> {
    let mut union = RoaringBitmap::new();
    index.each_value(matcher.name(), &mut |value, series| {
        if matcher.matches(value) == passes {
            union |= series;
        }
    })?;
    Ok(union)
}

/// The values that an including matcher lets pass, where they can be told without looking at the index:
/// `=`, and regular expressions that are only literals joined by `|`.
fn exact_values(matcher: &Matcher) -> Option<Vec<&str>> {
    match matcher.op() {
        MatchOp::Equal => Some(vec![matcher.value()]),
        MatchOp::Regex => {
            let literal = |text: &str| !text.contains(|c: char| r"\.+*?()[]{}^$".contains(c));
            literal(matcher.value()).then(|| matcher.value().split('|').collect())
        }
        MatchOp::NotEqual | MatchOp::NotRegex => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(op: &str, value: &str, expected: Option<&[&str]>) {
        let matcher = Matcher::parse_pair("l", op, value).unwrap();
        assert_eq!(exact_values(&matcher).as_deref(), expected);
    }

    #[test]
    fn literals_are_looked_up() {
        check("=", "a.b", Some(&["a.b"]));
        check("=~", "a|b", Some(&["a", "b"]));
        check("=~", "a.b", None);
        check("=~", "(a|b)", None);
        check("!=", "a", None);
    }
}
