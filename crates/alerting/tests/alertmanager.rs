//! Routes, groups, inhibition, silences, resolutions and repeats compared with a real Alertmanager: it is told the same
//! alerts at the same times, and must tell each receiver the same of each group, in the same order.
//!
//! Muster's own additions are off in the routes used here (`eager`, storms), and no alert fires often enough to flap.

#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use muster_alerting::{
    AlertSource, Dispatcher, LabelMap, Matchers, PostedAlert, PostedState, Routing, Silence,
};
use serde_json::{Value, json};

const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";
/// What happens happens at whole seconds, and groups are looked at half a second later: a slow machine has as long.
const STEP: Duration = Duration::from_secs(1);
/// Alertmanager forgets empty groups every 30 s, Muster 30 s later: all must be over by then.
const STEPS: u64 = 20;

const ROUTES: &str = "
route:
  receiver: all
  group_by: [alertname]
  group_wait: 1500ms
  group_interval: 2s
  repeat_interval: 5s
  routes:
    - matchers: [team=web]
      receiver: web
      group_by: [instance]
      continue: true
    - matchers: [level=~\"page|call\"]
      receiver: pager
      group_by: ['...']
      repeat_interval: 1h
    - matchers: [team=db]
      receiver: db
      group_by: []
";
const INHIBITION: &str = "
inhibit_rules:
  - source_matchers: [alertname=Down]
    target_matchers: [alertname!=Down]
    equal: [instance]
";

/// What one step does.
#[derive(Debug, Clone)]
enum Event {
    Alerts(Vec<(LabelMap, bool)>),
    Silence(&'static str),
    Expire,
}

/// A receiver's messages about one group: the alerts of each, with whether they fire.
type Told = BTreeMap<(String, String), Vec<BTreeSet<(String, bool)>>>;

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn labels(number: u64) -> LabelMap {
    let pick = |from: &[&str], at: u64| from[at as usize % from.len()].to_owned();
    let all = [
        ("alertname", pick(&["Down", "Slow", "Full"], number)),
        ("instance", pick(&["a", "b"], number / 3)),
        ("team", pick(&["web", "db", "other"], number / 2)),
        ("level", pick(&["page", "note"], number / 5)),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Alerts that come and go; where silences and inhibition hide some, none comes back, as Muster tells then that it fires
/// anew where Alertmanager believes that it is known.
fn events(seed: u64, hiding: bool) -> BTreeMap<u64, Vec<Event>> {
    let mut random = Random(seed);
    let mut all: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    let mut changes: BTreeMap<u64, Vec<(LabelMap, bool)>> = BTreeMap::new();
    for number in 0..12 {
        let mut at = random.below(6);
        for change in 0..=random.below(if hiding { 2 } else { 4 }) {
            changes.entry(at).or_default().push((labels(number), change % 2 == 0));
            at += 1 + random.below(5);
        }
    }
    for (at, changes) in changes {
        all.entry(at).or_default().push(Event::Alerts(changes));
    }
    if hiding {
        all.entry(2).or_default().push(Event::Silence("instance=\"b\",level!=\"page\""));
        all.entry(12).or_default().push(Event::Expire);
    }
    all
}

/// The routes with receivers, each made by `receiver` from its name.
fn configuration(hiding: bool, receiver: impl Fn(&str) -> String) -> String {
    let receivers = ["all", "web", "pager", "db"].map(receiver).concat();
    let inhibition = if hiding { INHIBITION } else { "" };
    format!("{ROUTES}{inhibition}receivers:\n{receivers}")
}

/// What Muster tells.
fn muster(events: &BTreeMap<u64, Vec<Event>>, hiding: bool) -> Told {
    let yaml = configuration(hiding, |name| format!("  - {{name: {name}, channels: [{name}]}}\n"));
    let routing = Routing::parse(&format!("{yaml}storm_after: 0\n")).unwrap();
    let channels = ["all", "web", "pager", "db"].map(str::to_owned).into();
    let mut dispatcher = Dispatcher::new(routing, channels);
    let mut told = Told::new();
    let step_ms = STEP.as_millis() as i64;
    let start_ms = 1_795_392_000_000;
    for step in 0..=STEPS {
        let now_ms = start_ms + step as i64 * step_ms;
        loop {
            let due_ms = dispatcher.next_due_ms().filter(|due| *due <= now_ms);
            let decisions = dispatcher.poll(due_ms.unwrap_or(now_ms));
            for message in decisions.notifications {
                let alerts = message.alerts.iter().map(|one| (text(&one.labels), one.firing));
                let key = (message.receiver.clone(), message.group_key.clone());
                told.entry(key).or_default().push(alerts.collect());
            }
            if due_ms.is_none() {
                break;
            }
        }
        for event in events.get(&step).into_iter().flatten() {
            match event {
                Event::Alerts(alerts) => {
                    let posted =
                        alerts.iter().map(|(labels, firing)| posted(labels, *firing, now_ms));
                    dispatcher.post(posted.collect(), now_ms);
                }
                Event::Silence(matchers) => {
                    dispatcher.put_silence(silence(matchers, now_ms), now_ms).unwrap();
                }
                Event::Expire => assert!(dispatcher.expire_silence("s", now_ms)),
            }
        }
    }
    told
}

fn posted(labels: &LabelMap, firing: bool, now_ms: i64) -> PostedAlert {
    PostedAlert {
        source: AlertSource::Pushed,
        state: if firing { PostedState::Firing } else { PostedState::Resolved },
        labels: labels.clone(),
        annotations: LabelMap::new(),
        active_at_ms: now_ms,
        starts_at_ms: firing.then_some(now_ms),
        ends_at_ms: (!firing).then_some(now_ms),
        value: None,
        threshold: None,
        unit: String::new(),
        expression: String::new(),
        generator_url: String::new(),
    }
}

fn silence(matchers: &str, now_ms: i64) -> Silence {
    Silence {
        id: "s".into(),
        matchers: Matchers::parse(matchers).unwrap(),
        starts_at_ms: now_ms,
        ends_at_ms: now_ms + 3_600_000,
        recurrence: None,
        until_resolved: false,
        created_by: "ann".into(),
        comment: "test".into(),
        updated_ms: now_ms,
    }
}

fn text(labels: &LabelMap) -> String {
    format!("{labels:?}")
}

/// A running Alertmanager; it ends with this.
struct Alertmanager {
    child: Child,
    address: String,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request; gives the answer's body.
fn request(address: &str, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.contains(" 200 ") { Ok(body.to_owned()) } else { Err(std::io::Error::other(answer)) }
}

/// Takes webhooks, and hands their bodies on.
fn sink() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (to, from) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let to = to.clone();
            std::thread::spawn(move || {
                while let Some(body) = webhook(&stream) {
                    if to.send(body).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, from)
}

fn webhook(mut stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    serde_json::from_slice(&body).ok()
}

fn start(folder: &Path, sink: u16, hiding: bool) -> Alertmanager {
    let yaml = configuration(hiding, |name| {
        format!(
            "  - name: {name}\n    webhook_configs: [{{url: 'http://127.0.0.1:{sink}/{name}'}}]\n"
        )
    });
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, yaml).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let child = Command::new(PROGRAM)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let alertmanager = Alertmanager { child, address: free };
    let until = Instant::now() + Duration::from_secs(30);
    while request(&alertmanager.address, "GET", "/-/ready", "").is_err() {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < until, "Alertmanager does not start: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    alertmanager
}

/// What Alertmanager tells.
fn alertmanager(events: &BTreeMap<u64, Vec<Event>>, hiding: bool) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let (port, bodies) = sink();
    let alertmanager = start(folder.path(), port, hiding);
    let address = &alertmanager.address;
    let start = Instant::now();
    let mut begins: BTreeMap<String, String> = BTreeMap::new();
    let mut silence = String::new();
    for step in 0..=STEPS {
        let wait = (start + STEP * step as u32).saturating_duration_since(Instant::now());
        std::thread::sleep(wait);
        let now = jiff::Timestamp::now();
        for event in events.get(&step).into_iter().flatten() {
            match event {
                Event::Alerts(alerts) => {
                    let posted = alerts.iter().map(|(labels, firing)| {
                        let since = begins.entry(text(labels)).or_default();
                        if *firing {
                            *since = now.to_string();
                            return json!({"labels": labels, "startsAt": since});
                        }
                        json!({"labels": labels, "startsAt": since, "endsAt": now.to_string()})
                    });
                    let posted = posted.collect::<Value>().to_string();
                    request(address, "POST", "/api/v2/alerts", &posted).unwrap();
                }
                Event::Silence(matchers) => {
                    let matchers = Matchers::parse(matchers).unwrap();
                    let matchers = matchers.iter().map(|one| {
                        let is_equal = one.op() == muster_series::MatchOp::Equal;
                        json!({"name": one.name(), "value": one.value(), "isRegex": false, "isEqual": is_equal})
                    });
                    let ends = now + jiff::SignedDuration::from_hours(1);
                    let body = json!({"matchers": matchers.collect::<Value>(), "startsAt": now.to_string(),
                        "endsAt": ends.to_string(), "createdBy": "ann", "comment": "test"});
                    let answer =
                        request(address, "POST", "/api/v2/silences", &body.to_string()).unwrap();
                    let answer: Value = serde_json::from_str(&answer).unwrap();
                    answer["silenceID"].as_str().unwrap().clone_into(&mut silence);
                }
                Event::Expire => {
                    request(address, "DELETE", &format!("/api/v2/silence/{silence}"), "").unwrap();
                }
            }
        }
    }
    drop(alertmanager);
    let mut told = Told::new();
    for body in bodies.try_iter() {
        let alerts = body["alerts"].as_array().unwrap().iter().map(|alert| {
            let labels: LabelMap = serde_json::from_value(alert["labels"].clone()).unwrap();
            (text(&labels), alert["status"] == "firing")
        });
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        told.entry((text("receiver"), text("groupKey"))).or_default().push(alerts.collect());
    }
    told
}

#[test]
#[ignore = "compares with Alertmanager in real time: cargo xtask test"]
fn what_is_told_of_groups_is_what_alertmanager_tells() {
    if !Path::new(PROGRAM).exists() {
        println!("skipped: {PROGRAM} is not installed");
        return;
    }
    let runs = [(1, false), (2, false), (3, true), (4, true), (5, false), (6, true)];
    let runs = runs.map(|(seed, hiding)| {
        std::thread::spawn(move || {
            let events = events(seed, hiding);
            (seed, muster(&events, hiding), alertmanager(&events, hiding))
        })
    });
    let mut all = 0;
    for run in runs {
        let (seed, here, there) = run.join().unwrap();
        let messages: usize = there.values().map(Vec::len).sum();
        println!("seed {seed}: {} groups, {messages} messages", there.len());
        all += messages;
        for key in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
            assert_eq!(here.get(key), there.get(key), "seed {seed}, {key:?}");
        }
    }
    assert!(all > 60, "{all} messages compare too little");
}
