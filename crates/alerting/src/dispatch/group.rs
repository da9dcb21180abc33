//! Alerts that one receiver is told of together, and what it was told last.
//!
//! When a group tells, and whether there is anything new, is Alertmanager's (`dispatch.go` and the `DedupStage` of
//! `notify.go`): it waits for `group_wait` first, looks every `group_interval` then, and tells if an alert fires of
//! which its receiver does not know, if one is resolved of which it knows, or if `repeat_interval` has passed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::routing::Route;
use crate::notification::NotificationKind;
use crate::posted::{LabelMap, fingerprint};

/// How long a group that has no alerts is kept, so that one that comes back waits for its turn, in milliseconds.
const EMPTY_RETENTION_MS: i64 = 30_000;

/// What tells groups apart: the receiver, and the group's name.
pub(super) type GroupId = (String, String);

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) receiver: String,
    pub(super) key: String,
    pub(super) labels: LabelMap,
    pub(super) started_ms: i64,
    pub(super) next_flush_ms: i64,
    /// Whether it was looked at ever.
    pub(super) flushed: bool,
    /// Of how many messages it was the reason.
    pub(super) number: u64,
    pub(super) last_message_ms: Option<i64>,
    /// The alerts of which the receiver believes that they fire, with the time it was told first.
    pub(super) told: BTreeMap<u64, i64>,
    /// The resolved alerts of the last message.
    pub(super) told_resolved: BTreeSet<u64>,
    /// Those for which somebody else was called.
    pub(super) escalated: BTreeSet<u64>,
    /// Those of which it is still to be said that they flap.
    pub(super) flapping: BTreeSet<u64>,
    /// Those of which the trail says that their route is muted.
    pub(super) muted: BTreeSet<u64>,
    pub(super) incident: Option<String>,
    pub(super) emptied_ms: Option<i64>,
    /// Whether it is looked at next out of its beat, as something is new.
    hurried: bool,
    /// The members whose change the trail has not accounted for yet.
    pub(super) news: BTreeSet<u64>,
    /// The place of its route.
    #[serde(skip)]
    pub(super) route: usize,
    #[serde(skip)]
    pub(super) members: BTreeSet<u64>,
}

/// The members of a group as they are when it is looked at.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) firing: BTreeSet<u64>,
    pub(super) resolved: BTreeSet<u64>,
    /// Hidden by silences, other alerts or mute times.
    pub(super) hidden: BTreeSet<u64>,
    /// Those of which nothing is said until they settle.
    pub(super) held: BTreeSet<u64>,
}

impl Group {
    pub(super) fn new(receiver: &str, key: String, labels: LabelMap, now_ms: i64) -> Self {
        Self {
            receiver: receiver.to_owned(),
            key,
            labels,
            started_ms: now_ms,
            next_flush_ms: now_ms,
            flushed: false,
            number: 0,
            last_message_ms: None,
            told: BTreeMap::new(),
            told_resolved: BTreeSet::new(),
            escalated: BTreeSet::new(),
            flapping: BTreeSet::new(),
            muted: BTreeSet::new(),
            incident: None,
            emptied_ms: None,
            hurried: false,
            news: BTreeSet::new(),
            route: 0,
            members: BTreeSet::new(),
        }
    }

    pub(super) fn id(&self) -> GroupId {
        (self.receiver.clone(), self.key.clone())
    }

    /// The name of its next message, which is the same if a restart makes it be decided again.
    pub(super) fn next_message(&mut self) -> String {
        self.number += 1;
        let started = self.started_ms.to_string();
        format!("{}.{}", hash([&self.receiver, &self.key, &started]), self.number)
    }

    /// Takes an alert in that fires.
    pub(super) fn insert(&mut self, alert: u64, started_ms: i64, route: &Route, now_ms: i64) {
        if self.members.is_empty() && !self.flushed {
            self.next_flush_ms = now_ms + route.group_wait_ms;
        }
        self.members.insert(alert);
        self.news.insert(alert);
        self.emptied_ms = None;
        if !self.flushed && started_ms + route.group_wait_ms < now_ms {
            self.next_flush_ms = now_ms;
        }
        if !self.told.contains_key(&alert) {
            self.hurry(route, now_ms);
        }
    }

    /// Something of which the receiver does not know: where the route is eager, it waits for `group_wait` only.
    pub(super) fn hurry(&mut self, route: &Route, now_ms: i64) {
        let soon_ms = now_ms + route.group_wait_ms;
        if route.eager && soon_ms < self.next_flush_ms {
            (self.next_flush_ms, self.hurried) = (soon_ms, true);
        }
    }

    /// Sets the next look, in the beat of the looks before; whether this one was not in it.
    pub(super) fn schedule(&mut self, route: &Route, now_ms: i64) -> bool {
        let out_of_beat = !self.flushed || self.hurried;
        (self.flushed, self.hurried) = (true, false);
        let beats = (now_ms - self.next_flush_ms).max(0) / route.group_interval_ms + 1;
        self.next_flush_ms += beats * route.group_interval_ms;
        out_of_beat
    }

    /// After a restart: the looks go on in their beat, except one that was to be out of it.
    pub(super) fn catch_up(&mut self, route: &Route, now_ms: i64) {
        if self.flushed && !self.hurried && self.next_flush_ms < now_ms {
            let missed_ms = now_ms - self.next_flush_ms;
            let beats = (missed_ms - 1) / route.group_interval_ms + 1;
            self.next_flush_ms += beats * route.group_interval_ms;
        }
    }

    /// Whether there is something to tell, and why.
    pub(super) fn verdict(
        &self,
        members: &Members,
        repeat_interval_ms: i64,
        now_ms: i64,
    ) -> Option<NotificationKind> {
        let change = Some(NotificationKind::Change);
        let Some(last_ms) = self.last_message_ms else {
            return change.filter(|_| !members.firing.is_empty());
        };
        if !members.firing.iter().all(|alert| self.told.contains_key(alert)) {
            return change;
        }
        if members.firing.is_empty() {
            let believed = |alert: &u64| !members.held.contains(alert);
            let known = !members.resolved.is_empty() && self.told.keys().any(believed);
            return change.filter(|_| known);
        }
        if !members.resolved.is_subset(&self.told_resolved) {
            return change;
        }
        (last_ms < now_ms - repeat_interval_ms).then_some(NotificationKind::Repeat)
    }

    /// Remembers what was told now.
    pub(super) fn has_told(&mut self, members: &Members, now_ms: i64) {
        let before = std::mem::take(&mut self.told);
        let firing = members.firing.iter().map(|alert| {
            let first_ms = before.get(alert).copied().unwrap_or(now_ms);
            (*alert, first_ms)
        });
        self.told = firing.collect();
        let held = before.iter().filter(|(alert, _)| members.held.contains(alert));
        self.told.extend(held.map(|(alert, at)| (*alert, *at)));
        self.told_resolved.clone_from(&members.resolved);
        self.last_message_ms = Some(now_ms);
    }

    /// Lets go of alerts that are resolved and told, or that nobody is to hear of; whether anything to be remembered
    /// has changed.
    pub(super) fn let_go(&mut self, alerts: impl Iterator<Item = u64>, now_ms: i64) -> bool {
        let mut changed = false;
        for alert in alerts {
            self.members.remove(&alert);
            self.news.remove(&alert);
            changed |= self.told.remove(&alert).is_some();
            changed |= self.escalated.remove(&alert) | self.muted.remove(&alert);
        }
        if self.members.is_empty() && self.emptied_ms.is_none() {
            (self.emptied_ms, self.incident) = (Some(now_ms), None);
            changed = true;
        }
        changed
    }

    /// When it is forgotten, if no alert comes.
    pub(super) fn forget_ms(&self) -> Option<i64> {
        self.emptied_ms.map(|since| since + EMPTY_RETENTION_MS)
    }

    /// Puts times that lie in the future back, as the clock was set back; whether there were any.
    pub(super) fn clamp(&mut self, route: &Route, now_ms: i64) -> bool {
        let before = self.clone();
        let wait_ms = if self.flushed { route.group_interval_ms } else { route.group_wait_ms };
        self.next_flush_ms = self.next_flush_ms.min(now_ms + wait_ms);
        self.last_message_ms = self.last_message_ms.map(|at| at.min(now_ms));
        self.emptied_ms = self.emptied_ms.map(|at| at.min(now_ms));
        self.told.values_mut().for_each(|at| *at = now_ms.min(*at));
        *self != before
    }
}

/// 16 hexadecimal digits that stand for a list of texts.
pub(super) fn hash<const N: usize>(texts: [&str; N]) -> String {
    let numbered = texts.iter().enumerate().map(|(at, text)| (at.to_string(), (*text).to_owned()));
    crate::posted::format_fingerprint(fingerprint(&numbered.collect()))
}
