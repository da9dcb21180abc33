//! Prometheus's text.

use crate::encode::gzip;
use crate::server::Server;

const PATH: &str = "/api/v1/import/prometheus";

#[tokio::test]
async fn text_is_stored_with_the_labels_of_the_query() {
    let server = Server::start().await;
    let now = Server::now_ms();
    let then = now - 30_000;
    let text = format!(
        "# TYPE backup_bytes gauge\nbackup_bytes{{disk=\"a\"}} 1e3\nbackup_bytes{{disk=\"b\",job=\"own\"}} 2 {now}\n"
    );
    for body in [text.clone().into_bytes(), gzip(text.as_bytes())] {
        let path = format!("{PATH}?extra_label=job=backup&timestamp={then}");
        let mut request = server.post(&path).bearer_auth(&server.writer);
        if body[0] == 0x1f {
            request = request.header("content-encoding", "gzip");
        }
        assert_eq!(request.body(body).send().await.unwrap().status(), 204);
    }
    let expected = [
        format!("__name__=backup_bytes disk=a job=backup 1000@{then}"),
        format!("__name__=backup_bytes disk=b job=backup 2@{now}"),
    ];
    assert_eq!(server.samples("backup_bytes[10m]").await, expected);
    let openmetrics = format!("seen 3 {}.5\n# EOF\n", then / 1_000);
    let request = server.post(PATH).bearer_auth(&server.writer).body(openmetrics);
    let request = request.header("content-type", "application/openmetrics-text; version=1.0.0");
    assert_eq!(request.send().await.unwrap().status(), 204);
    let seen = format!("__name__=seen 3@{}", then / 1_000 * 1_000 + 500);
    assert_eq!(server.samples("seen[10m]").await, [seen]);
    server.running.stop().await;
}

#[tokio::test]
async fn bad_lines_are_told_and_lose_no_good_ones() {
    let server = Server::start().await;
    let text = "good 1\nbad one\n{a=\"b\"} 1\nlabels{a=\"b\"x} 1\ngood{a=\"b\"} 2\nold 1 1000\n";
    let answer = server.post(PATH).bearer_auth(&server.writer).body(text).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let told = answer.text().await.unwrap();
    for part in [
        "2 samples stored, 4 not:",
        "1 malformed: ",
        "2 bad_labels: ",
        "1 too_old: ",
        "line 2: \"one\" is no value",
        "line 3: a metric name is expected",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert_eq!(server.samples("good[10m]").await.len(), 2);
    let path = format!("{PATH}?timestamp=soon");
    let answer = server.post(&path).bearer_auth(&server.writer).body("a 1").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    server.running.stop().await;
}
