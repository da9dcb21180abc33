//! What is decided and not yet handed out, and what is known again after a restart.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::alert::Known;
use super::dispatcher::Dispatcher;
use super::group::{Group, GroupId, hash};
use super::silences::Silence;
use super::storm::Gate;
use super::trail::{TrailKind, TrailLine};
use super::view::{Decisions, Episode};
use crate::notification::Notification;
use crate::posted::{fingerprint, format_fingerprint};

/// The kinds of records.
const ALERT: &str = "alert";
const GROUP: &str = "alert_group";
const SILENCE: &str = "silence";
const STORM: &str = "storm";

/// What is decided and not yet handed out.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) notifications: Vec<Notification>,
    pub(super) trail: Vec<TrailLine>,
    /// By alert and begin, so that only the newest state of each is told.
    pub(super) episodes: BTreeMap<(String, i64), Episode>,
    /// What has changed, or is not there any more.
    pub(super) alerts: BTreeSet<u64>,
    pub(super) groups: BTreeSet<GroupId>,
    pub(super) silences: BTreeSet<String>,
    pub(super) gates: BTreeSet<String>,
}

impl Out {
    pub(super) fn is_empty(&self) -> bool {
        self.notifications.is_empty()
            && self.trail.is_empty()
            && self.episodes.is_empty()
            && self.alerts.is_empty()
            && self.groups.is_empty()
            && self.silences.is_empty()
            && self.gates.is_empty()
    }

    /// Adds a line to the trail of an alert; what else is known of it is for the caller to fill in.
    pub(super) fn say(
        &mut self,
        alert: u64,
        kind: TrailKind,
        at_ms: i64,
        text: String,
    ) -> &mut TrailLine {
        self.trail.push(TrailLine {
            at_ms,
            alert: format_fingerprint(alert),
            kind,
            receiver: None,
            message: None,
            subject: None,
            value: None,
            text,
        });
        self.trail.last_mut().expect("a line was just pushed")
    }

    /// The firing of an alert has begun, changed or ended.
    pub(super) fn episode(&mut self, number: u64, known: &Known) {
        self.alerts.insert(number);
        if let Some(episode) = known.episode(number) {
            self.episodes.insert((episode.alert.clone(), episode.starts_at_ms), episode);
        }
    }
}

impl Dispatcher {
    /// The kinds of records that [`Dispatcher::restore`] reads.
    pub const RECORD_KINDS: [&str; 4] = [ALERT, GROUP, SILENCE, STORM];

    /// Takes back what it put; before anything else is told. Gives a sentence for each record that cannot be read; kinds
    /// that are not the dispatcher's are left aside.
    pub fn restore(&mut self, records: Vec<(String, String, Value)>) -> Vec<String> {
        let mut unread = Vec::new();
        let mut groups = Vec::new();
        for (kind, key, value) in records {
            let taken = match kind.as_str() {
                ALERT => read::<Known>(value).map(|known| {
                    self.alerts.insert(fingerprint(known.labels()), known);
                }),
                GROUP => read::<Group>(value).map(|group| groups.push(group)),
                SILENCE => read::<Silence>(value).map(|silence| self.silences.restore(silence)),
                STORM => read::<Gate>(value).map(|gate| {
                    self.gates.insert(gate.receiver.clone(), gate);
                }),
                _ => Ok(()),
            };
            if let Err(error) = taken {
                unread.push(format!("the record {kind} {key} cannot be read: {error}"));
            }
        }
        self.groups = groups.into_iter().map(|group| (group.id(), group)).collect();
        self.rejoin();
        unread
    }

    /// Hands out what was decided.
    pub(super) fn drain(&mut self) -> Decisions {
        let out = std::mem::take(&mut self.out);
        let mut decisions = Decisions {
            notifications: out.notifications,
            trail: out.trail,
            episodes: out.episodes.into_values().collect(),
            ..Decisions::default()
        };
        let mut keep = |kind: &str, key: String, value: Option<Value>| match value {
            Some(value) => decisions.put.push((kind.to_owned(), key, value)),
            None => decisions.remove.push((kind.to_owned(), key)),
        };
        for number in out.alerts {
            let value = self.alerts.get(&number).map(written);
            keep(ALERT, format_fingerprint(number), value);
        }
        for id in out.groups {
            let value = self.groups.get(&id).map(written);
            keep(GROUP, hash([&id.0, &id.1]), value);
        }
        for id in out.silences {
            let value = self.silences.get(&id).map(written);
            keep(SILENCE, id, value);
        }
        for receiver in out.gates {
            let value = self.gates.get(&receiver).map(written);
            keep(STORM, hash([&receiver]), value);
        }
        decisions
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

fn written(value: &impl Serialize) -> Value {
    serde_json::to_value(value)
        .expect("records have only texts for keys and no map fails to be written")
}
