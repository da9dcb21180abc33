//! Groups of rules as they are judged: their turns, and what each rule knows.

use std::collections::{BTreeMap, BTreeSet};

use muster_series::Labels;

use super::graded::Graded;
use super::telling::{Teller, tell};
use super::unusual::UnusualFigures;
use super::{DEFAULT_INTERVAL_MS, NUDGE_EVERY_MS, Outcome, RuleSource, Step};
use crate::alerts::{Alert, Alerts, Sample};
use crate::built_in::{BuiltIn, Thresholds};
use crate::posted::fnv;
use crate::recording::record;
use crate::rule_file::{Rule, RuleGroup};
use crate::template::Context;

/// No group is evaluated more often, in milliseconds, whatever its file says.
const LEAST_INTERVAL_MS: i64 = 1_000;
/// The file's name of the groups that came with Muster.
const BUILT_IN: &str = "built-in";

/// Rules that are evaluated one after the other.
pub struct Group {
    /// The file's path, the document's name, or `built-in`.
    pub file: String,
    /// Its name, unique in the file.
    pub name: String,
    /// How far before the instant expressions are evaluated, in milliseconds.
    pub query_offset_ms: i64,
    /// The most series or alerts of a rule; 0 for any number.
    pub limit: usize,
    /// When it is its turn.
    pub timing: Timing,
    /// The rules, in order.
    pub rules: Vec<JudgedRule>,
}

/// When a group is evaluated.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How often, in milliseconds.
    pub interval_ms: i64,
    /// When next.
    pub next_ms: i64,
    /// When last, if ever.
    pub last_ms: Option<i64>,
    /// How many turns were not evaluated in time.
    pub missed: u64,
}

impl Timing {
    pub(super) fn every(interval_ms: i64) -> Self {
        Self { interval_ms: interval_ms.max(1), next_ms: 0, last_ms: None, missed: 0 }
    }

    /// Sets the first turn: at the group's own place in the interval, so that groups do not all come at once.
    pub(super) fn begin(&mut self, file: &str, name: &str, now_ms: i64) {
        let hash = fnv([file, name]) >> 1;
        let place = i64::try_from(hash).unwrap_or(0).rem_euclid(self.interval_ms);
        let slot = now_ms - now_ms.rem_euclid(self.interval_ms) + place;
        self.next_ms = if slot < now_ms { slot + self.interval_ms } else { slot };
    }

    /// The instant of the turn, if one is due, and how many were missed before it.
    pub(super) fn take_turn(&mut self, now_ms: i64) -> Option<(i64, u64)> {
        if now_ms < self.next_ms {
            return None;
        }
        let missed = (now_ms - self.next_ms) / self.interval_ms;
        let at_ms = self.next_ms + missed * self.interval_ms;
        self.next_ms = at_ms + self.interval_ms;
        self.last_ms = Some(at_ms);
        let missed = missed.unsigned_abs();
        self.missed += missed;
        Some((at_ms, missed))
    }
}

/// What kind of rule it is, with the states of its alerts.
pub enum RuleKind {
    /// Of a file.
    Own {
        /// As it is written.
        rule: Rule,
        /// The states of its alerts; none if it records.
        alerts: Alerts,
    },
    /// Came with Muster.
    Graded(Graded),
}

/// A rule, with all that is known of it.
pub struct JudgedRule {
    /// Its name among all rules: `FILE/GROUP/NAME`, or `built-in/ID`; what has the same name has `#2` and so on behind it.
    pub key: String,
    /// Its expression, in PromQL.
    pub expr: String,
    pub(super) nudge_taken_ms: Option<i64>,
    pub(super) standing: Standing,
}

/// What is known of a rule and stays when rules are read anew.
pub(super) struct Standing {
    kind: RuleKind,
    /// The series that it yielded last.
    yielded: BTreeSet<Labels>,
    /// The newest instant that was judged.
    at_ms: i64,
    /// What came of the last evaluation.
    last: LastEvaluation,
}

/// What came of a rule's evaluations.
#[derive(Debug, Clone, Default)]
pub struct LastEvaluation {
    /// The instant of the last one, in milliseconds since 1970; none before the first.
    pub at_ms: Option<i64>,
    /// How long it took.
    pub seconds: f64,
    /// How long all of them took.
    pub total_seconds: f64,
    /// How many there were.
    pub count: u64,
    /// How many failed.
    pub failed: u64,
    /// Why the last one failed, if so.
    pub failure: Option<String>,
}

/// The groups of what came with Muster: rules with the same expression are one group.
pub(super) fn of_built_in(rules: &[&'static BuiltIn]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for rule in rules {
        let judged = JudgedRule::new(
            format!("{BUILT_IN}/{}", rule.id),
            rule.expr,
            RuleKind::Graded(Graded::new(rule)),
        );
        match groups.iter_mut().find(|group| group.rules[0].expr == rule.expr) {
            Some(group) => group.rules.push(judged),
            None => groups.push(Group {
                file: BUILT_IN.into(),
                name: rule.id.into(),
                query_offset_ms: 0,
                limit: 0,
                timing: Timing::every(DEFAULT_INTERVAL_MS),
                rules: vec![judged],
            }),
        }
    }
    groups
}

/// The groups of a file.
pub(super) fn of_file(source: &RuleSource) -> Vec<Group> {
    let group = |group: &RuleGroup| {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        let mut rules = Vec::new();
        for rule in &group.rules {
            let use_ = uses.entry(rule.name()).or_default();
            *use_ += 1;
            let mut key = format!("{}/{}/{}", source.name, group.name, rule.name());
            if *use_ > 1 {
                key = format!("{key}#{use_}");
            }
            let kind = RuleKind::Own { rule: rule.clone(), alerts: Alerts::default() };
            rules.push(JudgedRule::new(key, rule.expr(), kind));
        }
        Group {
            file: source.name.clone(),
            name: group.name.clone(),
            query_offset_ms: group.query_offset_ms,
            limit: group.limit,
            timing: Timing::every(
                group.interval_ms.unwrap_or(DEFAULT_INTERVAL_MS).max(LEAST_INTERVAL_MS),
            ),
            rules,
        }
    };
    source.file.groups.iter().map(group).collect()
}

impl JudgedRule {
    fn new(key: String, expr: &str, kind: RuleKind) -> Self {
        let standing = Standing {
            kind,
            yielded: BTreeSet::new(),
            at_ms: i64::MIN,
            last: LastEvaluation::default(),
        };
        Self { key, expr: expr.to_owned(), nudge_taken_ms: None, standing }
    }

    /// What kind of rule it is.
    pub fn kind(&self) -> &RuleKind {
        &self.standing.kind
    }

    /// What came of its evaluations.
    pub fn last(&self) -> &LastEvaluation {
        &self.standing.last
    }

    /// Its alerts that hold, or still fire.
    pub fn active(&self) -> Box<dyn Iterator<Item = &Alert> + '_> {
        match &self.standing.kind {
            RuleKind::Own { alerts, .. } => Box::new(alerts.active()),
            RuleKind::Graded(graded) => Box::new(graded.alerts().flat_map(Alerts::active)),
        }
    }

    /// Whether it is worth evaluating as soon as one of its metrics has something urgent.
    pub(super) fn hears_nudges(&self) -> bool {
        match &self.standing.kind {
            RuleKind::Own { rule, .. } => rule.as_alerting().is_some(),
            RuleKind::Graded(graded) => graded.rule.nudged,
        }
    }

    pub(super) fn nudge_allowed_ms(&self) -> i64 {
        self.nudge_taken_ms.map_or(i64::MIN, |taken_ms| taken_ms + NUDGE_EVERY_MS)
    }

    /// The evaluation for an instant; later than all before it.
    pub(super) fn step(&self, at_ms: i64, query_offset_ms: i64) -> Step {
        let at_ms = at_ms.max(self.standing.at_ms.saturating_add(1));
        let (key, expr) = (self.key.clone(), self.expr.clone());
        Step { key, expr, query_at_ms: at_ms - query_offset_ms, at_ms }
    }

    /// The clock was set back to `now_ms`: nothing that is known of the rule is later.
    pub(super) fn set_back(&mut self, now_ms: i64) {
        self.nudge_taken_ms = None;
        self.standing.at_ms = self.standing.at_ms.min(now_ms);
        let last = &mut self.standing.last.at_ms;
        *last = last.map(|at_ms| at_ms.min(now_ms));
        match &mut self.standing.kind {
            RuleKind::Own { alerts, .. } => alerts.set_back(now_ms),
            RuleKind::Graded(graded) => graded.alerts_mut().for_each(|all| all.set_back(now_ms)),
        }
    }

    /// Takes over what was known of the rule before the rules were read anew.
    pub(super) fn take_over(&mut self, former: Standing) {
        let kind = match (&mut self.standing.kind, former.kind) {
            (RuleKind::Own { rule, .. }, RuleKind::Own { alerts, .. }) => {
                RuleKind::Own { rule: rule.clone(), alerts }
            }
            (_, kind) => kind,
        };
        self.standing = Standing { kind, ..former };
    }

    pub(super) fn restore(&mut self, alert: Alert, spared_until_ms: i64) {
        match &mut self.standing.kind {
            RuleKind::Own { alerts, .. } => alerts.restore(alert, spared_until_ms),
            RuleKind::Graded(graded) => graded.restore(alert, spared_until_ms),
        }
    }

    pub(super) fn take(
        &mut self,
        at_ms: i64,
        result: Result<Vec<Sample>, String>,
        seconds: f64,
        context: &Context<'_>,
        terms: (&Thresholds, &UnusualFigures),
    ) -> Outcome {
        let Standing { kind, yielded, at_ms: newest_ms, last } = &mut self.standing;
        if at_ms <= *newest_ms {
            return Outcome::default();
        }
        *newest_ms = at_ms;
        last.at_ms = Some(at_ms);
        last.seconds = seconds;
        last.total_seconds += seconds;
        last.count += 1;
        let judged = result.and_then(|vector| match kind {
            RuleKind::Own { rule: Rule::Recording(rule), .. } => {
                record(rule, &vector).map_err(|error| error.to_string())
            }
            RuleKind::Own { rule: Rule::Alerting(rule), alerts } => {
                alerts.evaluate(rule, at_ms, &vector, context).map_err(|error| error.to_string())
            }
            RuleKind::Graded(graded) => Ok(graded.evaluate(at_ms, &vector, context, terms)),
        });
        let mut outcome = told(kind, &self.key, &self.expr, at_ms);
        last.failure = judged.as_ref().err().cloned();
        last.failed += u64::from(judged.is_err());
        outcome.failure.clone_from(&last.failure);
        // What was yielded before stays as it is where there is no result; it becomes stale by itself.
        let Ok(samples) = judged else { return outcome };
        let now: BTreeSet<Labels> = samples.iter().map(|one| one.labels.clone()).collect();
        outcome.ended = yielded.difference(&now).cloned().collect();
        outcome.samples = samples;
        *yielded = now;
        outcome
    }
}

impl Standing {
    /// Ends all alerts and series, as the rule is gone.
    pub(super) fn end(mut self, key: &str, at_ms: i64) -> Outcome {
        match &mut self.kind {
            RuleKind::Own { alerts, .. } => alerts.end_all(at_ms),
            RuleKind::Graded(graded) => graded.end_all(at_ms),
        }
        let mut outcome = told(&mut self.kind, key, "", at_ms);
        outcome.ended = self.yielded.into_iter().collect();
        outcome
    }
}

/// What is new of a rule's alerts.
fn told(kind: &mut RuleKind, key: &str, expr: &str, at_ms: i64) -> Outcome {
    let mut outcome = Outcome::default();
    match kind {
        RuleKind::Own { alerts, .. } => {
            tell(alerts, &Teller { key, expr, unit: "", at_ms }, &mut outcome);
        }
        RuleKind::Graded(graded) => {
            let teller = Teller { key, expr, unit: graded.rule.unit, at_ms };
            for alerts in graded.alerts_mut() {
                tell(alerts, &teller, &mut outcome);
            }
        }
    }
    outcome
}
