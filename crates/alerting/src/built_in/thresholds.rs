//! What people changed of the grades of rules: for all hosts, then for groups, then for a host, the last one counts.

use std::collections::{BTreeMap, HashMap};

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
