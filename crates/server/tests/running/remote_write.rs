//! Remote write, 1.0 and 2.0.

use reqwest::Response;

use crate::encode::{RequestV2, bytes, integer, series_v1, snappy};
use crate::server::Server;

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn write(server: &Server, content_type: &str, body: Vec<u8>) -> Response {
    let request = server.post("/api/v1/write").bearer_auth(&server.writer).body(body);
    let request = request.header("content-type", content_type).header("content-encoding", "snappy");
    request.send().await.unwrap()
}

/// The status, and how many samples, histograms and exemplars were written by the answer's headers.
fn verdict(answer: &Response) -> (u16, [String; 3]) {
    let written = ["samples", "histograms", "exemplars"].map(|what| {
        let name = format!("x-prometheus-remote-write-{what}-written");
        let value = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    });
    (answer.status().as_u16(), written)
}

fn counts(samples: u64, histograms: u64, exemplars: u64) -> [String; 3] {
    [samples, histograms, exemplars].map(|count| count.to_string())
}

#[tokio::test]
async fn what_is_written_is_there_whatever_the_version() {
    let server = Server::start().await;
    let now = Server::now_ms();
    let up = [("__name__", "up"), ("instance", "a"), ("job", "größe\n")];
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let body = [
        series_v1(&up, &[(now - 2_000, 1.0), (now - 1_000, 0.5)]),
        // Unsorted, as some senders write them: the same series.
        series_v1(&[up[2], up[0], up[1]], &[(now - 500, -3.25)]),
        series_v1(&[("__name__", "ended")], &[(now - 2_000, 7.0), (now - 1_000, stale)]),
        bytes(3, b""),
    ]
    .concat();
    let answer = write(&server, V1, snappy(&body)).await;
    assert_eq!(verdict(&answer), (204, counts(5, 0, 0)));
    assert!(answer.bytes().await.unwrap().is_empty());
    let expected = format!(
        "__name__=up instance=a job=größe\n 1@{} 0.5@{} -3.25@{}",
        now - 2_000,
        now - 1_000,
        now - 500
    );
    assert_eq!(server.samples("up[10m]").await, [expected]);
    let ended = format!("__name__=ended 7@{}", now - 2_000);
    assert_eq!(server.samples("ended[10m]").await, [ended]);

    let again =
        RequestV2::default().series(&up, &[(now - 500, -3.25), (now - 100, 9.0)], &[]).series(
            &[("__name__", "disk.free"), ("von wo", "b")],
            &[(now, f64::INFINITY)],
            &bytes(4, b""),
        );
    let answer = write(&server, V2, snappy(&again.encode())).await;
    assert_eq!(verdict(&answer), (204, counts(3, 0, 1)));
    assert!(server.samples("up[10m]").await[0].ends_with(&format!(" 9@{}", now - 100)));
    let dots = server.samples("{\"disk.free\"}[10m]").await;
    assert_eq!(dots, [format!("__name__=disk.free von wo=b +Inf@{now}")]);

    let metrics = server.metrics().await;
    for (series, expected) in [
        ("muster_push_samples_total{protocol=\"remote_write_1\"}", "5"),
        ("muster_push_samples_total{protocol=\"remote_write_2\"}", "3"),
        ("muster_push_exemplars_total{protocol=\"remote_write_2\"}", "1"),
        ("muster_push_requests_total{code=\"204\",protocol=\"remote_write_1\"}", "1"),
        ("muster_push_known_series", "5"),
    ] {
        assert_eq!(Server::metric(&metrics, series), expected, "{series}");
    }
    server.running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_and_the_rest_is_stored() {
    let server = Server::start().await;
    let now = Server::now_ms();
    let long = "x".repeat(9_000);
    let many: Vec<String> = (0..65).map(|n| format!("l{n}")).collect();
    let mut many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "v")).collect();
    many.push(("__name__", "many"));
    let request = RequestV2::default()
        .series(&[("__name__", "good"), ("a", "1")], &[(now, 1.0)], &[])
        .series(&[("job", "nameless")], &[(now, 2.0), (now + 1, 2.0)], &bytes(4, b""))
        .series(&[("__name__", "")], &[(now, 2.0)], &[])
        .series(&[("__name__", "twice"), ("a", "1"), ("a", "2")], &[(now, 3.0)], &[])
        .series(&[("__name__", "long"), ("a", &long)], &[(now, 3.0)], &[])
        .series(&many, &[(now, 3.0)], &[])
        .series(&[("__name__", "good"), ("a", "2")], &[(now, 4.0)], &bytes(3, &integer(15, now)))
        .series(&[("__name__", "times")], &[(1, 0.0), (now, 5.0), (now + 3_600_000, 0.0)], &[]);
    let answer = write(&server, V2, snappy(&request.encode())).await;
    assert_eq!(verdict(&answer), (400, counts(3, 0, 0)));
    let told = answer.text().await.unwrap();
    for part in [
        "3 samples stored, 9 not:",
        "4 bad_labels: ",
        "2 label_limit: ",
        "1 too_old: ",
        "1 too_new: ",
        "1 native_histogram: ",
        "{job=\"nameless\"}: a series without a metric name",
        "label \"a\" is given twice",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    let good = server.samples("{__name__=~\"good|times\"}[10m]").await;
    let expected = [
        format!("__name__=good a=1 1@{now}"),
        format!("__name__=good a=2 4@{now}"),
        format!("__name__=times 5@{now}"),
    ];
    assert_eq!(good, expected);
    assert_eq!(server.samples("{job=\"nameless\"}[10m]").await, [] as [&str; 0]);
    let metrics = server.metrics().await;
    let refused = "muster_push_refused_total{protocol=\"remote_write_2\",reason=\"bad_labels\"}";
    assert_eq!(Server::metric(&metrics, refused), "4");
    server.running.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_by_its_kind() {
    let server = Server::start().await;
    let good =
        snappy(&RequestV2::default().series(&[("__name__", "m")], &[(1, 1.0)], &[]).encode());
    let mut corrupt = good.clone();
    corrupt[0] = b'0';
    let status = async |content_type: &str, encoding: &str, body: &[u8]| {
        let request = server.post("/api/v1/write").bearer_auth(&server.writer).body(body.to_vec());
        let request = request.header("content-type", content_type);
        let answer = request.header("content-encoding", encoding).send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(!answer.text().await.unwrap().is_empty(), "an error says what is wrong");
        status
    };
    for content_type in ["application/json", "image/png", "application/x-protobuf;proto=x.Y"] {
        assert_eq!(status(content_type, "snappy", &corrupt).await, 415, "{content_type}");
    }
    for encoding in ["gzip", "deflate", "zstd"] {
        assert_eq!(status(V2, encoding, &corrupt).await, 415, "{encoding}");
    }
    assert_eq!(status(V2, "snappy", &corrupt).await, 400);
    assert_eq!(status(V1, "snappy", &[0xff; 9]).await, 400);
    assert_eq!(status(V2, "snappy", &snappy(&[0x22, 1, b'a'])).await, 400);
    assert_eq!(status(V2, "snappy", &snappy(&[0x2a, 9])).await, 400);
    // A body that says that it has 256 MiB.
    assert_eq!(status(V1, "snappy", &[0x80, 0x80, 0x80, 0x80, 0x01, 0]).await, 413);
    let many: Vec<(i64, f64)> = vec![(1, 1.0); 1_000_001];
    let many = snappy(&series_v1(&[("__name__", "m")], &many));
    assert_eq!(status(V1, "snappy", &many).await, 413);
    let request = server.post("/api/v1/write").bearer_auth(&server.writer);
    let answer = request.body(vec![0; (32 << 20) + 1]).send().await;
    // The server may answer and close while the client still sends.
    assert!(answer.is_err() || answer.unwrap().status().as_u16() == 413);
    let metrics = server.metrics().await;
    let answered = "muster_push_requests_total{code=\"415\",protocol=\"remote_write_1\"}";
    assert_eq!(Server::metric(&metrics, answered), "6");
    server.running.stop().await;
}

#[tokio::test]
async fn a_large_request_is_stored_whole() {
    let server = Server::start().await;
    let now = Server::now_ms();
    let mut body = Vec::new();
    for n in 0..20_000_u64 {
        // Values that no compression makes small.
        let value = f64::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        let (text, unique) = (n.to_string(), format!("{:x}", value.to_bits()));
        let labels = [("__name__", "large"), ("n", &*text), ("x", &*unique)];
        body.extend(series_v1(&labels, &[(now, value)]));
    }
    let body = snappy(&body);
    assert!(body.len() > 256 << 10, "{} bytes are worked on elsewhere", body.len());
    for _ in 0..2 {
        let answer = write(&server, V1, body.clone()).await;
        assert_eq!(verdict(&answer), (204, counts(20_000, 0, 0)));
    }
    assert_eq!(server.samples("large[10m]").await.len(), 20_000);
    server.running.stop().await;
}
