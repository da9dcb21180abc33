//! The outbox: what was decided to be told leaves, is tried until it arrives, and what became of it is written down.
//!
//! 1. Messages are queued by the transaction of the change that they tell of, so none is lost with the process.
//! 2. [`run`] wakes when something was queued, or is to be tried again, and begins a round for each channel that is not
//!    at one: a channel that hangs holds up nobody else.
//! 3. A round ([`round`]) sends in order. What was taken is written down before the next is sent; a server that is killed
//!    in between sends that one message again, under the same number.

mod channels;
mod deadman;
mod lane;
mod round;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use muster_delivery::{Place, SpecError, Surroundings};
use muster_meta::{MetaError, WaitingFor};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) use channels::{spec_of, stored};
pub(crate) use deadman::run as signal;
pub(crate) use sending::try_out;

use crate::app::App;
use crate::config::ServerConfig;
use lane::Lane;
use sending::RoundEnd;

/// The longest that nobody looks, in milliseconds.
const LONGEST_SLEEP_MS: i64 = 60_000;
/// No wait is as long as this, in milliseconds: a message that is to be tried later was queued or put off by a clock that
/// was ahead.
const NO_SUCH_WAIT_MS: i64 = 3 * 3_600_000;
/// For so long a channel is left alone whose round failed by a defect, in milliseconds.
const DEFECT_AGAIN_MS: i64 = 60_000;
/// How soon it is looked again after the database failed, in milliseconds.
const DATABASE_AGAIN_MS: i64 = 2_000;

/// What the outbox shares with the rest of the server.
pub(crate) struct Outbox {
    pub(crate) surroundings: Surroundings,
    /// How messages name this server.
    pub(crate) place: Place,
    /// Wakes the worker: something was queued, or a channel was changed.
    pub(crate) changed: Notify,
    /// Channels that were set up anew: what was known of them does not count any more.
    set_up_anew: Mutex<BTreeSet<String>>,
    figures: Mutex<Figures>,
}

/// What `/metrics` tells of each channel, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) by_channel: BTreeMap<String, ChannelFigures>,
    /// When the worker last found the database answering, by the clock that never goes back.
    pub(crate) looked_ms: Option<i64>,
}

/// What `/metrics` tells of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChannelFigures {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    /// Messages that were given up; those of a channel that was switched off or removed do not count.
    pub(crate) given_up: u64,
    /// When the last of them was.
    pub(crate) given_up_ms: Option<i64>,
    pub(crate) waiting: u64,
    /// When the oldest message that waits was queued.
    pub(crate) oldest_ms: Option<i64>,
    /// Whether it has failed for about a minute.
    pub(crate) failing: bool,
}

impl Outbox {
    pub(crate) fn new(place: Place) -> Result<Self, SpecError> {
        Ok(Self {
            surroundings: Surroundings::new()?,
            place,
            changed: Notify::new(),
            set_up_anew: Mutex::default(),
            figures: Mutex::default(),
        })
    }

    /// A channel was set up anew: what waits for it is tried at once.
    pub(crate) fn set_up_anew(&self, channel_id: &str) {
        self.set_up_anew.lock().insert(channel_id.to_owned());
        self.changed.notify_one();
    }

    pub(crate) fn figures(&self) -> Figures {
        self.figures.lock().clone()
    }

    fn count(&self, channel: &str, taken: bool) {
        let mut figures = self.figures.lock();
        let figures = figures.by_channel.entry(channel.to_owned()).or_default();
        if taken {
            figures.sent += 1;
        } else {
            figures.failed += 1;
        }
    }

    fn count_given_up(&self, channel: &str, now_ms: i64) {
        let mut figures = self.figures.lock();
        let figures = figures.by_channel.entry(channel.to_owned()).or_default();
        figures.given_up += 1;
        figures.given_up_ms = Some(now_ms);
    }
}

/// How messages name this server: by the address that the administrator gave, else by the host's name.
pub(crate) fn place(config: &ServerConfig, address: SocketAddr, secure: bool) -> Place {
    let scheme = if secure { "https" } else { "http" };
    let host = match address.ip() {
        ip if ip.is_unspecified() => {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        }
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    let given = config.public_url.as_ref().or(config.oidc.as_ref().map(|oidc| &oidc.public_url));
    let url = given.cloned().unwrap_or_else(|| format!("{scheme}://{host}:{}", address.port()));
    Place { public_url: url.trim_end_matches('/').to_owned(), zone: TimeZone::system() }
}

/// Sends what waits, until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut worker = Worker::default();
    loop {
        let sleep_ms = match worker.begin_rounds(&app).await {
            Ok(sleep_ms) => sleep_ms,
            Err(error) => {
                tracing::warn!(%error, "the database does not tell which messages wait");
                DATABASE_AGAIN_MS
            }
        };
        tokio::select! {
            () = app.stopped() => break,
            () = app.outbox.changed.notified() => worker.has_fresh(),
            Some(ended) = worker.rounds.join_next_with_id() => worker.ended(&app, ended).await,
            () = tokio::time::sleep(Duration::from_millis(sleep_ms as u64)) => {}
        }
    }
    // A message that is being sent is sent again after the start, as nobody will have written down what became of it.
    worker.rounds.shutdown().await;
}

/// What the worker knows; it starts anew with the server.
#[derive(Default)]
struct Worker {
    lanes: BTreeMap<String, Lane>,
    /// Channels that a round is under way for, and the round's task.
    busy: BTreeMap<String, tokio::task::Id>,
    /// Channels that were set up anew while a round was under way: what comes of it does not count.
    renewed: BTreeSet<String>,
    rounds: JoinSet<RoundEnd>,
}

impl Worker {
    /// Something new may wait for any channel.
    fn has_fresh(&mut self) {
        self.lanes.values_mut().for_each(Lane::has_fresh);
    }

    /// Begins a round for each channel that has something to send; how long to sleep then, in milliseconds.
    async fn begin_rounds(&mut self, app: &Arc<App>) -> Result<i64, MetaError> {
        for channel_id in std::mem::take(&mut *app.outbox.set_up_anew.lock()) {
            self.lanes.remove(&channel_id);
            if self.busy.contains_key(&channel_id) {
                self.renewed.insert(channel_id);
            }
        }
        let mut waiting = app.meta.waiting_messages().await?.by_channel;
        let now_ms = app.clock.now_ms();
        for waiting in &mut waiting {
            if waiting.latest_try_ms - now_ms > NO_SUCH_WAIT_MS {
                tracing::warn!(
                    channel = waiting.channel_id,
                    "the clock was set back: what waits for a channel is tried now"
                );
                app.meta.try_now(&waiting.channel_id, now_ms).await?;
                waiting.next_try_ms = now_ms;
            }
        }
        self.show(app, &waiting).await?;
        let mut sleep_ms = LONGEST_SLEEP_MS;
        for waiting in waiting {
            if self.busy.contains_key(&waiting.channel_id) {
                continue;
            }
            let lane = *self.lanes.entry(waiting.channel_id.clone()).or_default();
            let wait_ms = if lane.is_down() {
                lane.next_ms() - app.clock.monotonic_ms()
            } else {
                waiting.next_try_ms - now_ms
            };
            if wait_ms <= 0 {
                let channel_id = waiting.channel_id.clone();
                let round = sending::round(Arc::clone(app), waiting.channel_id, lane);
                self.busy.insert(channel_id, self.rounds.spawn(round).id());
            } else {
                sleep_ms = sleep_ms.min(wait_ms);
            }
        }
        Ok(sleep_ms)
    }

    async fn ended(
        &mut self,
        app: &App,
        ended: Result<(tokio::task::Id, RoundEnd), tokio::task::JoinError>,
    ) {
        let (channel_id, lane) = match ended {
            Ok((_, end)) => (end.channel_id, end.lane),
            Err(error) => {
                tracing::error!(%error, "a round of messages failed; this is a defect of Muster");
                app.counters.panics.add(1);
                let of_task = |(_, task): &(&String, &tokio::task::Id)| **task == error.id();
                let Some((channel_id, _)) = self.busy.iter().find(of_task) else { return };
                let mut lane = self.lanes.get(channel_id).copied().unwrap_or_default();
                let now_ms = app.clock.monotonic_ms();
                lane.failed(now_ms + DEFECT_AGAIN_MS, true, now_ms);
                (channel_id.clone(), lane)
            }
        };
        self.busy.remove(&channel_id);
        if !self.renewed.remove(&channel_id) {
            self.lanes.insert(channel_id, lane);
            return;
        }
        self.lanes.remove(&channel_id);
        if let Err(error) = app.meta.try_now(&channel_id, app.clock.now_ms()).await {
            tracing::warn!(%error, "what waits for a channel that was set up anew is tried when its time comes");
        }
    }

    /// Shows in `/metrics` what waits.
    async fn show(&self, app: &App, waiting: &[WaitingFor]) -> Result<(), MetaError> {
        let channels = app.meta.list_channels().await?;
        let mut figures = app.outbox.figures.lock();
        figures.looked_ms = Some(app.clock.monotonic_ms());
        let names: BTreeSet<&str> = channels.iter().map(|channel| &*channel.name).collect();
        figures.by_channel.retain(|name, _| names.contains(&**name));
        for channel in &channels {
            let waiting = waiting.iter().find(|waiting| waiting.channel_id == channel.id);
            let lane = self.lanes.get(&channel.id);
            let shown = figures.by_channel.entry(channel.name.clone()).or_default();
            shown.waiting = waiting.map_or(0, |waiting| waiting.messages);
            shown.oldest_ms = waiting.map(|waiting| waiting.oldest_ms);
            shown.failing = lane.is_some_and(Lane::is_failing);
        }
        Ok(())
    }
}
