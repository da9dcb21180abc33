//! A whole agent against a server made of a WebSocket and the server's side of a session.
#![expect(clippy::unwrap_used, reason = "a failing step fails the test, in its parts too")]

mod recording;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use futures_util::{SinkExt, StreamExt};
use muster_agent::{
    AgentConfig, AgentError, AgentReport, Collection, MakeProcessSource, ProcessSource, Source,
    Tick, run,
};
use muster_collectors::CollectorSettings;
use muster_environment::SystemClock;
use muster_series::Labels;
use muster_wire::{
    Configuration, Identity, Limits, ProcessTable, RejectCode, ServerEvent, ServerSession, Welcome,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_mins(2);

/// One series whose value counts the collections.
struct Counting(f64);

impl Source for Counting {
    fn collect(&mut self, _tick: Tick, _now_ms: i64) -> Collection {
        self.0 += 1.0;
        let labels = Labels::from_pairs([("__name__", "counting")]).unwrap();
        let new_series = if self.0 % 1_000.0 == 1.0 { vec![(7, labels)] } else { vec![] };
        Collection { new_series, samples: vec![(7, self.0)], ..Collection::default() }
    }
}

struct Running {
    stop: watch::Sender<bool>,
    agent: JoinHandle<Result<AgentReport, AgentError>>,
}

impl Running {
    fn start(listener: &TcpListener, state: &Path, token: Option<&str>, first: f64) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = AgentConfig {
            token: token.map(Into::into),
            interval_ms: 100,
            instance: Some("web-1".into()),
            ..AgentConfig::new(url, state)
        };
        Self::with(config, Box::new(Counting(first - 1.0)))
    }

    fn with(config: AgentConfig, source: Box<dyn Source>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let agent = tokio::spawn(run(config, source, Arc::new(SystemClock::new()), stopped));
        Self { stop, agent }
    }

    async fn stop(self) -> AgentReport {
        self.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, self.agent).await.unwrap().unwrap().unwrap()
    }
}

/// The server's end of one connection.
struct Served {
    socket: tokio_tungstenite::WebSocketStream<TcpStream>,
    session: ServerSession,
    names: HashMap<u32, String>,
}

impl Served {
    async fn accept(listener: &TcpListener) -> (Self, Box<Identity>) {
        let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let session = ServerSession::new(Limits::default(), [9; 32], 0);
        let mut served = Self { socket, session, names: HashMap::new() };
        let event = served.next().await;
        let ServerEvent::Identified(identity) = event else { panic!("{event:?}") };
        let key = UnparsedPublicKey::new(&ED25519, identity.public_key);
        key.verify(&identity.signed_message, &identity.signature).unwrap();
        (served, identity)
    }

    async fn welcome(&mut self) {
        let instance = "web-1.example.org".into();
        let welcome = Welcome { session: 1, server_time_ms: 0, instance, interval_ms: 0 };
        self.session.accept(welcome);
        self.flush().await;
    }

    async fn flush(&mut self) {
        while let Some(frame) = self.session.poll_transmit() {
            self.socket.send(Message::Binary(frame.into())).await.unwrap();
        }
    }

    async fn next(&mut self) -> ServerEvent {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap();
            let Message::Binary(frame) = message.unwrap().unwrap() else {
                continue;
            };
            let event = self.session.handle_frame(&frame, 0).unwrap();
            self.flush().await;
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// The value of the next batch, and its sequence.
    async fn next_value(&mut self) -> (u64, u64) {
        loop {
            match self.next().await {
                ServerEvent::Series(all) => {
                    self.names.extend(all.into_iter().map(|(number, l)| (number, l.to_string())));
                }
                ServerEvent::Batch(batch) => {
                    let counting = |sample: &&(u32, f64)| self.names[&sample.0] == "counting";
                    let sample = batch.groups[0].samples.iter().find(counting).unwrap();
                    return (sample.1 as u64, batch.sequence);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Acknowledges all until `value` is among them.
    async fn acknowledge_until(&mut self, value: u64, acknowledged: &mut BTreeSet<u64>) {
        while !acknowledged.contains(&value) {
            let (got, sequence) = self.next_value().await;
            self.session.acknowledge(sequence);
            self.flush().await;
            acknowledged.insert(got);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_and_a_restart_lose_nothing() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut acknowledged = BTreeSet::new();
    let running = Running::start(&listener, state.path(), Some("id.secret"), 1.0);

    let (mut served, identity) = Served::accept(&listener).await;
    assert_eq!(identity.enroll_token.as_deref(), Some("id.secret"));
    assert_eq!(identity.instance, "web-1");
    served.welcome().await;
    served.acknowledge_until(3, &mut acknowledged).await;
    // Two batches arrive and are not acknowledged, then the connection breaks; so do the next two.
    served.next_value().await;
    served.next_value().await;
    drop(served);
    for _ in 0..2 {
        drop(listener.accept().await.unwrap());
    }

    let (mut served, identity) = Served::accept(&listener).await;
    assert_eq!(identity.enroll_token, None, "the token is needed once");
    assert_eq!(identity.instance, "web-1.example.org");
    served.welcome().await;
    let (first, sequence) = served.next_value().await;
    served.session.acknowledge(sequence);
    acknowledged.insert(first);
    served.acknowledge_until(first + 5, &mut acknowledged).await;
    served.acknowledge_until(4, &mut acknowledged).await;
    let (unanswered, _) = served.next_value().await;
    let report = running.stop().await;
    assert_eq!((report.dropped, report.sessions), (0, 2));
    // What was acknowledged just before the stop may not have been heard, and is sent once more.
    assert!(report.acknowledged <= acknowledged.len() as u64, "{report:?}, {acknowledged:?}");
    assert!(report.spooled_bytes > 0, "{report:?}");

    let running = Running::start(&listener, state.path(), None, 1_001.0);
    let (mut served, identity) = Served::accept(&listener).await;
    assert_eq!(identity.enroll_token, None);
    served.welcome().await;
    served.acknowledge_until(unanswered, &mut acknowledged).await;
    served.acknowledge_until(1_003, &mut acknowledged).await;
    let before: BTreeSet<u64> = acknowledged.range(..1_000).copied().collect();
    let last = *before.last().unwrap();
    for value in 1..=last {
        served.acknowledge_until(value, &mut acknowledged).await;
    }
    assert_eq!(running.stop().await.dropped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_agent_with_a_bad_token_is_told_at_once() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Running::start(&listener, state.path(), Some("wrong"), 1.0);
    let (mut served, _) = Served::accept(&listener).await;
    served.session.reject(RejectCode::BadToken, "the join token is not known");
    served.flush().await;
    let error = tokio::time::timeout(PATIENCE, running.agent).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, AgentError::Rejected { code: RejectCode::BadToken, .. }));
    assert!(error.to_string().contains("muster enroll-token"), "{error}");
}

#[tokio::test]
async fn two_agents_do_not_share_a_state_folder() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = Running::start(&listener, state.path(), None, 1.0);
    let _served = Served::accept(&listener).await;
    let second = Running::start(&listener, state.path(), None, 1.0);
    let error = tokio::time::timeout(PATIENCE, second.agent).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, AgentError::InUse { .. }), "{error}");
    first.stop().await;
}

/// Remembers its settings, and shows tables whose times count.
#[derive(Default, Clone)]
struct Told {
    off: Arc<Mutex<Vec<String>>>,
    readers: Arc<Mutex<usize>>,
}

impl Source for Told {
    fn collect(&mut self, _tick: Tick, _now_ms: i64) -> Collection {
        Collection::default()
    }

    fn configure(&mut self, settings: &CollectorSettings) {
        *self.off.lock().unwrap() = settings.off.iter().cloned().collect();
    }

    fn processes(&self) -> Option<MakeProcessSource> {
        let readers = Arc::clone(&self.readers);
        Some(Arc::new(move || Box::new(Tables::open(&readers))))
    }
}

struct Tables {
    truncated: u64,
    readers: Arc<Mutex<usize>>,
}

impl Tables {
    fn open(readers: &Arc<Mutex<usize>>) -> Self {
        *readers.lock().unwrap() += 1;
        Self { truncated: 0, readers: Arc::clone(readers) }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        *self.readers.lock().unwrap() -= 1;
    }
}

impl ProcessSource for Tables {
    fn read(&mut self, now_ms: i64, _monotonic_ms: i64) -> ProcessTable {
        self.truncated += 1;
        ProcessTable { timestamp_ms: now_ms, rows: Vec::new(), truncated: self.truncated }
    }
}

fn told_agent(
    listener: &TcpListener,
    state: &Path,
    told: &Told,
    central_settings: bool,
) -> Running {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = AgentConfig {
        interval_ms: 100,
        instance: Some("web-1".into()),
        central_settings,
        ..AgentConfig::new(url, state)
    };
    let (stop, stopped) = watch::channel(false);
    let agent =
        tokio::spawn(run(config, Box::new(told.clone()), Arc::new(SystemClock::new()), stopped));
    Running { stop, agent }
}

impl Served {
    /// The value of a series of the agent's own, as soon as it has one; a batch without it says that it has none.
    async fn own_figure(&mut self, name: &str) -> Option<f64> {
        loop {
            match self.next().await {
                ServerEvent::Series(all) => {
                    self.names.extend(all.into_iter().map(|(number, l)| (number, l.to_string())));
                }
                ServerEvent::Batch(batch) => {
                    self.session.acknowledge(batch.sequence);
                    self.flush().await;
                    let samples = &batch.groups[0].samples;
                    return samples.iter().find(|(n, _)| self.names[n] == name).map(|(_, v)| *v);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

const REVISION: &str = "muster_agent_settings_revision";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_applied_told_and_kept_over_a_restart_without_a_server() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let told = Told::default();
    let running = told_agent(&listener, state.path(), &told, true);
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    assert_eq!(served.own_figure(REVISION).await, None);
    served.session.configure(Configuration {
        revision: 42,
        collectors_off: vec!["hwmon".into()],
        ..Configuration::default()
    });
    served.flush().await;
    while served.own_figure(REVISION).await != Some(42.0) {}
    assert_eq!(*told.off.lock().unwrap(), ["hwmon"]);
    running.stop().await;

    let anew = Told::default();
    let running = told_agent(&listener, state.path(), &anew, true);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while *anew.off.lock().unwrap() != ["hwmon"] {
        assert!(tokio::time::Instant::now() < deadline, "the settings were not kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_forbids_it_takes_no_settings() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let told = Told::default();
    let running = told_agent(&listener, state.path(), &told, false);
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    let off = vec!["hwmon".into()];
    served.session.configure(Configuration {
        revision: 42,
        collectors_off: off,
        ..Default::default()
    });
    served.flush().await;
    for _ in 0..10 {
        assert_eq!(served.own_figure(REVISION).await, None);
    }
    assert!(told.off.lock().unwrap().is_empty());
    running.stop().await;
    assert!(!state.path().join("central-settings").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_processes_come_while_somebody_looks_and_the_reader_goes_afterwards() {
    let state = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let told = Told::default();
    let running = told_agent(&listener, state.path(), &told, true);
    let (mut served, _) = Served::accept(&listener).await;
    served.welcome().await;
    served.own_figure(REVISION).await;
    assert_eq!(*told.readers.lock().unwrap(), 0, "nobody looks");
    served.session.watch_processes(30_000);
    served.flush().await;
    let mut tables = Vec::new();
    while tables.len() < 2 {
        match served.next().await {
            ServerEvent::Processes(table) => tables.push(table.truncated),
            ServerEvent::Batch(batch) => served.session.acknowledge(batch.sequence),
            ServerEvent::Series(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tables, [1, 2], "one reader made both");
    served.session.watch_processes(0);
    served.flush().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while *told.readers.lock().unwrap() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the reader stays");
        served.next().await;
    }
    running.stop().await;
}
