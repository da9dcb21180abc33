//! How alerts come, fire, are hidden and shown again, end and are forgotten; and which groups they are in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::alert::Known;
use super::dispatcher::Dispatcher;
use super::group::{Group, GroupId};
use super::inhibition::Presence;
use super::trail::TrailKind;
use super::view::Hush;
use crate::posted::{
    AlertSource, MAX_ALERT_BYTES, PostedAlert, PostedState, fingerprint, format_fingerprint,
};

/// The most alerts that are known at a time.
const MAX_ALERTS: usize = 100_000;

impl Dispatcher {
    pub(super) fn post_one(&mut self, mut posted: PostedAlert, now_ms: i64) {
        let number = fingerprint(&posted.labels);
        let is_new = !self.alerts.contains_key(&number);
        let large = posted.bytes() > MAX_ALERT_BYTES;
        let full = is_new && self.alerts.len() >= MAX_ALERTS;
        if large || posted.labels.is_empty() || full || self.belongs_to_another(number, &posted) {
            self.refused += 1;
            return;
        }
        let pushed = posted.source == AlertSource::Pushed;
        if pushed && posted.ends_at_ms.is_some_and(|end| end <= now_ms) {
            posted.state = PostedState::Resolved;
        }
        let until_ms = pushed
            .then(|| posted.ends_at_ms.unwrap_or_else(|| now_ms + self.routing.resolve_timeout_ms));
        let state = posted.state;
        if is_new {
            if state == PostedState::Resolved {
                return;
            }
            let mut known =
                Known::new(PostedAlert { state: PostedState::Resolved, ..posted.clone() });
            known.routes = self.routing.matching(&posted.labels);
            self.alerts.insert(number, known);
        }
        match (self.alerts[&number].posted.state, state) {
            (PostedState::Pending | PostedState::Firing, PostedState::Resolved) => {
                self.take_texts(number, posted);
                self.end(number, now_ms);
            }
            (PostedState::Resolved, PostedState::Resolved) => {}
            (PostedState::Firing, PostedState::Pending) => {
                self.end(number, now_ms);
                self.pend(number, posted, now_ms);
            }
            (PostedState::Resolved, PostedState::Pending) => self.pend(number, posted, now_ms),
            (PostedState::Pending, PostedState::Pending)
            | (PostedState::Firing, PostedState::Firing) => self.take_texts(number, posted),
            (PostedState::Resolved | PostedState::Pending, PostedState::Firing) => {
                self.fire(number, posted, now_ms);
            }
        }
        if let Some(known) = self.alerts.get_mut(&number)
            && known.is_firing()
        {
            known.until_ms = until_ms;
        }
    }

    /// Whether a rule of this server knows of an alert what others cannot: no program from outside changes it, and no other
    /// rule with the same labels ends it.
    fn belongs_to_another(&self, number: u64, posted: &PostedAlert) -> bool {
        let Some(known) = self.alerts.get(&number).filter(|known| known.forget_ms().is_none())
        else {
            return false;
        };
        match (&known.posted.source, &posted.source) {
            (AlertSource::Rule(_), AlertSource::Pushed) => true,
            (AlertSource::Rule(known), AlertSource::Rule(other)) => {
                known != other && posted.state != PostedState::Firing
            }
            (AlertSource::Pushed, _) => false,
        }
    }

    /// Takes the newest value and texts of an alert; its state stays.
    fn take_texts(&mut self, number: u64, mut posted: PostedAlert) {
        let Some(known) = self.alerts.get_mut(&number) else { return };
        posted.state = known.posted.state;
        if posted.annotations.is_empty() {
            posted.annotations.clone_from(&known.posted.annotations);
        }
        if known.is_firing() {
            // It began when it was first told, also if who tells of it again names no beginning.
            let starts = [known.posted.starts_at_ms, posted.starts_at_ms];
            posted.starts_at_ms = starts.into_iter().flatten().min();
            posted.active_at_ms = posted.active_at_ms.min(known.posted.active_at_ms);
        }
        // An end that is only put off is no change worth a record.
        known.posted.ends_at_ms = posted.ends_at_ms;
        if known.posted != posted {
            known.posted = posted;
            self.out.alerts.insert(number);
        }
    }

    fn pend(&mut self, number: u64, posted: PostedAlert, now_ms: i64) {
        let Some(known) = self.alerts.get_mut(&number) else { return };
        let value = posted.value;
        known.posted = posted;
        self.out.alerts.insert(number);
        let text = "it holds, but not for long enough yet".to_owned();
        self.out.say(number, TrailKind::Pending, now_ms, text).value = value;
        self.place(number);
    }

    fn fire(&mut self, number: u64, posted: PostedAlert, now_ms: i64) {
        let Some(known) = self.alerts.get_mut(&number) else { return };
        let value = posted.value;
        known.posted = posted;
        known.hush = None;
        let flaps = known.fires(now_ms);
        self.out.episode(number, known);
        self.out.say(number, TrailKind::Firing, now_ms, "it fires".to_owned()).value = value;
        self.place(number);
        self.join(number, flaps, now_ms);
    }

    /// An alert does not hold any more.
    fn end(&mut self, number: u64, now_ms: i64) {
        let Some(known) = self.alerts.get_mut(&number) else { return };
        let value = known.posted.value;
        if known.is_firing() {
            known.ends(now_ms);
            self.out.episode(number, known);
            let text = "it does not hold any more".to_owned();
            self.out.say(number, TrailKind::Resolved, now_ms, text).value = value;
            self.place(number);
            let ids: Vec<GroupId> = self.groups_of(&self.alerts[&number]).map(Group::id).collect();
            for id in ids {
                if let Some(group) = self.groups.get_mut(&id)
                    && group.members.contains(&number)
                {
                    group.news.insert(number);
                    self.out.groups.insert(id);
                }
            }
            return;
        }
        known.posted.state = PostedState::Resolved;
        let fired_once = known.ended_ms.is_some();
        let text = "it went away before it fired".to_owned();
        self.out.say(number, TrailKind::Dropped, now_ms, text).value = value;
        self.out.alerts.insert(number);
        self.place(number);
        if !fired_once {
            self.alerts.remove(&number);
        }
    }

    /// Tells the graph of explanations of an alert's state.
    fn place(&mut self, number: u64) {
        let known = &self.alerts[&number];
        let touched = self.explains.place(number, known.labels(), known.presence());
        self.reconsider.extend(touched);
        self.reconsider.insert(number);
    }

    /// Puts an alert that fires into the groups of its routes.
    fn join(&mut self, number: u64, flaps: bool, now_ms: i64) {
        let routing = Arc::clone(&self.routing);
        let known = &self.alerts[&number];
        let started_ms = known.started_ms.unwrap_or(now_ms);
        for at in known.routes.clone() {
            let route = &routing.routes[at];
            if !self.reaches(&route.receiver) {
                continue;
            }
            let labels = route.group_labels(self.alerts[&number].labels());
            let key = route.group_key(&labels);
            let id = (route.receiver.clone(), key.clone());
            let group = self
                .groups
                .entry(id.clone())
                .or_insert_with(|| Group::new(&route.receiver, key.clone(), labels, now_ms));
            group.route = at;
            group.insert(number, started_ms, route, now_ms);
            if flaps {
                group.flapping.insert(number);
                group.hurry(route, now_ms);
            }
            let text = format!("it joined the group {key} of {}", route.receiver);
            let line = self.out.say(number, TrailKind::Grouped, now_ms, text);
            line.receiver = Some(route.receiver.clone());
            line.subject = Some(key);
            self.out.groups.insert(id);
        }
    }

    /// Ends the alerts of other programs of which nothing more was heard.
    pub(super) fn end_by_themselves(&mut self, now_ms: i64) {
        let over = |known: &Known| known.until_ms.is_some_and(|until| until <= now_ms);
        let ended: Vec<u64> =
            self.alerts.iter().filter(|(_, known)| over(known)).map(|(n, _)| *n).collect();
        for number in ended {
            self.end(number, now_ms);
        }
    }

    /// Looks for alerts that do not flap any more: what they are now is told.
    pub(super) fn settle(&mut self, now_ms: i64) {
        let routing = Arc::clone(&self.routing);
        let mut settled = Vec::new();
        for (number, known) in &mut self.alerts {
            if known.flap.settle(now_ms) {
                settled.push((*number, known.is_firing()));
                self.out.alerts.insert(*number);
            }
        }
        for (number, firing) in settled {
            self.reconsider.insert(number);
            let ids: Vec<GroupId> = self.groups_of(&self.alerts[&number]).map(Group::id).collect();
            for id in ids {
                let Some(group) = self.groups.get_mut(&id) else { continue };
                if firing {
                    group.told.remove(&number);
                }
                group.flapping.remove(&number);
                group.hurry(&routing.routes[group.route], now_ms);
                self.out.groups.insert(id);
            }
        }
    }

    /// Sees anew what hides the alerts for which something has changed.
    pub(super) fn see_what_hides(&mut self, now_ms: i64) {
        loop {
            for number in std::mem::take(&mut self.reconsider) {
                self.see_what_hides_one(number, now_ms);
            }
            if !self.silences.any_until_resolved() {
                return;
            }
            let firing = self.alerts.values().filter(|known| known.is_firing());
            let hiding: BTreeSet<String> =
                firing.flat_map(|known| known.silenced_by.iter().cloned()).collect();
            let outlived = self.silences.outlived(&hiding);
            if outlived.is_empty() {
                return;
            }
            for id in outlived {
                self.expire_silence(&id, now_ms);
            }
        }
    }

    fn see_what_hides_one(&mut self, number: u64, now_ms: i64) {
        let Some(known) = self.alerts.get(&number) else { return };
        let labels_of = |other: u64| self.alerts.get(&other).map(|known| known.labels().clone());
        let silenced_by = self.silences.hiding(known.labels());
        let inhibited_by = self.explains.explaining(number, known.labels(), labels_of);
        let Some(known) = self.alerts.get_mut(&number) else { return };
        (known.silenced_by, known.inhibited_by) = (silenced_by, inhibited_by);
        let known = &self.alerts[&number];
        let hush = self.hidden(known);
        if !known.is_firing() || hush == known.hush {
            return;
        }
        let (kind, subject, text) = self.words(known, hush);
        self.out.say(number, kind, now_ms, text).subject = subject;
        self.out.alerts.insert(number);
        if hush.is_none() {
            let ids: Vec<GroupId> = self.groups_of(known).map(Group::id).collect();
            for id in ids {
                let Some(group) = self.groups.get_mut(&id) else { continue };
                group.news.insert(number);
                group.hurry(&self.routing.routes[group.route], now_ms);
                self.out.groups.insert(id);
            }
        }
        if let Some(known) = self.alerts.get_mut(&number) {
            known.hush = hush;
        }
    }

    /// What hides an alert, mute times left aside.
    pub(super) fn hidden(&self, known: &Known) -> Option<Hush> {
        if !known.silenced_by.is_empty() {
            Some(Hush::Silenced)
        } else if !known.inhibited_by.is_empty() {
            Some(Hush::Inhibited)
        } else if known.flap.is_on() {
            Some(Hush::Flapping)
        } else {
            let receivers = self.receivers_of(&known.routes);
            let heard = receivers.iter().any(|receiver| self.reaches(receiver));
            (!heard).then_some(Hush::NoReceiver)
        }
    }

    /// What the trail says of a change in what hides an alert.
    fn words(&self, known: &Known, hush: Option<Hush>) -> (TrailKind, Option<String>, String) {
        match hush {
            None | Some(Hush::Muted) => {
                let text = "nothing hides it any more".to_owned();
                (TrailKind::Unhushed, None, text)
            }
            Some(Hush::Silenced) => {
                let id = known.silenced_by[0].clone();
                let text = match self.silences.get(&id) {
                    Some(silence) if silence.comment.is_empty() => {
                        format!("the silence {id} of {} hides it", silence.created_by)
                    }
                    Some(silence) => format!(
                        "the silence {id} of {} hides it: {}",
                        silence.created_by, silence.comment
                    ),
                    None => format!("the silence {id} hides it"),
                };
                (TrailKind::Silenced, Some(id), text)
            }
            Some(Hush::Inhibited) => {
                let cause = known.inhibited_by[0];
                let name = self
                    .alerts
                    .get(&cause)
                    .map_or_else(String::new, |cause| super::decide::title(cause.labels()));
                let text = format!("{name} explains it");
                (TrailKind::Inhibited, Some(format_fingerprint(cause)), text)
            }
            Some(Hush::Flapping) => {
                let text =
                    "it fires and resolves again and again; this is told once, then what it \
                            settles in"
                        .to_owned();
                (TrailKind::Flapping, None, text)
            }
            Some(Hush::NoReceiver) => {
                let receivers = self.receivers_of(&known.routes).join(", ");
                let text = format!("its routes lead to {receivers}, and no channel is behind that");
                (TrailKind::NoReceiver, Some(receivers), text)
            }
        }
    }

    /// Forgets what need not be known any more.
    pub(super) fn forget_old(&mut self, now_ms: i64) {
        let is_old = |known: &Known| known.forget_ms().is_some_and(|at| at <= now_ms);
        let mut old: BTreeSet<u64> =
            self.alerts.iter().filter(|(_, known)| is_old(known)).map(|(n, _)| *n).collect();
        // What is still to be told must still be known.
        old.retain(|number| !self.gates.values().any(|gate| gate.holds(*number)));
        if !old.is_empty() {
            for group in self.groups.values() {
                group.members.iter().for_each(|number| {
                    old.remove(number);
                });
            }
        }
        for number in old {
            if let Some(known) = self.alerts.remove(&number) {
                let touched = self.explains.place(number, known.labels(), Presence::Gone);
                self.reconsider.extend(touched);
                self.out.alerts.insert(number);
            }
        }
        let empty: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(_, group)| group.forget_ms().is_some_and(|at| at <= now_ms))
            .map(|(id, _)| id.clone())
            .collect();
        for id in empty {
            self.groups.remove(&id);
            self.out.groups.insert(id);
        }
        self.out.silences.extend(self.silences.forget_old(now_ms));
    }

    /// After a restart: puts the alerts into their groups, which know what they told.
    pub(super) fn rejoin(&mut self) {
        let routing = Arc::clone(&self.routing);
        let numbers: Vec<u64> = self.alerts.keys().copied().collect();
        for number in numbers {
            let Some(known) = self.alerts.get_mut(&number) else { continue };
            known.routes = routing.matching(known.labels());
            let (routes, firing) = (known.routes.clone(), known.is_firing());
            self.place(number);
            for at in routes {
                let route = &routing.routes[at];
                let labels = route.group_labels(self.alerts[&number].labels());
                let id = (route.receiver.clone(), route.group_key(&labels));
                if let Some(group) = self.groups.get_mut(&id) {
                    group.route = at;
                    if firing || group.told.contains_key(&number) {
                        group.members.insert(number);
                    }
                }
            }
        }
        // Routes may have changed with the restart: what was told is not told again, and what fires has a group.
        if self.groups.values().any(|group| group.members.is_empty() && group.emptied_ms.is_none())
            || self.alerts.values().any(|known| known.is_firing() && !self.is_grouped(known))
        {
            let now_ms = self.now_ms.max(self.newest_ms());
            self.regroup(now_ms);
        }
    }

    fn is_grouped(&self, known: &Known) -> bool {
        let heard = known
            .routes
            .iter()
            .filter(|at| self.reaches(&self.routing.routes[**at].receiver))
            .count();
        self.groups_of(known).count() >= heard
    }

    /// The newest time that the records know.
    fn newest_ms(&self) -> i64 {
        let alerts = self.alerts.values().filter_map(|known| known.ended_ms.or(known.started_ms));
        let groups = self.groups.values().map(|group| group.started_ms);
        alerts.chain(groups).max().unwrap_or_default()
    }

    /// Puts all alerts into the groups of the routes as they are now.
    pub(super) fn regroup(&mut self, now_ms: i64) {
        let before = std::mem::take(&mut self.groups);
        self.out.groups.extend(before.keys().cloned());
        let mut told: BTreeMap<(String, u64), i64> = BTreeMap::new();
        for group in before.values() {
            let of_group =
                group.told.iter().map(|(alert, at)| ((group.receiver.clone(), *alert), *at));
            told.extend(of_group);
        }
        let routing = Arc::clone(&self.routing);
        let numbers: Vec<u64> = self.alerts.keys().copied().collect();
        for number in numbers {
            let Some(known) = self.alerts.get_mut(&number) else { continue };
            known.routes = routing.matching(known.labels());
            let (routes, firing) = (known.routes.clone(), known.is_firing());
            let started_ms = known.started_ms.unwrap_or(now_ms);
            self.place(number);
            for at in routes {
                let route = &routing.routes[at];
                let knows = told.get(&(route.receiver.clone(), number)).copied();
                if !self.reaches(&route.receiver) || !(firing || knows.is_some()) {
                    continue;
                }
                let labels = route.group_labels(self.alerts[&number].labels());
                let key = route.group_key(&labels);
                let id = (route.receiver.clone(), key.clone());
                let old = before.get(&id);
                let group = self.groups.entry(id.clone()).or_insert_with(|| {
                    let mut group = old
                        .cloned()
                        .unwrap_or_else(|| Group::new(&route.receiver, key, labels, now_ms));
                    group.members.clear();
                    group
                });
                group.route = at;
                if let Some(at_ms) = knows {
                    group.told.insert(number, at_ms);
                    group.last_message_ms.get_or_insert(at_ms);
                }
                group.insert(number, started_ms, route, now_ms);
                self.out.groups.insert(id);
            }
        }
    }
}
