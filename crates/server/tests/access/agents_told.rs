//! What agents are told: settings by group, and that somebody looks at their processes.

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use muster_meta::Role;
use muster_wire::{AgentEvent, Configuration, ProcessRow, ProcessTable};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::agents::{Link, enroll_token};
use crate::server::{NOW_MS, PASSWORD, Proof, Server};

const PATIENCE: Duration = Duration::from_mins(1);

/// An agent that is connected, with its number.
async fn connected(server: &Server, admin: &Proof) -> (Link, String) {
    let token = enroll_token(server, admin).await;
    let key = Ed25519KeyPair::generate().unwrap();
    let (link, _) = Link::open(server, "web-1", (&key, &key), Some(&token)).await;
    let list = server.done("GET", "agents", admin, Value::Null).await;
    (link, list["agents"][0]["id"].as_str().unwrap().to_owned())
}

impl Link {
    async fn configuration(&mut self) -> Configuration {
        let given = async {
            loop {
                if let AgentEvent::Configuration(Ok(configuration)) = self.next().await {
                    return *configuration;
                }
            }
        };
        timeout(PATIENCE, given).await.expect("the server gives settings")
    }

    async fn process_watch(&mut self) -> i64 {
        let asked = async {
            loop {
                if let AgentEvent::ProcessWatch { lease_ms } = self.next().await {
                    return lease_ms;
                }
            }
        };
        timeout(PATIENCE, asked).await.expect("the server asks for processes")
    }
}

fn set(settings: &Value) -> Value {
    json!({ "settings": settings })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_reach_the_agents_that_they_are_for() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let (mut link, id) = connected(&server, &admin).await;
    let first = link.configuration().await;
    assert_eq!(first, Configuration { revision: first.revision, ..Configuration::default() });

    let all = set(&json!({ "fast_interval_ms": 10_000, "collectors_off": ["hwmon"] }));
    let made = server.done("PUT", "agent-settings/all", &admin, all).await;
    assert_eq!((&made["scope"], &made["version"]), (&json!("all"), &json!(1)));
    let given = link.configuration().await;
    assert_eq!(
        (given.fast_interval_ms, given.collectors_off),
        (Some(10_000), vec!["hwmon".into()])
    );

    // The group has settings before the agent is in it.
    let web = set(&json!({ "fast_interval_ms": 2_000, "mount_points_exclude": "/mnt/.*" }));
    server.done("PUT", "agent-settings/groups/web%2Feast", &admin, web).await;
    let groups = json!({ "groups": ["web/east"] });
    server.done("PATCH", &format!("agents/{id}"), &admin, groups).await;
    let given = link.configuration().await;
    assert_eq!(given.fast_interval_ms, Some(2_000));
    assert_eq!(given.mount_points_exclude.as_deref(), Some("/mnt/.*"));
    let effective = server.done("GET", &format!("agents/{id}/settings"), &admin, Value::Null).await;
    assert_eq!(effective["revision"], given.revision);
    assert_eq!(effective["settings"]["fast_interval_ms"], 2_000);

    let host = set(&json!({ "fast_interval_ms": 1_000 }));
    server.done("PUT", &format!("agent-settings/hosts/{id}"), &admin, host).await;
    assert_eq!(link.configuration().await.fast_interval_ms, Some(1_000));
    for path in [format!("agent-settings/hosts/{id}"), "agent-settings/groups/web%2Feast".into()] {
        server.done("DELETE", &path, &admin, Value::Null).await;
        link.configuration().await;
    }
    server.done("DELETE", "agent-settings/all", &admin, Value::Null).await;
    assert_eq!(link.configuration().await, first);
    let audit = server.done("GET", "audit?action=setting&limit=10", &admin, Value::Null).await;
    assert_eq!(audit["entries"].as_array().unwrap().len(), 6);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_cannot_be_are_refused_and_nothing_is_overwritten_unseen() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let ask = async |path: &str, body: Value| {
        let (status, answer) = server.ask("PUT", path, &admin, body).await;
        (status, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    let (status, error) =
        ask("agent-settings/all", set(&json!({ "collectors_off": ["filesytem"] }))).await;
    assert_eq!(status, 400);
    assert!(error.contains("did you mean \"filesystem\""), "{error}");
    let (status, error) = ask("agent-settings/all", set(&json!({ "exec": "rm" }))).await;
    assert_eq!(status, 422, "{error}");
    assert!(error.contains("unknown field"), "{error}");
    assert_eq!(ask("agent-settings/hosts/none", set(&json!({}))).await.0, 404);
    assert_eq!(ask("agent-settings/groups/%20x", set(&json!({}))).await.0, 400);
    let seen = |version: u64| json!({ "settings": {}, "version": version });
    assert_eq!(ask("agent-settings/all", seen(0)).await.0, 200);
    assert_eq!(ask("agent-settings/all", seen(0)).await.0, 409);
    assert_eq!(ask("agent-settings/all", seen(1)).await.0, 200);
    let operator = server.token(Role::Operator, None).await;
    let list = server.done("GET", "agent-settings", &operator, Value::Null).await;
    assert_eq!(list["layers"][0]["version"], 2);
    assert!(list["collectors"].as_array().unwrap().contains(&json!("filesystem")));
    server.running.stop().await;
}

/// An open stream of processes, and what of it was read.
struct Stream(Response, String);

impl Stream {
    async fn open(server: &Server, proof: &Proof) -> Self {
        let path = "/api/muster/v1/hosts/web-1/processes";
        let response = server.get(path, proof).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self(response, String::new())
    }

    /// The name and the data of the next event.
    async fn next(&mut self) -> (String, Value) {
        let read = async {
            loop {
                if let Some((event, rest)) = self.1.split_once("\n\n") {
                    let field = |name: &str| {
                        event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
                    };
                    let (name, data) = (field("event: ").to_owned(), field("data: ").to_owned());
                    self.1 = self.1.split_off(self.1.len() - rest.len());
                    if !name.is_empty() {
                        return (name, serde_json::from_str(&data).unwrap());
                    }
                    continue;
                }
                let chunk = self.0.chunk().await.unwrap().expect("the stream goes on");
                self.1.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        timeout(PATIENCE, read).await.expect("an event comes")
    }
}

fn table(pid: u32) -> ProcessTable {
    let row = ProcessRow {
        pid,
        parent: 1,
        user: "www-data".into(),
        program: "nginx".into(),
        command: "nginx: worker".into(),
        state: 'R',
        threads: 1,
        started_ms: NOW_MS - 1_000,
        cpu_ratio: 0.5,
        memory_bytes: 4_096,
        read_bytes_per_second: None,
        written_bytes_per_second: Some(f64::INFINITY),
    };
    ProcessTable { timestamp_ms: NOW_MS, rows: vec![row], truncated: 3 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_asked_for_while_somebody_looks_and_all_who_look_share_them() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let (mut link, _) = connected(&server, &admin).await;
    let viewer = server.token(Role::Viewer, None).await;
    let mut one = Stream::open(&server, &viewer).await;
    assert!(link.process_watch().await > 0);
    link.wire.send_processes(table(7));
    let other = tokio::spawn({
        let opened = Stream::open(&server, &admin).await;
        async move {
            let mut opened = opened;
            (opened.next().await, opened)
        }
    });
    let (name, shown) = loop {
        tokio::select! {
            event = one.next() => break event,
            // The lease is renewed at times.
            word = link.next() => assert!(matches!(word, AgentEvent::ProcessWatch { .. }), "{word:?}"),
        }
    };
    assert_eq!(name, "processes");
    let row = &shown["rows"][0];
    assert_eq!(
        (&row["pid"], &row["state"], &shown["truncated"]),
        (&json!(7), &json!("R"), &json!(3))
    );
    assert_eq!(row["written_bytes_per_second"], Value::Null);
    let ((name, _), other) = other.await.unwrap();
    assert_eq!(name, "processes");
    drop((one, other));
    while link.process_watch().await != 0 {}
    drop(link);
    let mut late = Stream::open(&server, &viewer).await;
    assert_eq!(late.next().await, ("unavailable".into(), json!({ "reason": "host_silent" })));
    server.running.stop().await;
}
