//! What all parts of one running server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use muster_environment::Clock;
use muster_meta::Meta;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use crate::agent_settings::CentralSettings;
use crate::alarms::Alarms;
use crate::bearers::Bearers;
use crate::config::{ServerConfig, data_paths};
use crate::downloads::Downloads;
use crate::fleet::Fleet;
use crate::ingest::push::Push;
use crate::insight::Insight;
use crate::judging::Judging;
use crate::oidc::Provider;
use crate::outbox::Outbox;
use crate::refusals::Refusals;
use crate::roster::Roster;
use crate::services::Services;
use crate::shares::Shares;
use crate::store::MetricStore;
use crate::throttle::{PerMinute, Throttle};
use crate::tls::Served;

/// How many passwords are hashed at the same time: each takes 19 MiB and a core.
const CONCURRENT_HASHES: usize = 2;
/// How many sign-ins may wait for their password to be hashed, or be at it.
const WAITING_SIGN_INS: usize = 32;
/// How many queries compute at the same time. Each may hold 400 MB of samples and a core, so this bounds both: 1.6 GB.
pub(crate) const CONCURRENT_QUERIES: u32 = 4;
/// How many evaluations of live charts compute at the same time, whatever the other queries do: 160 MB.
const CONCURRENT_LIVE_QUERIES: u32 = 4;
/// How much all answers together may hold that are being sent, in KiB: 256 MiB. An answer for which there is no room
/// stays one of the computing queries until it is sent.
const UNSENT_ANSWERS_KIB: u32 = 256 << 10;
/// How many agents may be connected, those that have not said who they are included.
const MAX_AGENTS: usize = 20_000;

/// One running server.
pub(crate) struct App {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started_ms: i64,
    /// What the server was told at its start, but for the first password.
    pub(crate) config: ServerConfig,
    /// The certificate that is served; none without TLS.
    pub(crate) certificate: Option<Arc<Served>>,
    pub(crate) ca_fingerprint: Option<String>,
    /// Where people may sign in too.
    pub(crate) provider: Option<Provider>,
    pub(crate) store: Arc<dyn MetricStore>,
    pub(crate) meta: Meta,
    /// What pushing needs.
    pub(crate) push: Push,
    /// Who sent an `Authorization` header in the last second.
    pub(crate) bearers: Bearers,
    pub(crate) roster: Roster,
    /// What hosts get from here.
    pub(crate) downloads: Downloads,
    /// What agents are told.
    pub(crate) central: CentralSettings,
    /// What is known of alerts, and what is decided about them.
    pub(crate) alarms: Alarms,
    pub(crate) outbox: Outbox,
    pub(crate) fleet: Fleet,
    pub(crate) services: Services,
    /// The rules.
    pub(crate) judging: Judging,
    /// What the stored series mean.
    pub(crate) insight: Insight,
    pub(crate) throttle: Mutex<Throttle>,
    /// Failed sign-ins that were written into the audit log this minute.
    pub(crate) audited_refusals: Mutex<PerMinute>,
    pub(crate) refusals: Refusals,
    pub(crate) counters: Counters,
    /// Wakes the writer of `up` when an agent came or went.
    pub(crate) presence_changed: Notify,
    /// Turns true when the server is to stop.
    pub(crate) stop: watch::Receiver<bool>,
    /// Wakes the live streams when a session or token ended.
    pub(crate) authority_changed: Notify,
    pub(crate) hashing: Arc<Semaphore>,
    pub(crate) waiting_sign_ins: Semaphore,
    pub(crate) queries: Shares,
    pub(crate) live_queries: Shares,
    /// Room for what answers hold that are being sent, in KiB.
    pub(crate) answers: Shares,
    pub(crate) agents: Arc<Semaphore>,
    pub(crate) streams: Shares,
}

/// The parts that a server is made of; see [`App`].
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: ServerConfig,
    pub(crate) certificate: Option<Arc<Served>>,
    pub(crate) ca_fingerprint: Option<String>,
    /// Where people may sign in too.
    pub(crate) provider: Option<Provider>,
    pub(crate) store: Arc<dyn MetricStore>,
    pub(crate) meta: Meta,
    pub(crate) alarms: Alarms,
    pub(crate) outbox: Outbox,
    pub(crate) stop: watch::Receiver<bool>,
}

/// How many live streams may be open.
const MAX_STREAMS: u32 = 2_000;

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            started_ms: parts.clock.now_ms(),
            clock: parts.clock,
            downloads: Downloads::new(data_paths::downloads(&parts.config.data_dir)),
            config: parts.config,
            certificate: parts.certificate,
            ca_fingerprint: parts.ca_fingerprint,
            provider: parts.provider,
            store: parts.store,
            meta: parts.meta,
            push: Push::default(),
            bearers: Bearers::new(),
            roster: Roster::default(),
            central: CentralSettings::default(),
            alarms: parts.alarms,
            outbox: parts.outbox,
            fleet: Fleet::default(),
            services: Services::default(),
            judging: Judging::default(),
            insight: Insight::default(),
            throttle: Mutex::default(),
            audited_refusals: Mutex::default(),
            refusals: Refusals::default(),
            counters: Counters::default(),
            presence_changed: Notify::new(),
            stop: parts.stop,
            authority_changed: Notify::new(),
            hashing: Arc::new(Semaphore::new(CONCURRENT_HASHES)),
            waiting_sign_ins: Semaphore::new(WAITING_SIGN_INS),
            queries: Shares::new(CONCURRENT_QUERIES),
            live_queries: Shares::new(CONCURRENT_LIVE_QUERIES),
            answers: Shares::new(UNSENT_ANSWERS_KIB),
            agents: Arc::new(Semaphore::new(MAX_AGENTS)),
            streams: Shares::new(MAX_STREAMS),
        }
    }

    /// Whether the listener speaks TLS, and cookies so have to be marked.
    pub(crate) fn is_secure(&self) -> bool {
        self.certificate.is_some()
    }

    /// What the identity provider is called, if there is one.
    pub(crate) fn provider_name(&self) -> Option<String> {
        self.provider.as_ref().map(|provider| provider.config.name.clone())
    }

    /// Somebody's session, token, role or account has changed: nothing that was found out before is believed any more.
    pub(crate) fn rights_changed(&self) {
        self.bearers.forget();
        self.authority_changed.notify_waiters();
    }

    /// Resolves when the server is to stop.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // A dropped sender means that the process is on its way out.
        let _ = stop.wait_for(|&stop| stop).await;
    }
}

/// A count that only goes up.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What `/metrics` tells of the server's own work.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) samples: Counter,
    pub(crate) bad_frames: Counter,
    pub(crate) rejected_agents: Counter,
    pub(crate) refused_series: Counter,
    pub(crate) queries: Counter,
    pub(crate) failed_queries: Counter,
    pub(crate) sign_ins: Counter,
    pub(crate) failed_sign_ins: Counter,
    pub(crate) panics: Counter,
}
