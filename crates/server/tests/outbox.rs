//! Messages leave by real channels: in order, by each channel for itself, and across restarts.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use muster_alerting::Notification;
use muster_delivery::sample_notification;
use muster_environment::SystemClock;
use muster_meta::{AlertingChange, NewMessage};
use muster_server::{Deadman, Running, ServerConfig, TlsMode, start};
use reqwest::{Client, Method};
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const PASSWORD: &str = "a long enough password";
const CHANNELS: &str = "/api/muster/v1/channels";

/// What a sink was asked: the path and the message's number.
type Heard = (String, String);

/// A server that takes everything, or answers nothing while it hangs.
struct Sink {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    hangs: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Sink {
    async fn start(hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        let hangs = Arc::new(AtomicBool::new(hangs));
        let hanging = Arc::clone(&hangs);
        let answer = async move |request: Request| {
            let number = request.headers().get("muster-message-id");
            let number = number.map_or("", |number| number.to_str().unwrap()).to_owned();
            let _ = tell.send((request.uri().path().to_owned(), number));
            if hanging.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            match request.uri().path() {
                "/refuses" => (StatusCode::BAD_REQUEST, "no"),
                _ => (StatusCode::OK, "thanks"),
            }
        };
        let router = Router::new().fallback(any(answer));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, heard, hangs, serving }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn next(&mut self) -> Heard {
        let heard = tokio::time::timeout(Duration::from_mins(1), self.heard.recv()).await;
        heard.expect("a message in time").unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Server {
    running: Running,
    client: Client,
    cookie: String,
}

impl Server {
    async fn start(dir: &Path, deadman: Option<Deadman>) -> Self {
        let config = ServerConfig {
            data_dir: dir.to_owned(),
            database: None,
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: TlsMode::Off,
            retention_ms: 86_400_000,
            retention_bytes: None,
            rules: vec![],
            admin_password: Some(PASSWORD.into()),
            oidc: None,
            public_url: Some("https://muster.example/".into()),
            deadman,
        };
        let running = start(config, Arc::new(SystemClock::new())).await.unwrap();
        // Another test of this process may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut server = Self { running, client: Client::new(), cookie: String::new() };
        let body = json!({ "user": "admin", "password": PASSWORD });
        let session = server.request(Method::POST, "/api/muster/v1/session").json(&body);
        let answer = session.send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().clone_into(&mut server.cookie);
        server
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.running.address());
        self.client.request(method, url).header("cookie", &self.cookie)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Makes a webhook and gives its number.
    async fn webhook(&self, name: &str, url: &str) -> String {
        let (status, made) = self.ask(Method::POST, CHANNELS, Some(&webhook(name, url))).await;
        assert_eq!(status, 200, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Queues messages, then wakes the outbox by setting the channel up as it is.
    async fn queue(&self, channel: &str, name: &str, url: &str, numbers: &[&str]) {
        for (at_ms, number) in (1_i64..).zip(numbers) {
            let notification: Notification = sample_notification((*number).into(), name, at_ms);
            let message = NewMessage {
                id: format!("{number}/{name}"),
                channel_id: channel.to_owned(),
                subject: format!("message {number}"),
                notification: serde_json::to_value(notification).unwrap(),
                alerts: vec!["00000000000000aa".into()],
            };
            let change = AlertingChange { messages: vec![message], ..AlertingChange::default() };
            let now_ms = muster_environment::Clock::now_ms(&SystemClock::new()) + at_ms;
            self.running.meta().commit_alerting(&change, now_ms).await.unwrap();
        }
        self.set_up(channel, &webhook(name, url)).await;
    }

    async fn set_up(&self, channel: &str, spec: &Value) {
        let path = format!("{CHANNELS}/{channel}");
        let (status, answer) = self.ask(Method::PATCH, &path, Some(spec)).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// The server's metrics, once they show what they should.
    async fn metrics(&self, until: impl Fn(&str) -> bool) -> String {
        let waiting = async {
            loop {
                let answer = self.request(Method::GET, "/metrics").send().await.unwrap();
                let metrics = answer.text().await.unwrap();
                if until(&metrics) {
                    return metrics;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("the metrics in time")
    }

    /// The outbox, once it shows what it should.
    async fn outbox(&self, until: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let (_, outbox) = self.ask(Method::GET, "/api/muster/v1/outbox", None).await;
                if until(&outbox) {
                    return outbox;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("the outbox in time")
    }
}

fn webhook(name: &str, url: &str) -> Value {
    json!({ "name": name, "kind": "webhook", "enabled": true, "send_resolved": true, "settings": {"url": url} })
}

/// A value of `/metrics`.
fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().trim().parse().unwrap()
}

fn heard(path: &str, number: &str) -> Heard {
    (path.to_owned(), number.to_owned())
}

#[tokio::test]
async fn messages_arrive_in_their_order_and_their_receipts_are_kept() {
    let (dir, mut sink) = (tempfile::tempdir().unwrap(), Sink::start(false).await);
    let server = Server::start(dir.path(), None).await;
    let url = sink.url("/hook");
    let channel = server.webhook("ops", &url).await;
    server.queue(&channel, "ops", &url, &["b", "a", "c"]).await;
    for number in ["b/ops", "a/ops", "c/ops"] {
        assert_eq!(sink.next().await, heard("/hook", number));
    }
    let outbox = server.outbox(|outbox| outbox["waiting"] == 0).await;
    let newest = &outbox["messages"][0];
    assert_eq!((&newest["id"], &newest["channel"]), (&json!("c/ops"), &json!("ops")));
    assert_eq!((&newest["answer"], &newest["attempts"]), (&json!("200 OK: thanks"), &json!(1)));
    let trail = server.running.meta().trail_of("00000000000000aa", 0, i64::MAX).await.unwrap();
    assert_eq!(trail.iter().filter(|line| line.kind == "sent").count(), 3, "{trail:?}");
    let metrics = server.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("muster_notifications_sent_total{channel=\"ops\"} 3"), "{metrics}");
    server.running.stop().await;
}

#[tokio::test]
async fn a_channel_that_hangs_or_fails_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (mut good, mut hanging) = (Sink::start(false).await, Sink::start(true).await);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::start(dir.path(), None).await;
    let (slow_url, bad_url) = (hanging.url("/slow"), format!("http://{nobody}/"));
    let slow = server.webhook("slow", &slow_url).await;
    let bad = server.webhook("bad", &bad_url).await;
    let fine = server.webhook("fine", &good.url("/fine")).await;
    server.queue(&slow, "slow", &slow_url, &["1"]).await;
    assert_eq!(hanging.next().await, heard("/slow", "1/slow"));
    server.queue(&bad, "bad", &bad_url, &["2", "3"]).await;
    let failed = |outbox: &Value| {
        let messages = outbox["messages"].as_array().unwrap();
        messages.iter().any(|message| message["channel"] == "bad" && message["attempts"] == 1)
    };
    server.outbox(failed).await;
    server.queue(&fine, "fine", &good.url("/fine"), &["4"]).await;
    assert_eq!(good.next().await, heard("/fine", "4/fine"));
    // Mended by an administrator, what waited goes out at once, in its order and under its numbers.
    server.set_up(&bad, &webhook("bad", &good.url("/mended"))).await;
    assert_eq!(good.next().await, heard("/mended", "2/bad"));
    assert_eq!(good.next().await, heard("/mended", "3/bad"));
    server.running.stop().await;
}

#[tokio::test]
async fn a_message_whose_receipt_was_lost_is_sent_again_under_its_number() {
    let (dir, mut hanging) = (tempfile::tempdir().unwrap(), Sink::start(true).await);
    let server = Server::start(dir.path(), None).await;
    let url = hanging.url("/hook");
    let channel = server.webhook("ops", &url).await;
    server.queue(&channel, "ops", &url, &["1"]).await;
    assert_eq!(hanging.next().await, heard("/hook", "1/ops"));
    // The server ends before it hears that the message was taken.
    server.running.stop().await;
    hanging.hangs.store(false, Ordering::Relaxed);
    let server = Server::start(dir.path(), None).await;
    assert_eq!(hanging.next().await, heard("/hook", "1/ops"));
    server.outbox(|outbox| outbox["waiting"] == 0).await;
    server.running.stop().await;
}

#[tokio::test]
async fn that_a_message_was_given_up_stands_in_the_trail_and_is_told_by_the_other_channels() {
    let (dir, mut sink) = (tempfile::tempdir().unwrap(), Sink::start(false).await);
    let server = Server::start(dir.path(), None).await;
    let url = sink.url("/refuses");
    let bad = server.webhook("bad", &url).await;
    server.webhook("good", &sink.url("/good")).await;
    server.queue(&bad, "bad", &url, &["1"]).await;
    assert_eq!(sink.next().await, heard("/refuses", "1/bad"));
    server.outbox(|outbox| outbox["waiting"] == 0).await;
    let trail = server.running.meta().trail_of("00000000000000aa", 0, i64::MAX).await.unwrap();
    let step = trail.iter().find(|line| line.kind == "given_up").unwrap();
    assert_eq!(step.receiver.as_deref(), Some("bad"));
    assert!(step.text.contains("given up after 1 tries: 400 Bad Request: no"), "{}", step.text);
    let metrics = server.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = "muster_notifications_given_up_total{channel=\"bad\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    // It is stored within 15 s, judged within 15 s, and told after its group's wait.
    let told = async {
        loop {
            let (path, _) = sink.next().await;
            let (_, outbox) = server.ask(Method::GET, "/api/muster/v1/outbox", None).await;
            let mut messages = outbox["messages"].as_array().unwrap().iter();
            let is_it = |message: &&Value| {
                message["channel"] == "good"
                    && message["subject"].as_str().unwrap().contains("channel bad was given up")
            };
            if path == "/good" && messages.any(|message| is_it(&message)) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(3), told).await.expect("the alert in time");
    server.running.stop().await;
}

#[tokio::test]
async fn what_is_decided_while_the_database_fails_is_told_once_when_it_works_again() {
    let (dir, mut sink) = (tempfile::tempdir().unwrap(), Sink::start(false).await);
    let server = Server::start(dir.path(), None).await;
    server.webhook("ops", &sink.url("/hook")).await;
    let token = json!({ "name": "prometheus", "role": "writer" });
    let (_, token) = server.ask(Method::POST, "/api/muster/v1/tokens", Some(&token)).await;
    let file = format!("sqlite://{}?mode=rw", dir.path().join("muster.db").display());
    let saboteur = Database::connect(file).await.unwrap();
    // From here on no message can be queued, as when the disk is full.
    let full = "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    saboteur.execute_unprepared(full).await.unwrap();
    let labels = json!({ "alertname": "DiskFull", "instance": "db-1", "severity": "critical" });
    let alert = json!([{ "labels": labels, "annotations": { "summary": "no room" } }]);
    let post = server.request(Method::POST, "/api/v2/alerts");
    // Whether it is answered does not matter: the decision does.
    let _ = post.bearer_auth(token["token"].as_str().unwrap()).json(&alert).send().await;
    server.metrics(|metrics| value(metrics, "muster_notifications_decided_total") >= 1.0).await;
    let failed = "muster_alert_commits_failed_total";
    let failures = value(&server.metrics(|_| true).await, failed);
    server.metrics(|metrics| value(metrics, failed) >= failures + 2.0).await;
    assert_eq!(server.outbox(|_| true).await["messages"], json!([]));

    saboteur.execute_unprepared("DROP TRIGGER full").await.unwrap();
    assert_eq!(sink.next().await.0, "/hook");
    let of_the_alert = |outbox: &Value| -> Vec<Value> {
        let messages = outbox["messages"].as_array().unwrap().iter();
        messages.filter(|message| message.to_string().contains("no room")).cloned().collect()
    };
    let outbox = server.outbox(|outbox| outbox["waiting"] == 0).await;
    let told = of_the_alert(&outbox);
    assert_eq!(told.len(), 1, "{outbox}");
    let list = server.ask(Method::GET, "/api/muster/v1/alerts?search=DiskFull", None).await.1;
    let id = list["alerts"][0]["id"].as_str().unwrap();
    let trail = server.running.meta().trail_of(id, 0, i64::MAX).await.unwrap();
    for kind in ["firing", "queued", "sent"] {
        assert_eq!(trail.iter().filter(|line| line.kind == kind).count(), 1, "{kind}: {trail:?}");
    }
    server.running.stop().await;
}

#[tokio::test]
async fn channels_are_checked_tried_and_keep_their_secrets() {
    let (dir, mut sink) = (tempfile::tempdir().unwrap(), Sink::start(false).await);
    let server = Server::start(dir.path(), None).await;
    for (spec, says) in [
        (webhook("ops", "chat.example"), "no address"),
        (webhook("everyone", "https://chat.example"), "choose another name"),
        (
            json!({ "name": "m", "kind": "email", "enabled": true, "send_resolved": true, "settings": {} }),
            "needs to",
        ),
    ] {
        let (status, answer) = server.ask(Method::POST, CHANNELS, Some(&spec)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{answer}");
    }
    let mut spec = webhook("ops", &sink.url("/a"));
    spec["secrets"] = json!({ "authorization": "Bearer s3cret", "url": sink.url("/s3cret") });
    let (_, made) = server.ask(Method::POST, CHANNELS, Some(&spec)).await;
    assert_eq!(made["secrets_set"], json!(["authorization", "url"]), "{made}");
    let (status, _) = server.ask(Method::POST, CHANNELS, Some(&spec)).await;
    assert_eq!(status, 409);
    let (_, all) = server.ask(Method::GET, CHANNELS, None).await;
    assert!(!all.to_string().contains("s3cret"), "{all}");
    let path = format!("{CHANNELS}/{}", made["id"].as_str().unwrap());
    let (_, tried) = server.ask(Method::POST, &format!("{path}/test"), None).await;
    assert_eq!(tried, json!({ "sent": true, "answer": "200 OK: thanks" }));
    assert_eq!(sink.next().await.0, "/s3cret");
    // An empty secret is removed, the other one stays.
    spec["secrets"] = json!({ "url": "" });
    server.set_up(made["id"].as_str().unwrap(), &spec).await;
    let (_, all) = server.ask(Method::GET, CHANNELS, None).await;
    assert_eq!(all["channels"][0]["secrets_set"], json!(["authorization"]), "{all}");
    server.ask(Method::POST, &format!("{path}/test"), None).await;
    assert_eq!(sink.next().await.0, "/a");
    assert_eq!(server.ask(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(server.ask(Method::DELETE, &path, None).await.0, 404);
    server.running.stop().await;
}

#[tokio::test]
async fn somebody_outside_hears_that_the_server_lives() {
    let (dir, mut sink) = (tempfile::tempdir().unwrap(), Sink::start(false).await);
    let deadman = Deadman::new(&sink.url("/alive"), 50).unwrap();
    let server = Server::start(dir.path(), Some(deadman)).await;
    assert_eq!(sink.next().await, heard("/alive", ""));
    assert_eq!(sink.next().await, heard("/alive", ""));
    server.running.stop().await;
}
