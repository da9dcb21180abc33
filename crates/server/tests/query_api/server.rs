//! A server of its own for each test, and a token to read from it.

use std::sync::Arc;

use muster_environment::SystemClock;
use muster_server::{Running, ServerConfig, TlsMode, start};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

const PASSWORD: &str = "a long enough password";

pub(crate) struct Server {
    pub(crate) running: Running,
    client: Client,
    url: String,
    /// Of an operator, who may read and push.
    pub(crate) token: String,
    cookie: String,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            data_dir: dir.path().join("data"),
            database: None,
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: TlsMode::Off,
            retention_ms: 86_400_000,
            retention_bytes: None,
            rules: vec![],
            oidc: None,
            public_url: None,
            deadman: None,
            admin_password: Some(PASSWORD.into()),
        };
        let running = start(config, Arc::new(SystemClock::new())).await.unwrap();
        let url = format!("http://{}", running.address());
        // Another test of this process may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::new();
        let session = format!("{url}/api/muster/v1/session");
        let body = json!({ "user": "admin", "password": PASSWORD });
        let answer = client.post(session).json(&body).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut server = Self { running, client, url, token: String::new(), cookie, _dir: dir };
        server.token = server.new_token("first").await;
        server
    }

    /// Another operator's token.
    pub(crate) async fn new_token(&self, name: &str) -> String {
        let tokens = format!("{}/api/muster/v1/tokens", self.url);
        let request = self.client.post(tokens).header("cookie", &self.cookie);
        let made = request.json(&json!({ "name": name, "role": "operator" })).send().await.unwrap();
        let made: Value = made.json().await.unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// As [`Self::get`], with another token.
    pub(crate) fn get_as(&self, token: &str, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(token)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// Asks for an expression by POST, as long ones need.
    pub(crate) async fn query(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.post(path).form(form).send().await.unwrap()
    }

    /// Stores samples in Prometheus's text format.
    pub(crate) async fn push(&self, text: String) {
        let answer = self.post("/api/v1/import/prometheus").body(text).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}
