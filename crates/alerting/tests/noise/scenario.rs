//! A small language in which a noise rule is a script: what happens when, and which messages that makes.
//!
//! ```text
//! 0s    HostSilent web-1 critical fires
//! 500ms => everyone change: +HostSilent{web-1}
//! 10m   trail HostSilent web-1 critical: firing grouped queued
//! ```
//!
//! Time begins at midnight UTC of a Monday. A script's messages are all that are made until its last line. Every script
//! is run a second time with a restart after each step: nothing that is told may change by that.

use std::collections::{BTreeMap, BTreeSet};

use muster_alerting::{
    Acknowledgement, AlertSource, Dispatcher, LabelMap, Matchers, Notification, PostedAlert,
    PostedState, Recurrence, Routing, Silence, TrailLine, fingerprint, format_fingerprint,
};
use muster_series::parse_duration_ms;

/// Midnight UTC of Monday, 2026-11-23.
pub(crate) const MIDNIGHT_MS: i64 = 1_795_392_000_000;

/// The routes that a script starts with if it names none: Muster's own.
pub(crate) const BUILT_IN: &str = "";

/// A dispatcher with its clock and its records.
pub(crate) struct World {
    pub(crate) dispatcher: Dispatcher,
    routes: String,
    channels: BTreeSet<String>,
    records: BTreeMap<(String, String), serde_json::Value>,
    pub(crate) messages: Vec<Notification>,
    pub(crate) trail: Vec<TrailLine>,
    pub(crate) now_ms: i64,
    restarts: bool,
}

fn routing(yaml: &str) -> Routing {
    if yaml.is_empty() { Routing::built_in() } else { Routing::parse(yaml).unwrap() }
}

impl World {
    pub(crate) fn new(routes: &str, channels: &[&str], restarts: bool) -> Self {
        let channels: BTreeSet<String> = channels.iter().map(|&name| name.to_owned()).collect();
        Self {
            dispatcher: Dispatcher::new(routing(routes), channels.clone()),
            routes: routes.to_owned(),
            channels,
            records: BTreeMap::new(),
            messages: Vec::new(),
            trail: Vec::new(),
            now_ms: MIDNIGHT_MS,
            restarts,
        }
    }

    /// Decides what is due now, and stores it.
    pub(crate) fn poll(&mut self) {
        self.decide();
        if self.restarts {
            self.restart();
        }
    }

    fn decide(&mut self) {
        let decisions = self.dispatcher.poll(self.now_ms);
        self.messages.extend(decisions.notifications);
        self.trail.extend(decisions.trail);
        for (kind, key, value) in decisions.put {
            self.records.insert((kind, key), value);
        }
        for identity in decisions.remove {
            self.records.remove(&identity);
        }
        let due_ms = self.dispatcher.next_due_ms();
        let now_ms = self.now_ms;
        assert!(
            due_ms.is_none_or(|due| due > now_ms),
            "{due_ms:?} is due after a poll at {now_ms}"
        );
    }

    pub(crate) fn restart(&mut self) {
        self.dispatcher = Dispatcher::new(routing(&self.routes), self.channels.clone());
        let records = self.records.iter().map(|((kind, key), value)| {
            // What is stored is text.
            let value = serde_json::from_str(&value.to_string()).unwrap();
            (kind.clone(), key.clone(), value)
        });
        let unread = self.dispatcher.restore(records.collect());
        assert!(unread.is_empty(), "{unread:?}");
        // A restarted server looks at once.
        self.decide();
    }

    /// Lets time pass, with all that falls due on the way.
    pub(crate) fn advance(&mut self, to_ms: i64) {
        for _ in 0..100_000 {
            match self.dispatcher.next_due_ms() {
                Some(due) if due <= to_ms => {
                    self.now_ms = due.max(self.now_ms);
                    self.poll();
                }
                _ => {
                    self.now_ms = to_ms;
                    return;
                }
            }
        }
        panic!("time does not pass");
    }

    pub(crate) fn post(&mut self, alert: PostedAlert) {
        self.dispatcher.post(vec![alert], self.now_ms);
        self.poll();
    }

    /// Does what the words of a line say.
    fn act(&mut self, words: &str) {
        let now_ms = self.now_ms;
        let parts: Vec<&str> = words.split_whitespace().collect();
        match parts[..] {
            ["silence", id, matchers, "for", duration, ref more @ ..] => {
                let recurrence = more.iter().find_map(|word| {
                    let (from, to) = word.strip_prefix("daily=")?.split_once('-')?;
                    Some(Recurrence::new(vec![], from, to, "UTC").unwrap())
                });
                let silence = Silence {
                    id: id.to_owned(),
                    matchers: Matchers::parse(matchers).unwrap(),
                    starts_at_ms: now_ms,
                    ends_at_ms: now_ms + ms(duration),
                    recurrence,
                    until_resolved: more.contains(&"until-resolved"),
                    created_by: "ann".into(),
                    comment: String::new(),
                    updated_ms: now_ms,
                };
                self.dispatcher.put_silence(silence, now_ms).unwrap();
            }
            ["expire", id] => assert!(self.dispatcher.expire_silence(id, now_ms)),
            ["acknowledge", name, host, severity, by] => {
                let note = String::new();
                let acknowledgement = Acknowledgement { by: by.into(), at_ms: now_ms, note };
                let id = number(&labels(name, host, severity));
                assert!(self.dispatcher.acknowledge(&id, Some(acknowledgement), now_ms));
            }
            ["assign", name, host, severity, to] => {
                let id = number(&labels(name, host, severity));
                assert!(self.dispatcher.assign(&id, Some(to.into()), "ann", now_ms));
            }
            ["restart"] => self.restart(),
            ["clock", jump] => {
                let (sign, length) = jump.split_at(1);
                self.now_ms += if sign == "-" { -ms(length) } else { ms(length) };
            }
            ["channels", names] => {
                self.channels = names.split(',').map(str::to_owned).collect();
                let routes = routing(&self.routes);
                self.dispatcher.set_routing(routes, self.channels.clone(), now_ms);
            }
            [name, host, severity, what] => self.post_words(name, host, severity, what),
            _ => panic!("{words:?} is no line of a scenario"),
        }
        self.poll();
    }

    /// `hosts` may be a range such as `web-1..web-1000`, which stands for all of them at once.
    fn post_words(&mut self, name: &str, hosts: &str, severity: &str, what: &str) {
        let hosts: Vec<String> = match hosts.split_once("..") {
            None => vec![hosts.to_owned()],
            Some((first, last)) => {
                let number = |text: &str| text.rsplit('-').next().unwrap().parse::<u32>().unwrap();
                let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
                (number(first)..=number(last)).map(|n| format!("{stem}{n}")).collect()
            }
        };
        let posted = hosts.iter().map(|host| alert(name, host, severity, what, self.now_ms));
        let posted = posted.collect();
        self.dispatcher.post(posted, self.now_ms);
    }

    pub(crate) fn trail_of(&self, id: &str) -> Vec<&TrailLine> {
        self.trail.iter().filter(|line| line.alert == id).collect()
    }
}

pub(crate) fn ms(text: &str) -> i64 {
    parse_duration_ms(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn labels(name: &str, host: &str, severity: &str) -> LabelMap {
    let all = [("alertname", name), ("instance", host), ("severity", severity)];
    let there = all.into_iter().filter(|(_, value)| *value != "-");
    there.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) fn number(labels: &LabelMap) -> String {
    format_fingerprint(fingerprint(labels))
}

/// `what` is `fires`, `resolves` or `pends`, or `pushed` for one that another program tells of.
pub(crate) fn alert(
    name: &str,
    host: &str,
    severity: &str,
    what: &str,
    now_ms: i64,
) -> PostedAlert {
    let state = match what {
        "fires" | "pushed" => PostedState::Firing,
        "resolves" => PostedState::Resolved,
        "pends" => PostedState::Pending,
        other => panic!("{other:?} is nothing that an alert does"),
    };
    let pushed = what == "pushed";
    PostedAlert {
        source: if pushed { AlertSource::Pushed } else { AlertSource::Rule("r".into()) },
        state,
        labels: labels(name, host, severity),
        annotations: LabelMap::new(),
        active_at_ms: now_ms,
        starts_at_ms: (state == PostedState::Firing).then_some(now_ms),
        ends_at_ms: None,
        value: None,
        threshold: None,
        unit: String::new(),
        expression: String::new(),
        generator_url: String::new(),
    }
}

/// A message as a script writes it.
fn written(message: &Notification) -> String {
    let kind = serde_json::to_value(message.kind).unwrap();
    let mut parts = vec![format!("=> {} {}:", message.receiver, kind.as_str().unwrap())];
    if message.alerts.len() + message.left_out > 6 {
        let firing = message.alerts.iter().filter(|alert| alert.firing).count();
        let resolved = message.alerts.len() - firing;
        let left_out = message.left_out;
        parts.push(format!("{firing} firing, {resolved} resolved, {left_out} left out"));
    } else {
        for alert in &message.alerts {
            let sign = if alert.firing { '+' } else { '-' };
            let label = |name: &str| alert.labels.get(name).map_or("", String::as_str);
            parts.push(format!("{sign}{}{{{}}}", label("alertname"), label("instance")));
        }
    }
    if message.swallowed > 0 {
        parts.push(format!("swallows {}", message.swallowed));
    }
    parts.join(" ")
}

/// A time behind midnight, such as `1h5m`.
fn time(ms: i64) -> String {
    let text = muster_series::format_duration_ms(ms);
    if text == "0" { "0s".to_owned() } else { text }
}

/// Runs a script on routes, with one channel named `mail` and one named `pager`.
#[track_caller]
pub(crate) fn check(routes: &str, script: &str) {
    check_without_restarts(routes, script);
    run(routes, script, true);
}

/// Runs a script once.
#[track_caller]
pub(crate) fn check_without_restarts(routes: &str, script: &str) {
    run(routes, script, false);
}

#[track_caller]
fn run(routes: &str, script: &str, restarts: bool) {
    let mut world = World::new(routes, &["mail", "pager"], restarts);
    let mut expected = Vec::new();
    let mut shift_ms = 0;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (at, words) = line.split_once(char::is_whitespace).expect("a time and words");
        let words = words.trim();
        let at_ms = MIDNIGHT_MS + ms(at) + shift_ms;
        if words.starts_with("=>") {
            expected.push(format!("{at} {words}"));
            continue;
        }
        world.advance(at_ms);
        if let Some((alert, kinds)) =
            words.strip_prefix("trail ").and_then(|rest| rest.split_once(": "))
        {
            let [name, host, severity] = alert.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{alert:?} names no alert");
            };
            let id = number(&labels(name, host, severity));
            let found: Vec<String> = world
                .trail_of(&id)
                .iter()
                .map(|line| serde_json::to_value(line.kind).unwrap())
                .map(|kind| kind.as_str().unwrap().to_owned())
                .collect();
            assert_eq!(found.join(" "), kinds, "{line} (restarts: {restarts})");
        } else if words != "end" {
            let before_ms = world.now_ms;
            world.act(words);
            shift_ms += world.now_ms - before_ms;
        }
    }
    let found: Vec<String> = world
        .messages
        .iter()
        .map(|message| format!("{} {}", time(message.at_ms - MIDNIGHT_MS), written(message)))
        .collect();
    assert_eq!(found.join("\n"), expected.join("\n"), "restarts: {restarts}");
    let ids: BTreeSet<&str> = world.messages.iter().map(|message| &*message.id).collect();
    assert_eq!(ids.len(), world.messages.len(), "two messages have the same number");
}
