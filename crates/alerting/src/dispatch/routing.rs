//! Routes: which receiver hears of which alerts, grouped how, and how often.
//!
//! The file is Alertmanager's. It is read in `routing_file`; here is what it means.

use std::collections::{BTreeMap, BTreeSet};

use super::inhibition::InhibitRule;
use super::intervals::Interval;
use super::matchers::{Matchers, quoted};
pub use super::routing_file::RoutingError;
use crate::posted::LabelMap;

/// The receiver that is all enabled channels.
pub const EVERYONE: &str = "everyone";
/// The receiver that hears nothing.
pub const NOBODY: &str = "nobody";

/// What Muster does by itself.
const BUILT_IN: &str = include_str!("routing.yaml");

/// Routes, receivers, inhibition and time intervals.
#[derive(Debug, Clone)]
pub struct Routing {
    pub(super) text: String,
    /// The root is the first; children come behind their parents.
    pub(super) routes: Vec<Route>,
    /// The channels behind each receiver that the file names.
    pub(super) receivers: BTreeMap<String, BTreeSet<String>>,
    pub(super) inhibit_rules: Vec<InhibitRule>,
    pub(super) intervals: BTreeMap<String, Vec<Interval>>,
    pub(super) resolve_timeout_ms: i64,
    /// How many messages a minute a receiver is told one by one; none for any number.
    pub(super) storm_after: Option<usize>,
    pub(super) warnings: Vec<String>,
}

/// A route, with what it inherits filled in.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// Its name, as Alertmanager's: the matchers on the way to it.
    pub(super) key: String,
    pub(super) receiver: String,
    pub(super) matchers: Matchers,
    pub(super) goes_on: bool,
    pub(super) group_by: GroupBy,
    pub(super) group_wait_ms: i64,
    pub(super) group_interval_ms: i64,
    pub(super) repeat_interval_ms: i64,
    /// Whether an alert that was not told yet waits for `group_wait` only, in an old group too.
    pub(super) eager: bool,
    pub(super) escalate_after_ms: Option<i64>,
    pub(super) escalate_to: Option<String>,
    pub(super) muted_at: Vec<String>,
    pub(super) active_at: Vec<String>,
    /// Places of its children in [`Routing::routes`].
    pub(super) children: Vec<usize>,
}

/// The labels that alerts of a group share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GroupBy {
    /// All of them: every alert is a group of its own.
    All,
    /// These.
    Labels(BTreeSet<String>),
}

impl Route {
    /// The labels that name the group of an alert.
    pub(super) fn group_labels(&self, labels: &LabelMap) -> LabelMap {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                let shared = labels.iter().filter(|(name, _)| names.contains(*name));
                shared.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
        }
    }

    /// The name of a group, as Alertmanager writes it.
    pub(super) fn group_key(&self, group_labels: &LabelMap) -> String {
        let pairs = group_labels.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        format!("{}:{{{}}}", self.key, pairs.collect::<Vec<_>>().join(", "))
    }
}

impl Routing {
    /// Reads and checks a file.
    pub fn parse(yaml: &str) -> Result<Self, RoutingError> {
        super::routing_file::parse(yaml)
    }

    /// What Muster does by itself: everyone hears of critical alerts and warnings, nobody of infos.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("a test reads the built-in routes")
    }

    /// The file as it was given.
    pub fn to_yaml(&self) -> &str {
        &self.text
    }

    /// What in the file has no effect here, in words for its author.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The receivers that routes name and that neither the file nor `channels` knows.
    pub fn unknown_receivers(&self, channels: &BTreeSet<String>) -> BTreeSet<String> {
        let named = self.routes.iter().flat_map(|route| {
            [Some(&route.receiver), route.escalate_to.as_ref()].into_iter().flatten()
        });
        let unknown = |name: &&String| {
            let known = [EVERYONE, NOBODY].contains(&name.as_str())
                || self.receivers.contains_key(*name)
                || channels.contains(*name);
            !known
        };
        named.filter(unknown).cloned().collect()
    }

    /// The receivers: those of the file and the two that are always there.
    pub fn receivers(&self) -> BTreeSet<String> {
        let always = [EVERYONE.to_owned(), NOBODY.to_owned()];
        self.receivers.keys().cloned().chain(always).collect()
    }

    /// The channels behind a receiver, out of those that exist.
    pub fn channels_of(&self, receiver: &str, channels: &BTreeSet<String>) -> BTreeSet<String> {
        match (receiver, self.receivers.get(receiver)) {
            (NOBODY, _) => BTreeSet::new(),
            (EVERYONE, _) => channels.clone(),
            (_, Some(behind)) if behind.contains(EVERYONE) => channels.clone(),
            (_, Some(behind)) => behind.intersection(channels).cloned().collect(),
            (name, None) => channels.get(name).cloned().into_iter().collect(),
        }
    }

    /// Whether the routes know a receiver of this name.
    pub fn has_receiver(&self, name: &str) -> bool {
        matches!(name, NOBODY | EVERYONE) || self.receivers.contains_key(name)
    }

    /// The places of the routes that an alert takes, in order.
    pub(super) fn matching(&self, labels: &LabelMap) -> Vec<usize> {
        let mut found = Vec::new();
        self.follow(0, labels, &mut found);
        found
    }

    /// Adds the routes below `at` and `at` itself; whether there are any.
    fn follow(&self, at: usize, labels: &LabelMap, found: &mut Vec<usize>) -> bool {
        let route = &self.routes[at];
        if !route.matchers.matches(labels) {
            return false;
        }
        let before = found.len();
        for &child in &route.children {
            if self.follow(child, labels, found) && !self.routes[child].goes_on {
                break;
            }
        }
        if found.len() == before {
            found.push(at);
        }
        true
    }

    /// Why a route tells nobody at a time: the name of the interval; none if it does tell.
    pub(super) fn muted(&self, route: &Route, now_ms: i64) -> Option<String> {
        let holds = |name: &String| {
            let of_name = self.intervals.get(name);
            of_name.is_some_and(|all| all.iter().any(|interval| interval.contains(now_ms)))
        };
        if let Some(name) = route.muted_at.iter().find(|name| holds(name)) {
            return Some(format!("the time interval {name:?} mutes it"));
        }
        if !route.active_at.is_empty() && !route.active_at.iter().any(holds) {
            return Some(format!("it is active only in {}", route.active_at.join(", ")));
        }
        None
    }

    /// Whether anything depends on the time of day.
    pub(super) fn looks_at_the_clock(&self) -> bool {
        self.routes.iter().any(|route| !route.muted_at.is_empty() || !route.active_at.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> LabelMap {
        let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    const TREE: &str = "
route:
  receiver: all
  group_by: [alertname]
  routes:
    - matchers: [team=web]
      receiver: web
      continue: true
      routes:
        - match: {severity: critical}
          receiver: web-pager
          group_by: ['...']
    - match_re: {team: 'w.*'}
      receiver: w
      group_wait: 1s
receivers: [{name: all}, {name: web}, {name: web-pager}, {name: w, channels: [mail]}]
";

    #[track_caller]
    fn check(alert: &str, expected: &[&str]) {
        let routing = Routing::parse(TREE).unwrap();
        let alert = labels(alert);
        let taken = routing.matching(&alert).into_iter().map(|at| {
            let route = &routing.routes[at];
            format!("{} {}", route.receiver, route.group_key(&route.group_labels(&alert)))
        });
        assert_eq!(taken.collect::<Vec<_>>(), expected, "{alert:?}");
    }

    #[test]
    fn alerts_take_the_deepest_routes_and_go_on_where_that_is_said() {
        check("alertname=A", &["all {}:{alertname=\"A\"}"]);
        check("alertname=A team=wood", &["w {}/{team=~\"w.*\"}:{alertname=\"A\"}"]);
        check(
            "alertname=A team=web severity=critical",
            &[
                "web-pager {}/{team=\"web\"}/{severity=\"critical\"}:\
                 {alertname=\"A\", severity=\"critical\", team=\"web\"}",
                "w {}/{team=~\"w.*\"}:{alertname=\"A\"}",
            ],
        );
    }

    #[test]
    fn what_is_not_said_is_inherited_or_alertmanagers() {
        let routing = Routing::parse(TREE).unwrap();
        let times = |at: usize| {
            let route = &routing.routes[at];
            (route.group_wait_ms, route.group_interval_ms, route.repeat_interval_ms, route.eager)
        };
        assert_eq!(times(0), (30_000, 300_000, 4 * 3_600_000, false));
        assert_eq!(times(3), (1_000, 300_000, 4 * 3_600_000, false));
    }

    #[test]
    fn the_built_in_routes_leave_infos_out_and_repeat_what_is_critical() {
        let routing = Routing::built_in();
        let taken = |severity: &str| {
            let at = routing.matching(&labels(&format!("alertname=A severity={severity}")))[0];
            (routing.routes[at].receiver.clone(), routing.routes[at].repeat_interval_ms)
        };
        assert_eq!(taken("critical"), (EVERYONE.to_owned(), 3_600_000));
        assert_eq!(taken("warning"), (EVERYONE.to_owned(), 86_400_000));
        assert_eq!(taken("info").0, NOBODY);
        assert!(routing.warnings().is_empty());
    }

    #[test]
    fn receivers_are_channels_or_lists_of_them() {
        let routing = Routing::parse(TREE).unwrap();
        let channels: BTreeSet<String> = ["mail".to_owned(), "hook".to_owned()].into();
        let of = |name: &str| routing.channels_of(name, &channels).into_iter().collect::<Vec<_>>();
        assert_eq!(of(EVERYONE), ["hook", "mail"]);
        assert_eq!(of("w"), ["mail"]);
        assert_eq!(of("hook"), ["hook"]);
        assert!(of(NOBODY).is_empty() && of("all").is_empty() && of("none").is_empty());
        assert!(routing.unknown_receivers(&channels).is_empty());
        let other = Routing::parse("route: {receiver: hook, escalate_to: boss}").unwrap();
        assert_eq!(other.unknown_receivers(&channels), ["boss".to_owned()].into());
    }
}
