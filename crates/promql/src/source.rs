//! Where samples come from: the one seam between the language and a store.

use std::error::Error;

use muster_series::{Matcher, SeriesColumns, TimeRange};

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
#[error("reading series failed: {0}")]
pub struct SourceError(Box<dyn Error + Send + Sync>);

impl SourceError {
    /// Wraps the error of a store, or a message.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// What a query does with the series that it selects, so that a store may leave work out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectHints<'a> {
    /// Time between two evaluations, in milliseconds; 0 if there is one only.
    pub step_ms: i64,
    /// How far before each evaluation samples are looked at, in milliseconds: the window, or the lookback.
    pub window_ms: i64,
    /// The function of the window, for a range selector.
    pub function: Option<&'static str>,
    /// Whether only the newest sample of each series in the range is looked at, stale marker or not.
    pub newest_only: bool,
    /// The names of the labels that are looked at, if not all: a store may leave out the others, so that several series come
    /// with the same labels. Not sorted.
    pub labels: Option<&'a [String]>,
    /// Into how many parts the series may usefully be split; at least 1.
    pub parts: usize,
}

/// Series that are read one after another, on a thread of their own.
pub type SeriesPart<'a> = Box<dyn Iterator<Item = Result<SeriesColumns, SourceError>> + Send + 'a>;

/// The series that a source has selected.
pub struct Selected<'a> {
    /// Each series is in one of the parts, once. Equal selections should come in equal parts, since the
    /// last digits of a sum depend on its order.
    pub parts: Vec<SeriesPart<'a>>,
    /// How many samples lie in memory already; none of those that are only read as the parts are.
    pub held_samples: usize,
}

impl Selected<'_> {
    /// Series in memory, split into at most so many parts of as many series each. Small selections and
    /// those of short series stay in one: there is little to do for each series but to give its memory
    /// back, which threads would only do in turn.
    pub fn from_series(mut series: Vec<SeriesColumns>, parts: usize) -> Self {
        /// Fewer samples than this are worked off sooner than a thread is started for them.
        const SAMPLES_A_PART: usize = 250_000;
        const SAMPLES_A_SERIES: usize = 64;
        let held_samples: usize = series.iter().map(SeriesColumns::len).sum();
        let short = held_samples / SAMPLES_A_SERIES < series.len();
        let count = if short { 1 } else { (held_samples / SAMPLES_A_PART).clamp(1, parts.max(1)) };
        let mut split: Vec<SeriesPart<'static>> = Vec::with_capacity(count);
        for at in (1..count).rev() {
            let part = series.split_off(series.len() / (at + 1) * at);
            split.push(Box::new(part.into_iter().map(Ok)));
        }
        split.push(Box::new(series.into_iter().map(Ok)));
        split.reverse();
        Self { parts: split, held_samples }
    }
}

/// A store of series that PromQL can be evaluated over.
pub trait SeriesSource {
    /// The series that pass all `matchers`, with their samples in `range` (both ends included).
    ///
    /// Each label set comes at most once, in any order; series without samples in the range may be
    /// left out. Stale markers are kept.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError>;

    /// As [`Self::select`], where of each series only the newest sample is needed; others may be left out.
    fn select_last(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        self.select(matchers, range)
    }

    /// As [`Self::select`], in parts that may be read at the same time, each series only when its turn comes.
    ///
    /// This is what an evaluation calls. A store that can decode series one by one implements it, so that
    /// an aggregation over many of them never holds them all.
    fn select_parts(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        hints: &SelectHints<'_>,
    ) -> Result<Selected<'_>, SourceError> {
        let series = if hints.newest_only {
            self.select_last(matchers, range)?
        } else {
            self.select(matchers, range)?
        };
        Ok(Selected::from_series(series, hints.parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_series::Labels;

    #[track_caller]
    fn check(series: usize, samples: usize, parts: usize, expected: &[usize]) {
        let one = |n: usize| SeriesColumns {
            labels: Labels::empty().with("n", &n.to_string()),
            timestamps: (0..samples as i64).collect(),
            values: vec![1.0; samples],
        };
        let selected = Selected::from_series((0..series).map(one).collect(), parts);
        assert_eq!(selected.held_samples, series * samples);
        let mut names = Vec::new();
        let mut sizes = Vec::new();
        for part in selected.parts {
            let before = names.len();
            names.extend(part.map(|one| one.unwrap().labels.get("n").unwrap().to_owned()));
            sizes.push(names.len() - before);
        }
        assert_eq!(sizes, expected);
        assert_eq!(names, (0..series).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn long_series_are_split_in_order() {
        check(0, 0, 4, &[0]);
        check(3, 100, 4, &[3]);
        check(1000, 1000, 4, &[250, 250, 250, 250]);
        check(1000, 600, 4, &[500, 500]);
        check(1001, 600, 0, &[1001]);
        check(20_000, 40, 4, &[20_000]);
    }
}
