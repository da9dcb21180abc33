//! The same random queries over the same random data, here and by Debian's `prometheus`.
//!
//! The data is written as blocks by `promtool`, so that nothing of this project lies between. Where both
//! are absent the test is skipped, aloud. `MUSTER_DIFFERENTIAL_QUERIES` asks for more than 300 queries.

mod queries;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muster_promql::{Options, SeriesSource, SourceError, Value, evaluate_range, parse};
use muster_series::{Labels, Matcher, SeriesColumns, TimeRange};
use queries::{Dialect, Random};

const SEED: u64 = 20;
const START_S: i64 = 1_000;
/// No whole number of steps after the start, so that `end()` is not the last step.
const END_S: i64 = 1_615;
const STEP_S: i64 = 30;
/// How long Prometheus may take to start.
const PATIENCE: Duration = Duration::from_mins(5);

struct Memory(Vec<SeriesColumns>);

impl SeriesSource for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<SeriesColumns>, SourceError> {
        Ok(queries::select(&self.0, matchers, range))
    }
}

/// Series with gaps and resets, none of whose samples lies at a whole second: there, Prometheus 2 and 3 differ.
fn random_data() -> Memory {
    let mut random = Random::new(SEED);
    let mut series = Vec::new();
    for name in ["m", "n_total", "h_bucket"] {
        for at in 0..4 {
            let mut labels = Labels::empty()
                .with("__name__", name)
                .with("a", &(at % 2).to_string())
                .with("b", &at.to_string());
            if name == "h_bucket" {
                labels = labels.with("le", ["1", "2", "8", "+Inf"][at]).with("b", "0");
            }
            let mut columns = SeriesColumns::new(labels);
            // Half seconds are exact in the text that `promtool` reads.
            let mut time_ms = 500 + 1000 * random.below(60) as i64;
            // Far from zero, where Prometheus 2 extrapolates differently, and without gaps for rates.
            let (base, gaps) = if name == "m" { (0.0, 30) } else { (10_000.0, usize::MAX) };
            let mut value = base * 2.0;
            while time_ms < (END_S + 100) * 1000 {
                value = match random.below(15) {
                    0 => base + random.below(5) as f64,
                    1 if name == "m" => -value,
                    2 => value,
                    _ => value + random.below(100) as f64 / 8.0,
                };
                columns.timestamps.push(time_ms);
                columns.values.push(value);
                time_ms += if random.below(gaps) == 0 { 400_000 } else { 10_000 };
            }
            series.push(columns);
        }
    }
    Memory(series)
}

fn open_metrics(data: &Memory) -> String {
    let mut text = String::new();
    for one in &data.0 {
        for sample in one.samples() {
            let labels: Vec<String> = one
                .labels
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| format!("{name}=\"{value}\""))
                .collect();
            let (name, seconds) =
                (one.labels.metric_name().expect("a name"), sample.timestamp_ms as f64 / 1000.0);
            writeln!(text, "{name}{{{}}} {} {seconds:.3}", labels.join(","), sample.value)
                .expect("room");
        }
    }
    text + "# EOF\n"
}

/// A running server, ended when it is dropped.
struct Prometheus {
    process: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Starts a server over the data; none if it is not installed.
    fn start(folder: &Path, data: &Memory) -> Option<Self> {
        let (metrics, blocks) = (folder.join("metrics"), folder.join("blocks"));
        std::fs::write(&metrics, open_metrics(data)).expect("a writable folder");
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&metrics, &blocks])
            .output()
            .ok()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = folder.join("config.yml");
        std::fs::write(&config, "global: {evaluation_interval: 1m}\n").expect("a writable folder");
        let begin = Instant::now();
        let mut server = Self::serve(&config, &blocks)?;
        while !server.get("/-/ready").is_some_and(|reply| reply.starts_with("HTTP/1.0 200")) {
            assert!(begin.elapsed() < PATIENCE, "prometheus does not become ready");
            std::thread::sleep(Duration::from_millis(50));
            if server.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                // Somebody else was quicker to take the port.
                server = Self::serve(&config, &blocks)?;
            }
        }
        Some(server)
    }

    fn serve(config: &Path, blocks: &Path) -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("a listener has an address").port();
        drop(listener);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", blocks.display()))
            .arg("--storage.tsdb.retention.time=100y")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { process, port })
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        Some(reply)
    }

    /// The values of a query at each step, or its error.
    fn query(&self, text: &str) -> Result<Answer, String> {
        let mut escaped = String::new();
        for byte in text.bytes() {
            write!(escaped, "%{byte:02X}").expect("room");
        }
        let path = format!(
            "/api/v1/query_range?query={escaped}&start={START_S}&end={END_S}&step={STEP_S}"
        );
        let reply = self.get(&path).expect("a reply");
        let (_, body) = reply.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        if body["status"] != "success" {
            return Err(body["error"].as_str().unwrap_or("").to_owned());
        }
        let mut answer = Answer::new();
        for series in body["data"]["result"].as_array().expect("a matrix") {
            let pairs = series["metric"].as_object().expect("labels").iter();
            let pairs = pairs.map(|(name, value)| {
                (name.clone(), value.as_str().expect("as Prometheus writes it").to_owned())
            });
            let labels = Labels::from_pairs(pairs).expect("as Prometheus writes it").to_string();
            for sample in series["values"].as_array().expect("values") {
                let time_ms =
                    (sample[0].as_f64().expect("as Prometheus writes it") * 1000.0).round() as i64;
                let value = sample[1]
                    .as_str()
                    .expect("as Prometheus writes it")
                    .parse()
                    .expect("as Prometheus writes it");
                answer.insert((labels.clone(), time_ms), value);
            }
        }
        Ok(answer)
    }
}

type Answer = BTreeMap<(String, i64), f64>;

fn our_answer(data: &Memory, text: &str) -> Result<Answer, String> {
    let query = parse(text).map_err(|error| error.to_string())?;
    let (start, end, step) = (START_S * 1000, END_S * 1000, STEP_S * 1000);
    let evaluated = evaluate_range(data, &query, start, end, step, &Options::default())
        .map_err(|error| error.to_string())?;
    let Value::Matrix(series) = evaluated.value else { panic!("no matrix") };
    let mut answer = Answer::new();
    for one in &series {
        let labels = one.labels.to_string();
        for sample in one.samples() {
            answer.insert((labels.clone(), sample.timestamp_ms), sample.value);
        }
    }
    Ok(answer)
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7 * (1.0 + a.abs().max(b.abs()))
}

/// What differs between two answers, if anything does.
fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    if let Some((key, value)) = ours.iter().find(|(key, _)| !theirs.contains_key(key)) {
        return Some(format!("only ours has {key:?}: {value}"));
    }
    if let Some((key, value)) = theirs.iter().find(|(key, _)| !ours.contains_key(key)) {
        return Some(format!("only theirs has {key:?}: {value}"));
    }
    let differs = ours.iter().find(|(key, value)| !near(**value, theirs[key]));
    differs.map(|(key, value)| format!("{key:?} is {value} here and {} there", theirs[key]))
}

#[test]
fn random_queries_give_what_prometheus_gives() {
    let folder = tempfile::tempdir().unwrap();
    let data = random_data();
    let Some(prometheus) = Prometheus::start(folder.path(), &data) else {
        eprintln!("SKIPPED: prometheus and promtool are not installed");
        return;
    };
    let asked = std::env::var("MUSTER_DIFFERENTIAL_QUERIES").ok().and_then(|n| n.parse().ok());
    let mut random = Random::of(SEED, Dialect::Common);
    let (mut compared, mut with_values, mut complaints) = (0, 0, Vec::new());
    for _ in 0..asked.unwrap_or(300) {
        let text = random.vector(3);
        let near_zero = ["rate(m", "increase(m", "rate((", "increase(("];
        if near_zero.iter().any(|call| text.contains(call)) {
            // Where a counter begins near zero, Prometheus 2 extrapolates differently.
            continue;
        }
        if text.contains('@') && (text.contains(':') || text.contains("predict_linear")) {
            // Prometheus 2 takes the time of `@` wrongly where it meets a subquery's offset or first step,
            // or the time of the step itself.
            continue;
        }
        match (our_answer(&data, &text), prometheus.query(&text)) {
            (Ok(ours), Ok(theirs)) => {
                compared += 1;
                with_values += usize::from(!ours.is_empty());
                if let Some(difference) = difference(&ours, &theirs) {
                    complaints.push(format!("{text}\n    {difference}"));
                }
            }
            (Ok(_), Err(error)) if error.contains("same labelset") => {
                // Prometheus 2 drops metric names at each step of a query, and may end there.
            }
            (Err(error), Ok(_)) if error.contains("multiple matches for labels") => {
                // Prometheus 2 does not look at what a comparison filters away.
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => complaints.push(format!("{text}\n    {ours:.80?} but {theirs:.80?}")),
        }
    }
    eprintln!("{compared} queries compared, {with_values} of them have values");
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(with_values > 100, "too few queries have values");
}
