//! `queries`: how long answers take, on the same data in every product; an answer that differs ends the run.

use std::time::Instant;

use anyhow::ensure;

use crate::data::{self, INTERVAL_MS};
use crate::load::{Form, Load};
use crate::options::Options;
use crate::product::{Product, Server};
use crate::query::{self, Answer, Question, Tolerance};
use crate::report::{Better, Table, median};

/// Hosts with a day of data, and hosts with the last hour of it.
const DAY_HOSTS: u64 = 50;
const HOUR_HOSTS: i64 = 500;
const HOUR_S: i64 = 3_600;
/// Times that each question is asked; the median counts. Nobody waits for slow ones as often.
const TIMES: usize = 15;
const TIMES_IF_SLOW: usize = 3;
const SLOW_MS: f64 = 1_000.0;
/// Ten scrapes a request, which every product takes in most quickly.
const FORM: Form = Form { hosts: 5, samples_per_series: 10 };

/// How far an answer of `VictoriaMetrics` may be from Prometheus's. Those of Muster are to be the same.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Like {
    /// The same to the last digits but three or four.
    Same,
    /// Its `rate` takes the sample before the range and does not extrapolate: close, and the same series.
    Close,
    /// Series may come and go at a threshold, and that is all that can be said.
    Own,
}

/// What is asked to see how much memory an answer takes.
const LARGE: &str = "CPU used by instance: 32,000 series, 241 steps";

/// The share of the CPU time that each host of a job uses.
fn used(job: &str) -> String {
    const USED: &str = "sum by (instance) (rate(node_cpu_seconds_total{job=\"JOB\",mode!=\"idle\"}[5m])) \
         / sum by (instance) (rate(node_cpu_seconds_total{job=\"JOB\"}[5m]))";
    USED.replace("JOB", job)
}

/// Everything that is asked: its name, the question, and how alike `VictoriaMetrics` is to answer.
fn questions(end_ms: i64, day_s: i64) -> Vec<(&'static str, Question, Like)> {
    const HOST: &str = "instance=\"node-00007.example.net:9100\"";
    let instant = |text: &str| Question::instant(text, end_ms);
    let range = |text: &str, length_s, step_s| Question::range(text, end_ms, length_s, step_s);
    let alert = "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{job=\"hour\",mode=\"idle\"}[5m]))) > 40";
    let by_mode = format!("sum by (mode) (rate(node_cpu_seconds_total{{{HOST}}}[5m]))");
    // By instance, since VictoriaMetrics keeps the metric's name with these functions and the others do not.
    let full = "max by (instance) (predict_linear(node_filesystem_avail_bytes{job=\"node\",mountpoint=\"/\"}[6h], 86400))";
    let highest =
        format!("max by (instance) (max_over_time(node_load1{{job=\"node\"}}[{day_s}s]))");
    let names = "/api/v1/label/__name__/values";
    let host = format!("{{{HOST}}}");
    vec![
        (
            "one host, one series, 1 h raw",
            instant(&format!("node_load1{{{HOST}}}[1h]")),
            Like::Same,
        ),
        ("one host, CPU by mode, 24 h", range(&by_mode, day_s, 60), Like::Close),
        (
            "CPU used by instance, 50 hosts, 24 h at 60 s",
            range(&used("node"), day_s, 60),
            Like::Close,
        ),
        ("the same, 500 hosts, 1 h at 15 s", range(&used("hour"), HOUR_S - 600, 15), Like::Close),
        ("CPU alert over 500 hosts, instant", instant(alert), Like::Own),
        ("CPU used over 50 hosts, instant", instant(&used("node")), Like::Close),
        ("predict_linear over 6 h, 50 hosts", instant(full), Like::Close),
        ("max_over_time 24 h, 50 hosts", instant(&highest), Like::Same),
        ("count by mode over 100k series", instant("count by (mode) ({job=\"hour\"})"), Like::Same),
        (
            "count by name over 100k series",
            instant("count by (__name__) ({job=\"hour\"})"),
            Like::Same,
        ),
        ("label values: metrics of one host", Question::list(names, &host, end_ms), Like::Same),
        ("series of one host", Question::list("/api/v1/series", &host, end_ms), Like::Same),
    ]
}

/// Loads all products, asks each everything in turn, so that what else the machine does troubles all alike, and compares; gives
/// the report.
pub(crate) fn run(options: &Options) -> anyhow::Result<String> {
    let products = options.products();
    let mut latency = Table::new("Queries: median milliseconds", Better::Less, &products);
    let mut memory = Table::new("Memory: MiB above rest at the peak", Better::Less, &products);
    // Past the delay after which VictoriaMetrics believes that samples are complete.
    let end_ms = data::aligned(query::now_ms()) - 60_000;
    let day_s = options.scaled(24) * HOUR_S;
    let mut servers = Vec::new();
    for &product in &products {
        let server = Server::start(product, &options.muster)?;
        load(options, &server, end_ms, day_s)?;
        servers.push(server);
    }
    let all = used("hour");
    for server in servers.iter().filter(|_| options.wants(LARGE)) {
        memory.add(
            LARGE,
            server.product,
            peak_mib(server, &Question::range(&all, end_ms, HOUR_S, 15))?,
        );
    }
    for (name, question, like) in questions(end_ms, day_s) {
        if options.wants(name) {
            let answers = ask_all(name, &question, &servers, &mut latency)?;
            compare(name, like, &answers)?;
        }
    }
    Ok(latency.markdown() + &memory.markdown())
}

/// By how much the memory of a server grows, while it answers, over what it has at rest.
fn peak_mib(server: &Server, question: &Question) -> anyhow::Result<f64> {
    let mut connection = server.connect()?;
    let rest = server.memory()?.now;
    server.forget_peak()?;
    question.ask_raw(&mut connection)?;
    Ok(server.memory()?.peak.saturating_sub(rest) as f64 / f64::from(1 << 20))
}

/// Asks all products the same, one after another, again and again.
fn ask_all(
    name: &str,
    question: &Question,
    servers: &[Server],
    table: &mut Table,
) -> anyhow::Result<Vec<(Product, Answer)>> {
    let mut answers = Vec::new();
    let mut connections = Vec::new();
    for server in servers {
        let mut connection = server.connect()?;
        answers.push((server.product, question.ask(&mut connection)?));
        connections.push((connection, Vec::new()));
    }
    for _ in 0..TIMES {
        for (connection, times) in &mut connections {
            if times.len() >= TIMES_IF_SLOW && median(times) > SLOW_MS {
                continue;
            }
            let started = Instant::now();
            question.ask_raw(connection)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    for (server, (_, times)) in servers.iter().zip(connections) {
        table.add(name, server.product, median(&times));
    }
    Ok(answers)
}

/// A day of 50 hosts, and in its last hour 500 more, in the order of time, which Prometheus needs.
fn load(options: &Options, server: &Server, end_ms: i64, day_s: i64) -> anyhow::Result<()> {
    let tick = |ms: i64| ms / INTERVAL_MS * INTERVAL_MS;
    let hour_ms = tick(end_ms - HOUR_S * 1_000);
    let mut day = Load::new("node", DAY_HOSTS, FORM);
    // A quarter of an hour more, so that the first ranges are full.
    day.write(server, tick(end_ms - day_s * 1_000 - 900_000), hour_ms)?;
    let mut all = day.and(Load::new("hour", options.scaled(HOUR_HOSTS) as u64, FORM));
    all.write(server, hour_ms, end_ms)?;
    server.rest(options.quiet())?;
    Ok(())
}

/// Every answer against the last one there is, Prometheus's where it was asked.
fn compare(name: &str, like: Like, answers: &[(Product, Answer)]) -> anyhow::Result<()> {
    let Some((reference, expected)) = answers.last() else { return Ok(()) };
    ensure!(expected.len() > 0, "{name}: {} finds nothing", reference.name());
    for (product, answer) in answers {
        let strict = *product != Product::VictoriaMetrics && *reference != Product::VictoriaMetrics;
        let tolerance = match like {
            _ if strict => Tolerance::OfValue(1e-9),
            Like::Same => Tolerance::OfValue(1e-9),
            Like::Close => Tolerance::OfPeak(0.15),
            Like::Own => continue,
        };
        if let Some(difference) = answer.difference(expected, tolerance) {
            let (one, other) = (product.name(), reference.name());
            anyhow::bail!("{name}: {one} and {other} answer differently: {difference}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: f64) -> Answer {
        Answer::Series([("a".to_owned(), vec![(1.0, value)])].into())
    }

    #[track_caller]
    fn check(like: Like, answers: &[(Product, f64)], agree: bool) {
        let answers: Vec<_> =
            answers.iter().map(|(product, value)| (*product, answer(*value))).collect();
        assert_eq!(compare("a question", like, &answers).is_ok(), agree);
    }

    #[test]
    fn answers_that_differ_end_the_run() {
        use Product::{Muster, Prometheus, VictoriaMetrics};
        check(Like::Same, &[(Muster, 1.0), (VictoriaMetrics, 1.0), (Prometheus, 1.0)], true);
        check(Like::Same, &[(Muster, 1.0), (VictoriaMetrics, 1.01), (Prometheus, 1.0)], false);
        check(Like::Close, &[(Muster, 1.0), (VictoriaMetrics, 1.01), (Prometheus, 1.0)], true);
        check(Like::Close, &[(Muster, 1.01), (VictoriaMetrics, 1.0), (Prometheus, 1.0)], false);
        check(Like::Close, &[(Muster, 1.01), (VictoriaMetrics, 1.0)], true);
        check(Like::Own, &[(Muster, 2.0), (VictoriaMetrics, 1.0), (Prometheus, 1.0)], false);
        check(Like::Own, &[(Muster, 1.0), (VictoriaMetrics, 9.0), (Prometheus, 1.0)], true);
        assert!(compare("nothing", Like::Same, &[(Muster, Answer::Names(vec![]))]).is_err());
    }
}
