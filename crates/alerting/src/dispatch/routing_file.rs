//! Reads Alertmanager's configuration file, with Muster's additions, into routes.
//!
//! How its integrations are set up is left aside: channels are made in Muster, with their secrets.

use std::collections::{BTreeMap, BTreeSet};

use muster_series::{MatchOp, Matcher};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::inhibition::InhibitRule;
use super::intervals::{Interval, RawInterval};
use super::matchers::{Matchers, MatchersError};
use super::routing::{GroupBy, NOBODY, Route, Routing};
use crate::yaml;

/// The most routes of a file.
const MAX_ROUTES: usize = 10_000;
/// What Alertmanager takes where nothing is said, in milliseconds.
const RESOLVE_TIMEOUT_MS: i64 = 5 * 60_000;
const GROUP_WAIT_MS: i64 = 30_000;
const GROUP_INTERVAL_MS: i64 = 5 * 60_000;
const REPEAT_INTERVAL_MS: i64 = 4 * 3_600_000;

/// How many messages a minute a receiver is told one by one where nothing is said; 0 is for any number.
const STORM_AFTER: usize = 5;

/// Why routes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// It is no YAML of this form.
    #[error("{0}")]
    Yaml(String),
    /// There is no first route, or it is not as it must be.
    #[error("the first route {0}")]
    Root(&'static str),
    /// A route makes no sense.
    #[error("route {route}: {problem}")]
    Route {
        /// The route's name: the matchers on the way to it.
        route: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An inhibition rule makes no sense.
    #[error("inhibition rule {number}: {problem}")]
    Inhibition {
        /// Its place, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A time interval makes no sense.
    #[error("time interval {name:?}: {problem}")]
    Interval {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A receiver makes no sense.
    #[error("receiver {name:?}: {problem}")]
    Receiver {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    global: Option<RawGlobal>,
    route: Option<RawRoute>,
    #[serde(default)]
    receivers: Vec<RawReceiver>,
    #[serde(default)]
    inhibit_rules: Vec<RawInhibitRule>,
    #[serde(default)]
    time_intervals: Vec<RawNamedInterval>,
    #[serde(default)]
    mute_time_intervals: Vec<RawNamedInterval>,
    #[serde(default)]
    storm_after: Option<usize>,
    #[serde(default, rename = "templates")]
    _templates: Option<IgnoredAny>,
    #[serde(default, rename = "tracing")]
    _tracing: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RawGlobal {
    #[serde(default, deserialize_with = "yaml::optional_duration")]
    resolve_timeout: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawRoute {
    receiver: Option<String>,
    matchers: Vec<String>,
    r#match: BTreeMap<String, String>,
    match_re: BTreeMap<String, String>,
    r#continue: bool,
    group_by: Option<Vec<String>>,
    #[serde(deserialize_with = "yaml::optional_duration")]
    group_wait: Option<i64>,
    #[serde(deserialize_with = "yaml::optional_duration")]
    group_interval: Option<i64>,
    #[serde(deserialize_with = "yaml::optional_duration")]
    repeat_interval: Option<i64>,
    eager: Option<bool>,
    #[serde(deserialize_with = "yaml::optional_duration")]
    escalate_after: Option<i64>,
    escalate_to: Option<String>,
    mute_time_intervals: Vec<String>,
    active_time_intervals: Vec<String>,
    routes: Vec<RawRoute>,
}

#[derive(Deserialize)]
struct RawReceiver {
    name: String,
    #[serde(default)]
    channels: BTreeSet<String>,
    #[serde(flatten)]
    #[expect(clippy::zero_sized_map_values, reason = "what is flattened must be a map")]
    integrations: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawInhibitRule {
    source_matchers: Vec<String>,
    source_match: BTreeMap<String, String>,
    source_match_re: BTreeMap<String, String>,
    target_matchers: Vec<String>,
    target_match: BTreeMap<String, String>,
    target_match_re: BTreeMap<String, String>,
    equal: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNamedInterval {
    name: String,
    #[serde(default)]
    time_intervals: Vec<RawInterval>,
}

/// Reads and checks a file.
pub(super) fn parse(text: &str) -> Result<Routing, RoutingError> {
    let raw: RawFile = yaml::parse(text).map_err(RoutingError::Yaml)?;
    let root =
        raw.route.ok_or(RoutingError::Root("is missing; write `route:` with a `receiver`"))?;
    let mut warnings = Vec::new();
    let mut receivers = BTreeMap::new();
    for receiver in raw.receivers {
        let (name, channels) = receiver.check(&mut warnings)?;
        let refuse = |problem: &str| {
            Err(RoutingError::Receiver { name: name.clone(), problem: problem.to_owned() })
        };
        if receivers.contains_key(&name) {
            return refuse("it is there twice");
        }
        receivers.insert(name, channels);
    }
    let mut intervals = BTreeMap::new();
    for named in raw.time_intervals.into_iter().chain(raw.mute_time_intervals) {
        let (name, checked) = named.check()?;
        let problem = "it is there twice".to_owned();
        if intervals.insert(name.clone(), checked).is_some() {
            return Err(RoutingError::Interval { name, problem });
        }
    }
    let mut inhibit_rules = Vec::new();
    for (at, rule) in raw.inhibit_rules.into_iter().enumerate() {
        let refuse = |problem: MatchersError| RoutingError::Inhibition {
            number: at + 1,
            problem: problem.to_string(),
        };
        inhibit_rules.push(rule.check().map_err(refuse)?);
    }
    let routes = Tree { routes: Vec::new(), intervals: &intervals }.grow(root)?;
    let resolve_timeout_ms = raw.global.and_then(|global| global.resolve_timeout);
    Ok(Routing {
        text: text.to_owned(),
        routes,
        receivers,
        inhibit_rules,
        intervals,
        storm_after: Some(raw.storm_after.unwrap_or(STORM_AFTER)).filter(|after| *after > 0),
        resolve_timeout_ms: resolve_timeout_ms.unwrap_or(RESOLVE_TIMEOUT_MS),
        warnings,
    })
}

impl RawReceiver {
    fn check(self, warnings: &mut Vec<String>) -> Result<(String, BTreeSet<String>), RoutingError> {
        let refuse =
            |problem: String| Err(RoutingError::Receiver { name: self.name.clone(), problem });
        if self.name.is_empty() {
            return refuse("it has no name".to_owned());
        }
        for key in self.integrations.keys() {
            if !key.ends_with("_configs") {
                return refuse(format!("{key:?} is not known here; write `channels`"));
            }
            warnings.push(format!(
                "receiver {:?}: `{key}` has no effect here; make a channel and name it in `channels`",
                self.name
            ));
        }
        if self.channels.is_empty() && self.integrations.is_empty() && self.name != NOBODY {
            warnings.push(format!(
                "receiver {:?} has no channels, so nobody hears of what is routed to it",
                self.name
            ));
        }
        Ok((self.name, self.channels))
    }
}

impl RawNamedInterval {
    fn check(self) -> Result<(String, Vec<Interval>), RoutingError> {
        let name = self.name;
        let refuse = |problem| RoutingError::Interval { name: name.clone(), problem };
        if name.is_empty() {
            return Err(refuse("it has no name".to_owned()));
        }
        let checked: Result<_, _> =
            self.time_intervals.into_iter().map(RawInterval::check).collect();
        let checked = checked.map_err(refuse)?;
        Ok((name, checked))
    }
}

impl RawInhibitRule {
    fn check(self) -> Result<InhibitRule, MatchersError> {
        let source = matchers(&self.source_matchers, &self.source_match, &self.source_match_re)?;
        let target = matchers(&self.target_matchers, &self.target_match, &self.target_match_re)?;
        Ok(InhibitRule::written(source, target, self.equal))
    }
}

/// The conditions that are written in any of Alertmanager's three ways.
fn matchers(
    new: &[String],
    equal: &BTreeMap<String, String>,
    regex: &BTreeMap<String, String>,
) -> Result<Matchers, MatchersError> {
    let mut all = Matchers::default();
    for (name, value) in equal {
        all.push(Matcher::equal(name, value));
    }
    for (name, value) in regex {
        all.push(Matcher::new(name, MatchOp::Regex, value)?);
    }
    for text in new {
        all.extend(Matchers::parse(text)?);
    }
    Ok(all.sorted())
}

/// Routes as they are put into one list.
struct Tree<'a> {
    routes: Vec<Route>,
    intervals: &'a BTreeMap<String, Vec<Interval>>,
}

impl Tree<'_> {
    fn grow(mut self, root: RawRoute) -> Result<Vec<Route>, RoutingError> {
        if root.receiver.is_none() {
            return Err(RoutingError::Root("needs a `receiver`"));
        }
        let has_matchers =
            !(root.matchers.is_empty() && root.r#match.is_empty() && root.match_re.is_empty());
        if has_matchers {
            return Err(RoutingError::Root("takes all alerts, so it must not have matchers"));
        }
        if !(root.mute_time_intervals.is_empty() && root.active_time_intervals.is_empty()) {
            return Err(RoutingError::Root("must not have time intervals"));
        }
        self.add(root, None)?;
        Ok(self.routes)
    }

    /// Adds a route and those below it; gives its place.
    fn add(&mut self, raw: RawRoute, parent: Option<usize>) -> Result<usize, RoutingError> {
        let place = self.routes.len();
        let key_above = parent.map_or(String::new(), |at| format!("{}/", self.routes[at].key));
        let refuse = |problem: String| RoutingError::Route { route: key_above.clone(), problem };
        if place >= MAX_ROUTES {
            return Err(refuse(format!("there are more than {MAX_ROUTES} routes")));
        }
        let matchers = matchers(&raw.matchers, &raw.r#match, &raw.match_re)
            .map_err(|error| refuse(error.to_string()))?;
        let key = format!("{key_above}{matchers}");
        let parent = parent.map(|at| &self.routes[at]);
        // As in Alertmanager, a list without names says nothing.
        let group_by = match raw.group_by.filter(|names| !names.is_empty()) {
            None => parent.map_or(GroupBy::Labels(BTreeSet::new()), |up| up.group_by.clone()),
            Some(names) if names == ["..."] => GroupBy::All,
            Some(names) => GroupBy::Labels(names.into_iter().collect()),
        };
        let inherited = |own: Option<i64>, of: fn(&Route) -> i64, default: i64| {
            own.unwrap_or_else(|| parent.map_or(default, of))
        };
        let route = Route {
            receiver: raw
                .receiver
                .or_else(|| parent.map(|up| up.receiver.clone()))
                .expect("the first route has a receiver"),
            goes_on: raw.r#continue,
            group_by,
            group_wait_ms: inherited(raw.group_wait, |up| up.group_wait_ms, GROUP_WAIT_MS),
            group_interval_ms: inherited(
                raw.group_interval,
                |up| up.group_interval_ms,
                GROUP_INTERVAL_MS,
            ),
            repeat_interval_ms: inherited(
                raw.repeat_interval,
                |up| up.repeat_interval_ms,
                REPEAT_INTERVAL_MS,
            ),
            eager: raw.eager.unwrap_or_else(|| parent.is_some_and(|up| up.eager)),
            escalate_after_ms: raw
                .escalate_after
                .or_else(|| parent.and_then(|up| up.escalate_after_ms)),
            escalate_to: raw.escalate_to.or_else(|| parent.and_then(|up| up.escalate_to.clone())),
            muted_at: raw.mute_time_intervals,
            active_at: raw.active_time_intervals,
            children: Vec::new(),
            key,
            matchers,
        };
        self.check(&route)?;
        self.routes.push(route);
        for child in raw.routes {
            let child = self.add(child, Some(place))?;
            self.routes[place].children.push(child);
        }
        Ok(place)
    }

    fn check(&self, route: &Route) -> Result<(), RoutingError> {
        let refuse =
            |problem: String| Err(RoutingError::Route { route: route.key.clone(), problem });
        if let GroupBy::Labels(names) = &route.group_by
            && names.contains("...")
        {
            return refuse("`...` in `group_by` stands for all labels; write it alone".to_owned());
        }
        for (name, value) in [
            ("group_interval", route.group_interval_ms),
            ("repeat_interval", route.repeat_interval_ms),
        ] {
            if value <= 0 {
                return refuse(format!("`{name}` must be longer than 0"));
            }
        }
        let mut named = route.muted_at.iter().chain(&route.active_at);
        if let Some(name) = named.find(|name| !self.intervals.contains_key(*name)) {
            return refuse(format!("there is no time interval {name:?}"));
        }
        if route.escalate_after_ms.is_some_and(|after| after <= 0) {
            return refuse("`escalate_after` must be longer than 0".to_owned());
        }
        if route.escalate_after_ms.is_some() && route.escalate_to.is_none() {
            return refuse("`escalate_after` needs `escalate_to`, a receiver".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error's text, or the warnings.
    #[track_caller]
    fn check(yaml: &str, expected: &str) {
        let found = match parse(yaml) {
            Ok(routing) => routing.warnings.join("; "),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{yaml}\n{found}");
    }

    #[test]
    fn an_alertmanagers_file_loads_with_a_word_on_what_has_no_effect() {
        check(
            "
global: {resolve_timeout: 1m, smtp_smarthost: 'mail:25'}
templates: ['/etc/x.tmpl']
route: {receiver: team, routes: [{matchers: ['a=\"b\"'], mute_time_intervals: [night]}]}
receivers: [{name: team, webhook_configs: [{url: 'http://x/'}], email_configs: [{to: a@b}]}]
inhibit_rules: [{source_matchers: [severity=critical], target_match: {severity: warning}, equal: [a]}]
mute_time_intervals: [{name: night, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}]
",
            "receiver \"team\": `webhook_configs` has no effect here; make a channel",
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        check("receivers: []", "the first route is missing");
        check("route: {}", "the first route needs a `receiver`");
        check("route: {receiver: a, matchers: [a=b]}", "must not have matchers");
        check("route: {receiver: a, mute_time_intervals: [n]}", "must not have time intervals");
        check("route: {receiver: a, group_by: ['...', a]}", "write it alone");
        check("route: {receiver: a, group_interval: 0s}", "must be longer than 0");
        check("route: {receiver: a, routes: [{matchers: ['a']}]}", "route {}/: \"a\" is no list");
        check("route: {receiver: a, escalate_after: 5m}", "needs `escalate_to`");
        check(
            "route: {receiver: a, routes: [{active_time_intervals: [n]}]}",
            "there is no time interval \"n\"",
        );
        check("{route: {receiver: a}, receivers: [{name: a}, {name: a}]}", "it is there twice");
        check("{route: {receiver: a}, receivers: [{name: a, chanels: [x]}]}", "write `channels`");
        check("{route: {receiver: a}, receivers: [{name: a}]}", "has no channels");
        check("{route: {receiver: a}, time_intervals: [{name: n}, {name: n}]}", "there twice");
        check(
            "{route: {receiver: a}, inhibit_rules: [{source_matchers: ['a=~(']}]}",
            "inhibition rule 1: the regular expression",
        );
        check("route: {receiver: a, colour: red}", "colour");
    }
}
