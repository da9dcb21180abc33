//! Queries of death: each ends with a clear error, soon, while others are answered.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;

/// How long any answer may take, on a slow machine too: a query may compute for 30 seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A name, the path, the form, and a word of the error or nothing if there is to be an answer.
type Deadly = (&'static str, &'static str, Vec<(&'static str, String)>, &'static str);

fn instant(name: &'static str, query: String, expected: &'static str) -> Deadly {
    (name, "/api/v1/query", vec![("query", query)], expected)
}

fn range(name: &'static str, query: String, expected: &'static str) -> Deadly {
    let form = vec![
        ("query", query),
        ("start", "0".into()),
        ("end", "10999".into()),
        ("step", "1".into()),
    ];
    (name, "/api/v1/query_range", form, expected)
}

fn deadly() -> Vec<Deadly> {
    let nested = |levels: usize, unit: &str| {
        let (open, close) = ("max_over_time(".repeat(levels), format!("[{unit}])").repeat(levels));
        format!("{open}m{close}")
    };
    let bomb = (0..40)
        .fold("label_replace(m, \"l\", \"0123456789abcdef\", \"\", \"\")".to_owned(), |text, _| {
            format!("label_replace({text}, \"l\", \"$1$1\", \"l\", \"(.*)\")")
        });
    vec![
        instant("subqueries in subqueries", nested(5, "30d:1s"), "too many samples"),
        instant("a subquery of ages", "count_over_time(m[100y:1ms])".into(), "too many samples"),
        range("long subqueries at many steps", "stddev_over_time(vector(1)[10d:1s])".into(), ""),
        range("many long windows", "quantile_over_time(0.5, vector(1)[20h:1s])".into(), ""),
        instant("a huge alternation", format!("m{{a=~\"{}\"}}", "x|".repeat(4_000)), "reg"),
        instant("repeats of repeats", "m{a=~\"((a{1000}){1000}){1000}\"}".into(), "reg"),
        instant(
            "repeats of repeats in a function",
            "label_replace(m, \"a\", \"b\", \"n\", \"((a{1000}){1000}){1000}\")".into(),
            "reg",
        ),
        instant("ten thousand terms", vec!["m"; 10_000].join("+"), "16"),
        instant("a thousand terms", vec!["m"; 1_000].join("+"), "500"),
        instant("as deep as it gets", format!("{}1{}", "(".repeat(400), ")".repeat(400)), "nests"),
        instant("doubled labels", bomb, "2048 bytes"),
        instant("a cross join", "m * on() group_left() m".into(), "many-to-many"),
        instant("all pairs", "m * on() m".into(), "many-to-many"),
        range("every series at every step", "{__name__=~\".+\"} + 0".into(), "too many samples"),
        range("a sort of everything", "sort({__name__=~\".+\"})".into(), "too many samples"),
        range("values as labels", "count_values(\"v\", m * time())".into(), "too many samples"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_of_death_ends_while_others_go_on() {
    let server = Server::start().await;
    let mut samples = String::new();
    for n in 0..5_000 {
        writeln!(samples, "m{{n=\"{n}\",group=\"{}\"}} {n}", n % 10).unwrap();
    }
    server.push(samples).await;
    let other = server.new_token("other").await;
    let mut wrong = Vec::new();
    for (name, path, mut form, expected) in deadly() {
        form.push(("lookback_delta", "365d".into()));
        if path.ends_with("query_range") {
            let now = server.get("/api/v1/query?query=time()").send().await.unwrap();
            let now: Value = now.json().await.unwrap();
            let now = now["data"]["result"][0].as_f64().unwrap();
            form.retain(|(name, _)| !["start", "end"].contains(name));
            form.push(("start", now.to_string()));
            form.push(("end", (now + 10_999.0).to_string()));
        }
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let began = Instant::now();
        let dying = async {
            let answer = server.query(path, &form).await;
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        };
        let going_on = async {
            for _ in 0..3 {
                let asked = server.get_as(&other, "/api/v1/query?query=count(m)");
                let answer: Value = asked.send().await.unwrap().json().await.unwrap();
                assert_eq!(
                    answer["data"]["result"][0]["value"][1], "5000",
                    "beside {name}: {answer}"
                );
            }
        };
        let ((status, body), ()) =
            tokio::time::timeout(PATIENCE, futures_util::future::join(dying, going_on))
                .await
                .unwrap_or_else(|_| panic!("{name} does not end"));
        let took = began.elapsed();
        println!("{name}: {status} in {took:?}");
        if expected.is_empty() && status == 200 {
            continue;
        }
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let error = answer["error"].as_str().unwrap_or_default();
        if ![400, 422, 503].contains(&status) || !error.contains(expected) {
            wrong.push(format!("{name}: {status} {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.running.stop().await;
}
