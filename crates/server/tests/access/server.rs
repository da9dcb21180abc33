//! A server of its own for each test, and people and programs that come to it.

use std::sync::Arc;

use muster_environment::ManualClock;
use muster_meta::{NewApiToken, NewSession, NewUser, Role};
use muster_server::secrets::{Secret, SecretKind};
use muster_server::{Running, ServerConfig, TlsMode, start};
use reqwest::{Client, Method, RequestBuilder};

pub(crate) const PASSWORD: &str = "a long enough password";
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) client: Client,
    pub(crate) url: String,
    _dir: tempfile::TempDir,
}

/// What somebody shows.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    Nothing,
    Token(String),
    Session(String),
}

impl Server {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            data_dir: dir.path().join("data"),
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: TlsMode::Off,
            retention_ms: 86_400_000,
            retention_bytes: None,
            admin_password: Some(PASSWORD.into()),
        };
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let shared = Arc::clone(&clock);
        let running = start(config, shared).await.unwrap();
        let url = format!("http://{}", running.address());
        // Another test of this process may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { running, clock, client: Client::new(), url, _dir: dir }
    }

    pub(crate) fn request(&self, method: Method, path: &str, proof: &Proof) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match proof {
            Proof::Nothing => request,
            Proof::Token(token) => request.bearer_auth(token),
            Proof::Session(cookie) => request.header("cookie", cookie),
        }
    }

    pub(crate) fn get(&self, path: &str, proof: &Proof) -> RequestBuilder {
        self.request(Method::GET, path, proof)
    }

    /// A new token of this role.
    pub(crate) async fn token(&self, role: Role, expires_ms: Option<i64>) -> Proof {
        let secret = Secret::generate(SecretKind::ApiToken);
        let name = secret.text().to_owned();
        let new = NewApiToken { name, role, secret_hash: secret.hash(), expires_ms };
        self.running.meta().create_api_token(new, NOW_MS).await.unwrap();
        Proof::Token(secret.text().to_owned())
    }

    /// The number of the account of this name, which is made if it is not there.
    pub(crate) async fn account(&self, name: &str, role: Role) -> String {
        let meta = self.running.meta();
        if let Some(user) = meta.user_by_name(name).await.unwrap() {
            return user.id;
        }
        let new = NewUser { name: name.into(), password_hash: String::new(), role };
        meta.create_user(new, NOW_MS).await.unwrap().id
    }

    /// A new session of an account of this role.
    pub(crate) async fn session(&self, role: Role) -> Proof {
        let user_id = self.account(&format!("a {role}"), role).await;
        let secret = Secret::generate(SecretKind::Session);
        let session = NewSession {
            secret_hash: secret.hash(),
            user_id,
            expires_ms: NOW_MS + 3_600_000,
            address: "192.0.2.1".into(),
        };
        self.running.meta().create_session(session, NOW_MS).await.unwrap();
        Proof::Session(format!("muster_session={}", secret.text()))
    }
}
