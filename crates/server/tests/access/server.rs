//! A server of its own for each test, and people and programs that come to it.

use std::sync::Arc;

use muster_environment::{Clock as _, ManualClock};
use muster_meta::{Actor, NewApiToken, NewSession, NewUser, Role};
use muster_server::secrets::{Secret, SecretKind, hash_password};
use muster_server::{OidcConfig, Running, ServerConfig, TlsMode, start};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

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
    /// The whole cookie.
    Session(String),
}

impl Proof {
    pub(crate) fn is_session(&self) -> bool {
        matches!(self, Self::Session(_))
    }
}

impl Server {
    /// A server without TLS, whose identity provider does not answer.
    pub(crate) async fn start() -> Self {
        Self::start_with(TlsMode::Off, Some(provider("http://127.0.0.1:9"))).await
    }

    pub(crate) async fn start_with(tls: TlsMode, oidc: Option<OidcConfig>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            data_dir: dir.path().join("data"),
            database: None,
            listen: "127.0.0.1:0".parse().unwrap(),
            tls,
            retention_ms: 86_400_000,
            retention_bytes: None,
            rules: vec![],
            admin_password: Some(PASSWORD.into()),
            oidc,
            public_url: None,
            deadman: None,
        };
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let shared = Arc::clone(&clock);
        let running = start(config, shared).await.unwrap();
        let scheme = if running.is_secure() { "https" } else { "http" };
        let url = format!("{scheme}://{}", running.address());
        // Another test of this process may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .redirect(Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .tls_info(true)
            .build()
            .unwrap();
        Self { running, clock, client, url, _dir: dir }
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

    /// What a request to our own API comes to: its status, and its body if that is JSON.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        proof: &Proof,
        body: Value,
    ) -> (u16, Value) {
        let path = format!("/api/muster/v1/{path}");
        let request = self.request(method.parse().unwrap(), &path, proof);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The same, where it must succeed.
    #[track_caller]
    pub(crate) fn done(
        &self,
        method: &'static str,
        path: &str,
        proof: &Proof,
        body: Value,
    ) -> impl Future<Output = Value> {
        let (path, proof) = (path.to_owned(), proof.clone());
        let at = std::panic::Location::caller();
        async move {
            let (status, answer) = self.ask(method, &path, &proof, body).await;
            assert!(status < 300, "{at}: {method} {path} is answered {status}: {answer}");
            answer
        }
    }

    /// A new token of this role.
    pub(crate) async fn token(&self, role: Role, expires_ms: Option<i64>) -> Proof {
        let secret = Secret::generate(SecretKind::ApiToken);
        let name = secret.text().to_owned();
        let new = NewApiToken { name, role, secret_hash: secret.hash(), expires_ms };
        self.running.meta().create_api_token(&Actor::server(), new, NOW_MS).await.unwrap();
        Proof::Token(secret.text().to_owned())
    }

    /// The number of the account of this name, which is made with [`PASSWORD`] if it is not there.
    pub(crate) async fn account(&self, name: &str, role: Role) -> String {
        let meta = self.running.meta();
        if let Some(user) = meta.user_by_name(name).await.unwrap() {
            return user.id;
        }
        let password_hash = hash_password(PASSWORD);
        let new = NewUser { name: name.into(), password_hash, role, identity: None };
        meta.create_user(&Actor::server(), new, NOW_MS).await.unwrap().id
    }

    /// A new session of an account of this role.
    pub(crate) async fn session(&self, role: Role) -> Proof {
        let user_id = self.account(&format!("a {role}"), role).await;
        self.session_of(&user_id).await
    }

    pub(crate) async fn session_of(&self, user_id: &str) -> Proof {
        let secret = Secret::generate(SecretKind::Session);
        let now_ms = self.clock.now_ms();
        let session = NewSession {
            secret_hash: secret.hash(),
            user_id: user_id.to_owned(),
            expires_ms: now_ms + 3_600_000,
            ends_ms: now_ms + 7_200_000,
            address: "192.0.2.1".into(),
            user_agent: "a test".into(),
            replaces: None,
        };
        self.running.meta().create_session(session, now_ms).await.unwrap();
        Proof::Session(format!("muster_session={}", secret.text()))
    }

    /// Signs in with a password, and a code where there is one.
    pub(crate) async fn sign_in(&self, user: &str, password: &str, code: Option<&str>) -> Response {
        let body = json!({ "user": user, "password": password, "code": code });
        let request = self.request(Method::POST, "/api/muster/v1/session", &Proof::Nothing);
        request.json(&body).send().await.unwrap()
    }

    /// The session of a sign-in that must succeed.
    pub(crate) async fn signed_in(&self, user: &str, password: &str, code: Option<&str>) -> Proof {
        let answer = self.sign_in(user, password, code).await;
        assert_eq!(answer.status(), StatusCode::OK, "{user} cannot sign in");
        Proof::Session(cookie(&answer, "muster_session"))
    }

    /// Whether the proof lets somebody read.
    pub(crate) async fn reads(&self, proof: &Proof) -> bool {
        let answer = self.get("/api/muster/v1/hosts", proof).send().await.unwrap();
        match answer.status() {
            StatusCode::OK => true,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => false,
            status => panic!("{status}"),
        }
    }
}

/// A cookie that an answer sets, as the browser sends it back.
pub(crate) fn cookie(answer: &Response, name: &str) -> String {
    let set = answer.headers().get_all("set-cookie").iter();
    let pairs = set.map(|value| value.to_str().unwrap().split(';').next().unwrap());
    let found = pairs.into_iter().find(|pair| pair.split('=').next() == Some(name));
    found.unwrap_or_else(|| panic!("no cookie {name} is set")).to_owned()
}

/// An identity provider at this address.
pub(crate) fn provider(issuer: &str) -> OidcConfig {
    OidcConfig {
        name: "Example".into(),
        issuer: issuer.into(),
        client_id: "muster".into(),
        client_secret: Some("client & secret".into()),
        public_url: "http://muster.example".into(),
        scopes: vec!["profile".into()],
        ca_file: None,
        role_claim: "groups".into(),
        roles: vec![("staff".into(), Role::Viewer), ("root".into(), Role::Admin)],
        default_role: None,
    }
}
