//! What browsers are told, what a request may weigh, and the number by which it is found in the log.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Proof, Server};

#[tokio::test]
async fn every_answer_protects_the_browser() {
    let server = Server::start().await;
    for path in
        ["/", "/hosts/web-1", "/assets/none.js", "/api/v1/none", "/api/muster/v1/hosts", "/metrics"]
    {
        let answer = server.get(path, &Proof::Nothing).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(policy.starts_with("default-src 'none'"), path.starts_with("/api/"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(name), value, "{path}");
        }
        assert!(header("permissions-policy").contains("camera=()"));
        for name in ["strict-transport-security", "access-control-allow-origin", "server"] {
            assert!(!answer.headers().contains_key(name), "{path} has {name}");
        }
        if path.starts_with("/api/") {
            assert_eq!(header("cache-control"), "no-store", "{path}");
        }
    }
    server.running.stop().await;
}

#[tokio::test]
async fn a_failure_carries_the_number_of_its_request() {
    let server = Server::start().await;
    let ask = || server.get("/api/muster/v1/hosts", &Proof::Nothing);
    let answer = ask().send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(id.len(), 16, "{id}");
    assert_eq!(answer.json::<Value>().await.unwrap()["request_id"], id.as_str());
    let answer = ask().header("x-request-id", "from-a-proxy.1").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "from-a-proxy.1");
    server.running.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let server = Server::start().await;
    let session = "/api/muster/v1/session";
    let body = json!({ "user": "admin", "password": "x".repeat(1 << 20) });
    let large = server.request(Method::POST, session, &Proof::Nothing).json(&body);
    let answer = large.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "too_large");
    let head = server.get("/-/healthy", &Proof::Nothing).header("x-long", "x".repeat(40 << 10));
    let status = head.send().await.unwrap().status();
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    // The server is as well as before.
    let body = json!({ "user": "admin", "password": PASSWORD });
    let small = server.request(Method::POST, session, &Proof::Nothing).json(&body);
    assert_eq!(small.send().await.unwrap().status(), StatusCode::OK);
    server.running.stop().await;
}

#[tokio::test]
async fn a_path_is_what_it_says_and_leads_nowhere_else() {
    let server = Server::start().await;
    // By hand, as clients tidy paths up before they send them.
    for path in [
        "//api/muster/v1/tokens",
        "/api//muster/v1/tokens",
        "/api/muster/v1/tokens/",
        "/api/muster/v1/./tokens",
        "/assets/../api/muster/v1/tokens",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "/..%2f..%2fetc/passwd",
        "/api/muster/v1/%74okens%2f",
        "/API/muster/v1/tokens",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = raw(&server, &request).await;
        assert!(!answer.contains("root:") && !answer.contains("\"tokens\""), "{path}: {answer}");
        assert!(!answer.to_lowercase().contains("\r\nlocation:"), "{path}: {answer}");
        let page_or_nothing = ["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 401"];
        assert!(page_or_nothing.iter().any(|start| answer.starts_with(start)), "{path}: {answer}");
    }
    server.running.stop().await;
}

/// What the server says to these bytes.
async fn raw(server: &Server, sent: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(server.running.address()).await.unwrap();
    socket.write_all(sent.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    socket.read_to_end(&mut got).await.unwrap();
    String::from_utf8_lossy(&got).into_owned()
}
