//! All units of a host, and what of them has changed and is not told yet: pure.
//!
//! Facts come in from the session with systemd. Each change of a state becomes a sample with systemd's own time of it; two
//! changes of one unit never bear the same millisecond, so none hides another.

use std::collections::{BTreeMap, HashSet};

use muster_series::{Labels, stale_marker};

use crate::systemd::metrics::{Push, RUNNING, STATE, UNITS, VERSION};
use crate::systemd::transitions::{State, reconstruct};
use crate::systemd::unit::{Facts, Unit, is_service, is_watched};
use crate::watch::{Change, labels};

/// Most units watched; those beyond are left out.
const MAX_UNITS: usize = 2_000;
/// Most changes kept until they are told. In a storm of more only the present state of a unit is told.
const MAX_CHANGES: usize = 1_000;
/// How far systemd's time of a change may be from ours, in milliseconds; else the clock was set, and ours holds.
const MAX_AGE_MS: i64 = 600_000;
/// The states that are counted even where no unit is in them.
const COUNTED: [State; 5] =
    [State::Active, State::Activating, State::Deactivating, State::Inactive, State::Failed];

/// The units, by name.
#[derive(Debug, Default)]
pub(super) struct Units {
    by_name: BTreeMap<String, Unit>,
    system_state: Option<String>,
    version: Option<String>,
    changes: Vec<Change>,
    /// Whether changes of units were lost in a storm; those are `dirty`.
    lossy: bool,
    /// Whether the list was ever taken in.
    listed: bool,
    failed_told: Option<usize>,
}

/// A row of systemd's list of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: State,
}

/// What is not known of a unit that was listed or heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing that is needed.
    Nothing,
    /// All but its state.
    Everything,
}

impl Units {
    /// Takes in the list of all units. Calls `ask` for each, with its state and whether that is new.
    pub(super) fn listed(
        &mut self,
        rows: &[Row],
        now_ms: i64,
        mut ask: impl FnMut(&str, State, bool),
    ) {
        self.listed = true;
        let rows: BTreeMap<&str, State> = rows
            .iter()
            .filter(|row| is_watched(&row.name))
            .map(|row| (row.name.as_str(), row.state))
            .collect();
        let gone = self.by_name.keys().filter(|name| !rows.contains_key(name.as_str()));
        for name in gone.cloned().collect::<Vec<String>>() {
            self.removed(&name, now_ms);
        }
        for (name, state) in rows {
            let known = self.by_name.get(name).map(|unit| (unit.state, unit.dirty));
            match known {
                Some((known, false)) if known == state => ask(name, state, false),
                Some(_) => {
                    self.step(name, state, now_ms, now_ms);
                    ask(name, state, true);
                }
                None if self.by_name.len() < MAX_UNITS => {
                    let mut unit = Unit::new(name, state, micros(now_ms));
                    unit.told_ms = now_ms;
                    unit.waiting.push((now_ms, state, state));
                    self.by_name.insert(name.into(), unit);
                    ask(name, state, true);
                }
                None => {}
            }
        }
        self.release_waiting();
    }

    /// Takes in a message about a unit. Tells what is to be asked about it.
    pub(super) fn changed(&mut self, name: &str, facts: Facts, now_ms: i64) -> Unknown {
        if !self.listed || !is_watched(name) {
            return Unknown::Nothing;
        }
        let mut unknown = Unknown::Nothing;
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= MAX_UNITS {
                return Unknown::Nothing;
            }
            // Its first change is from nothing, which systemd calls inactive.
            let unit = Unit::new(name, State::Inactive, micros(now_ms - MAX_AGE_MS));
            self.by_name.insert(name.into(), unit);
            if is_service(name) {
                unknown = Unknown::Everything;
            }
        }
        let unit = self.by_name.get_mut(name).expect("it was just put there");
        let (to, stamps) = (facts.state, facts.stamps);
        let before = unit.untold.take().unwrap_or_else(|| told_facts(name, unit));
        unit.learn(facts);
        let Some(to) = to else {
            // systemd tells what is particular to a kind of units first, and then the unit's state.
            unit.untold = Some(before);
            return unknown;
        };
        let steps = reconstruct(unit.state, to, stamps, unit.known_us, unit.has_failed());
        unit.known_us = unit.known_us.max(stamps.state_change);
        let at_ms = steps.last().map_or(now_ms, |(us, _)| (us / 1_000) as i64);
        for (us, state) in steps {
            self.step(name, state, (us / 1_000) as i64, now_ms);
        }
        self.tell_facts(name, &before, at_ms);
        unknown
    }

    /// Takes in the answer to a question about a unit.
    pub(super) fn answered(&mut self, name: &str, facts: Facts, now_ms: i64) {
        let Some(unit) = self.by_name.get_mut(name) else {
            return;
        };
        let before = told_facts(name, unit);
        let waits = unit.service_type.is_none();
        unit.learn(facts);
        if waits {
            self.release_waiting();
        } else {
            self.tell_facts(name, &before, now_ms);
        }
    }

    /// There is no answer about a unit's type.
    pub(super) fn unanswered(&mut self, name: &str) {
        if let Some(unit) = self.by_name.get_mut(name) {
            unit.service_type.get_or_insert_default();
        }
        self.release_waiting();
    }

    /// systemd has forgotten a unit. Its series end, unless it failed: then what is known of that stays to be seen.
    pub(super) fn removed(&mut self, name: &str, now_ms: i64) {
        self.unanswered(name);
        let Some(unit) = self.by_name.remove(name) else {
            return;
        };
        if unit.state != State::Failed {
            let mut samples = Vec::new();
            collect(&mut samples, |push| {
                unit.push_states(name, push);
                unit.push_facts(name, push);
            });
            let ended = samples.into_iter().map(|(labels, _)| (labels, stale_marker())).collect();
            self.push_change(now_ms.max(unit.told_ms + 1), ended);
        }
    }

    /// The state of the whole system, as systemd tells it.
    pub(super) fn set_system_state(&mut self, state: &str, now_ms: i64) {
        if self.system_state.as_deref() != Some(state) {
            self.system_state = Some(state.into());
            let running = (labels(&RUNNING, &[]), is_running(state));
            self.push_change(now_ms, vec![running]);
        }
    }

    /// systemd's version.
    pub(super) fn set_version(&mut self, version: &str) {
        self.version = Some(version.into());
    }

    /// There is no systemd, or none any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the list of units was taken in.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Whether there is something to tell.
    pub(super) fn has_changes(&self) -> bool {
        self.lossy || !self.changes.is_empty()
    }

    /// What has changed since this was last called, in the order of time. A new number of failed units is told with it.
    pub(super) fn take_changes(&mut self, now_ms: i64) -> Vec<Change> {
        if !self.has_changes() {
            return Vec::new();
        }
        self.lossy = false;
        let mut lost = Vec::new();
        for (name, unit) in self.by_name.iter_mut().filter(|(_, unit)| unit.dirty) {
            unit.dirty = false;
            unit.told_ms = now_ms.max(unit.told_ms + 1);
            let mut samples = Vec::new();
            collect(&mut samples, |push| {
                unit.push_states(name, push);
                unit.push_facts(name, push);
            });
            lost.push((unit.told_ms, samples));
        }
        for (at_ms, samples) in lost {
            self.push_change(at_ms, samples);
        }
        let failed = self.count(State::Failed);
        if self.failed_told.replace(failed) != Some(failed) {
            let samples = vec![(labels(&UNITS, &[State::Failed.name()]), failed as f64)];
            self.push_change(now_ms, samples);
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.sort_by_key(|change| change.timestamp_ms);
        changes.iter_mut().for_each(keep_last_values);
        changes
    }

    /// Pushes every series of every unit, and of systemd itself.
    pub(super) fn push(&self, push: &mut Push<'_>) {
        for (name, unit) in self.by_name.iter().filter(|(_, unit)| unit.service_type.is_some()) {
            unit.push_states(name, push);
            unit.push_facts(name, push);
        }
        if self.listed {
            for state in State::ALL {
                let count = self.count(state);
                if count > 0 || COUNTED.contains(&state) {
                    push(&UNITS, &[state.name()], count as f64);
                }
            }
        }
        if let Some(state) = &self.system_state {
            push(&RUNNING, &[], is_running(state));
        }
        if let Some(version) = &self.version {
            push(&VERSION, &[version], version_number(version));
        }
    }

    fn count(&self, state: State) -> usize {
        self.by_name.values().filter(|unit| unit.state == state).count()
    }

    /// A unit goes to a state at this time.
    fn step(&mut self, name: &str, to: State, at_ms: i64, now_ms: i64) {
        let unit = self.by_name.get_mut(name).expect("only units that are known make steps");
        let plausible = (now_ms - MAX_AGE_MS..=now_ms).contains(&at_ms);
        let at_ms = if plausible { at_ms } else { now_ms }.max(unit.told_ms + 1);
        let from = unit.state;
        unit.enter(to);
        if self.changes.len() >= MAX_CHANGES || unit.waiting.len() >= MAX_CHANGES {
            unit.dirty = true;
            self.lossy = true;
            return;
        }
        unit.told_ms = at_ms;
        if unit.service_type.is_none() {
            unit.waiting.push((at_ms, from, to));
            return;
        }
        let samples = samples_of_step(name, unit, from, to);
        self.push_change(at_ms, samples);
    }

    /// Tells the states of units whose type has become known.
    fn release_waiting(&mut self) {
        let mut told = Vec::new();
        for (name, unit) in &mut self.by_name {
            if unit.service_type.is_none() || unit.waiting.is_empty() {
                continue;
            }
            for (at_ms, from, to) in std::mem::take(&mut unit.waiting) {
                told.push((at_ms, samples_of_step(name, unit, from, to)));
            }
            let mut samples = Vec::new();
            collect(&mut samples, |push| unit.push_facts(name, push));
            told.push((unit.told_ms, samples));
        }
        for (at_ms, samples) in told {
            self.push_change(at_ms, samples);
        }
    }

    /// Tells what else has changed of a unit, and ends the series that are no more.
    fn tell_facts(&mut self, name: &str, before: &[(Labels, f64)], at_ms: i64) {
        let unit = &self.by_name[name];
        if unit.service_type.is_none() || unit.dirty {
            return;
        }
        let after = told_facts(name, unit);
        let mut samples: Vec<(Labels, f64)> =
            after.iter().filter(|sample| !before.contains(sample)).cloned().collect();
        let ended = before.iter().filter(|old| after.iter().all(|new| new.0 != old.0));
        samples.extend(ended.map(|old| (old.0.clone(), stale_marker())));
        self.push_change(at_ms.max(unit.told_ms), samples);
    }

    /// Changes of one instant are one group.
    fn push_change(&mut self, timestamp_ms: i64, samples: Vec<(Labels, f64)>) {
        if samples.is_empty() {
            return;
        }
        match self.changes.iter_mut().rev().find(|change| change.timestamp_ms == timestamp_ms) {
            Some(change) => change.samples.extend(samples),
            None => self.changes.push(Change { timestamp_ms, samples }),
        }
    }
}

/// A series has one value at a time: the one that came last.
fn keep_last_values(change: &mut Change) {
    let mut seen = HashSet::new();
    change.samples.reverse();
    change.samples.retain(|(labels, _)| seen.insert(labels.clone()));
    change.samples.reverse();
}

fn micros(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0) * 1_000
}

fn is_running(state: &str) -> f64 {
    f64::from(u8::from(state == "running"))
}

/// The number at the beginning of a version such as `252.39-1~deb12u2`; 0 if there is none.
fn version_number(version: &str) -> f64 {
    let end = version.find(|sign: char| !sign.is_ascii_digit() && sign != '.');
    let number = &version[..end.unwrap_or(version.len())];
    let parts: Vec<&str> = number.splitn(3, '.').take(2).collect();
    parts.join(".").parse().unwrap_or(0.0)
}

fn collect(into: &mut Vec<(Labels, f64)>, from: impl FnOnce(&mut Push<'_>)) {
    from(&mut |metric, values, value| into.push((labels(metric, values), value)));
}

fn told_facts(name: &str, unit: &Unit) -> Vec<(Labels, f64)> {
    let mut samples = Vec::new();
    if unit.service_type.is_some() {
        collect(&mut samples, |push| unit.push_facts(name, push));
    }
    samples
}

/// The series of the two states between which a unit went. Of a unit that is new they are one, and `failed` is told as well.
fn samples_of_step(name: &str, unit: &Unit, from: State, to: State) -> Vec<(Labels, f64)> {
    let kind = unit.service_type.as_deref().unwrap_or_default();
    let series = |state: State| labels(&STATE, &[name, state.name(), kind]);
    let mut samples = vec![(series(to), 1.0)];
    if from != to {
        samples.push((series(from), 0.0));
    }
    if from == to && to != State::Failed {
        samples.push((series(State::Failed), 0.0));
    }
    samples
}

#[cfg(test)]
mod tests;
