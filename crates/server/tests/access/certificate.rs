//! A running server whose certificate files are replaced.

use std::path::Path;
use std::time::{Duration, Instant};

use muster_server::TlsMode;
use reqwest::tls::TlsInfo;

use crate::server::{Proof, Server};

/// Puts a new self-signed certificate and its key into `dir`; returns it.
fn write_pair(dir: &Path) -> Vec<u8> {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().to_vec()
}

#[tokio::test]
async fn replaced_certificate_files_are_served_by_the_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let first = write_pair(dir.path());
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let server = Server::start_with(TlsMode::Files { certificate, key }, None).await;
    let shown = async || {
        // A client of its own: one that is connected keeps the certificate it has seen.
        let client =
            reqwest::Client::builder().tls_danger_accept_invalid_certs(true).tls_info(true);
        let url = format!("{}/-/healthy", server.url);
        let answer = client.build().unwrap().get(url).send().await.unwrap();
        let info = answer.extensions().get::<TlsInfo>().unwrap();
        info.peer_certificate().unwrap().to_vec()
    };
    assert_eq!(shown().await, first);
    let second = write_pair(dir.path());
    let began = Instant::now();
    while shown().await != second {
        assert!(began.elapsed() < Duration::from_mins(1), "the old certificate is still served");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let metrics = server.token(muster_meta::Role::Viewer, None).await;
    let metrics = server.get("/metrics", &metrics).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("muster_tls_certificate_not_after_seconds "), "{metrics}");
    assert!(server.get("/", &Proof::Nothing).send().await.unwrap().status().is_success());
    server.running.stop().await;
}
