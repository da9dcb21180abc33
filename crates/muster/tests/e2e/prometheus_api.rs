//! Prometheus's HTTP API as other programs use it: the requests that Grafana sends, Debian's promtool, and a
//! Prometheus that reads from us.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::http::{Answer, get, request};
use crate::server::{PATIENCE, Server, free_address, text, wait_for};

/// A server with an agent that has sent samples, and a token to read them.
struct Fixture {
    server: Server,
    token: String,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::up(dir.path());
        wait_for("node_load1", || server.query("node_load1").into_iter().next());
        wait_for("up", || server.query("up == 1").into_iter().next());
        let token = server.token(&["token", "create", "grafana", "--role", "viewer"]);
        Self { server, token, _dir: dir }
    }

    fn get(&self, path: &str) -> Answer {
        get(self.server.address, path, &self.token)
    }

    fn post(&self, path: &str, form: &str) -> Answer {
        let headers = [
            ("authorization", format!("Bearer {}", self.token)),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        request(self.server.address, "POST", path, &headers, form)
    }

    /// The data of an answer that must be a success.
    #[track_caller]
    fn data(&self, path: &str) -> Value {
        success(&self.get(path))
    }

    /// The address with the token in it, as programs without tokens take it.
    fn url(&self) -> String {
        format!("http://muster:{}@{}", self.token, self.server.address)
    }
}

#[track_caller]
fn success(answer: &Answer) -> Value {
    let json = answer.json();
    assert_eq!((answer.status, &json["status"]), (200, &json!("success")), "{answer:?}");
    json["data"].clone()
}

#[track_caller]
fn check_refused(answer: &Answer, status: u16, kind: &str, expected: &str) {
    let json = answer.json();
    assert_eq!((answer.status, &json["errorType"]), (status, &json!(kind)), "{answer:?}");
    assert_eq!(json["status"], "error");
    assert!(json["error"].as_str().unwrap().contains(expected), "{answer:?}");
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|one| one.as_str().expect("a text")).collect()
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn grafana_finds_a_prometheus() {
    let fixture = Fixture::new();
    let post = |path: &str, form: &str| success(&fixture.post(path, form));
    // "Save & test".
    let health = post("/api/v1/query", "query=1%2B1&time=4");
    assert_eq!(health, json!({ "resultType": "scalar", "result": [4, "2"] }));
    let build = fixture.data("/api/v1/status/buildinfo");
    assert!(build["version"].as_str().unwrap().starts_with("3."), "{build}");
    assert!(build.get("features").is_none(), "with features it would look like Mimir");
    // The editor: names, labels and values, each within the dashboard's range and a limit.
    let now = fixture.data("/api/v1/query?query=time()")["result"][0].as_f64().unwrap();
    let range = format!("start={}&end={}", now - 3_600.0, now + 60.0);
    let names = fixture.data(&format!("/api/v1/label/__name__/values?{range}&limit=40000"));
    assert!(texts(&names).contains(&"node_cpu_seconds_total"), "{names}");
    let labels = post("/api/v1/labels", &format!("{range}&match[]=node_cpu_seconds_total"));
    assert_eq!(texts(&labels), ["__name__", "cpu", "instance", "job", "mode"]);
    let escaped = fixture.data(&format!("/api/v1/label/U__mode/values?{range}"));
    assert!(texts(&escaped).contains(&"idle"), "{escaped}");
    let both = format!("{range}&match[]=up&match[]=node_load1&limit=1");
    let series = fixture.post("/api/v1/series", &both).json();
    assert_eq!(series["data"].as_array().unwrap().len(), 1);
    assert_eq!(series["warnings"], json!(["results truncated due to limit"]));
    let metadata = fixture.data("/api/v1/metadata?metric=node_cpu_seconds_total");
    assert_eq!(metadata["node_cpu_seconds_total"][0]["type"], "counter");
    assert_eq!(fixture.data("/api/v1/metadata?limit=2").as_object().unwrap().len(), 2);
    // A panel, its exemplars and annotations.
    let panel = format!("query=up&{range}&step=15");
    let answer = post("/api/v1/query_range", &panel);
    assert_eq!(answer["resultType"], "matrix");
    assert_eq!(answer["result"][0]["metric"]["job"], "node");
    assert_eq!(post("/api/v1/query_exemplars", &panel), json!([]));
    let formatted = post("/api/v1/format_query", "query=sum%20by(job)(up)");
    assert_eq!(formatted, "sum by (job) (up)");
    assert_eq!(fixture.data("/api/v1/parse_query?query=up")["name"], "up");
    // The alert list.
    let groups = fixture.data("/api/v1/rules?type=alert");
    let group = &groups["groups"][0];
    assert!(group["name"].is_string() && group["interval"].is_number(), "{group}");
    let rule = &group["rules"][0];
    assert_eq!(rule["type"], "alerting", "{rule}");
    assert!(rule["query"].is_string() && rule["alerts"].is_array(), "{rule}");
    assert!(fixture.data("/api/v1/alerts")["alerts"].is_array());
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn the_server_tells_of_itself_as_prometheus_does() {
    let fixture = Fixture::new();
    let targets = fixture.data("/api/v1/targets?state=active");
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["labels"]["job"]), (&json!("up"), &json!("node")));
    assert_eq!(fixture.data("/api/v1/targets?state=dropped")["activeTargets"], json!([]));
    check_refused(&fixture.get("/api/v1/targets?state=x"), 400, "bad_data", "state");
    let tsdb = fixture.data("/api/v1/status/tsdb?limit=3");
    assert_eq!(tsdb["seriesCountByMetricName"].as_array().unwrap().len(), 3);
    assert!(tsdb["headStats"]["numSeries"].as_u64().unwrap() > 100, "{tsdb}");
    check_refused(&fixture.get("/api/v1/status/tsdb?limit=0"), 400, "bad_data", "limit");
    for (path, key) in [
        ("/api/v1/status/config", "yaml"),
        ("/api/v1/status/flags", "query.timeout"),
        ("/api/v1/status/runtimeinfo", "storageRetention"),
        ("/api/v1/status/walreplay", "state"),
        ("/api/v1/features", "promql"),
        ("/api/v1/alertmanagers", "activeAlertmanagers"),
        ("/api/v1/scrape_pools", "scrapePools"),
    ] {
        assert!(fixture.data(path).get(key).is_some(), "{path} lacks {key}");
    }
    assert_eq!(fixture.data("/api/v1/notifications"), json!([]));
    assert_eq!(fixture.data("/api/v1/targets/metadata"), json!([]));
    let federated = fixture.get("/federate?match[]=up&match[]=node_load1");
    assert!(federated.head.contains("content-type: text/plain"), "{}", federated.head);
    let names: Vec<&str> =
        federated.body.lines().filter_map(|line| line.split('{').next()).collect();
    assert_eq!(names, ["node_load1", "up"], "{}", federated.body);
    check_refused(&fixture.get("/federate"), 400, "bad_data", "match[]");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn what_is_wrong_is_told_as_prometheus_tells_it() {
    let fixture = Fixture::new();
    let query = |query: &str| fixture.get(&format!("/api/v1/query?{query}"));
    check_refused(&query("query=sum(up)%20up"), 400, "bad_data", "1:9: parse error");
    check_refused(&query(""), 400, "bad_data", "query");
    check_refused(&query("query=up&time=soon"), 400, "bad_data", "time");
    check_refused(&query("query=up&limit=x"), 400, "bad_data", "limit");
    check_refused(&query("query=up&timeout=x"), 400, "bad_data", "timeout");
    let many = "query=label_replace(%7B__name__%3D~%22node_.*%22%7D%2C%22__name__%22%2C%22x%22%2C%22%22%2C%22%22)";
    check_refused(&query(many), 422, "execution", "same labelset");
    check_refused(&query("query=up&timeout=0"), 503, "timeout", "");
    check_refused(&fixture.get("/api/v1/nothing"), 404, "not_found", "");
    let range = |more: &str| fixture.get(&format!("/api/v1/query_range?query=up&{more}"));
    check_refused(&range("start=1&end=0&step=1"), 400, "bad_data", "end timestamp");
    check_refused(&range("start=0&end=1&step=0"), 400, "bad_data", "step");
    check_refused(&range("start=0&end=1e6&step=1"), 400, "bad_data", "11000 points");
    check_refused(&fixture.get("/api/v1/series"), 400, "bad_data", "match[]");
    check_refused(&fixture.get("/api/v1/series?match[]=%7B%7D"), 400, "bad_data", "match[]");
    check_refused(&fixture.post("/api/v1/read", "plain"), 400, "bad_data", "snappy");
    // A look-back of its own, special numbers, and statistics.
    let data = success(&query("query=vector(0)/0&stats=all&lookback_delta=1m"));
    assert_eq!(data["result"][0]["value"][1], "NaN");
    assert_eq!(data["stats"]["samples"]["totalQueryableSamples"], 0);
    let data = success(&query("query=count_over_time(up[1h])&stats=1"));
    let count: u64 = data["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    assert_eq!(data["stats"]["samples"]["totalQueryableSamples"], count);
    assert_eq!(success(&query("query=-1/0&time=1.5"))["result"], json!([1.5, "-Inf"]));
    assert_eq!(success(&query("query=1e21"))["result"][1], "1e+21");
    wait_for("a moment at which nothing is as young as a millisecond", || {
        let young = success(&query("query=up&lookback_delta=0.001"));
        (young["result"] == json!([])).then_some(())
    });
    assert_eq!(get(fixture.server.address, "/api/v1/query?query=1", "x").status, 401);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn answers_are_compressed_as_the_client_likes() {
    let fixture = Fixture::new();
    let authorization = format!("Bearer {}", fixture.token);
    for encoding in ["gzip", "zstd"] {
        let headers = [("authorization", authorization.as_str()), ("accept-encoding", encoding)];
        let path = "/api/v1/label/__name__/values";
        let answer = request(fixture.server.address, "GET", path, &headers, "");
        assert!(answer.head.contains(&format!("content-encoding: {encoding}")), "{}", answer.head);
    }
}

/// `promtool ARGUMENTS`; none where there is no promtool.
fn promtool(arguments: &[&str]) -> Option<String> {
    let output = Command::new("promtool").args(arguments).output();
    let output = output.ok()?;
    assert!(output.status.success(), "promtool {arguments:?}: {}", text(&output.stderr));
    Some(text(&output.stdout))
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn promtool_can_ask() {
    let fixture = Fixture::new();
    let url = fixture.url();
    let Some(instant) = promtool(&["query", "instant", &url, "up"]) else {
        println!("skipped: promtool is not installed (apt-get install prometheus)");
        return;
    };
    assert!(instant.contains("up{") && instant.contains("=> 1 @"), "{instant}");
    let range = promtool(&["query", "range", "--step=5s", &url, "up"]).unwrap_or_default();
    assert!(range.contains("job=\"node\""), "{range}");
    let series = promtool(&["query", "series", "--match=node_load1", &url]).unwrap_or_default();
    assert!(series.contains("__name__=\"node_load1\""), "{series}");
    let labels = promtool(&["query", "labels", &url, "mode"]).unwrap_or_default();
    assert!(labels.lines().any(|line| line == "idle"), "{labels}");
}

/// A Prometheus from Debian that reads from us; killed when dropped.
struct Reader {
    child: Child,
    address: SocketAddr,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reader {
    fn start(fixture: &Fixture, dir: &std::path::Path) -> Option<Self> {
        let config = dir.join("prometheus.yml");
        let yaml = format!(
            "remote_read:\n  - url: http://{}/api/v1/read\n    read_recent: true\n    authorization:\n      \
             credentials: {}\n",
            fixture.server.address, fixture.token
        );
        std::fs::write(&config, yaml).unwrap();
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.ok()?;
        let started = std::time::Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < PATIENCE, "prometheus does not listen");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Some(Self { child, address })
    }

    fn query(&self, expression: &str, time: &str) -> Option<Value> {
        let path = format!("/api/v1/query?query={expression}&time={time}");
        let answer = request(self.address, "GET", &path, &[], "");
        (answer.status == 200).then(|| answer.json()["data"].clone())
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_prometheus_reads_what_we_have() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let Some(reader) = Reader::start(&fixture, dir.path()) else {
        println!("skipped: prometheus is not installed (apt-get install prometheus)");
        return;
    };
    let now = fixture.data("/api/v1/query?query=time()")["result"][0].to_string();
    let expression = "sort(count%20by(mode)(count_over_time(node_cpu_seconds_total[1h])))";
    let ours = fixture.data(&format!("/api/v1/query?query={expression}&time={now}"));
    let theirs = wait_for("prometheus", || reader.query(expression, &now));
    let values = |data: &Value| {
        let mut pairs: Vec<String> =
            data["result"].as_array().unwrap().iter().map(ToString::to_string).collect();
        pairs.sort();
        pairs
    };
    assert!(values(&ours).len() >= 8, "{ours}");
    assert_eq!(values(&ours), values(&theirs));
}
