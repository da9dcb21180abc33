//! Rules replayed over what is stored: when they would have fired, and what would have been sent.
//!
//! 1. The expression of each rule is evaluated as a range, a stretch of time after another, so that little is held at once.
//! 2. The real [`Judge`] takes the vectors step by step, as it would have then.
//! 3. What it posts goes to a [`Dispatcher`](muster_alerting::Dispatcher) with today's routes, whose clock is the replay's.
//!
//! Nothing is stored and nobody is told.

mod measures;
mod tally;

use std::collections::{BTreeSet, HashSet};

use muster_alerting::{
    BuiltIn, Context, DEFAULT_INTERVAL_MS, Judge, LevelChanges, Routing, Rule, RuleFile, RuleKind,
    RuleSource, Sample, Step, ThresholdScope, Thresholds,
};
use muster_api::BacktestResult;
use muster_series::{SeriesColumns, TimeRange, is_legacy_metric_name};

use crate::store::{MetricStore, QueryRun};
use measures::Measures;
use tally::{Tally, Watch};

/// The distances of two evaluations, in milliseconds, of which the first is taken that makes few enough of them.
const STEPS_MS: [i64; 7] = [15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000];
/// The most evaluations: a week at a minute.
const MAX_STEPS: i64 = 7 * 1_440;
/// Evaluations of the first stretch, which shows how many series there are.
const FIRST_STRETCH: i64 = 64;
const MAX_STRETCH: i64 = 2_500;
/// How many values of a rule are to be held at once.
const HELD_VALUES: i64 = 4_000_000;

/// What is replayed.
pub(crate) enum Wanted {
    /// A built-in rule, with what is to hold instead of what holds.
    BuiltIn(&'static BuiltIn, Thresholds),
    /// Rules of people.
    Own(RuleFile),
}

/// Whom the alerts would have been told.
pub(crate) struct Receivers {
    /// The routes.
    pub(crate) routing: Routing,
    /// The names of the channels.
    pub(crate) channels: BTreeSet<String>,
    /// What texts name this server by.
    pub(crate) external_url: String,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BacktestError {
    /// A rule cannot be evaluated.
    #[error("{rule}: {error}")]
    Rule {
        /// Which one.
        rule: String,
        /// What is wrong.
        error: String,
    },
    /// Somebody stopped it, or it took too long.
    #[error("the replay was stopped")]
    Stopped,
}

/// A rule as it is replayed.
struct Replayed {
    key: String,
    expr: String,
    offset_ms: i64,
    /// Whether it is the smallest value that is the worst.
    below: bool,
    /// Whether it fires at the first value of a series that passes a threshold.
    is_immediate: bool,
    /// The name of what it records, if it does.
    records: Option<String>,
    watch: Watch,
}

impl Replayed {
    /// What fires at once is short, and falls between two steps that are far apart: there the worst value since the step
    /// before stands for all. That is cheap for a series as it is stored, and means nothing where a rule waits.
    fn look_between(&mut self, step_ms: i64) {
        if self.is_immediate && is_legacy_metric_name(&self.expr) {
            let worst = if self.below { "min" } else { "max" };
            self.expr = format!("{worst}_over_time({}[{}s])", self.expr, step_ms / 1_000);
        }
    }
}

/// The thresholds of a rule where these changes hold for all hosts, and nothing of groups and hosts does.
pub(crate) fn tried(rule: &BuiltIn, now: &Thresholds, changes: LevelChanges) -> Thresholds {
    let all = now.layers(rule.id).into_iter().find(|(scope, _)| **scope == ThresholdScope::All);
    let mut levels = all.map(|(_, levels)| levels.clone()).unwrap_or_default();
    for (severity, change) in changes {
        let level = levels.entry(severity).or_default();
        level.enabled = change.enabled.or(level.enabled);
        level.threshold = change.threshold.or(level.threshold);
        level.for_ms = change.for_ms.or(level.for_ms);
    }
    let mut thresholds = Thresholds::default();
    thresholds.set(rule.id, ThresholdScope::All, levels);
    thresholds
}

/// Replays rules over a range, for all hosts or these alone. All but `took_seconds` of the result is set.
pub(crate) fn replay(
    (wanted, hosts): (Wanted, Option<HashSet<String>>),
    receivers: Receivers,
    range: TimeRange,
    store: &dyn MetricStore,
    run: &QueryRun,
) -> Result<BacktestResult, BacktestError> {
    let (mut judge, mut rules, interval_ms) = set_up(wanted);
    let step_ms = step_ms(range, interval_ms);
    if step_ms > interval_ms {
        for rule in &mut rules {
            rule.look_between(step_ms);
        }
    }
    let names = rules.iter().filter_map(|rule| rule.records.clone()).collect();
    let mut measures = Measures::new(store, run, step_ms, receivers.external_url.clone(), names);
    measures.hosts = hosts;
    let mut tally = Tally::new(receivers, range.start_ms);
    let first_ms = range.start_ms + (-range.start_ms).rem_euclid(step_ms);
    let (mut at_ms, mut steps) = (first_ms, FIRST_STRETCH);
    while at_ms <= range.end_ms {
        let last_ms = (at_ms + (steps - 1) * step_ms).min(range.end_ms);
        let last_ms = last_ms - (last_ms - at_ms) % step_ms;
        let stretch = TimeRange::new(at_ms, last_ms);
        let mut most = 1;
        for (number, rule) in rules.iter_mut().enumerate() {
            let series = replay_rule(rule, &mut judge, stretch, &mut measures)?;
            most = most.max(i64::try_from(series).unwrap_or(i64::MAX));
            tally.collect(number, rule.watch.take_events());
        }
        tally.tell(last_ms, run).ok_or(BacktestError::Stopped)?;
        at_ms = last_ms + step_ms;
        steps = (HELD_VALUES / most).clamp(FIRST_STRETCH, MAX_STRETCH);
    }
    for (number, rule) in rules.iter().enumerate() {
        tally.note_worst(number, &rule.watch);
    }
    Ok(tally.into_result(step_ms))
}

fn set_up(wanted: Wanted) -> (Judge, Vec<Replayed>, i64) {
    let (thresholds, built_in, sources) = match wanted {
        Wanted::BuiltIn(rule, thresholds) => (thresholds, vec![rule], vec![]),
        Wanted::Own(file) => {
            (Thresholds::default(), vec![], vec![RuleSource { name: "backtest".into(), file }])
        }
    };
    let mut judge = Judge::new(thresholds);
    judge.set_rules(&built_in, sources, &|_| BTreeSet::new(), 0);
    let groups = judge.groups().iter();
    let rules = groups.flat_map(|group| {
        group.rules.iter().map(|rule| {
            let (below, records) = match rule.kind() {
                RuleKind::Graded(graded) => (graded.rule.below, None),
                RuleKind::Own { rule, .. } => {
                    let is_recording = matches!(rule, Rule::Recording(_));
                    (
                        measures::wants_less(rule.expr()),
                        is_recording.then(|| rule.name().to_owned()),
                    )
                }
            };
            Replayed {
                key: rule.key.clone(),
                expr: rule.expr.clone(),
                offset_ms: group.query_offset_ms,
                below,
                is_immediate: is_immediate(rule.kind(), judge.thresholds()),
                records,
                watch: Watch::default(),
            }
        })
    });
    let rules = rules.collect();
    let interval_ms = judge.groups().iter().map(|group| group.timing.interval_ms).min();
    (judge, rules, interval_ms.unwrap_or(DEFAULT_INTERVAL_MS))
}

fn is_immediate(kind: &RuleKind, thresholds: &Thresholds) -> bool {
    let RuleKind::Graded(graded) = kind else { return false };
    let mut levels = graded.rule.levels.iter();
    levels.all(|level| thresholds.terms(graded.rule, level.severity, None).for_ms == 0)
}

/// How far apart evaluations are: as the rules say, or farther where there would be too many.
fn step_ms(range: TimeRange, interval_ms: i64) -> i64 {
    let length_ms = range.end_ms - range.start_ms;
    let fits = |step_ms: &i64| *step_ms >= interval_ms && length_ms / step_ms <= MAX_STEPS;
    STEPS_MS.into_iter().find(fits).unwrap_or(interval_ms.max(STEPS_MS[STEPS_MS.len() - 1]))
}

/// Replays a rule over a stretch; gives how many series its expression has there.
fn replay_rule(
    rule: &mut Replayed,
    judge: &mut Judge,
    stretch: TimeRange,
    measures: &mut Measures<'_>,
) -> Result<usize, BacktestError> {
    let named = |error: String| BacktestError::Rule {
        rule: rule.key.trim_start_matches("backtest/").to_owned(),
        error,
    };
    let shifted =
        TimeRange::new(stretch.start_ms - rule.offset_ms, stretch.end_ms - rule.offset_ms);
    let series = measures.over(&rule.expr, shifted);
    if measures.run.is_stopped() {
        return Err(BacktestError::Stopped);
    }
    let mut series = series.map_err(named)?;
    series.retain(|one| measures.concerns(&one.labels));
    let mut places = vec![0; series.len()];
    let mut at_ms = stretch.start_ms;
    while at_ms <= stretch.end_ms {
        if measures.run.is_stopped() {
            return Err(BacktestError::Stopped);
        }
        let query_at_ms = at_ms - rule.offset_ms;
        let vector = vector(&series, &mut places, query_at_ms);
        let ask = |text: &str| measures.instant(text, query_at_ms);
        let context = Context {
            query: Some(Box::new(ask)),
            external_url: measures.external_url.clone(),
            ..Context::default()
        };
        let (key, expr) = (rule.key.clone(), rule.expr.clone());
        let step = Step { key, expr, query_at_ms, at_ms };
        let outcome = judge.take(&step, Ok(vector), 0.0, &context);
        drop(context);
        if let Some(error) = outcome.failure {
            return Err(named(error));
        }
        if rule.records.is_some() {
            measures.record(at_ms, &outcome.samples, &outcome.ended).map_err(named)?;
        }
        let active = judge.rule(&rule.key).expect("the judge was given this rule").active();
        rule.watch.see(at_ms, outcome.posted, active, rule.below);
        at_ms += measures.step_ms;
    }
    Ok(series.len())
}

/// The values at an instant; `places` say how far each series has been read.
fn vector(series: &[SeriesColumns], places: &mut [usize], at_ms: i64) -> Vec<Sample> {
    let mut vector = Vec::new();
    for (one, place) in series.iter().zip(places) {
        if one.timestamps.get(*place) == Some(&at_ms) {
            vector.push(Sample { labels: one.labels.clone(), value: one.values[*place] });
            *place += 1;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use muster_alerting::{LevelChange, Severity, catalogue};

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn the_step_is_the_finest_that_makes_few_enough_evaluations() {
        for (days, interval_ms, expected_ms) in [
            (1, 15_000, 15_000),
            (1, 60_000, 60_000),
            (7, 15_000, 60_000),
            (7, 1_000, 60_000),
            (30, 15_000, 300_000),
            (90, 15_000, 900_000),
            (1, 3_600_000, 3_600_000),
        ] {
            let range = TimeRange::new(5, 5 + days * DAY_MS);
            assert_eq!(step_ms(range, interval_ms), expected_ms, "{days} d by {interval_ms}");
        }
    }

    #[test]
    fn what_is_tried_holds_for_all_hosts_on_top_of_what_holds_for_all() {
        let rule = catalogue().iter().find(|rule| rule.id == "disk_full").unwrap();
        let change = |threshold, for_ms| LevelChange { enabled: None, threshold, for_ms };
        let levels = |change| LevelChanges::from([(Severity::Warning, change)]);
        let mut now = Thresholds::default();
        now.set(rule.id, ThresholdScope::All, levels(change(Some(10.0), Some(7))));
        now.set(rule.id, ThresholdScope::Host("a".into()), levels(change(Some(20.0), None)));
        let tried = tried(rule, &now, levels(change(Some(3.0), None)));
        let terms = tried.terms(rule, Severity::Warning, Some("a"));
        assert_eq!((terms.threshold, terms.for_ms), (Some(3.0), 7));
    }
}
