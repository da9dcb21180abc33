//! OTLP over HTTP.

use crate::encode::{bytes, fixed, gzip, integer};
use crate::server::Server;

const PATH: &str = "/api/v1/otlp/v1/metrics";

fn attribute(field: u8, key: &str, value: &str) -> Vec<u8> {
    let value = bytes(2, &bytes(1, value.as_bytes()));
    bytes(field, &[bytes(1, key.as_bytes()), value].concat())
}

fn number(now_ms: i64, value: f64) -> Vec<u8> {
    let time = fixed(3, now_ms as u64 * 1_000_000);
    let path = attribute(7, "url.path", "/");
    bytes(1, &[time, fixed(4, value.to_bits()), path].concat())
}

fn metric(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    bytes(2, &[bytes(1, name.as_bytes()), bytes(3, b"By"), bytes(kind, data)].concat())
}

fn export(metrics: &[u8]) -> Vec<u8> {
    let resource = [attribute(1, "service.name", "shop"), attribute(1, "host.name", "h")].concat();
    bytes(1, &[bytes(1, &resource), bytes(2, metrics)].concat())
}

#[tokio::test]
async fn metrics_are_stored_under_prometheus_names_and_deltas_are_told() {
    let server = Server::start().await;
    let now = Server::now_ms();
    let cumulative = [number(now, 7.0), integer(2, 2), integer(3, 1)].concat();
    let good =
        export(&[metric("io", 7, &cumulative), metric("used", 5, &number(now, 1.5))].concat());
    for (encoding, body) in [("identity", good.clone()), ("gzip", gzip(&good))] {
        let request = server.post(PATH).bearer_auth(&server.writer).body(body);
        let request = request.header("content-type", "application/x-protobuf");
        let answer = request.header("content-encoding", encoding).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    let expected = [
        format!("__name__=io_bytes_total job=shop url_path=/ 7@{now}"),
        format!("__name__=target_info host_name=h job=shop 1@{now}"),
        format!("__name__=used_bytes job=shop url_path=/ 1.5@{now}"),
    ];
    assert_eq!(server.samples("{job=\"shop\"}[10m]").await, expected);

    let delta = [number(now, 7.0), number(now, 8.0), integer(2, 1), integer(3, 1)].concat();
    let old = number(1_000, 1.0);
    let mixed = export(
        &[metric("d", 7, &delta), metric("old", 5, &old), metric("new", 5, &number(now, 2.0))]
            .concat(),
    );
    let request = server.post(PATH).bearer_auth(&server.writer).body(mixed);
    let answer = request.header("content-type", "application/x-protobuf").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.bytes().await.unwrap();
    let text = String::from_utf8_lossy(&body);
    // A partial success: its field 1, in which field 1 says how many points were rejected.
    assert_eq!((body[0], body[3], body[4]), (0x0a, 0x08, 3), "{text}");
    assert!(text.contains("2 delta: ") && text.contains("deltatocumulative"), "{text}");
    assert!(text.contains("1 too_old: "), "{text}");
    assert_eq!(server.samples("new_bytes[10m]").await.len(), 1);
    server.running.stop().await;
}

#[tokio::test]
async fn what_is_no_export_request_is_refused_with_advice() {
    let server = Server::start().await;
    let send = async |content_type: &str, body: Vec<u8>| {
        let request = server.post(PATH).bearer_auth(&server.writer).body(body);
        let answer = request.header("content-type", content_type).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    let (status, body) = send("application/json", b"{}".to_vec()).await;
    assert_eq!(status, 415);
    assert!(String::from_utf8_lossy(&body).contains("http/protobuf"));
    let (status, body) = send("application/x-protobuf", vec![0x0a, 9]).await;
    assert_eq!((status, &body[..3]), (400, &[0x08, 3, 0x12][..]));
    let metrics = server.metrics().await;
    for code in ["400", "415"] {
        let series = format!("muster_push_requests_total{{code=\"{code}\",protocol=\"otlp\"}}");
        assert_eq!(Server::metric(&metrics, &series), "1");
    }
    server.running.stop().await;
}
