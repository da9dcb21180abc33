//! Rules replayed over what is stored.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

const PATH: &str = "/api/muster/v1/rules/backtest";
const MINUTE_MS: i64 = 60_000;
/// The disk is nearly full in these minutes.
const FULL: std::ops::Range<i64> = 30..60;

/// A server that has stored two hours of two disks, of which one was nearly full for half an hour; and their beginning.
async fn with_disks() -> (Server, i64) {
    let server = Server::start().await;
    let from_ms = (Server::now_ms() - 150 * MINUTE_MS) / MINUTE_MS * MINUTE_MS;
    let mut text = String::new();
    for quarter in 0..480_i64 {
        let (at_ms, minute) = (from_ms + quarter * 15_000, quarter / 4);
        let worst = if minute == 45 { 2.5 } else { 3.0 };
        let left = if FULL.contains(&minute) { worst } else { 50.0 };
        for (instance, left) in [("a", left), ("b", 50.0)] {
            let labels = format!("instance=\"{instance}\",mountpoint=\"/\",fstype=\"ext4\"");
            let _ = writeln!(text, "node_filesystem_avail_bytes{{{labels}}} {left} {at_ms}");
            let _ = writeln!(text, "node_filesystem_size_bytes{{{labels}}} 100 {at_ms}");
        }
    }
    let request = server.post("/api/v1/import/prometheus").bearer_auth(&server.writer);
    assert_eq!(request.body(text).send().await.unwrap().status(), 204);
    let channel = json!({
        "name": "ops", "kind": "webhook", "enabled": true, "send_resolved": true,
        "settings": { "url": "http://127.0.0.1:9/" }
    });
    let made = server.post_as_person("/api/muster/v1/channels").json(&channel).send().await;
    assert_eq!(made.unwrap().status(), StatusCode::OK);
    (server, from_ms)
}

async fn ask(server: &Server, what: &Value) -> (StatusCode, Value) {
    let answer = server.post_as_person(PATH).json(what).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// The replay over the two hours.
async fn replay(server: &Server, from_ms: i64, mut what: Value) -> Value {
    what["from_ms"] = json!(from_ms);
    what["to_ms"] = json!(from_ms + 120 * MINUTE_MS);
    let (status, told) = ask(server, &what).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told
}

#[tokio::test]
async fn a_built_in_rule_is_replayed_as_it_is_and_with_other_thresholds() {
    let (server, from_ms) = with_disks().await;
    let told = replay(&server, from_ms, json!({ "built_in": "disk_full" })).await;
    assert_eq!((&told["total_episodes"], &told["step_ms"]), (&json!(1), &json!(15_000)), "{told}");
    let episode = &told["episodes"][0];
    let minute = |field: &str| (episode[field].as_i64().unwrap() - from_ms) / MINUTE_MS;
    assert_eq!(["active_at_ms", "starts_at_ms", "ends_at_ms"].map(minute), [30, 40, 60]);
    assert_eq!((&episode["severity"], &episode["worst"]), (&json!("warning"), &json!(2.5)));
    assert_eq!(
        (&episode["name"], &episode["labels"]["instance"]),
        (&json!("DiskFull"), &json!("a"))
    );
    assert_eq!(episode["summary"], "a: / has 3.0 % left");
    assert!(episode["summary_zh"].as_str().unwrap().contains("仅剩"), "{episode}");
    // One message when it fires and one when that is over.
    assert_eq!(told["total_messages"], 2, "{told}");
    let message = &told["messages"][0];
    assert_eq!((&message["receiver"], &message["alerts"]), (&json!("everyone"), &json!(1)));
    let at_ms = message["at_ms"].as_i64().unwrap();
    assert!((0..5_000).contains(&(at_ms - episode["starts_at_ms"].as_i64().unwrap())), "{told}");

    let stricter = json!({ "warning": { "threshold": 1.0 } });
    let told = replay(&server, from_ms, json!({ "built_in": "disk_full", "levels": stricter }));
    assert_eq!(told.await["total_episodes"], 0);
    // What is in force counts where nothing is tried.
    let layer = server.put("/api/muster/v1/rules/built-in/disk_full/all/-");
    let layer = layer.json(&json!({ "levels": { "warning": { "enabled": false } } })).send().await;
    assert_eq!(layer.unwrap().status(), StatusCode::OK);
    let told = replay(&server, from_ms, json!({ "built_in": "disk_full" })).await;
    assert_eq!(told["total_episodes"], 0);
    let on = json!({ "warning": { "enabled": true, "for_ms": 0 } });
    let told = replay(&server, from_ms, json!({ "built_in": "disk_full", "levels": on })).await;
    assert_eq!(told["episodes"][0]["starts_at_ms"], from_ms + 30 * MINUTE_MS, "{told}");
    server.running.stop().await;
}

#[tokio::test]
async fn a_host_that_was_silent_for_seconds_is_found_by_steps_of_a_minute() {
    let server = Server::start().await;
    let now_ms = Server::now_ms();
    let from_ms = (now_ms - 30 * MINUTE_MS) / MINUTE_MS * MINUTE_MS;
    let mut text = String::new();
    for quarter in 0..80_i64 {
        let at_ms = from_ms + quarter * 15_000;
        // Heard again before the minute is full.
        let silent = if [41, 42].contains(&quarter) { 20 } else { 0 };
        let _ = writeln!(text, "muster_host_silent_seconds{{instance=\"a\"}} {silent} {at_ms}");
    }
    assert!(text.contains(" 20 "), "{text}");
    let request = server.post("/api/v1/import/prometheus").bearer_auth(&server.writer);
    assert_eq!(request.body(text).send().await.unwrap().status(), 204);
    let week_ms = 7 * 24 * 60 * MINUTE_MS;
    let what = json!({ "built_in": "host_silent", "from_ms": now_ms - week_ms, "to_ms": now_ms });
    let (status, told) = ask(&server, &what).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!((&told["total_episodes"], &told["step_ms"]), (&json!(1), &json!(60_000)), "{told}");
    assert_eq!(told["episodes"][0]["labels"]["instance"], "a");
    server.running.stop().await;
}

#[tokio::test]
async fn rules_of_people_see_what_the_rules_before_them_recorded() {
    let (server, from_ms) = with_disks().await;
    let yaml = "
groups:
- name: g
  interval: 1m
  rules:
  - {record: 'left:percent', expr: '100 * node_filesystem_avail_bytes / node_filesystem_size_bytes'}
  - alert: Nearly
    expr: min_over_time(left:percent[2m]) < 5
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.instance }} has {{ $value }}'}
  - {alert: Fine, expr: 'left:percent{instance=\"b\"} > 5', for: 10m}
";
    let told = replay(&server, from_ms, json!({ "yaml": yaml })).await;
    assert_eq!((&told["total_episodes"], &told["step_ms"]), (&json!(2), &json!(60_000)), "{told}");
    let episodes = told["episodes"].as_array().unwrap();
    let of = |name: &str| episodes.iter().find(|one| one["name"] == name).unwrap();
    let minute = |at: &Value| at.as_i64().map(|at_ms| (at_ms - from_ms) / MINUTE_MS);
    let nearly = of("Nearly");
    assert_eq!(minute(&nearly["starts_at_ms"]), Some(30));
    // The windows of two minutes, of which the first sample is outside, see it for a minute longer.
    assert_eq!(minute(&nearly["ends_at_ms"]), Some(61));
    assert_eq!((&nearly["worst"], &nearly["summary"]), (&json!(2.5), &json!("a has 3")));
    let fine = of("Fine");
    assert_eq!((minute(&fine["starts_at_ms"]), &fine["ends_at_ms"]), (Some(10), &Value::Null));
    assert_eq!((&fine["severity"], &fine["worst"]), (&json!("warning"), &json!(50.0)));
    // Nothing of it is stored, and nobody hears of it.
    assert!(server.samples("left:percent[5h]").await.is_empty());
    server.running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_replayed_is_told_with_the_reason() {
    let server = Server::start().await;
    let now_ms = Server::now_ms();
    let day = 86_400_000;
    for (what, to_ms, status, says) in [
        (json!({ "built_in": "none" }), now_ms, 404, "no such built-in rule"),
        (json!({}), now_ms, 400, "either built_in or yaml"),
        (json!({ "built_in": "disk_full", "yaml": "groups: []" }), now_ms, 400, "either"),
        (json!({ "built_in": "disk_full" }), now_ms - 2 * day, 400, "before to_ms"),
        (json!({ "built_in": "disk_full", "levels": { "info": {} } }), now_ms, 400, "no grade"),
        (
            json!({ "yaml": "groups: [{name: g, rules: [{alert: A, expr: up =}]}]" }),
            now_ms,
            400,
            "g/A",
        ),
        (
            json!({ "yaml": "groups: [{name: g, rules: [{alert: A, expr: '\"a\"'}]}]" }),
            now_ms,
            400,
            "g/A",
        ),
        (
            json!({ "yaml": "groups: [{name: g, limit: 1, rules: [{alert: A, expr: 'label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(1)'}]}]" }),
            now_ms,
            400,
            "g/A: the rule yields 2 series",
        ),
    ] {
        let mut what = what;
        what["from_ms"] = json!(now_ms - day);
        what["to_ms"] = json!(to_ms);
        let (got, told) = ask(&server, &what).await;
        assert_eq!(got.as_u16(), status, "{what}: {told}");
        assert!(told["error"].as_str().unwrap().contains(says), "{what}: {told}");
    }
    let long = json!({ "built_in": "disk_full", "from_ms": now_ms - 91 * day, "to_ms": now_ms });
    assert_eq!(ask(&server, &long).await.0, StatusCode::BAD_REQUEST);
    server.running.stop().await;
}
