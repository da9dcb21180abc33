//! The log of a server at its most talkative: it says what happened, with the number of the request, and no secret.

use std::io;
use std::sync::Arc;

use muster_environment::SystemClock;
use muster_server::{ServerConfig, TlsMode, start};
use parking_lot::Mutex;
use reqwest::Client;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_tells_of_requests_and_holds_no_secret() {
    const PASSWORD: &str = "correct horse battery";
    let kept = Kept::default();
    let log = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
    log.with_writer(kept.clone()).init();

    let dir = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        data_dir: dir.path().join("data"),
        database: None,
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: TlsMode::Off,
        retention_ms: 86_400_000,
        retention_bytes: None,
        rules: vec![],
        admin_password: Some(PASSWORD.into()),
        oidc: None,
        public_url: None,
        deadman: None,
    };
    let running = start(config, Arc::new(SystemClock::new())).await.unwrap();
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let (client, url) = (Client::new(), format!("http://{}", running.address()));
    let session = format!("{url}/api/muster/v1/session");
    let sign_in = |password: &str| {
        let body = json!({ "user": "admin", "password": password, "code": "246810" });
        client.post(&session).json(&body).send()
    };
    let wrong = sign_in("wrong horse battery").await.unwrap();
    let failed_id = wrong.headers()["x-request-id"].to_str().unwrap().to_owned();
    let answer = sign_in(PASSWORD).await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let made = client
        .post(format!("{url}/api/muster/v1/tokens"))
        .header("cookie", &cookie)
        .json(&json!({ "name": "grafana", "role": "viewer", "expires_in_ms": null }))
        .send()
        .await
        .unwrap();
    let token = made.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let hosts = format!("{url}/api/muster/v1/hosts?secret=in-the-query");
    assert!(client.get(hosts).bearer_auth(&token).send().await.unwrap().status().is_success());
    running.stop().await;

    let log = String::from_utf8(std::mem::take(&mut *kept.0.lock())).unwrap();
    // What the client of this test logs of its own requests is not the server's.
    let ours = log.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).expect("each line is JSON");
        let target = line["target"].as_str().unwrap_or_default();
        !["reqwest", "hyper_util::client"].iter().any(|client| target.starts_with(client))
    });
    let ours: Vec<&str> = ours.collect();
    let cookie = cookie.split('=').next_back().unwrap();
    for secret in
        [PASSWORD, "wrong horse battery", "246810", cookie, &token, "in-the-query", "$argon2"]
    {
        let leak = ours.iter().find(|line| line.contains(secret));
        assert!(leak.is_none(), "{secret} is in {leak:?}");
    }
    let failed = ours.iter().find(|line| line.contains("sign-in failed")).expect("it is logged");
    assert!(failed.contains(&failed_id), "the number {failed_id} is not in {failed}");
    assert!(ours.iter().any(|line| line.contains("signed in")));
}
