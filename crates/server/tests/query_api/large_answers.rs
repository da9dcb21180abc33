//! Answers that are too large for one piece.

use std::fmt::Write as _;

use serde_json::Value;

use crate::server::Server;

/// So many series, and a query for each of them at 11,000 steps, all within its look-back.
const SERIES: usize = 40;
const STEPS: usize = 11_000;

async fn with_series() -> (Server, [(&'static str, String); 5]) {
    let server = Server::start().await;
    let mut samples = String::new();
    for n in 0..SERIES {
        writeln!(samples, "m{{n=\"{n}\"}} {n}").unwrap();
    }
    server.push(samples).await;
    let now = server.get("/api/v1/query?query=time()").send().await.unwrap();
    let now: Value = now.json().await.unwrap();
    let now = now["data"]["result"][0].as_f64().unwrap();
    let form = [
        ("query", "m".to_owned()),
        ("start", now.to_string()),
        ("end", (now + (STEPS - 1) as f64).to_string()),
        ("step", "1".to_owned()),
        ("lookback_delta", "1d".to_owned()),
    ];
    (server, form)
}

fn check_whole(body: &[u8]) {
    let answer: Value = serde_json::from_slice(body).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    assert_eq!(series.len(), SERIES);
    for one in series {
        let values = one["values"].as_array().unwrap();
        assert_eq!((values.len(), &values[STEPS - 1][1]), (STEPS, &one["metric"]["n"]));
    }
}

#[tokio::test]
async fn a_large_answer_arrives_whole_compressed_or_not() {
    let (server, form) = with_series().await;
    let ask = || server.post("/api/v1/query_range").form(&form);
    let plain = ask().send().await.unwrap();
    assert_eq!(plain.headers().get("transfer-encoding").unwrap(), "chunked");
    check_whole(&plain.bytes().await.unwrap());
    let packed = ask().header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers().get("content-encoding").unwrap(), "gzip");
    let packed = packed.bytes().await.unwrap();
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&*packed), &mut body)
        .unwrap();
    check_whole(&body);
    server.running.stop().await;
}

#[tokio::test]
async fn clients_that_go_away_in_the_middle_leave_nothing_behind() {
    let (server, form) = with_series().await;
    for _ in 0..20 {
        let mut answer = server.post("/api/v1/query_range").form(&form).send().await.unwrap();
        assert!(answer.chunk().await.unwrap().is_some());
    }
    let answer = server.post("/api/v1/query_range").form(&form).send().await.unwrap();
    check_whole(&answer.bytes().await.unwrap());
    server.running.stop().await;
}
