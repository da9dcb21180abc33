//! What people changed of the grades of rules: for all hosts, then for groups, then for a host, the last one counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{BuiltIn, Severity, Terms};

/// For whom something differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThresholdScope {
    /// For all hosts.
    All,
    /// For the hosts of a group.
    Group(String),
    /// For a host, by its `instance`.
    Host(String),
}

/// What differs of a grade; what is none stays as the weaker layer has it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LevelChange {
    /// See [`Terms::enabled`].
    pub enabled: Option<bool>,
    /// See [`Terms::threshold`]. The value where it clears moves in proportion. A grade that compares nothing ignores it.
    pub threshold: Option<f64>,
    /// See [`Terms::for_ms`].
    pub for_ms: Option<i64>,
}

/// What differs in one layer, by grade.
pub type LevelChanges = BTreeMap<Severity, LevelChange>;

/// The layers over the defaults of the rules.
#[derive(Debug, Clone, Default)]
pub struct Thresholds {
    /// By rule; those without changes are absent.
    rules: HashMap<String, HashMap<ThresholdScope, LevelChanges>>,
    /// The groups of a host, the strongest last.
    groups: HashMap<String, Vec<String>>,
}

impl Thresholds {
    /// Sets what differs of a rule in a scope; nothing takes the layer away.
    pub fn set(&mut self, rule: &str, scope: ThresholdScope, changes: LevelChanges) {
        let layers = self.rules.entry(rule.to_owned()).or_default();
        if changes.is_empty() {
            layers.remove(&scope);
        } else {
            layers.insert(scope, changes);
        }
        if layers.is_empty() {
            self.rules.remove(rule);
        }
    }

    /// Says which groups a host is in, the one that counts most last.
    pub fn set_groups(&mut self, instance: &str, groups: Vec<String>) {
        if groups.is_empty() {
            self.groups.remove(instance);
        } else {
            self.groups.insert(instance.to_owned(), groups);
        }
    }

    /// The hosts of a group.
    pub fn hosts_of(&self, group: &str) -> HashSet<String> {
        let members = self.groups.iter().filter(|(_, of)| of.iter().any(|one| one == group));
        members.map(|(instance, _)| instance.clone()).collect()
    }

    /// What differs of a rule, all first, then groups, then hosts.
    pub fn layers(&self, rule: &str) -> Vec<(&ThresholdScope, &LevelChanges)> {
        let mut layers: Vec<_> = self.rules.get(rule).into_iter().flatten().collect();
        layers.sort_by_key(|(scope, _)| *scope);
        layers
    }

    /// What holds for a host in a grade of a rule; without a host, what holds for all. A grade that the rule does not have
    /// is not judged.
    pub fn terms(&self, rule: &BuiltIn, severity: Severity, instance: Option<&str>) -> Terms {
        let Some(level) = rule.levels.iter().find(|level| level.severity == severity) else {
            return Terms {
                enabled: false,
                threshold: None,
                clear: None,
                for_ms: 0,
                keep_firing_for_ms: 0,
            };
        };
        let mut terms = Terms {
            enabled: true,
            threshold: level.threshold,
            clear: level.clear,
            for_ms: level.for_ms,
            keep_firing_for_ms: level.keep_firing_for_ms,
        };
        let Some(layers) = self.rules.get(rule.id) else { return terms };
        let mut apply = |scope: &ThresholdScope| {
            if let Some(change) = layers.get(scope).and_then(|changes| changes.get(&severity)) {
                change.apply(&mut terms);
            }
        };
        apply(&ThresholdScope::All);
        if let Some(instance) = instance {
            for group in self.groups.get(instance).into_iter().flatten() {
                apply(&ThresholdScope::Group(group.clone()));
            }
            apply(&ThresholdScope::Host(instance.to_owned()));
        }
        terms
    }
}

impl LevelChange {
    fn apply(&self, terms: &mut Terms) {
        terms.enabled = self.enabled.unwrap_or(terms.enabled);
        terms.for_ms = self.for_ms.unwrap_or(terms.for_ms);
        if let (Some(to), Some(from)) = (self.threshold, terms.threshold) {
            let moved =
                |clear: f64| if from == 0.0 { clear - from + to } else { clear * (to / from) };
            terms.clear = terms.clear.map(moved);
            terms.threshold = Some(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::built_in::catalogue;

    fn change(threshold: f64) -> LevelChanges {
        let change = LevelChange { threshold: Some(threshold), ..LevelChange::default() };
        BTreeMap::from([(Severity::Warning, change)])
    }

    fn disk_full() -> &'static BuiltIn {
        catalogue().iter().find(|rule| rule.id == "disk_full").unwrap()
    }

    #[track_caller]
    fn check(thresholds: &Thresholds, instance: Option<&str>, expected: (f64, f64)) {
        let terms = thresholds.terms(disk_full(), Severity::Warning, instance);
        let got = (terms.threshold.unwrap(), terms.clear.unwrap());
        let is_near = |(one, other): (f64, f64)| (one - other).abs() < 1e-9;
        assert!(is_near((got.0, expected.0)) && is_near((got.1, expected.1)), "{got:?}");
    }

    #[test]
    fn a_host_counts_more_than_a_group_and_a_group_more_than_all() {
        let mut thresholds = Thresholds::default();
        check(&thresholds, Some("a"), (5.0, 7.0));
        thresholds.set("disk_full", ThresholdScope::All, change(10.0));
        check(&thresholds, Some("a"), (10.0, 14.0));
        check(&thresholds, None, (10.0, 14.0));
        thresholds.set_groups("a", vec!["db".into(), "small".into()]);
        thresholds.set("disk_full", ThresholdScope::Group("db".into()), change(20.0));
        check(&thresholds, Some("a"), (20.0, 28.0));
        thresholds.set("disk_full", ThresholdScope::Group("small".into()), change(15.0));
        check(&thresholds, Some("a"), (15.0, 21.0));
        thresholds.set("disk_full", ThresholdScope::Host("a".into()), change(2.5));
        check(&thresholds, Some("a"), (2.5, 3.5));
        check(&thresholds, Some("b"), (10.0, 14.0));
        let scopes = thresholds.layers("disk_full").into_iter().map(|(scope, _)| scope.clone());
        assert_eq!(scopes.collect::<Vec<_>>().len(), 4);
        assert_eq!(thresholds.layers("disk_full")[0].0, &ThresholdScope::All);
    }

    #[test]
    fn a_layer_taken_away_or_for_another_grade_changes_nothing() {
        let mut thresholds = Thresholds::default();
        thresholds.set("disk_full", ThresholdScope::All, change(10.0));
        let critical = thresholds.terms(disk_full(), Severity::Critical, Some("a"));
        assert_eq!(critical.threshold, Some(2.0));
        thresholds.set("disk_full", ThresholdScope::All, LevelChanges::new());
        check(&thresholds, Some("a"), (5.0, 7.0));
        assert!(!thresholds.terms(disk_full(), Severity::Info, None).enabled);
    }

    #[test]
    fn a_grade_can_be_switched_off_and_be_made_more_patient() {
        let mut thresholds = Thresholds::default();
        let off = LevelChange { enabled: Some(false), for_ms: Some(7), ..LevelChange::default() };
        let changes = BTreeMap::from([(Severity::Warning, off)]);
        thresholds.set("disk_full", ThresholdScope::Host("a".into()), changes);
        let terms = thresholds.terms(disk_full(), Severity::Warning, Some("a"));
        assert_eq!((terms.enabled, terms.for_ms, terms.threshold), (false, 7, Some(5.0)));
    }
}
