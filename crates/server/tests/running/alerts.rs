//! Alerts that another program posts: what is shown of them, what people do about them, and what a restart keeps.

use std::fmt::Write as _;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;

const ALERTS: &str = "/api/muster/v1/alerts";
const SILENCES: &str = "/api/muster/v1/silences";

impl Server {
    /// The answer to a request that must succeed.
    async fn told(request: RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    async fn post_alerts(&self, alerts: Value) {
        let request = self.post("/api/v2/alerts").bearer_auth(&self.writer).json(&alerts);
        Self::told(request).await;
    }

    /// The alert of this name; it must be the only one.
    async fn alert(&self, name: &str) -> Value {
        let list = Self::told(self.get(&format!("{ALERTS}?search={name}"))).await;
        let alerts = list["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "{list}");
        alerts[0].clone()
    }

    async fn trail(&self, id: &Value) -> Vec<String> {
        let path = format!("{ALERTS}/{}", id.as_str().unwrap());
        let detail = Self::told(self.get(&path)).await;
        let steps = detail["trail"].as_array().unwrap().iter();
        steps.map(|step| step["kind"].as_str().unwrap().to_owned()).collect()
    }
}

fn disk_full() -> Value {
    let labels = json!({ "alertname": "DiskFull", "instance": "db-1", "severity": "critical" });
    json!([{ "labels": labels, "annotations": { "summary": "no room" } }])
}

fn silence(instance: &str) -> Value {
    let now_ms = Server::now_ms();
    let matcher = json!({ "name": "instance", "value": instance, "isRegex": true });
    json!({
        "matchers": [matcher], "starts_at_ms": now_ms, "ends_at_ms": now_ms + 3_600_000,
        "comment": "being mended",
    })
}

#[tokio::test]
async fn a_posted_alert_is_shown_with_its_trail_and_history() {
    let server = Server::start().await;
    server.post_alerts(disk_full()).await;
    let first = server.alert("DiskFull").await;
    assert_eq!((&first["state"], &first["hush"]), (&json!("firing"), &json!("no_receiver")));
    // Who posts it again without a beginning does not move it.
    server.post_alerts(disk_full()).await;
    assert_eq!(server.alert("DiskFull").await["starts_at_ms"], first["starts_at_ms"]);

    let id = first["id"].as_str().unwrap();
    assert_eq!(server.trail(&first["id"]).await, ["firing", "no_receiver"]);
    let history = Server::told(server.get(&format!("{ALERTS}/history?instance=db-1"))).await;
    assert_eq!(history["episodes"][0]["alert"], id);
    let why = Server::told(server.get(&format!("{ALERTS}/why-not?alert={id}"))).await;
    assert_eq!(why["code"], "no_receiver", "{why}");

    let mut over = disk_full();
    over[0]["endsAt"] = json!("2026-01-01T00:00:00Z");
    server.post_alerts(over).await;
    let history = Server::told(server.get(&format!("{ALERTS}/history?name=DiskFull"))).await;
    assert!(history["episodes"][0]["ends_at_ms"].is_i64(), "{history}");
    server.running.stop().await;
}

#[tokio::test]
async fn people_take_note_of_alerts_and_hide_them() {
    let server = Server::start().await;
    server.post_alerts(disk_full()).await;
    let id = server.alert("DiskFull").await["id"].as_str().unwrap().to_owned();
    let note = server.post_as_person(&format!("{ALERTS}/{id}/acknowledge"));
    Server::told(note.json(&json!({ "note": "mine" }))).await;
    let assign = server.post_as_person(&format!("{ALERTS}/{id}/assign"));
    Server::told(assign.json(&json!({ "to": "admin" }))).await;
    let alert = server.alert("DiskFull").await;
    assert_eq!(alert["acknowledged"]["note"], "mine");
    assert_eq!(alert["assignee"], "admin");
    Server::told(server.delete(&format!("{ALERTS}/{id}/acknowledge"))).await;
    assert!(server.alert("DiskFull").await["acknowledged"].is_null());

    let preview = server.post_as_person(&format!("{SILENCES}/preview")).json(&silence("db-.*"));
    assert_eq!(Server::told(preview).await["alerts"][0]["id"], id.as_str());
    assert!(server.alert("DiskFull").await["silenced_by"].as_array().unwrap().is_empty());
    let made = Server::told(server.post_as_person(SILENCES).json(&silence("db-.*"))).await;
    assert_eq!(made["hides"], json!([id]));
    assert_eq!(server.alert("DiskFull").await["hush"], "silenced");
    let path = format!("{SILENCES}/{}", made["id"].as_str().unwrap());
    Server::told(server.delete(&path)).await;
    assert_eq!(server.alert("DiskFull").await["hush"], "no_receiver");
    let again = server.delete(&path).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    let all = Server::told(server.post_as_person(SILENCES).json(&silence("web-.*"))).await;
    assert_eq!(all["hides"], json!([]));
    let everything = server.post_as_person(SILENCES).json(&silence(".*")).send().await.unwrap();
    assert_eq!(everything.status(), StatusCode::BAD_REQUEST);
    server.running.stop().await;
}

#[tokio::test]
async fn routes_are_set_by_one_at_a_time() {
    const PATH: &str = "/api/muster/v1/routing";
    let server = Server::start().await;
    let shown = Server::told(server.get(PATH)).await;
    assert_eq!(shown["is_default"], true);
    let change = json!({ "yaml": "route: {receiver: nobody}", "version": shown["version"] });
    Server::told(server.put(PATH).json(&change)).await;
    let late = server.put(PATH).json(&change).send().await.unwrap();
    assert_eq!(late.status(), StatusCode::CONFLICT);
    server.post_alerts(disk_full()).await;
    assert_eq!(server.alert("DiskFull").await["receivers"], json!(["nobody"]));
    let check = server.post_as_person(&format!("{PATH}/check"));
    let checked = Server::told(check.json(&json!({ "yaml": "route: {receiver: x}" }))).await;
    assert_eq!(checked["problems"].as_array().unwrap().len(), 1, "{checked}");
    server.running.stop().await;
}

#[tokio::test]
async fn what_alertmanager_refuses_is_a_json_string() {
    let server = Server::start().await;
    let refused = async |body: String| {
        let request = server.post("/api/v2/alerts").bearer_auth(&server.writer).body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    for body in ["{bad", "{}", "[{}]", "[{\"labels\": {}}]", "[{\"labels\": {\"a\": 1}}]"] {
        let (status, told) = refused(body.to_owned()).await;
        assert_eq!((status, told.is_string()), (400, true), "{body}: {told}");
    }
    // More than our own API takes.
    let (status, told) = refused(format!("[{}{{}}]", " ".repeat(2 << 20))).await;
    assert_eq!((status, told.is_string()), (400, true), "{told}");
    server.running.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_alerts_silences_and_notes_and_tells_nothing_twice() {
    let server = Server::start().await;
    server.post_alerts(disk_full()).await;
    let before = server.alert("DiskFull").await;
    let id = before["id"].as_str().unwrap();
    let note = server.post_as_person(&format!("{ALERTS}/{id}/acknowledge"));
    Server::told(note.json(&json!({ "note": "mine" }))).await;
    Server::told(server.post_as_person(SILENCES).json(&silence("db-.*"))).await;
    let trail = server.trail(&before["id"]).await;

    let server = server.restarted().await;
    let after = server.alert("DiskFull").await;
    assert_eq!(after["starts_at_ms"], before["starts_at_ms"]);
    assert_eq!(after["acknowledged"]["note"], "mine");
    assert_eq!(after["hush"], "silenced");
    assert_eq!(server.trail(&after["id"]).await, trail);
    let outbox = Server::told(server.get("/api/muster/v1/outbox")).await;
    assert_eq!(outbox["messages"], json!([]));
    server.running.stop().await;
}

#[tokio::test]
async fn what_changed_on_the_host_of_an_alert_is_told_the_most_first() {
    let server = Server::start().await;
    let now_ms = Server::now_ms();
    let mut text = String::new();
    for before in (0..280).rev() {
        let at_ms = now_ms - before * 15_000;
        // The last ten minutes differ.
        let late = before < 40;
        let busy = if late { 9 } else { 1 };
        let errors = if late { (40 - before) * 150 } else { 0 };
        for (series, value) in [
            ("busy{instance=\"db-1\"}", busy),
            ("busy{instance=\"db-2\"}", busy),
            ("errors_total{instance=\"db-1\",device=\"sda\"}", errors),
            ("calm{instance=\"db-1\"}", 5),
        ] {
            writeln!(text, "{series} {value} {at_ms}").unwrap();
        }
    }
    let request = server.post("/api/v1/import/prometheus").bearer_auth(&server.writer);
    assert!(request.body(text).send().await.unwrap().status().is_success());
    let mut alerts = disk_full();
    let began = jiff::Timestamp::from_millisecond(now_ms - 300_000).unwrap();
    alerts[0]["startsAt"] = json!(began.to_string());
    server.post_alerts(alerts).await;
    let id = server.alert("DiskFull").await["id"].as_str().unwrap().to_owned();
    let told = Server::told(server.get(&format!("{ALERTS}/{id}/unusual"))).await;
    assert_eq!((&told["compared"], &told["complete"]), (&json!(3), &json!(true)), "{told}");
    let series = told["series"].as_array().unwrap();
    let names: Vec<&str> = series.iter().map(|one| one["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["errors_total", "busy"], "{told}");
    assert_eq!((&series[0]["after"], &series[0]["is_rate"]), (&json!(10.0), &json!(true)));
    assert_eq!(series[0]["labels"], json!({ "device": "sda" }));
    assert_eq!((&series[1]["before"], &series[1]["after"]), (&json!(1.0), &json!(9.0)));
    let none = server.get(&format!("{ALERTS}/no-such/unusual")).send().await.unwrap();
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    server.running.stop().await;
}
