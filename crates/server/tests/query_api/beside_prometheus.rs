//! About a hundred odd requests, sent to a server of ours and to Debian's Prometheus: status, type of error and form of the
//! answer must be the same. What is meant to differ stands in [`DIFFERENT`], with its reason.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::server::Server;

/// How long a Prometheus may take to be ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// Paths under `/api/v1/` with their queries. Those that list names or rules leave out what a Muster has of its own.
const REQUESTS: &[&str] = &[
    // Whole and half queries.
    "query",
    "query?query=",
    "query?query=1",
    "query?query=1%2B1&time=4",
    "query?query=%22text%22&time=1.5",
    "query?query=vector(1)",
    "query?query=vector(1)&time=2026-01-01T00:00:00Z",
    "query?query=vector(1)&time=2026-01-01T00:00:00%2B02:00",
    "query?query=vector(1)&time=1e9",
    "query?query=vector(1)&time=-1",
    "query?query=vector(1)&time=",
    "query?query=vector(1)&time=soon",
    "query?query=vector(1)&time=NaN",
    "query?query=vector(1)&time=Inf",
    "query?query=vector(1)&time=2026-13-01T00:00:00Z",
    "query?query=up",
    "query?query=up[5m]",
    "query?query=vector(1)[5m:1m]",
    "query?query=label_replace(vector(1),%22a%22,%22b%22,%22%22,%22%22)",
    "query?query=vector(0)/0",
    "query?query=-1/0",
    "query?query=up%20up",
    "query?query=sum(",
    "query?query=)",
    "query?query=%7B%7D",
    "query?query=%7Ba%3D~%22(%22%7D",
    "query?query=rate(up)",
    "query?query=up[5m]%2B1",
    "query?query=nosuch(1)",
    "query?query=1%20%3D%3D%202",
    "query?query=vector(1)%20and%201",
    "query?query=%22a%22%2B1",
    "query?query=topk(up)",
    "query?query=label_replace(vector(1),%22%22,%22b%22,%22%22,%22%22)",
    "query?query=label_replace(vector(1),%22a%22,%22b%22,%22c%22,%22(%22)",
    "query?query=label_join(vector(1),%22%20%22,%22,%22,%22a%22)",
    "query?query=count_values(%22%22,vector(1))",
    "query?query=quantile(2,vector(1))",
    "query?query=vector(1)%20or%20label_replace(vector(2),%22a%22,%22b%22,%22%22,%22%22)",
    "query?query=sum%20by%20(a)%20(vector(1))%20/%20on(a)%20(vector(1)%20or%20label_replace(vector(2),%22b%22,%22c%22,%22%22,%22%22))",
    "query?query=vector(1)%20*%20on()%20group_left%20vector(2)",
    "query?query=double_exponential_smoothing(up[5m],2,3)",
    "query?query=up%20offset%201e400",
    "query?query=up%20@%20soon",
    "query?query=up%20@%20end()",
    "query?query=0x1F%20%2B%201e-3",
    "query?query=1_000",
    "query?query=vector(1)%23comment",
    "query?query=vector(1)&timeout=1s",
    "query?query=vector(1)&timeout=1",
    "query?query=vector(1)&timeout=soon",
    "query?query=vector(1)&timeout=",
    "query?query=vector(1)&stats=all",
    "query?query=vector(1)&stats=1",
    "query?query=vector(1)&stats=",
    "query?query=vector(1)&lookback_delta=1m",
    "query?query=vector(1)&lookback_delta=soon",
    "query?query=vector(1)&lookback_delta=-1",
    "query?query=vector(1)&query=vector(2)",
    "query?query=vector(1)&nosuch=1",
    // Ranges.
    "query_range",
    "query_range?query=vector(1)",
    "query_range?query=vector(1)&start=0&end=60",
    "query_range?query=vector(1)&start=0&end=60&step=15",
    "query_range?query=vector(1)&start=0&end=60&step=15s",
    "query_range?query=vector(1)&start=0&end=60&step=1m30s",
    "query_range?query=1&start=0&end=60&step=15",
    "query_range?query=up&start=0&end=60&step=15",
    "query_range?query=up[5m]&start=0&end=60&step=15",
    "query_range?query=%22text%22&start=0&end=60&step=15",
    "query_range?query=vector(1)&start=60&end=0&step=15",
    "query_range?query=vector(1)&start=0&end=0&step=15",
    "query_range?query=vector(1)&start=0&end=60&step=0",
    "query_range?query=vector(1)&start=0&end=60&step=-1",
    "query_range?query=vector(1)&start=0&end=60&step=soon",
    "query_range?query=vector(1)&start=0&end=60&step=NaN",
    "query_range?query=vector(1)&start=0&end=60&step=",
    "query_range?query=vector(1)&start=soon&end=60&step=15",
    "query_range?query=vector(1)&start=0&end=soon&step=15",
    "query_range?query=vector(1)&start=0&end=11000&step=1",
    "query_range?query=vector(1)&start=0&end=11001&step=1",
    "query_range?query=vector(1)&start=0&end=60&step=15&stats=all",
    "query_range?query=vector(1)&start=0&end=60&step=15&timeout=soon",
    "query_range?query=sum(&start=0&end=60&step=15",
    "query_range?query=nosuch(1)&start=0&end=60&step=15",
    // Labels and series.
    "labels?match[]=up",
    "labels?match[]=up",
    "labels?match[]=",
    "labels?match[]=%7B%7D",
    "labels?match[]=sum(up)",
    "labels?start=soon",
    "labels?start=0&end=1",
    "label/job/values?match[]=up",
    "label/job/values?match[]=up",
    "label/job/values?match[]=(",
    "label/job/values?end=soon",
    "label/a-b/values",
    "label//values",
    "series",
    "series?match[]=up",
    "series?match[]=up&match[]=%7Bjob%3D%22x%22%7D",
    "series?match[]=%7B%7D",
    "series?match[]=up[5m]",
    "series?match[]=up&start=soon",
    "series?match[]=up&start=60&end=0",
    // The rest.
    "query_exemplars?query=up&start=0&end=60",
    "query_exemplars?query=sum(&start=0&end=60",
    "query_exemplars?query=up&start=60&end=0",
    "query_exemplars",
    "format_query?query=sum%20by(a)(up)",
    "format_query?query=sum(",
    "format_query",
    "metadata?metric=nosuch",
    "metadata?limit=x",
    "metadata?limit=0",
    "targets?state=dropped",
    "targets?state=any",
    "rules?file[]=none",
    "rules?type=alert&file[]=none",
    "rules?type=x",
    "alerts",
    "alertmanagers",
    "status/buildinfo",
    "status/nosuch",
    "nosuch",
];

/// Where we mean to differ from this Prometheus, and why: a request, our status and type of error.
const DIFFERENT: &[(&str, u16, &str, &str)] = &[
    ("query?query=vector(1)&time=NaN", 400, "bad_data", "a time that is none is a mistake"),
    ("query?query=vector(1)&time=Inf", 400, "bad_data", "a time that is none is a mistake"),
    (LABEL_JOIN, 200, "", "Prometheus 3 takes any name of a label"),
    ("query?query=quantile(2,vector(1))", 200, "", "Prometheus 3 warns"),
    (SMOOTHING, 422, "execution", "the function's name in Prometheus 3"),
    ("query?query=vector(1)&lookback_delta=soon", 400, "bad_data", "a parameter of Prometheus 3"),
    ("label/a-b/values", 200, "", "Prometheus 3 takes any name of a label"),
    (
        "series?match[]=up&start=60&end=0",
        400,
        "bad_data",
        "a range that holds nothing is a mistake",
    ),
    ("targets?state=dropped", 200, "", "Prometheus 3 counts what was dropped"),
    ("targets?state=any", 200, "", "Prometheus 3 counts what was dropped"),
];
const LABEL_JOIN: &str = "query?query=label_join(vector(1),%22%20%22,%22,%22,%22a%22)";
const SMOOTHING: &str = "query?query=double_exponential_smoothing(up[5m],2,3)";

/// A Prometheus that scrapes nothing; killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one; none where it is not installed.
    async fn start(client: &Client) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=promql-per-step-stats")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let started = Self { child: child.ok()?, address, _dir: dir };
        let begun = Instant::now();
        loop {
            if TcpStream::connect(address).is_ok() {
                let ready = client.get(format!("http://{address}/-/ready")).send().await;
                if ready.is_ok_and(|answer| answer.status().is_success()) {
                    return Some(started);
                }
            }
            assert!(begun.elapsed() < PATIENCE, "prometheus is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What is compared of an answer.
#[derive(Debug, PartialEq)]
struct Answered {
    status: u16,
    error: String,
    /// The answer with each text and number replaced by its type.
    form: Value,
}

impl Answered {
    fn new(status: u16, body: &str) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        if status == 404 {
            // What a page says of a path that is not there is nobody's business.
            return Self { status, error: String::new(), form: Value::Null };
        }
        let error = json["errorType"].as_str().unwrap_or_default().to_owned();
        Self { status, error, form: form(&json) }
    }
}

fn form(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(text) if ["success", "error"].contains(&text.as_str()) => value.clone(),
        Value::String(_) => json!("text"),
        Value::Array(items) => {
            let mut forms: Vec<Value> = items.iter().map(form).collect();
            forms.dedup();
            forms.into()
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), form(value))).collect()
        }
    }
}

#[tokio::test]
async fn odd_requests_are_answered_as_prometheus_answers_them() {
    let server = Server::start().await;
    let client = Client::new();
    let Some(prometheus) = Prometheus::start(&client).await else {
        println!("skipped: prometheus is not installed (apt-get install prometheus)");
        return;
    };
    let different: HashMap<&str, (u16, &str)> =
        DIFFERENT.iter().map(|&(path, status, error, _)| (path, (status, error))).collect();
    let mut wrong = Vec::new();
    for path in REQUESTS {
        let theirs = client.get(format!("http://{}/api/v1/{path}", prometheus.address));
        let theirs = theirs.send().await.unwrap();
        let theirs = Answered::new(theirs.status().as_u16(), &theirs.text().await.unwrap());
        let ours = server.get(&format!("/api/v1/{path}")).send().await.unwrap();
        let (status, body) = (ours.status().as_u16(), ours.text().await.unwrap());
        let ours = Answered::new(status, &body);
        match different.get(path) {
            Some(&(status, error)) => {
                assert_eq!((ours.status, ours.error.as_str()), (status, error), "{path}");
                assert_ne!(ours, theirs, "{path} is no longer different");
            }
            None if ours != theirs => {
                wrong.push(format!("{path}\n  ours   {ours:?}\n  theirs {theirs:?}\n  {body}"));
            }
            None => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        REQUESTS.len(),
        wrong.join("\n")
    );
    server.running.stop().await;
}
