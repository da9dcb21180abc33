//! A whole series at once, as a baseline would have judged it while it came: for what is read from a file or a store.

use crate::baseline::{Baseline, Outlook, Sensitivity};
use muster_series::Sample;

/// What is told within so long of the last is one episode.
const APART_MS: i64 = 3_600_000;

/// A stretch of time in which a series was unusual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episode {
    /// The time of the first unusual value, in milliseconds.
    pub from_ms: i64,
    /// The time of the last.
    pub to_ms: i64,
    /// The largest [`Outlook::lasting`] in it, in scales.
    pub peak: f64,
}

/// What is said of a whole series.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// One for each sample, in the order in which they were given; none for the first, for what is no usable number
    /// (see [`Baseline::update`]), and for a second value of the same time.
    pub outlooks: Vec<Option<Outlook>>,
    /// In order of time, at least an hour apart.
    pub episodes: Vec<Episode>,
}

/// Judges each sample by those before it alone, in order of time, however they are sorted. One number says how much is
/// unusual: [`Sensitivity::scales`].
///
/// ```
/// use muster_detect::{Sensitivity, judge};
/// use muster_series::Sample;
///
/// // Three weeks of hours, busy by day; one night as busy as a day.
/// let value = |hour: i64| {
///     let busy = (8..18).contains(&(hour % 24)) || (434..438).contains(&hour);
///     if busy { 60.0 } else { 20.0 + (hour * 7 % 5) as f64 }
/// };
/// let samples: Vec<Sample> = (0..21 * 24)
///     .map(|hour| Sample { timestamp_ms: hour * 3_600_000, value: value(hour) })
///     .collect();
/// let judged = judge(&samples, &Sensitivity { scales: 5.0, ..Sensitivity::default() });
/// let [.., episode] = judged.episodes[..] else { panic!() };
/// assert!((434..436).contains(&(episode.from_ms / 3_600_000)));
/// let band = judged.outlooks[434].unwrap();
/// assert!(band.upper < 60.0 && band.lasting >= 0.0);
/// ```
pub fn judge(samples: &[Sample], wanted: &Sensitivity) -> Judgement {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|at| samples[*at].timestamp_ms);
    let mut outlooks = vec![None; samples.len()];
    let mut episodes: Vec<Episode> = Vec::new();
    let mut known: Option<Baseline> = None;
    for at in order {
        let Sample { timestamp_ms, value } = samples[at];
        let Some(baseline) = &mut known else {
            known = Baseline::usable(value).then(|| Baseline::new(timestamp_ms, value));
            continue;
        };
        outlooks[at] = baseline.update(timestamp_ms, value, wanted);
        if let Some(found) = outlooks[at].filter(|found| found.unusual) {
            note(&mut episodes, timestamp_ms, found.lasting);
        }
    }
    Judgement { outlooks, episodes }
}

/// Adds an unusual value to the last episode, or begins one.
fn note(episodes: &mut Vec<Episode>, at_ms: i64, lasting: f64) {
    match episodes.last_mut() {
        Some(last) if at_ms.saturating_sub(last.to_ms) <= APART_MS => {
            (last.to_ms, last.peak) = (at_ms, last.peak.max(lasting));
        }
        _ => episodes.push(Episode { from_ms: at_ms, to_ms: at_ms, peak: lasting }),
    }
}
