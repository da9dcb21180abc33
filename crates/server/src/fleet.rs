//! The fleet's figures, one row a host, computed by PromQL over all hosts at once; now, or at a moment of the past.
//!
//! Everybody who looks shares one result: it is made anew when it is older than its limit and somebody asks.

mod changes;
mod figures;
mod file_systems;
mod growth;
mod past;
mod rounding;

pub(crate) use changes::changes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use muster_api::{FileSystemList, Host, HostList, HostState, RecentList};
use serde::Serialize;

use crate::app::App;
use crate::latest::Latest;
use crate::roster::{Entry, HostFacts};

/// For how long a computed list of hosts is handed out again, in milliseconds.
const FRESH_MS: i64 = 1_500;
/// The same for what agents tell every half minute: file systems.
const FILE_SYSTEMS_FRESH_MS: i64 = 10_000;
/// The same for the small lines, which are asked for once by each page.
const RECENT_FRESH_MS: i64 = 5_000;
/// The same for groups and tags, which people change.
const WORDS_FRESH_MS: i64 = 10_000;

/// Something told, with its JSON.
pub(crate) struct Told<T> {
    pub(crate) list: Arc<T>,
    pub(crate) json: Bytes,
}

/// All hosts at a moment.
pub(crate) type Snapshot = Told<HostList>;

impl<T> Clone for Told<T> {
    fn clone(&self) -> Self {
        Self { list: Arc::clone(&self.list), json: self.json.clone() }
    }
}

impl<T: Serialize> Told<T> {
    fn new(list: T) -> Self {
        let json = serde_json::to_vec(&list).expect("a list is JSON, and memory takes it");
        Self { list: Arc::new(list), json: json.into() }
    }
}

/// The groups and tags of each host.
type Words = HashMap<String, (Vec<String>, Vec<String>)>;

/// The shared results.
#[derive(Default)]
pub(crate) struct Fleet {
    newest: Arc<Latest<Snapshot>>,
    file_systems: Arc<Latest<Told<FileSystemList>>>,
    recent: Arc<Latest<Bytes>>,
    past: Arc<past::Answers>,
    words: tokio::sync::Mutex<Option<(i64, Arc<Words>)>>,
}

impl Fleet {
    /// All hosts with figures not older than [`FRESH_MS`].
    pub(crate) async fn hosts(&self, app: &Arc<App>) -> Snapshot {
        let words = self.words(app).await;
        let file_systems = self.file_systems(app).await.list;
        let computing = Arc::clone(app);
        let compute = move || Told::new(hosts_now(&computing, &words, &file_systems));
        let made = self.newest.get(&app.clock, FRESH_MS, compute).await;
        made.unwrap_or_else(|| {
            app.counters.panics.add(1);
            Told::new(list_of(app.clock.now_ms(), BTreeMap::new()))
        })
    }

    /// The last minute of all hosts, as JSON of a [`RecentList`].
    pub(crate) async fn recent(&self, app: &Arc<App>) -> Bytes {
        let computing = Arc::clone(app);
        let compute =
            move || json_of(&figures::recent(&*computing.store, computing.clock.now_ms()));
        let made = self.recent.get(&app.clock, RECENT_FRESH_MS, compute).await;
        made.unwrap_or_else(|| {
            app.counters.panics.add(1);
            json_of(&RecentList { first_ms: 0, step_ms: 1, hosts: BTreeMap::new() })
        })
    }

    /// All file systems that agents tell of now.
    pub(crate) async fn file_systems(&self, app: &Arc<App>) -> Told<FileSystemList> {
        let forecasts = app.insight.forecasts(app).await;
        let computing = Arc::clone(app);
        let compute = move || {
            let now_ms = computing.clock.now_ms();
            let growths = growth::of(&forecasts, now_ms);
            let mut list = file_systems::read(&*computing.store, &growths, now_ms);
            let told: HashSet<&str> =
                list.file_systems.iter().map(|system| system.instance.as_str()).collect();
            let all = computing.roster.all();
            let silent = all.iter().filter(|entry| !told.contains(&*entry.instance));
            list.missing = silent.map(|entry| entry.instance.to_string()).collect();
            Told::new(list)
        };
        let made = self.file_systems.get(&app.clock, FILE_SYSTEMS_FRESH_MS, compute).await;
        made.unwrap_or_else(|| {
            app.counters.panics.add(1);
            let now_ms = app.clock.now_ms();
            Told::new(FileSystemList { now_ms, file_systems: vec![], missing: vec![] })
        })
    }

    /// All hosts as they were at a moment, as JSON of a [`HostList`]; none if that failed. The caller sees to it that
    /// not too many compute at once.
    pub(crate) async fn hosts_at(&self, app: &Arc<App>, at_ms: i64) -> Option<Bytes> {
        let moment_ms = at_ms - at_ms.rem_euclid(past::GRID_MS);
        let now_ms = app.clock.monotonic_ms();
        if let Some(json) = self.past.get(moment_ms, now_ms) {
            return Some(json);
        }
        let words = self.words(app).await;
        let computing = Arc::clone(app);
        let made =
            tokio::task::spawn_blocking(move || json_of(&hosts_at(&computing, &words, moment_ms)));
        match made.await {
            Ok(json) => {
                self.past.put(moment_ms, now_ms, json.clone());
                Some(json)
            }
            Err(error) => {
                app.counters.panics.add(1);
                tracing::error!(%error, "the fleet of the past could not be computed");
                None
            }
        }
    }

    async fn words(&self, app: &App) -> Arc<Words> {
        let mut kept = self.words.lock().await;
        let now_ms = app.clock.monotonic_ms();
        if let Some((made_ms, words)) = &*kept
            && now_ms - made_ms < WORDS_FRESH_MS
        {
            return Arc::clone(words);
        }
        let words = match app.meta.list_agents().await {
            Ok(agents) => agents
                .into_iter()
                .filter(|agent| !agent.revoked)
                .map(|agent| (agent.instance, (agent.groups, agent.tags)))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "the hosts' groups and tags could not be read");
                kept.take().map(|(_, words)| (*words).clone()).unwrap_or_default()
            }
        };
        let words = Arc::new(words);
        *kept = Some((now_ms, Arc::clone(&words)));
        words
    }
}

fn json_of<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("what the API tells is JSON, and memory takes it").into()
}

fn hosts_now(app: &App, words: &Words, file_systems: &FileSystemList) -> HostList {
    let now_ms = app.clock.now_ms();
    let entries = app.roster.all();
    let mut hosts: BTreeMap<Arc<str>, Host> =
        entries.iter().map(|entry| (Arc::clone(&entry.instance), bare_host(entry))).collect();
    figures::fill(&*app.store, &mut hosts, now_ms);
    file_systems::tell(file_systems, &mut hosts);
    name_groups(words, &mut hosts);
    list_of(now_ms, hosts)
}

fn hosts_at(app: &App, words: &Words, at_ms: i64) -> HostList {
    let mut hosts = past::hosts(&*app.store, at_ms);
    figures::fill(&*app.store, &mut hosts, at_ms);
    let growths = growth::at(&*app.store, at_ms);
    file_systems::tell(&file_systems::read(&*app.store, &growths, at_ms), &mut hosts);
    name_groups(words, &mut hosts);
    list_of(at_ms, hosts)
}

fn list_of(now_ms: i64, hosts: BTreeMap<Arc<str>, Host>) -> HostList {
    let hosts = hosts.into_values().collect();
    HostList { now_ms, hosts, removed: Vec::new(), figures: None }
}

fn name_groups(words: &Words, hosts: &mut BTreeMap<Arc<str>, Host>) {
    for (instance, host) in hosts {
        if let Some((groups, tags)) = words.get(&**instance) {
            host.groups.clone_from(groups);
            host.tags.clone_from(tags);
        }
    }
}

fn bare_host(entry: &Entry) -> Host {
    let presence = entry.presence();
    let text = |pick: fn(&HostFacts) -> &String| {
        presence.facts.as_ref().map(pick).filter(|text| !text.is_empty()).cloned()
    };
    let state = if presence.connected { HostState::Up } else { HostState::Silent };
    Host {
        last_sample_ms: Some(*entry.newest().borrow()).filter(|&ms| ms > 0),
        agent_version: text(|facts| &facts.agent_version),
        os: text(|facts| &facts.os.pretty_name),
        kernel: text(|facts| &facts.os.kernel),
        architecture: text(|facts| &facts.os.arch),
        ..empty_host(&entry.instance, state, presence.since_ms)
    }
}

fn empty_host(instance: &str, state: HostState, state_since_ms: i64) -> Host {
    Host {
        instance: instance.to_owned(),
        groups: Vec::new(),
        tags: Vec::new(),
        state,
        state_since_ms,
        last_sample_ms: None,
        agent_version: None,
        os: None,
        kernel: None,
        architecture: None,
        cpus: None,
        memory_bytes: None,
        boot_time_ms: None,
        cpu_percent: None,
        memory_percent: None,
        swap_percent: None,
        load1: None,
        receive_bytes_per_second: None,
        transmit_bytes_per_second: None,
        worst_disk: None,
        next_full: None,
    }
}
