//! A server of its own for each test, and what a test asks of it.

use std::sync::Arc;

use muster_environment::{Clock as _, SystemClock};
use muster_server::{Running, ServerConfig, TlsMode, start};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "a long enough password";

pub(crate) struct Server {
    pub(crate) running: Running,
    client: Client,
    pub(crate) writer: String,
    url: String,
    cookie: String,
    dir: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// The same server after it was stopped and started again.
    pub(crate) async fn restarted(self) -> Self {
        self.running.stop().await;
        Self::start_in(self.dir).await
    }

    async fn start_in(dir: tempfile::TempDir) -> Self {
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
        let url = format!("http://{}", running.address());
        // Another test of this process may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::new();
        let session = format!("{url}/api/muster/v1/session");
        let body = json!({ "user": "admin", "password": PASSWORD });
        let answer = client.post(session).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut server = Self { running, client, writer: String::new(), url, cookie, dir };
        server.writer = server.token("writer").await.0;
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A request of nobody.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// A request of the administrator who has signed in, as the next three.
    pub(crate) fn post_as_person(&self, path: &str) -> RequestBuilder {
        self.post(path).header("cookie", &self.cookie)
    }

    pub(crate) fn put(&self, path: &str) -> RequestBuilder {
        self.client.put(self.url(path)).header("cookie", &self.cookie)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).header("cookie", &self.cookie)
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(self.url(path)).header("cookie", &self.cookie)
    }

    /// A GET by nobody yet.
    pub(crate) fn ask(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// A new token's secret and number.
    pub(crate) async fn token(&self, role: &str) -> (String, String) {
        let request = self.post_as_person("/api/muster/v1/tokens");
        let answer = request
            .json(&json!({ "name": format!("{role} {}", Self::now_ms()), "role": role }))
            .send()
            .await
            .unwrap();
        let made: Value = answer.json().await.unwrap();
        (made["token"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn revoke(&self, id: &str) {
        let answer = self.delete(&format!("/api/muster/v1/tokens/{id}")).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    /// What a range selector gives: `name{labels} value@ms value@ms`, one line a series.
    pub(crate) async fn samples(&self, selector: &str) -> Vec<String> {
        let query: String = form_urlencoded::byte_serialize(selector.as_bytes()).collect();
        let request = self.get(&format!("/api/v1/query?query={query}"));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let line = |one: &Value| {
            let labels = one["metric"].as_object().unwrap().iter();
            let labels: Vec<String> =
                labels.map(|(n, v)| format!("{n}={}", v.as_str().unwrap())).collect();
            let points = one["values"].as_array().unwrap().iter();
            let points: Vec<String> = points
                .map(|p| {
                    let ms = (p[0].as_f64().unwrap() * 1_000.0).round();
                    format!("{}@{ms}", p[1].as_str().unwrap())
                })
                .collect();
            format!("{} {}", labels.join(" "), points.join(" "))
        };
        let mut lines: Vec<String> = series.iter().map(line).collect();
        lines.sort_unstable();
        lines
    }

    /// One value of `/metrics`.
    #[track_caller]
    pub(crate) fn metric<'a>(text: &'a str, series: &str) -> &'a str {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not in:\n{text}"))
    }

    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").send().await.unwrap().text().await.unwrap()
    }

    pub(crate) fn now_ms() -> i64 {
        SystemClock::new().now_ms()
    }
}
