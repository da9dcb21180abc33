//! When a group is due: what of it is told, to whom, and what the trail says of the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::alert::{Known, severity, urgency};
use super::dispatcher::Dispatcher;
use super::group::{Group, GroupId, Members, hash};
use super::routing::Route;
use super::silences::MINUTE_MS;
use super::storm::{Gate, Urgency};
use super::trail::TrailKind;
use crate::notification::{Notification, NotificationKind, NotifiedAlert};
use crate::posted::{ALERT_NAME, INSTANCE, LabelMap, format_fingerprint};

/// The most alerts that a message lists, and the most bytes of them: receivers refuse what is larger.
const MAX_LISTED: usize = 200;
const MAX_LISTED_BYTES: usize = 512 << 10;

impl Dispatcher {
    /// Looks at the groups that are due, those with the most urgent alerts first.
    pub(super) fn flush_due(&mut self, now_ms: i64) {
        let due = self.groups.values().filter(|group| group.next_flush_ms <= now_ms);
        let mut due: Vec<(u8, i64, GroupId)> = due
            .map(|group| {
                let members = group.members.iter().filter_map(|number| self.alerts.get(number));
                let most_urgent = members.map(|known| urgency(known.labels())).min();
                (most_urgent.unwrap_or(u8::MAX), group.next_flush_ms, group.id())
            })
            .collect();
        due.sort();
        for (_, _, id) in due {
            self.flush(&id, now_ms);
        }
    }

    fn flush(&mut self, id: &GroupId, now_ms: i64) {
        let Some(mut group) = self.groups.remove(id) else { return };
        let routing = Arc::clone(&self.routing);
        let route = &routing.routes[group.route];
        let mut changed = group.schedule(route, now_ms) | !group.news.is_empty();
        let muted = routing.muted(route, now_ms);
        if let Some(why) = &muted {
            changed |= self.mute(&mut group, why, now_ms);
        }
        let members = self.sort_members(&group, muted.is_some());
        changed |= self.tell_flapping(&mut group, &members, now_ms);
        let verdict = group.verdict(&members, route.repeat_interval_ms, now_ms);
        let verdict = verdict.filter(|kind| {
            *kind != NotificationKind::Repeat || !self.all_acknowledged(&members.firing)
        });
        if let Some(kind) = verdict {
            self.tell(&mut group, &members, kind, route, now_ms);
            changed = true;
        } else {
            self.say_unchanged(&mut group, &members, now_ms);
        }
        changed |= self.let_go(&mut group, &members, muted.is_some(), now_ms);
        if changed {
            self.out.groups.insert(id.clone());
        }
        self.groups.insert(id.clone(), group);
    }

    fn sort_members(&self, group: &Group, muted: bool) -> Members {
        let mut members = Members::default();
        for number in &group.members {
            let Some(known) = self.alerts.get(number) else { continue };
            let hidden = !known.silenced_by.is_empty() || !known.inhibited_by.is_empty();
            let list = if hidden || muted {
                &mut members.hidden
            } else if known.flap.is_on() {
                &mut members.held
            } else if known.is_firing() {
                &mut members.firing
            } else {
                &mut members.resolved
            };
            list.insert(*number);
        }
        members
    }

    /// Says once of each alert that flaps that it does.
    fn tell_flapping(&mut self, group: &mut Group, members: &Members, now_ms: i64) -> bool {
        let flapping: BTreeSet<u64> = group.flapping.intersection(&members.held).copied().collect();
        if flapping.is_empty() {
            return false;
        }
        for number in &flapping {
            group.flapping.remove(number);
            group.news.remove(number);
            group.told.entry(*number).or_insert(now_ms);
        }
        group.last_message_ms.get_or_insert(now_ms);
        let receiver = group.receiver.clone();
        self.send(group, NotificationKind::Flapping, &receiver, &flapping, now_ms);
        true
    }

    fn tell(
        &mut self,
        group: &mut Group,
        members: &Members,
        kind: NotificationKind,
        route: &Route,
        now_ms: i64,
    ) {
        let all: BTreeSet<u64> = members.firing.union(&members.resolved).copied().collect();
        let receiver = group.receiver.clone();
        self.send(group, kind, &receiver, &all, now_ms);
        // Who was called for an alert is told when it is over.
        let called: BTreeSet<u64> =
            members.resolved.intersection(&group.escalated).copied().collect();
        if let (false, Some(to)) = (called.is_empty(), &route.escalate_to) {
            self.send(group, NotificationKind::Change, to, &called, now_ms);
        }
        group.has_told(members, now_ms);
        group.news.retain(|number| !all.contains(number));
    }

    /// What the trail says of alerts that changed, and for which the receiver need not be told anything.
    fn say_unchanged(&mut self, group: &mut Group, members: &Members, now_ms: i64) {
        for number in std::mem::take(&mut group.news) {
            if !members.firing.contains(&number) && !members.resolved.contains(&number) {
                continue;
            }
            let text = format!("{} knows already what there is to be told", group.receiver);
            let line = self.out.say(number, TrailKind::Unchanged, now_ms, text);
            line.receiver = Some(group.receiver.clone());
            line.subject = Some(group.key.clone());
        }
    }

    /// Lets go of the resolved members. One that flaps stays until it settles, and one of which the receiver knows stays
    /// while its route is muted, so that its end is told afterwards.
    fn let_go(&self, group: &mut Group, members: &Members, muted: bool, now_ms: i64) -> bool {
        let gone = |number: &u64| match self.alerts.get(number) {
            None => true,
            Some(known) if known.is_firing() => false,
            Some(_) if members.held.contains(number) => false,
            Some(known) => {
                let hidden = !known.silenced_by.is_empty() || !known.inhibited_by.is_empty();
                hidden || !muted || !group.told.contains_key(number)
            }
        };
        let gone: Vec<u64> = group.members.iter().copied().filter(gone).collect();
        group.let_go(gone.into_iter(), now_ms)
    }

    fn all_acknowledged(&self, alerts: &BTreeSet<u64>) -> bool {
        let acknowledged = |number: &u64| {
            self.alerts.get(number).is_some_and(|known| known.acknowledged.is_some())
        };
        alerts.iter().all(acknowledged)
    }

    /// Says once of each member that its route is muted.
    fn mute(&mut self, group: &mut Group, why: &str, now_ms: i64) -> bool {
        let before = group.muted.len();
        for number in &group.members {
            let firing = self.alerts.get(number).is_some_and(Known::is_firing);
            if firing && group.muted.insert(*number) {
                let text = format!("its route to {} is muted: {why}", group.receiver);
                let line = self.out.say(*number, TrailKind::Muted, now_ms, text);
                line.receiver = Some(group.receiver.clone());
                line.subject = Some(group.key.clone());
            }
        }
        group.muted.len() != before
    }

    /// Looks, once a minute, for routes whose mute time has ended.
    pub(super) fn see_what_is_muted(&mut self, now_ms: i64) {
        let minute = now_ms.div_euclid(MINUTE_MS);
        if std::mem::replace(&mut self.muted_minute, minute) == minute {
            return;
        }
        let routing = Arc::clone(&self.routing);
        for group in self.groups.values_mut() {
            let route = &routing.routes[group.route];
            if group.muted.is_empty() || routing.muted(route, now_ms).is_some() {
                continue;
            }
            for number in std::mem::take(&mut group.muted) {
                let text = format!("its route to {} is not muted any more", group.receiver);
                let line = self.out.say(number, TrailKind::Unhushed, now_ms, text);
                line.receiver = Some(group.receiver.clone());
                line.subject = Some(group.key.clone());
                group.news.insert(number);
            }
            group.hurry(route, now_ms);
            self.out.groups.insert(group.id());
        }
    }

    /// When somebody else is called for an alert of a group.
    pub(super) fn next_escalation_ms(&self, group: &Group) -> Option<i64> {
        let after_ms = self.routing.routes[group.route].escalate_after_ms?;
        let waits = group.told.iter().filter(|(number, _)| self.awaits_somebody(group, **number));
        waits.map(|(_, at_ms)| at_ms + after_ms).min()
    }

    /// Whether somebody was told of an alert that fires, and nobody has taken note of it.
    fn awaits_somebody(&self, group: &Group, number: u64) -> bool {
        let open = self.alerts.get(&number).is_some_and(|known| {
            known.is_firing() && known.acknowledged.is_none() && self.hidden(known).is_none()
        });
        open && !group.escalated.contains(&number) && !group.muted.contains(&number)
    }

    /// Calls somebody else for alerts that nobody has acknowledged in time.
    pub(super) fn escalate_due(&mut self, now_ms: i64) {
        let due = |group: &&Group| self.next_escalation_ms(group).is_some_and(|at| at <= now_ms);
        let due: Vec<GroupId> = self.groups.values().filter(due).map(Group::id).collect();
        let routing = Arc::clone(&self.routing);
        for id in due {
            let Some(mut group) = self.groups.remove(&id) else { continue };
            let route = &routing.routes[group.route];
            let after_ms = route.escalate_after_ms.unwrap_or_default();
            let late = group.told.iter().filter(|(number, at_ms)| {
                self.awaits_somebody(&group, **number) && **at_ms + after_ms <= now_ms
            });
            let late: BTreeSet<u64> = late.map(|(number, _)| *number).collect();
            let to = route.escalate_to.clone().unwrap_or_default();
            for number in &late {
                let text = format!("nobody acknowledged it in time, so {to} is called");
                let line = self.out.say(*number, TrailKind::Escalated, now_ms, text);
                line.receiver = Some(to.clone());
            }
            self.send(&mut group, NotificationKind::Escalation, &to, &late, now_ms);
            group.escalated.extend(&late);
            self.out.groups.insert(id.clone());
            self.groups.insert(id, group);
        }
    }

    /// Sends a message through the gate of its receiver, which may hold it.
    fn send(
        &mut self,
        group: &mut Group,
        kind: NotificationKind,
        receiver: &str,
        alerts: &BTreeSet<u64>,
        now_ms: i64,
    ) {
        if !self.reaches(receiver) {
            return;
        }
        let gate = self.gates.entry(receiver.to_owned()).or_insert_with(|| Gate::new(receiver));
        let firing = |number: &&u64| self.alerts.get(number).is_some_and(Known::is_firing);
        let most_urgent = alerts
            .iter()
            .filter(firing)
            .filter_map(|number| self.alerts.get(number).map(|known| urgency(known.labels())))
            .min();
        let urgency = match most_urgent {
            Some(0) => Urgency::Critical,
            Some(_) => Urgency::Firing,
            None => Urgency::Resolved,
        };
        self.out.gates.insert(receiver.to_owned());
        if let Some(messages) = self.routing.storm_after
            && !gate.lets_through(urgency, messages, alerts.iter().copied(), now_ms)
        {
            return;
        }
        let incident = match &group.incident {
            Some(incident) => incident.clone(),
            None => self.incident(alerts),
        };
        group.incident = Some(incident.clone());
        let mut message = self.compose(receiver, kind, alerts, now_ms);
        message.id = group.next_message();
        message.group_key.clone_from(&group.key);
        message.group_labels.clone_from(&group.labels);
        message.incident = incident;
        self.account_for(&message, alerts, TrailKind::Queued);
        self.out.notifications.push(message);
    }

    /// Sums up what the gates hold.
    pub(super) fn sum_up_due(&mut self, now_ms: i64) {
        let due = |gate: &&mut Gate| gate.next_ms().is_some_and(|at| at <= now_ms);
        let mut held = Vec::new();
        for gate in self.gates.values_mut().filter(due) {
            let alerts = gate.sum_up(now_ms);
            held.push((gate.receiver.clone(), gate.number, alerts));
        }
        for (receiver, number, alerts) in held {
            self.out.gates.insert(receiver.clone());
            let known: BTreeSet<u64> =
                alerts.into_iter().filter(|number| self.alerts.contains_key(number)).collect();
            if known.is_empty() {
                continue;
            }
            let mut message = self.compose(&receiver, NotificationKind::Storm, &known, now_ms);
            message.id = format!("{}.{number}", hash(["storm", &receiver]));
            message.group_key = format!("storm:{receiver}");
            message.incident = self.incident(&known);
            self.account_for(&message, &known, TrailKind::SummedUp);
            self.out.notifications.push(message);
        }
    }

    /// The name of the incident to which the most urgent alert belongs.
    fn incident(&self, alerts: &BTreeSet<u64>) -> String {
        let first = alerts.iter().min_by_key(|number| {
            let known = self.alerts.get(number);
            known.map(|known| (!known.is_firing(), urgency(known.labels()), known.started_ms))
        });
        let root = first.map_or(0, |number| self.root(*number));
        let started_ms = self.alerts.get(&root).and_then(|known| known.started_ms);
        format!("{}-{}", format_fingerprint(root), started_ms.unwrap_or_default())
    }

    /// A message about these alerts, as far as its group does not matter.
    fn compose(
        &self,
        receiver: &str,
        kind: NotificationKind,
        alerts: &BTreeSet<u64>,
        now_ms: i64,
    ) -> Notification {
        let known = alerts.iter().filter_map(|number| Some((number, self.alerts.get(number)?)));
        let mut listed: Vec<NotifiedAlert> =
            known.map(|(number, known)| known.notified(*number)).collect();
        listed.sort_by_cached_key(order);
        let common_labels = in_common(listed.iter().map(|alert| &alert.labels));
        let common_annotations = in_common(listed.iter().map(|alert| &alert.annotations));
        let fits = fitting(&listed);
        let left_out = listed.len() - fits;
        listed.truncate(fits);
        Notification {
            id: String::new(),
            receiver: receiver.to_owned(),
            kind,
            group_key: String::new(),
            group_labels: LabelMap::new(),
            common_labels,
            common_annotations,
            incident: String::new(),
            alerts: listed,
            left_out,
            swallowed: self.swallowed(alerts),
            at_ms: now_ms,
        }
    }

    /// How many alerts that fire are explained by these, and not among them.
    fn swallowed(&self, alerts: &BTreeSet<u64>) -> usize {
        let mut explained = BTreeSet::new();
        for number in alerts {
            if let Some(known) = self.alerts.get(number) {
                explained.extend(self.explains.explained_by(*number, known.labels()));
            }
        }
        let counts = |number: &&u64| {
            let known = self.alerts.get(number);
            !alerts.contains(number) && known.is_some_and(Known::is_firing)
        };
        explained.iter().filter(counts).count()
    }

    /// Writes a message into the trail of its alerts, and counts it.
    fn account_for(&mut self, message: &Notification, alerts: &BTreeSet<u64>, kind: TrailKind) {
        for number in alerts {
            let Some(known) = self.alerts.get_mut(number) else { continue };
            known.notified_ms = Some(message.at_ms);
            known.messages += 1;
            let what = match (message.kind, known.is_firing()) {
                (NotificationKind::Flapping, _) => "it flaps",
                (NotificationKind::Repeat, true) => "it still fires",
                (_, true) => "it fires",
                (_, false) => "it is resolved",
            };
            let text = match kind {
                TrailKind::SummedUp => {
                    format!(
                        "{} is told in one message with many others that {what}",
                        message.receiver
                    )
                }
                _ => format!("{} is told that {what}", message.receiver),
            };
            self.out.episode(*number, known);
            let value = known.posted.value;
            let line = self.out.say(*number, kind, message.at_ms, text);
            line.receiver = Some(message.receiver.clone());
            line.message = Some(message.id.clone());
            line.value = value;
        }
    }
}

/// The order of alerts in a message: those that fire first, of these the most urgent, then as Alertmanager has them.
fn order(alert: &NotifiedAlert) -> (bool, u8, [(bool, Option<String>); 2], LabelMap) {
    let first = ["job", INSTANCE].map(|name| {
        let value = alert.labels.get(name);
        (value.is_none(), value.cloned())
    });
    (!alert.firing, urgency(&alert.labels), first, alert.labels.clone())
}

/// How many of the first alerts a message has room for: at least one.
fn fitting(listed: &[NotifiedAlert]) -> usize {
    let of = |map: &LabelMap| map.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
    let mut bytes = 0;
    let fits = listed.iter().take(MAX_LISTED).take_while(|alert| {
        bytes += of(&alert.labels) + of(&alert.annotations) + alert.generator_url.len();
        bytes <= MAX_LISTED_BYTES
    });
    fits.count().max(1).min(listed.len())
}

/// What all maps have in common.
fn in_common<'a>(mut maps: impl Iterator<Item = &'a LabelMap>) -> LabelMap {
    let mut common = maps.next().cloned().unwrap_or_default();
    for map in maps {
        common.retain(|name, value| map.get(name) == Some(value));
    }
    common
}

/// An alert in a few words: its name, its host and how urgent it is.
pub(super) fn title(labels: &LabelMap) -> String {
    let name = labels.get(ALERT_NAME).map_or("an alert", String::as_str);
    let on = labels.get(INSTANCE).map_or(String::new(), |instance| format!(" on {instance}"));
    format!("{name}{on} ({})", severity(labels))
}
