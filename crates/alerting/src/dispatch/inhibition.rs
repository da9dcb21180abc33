//! Which alert explains which: people's inhibition rules, and those that hold without any.
//!
//! 1. A rule says which alerts explain (its source), which are explained (its target), and what they have in common.
//! 2. For each rule and each value of what is in common there is a link: the alerts on its two sides. A link's sources
//!    explain its targets while they fire.
//! 3. Without anybody's rules a silent host explains all else of the host, and an alert explains the same one of less
//!    severity. Links between machines can join as further rules.

use std::collections::{BTreeMap, BTreeSet};

use super::matchers::Matchers;
use crate::posted::{LabelMap, SEVERITY};

/// How long what a silent host explained stays explained when the host is heard again, in milliseconds: the rules look
/// at fresh data before anybody is told of what they saw last.
const AFTERMATH_MS: i64 = 30_000;

/// Which alerts explain which.
#[derive(Debug, Clone)]
pub(super) struct InhibitRule {
    source: Matchers,
    target: Matchers,
    in_common: InCommon,
    /// Whether an alert explains others while it is pending, too.
    when_pending: bool,
    aftermath_ms: i64,
}

/// What source and target have in common.
#[derive(Debug, Clone)]
enum InCommon {
    /// These labels.
    Labels(BTreeSet<String>),
    /// All labels but the severity.
    AllButSeverity,
}

impl InhibitRule {
    /// A rule as Alertmanager has them.
    pub(super) fn written(source: Matchers, target: Matchers, equal: BTreeSet<String>) -> Self {
        let in_common = InCommon::Labels(equal);
        Self { source, target, in_common, when_pending: false, aftermath_ms: 0 }
    }

    /// The rules that hold always.
    pub(super) fn always() -> Vec<Self> {
        let matchers = |text| Matchers::parse(text).expect("a test reads the built-in rules");
        let severer = |source, target| Self {
            source: matchers(source),
            target: matchers(target),
            in_common: InCommon::AllButSeverity,
            when_pending: false,
            aftermath_ms: 0,
        };
        let silent_host = Self {
            source: matchers(r#"alertname="HostSilent",instance!="""#),
            target: matchers(r#"alertname!="HostSilent",instance!="""#),
            in_common: InCommon::Labels(["instance".to_owned()].into()),
            when_pending: true,
            aftermath_ms: AFTERMATH_MS,
        };
        vec![
            silent_host,
            severer(r#"severity="critical""#, r#"severity=~"warning|info""#),
            severer(r#"severity="warning""#, r#"severity="info""#),
        ]
    }

    fn common(&self, labels: &LabelMap) -> Vec<String> {
        match &self.in_common {
            InCommon::Labels(names) => {
                names.iter().map(|name| labels.get(name).cloned().unwrap_or_default()).collect()
            }
            InCommon::AllButSeverity => labels
                .iter()
                .filter(|(name, _)| *name != SEVERITY)
                .flat_map(|(name, value)| [name.clone(), value.clone()])
                .collect(),
        }
    }
}

/// How far an alert explains others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is pending.
    Pending,
    /// It fires.
    Firing,
    /// It fired until then, in milliseconds since 1970.
    Ended(i64),
    /// It is not there any more, or never fired.
    Gone,
}

/// Alerts that one rule links.
#[derive(Debug, Default)]
struct Link {
    /// With the time at which each ceases to explain; none while it fires.
    sources: BTreeMap<u64, Option<i64>>,
    targets: BTreeSet<u64>,
}

/// The graph of what explains what.
#[derive(Debug)]
pub(super) struct Explains {
    rules: Vec<InhibitRule>,
    links: BTreeMap<(usize, Vec<String>), Link>,
}

impl Explains {
    pub(super) fn new(rules: Vec<InhibitRule>) -> Self {
        Self { rules, links: BTreeMap::new() }
    }

    /// Takes an alert's state in; gives the alerts for which something may be different now.
    pub(super) fn place(
        &mut self,
        fingerprint: u64,
        labels: &LabelMap,
        presence: Presence,
    ) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let (is_source, is_target) = (rule.source.matches(labels), rule.target.matches(labels));
            if !is_source && !is_target {
                continue;
            }
            let key = (number, rule.common(labels));
            let link = self.links.entry(key.clone()).or_default();
            if is_target && presence == Presence::Gone {
                link.targets.remove(&fingerprint);
            } else if is_target {
                link.targets.insert(fingerprint);
            }
            if is_source {
                let before = link.sources.get(&fingerprint).copied();
                let explains_until = match presence {
                    Presence::Firing => Some(None),
                    Presence::Pending if rule.when_pending => Some(None),
                    Presence::Ended(at_ms) => Some(Some(at_ms + rule.aftermath_ms)),
                    Presence::Pending | Presence::Gone => None,
                };
                match explains_until {
                    Some(until) => link.sources.insert(fingerprint, until),
                    None => link.sources.remove(&fingerprint),
                };
                if before != explains_until {
                    touched.extend(&link.targets);
                }
            }
            if link.sources.is_empty() && link.targets.is_empty() {
                self.links.remove(&key);
            }
        }
        touched
    }

    /// Forgets the sources that have ceased to explain; gives the alerts for which something may be different now.
    pub(super) fn cease(&mut self, now_ms: i64) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        for link in self.links.values_mut() {
            let before = link.sources.len();
            link.sources.retain(|_, until| until.is_none_or(|until| until > now_ms));
            if link.sources.len() != before {
                touched.extend(&link.targets);
            }
        }
        self.links.retain(|_, link| !(link.sources.is_empty() && link.targets.is_empty()));
        touched
    }

    /// Puts times that lie in the future back, as the clock was set back.
    pub(super) fn clamp(&mut self, now_ms: i64) {
        for until in self.links.values_mut().flat_map(|link| link.sources.values_mut()).flatten() {
            *until = (*until).min(now_ms + AFTERMATH_MS);
        }
    }

    /// When the next source ceases to explain.
    pub(super) fn next_edge_ms(&self) -> Option<i64> {
        self.links.values().flat_map(|link| link.sources.values()).copied().flatten().min()
    }

    /// The alerts that explain one with these labels, in the order of the rules.
    ///
    /// An alert on both sides of a rule is not explained by another that is on both, or two could hide each other.
    pub(super) fn explaining(
        &self,
        fingerprint: u64,
        labels: &LabelMap,
        labels_of: impl Fn(u64) -> Option<LabelMap>,
    ) -> Vec<u64> {
        let mut found = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            if !rule.target.matches(labels) {
                continue;
            }
            let Some(link) = self.links.get(&(number, rule.common(labels))) else { continue };
            let two_sided = rule.source.matches(labels);
            for &source in link.sources.keys() {
                let excluded = source == fingerprint
                    || found.contains(&source)
                    || two_sided
                        && labels_of(source).is_none_or(|labels| rule.target.matches(&labels));
                if !excluded {
                    found.push(source);
                }
            }
        }
        found
    }

    /// The alerts that one explains, of which some may be resolved.
    pub(super) fn explained_by(&self, fingerprint: u64, labels: &LabelMap) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.source.matches(labels)
                && let Some(link) = self.links.get(&(number, rule.common(labels)))
                && link.sources.contains_key(&fingerprint)
            {
                found.extend(link.targets.iter().filter(|target| **target != fingerprint));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posted::fingerprint;

    fn labels(text: &str) -> LabelMap {
        let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Whether the first alert, which fires, explains the second.
    #[track_caller]
    fn check(rules: Vec<InhibitRule>, source: &str, target: &str, expected: bool) {
        let mut explains = Explains::new(rules);
        let (source, target) = (labels(source), labels(target));
        explains.place(fingerprint(&target), &target, Presence::Firing);
        explains.place(fingerprint(&source), &source, Presence::Firing);
        let of = |number: u64| {
            [&source, &target].into_iter().find(|one| fingerprint(one) == number).cloned()
        };
        let found = explains.explaining(fingerprint(&target), &target, of);
        assert_eq!(found.contains(&fingerprint(&source)), expected, "{source:?} {target:?}");
    }

    #[test]
    fn a_silent_host_explains_all_else_of_it() {
        let silent = "alertname=HostSilent instance=a severity=critical";
        let always = InhibitRule::always;
        check(always(), silent, "alertname=DiskFull instance=a severity=critical", true);
        check(always(), silent, "alertname=DiskFull instance=b severity=critical", false);
        check(always(), silent, "alertname=DiskFull severity=critical", false);
        check(always(), "alertname=HostSilent", "alertname=DiskFull", false);
        check(always(), "alertname=DiskFull instance=a", silent, false);
    }

    #[test]
    fn an_alert_explains_the_same_of_less_severity() {
        let of = |severity: &str| format!("alertname=DiskFull instance=a severity={severity}");
        let always = InhibitRule::always;
        check(always(), &of("critical"), &of("warning"), true);
        check(always(), &of("critical"), &of("info"), true);
        check(always(), &of("warning"), &of("info"), true);
        check(always(), &of("warning"), &of("critical"), false);
        check(always(), &of("critical"), "alertname=DiskFull instance=b severity=warning", false);
    }

    #[test]
    fn labels_that_both_lack_are_equal_and_two_do_not_hide_each_other() {
        let rule = |source: &str, target: &str| {
            let read = |text| Matchers::parse(text).unwrap();
            vec![InhibitRule::written(read(source), read(target), ["site".to_owned()].into())]
        };
        check(rule("a=1", "b=1"), "a=1", "b=1", true);
        check(rule("a=1", "b=1"), "a=1 site=x", "b=1", false);
        check(rule("a=1", "a=1"), "a=1 c=1", "a=1 c=2", false);
        check(rule("a=1", "b=1"), "a=1 b=1 c=1", "a=1 b=1 c=2", false);
        check(rule("a=1", "b=1"), "a=1 c=1", "a=1 b=1 c=2", true);
    }

    #[test]
    fn what_a_silent_host_explained_stays_so_for_a_while() {
        let mut explains = Explains::new(InhibitRule::always());
        let silent = labels("alertname=HostSilent instance=a");
        let disk = labels("alertname=DiskFull instance=a");
        explains.place(2, &disk, Presence::Firing);
        assert_eq!(explains.place(1, &silent, Presence::Pending), [2].into());
        assert_eq!(explains.explained_by(1, &silent), [2].into());
        explains.place(1, &silent, Presence::Ended(1_000));
        assert_eq!(explains.next_edge_ms(), Some(31_000));
        assert!(explains.cease(30_999).is_empty());
        assert_eq!(explains.explaining(2, &disk, |_| None), [1]);
        assert_eq!(explains.cease(31_000), [2].into());
        assert!(explains.explaining(2, &disk, |_| None).is_empty());
    }
}
