//! What an agent's credential is good for: to write as its own host, until it is revoked, and for nothing else.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use futures_util::{SinkExt as _, StreamExt as _};
use muster_meta::Role;
use muster_series::Labels;
use muster_server::Access;
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, CONNECT_PATH, GoodbyeReason, Group, OsFacts, RejectCode,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::server::{NOW_MS, PASSWORD, Proof, Server};

/// One connection, up to the server's word on who may come in.
pub(crate) struct Link {
    socket: WebSocketStream<TcpStream>,
    pub(crate) wire: AgentSession,
}

impl Link {
    /// Introduces itself with the public half of `key`, and proves it with `signer`.
    pub(crate) async fn open(
        server: &Server,
        instance: &str,
        (key, signer): (&Ed25519KeyPair, &Ed25519KeyPair),
        token: Option<&str>,
    ) -> (Self, AgentEvent) {
        let hello = AgentHello {
            instance: instance.into(),
            public_key: key.public_key().as_ref().try_into().unwrap(),
            enroll_token: token.map(str::to_owned),
            agent_version: "0.1.0".into(),
            boot_id: String::new(),
            nonce: [7; 32],
            os: OsFacts::default(),
        };
        let address = server.running.address();
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) =
            client_async(format!("ws://{address}{CONNECT_PATH}"), stream).await.unwrap();
        let mut link = Self { socket, wire: AgentSession::new(hello, 0) };
        loop {
            match link.next().await {
                AgentEvent::Challenged { message } => {
                    let signature = signer.sign(&message);
                    link.wire.prove(signature.as_ref().try_into().unwrap()).unwrap();
                }
                word @ (AgentEvent::Welcomed(_) | AgentEvent::Rejected { .. }) => {
                    return (link, word);
                }
                _ => {}
            }
        }
    }

    /// Sends what is to be sent, and waits for what the server says next.
    pub(crate) async fn next(&mut self) -> AgentEvent {
        loop {
            while let Some(frame) = self.wire.poll_transmit() {
                self.socket.send(Message::Binary(frame.into())).await.unwrap();
            }
            let message = self.socket.next().await.expect("the server says why it ends").unwrap();
            if let Message::Binary(frame) = message
                && let Some(event) = self.wire.handle_frame(&frame, 0).unwrap()
            {
                return event;
            }
        }
    }

    /// Waits for the end that the server gives a reason for.
    async fn goodbye(&mut self) -> GoodbyeReason {
        loop {
            if let AgentEvent::Goodbye { reason, .. } = self.next().await {
                return reason;
            }
        }
    }

    /// Sends one sample of each series, and waits until they are stored.
    pub(crate) async fn write(&mut self, series: &[Labels]) {
        let samples = (0..series.len()).map(|at| (at as u32, 7.0)).collect();
        let groups = [Group { timestamp_ms: NOW_MS, samples }];
        let named = |number: u32| series.get(number as usize).cloned();
        let sent = self.wire.send_batch(false, &groups, named).unwrap();
        loop {
            if let AgentEvent::Acknowledged(sequences) = self.next().await {
                assert_eq!(sequences, [sent.sequence]);
                return;
            }
        }
    }
}

pub(crate) async fn enroll_token(server: &Server, admin: &Proof) -> String {
    let body = json!({ "uses": 10, "expires_in_ms": 60_000 });
    let made = server.done("POST", "enroll-tokens", admin, body).await;
    made["token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn name_of(word: &AgentEvent) -> &str {
    match word {
        AgentEvent::Welcomed(welcome) => &welcome.instance,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refusal_of(word: &AgentEvent) -> RejectCode {
    match word {
        AgentEvent::Rejected { code, .. } => *code,
        other => panic!("{other:?}"),
    }
}

async fn values(server: &Server, query: &str) -> Value {
    let viewer = server.token(Role::Viewer, None).await;
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let path = format!("/api/v1/query?query={query}&time={}", NOW_MS / 1_000);
    let answer: Value = server.get(&path, &viewer).send().await.unwrap().json().await.unwrap();
    answer["data"]["result"].clone()
}

#[tokio::test]
async fn a_stolen_key_writes_as_its_own_host_only() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let token = enroll_token(&server, &admin).await;
    let key = Ed25519KeyPair::generate().unwrap();
    let victim = Ed25519KeyPair::generate().unwrap();
    Link::open(&server, "victim", (&victim, &victim), Some(&token)).await;
    let (_, word) = Link::open(&server, "web-1", (&key, &key), Some(&token)).await;
    assert_eq!(name_of(&word), "web-1");
    // Whatever name the thief gives.
    let (mut link, word) = Link::open(&server, "victim", (&key, &key), None).await;
    assert_eq!(name_of(&word), "web-1");
    let labels =
        |pairs: &[(&'static str, &'static str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
    link.write(&[
        labels(&[("__name__", "stolen"), ("instance", "victim"), ("job", "billing")]),
        labels(&[("__name__", "up"), ("instance", "victim")]),
    ])
    .await;
    let stolen = values(&server, "stolen").await;
    assert_eq!(
        stolen[0]["metric"],
        json!({ "__name__": "stolen", "instance": "web-1", "job": "node" })
    );
    assert_eq!(stolen.as_array().unwrap().len(), 1);
    assert_eq!(values(&server, "up == 7").await, json!([]));
    // The name of a host whose key one has not is no way in, nor is its public key.
    let (_, word) = Link::open(&server, "victim", (&victim, &key), None).await;
    assert_eq!(refusal_of(&word), RejectCode::BadSignature);
    // Another key under a name that is taken gets a name of its own.
    let third = Ed25519KeyPair::generate().unwrap();
    let (_, word) = Link::open(&server, "victim", (&third, &third), Some(&token)).await;
    assert_eq!(name_of(&word), "victim-2");
    server.running.stop().await;
}

#[tokio::test]
async fn nothing_that_an_agent_has_opens_any_route() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let token = enroll_token(&server, &admin).await;
    let key = Ed25519KeyPair::generate().unwrap();
    Link::open(&server, "web-1", (&key, &key), Some(&token)).await;
    let public = key.public_key().as_ref().to_vec();
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    for secret in [token.clone(), base64(&public), "web-1".to_owned()] {
        for route in muster_server::routes() {
            if matches!(route.access, Access::Anyone | Access::Agent) {
                continue;
            }
            let path = route.path.replace(['{', '}'], "");
            for proof in
                [Proof::Token(secret.clone()), Proof::Session(format!("muster_session={secret}"))]
            {
                let answer = server.request(route.method.clone(), &path, &proof).send().await;
                let status = answer.unwrap().status();
                assert_eq!(
                    status,
                    StatusCode::UNAUTHORIZED,
                    "{} {path} by {proof:?}",
                    route.method
                );
            }
        }
    }
    server.running.stop().await;
}

#[tokio::test]
async fn who_looks_at_a_host_gets_the_ten_minutes_before() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let token = enroll_token(&server, &admin).await;
    let key = Ed25519KeyPair::generate().unwrap();
    let (mut link, _) = Link::open(&server, "web-1", (&key, &key), Some(&token)).await;
    let path = "/api/muster/v1/live/query?instance=web-1&q=up";
    let first = server.get(path, &admin).send().await.unwrap();
    let second = server.get(path, &admin).send().await.unwrap();
    let mut told = Vec::new();
    while !told.iter().any(|event| matches!(event, AgentEvent::Recall { .. })) {
        told.push(link.next().await);
    }
    let boost = AgentEvent::Settings { interval_ms: 1_000, lease_ms: 30_000 };
    assert!(told.contains(&boost), "{told:?}");
    let recall = AgentEvent::Recall { from_ms: NOW_MS - 600_000, to_ms: NOW_MS + 60_000 };
    assert_eq!(told.last(), Some(&recall));
    drop((first, second));
    // The end of the boost is the first word after the last one has gone; no second recall comes before it.
    loop {
        match link.next().await {
            AgentEvent::Settings { lease_ms: 0, .. } => break,
            AgentEvent::Recall { .. } => panic!("one look asks once"),
            _ => {}
        }
    }
    server.running.stop().await;
}

#[tokio::test]
async fn a_revoked_agent_is_out_at_once_and_stays_out() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let token = enroll_token(&server, &admin).await;
    let key = Ed25519KeyPair::generate().unwrap();
    let (mut link, _) = Link::open(&server, "web-1", (&key, &key), Some(&token)).await;
    let list = server.done("GET", "agents", &admin, Value::Null).await;
    assert_eq!(list["agents"][0]["connected"], true);
    let path = format!("agents/{}", list["agents"][0]["id"].as_str().unwrap());
    server.done("DELETE", &path, &admin, Value::Null).await;
    assert_eq!(link.goodbye().await, GoodbyeReason::Revoked);
    for token in [None, Some(&*token)] {
        let (_, word) = Link::open(&server, "web-1", (&key, &key), token).await;
        assert_eq!(refusal_of(&word), RejectCode::Revoked);
    }
    let list = server.done("GET", "agents", &admin, Value::Null).await;
    assert_eq!(
        (&list["agents"][0]["connected"], &list["agents"][0]["revoked"]),
        (&json!(false), &json!(true))
    );
    server.running.stop().await;
}

#[tokio::test]
async fn a_renamed_agent_comes_back_under_its_new_name() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let token = enroll_token(&server, &admin).await;
    let key = Ed25519KeyPair::generate().unwrap();
    let (mut link, _) = Link::open(&server, "web-1", (&key, &key), Some(&token)).await;
    let list = server.done("GET", "agents", &admin, Value::Null).await;
    let path = format!("agents/{}", list["agents"][0]["id"].as_str().unwrap());
    server.done("PATCH", &path, &admin, json!({ "instance": "db-1" })).await;
    assert_eq!(link.goodbye().await, GoodbyeReason::Shutdown);
    let (_, word) = Link::open(&server, "web-1", (&key, &key), None).await;
    assert_eq!(name_of(&word), "db-1");
    server.running.stop().await;
}
