//! Rules of people on a running server: made, evaluated, shown, changed and taken away.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

const PATH: &str = "/api/muster/v1/rules/documents/own";
/// How long a slow machine may take for what should be there in a second or two.
const PATIENCE: Duration = Duration::from_mins(1);

const RULES: &str = "
groups:
- name: g
  interval: 1s
  rules:
  - {record: 'seven', expr: 'vector(7)'}
  - alert: TooMuch
    expr: seven > 5
    labels: {severity: critical}
    annotations: {summary: 'it is {{ $value }}', link: '{{ externalURL }}/see {{ $externalURL }}'}
";

async fn json(server: &Server, path: &str) -> Value {
    server.get(path).send().await.unwrap().json().await.unwrap()
}

async fn set(server: &Server, yaml: &str, version: u64) -> (StatusCode, Value) {
    let request = server.put(PATH).json(&json!({ "yaml": yaml, "version": version }));
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// Waits until what a path tells has what is asked for.
async fn wait_for(server: &Server, path: &str, has: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let told = json(server, path).await;
        if has(&told) {
            return told;
        }
        assert!(Instant::now() < until, "{path} still tells {told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The alert of our rules; there may be some of the machine, such as of its disk.
fn own_alert(told: &Value) -> Option<&Value> {
    let mut all = told["data"]["alerts"].as_array()?.iter();
    all.find(|alert| alert["labels"]["alertname"] == "TooMuch")
}

#[tokio::test]
async fn a_document_of_rules_is_evaluated_and_its_alerts_are_shown_until_it_goes() {
    let server = Server::start().await;
    let (status, made) = set(&server, RULES, 0).await;
    assert_eq!((status, &made["version"]), (StatusCode::OK, &json!(1)), "{made}");
    let told = wait_for(&server, "/api/v1/alerts", |told| own_alert(told).is_some()).await;
    let alert = own_alert(&told).unwrap();
    assert_eq!(alert["labels"], json!({ "alertname": "TooMuch", "severity": "critical" }));
    assert_eq!(
        (&alert["annotations"]["summary"], &alert["value"]),
        (&json!("it is 7"), &json!("7e+00"))
    );
    let url = server.url("");
    assert_eq!(alert["annotations"]["link"], format!("{url}/see {url}"));
    let rules = json(&server, "/api/v1/rules?type=alert&rule_name[]=TooMuch").await;
    let group = &rules["data"]["groups"][0];
    assert_eq!((&group["file"], &group["interval"]), (&json!("own"), &json!(1.0)));
    assert_eq!(
        (&group["rules"][0]["state"], &group["rules"][0]["health"]),
        (&json!("firing"), &json!("ok"))
    );
    let other = json(&server, "/api/v1/rules?file[]=own&match[]={severity=\"info\"}").await;
    assert_eq!(other["data"]["groups"], json!([]));
    let series = "/api/v1/query?query=ALERTS{alertname=\"TooMuch\"}";
    let stored = wait_for(&server, series, |told| told["data"]["result"][0].is_object()).await;
    assert_eq!(stored["data"]["result"][0]["metric"]["alertstate"], "firing");
    let metrics = server.metrics().await;
    let evaluations =
        Server::metric(&metrics, "muster_rule_evaluations_total{rule_group=\"own;g\"}");
    assert!(evaluations.parse::<f64>().unwrap() >= 2.0);

    let answer = server.delete(PATH).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let told = json(&server, "/api/v1/alerts").await;
    assert_eq!(own_alert(&told), None);
    wait_for(&server, series, |told| told["data"]["result"] == json!([])).await;
    server.running.stop().await;
}

#[tokio::test]
async fn rules_that_are_broken_or_changed_by_another_are_refused_with_the_reason() {
    let server = Server::start().await;
    let broken = RULES.replace("seven > 5", "seven >");
    let (status, refused) = set(&server, &broken, 0).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(refused["error"].as_str().unwrap().contains("g/TooMuch: expr:"), "{refused}");
    let request = server.post_as_person("/api/muster/v1/rules/check");
    let answer = request.json(&json!({ "yaml": broken })).send().await.unwrap();
    let checked: Value = answer.json().await.unwrap();
    assert_eq!(checked["problems"][0]["place"], "g/TooMuch");
    assert_eq!(set(&server, RULES, 0).await.0, StatusCode::OK);
    assert_eq!(set(&server, RULES, 0).await.0, StatusCode::CONFLICT);
    let list = json(&server, "/api/muster/v1/rules").await;
    assert_eq!(list["documents"][0]["rules"].as_array().unwrap().len(), 2);
    let missing = server.get("/api/muster/v1/rules/documents/other").send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    server.running.stop().await;
}
