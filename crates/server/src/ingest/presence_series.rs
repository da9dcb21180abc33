//! The series that the server itself writes for every host.
//!
//! - `up`: 1 while its agent is connected, else 0.
//! - `muster_host_silent_seconds`: how long nothing was heard of it, 0 while it is heard.
//! - `muster_agent_info`: 1, with the agent's version, and `muster_agent_outdated`: 1 if that is older than the server's.
//!
//! Silence is counted in a way that blames nobody for what the server does: not before 20 s after its start, not for a time
//! in which the server itself stood still, and after a goodbye only when the host should long be back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use muster_series::{Labels, stale_marker};
use muster_tsdb::{SeriesId, WriteBatch};
use muster_wire::Version;

use crate::app::App;
use crate::roster::{Entry, NEVER};

/// The metrics that no agent may write.
pub(super) const OF_THE_SERVER: [&str; 4] = [UP, SILENT, INFO, OUTDATED];
const UP: &str = "up";
const INFO: &str = "muster_agent_info";
const OUTDATED: &str = "muster_agent_outdated";
/// The metric of a host's silence.
const SILENT: &str = "muster_host_silent_seconds";
/// How often the series are written when nothing changes.
const EVERY_MS: i64 = 15_000;
/// Changes are gathered for so long, so that a thousand agents that come back make few batches.
const GATHER: Duration = Duration::from_millis(200);
/// How often it is looked who fell silent.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A look that comes so much later than the last tells that the server stood still.
const STOOD_STILL_MS: i64 = 3_000;
/// Who is not heard for so long is silent: agents ping every 4 s.
const SILENT_AFTER_MS: i64 = 9_000;
/// Agents have so long to come back after the server's start.
const START_GRACE_MS: i64 = 20_000;
/// Who said goodbye has so long to come back: an update, a reboot.
const GOODBYE_GRACE_MS: i64 = 300_000;

/// Writes the series until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let mut writer = Writer::new(app.clock.monotonic_ms());
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let changed = tokio::select! {
            _ = look.tick() => false,
            () = app.presence_changed.notified() => {
                tokio::time::sleep(GATHER).await;
                true
            }
            () = app.stopped() => return,
        };
        let now_ms = app.clock.monotonic_ms();
        writer.patience.looked(now_ms);
        let fell_silent = writer.fell_silent(&app, now_ms);
        if !changed && !fell_silent && now_ms < writer.next_ms {
            continue;
        }
        writer.next_ms = now_ms + EVERY_MS;
        let at_ms = app.clock.now_ms();
        if writer.write(&app, now_ms, at_ms).await.is_err() {
            writer.numbers.clear();
            // With new numbers for all, so there is nothing to forget between.
            let _ = writer.write(&app, now_ms, at_ms).await;
        }
        if changed || fell_silent {
            app.judging.nudge([SILENT, UP], at_ms, app.clock.now_ms());
        }
    }
}

/// From when on silence counts.
struct Patience {
    /// Nobody's silence began before.
    floor_ms: i64,
    looked_ms: i64,
}

impl Patience {
    /// The server is looked after at `now_ms`; if that is late, it heard nobody meanwhile.
    fn looked(&mut self, now_ms: i64) {
        if now_ms - self.looked_ms > STOOD_STILL_MS {
            self.floor_ms = self.floor_ms.max(now_ms);
        }
        self.looked_ms = now_ms;
    }

    /// How long a host is silent, in milliseconds.
    fn silence_ms(&self, heard_ms: i64, goodbye_ms: i64, now_ms: i64) -> i64 {
        let mut since_ms = heard_ms.max(self.floor_ms);
        if goodbye_ms != NEVER {
            since_ms = since_ms.max(goodbye_ms + GOODBYE_GRACE_MS);
        }
        (now_ms - since_ms).max(0)
    }

    /// The same in seconds, 0 for those who are not silent yet.
    fn silent_seconds(&self, entry: &Entry, now_ms: i64) -> f64 {
        let (heard_ms, goodbye_ms) = entry.heard_and_goodbye_ms();
        let silence_ms = self.silence_ms(heard_ms, goodbye_ms, now_ms);
        if silence_ms < SILENT_AFTER_MS { 0.0 } else { silence_ms as f64 / 1e3 }
    }
}

/// The numbers of a host's series.
struct Numbers {
    up: SeriesId,
    silent: SeriesId,
    outdated: SeriesId,
    /// The version that the agent last had, and its series.
    info: Option<(String, SeriesId)>,
}

struct Writer {
    numbers: HashMap<Arc<str>, Numbers>,
    patience: Patience,
    /// Who was silent at the last look.
    silent: HashMap<Arc<str>, bool>,
    next_ms: i64,
}

/// The store has forgotten some of the numbers.
struct Forgotten;

impl Writer {
    fn new(now_ms: i64) -> Self {
        Self {
            numbers: HashMap::new(),
            patience: Patience { floor_ms: now_ms + START_GRACE_MS, looked_ms: now_ms },
            silent: HashMap::new(),
            next_ms: now_ms,
        }
    }

    /// Whether any host is silent that was not, or the other way round.
    fn fell_silent(&mut self, app: &App, now_ms: i64) -> bool {
        let mut changed = false;
        for entry in app.roster.all() {
            let silent = self.patience.silent_seconds(&entry, now_ms) > 0.0;
            if let Some(before) = self.silent.get_mut(&entry.instance) {
                changed |= std::mem::replace(before, silent) != silent;
            } else {
                changed |= silent;
                self.silent.insert(Arc::clone(&entry.instance), silent);
            }
        }
        changed
    }

    async fn write(&mut self, app: &App, now_ms: i64, at_ms: i64) -> Result<(), Forgotten> {
        let mut samples = Vec::new();
        for entry in app.roster.all() {
            if let Err(error) = self.push(app, &entry, now_ms, &mut samples) {
                tracing::warn!(instance = &*entry.instance, %error, "cannot write `up`");
            }
        }
        if samples.is_empty() {
            return Ok(());
        }
        let (sender, done) = tokio::sync::oneshot::channel();
        app.store.append(
            WriteBatch::scrape(at_ms, samples),
            Box::new(move |result| {
                let _ = sender.send(result);
            }),
        );
        match done.await {
            Ok(Ok(appended)) if appended.refused.unknown_series > 0 => return Err(Forgotten),
            Ok(Err(error)) => tracing::warn!(%error, "`up` was not stored"),
            _ => {}
        }
        Ok(())
    }

    fn push(
        &mut self,
        app: &App,
        entry: &Entry,
        now_ms: i64,
        samples: &mut Vec<(SeriesId, f64)>,
    ) -> Result<(), muster_tsdb::TsdbError> {
        let instance = &entry.instance;
        let series = |name: &str| app.store.series(&labels(name, instance));
        let numbers = if let Some(numbers) = self.numbers.get_mut(instance) {
            numbers
        } else {
            let (up, silent) = (series(UP)?, series(SILENT)?);
            let outdated = series(OUTDATED)?;
            let numbers = Numbers { up, silent, outdated, info: None };
            self.numbers.entry(Arc::clone(instance)).or_insert(numbers)
        };
        let presence = entry.presence();
        samples.push((numbers.up, f64::from(u8::from(presence.connected))));
        samples.push((numbers.silent, self.patience.silent_seconds(entry, now_ms)));
        let Some(facts) = presence.facts else { return Ok(()) };
        let version = facts.agent_version;
        samples.push((numbers.outdated, f64::from(u8::from(is_outdated(&version)))));
        if numbers.info.as_ref().is_none_or(|(known, _)| *known != version) {
            let labels = labels(INFO, instance).with("version", &version);
            let former = numbers.info.replace((version, app.store.series(&labels)?));
            samples.extend(former.map(|(_, id)| (id, stale_marker())));
        }
        samples.extend(numbers.info.as_ref().map(|(_, id)| (*id, 1.0)));
        Ok(())
    }
}

/// Whether an agent's version is older than this server's.
fn is_outdated(version: &str) -> bool {
    let parse = |text: &str| text.parse::<Version>().ok();
    parse(version).zip(parse(env!("CARGO_PKG_VERSION"))).is_some_and(|(its, ours)| its < ours)
}

fn labels(name: &str, instance: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("instance", instance), ("job", "node")])
        .expect("three different names make a label set")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        Writer::new(0).patience
    }

    #[track_caller]
    fn check(patience: &Patience, heard_ms: i64, goodbye_ms: i64, now_ms: i64, expected_ms: i64) {
        assert_eq!(patience.silence_ms(heard_ms, goodbye_ms, now_ms), expected_ms);
    }

    #[test]
    fn silence_counts_from_what_was_heard_last() {
        let patience = patience();
        check(&patience, 100_000, NEVER, 109_000, 9_000);
        check(&patience, 100_000, NEVER, 100_000, 0);
    }

    #[test]
    fn after_the_servers_start_hosts_have_time_to_come_back() {
        let patience = patience();
        check(&patience, NEVER, NEVER, 20_000, 0);
        check(&patience, NEVER, NEVER, 29_000, 9_000);
        check(&patience, 1_000, NEVER, 25_000, 5_000);
    }

    #[test]
    fn after_a_goodbye_silence_counts_late() {
        let patience = patience();
        check(&patience, 100_000, 100_000, 399_000, 0);
        check(&patience, 100_000, 100_000, 410_000, 10_000);
    }

    #[test]
    fn a_server_that_stood_still_blames_nobody() {
        let mut patience = patience();
        (1..=400).for_each(|tick| patience.looked(tick * 250));
        check(&patience, 99_000, NEVER, 100_000, 1_000);
        patience.looked(130_000);
        check(&patience, 99_000, NEVER, 130_000, 0);
        patience.looked(130_250);
        check(&patience, 99_000, NEVER, 139_000, 9_000);
    }

    #[test]
    fn versions_are_compared_with_the_servers() {
        assert!(is_outdated("0.0.1"));
        assert!(!is_outdated(env!("CARGO_PKG_VERSION")));
        assert!(!is_outdated("nonsense"));
    }
}
