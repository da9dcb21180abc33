//! What a session knows once its agent was let in: whose it is, and what its series' numbers mean.

use std::sync::Arc;

use muster_series::Labels;
use muster_tsdb::SeriesId;
use muster_wire::{Configuration, Offer, Version};
use tokio::sync::watch;

use super::presence_series::OF_THE_SERVER;
use crate::agent_settings::Central;
use crate::agent_settings::layers::configuration;
use crate::app::App;
use crate::judging::metric_names::MetricNumber;
use crate::roster::{Entry, Hold, RecallRange};

/// A session after the agent was let in.
pub(super) struct Admitted {
    pub(super) hold: Hold,
    pub(super) agent_id: String,
    /// Its groups when it was let in.
    groups: Vec<String>,
    pub(super) viewers: watch::Receiver<usize>,
    pub(super) process_viewers: watch::Receiver<usize>,
    pub(super) central: watch::Receiver<Arc<Central>>,
    /// Which settings the agent was given in this session.
    given_revision: Option<u64>,
    pub(super) recalls: watch::Receiver<Option<RecallRange>>,
    /// Whether somebody looked at the host when the agent was told last.
    pub(super) watched: bool,
    /// When the agent was asked last for what it has recorded, by the clock that never jumps.
    pub(super) recalled_ms: Option<i64>,
    /// Whether the database knows that the agent is here.
    pub(super) noted: bool,
    /// Each series, by the session's number.
    series: Vec<Slot>,
    refused_series: u64,
    /// The release that the agent was told of last.
    offered: Option<Arc<Offer>>,
}

/// What a number of the session stands for.
#[derive(Debug, Clone)]
enum Slot {
    /// A series without a sample so far.
    Named(Labels),
    /// A series that the store knows, and its metric.
    Stored(SeriesId, MetricNumber),
    /// A series whose samples are dropped; that was told.
    Refused,
}

impl Admitted {
    pub(super) fn new(app: &App, hold: Hold, agent_id: String, groups: Vec<String>) -> Self {
        let mut recalls = hold.entry.recalls();
        recalls.mark_changed();
        Self {
            viewers: hold.entry.viewers(),
            process_viewers: hold.entry.process_viewers(),
            central: app.central.subscribe(),
            given_revision: None,
            recalls,
            watched: false,
            recalled_ms: None,
            hold,
            agent_id,
            groups,
            noted: false,
            series: Vec::new(),
            refused_series: 0,
            offered: None,
        }
    }

    /// A release for the agent's machine that is newer than its program and that it was not told of yet.
    pub(super) fn next_offer(&mut self, app: &App) -> Option<Arc<Offer>> {
        let facts = self.hold.entry.presence().facts?;
        let offer = app.downloads.offer(&facts.os.arch)?;
        if self.offered.as_ref() == Some(&offer) {
            return None;
        }
        let running: Version = facts.agent_version.parse().ok()?;
        let newer = offer.signed.release.version > running;
        self.offered = Some(Arc::clone(&offer));
        newer.then_some(offer)
    }

    /// The settings that the agent is to be given, if those that it was given in this session are others. The first ones are
    /// given even where nothing is set: the agent may have kept some from before.
    pub(super) fn settings_to_give(&mut self) -> Option<Configuration> {
        let central = Arc::clone(&self.central.borrow_and_update());
        let groups = central.groups_of(&self.agent_id, &self.groups);
        let configuration = configuration(central.layers.resolve(&self.agent_id, groups));
        let given = self.given_revision.replace(configuration.revision);
        (given != Some(configuration.revision)).then_some(configuration)
    }

    /// Remembers what the numbers stand for; the store learns of a series with its first sample.
    pub(super) fn define(&mut self, definitions: Vec<(u32, Labels)>) {
        for (number, labels) in definitions {
            let at = number as usize;
            if self.series.len() <= at {
                self.series.resize(at + 1, Slot::Refused);
            }
            self.series[at] = Slot::Named(labels);
        }
    }

    /// The store's number of a series, and that of its metric. A series that is refused is counted, and the first is logged.
    pub(super) fn resolve(
        &mut self,
        number: u32,
        app: &App,
        now_ms: i64,
    ) -> Option<(SeriesId, MetricNumber)> {
        let slot = self.series.get_mut(number as usize)?;
        let labels = match slot {
            Slot::Stored(id, metric) => return Some((*id, *metric)),
            Slot::Refused => return None,
            Slot::Named(labels) => labels,
        };
        match store_series(app, &self.hold.entry, labels, now_ms) {
            Ok(id) => {
                let metric = app.judging.names.number(labels.metric_name().unwrap_or_default());
                *slot = Slot::Stored(id, metric);
                Some((id, metric))
            }
            Err(reason) => {
                if self.refused_series == 0 {
                    let instance = &*self.hold.entry.instance;
                    tracing::warn!(instance, %labels, reason, "series refused; others of this session may follow");
                }
                *slot = Slot::Refused;
                self.refused_series += 1;
                app.counters.refused_series.add(1);
                None
            }
        }
    }
}

fn store_series(
    app: &App,
    entry: &Entry,
    labels: &Labels,
    now_ms: i64,
) -> Result<SeriesId, String> {
    let labels = stamp(labels, &entry.instance)?;
    let bytes = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if !entry.may_name(bytes, now_ms) {
        return Err("this host names too many series; remove a label that takes many values".into());
    }
    app.store.series(&labels).map_err(|error| error.to_string())
}

/// The labels of a series as the server stores them: `instance` and `job` are the server's to give, and so are its verdicts.
fn stamp(labels: &Labels, instance: &str) -> Result<Labels, String> {
    match labels.metric_name() {
        None => Err("it has no metric name".into()),
        Some(name) if OF_THE_SERVER.contains(&name) => {
            Err(format!("`{name}` is written by the server alone"))
        }
        Some(_) => Ok(labels.with("instance", instance).with("job", "node")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_can_only_write_as_itself_and_never_the_servers_verdict() {
        let labels =
            Labels::from_pairs([("__name__", "m"), ("instance", "another"), ("job", "x")]).unwrap();
        let stamped = stamp(&labels, "web-1").unwrap();
        assert_eq!(stamped.to_string(), r#"m{instance="web-1", job="node"}"#);
        assert!(stamp(&Labels::empty(), "web-1").is_err());
        assert!(stamp(&Labels::from_pairs([("__name__", "up")]).unwrap(), "web-1").is_err());
    }
}
