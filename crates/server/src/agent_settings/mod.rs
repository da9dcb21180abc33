//! What agents are told centrally: settings in layers, kept in the metadata database, resolved for each agent.
//!
//! [`layers`] and [`check`] decide without I/O. [`CentralSettings`] holds what the database says, and wakes the agents'
//! sessions when that changes; each finds out by itself whether its agent has to be told.

pub(crate) mod check;
pub(crate) mod layers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_meta::{Actor, Meta, MetaError};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::app::App;
use layers::{Layer, Layers, Scope};

/// How often the database is looked at for what other servers, or commands beside this one, have changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// All layers, and the groups of the agents.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Central {
    pub(crate) layers: Layers,
    /// By the agent's number.
    groups: HashMap<String, Vec<String>>,
}

impl Central {
    /// The groups of an agent; those at its admission, if it joined since.
    pub(crate) fn groups_of<'a>(
        &'a self,
        agent_id: &str,
        at_admission: &'a [String],
    ) -> &'a [String] {
        self.groups.get(agent_id).map_or(at_admission, Vec::as_slice)
    }

    /// All groups that any agent is in, sorted.
    pub(crate) fn all_groups(&self) -> Vec<String> {
        let mut all: Vec<String> = self.groups.values().flatten().cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What is in force now.
pub(crate) struct CentralSettings(watch::Sender<Arc<Central>>);

impl Default for CentralSettings {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl CentralSettings {
    /// What is in force, and a wake-up when that changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Central>> {
        self.0.subscribe()
    }

    /// What is in force.
    pub(crate) fn now(&self) -> Arc<Central> {
        Arc::clone(&self.0.borrow())
    }

    /// Takes over what the database says; those who wait are woken if that is something else.
    pub(crate) async fn refresh(&self, meta: &Meta) -> Result<(), MetaError> {
        let layers = Layers::from_settings(meta.list_settings().await?);
        let agents = meta.list_agents().await?;
        let groups = agents.into_iter().filter(|a| !a.revoked).map(|a| (a.id, a.groups)).collect();
        let central = Central { layers, groups };
        self.0.send_if_modified(|now| {
            let differs = **now != central;
            if differs {
                *now = Arc::new(central);
            }
            differs
        });
        Ok(())
    }
}

/// Sets a layer, or removes it where there is none to set.
pub(crate) async fn set_layer(
    app: &App,
    by: &Actor,
    scope: &Scope,
    layer: Option<(i32, &muster_api::AgentSettings)>,
    expected: Option<u64>,
) -> Result<Layer, MetaError> {
    let value = layer.map_or(
        Value::Null,
        |(priority, settings)| json!({ "priority": priority, "settings": settings }),
    );
    let now_ms = app.clock.now_ms();
    let set = app.meta.set_setting(by, &scope.setting_name(), &value, expected, now_ms).await?;
    changed(app).await;
    Ok(Layer::from_setting(scope.clone(), &set))
}

/// Something that the agents' settings depend on was changed here.
pub(crate) async fn changed(app: &App) {
    if let Err(error) = app.central.refresh(&app.meta).await {
        tracing::warn!(%error, "the agents learn of changed settings when the database answers again");
    }
}

/// Looks at the database from time to time, until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stopped() => return,
            _ = every.tick() => changed(&app).await,
        }
    }
}
