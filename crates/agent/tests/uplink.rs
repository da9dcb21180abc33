//! A whole agent against a server made of a WebSocket and the server's side of a session.
#![expect(clippy::unwrap_used, reason = "a failing step fails the test, in its parts too")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use futures_util::{SinkExt, StreamExt};
use muster_agent::{AgentConfig, AgentError, AgentReport, Collection, Source, Tick, run};
use muster_environment::SystemClock;
use muster_series::Labels;
use muster_wire::{Identity, Limits, RejectCode, ServerEvent, ServerSession, Welcome};
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
        let (stop, stopped) = watch::channel(false);
        let source = Box::new(Counting(first - 1.0));
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
