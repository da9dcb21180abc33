//! An identity provider in this process: it does what the standards ask of one, with real keys, and can be told to lie.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::server::NOW_MS;

type Parameters = HashMap<String, String>;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    /// As it should be.
    Right,
    /// With another key, under the name of the right one.
    Forged,
    /// Not at all: `alg` is `none`.
    None,
    /// By a shared secret, for which the public key is taken.
    Shared,
}

/// What the provider does next.
pub(crate) struct Behaviour {
    pub(crate) signing: Signing,
    /// Claims that are set otherwise; those that are null are left out.
    pub(crate) claims: Value,
}

pub(crate) struct IdentityProvider {
    pub(crate) issuer: String,
    pub(crate) behaviour: Mutex<Behaviour>,
    keys: Mutex<(String, Arc<KeyPair>)>,
    /// The requests that wait for their codes to be exchanged.
    codes: Mutex<HashMap<String, Parameters>>,
}

impl IdentityProvider {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let behaviour = Behaviour { signing: Signing::Right, claims: json!({}) };
        let provider = Arc::new(Self {
            issuer,
            behaviour: Mutex::new(behaviour),
            keys: Mutex::new(("first".into(), new_key())),
            codes: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Signs with another key from now on.
    pub(crate) fn change_key(&self, name: &str) {
        *self.keys.lock() = (name.into(), new_key());
    }

    pub(crate) fn claim(&self, claims: Value) {
        self.behaviour.lock().claims = claims;
    }

    pub(crate) fn sign(&self, signing: Signing) {
        self.behaviour.lock().signing = signing;
    }

    fn id_token(&self, nonce: &str) -> String {
        let behaviour = self.behaviour.lock();
        let now_s = NOW_MS / 1_000;
        let mut claims = json!({
            "iss": self.issuer, "aud": "muster", "sub": "248289761001", "nonce": nonce,
            "iat": now_s, "exp": now_s + 300, "preferred_username": "ada", "groups": ["staff"],
        });
        for (name, value) in behaviour.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let (name, key) = self.keys.lock().clone();
        let algorithm = match behaviour.signing {
            Signing::Right | Signing::Forged => "RS256",
            Signing::None => "none",
            Signing::Shared => "HS256",
        };
        let header = json!({ "alg": algorithm, "kid": name, "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let by = |key: &KeyPair| {
            let mut signature = vec![0; key.public_modulus_len()];
            let random = aws_lc_rs::rand::SystemRandom::new();
            key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
            signature
        };
        let signature = match behaviour.signing {
            Signing::Right => by(&key),
            Signing::Forged => by(&new_key()),
            Signing::None => Vec::new(),
            Signing::Shared => {
                use aws_lc_rs::hmac;
                let shared = hmac::Key::new(hmac::HMAC_SHA256, key.public_key().as_ref());
                hmac::sign(&shared, signed.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn new_key() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate(KeySize::Rsa2048).unwrap())
}

async fn describe(State(provider): State<Arc<IdentityProvider>>) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(provider): State<Arc<IdentityProvider>>) -> Json<Value> {
    let (name, key) = provider.keys.lock().clone();
    // RSAPublicKey of RFC 8017: a sequence of two integers, of 257 bytes (the first is 0) and 3 bytes.
    let der = key.public_key().as_ref();
    let (modulus, exponent) = (&der[9..265], &der[267..270]);
    Json(json!({ "keys": [
        { "kty": "unheard of", "kid": "other" },
        {
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": name,
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
        },
    ] }))
}

/// The person agrees at once, and is sent back with a code.
async fn authorize(
    State(provider): State<Arc<IdentityProvider>>,
    Query(asked): Query<Parameters>,
) -> Response {
    let fine = asked["response_type"] == "code"
        && asked["client_id"] == "muster"
        && asked["scope"].split(' ').any(|scope| scope == "openid")
        && asked["code_challenge_method"] == "S256"
        && asked["redirect_uri"] == "http://muster.example/api/muster/v1/sign-in/provider/callback";
    if !fine {
        return (StatusCode::BAD_REQUEST, format!("{asked:?}")).into_response();
    }
    let mut codes = provider.codes.lock();
    let code = format!("code-{}", codes.len() + 1);
    let back: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &code)
        .append_pair("state", &asked["state"])
        .append_pair("iss", &provider.issuer)
        .finish();
    let back = format!("{}?{back}", asked["redirect_uri"]);
    codes.insert(code, asked);
    (StatusCode::FOUND, [(header::LOCATION, back)]).into_response()
}

async fn token(
    State(provider): State<Arc<IdentityProvider>>,
    headers: HeaderMap,
    Form(form): Form<Parameters>,
) -> Response {
    let refused =
        |status: StatusCode, word: &str| (status, Json(json!({ "error": word }))).into_response();
    // "client & secret", encoded as in a form.
    let expected = format!("Basic {}", STANDARD.encode("muster:client+%26+secret"));
    if headers.get(header::AUTHORIZATION).is_none_or(|found| *found != *expected) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    // A code is good once.
    let Some(asked) = provider.codes.lock().get_mut(&form["code"]).map(std::mem::take) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let verifier =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(verifier);
    let fine = form["grant_type"] == "authorization_code"
        && asked.get("redirect_uri") == Some(&form["redirect_uri"])
        && asked.get("code_challenge") == Some(&challenge);
    if !fine {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let id_token = provider.id_token(&asked["nonce"]);
    Json(json!({ "access_token": "unused", "token_type": "Bearer", "id_token": id_token }))
        .into_response()
}
