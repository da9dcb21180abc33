//! The engine of rules: what is to be evaluated when, and what comes of it.
//!
//! It is a state machine without I/O and without PromQL.
//!
//! 1. [`Judge::set_rules`] gives it the rules, [`Judge::restore`] the alerts of before a restart.
//! 2. [`Judge::due`] and [`Judge::due_nudged`] say what to evaluate, in order: a rule may read what one before it stored.
//! 3. Each result goes to [`Judge::take`], which gives back samples to store, alerts to post, and states to keep.
//!
//! The first question of each round is which figures of hosts are unusual for the hour: some rules fire sooner then.
//!
//! Groups are spread over their interval by a hash of their names. A rule that came with Muster is evaluated once a turn; its
//! grades are compared here, each with the threshold that holds for the host. Rules with the same expression share a turn,
//! so that who evaluates can do so once.

mod graded;
mod group;
mod stored;
mod telling;
#[cfg(test)]
mod tests;
mod unusual;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::alerts::{Alert, Sample};
use crate::built_in::{BuiltIn, Thresholds};
use crate::posted::PostedAlert;
use crate::rule_file::RuleFile;
use crate::template::Context;
use group::Standing;
use unusual::UnusualFigures;

pub use group::{Group, JudgedRule, LastEvaluation, RuleKind, Timing};

/// The `kind` of the records that hold alerts' states.
pub const RULE_STATE: &str = "rule_state";
/// How often rules are evaluated that do not say, in milliseconds.
pub const DEFAULT_INTERVAL_MS: i64 = 15_000;
/// The shortest time between two evaluations of a rule, however often it is nudged, in milliseconds.
const NUDGE_EVERY_MS: i64 = 200;
/// A clock that is set back by less than this is waited for, in milliseconds.
const SET_BACK_MS: i64 = 1_000;
/// How far ahead of the server's clock a nudge may look, for hosts whose clocks are ahead, in milliseconds.
const AHEAD_MS: i64 = 5_000;

/// Names of the metrics that an expression reads.
pub type Reads<'a> = dyn Fn(&str) -> BTreeSet<String> + 'a;

/// Rules from one place.
#[derive(Debug, Clone)]
pub struct RuleSource {
    /// The file's path or the document's name.
    pub name: String,
    /// Its rules.
    pub file: RuleFile,
}

/// Rules that are to be evaluated one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The group's name.
    pub group: String,
    /// The rules, in order.
    pub steps: Vec<Step>,
    /// How many turns before this one were not evaluated in time.
    pub missed: u64,
}

/// A rule that is to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which rule.
    pub key: String,
    /// Its expression, in PromQL.
    pub expr: String,
    /// The instant at which the expression is evaluated, in milliseconds since 1970.
    pub query_at_ms: i64,
    /// The instant for which the result stands: that of the samples it makes.
    pub at_ms: i64,
}

/// What comes of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Samples to store, at the step's instant.
    pub samples: Vec<Sample>,
    /// Series that ended: they get a stale marker at the step's instant.
    pub ended: Vec<muster_series::Labels>,
    /// Alerts to post, those only of which there is something new.
    pub posted: Vec<PostedAlert>,
    /// Records of kind [`RULE_STATE`] to keep, by key.
    pub put: Vec<(String, Value)>,
    /// Keys of records that are not needed any more.
    pub remove: Vec<String>,
    /// Why there is no result, if so.
    pub failure: Option<String>,
}

impl Outcome {
    fn join(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.ended.extend(other.ended);
        self.posted.extend(other.posted);
        self.put.extend(other.put);
        self.remove.extend(other.remove);
    }
}

/// The rules in force, with the states of their alerts.
///
/// ```
/// use std::collections::BTreeSet;
/// use muster_alerting::{Context, Judge, RuleFile, RuleSource, Sample, Thresholds};
/// use muster_series::Labels;
///
/// let file = RuleFile::parse("groups: [{name: hosts, rules: [{alert: Down, expr: up == 0}]}]")?;
/// let mut judge = Judge::new(Thresholds::default());
/// judge.set_rules(&[], vec![RuleSource { name: "own".into(), file }], &|_| BTreeSet::from(["up".into()]), 0);
/// let turn = judge.due(60_000).remove(0);
/// let down = Sample { labels: Labels::from_pairs([("instance", "web-1")])?, value: 0.0 };
/// let outcome = judge.take(&turn.steps[0], Ok(vec![down]), 0.001, &Context::default());
/// assert_eq!(outcome.posted[0].labels["alertname"], "Down");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Judge {
    groups: Vec<Group>,
    /// Where a rule stands: its group and its place in it.
    places: HashMap<String, (usize, usize)>,
    /// Rules by the names of the metrics that they read.
    readers: HashMap<String, Vec<String>>,
    /// Rules that were nudged, with the newest instant that they are to see.
    nudged: HashMap<String, i64>,
    /// Alerts of before a restart whose rules did not come yet.
    restored: HashMap<String, Vec<Alert>>,
    spared_until_ms: i64,
    thresholds: Thresholds,
    unusual: UnusualFigures,
    /// The time of the last call.
    seen_ms: i64,
}

impl Judge {
    /// No rules yet.
    pub fn new(thresholds: Thresholds) -> Self {
        Self {
            groups: Vec::new(),
            places: HashMap::new(),
            readers: HashMap::new(),
            nudged: HashMap::new(),
            restored: HashMap::new(),
            spared_until_ms: i64::MIN,
            thresholds,
            unusual: UnusualFigures::none(),
            seen_ms: i64::MIN,
        }
    }

    /// Takes the states that were kept before a restart, by key. Until `spared_until_ms` none of these alerts ends because
    /// nothing is heard of it: the hosts have to come back first. Gives back what could not be read.
    pub fn restore(
        &mut self,
        states: impl IntoIterator<Item = (String, Value)>,
        spared_until_ms: i64,
    ) -> Vec<String> {
        self.spared_until_ms = spared_until_ms;
        let mut unreadable = Vec::new();
        for (key, value) in states {
            match stored::read(value) {
                Ok((rule, alert)) => self.restored.entry(rule).or_default().push(alert),
                Err(error) => unreadable.push(format!("{key}: {error}")),
            }
        }
        unreadable
    }

    /// Replaces all rules. One that is still there, by file, group and name, keeps its alerts; those of a rule that is gone end.
    pub fn set_rules(
        &mut self,
        built_in: &[&'static BuiltIn],
        sources: Vec<RuleSource>,
        reads: &Reads<'_>,
        now_ms: i64,
    ) -> Outcome {
        let mut former: HashMap<String, Standing> = HashMap::new();
        let mut times: HashMap<(String, String), Timing> = HashMap::new();
        for group in self.groups.drain(..) {
            times.insert((group.file.clone(), group.name.clone()), group.timing);
            former.extend(group.rules.into_iter().map(|rule| (rule.key.clone(), rule.standing)));
        }
        self.unusual.set_rules(built_in, now_ms);
        let mut groups = group::of_built_in(built_in);
        for source in sources {
            groups.extend(group::of_file(&source));
        }
        self.places.clear();
        self.readers.clear();
        for (at, group) in groups.iter_mut().enumerate() {
            let same = times.remove(&(group.file.clone(), group.name.clone()));
            match same.filter(|timing| timing.interval_ms == group.timing.interval_ms) {
                Some(timing) => group.timing = timing,
                None => group.timing.begin(&group.file, &group.name, now_ms),
            }
            for (place, rule) in group.rules.iter_mut().enumerate() {
                self.places.insert(rule.key.clone(), (at, place));
                for name in reads(&rule.expr).into_iter().filter(|_| rule.hears_nudges()) {
                    self.readers.entry(name).or_default().push(rule.key.clone());
                }
                if let Some(standing) = former.remove(&rule.key) {
                    rule.take_over(standing);
                }
                for alert in self.restored.remove(&rule.key).unwrap_or_default() {
                    rule.restore(alert, self.spared_until_ms);
                }
            }
        }
        self.groups = groups;
        self.nudged.retain(|key, _| self.places.contains_key(key));
        let mut outcome = Outcome::default();
        for (key, standing) in former {
            outcome.join(standing.end(&key, now_ms));
        }
        outcome
    }

    /// Forgets what was restored for rules that are not there any more; gives their records' keys.
    pub fn forget_orphans(&mut self) -> Vec<String> {
        let orphans = std::mem::take(&mut self.restored);
        let keys = |(rule, alerts): (String, Vec<Alert>)| {
            alerts.into_iter().map(move |alert| stored::key(&rule, &alert.labels))
        };
        orphans.into_iter().flat_map(keys).collect()
    }

    /// Sets what differs from the built-in thresholds; it holds from the next turn on.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    /// What differs from the built-in thresholds.
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// The groups whose turn it is.
    pub fn due(&mut self, now_ms: i64) -> Vec<Turn> {
        self.follow_clock(now_ms);
        let mut turns = Vec::new();
        // It comes first, for the others ask what came of it.
        if let Some(step) = self.unusual.due(now_ms) {
            turns.push(Turn { group: "unusual".into(), steps: vec![step], missed: 0 });
        }
        for group in &mut self.groups {
            let Some((at_ms, missed)) = group.timing.take_turn(now_ms) else { continue };
            for rule in &group.rules {
                self.nudged.remove(&rule.key);
            }
            let steps = group.rules.iter().map(|rule| rule.step(at_ms, group.query_offset_ms));
            turns.push(Turn { group: group.name.clone(), steps: steps.collect(), missed });
        }
        turns
    }

    /// Begins anew where the clock was set back: what was due at an hour that comes again is not waited for.
    fn follow_clock(&mut self, now_ms: i64) {
        let was_set_back = self.seen_ms.saturating_sub(now_ms) > SET_BACK_MS;
        self.seen_ms = now_ms;
        if !was_set_back {
            return;
        }
        self.unusual.begin(now_ms);
        for group in &mut self.groups {
            group.timing.begin(&group.file, &group.name, now_ms);
            for rule in &mut group.rules {
                rule.set_back(now_ms);
            }
        }
        for wanted_ms in self.nudged.values_mut() {
            *wanted_ms = now_ms.min(*wanted_ms);
        }
    }

    /// When the next group's turn is.
    pub fn next_due_ms(&self) -> Option<i64> {
        let groups = self.groups.iter().map(|group| group.timing.next_ms);
        groups.chain(self.unusual.next_ms()).min()
    }

    /// Samples of these metrics have come that cannot wait, the newest of `newest_ms`. Gives how many rules read them.
    pub fn nudge<'a>(
        &mut self,
        metrics: impl IntoIterator<Item = &'a str>,
        newest_ms: i64,
        now_ms: i64,
    ) -> usize {
        let at_ms = newest_ms.clamp(now_ms, now_ms + AHEAD_MS);
        let mut count = 0;
        for metric in metrics {
            for key in self.readers.get(metric).into_iter().flatten() {
                let wanted = self.nudged.entry(key.clone()).or_insert(at_ms);
                *wanted = at_ms.max(*wanted);
                count += 1;
            }
        }
        count
    }

    /// What a rule compares with has changed: it is evaluated at once. Says whether there is such a rule.
    pub fn hurry(&mut self, key: &str, now_ms: i64) -> bool {
        let is_known = self.places.contains_key(key);
        if is_known {
            self.nudged.entry(key.to_owned()).or_insert(now_ms);
        }
        is_known
    }

    /// The nudged rules that were not evaluated a moment ago; equal expressions stand together.
    pub fn due_nudged(&mut self, now_ms: i64) -> Option<Turn> {
        self.follow_clock(now_ms);
        let mut steps = Vec::new();
        let (groups, places) = (&mut self.groups, &self.places);
        self.nudged.retain(|key, wanted_ms| {
            let Some(&(group, place)) = places.get(key) else { return false };
            let offset_ms = groups[group].query_offset_ms;
            let rule = &mut groups[group].rules[place];
            if rule.nudge_allowed_ms() > now_ms {
                return true;
            }
            rule.nudge_taken_ms = Some(now_ms);
            steps.push(rule.step((*wanted_ms).max(now_ms), offset_ms));
            false
        });
        steps.sort_by(|a, b| a.expr.cmp(&b.expr).then_with(|| a.key.cmp(&b.key)));
        (!steps.is_empty()).then(|| Turn { group: "nudged".into(), steps, missed: 0 })
    }

    /// When the next nudged rule may be evaluated.
    pub fn next_nudged_ms(&self) -> Option<i64> {
        let rules = self.nudged.keys().filter_map(|key| self.rule(key));
        rules.map(JudgedRule::nudge_allowed_ms).min()
    }

    /// Takes the result of a step, which took `seconds`. An error leaves the alerts as they are. A step whose rule is gone, or
    /// that is older than what the rule has seen, changes nothing.
    pub fn take(
        &mut self,
        step: &Step,
        result: Result<Vec<Sample>, String>,
        seconds: f64,
        context: &Context<'_>,
    ) -> Outcome {
        if self.unusual.take(step, &result) {
            return Outcome::default();
        }
        let Some(&(group, place)) = self.places.get(&step.key) else { return Outcome::default() };
        let rule = &mut self.groups[group].rules[place];
        rule.take(step.at_ms, result, seconds, context, (&self.thresholds, &self.unusual))
    }

    /// All groups: those that came with Muster first.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// A rule by its key.
    pub fn rule(&self, key: &str) -> Option<&JudgedRule> {
        self.places.get(key).map(|&(group, place)| &self.groups[group].rules[place])
    }
}
