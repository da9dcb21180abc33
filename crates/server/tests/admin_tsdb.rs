//! An administrator deletes series, frees their room and makes snapshots; nobody else does.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

use std::path::Path;
use std::sync::{Arc, mpsc};

use muster_environment::{Clock as _, RealDisk, SystemClock};
use muster_meta::{Actor, Role};
use muster_series::Labels;
use muster_server::{Running, ServerConfig, TlsMode, local, start};
use muster_tsdb::{Db, Options, WriteBatch, inspect};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

struct Server {
    running: Running,
    client: Client,
    admin: String,
    viewer: String,
    dir: tempfile::TempDir,
}

/// A store with the series `up` of two hosts, one sample each.
fn fill(dir: &Path) {
    let clock = Arc::new(SystemClock::new());
    let now_ms = clock.now_ms();
    let (db, _) = Db::open(dir, Arc::new(RealDisk), clock, Options::default()).unwrap();
    let series = ["a", "b"].map(|host| {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", host)]).unwrap();
        (db.series(&labels).unwrap(), 1.0)
    });
    let (sender, receiver) = mpsc::channel();
    let batch = WriteBatch::scrape(now_ms - 1000, series);
    db.append(batch, move |done| sender.send(done).unwrap());
    receiver.recv().unwrap().unwrap();
    db.close().unwrap();
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(&dir.path().join("metrics"));
        let config = ServerConfig {
            data_dir: dir.path().into(),
            database: None,
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: TlsMode::Off,
            retention_ms: 86_400_000,
            retention_bytes: None,
            rules: vec![],
            admin_password: Some("a long enough password".into()),
            oidc: None,
            public_url: None,
            deadman: None,
        };
        let clock = Arc::new(SystemClock::new());
        let now_ms = clock.now_ms();
        let running = start(config, clock).await.unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let token = |role, name: &'static str| {
            let meta = running.meta().clone();
            async move {
                let by = Actor::server();
                local::create_api_token(&meta, &by, name, role, None, now_ms).await.unwrap()
            }
        };
        let admin = token(Role::Admin, "admin").await;
        let viewer = token(Role::Viewer, "viewer").await;
        Self { running, client: Client::new(), admin, viewer, dir }
    }

    async fn send(&self, method: Method, path: &str, token: &str) -> Response {
        let url = format!("http://{}/api/v1/{path}", self.running.address());
        self.client.request(method, url).bearer_auth(token).send().await.unwrap()
    }

    async fn admin(&self, path: &str) -> StatusCode {
        self.send(Method::POST, &format!("admin/tsdb/{path}"), &self.admin).await.status()
    }

    /// The hosts that have a sample now.
    async fn hosts(&self) -> Vec<String> {
        let reply = self.send(Method::GET, "query?query=up", &self.viewer).await;
        let reply: Value = reply.json().await.unwrap();
        let result = reply["data"]["result"].as_array().unwrap();
        result.iter().map(|one| one["metric"]["instance"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn series_are_deleted_and_their_room_is_freed() {
    let server = Server::start().await;
    assert_eq!(server.hosts().await, ["a", "b"]);
    let path = "delete_series?match[]=up{instance=\"a\"}";
    assert_eq!(server.admin(path).await, StatusCode::NO_CONTENT);
    assert_eq!(server.hosts().await, ["b"]);
    let names = server.send(Method::GET, "label/instance/values", &server.viewer).await;
    assert_eq!(names.json::<Value>().await.unwrap()["data"], serde_json::json!(["b"]));
    let put = server.send(Method::PUT, "admin/tsdb/clean_tombstones", &server.admin).await;
    assert_eq!(put.status(), StatusCode::NO_CONTENT);
    let found = inspect(&RealDisk, &server.dir.path().join("metrics")).unwrap();
    assert_eq!((found.samples(), found.tombstones), (1, 0));
    // Of another time nothing goes.
    assert_eq!(server.admin("delete_series?match[]=up&end=1000").await, StatusCode::NO_CONTENT);
    assert_eq!(server.hosts().await, ["b"]);
}

#[tokio::test]
async fn what_is_asked_wrongly_or_by_others_changes_nothing() {
    let server = Server::start().await;
    for path in [
        "delete_series",
        "delete_series?match[]={",
        "delete_series?match[]=%7B%7D",
        "delete_series?match[]=up&start=yesterday",
        "delete_series?match[]=up&start=5&end=4",
        "snapshot?skip_head=perhaps",
    ] {
        assert_eq!(server.admin(path).await, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        let path = format!("admin/tsdb/{path}");
        let by_viewer = server.send(Method::POST, &path, &server.viewer).await;
        assert_eq!(by_viewer.status(), StatusCode::FORBIDDEN, "{path}");
        let by_nobody = server.send(Method::POST, &path, "wrong").await;
        assert_eq!(by_nobody.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(server.hosts().await, ["a", "b"]);
    assert!(!server.dir.path().join("snapshots").exists());
}

#[tokio::test]
async fn a_snapshot_is_a_store_of_its_own() {
    let server = Server::start().await;
    for (query, samples) in [("?skip_head=true", 0), ("", 2), ("?skip_head=false", 2)] {
        let path = format!("admin/tsdb/snapshot{query}");
        let reply = server.send(Method::POST, &path, &server.admin).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let reply: Value = reply.json().await.unwrap();
        assert_eq!(reply["status"], "success");
        let name = reply["data"]["name"].as_str().unwrap();
        let found = inspect(&RealDisk, &server.dir.path().join("snapshots").join(name)).unwrap();
        assert_eq!((found.samples(), found.damage), (samples, vec![]), "{path}");
    }
}
