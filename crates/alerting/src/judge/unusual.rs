//! Which figures of which hosts are unusual for the hour, so that rules that ask need not hold for as long.
//!
//! What is learned of hosts is stored as scores; one query for all rules reads those that are above [`LEAST_SCORE`], with
//! each round of the rules. Where nothing is learned yet, nothing is unusual, and rules hold for their full times.

use std::collections::{BTreeSet, HashSet};

use super::group::Timing;
use super::{DEFAULT_INTERVAL_MS, Step};
use crate::alerts::Sample;
use crate::built_in::{BuiltIn, Unusual};
use crate::posted::INSTANCE;

/// The key of the step that asks.
const KEY: &str = "built-in/unusual";
/// From this score on a figure is unusual: that of the detector's own sensitivity.
const LEAST_SCORE: f64 = 5.0;

/// The unusual figures of hosts, as of the last answer.
#[derive(Debug)]
pub(super) struct UnusualFigures {
    /// The question; none where no rule asks.
    expr: Option<String>,
    timing: Timing,
    /// Figure and host.
    known: HashSet<(String, String)>,
}

impl UnusualFigures {
    pub(super) fn none() -> Self {
        Self { expr: None, timing: Timing::every(DEFAULT_INTERVAL_MS), known: HashSet::new() }
    }

    /// Asks for what these rules want to know.
    pub(super) fn set_rules(&mut self, rules: &[&'static BuiltIn], now_ms: i64) {
        let figures: BTreeSet<&str> =
            rules.iter().filter_map(|rule| rule.unusual).map(|unusual| unusual.metric).collect();
        let any = figures.into_iter().collect::<Vec<_>>().join("|");
        let expr = format!("muster_anomaly_score{{metric=~\"{any}\"}} > {LEAST_SCORE}");
        let expr = (!any.is_empty()).then_some(expr);
        if expr != self.expr {
            self.begin(now_ms);
            self.expr = expr;
        }
    }

    /// Sets when it is asked first.
    pub(super) fn begin(&mut self, now_ms: i64) {
        self.timing.begin(KEY, "", now_ms);
    }

    /// When it is to be asked next.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.expr.as_ref().map(|_| self.timing.next_ms)
    }

    /// The question, if it is due.
    pub(super) fn due(&mut self, now_ms: i64) -> Option<Step> {
        let expr = self.expr.clone()?;
        let (at_ms, _) = self.timing.take_turn(now_ms)?;
        Some(Step { key: KEY.into(), expr, query_at_ms: at_ms, at_ms })
    }

    /// Takes the answer, if `step` is the question. Where there is none, nothing is unusual: rules hold for longer then.
    pub(super) fn take(&mut self, step: &Step, result: &Result<Vec<Sample>, String>) -> bool {
        if step.key != KEY {
            return false;
        }
        let pair = |sample: &Sample| {
            Some((sample.labels.get("metric")?.to_owned(), sample.labels.get(INSTANCE)?.to_owned()))
        };
        self.known = result.iter().flatten().filter_map(pair).collect();
        true
    }

    /// How long a rule must have held on a host, where it is `for_ms` on an usual one.
    pub(super) fn for_ms(&self, of: Option<Unusual>, instance: Option<&str>, for_ms: i64) -> i64 {
        match (of, instance) {
            (Some(of), Some(instance)) if of.for_ms < for_ms && self.has(of.metric, instance) => {
                of.for_ms
            }
            _ => for_ms,
        }
    }

    fn has(&self, metric: &str, instance: &str) -> bool {
        !self.known.is_empty() && self.known.contains(&(metric.to_owned(), instance.to_owned()))
    }
}
