//! A server with a clock that stands still until a test moves it, and hosts that speak the agents' protocol to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use futures_util::{SinkExt as _, StreamExt as _};
use muster_environment::{Clock as _, ManualClock};
use muster_series::Labels;
use muster_server::{Running, ServerConfig, TlsMode, start};
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, CONNECT_PATH, GoodbyeReason, Group, OsFacts,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

const PASSWORD: &str = "a long enough password";
pub(crate) const START_MS: i64 = 1_790_000_000_000;
/// How long a slow machine may take for what should be there in a moment.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what must not happen is waited for.
const A_WHILE: Duration = Duration::from_millis(1_500);

pub(crate) struct World {
    running: Running,
    pub(crate) clock: Arc<ManualClock>,
    client: Client,
    cookie: String,
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        // Another test of this process may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(ManualClock::at(START_MS));
        let dir = tempfile::tempdir().unwrap();
        let running = run(&dir, &clock).await;
        let mut world = Self { running, clock, client: Client::new(), cookie: String::new(), dir };
        world.sign_in().await;
        world
    }

    /// Stops the server and starts it again on its data.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_after(|_| std::future::ready(())).await
    }

    /// The same, with something that happens to the data folder in between.
    pub(crate) async fn restarted_after<F: Future<Output = ()>>(
        self,
        between: impl FnOnce(std::path::PathBuf) -> F,
    ) -> Self {
        let Self { running, clock, client, dir, .. } = self;
        running.stop().await;
        between(dir.path().to_owned()).await;
        let running = run(&dir, &clock).await;
        let mut world = Self { running, clock, client, cookie: String::new(), dir };
        world.sign_in().await;
        world
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }

    async fn sign_in(&mut self) {
        let url = format!("http://{}/api/muster/v1/session", self.running.address());
        let body = json!({ "user": "admin", "password": PASSWORD });
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
    }

    /// What a request that must succeed is answered.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("http://{}{path}", self.running.address());
        let request = self.client.request(method, url).header("cookie", &self.cookie);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path} is answered {status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, Value::Null).await
    }

    /// Sets the rules of people.
    pub(crate) async fn set_rules(&self, yaml: &str) {
        let path = "/api/muster/v1/rules/documents/own";
        self.ask(Method::PUT, path, json!({ "yaml": yaml, "version": 0 })).await;
    }

    /// The alerts of this name, as `instance state`.
    pub(crate) async fn alerts(&self, name: &str) -> Vec<String> {
        let told = self.get("/api/v1/alerts").await;
        let all = told["data"]["alerts"].as_array().unwrap().iter();
        let of_name = all.filter(|alert| alert["labels"]["alertname"] == name);
        let line = |alert: &Value| {
            let instance = alert["labels"]["instance"].as_str().unwrap_or("-");
            format!("{instance} {}", alert["state"].as_str().unwrap())
        };
        let mut lines: Vec<String> = of_name.map(line).collect();
        lines.sort_unstable();
        lines
    }

    /// Waits until the alerts of this name are these.
    #[track_caller]
    pub(crate) fn until_alerts(&self, name: &str, expected: &[&str]) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let until = Instant::now() + PATIENCE;
            loop {
                let alerts = self.alerts(name).await;
                if alerts == expected {
                    return;
                }
                assert!(Instant::now() < until, "{at}: {name} is {alerts:?}, not {expected:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The built-in rules that were evaluated, with when last.
    pub(crate) async fn evaluated(&self) -> BTreeMap<String, i64> {
        let rules = self.get("/api/muster/v1/rules").await;
        let all = rules["built_in"].as_array().unwrap().iter();
        all.filter_map(|rule| {
            Some((rule["id"].as_str()?.to_owned(), rule["evaluated_ms"].as_i64()?))
        })
        .collect()
    }

    /// Waits until a built-in rule was evaluated.
    pub(crate) async fn until_evaluated(&self, rule: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.evaluated().await.contains_key(rule) {
            assert!(Instant::now() < until, "{rule} is not evaluated");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives what must not happen the time to happen.
    pub(crate) async fn a_while(&self) {
        tokio::time::sleep(A_WHILE).await;
    }

    /// Lets time pass in steps, so that the server sees that it did not stand still.
    pub(crate) async fn pass(&self, steps: u32) {
        for _ in 0..steps {
            self.clock.advance(1_000);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// A host that joins, in these groups.
    pub(crate) async fn host(&self, instance: &str, groups: &[&str]) -> Host {
        let body = json!({ "uses": 1, "expires_in_ms": 60_000, "groups": groups });
        let made = self.ask(Method::POST, "/api/muster/v1/enroll-tokens", body).await;
        Host::join(self, instance, made["token"].as_str().unwrap()).await
    }
}

async fn run(dir: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Running {
    let config = ServerConfig {
        data_dir: dir.path().join("data"),
        database: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: TlsMode::Off,
        retention_ms: 86_400_000,
        retention_bytes: None,
        rules: vec![],
        admin_password: Some(PASSWORD.into()),
        oidc: None,
        public_url: None,
        deadman: None,
    };
    let clock: Arc<ManualClock> = Arc::clone(clock);
    start(config, clock).await.unwrap()
}

/// A host's session.
pub(crate) struct Host {
    socket: WebSocketStream<TcpStream>,
    wire: AgentSession,
    instance: String,
    series: Vec<Labels>,
}

impl Host {
    async fn join(world: &World, instance: &str, token: &str) -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let hello = AgentHello {
            instance: instance.into(),
            public_key: key.public_key().as_ref().try_into().unwrap(),
            enroll_token: Some(token.to_owned()),
            agent_version: "0.1.0".into(),
            boot_id: String::new(),
            nonce: [7; 32],
            os: OsFacts::default(),
        };
        let address = world.running.address();
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) =
            client_async(format!("ws://{address}{CONNECT_PATH}"), stream).await.unwrap();
        let wire = AgentSession::new(hello, 0);
        let mut host = Self { socket, wire, instance: instance.into(), series: vec![] };
        loop {
            match host.next().await {
                AgentEvent::Challenged { message } => {
                    let signature = key.sign(&message);
                    host.wire.prove(signature.as_ref().try_into().unwrap()).unwrap();
                }
                AgentEvent::Welcomed(_) => return host,
                AgentEvent::Rejected { code, .. } => panic!("{instance} is sent away: {code:?}"),
                _ => {}
            }
        }
    }

    async fn flush(&mut self) {
        while let Some(frame) = self.wire.poll_transmit() {
            self.socket.send(Message::Binary(frame.into())).await.unwrap();
        }
    }

    async fn next(&mut self) -> AgentEvent {
        loop {
            self.flush().await;
            let message = self.socket.next().await.expect("the server says why it ends").unwrap();
            if let Message::Binary(frame) = message
                && let Some(event) = self.wire.handle_frame(&frame, 0).unwrap()
            {
                return event;
            }
        }
    }

    /// Sends samples of series without their instance, and waits until they are stored.
    pub(crate) async fn send(&mut self, urgent: bool, at_ms: i64, samples: &[(&[Pair], f64)]) {
        let mut numbered = Vec::new();
        for (pairs, value) in samples {
            let labels = Labels::from_pairs(pairs.iter().copied()).unwrap();
            let labels = labels.with("instance", &self.instance);
            let known = self.series.iter().position(|known| *known == labels);
            let number = known.unwrap_or_else(|| {
                self.series.push(labels);
                self.series.len() - 1
            });
            numbered.push((u32::try_from(number).unwrap(), *value));
        }
        let groups = [Group { timestamp_ms: at_ms, samples: numbered }];
        let named = |number: u32| self.series.get(number as usize).cloned();
        let sent = self.wire.send_batch(urgent, &groups, named).unwrap();
        loop {
            if let AgentEvent::Acknowledged(sequences) = self.next().await
                && sequences.contains(&sent.sequence)
            {
                return;
            }
        }
    }

    /// Ends the session as an agent does that is stopped.
    pub(crate) async fn goodbye(mut self) {
        self.wire.goodbye(GoodbyeReason::Shutdown);
        self.flush().await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A label's name and value.
pub(crate) type Pair = (&'static str, &'static str);

impl World {
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}
