//! The dispatcher: what it knows, what it is told, and what it shows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::alert::Known;
use super::group::{Group, GroupId};
use super::inhibition::{Explains, InhibitRule};
use super::matchers::Matchers;
use super::records::Out;
use super::routing::Routing;
use super::silences::{Silence, SilenceError, Silences, next_minute};
use super::storm::Gate;
use super::trail::TrailKind;
use super::view::{Acknowledgement, AlertView, Decisions, GroupView, Hush};
use crate::posted::{LabelMap, PostedAlert, format_fingerprint};

/// A poll that is later than it was to be by this much, in milliseconds, means that the clock was set forward or that
/// the machine slept: nobody could renew alerts that end by themselves.
const JUMP_MS: i64 = 60_000;

/// Decides who hears what, when, and once.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) routing: Arc<Routing>,
    /// The channels that are there.
    pub(super) channels: BTreeSet<String>,
    pub(super) alerts: BTreeMap<u64, Known>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) silences: Silences,
    pub(super) explains: Explains,
    pub(super) gates: BTreeMap<String, Gate>,
    /// The alerts for which it is to be seen anew what hides them.
    pub(super) reconsider: BTreeSet<u64>,
    pub(super) out: Out,
    /// The time of the last call.
    pub(super) now_ms: i64,
    /// When the next poll was due, as of the last one; none before the first.
    due_ms: Option<i64>,
    /// The minute in which mute times were looked at last.
    pub(super) muted_minute: i64,
    /// How many alerts were refused.
    pub(super) refused: u64,
}

impl Dispatcher {
    /// A dispatcher that knows no alerts; `receivers` are the names of the channels that are there and enabled.
    pub fn new(routing: Routing, receivers: BTreeSet<String>) -> Self {
        let explains = Explains::new(all_rules(&routing));
        Self {
            routing: Arc::new(routing),
            channels: receivers,
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            silences: Silences::default(),
            explains,
            gates: BTreeMap::new(),
            reconsider: BTreeSet::new(),
            out: Out::default(),
            now_ms: i64::MIN,
            due_ms: None,
            muted_minute: i64::MIN,
            refused: 0,
        }
    }

    /// Takes new routes and channels. Alerts that a receiver knows of already are not told to it again because their
    /// group has another name now.
    pub fn set_routing(&mut self, routing: Routing, receivers: BTreeSet<String>, now_ms: i64) {
        self.explains = Explains::new(all_rules(&routing));
        (self.routing, self.channels) = (Arc::new(routing), receivers);
        self.regroup(now_ms);
    }

    /// Takes alerts in. Of one that is known already only what is different counts.
    pub fn post(&mut self, alerts: Vec<PostedAlert>, now_ms: i64) {
        let now_ms = self.follow_clock(now_ms);
        for alert in alerts {
            self.post_one(alert, now_ms);
        }
    }

    /// Resolves the alerts that fire or are pending, and for which `goes_on` says no: for instance those of rules that
    /// are not there any more.
    pub fn resolve_unless(&mut self, goes_on: impl Fn(&PostedAlert) -> bool, now_ms: i64) {
        let now_ms = self.follow_clock(now_ms);
        let gone = |known: &&Known| known.forget_ms().is_none() && !goes_on(&known.posted);
        let gone: Vec<PostedAlert> =
            self.alerts.values().filter(gone).map(|known| known.posted.clone()).collect();
        for mut alert in gone {
            alert.state = crate::PostedState::Resolved;
            alert.ends_at_ms = Some(now_ms);
            self.post_one(alert, now_ms);
        }
    }

    /// Adds a silence, or changes the one of the same number.
    pub fn put_silence(&mut self, silence: Silence, now_ms: i64) -> Result<(), SilenceError> {
        let id = silence.id.clone();
        self.silences.put(silence, now_ms)?;
        self.out.silences.insert(id.clone());
        let mut changed = self.silences.refresh(now_ms);
        changed.insert(id);
        self.reconsider_silenced(&changed);
        Ok(())
    }

    /// Ends a silence now; false if there is none of that number that has not ended.
    pub fn expire_silence(&mut self, id: &str, now_ms: i64) -> bool {
        let expired = self.silences.expire(id, now_ms);
        if expired {
            self.out.silences.insert(id.to_owned());
            let changed = self.silences.refresh(now_ms);
            self.reconsider_silenced(&changed);
        }
        expired
    }

    /// Notes the alerts that these silences hide, or would by what they match now.
    fn reconsider_silenced(&mut self, changed: &BTreeSet<String>) {
        let changed: Vec<&Silence> =
            changed.iter().filter_map(|id| self.silences.get(id)).collect();
        if changed.is_empty() {
            return;
        }
        let touches = |known: &Known| {
            changed.iter().any(|silence| {
                known.silenced_by.contains(&silence.id) || silence.matchers.matches(known.labels())
            })
        };
        let touched = self.alerts.iter().filter(|(_, known)| touches(known));
        self.reconsider.extend(touched.map(|(number, _)| *number));
    }

    /// Somebody takes note of an alert, or takes that back with none; false if there is no such alert that fires or is
    /// pending. An alert that was acknowledged is not repeated and not escalated.
    pub fn acknowledge(
        &mut self,
        alert: &str,
        acknowledgement: Option<Acknowledgement>,
        now_ms: i64,
    ) -> bool {
        let Some((number, known)) = self.known_mut(alert) else { return false };
        if known.forget_ms().is_some() {
            return false;
        }
        let (subject, text) = match &acknowledgement {
            Some(Acknowledgement { by, note, .. }) if note.is_empty() => {
                (Some(by.clone()), format!("{by} acknowledged it"))
            }
            Some(Acknowledgement { by, note, .. }) => {
                (Some(by.clone()), format!("{by} acknowledged it: {note}"))
            }
            None => (None, "the acknowledgement was taken back".to_owned()),
        };
        known.acknowledged = acknowledgement;
        self.out.say(number, TrailKind::Acknowledged, now_ms, text).subject = subject;
        self.out.alerts.insert(number);
        true
    }

    /// Gives an alert to somebody, or to nobody; false if there is no such alert. `by` is who says so.
    pub fn assign(&mut self, alert: &str, to: Option<String>, by: &str, now_ms: i64) -> bool {
        let Some((number, known)) = self.known_mut(alert) else { return false };
        let text = match &to {
            Some(name) => format!("{by} assigned it to {name}"),
            None => format!("{by} assigned it to nobody"),
        };
        known.assignee.clone_from(&to);
        self.out.say(number, TrailKind::Assigned, now_ms, text).subject = to;
        self.out.alerts.insert(number);
        true
    }

    /// Decides what is due, and gives all that was decided since the last call.
    pub fn poll(&mut self, now_ms: i64) -> Decisions {
        let now_ms = self.follow_clock(now_ms);
        self.renew_after_jump(now_ms);
        self.end_by_themselves(now_ms);
        self.settle(now_ms);
        let changed = self.silences.refresh(now_ms);
        self.reconsider_silenced(&changed);
        self.reconsider.extend(self.explains.cease(now_ms));
        self.see_what_hides(now_ms);
        self.see_what_is_muted(now_ms);
        self.flush_due(now_ms);
        self.escalate_due(now_ms);
        self.sum_up_due(now_ms);
        self.forget_old(now_ms);
        self.due_ms = self.next_due_ms();
        self.drain()
    }

    /// When to poll at the latest, in milliseconds since 1970; none if nothing is to come.
    pub fn next_due_ms(&self) -> Option<i64> {
        if !self.reconsider.is_empty() || !self.out.is_empty() {
            return Some(self.now_ms);
        }
        // One that is still needed when it could be forgotten is tried again a minute later.
        let forget = |at: i64| if at > self.now_ms { at } else { next_minute(self.now_ms) };
        let alerts = self.alerts.values().flat_map(|known| {
            [known.until_ms, known.flap.settles_ms(), known.forget_ms().map(forget)]
        });
        let groups = self.groups.values().flat_map(|group| {
            let escalation = self.next_escalation_ms(group);
            [Some(group.next_flush_ms), group.forget_ms(), escalation]
        });
        let gates = self.gates.values().map(Gate::next_ms);
        let muted = self.routing.looks_at_the_clock() && !self.groups.is_empty();
        let minute = muted.then(|| next_minute(self.now_ms));
        let others =
            [self.silences.next_edge_ms(self.now_ms), self.explains.next_edge_ms(), minute];
        alerts.chain(groups).chain(gates).chain(others).flatten().min()
    }

    /// All alerts that are known: those that are pending, those that fire, and those resolved lately.
    pub fn alerts(&self) -> impl Iterator<Item = AlertView<'_>> {
        self.alerts.iter().map(|(number, known)| self.view(*number, known))
    }

    /// The fingerprints of the alerts that each silence hides, by the silence's number.
    pub fn hidden_by_silences(&self) -> HashMap<&str, Vec<String>> {
        let mut hidden: HashMap<&str, Vec<String>> = HashMap::new();
        for (number, known) in &self.alerts {
            for id in &known.silenced_by {
                hidden.entry(id).or_default().push(format_fingerprint(*number));
            }
        }
        hidden
    }

    /// One alert by its fingerprint, as it is written.
    pub fn alert(&self, fingerprint: &str) -> Option<AlertView<'_>> {
        let number = parse_fingerprint(fingerprint)?;
        self.alerts.get(&number).map(|known| self.view(number, known))
    }

    /// All groups that have alerts.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        let shown = self.groups.values().filter(|group| !group.members.is_empty());
        shown.map(|group| GroupView {
            receiver: &group.receiver,
            group_key: &group.key,
            labels: &group.labels,
            alerts: group.members.iter().copied().map(format_fingerprint).collect(),
        })
    }

    /// All silences; those that are over stay for five days.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.iter()
    }

    /// One silence.
    pub fn silence(&self, id: &str) -> Option<&Silence> {
        self.silences.get(id)
    }

    /// The alerts that a silence with these matchers would hide now.
    pub fn hidden_by<'a>(&'a self, matchers: &'a Matchers) -> impl Iterator<Item = AlertView<'a>> {
        self.alerts().filter(|view| {
            let ended = view.state == crate::PostedState::Resolved;
            !ended && matchers.matches(&view.posted.labels)
        })
    }

    /// The receivers that the routes of an alert with these labels lead to, in order.
    pub fn routes_of(&self, labels: &LabelMap) -> Vec<String> {
        self.receivers_of(&self.routing.matching(labels))
    }

    /// The routes that hold now.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// How many alerts were refused since the start, as there were too many or their labels too large.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn receivers_of(&self, routes: &[usize]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for &at in routes {
            let receiver = &self.routing.routes[at].receiver;
            if !names.contains(receiver) {
                names.push(receiver.clone());
            }
        }
        names
    }

    /// Whether there is a channel behind a receiver.
    pub(super) fn reaches(&self, receiver: &str) -> bool {
        !self.routing.channels_of(receiver, &self.channels).is_empty()
    }

    fn view<'a>(&'a self, number: u64, known: &'a Known) -> AlertView<'a> {
        AlertView {
            fingerprint: format_fingerprint(number),
            posted: &known.posted,
            state: known.posted.state,
            hush: self.hush(number, known),
            silenced_by: &known.silenced_by,
            inhibited_by: known.inhibited_by.iter().copied().map(format_fingerprint).collect(),
            incident: format_fingerprint(self.root(number)),
            acknowledged: known.acknowledged.as_ref(),
            assignee: known.assignee.as_deref(),
            receivers: self.receivers_of(&known.routes),
            notified_ms: known.notified_ms,
            messages: known.messages,
        }
    }

    /// Why nobody is told of an alert now.
    fn hush(&self, number: u64, known: &Known) -> Option<Hush> {
        if known.forget_ms().is_some() {
            return None;
        }
        self.hidden(known).or_else(|| {
            let mut groups = self.groups_of(known).peekable();
            let any = groups.peek().is_some();
            (any && groups.all(|group| group.muted.contains(&number))).then_some(Hush::Muted)
        })
    }

    /// The groups that an alert is or would be in.
    pub(super) fn groups_of<'a>(&'a self, known: &'a Known) -> impl Iterator<Item = &'a Group> {
        known.routes.iter().filter_map(|&at| {
            let route = &self.routing.routes[at];
            let key = route.group_key(&route.group_labels(known.labels()));
            self.groups.get(&(route.receiver.clone(), key))
        })
    }

    /// The alert that explains an alert in the end, or itself.
    pub(super) fn root(&self, number: u64) -> u64 {
        /// Longer chains of explanations are cut, so that a circle of people's rules ends.
        const MAX_CHAIN: usize = 8;
        let mut at = number;
        for _ in 0..MAX_CHAIN {
            match self.alerts.get(&at).and_then(|known| known.inhibited_by.first()) {
                Some(next) if *next != number => at = *next,
                _ => break,
            }
        }
        at
    }

    fn known_mut(&mut self, fingerprint: &str) -> Option<(u64, &mut Known)> {
        let number = parse_fingerprint(fingerprint)?;
        self.alerts.get_mut(&number).map(|known| (number, known))
    }

    /// Takes the time of a call. If the clock was set back, what waits for times that it no longer reaches soon is set
    /// back with it.
    fn follow_clock(&mut self, now_ms: i64) -> i64 {
        /// Smaller steps back are smoothed over by waiting.
        const STEP_BACK_MS: i64 = 1_000;
        // After a restart nobody knows what the clock was before.
        let restarted = self.due_ms.is_none() && self.now_ms == i64::MIN;
        if restarted || now_ms < self.now_ms.saturating_sub(STEP_BACK_MS) {
            let routing = Arc::clone(&self.routing);
            for (id, group) in &mut self.groups {
                if group.clamp(&routing.routes[group.route], now_ms) {
                    self.out.groups.insert(id.clone());
                }
            }
            for known in self.alerts.values_mut() {
                known.clamp(now_ms);
                let limit_ms = now_ms + routing.resolve_timeout_ms;
                known.until_ms = known.until_ms.map(|until| until.min(limit_ms));
            }
            self.gates.values_mut().for_each(|gate| gate.clamp(now_ms));
            self.explains.clamp(now_ms);
            self.now_ms = now_ms;
        }
        self.now_ms = self.now_ms.max(now_ms);
        self.now_ms
    }

    /// After a restart, a sleep or a jump of the clock, alerts of other programs get the time to be renewed.
    fn renew_after_jump(&mut self, now_ms: i64) {
        if self.due_ms.is_some_and(|due| now_ms <= due.saturating_add(JUMP_MS)) {
            return;
        }
        let limit_ms = now_ms + self.routing.resolve_timeout_ms;
        for known in self.alerts.values_mut() {
            known.until_ms = known.until_ms.map(|until| until.max(limit_ms));
        }
        if self.due_ms.is_none() {
            for group in self.groups.values_mut() {
                group.catch_up(&self.routing.routes[group.route], now_ms);
            }
        }
    }
}

/// People's rules of what explains what, and those that hold always.
fn all_rules(routing: &Routing) -> Vec<InhibitRule> {
    InhibitRule::always().into_iter().chain(routing.inhibit_rules.iter().cloned()).collect()
}

/// Reads a fingerprint as it is written.
fn parse_fingerprint(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok())?
}
