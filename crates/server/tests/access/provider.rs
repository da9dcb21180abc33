//! Signing in at an identity provider, and everything that must not pass for it.

use std::sync::Arc;

use muster_meta::Role;
use muster_server::TlsMode;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::identity_provider::{IdentityProvider, Signing};
use crate::server::{NOW_MS, PASSWORD, Proof, Server, cookie, provider};

struct Scene {
    server: Server,
    provider: Arc<IdentityProvider>,
}

/// A browser that has come back from the provider, and has not yet asked for the page of the answer.
struct Back {
    /// The cookie of the attempt.
    cookie: String,
    /// `/api/…/callback?code=…&state=…&iss=…`
    path: String,
}

impl Scene {
    async fn new() -> Self {
        let identity = IdentityProvider::start().await;
        let server = Server::start_with(TlsMode::Off, Some(provider(&identity.issuer))).await;
        Self { server, provider: identity }
    }

    /// Goes to the provider and back.
    async fn go(&self, return_to: &str) -> Back {
        let path = format!("/api/muster/v1/sign-in/provider?return_to={return_to}");
        let away = self.server.get(&path, &Proof::Nothing).send().await.unwrap();
        assert_eq!(away.status(), StatusCode::SEE_OTHER);
        let cookie = cookie(&away, "muster_provider");
        let at_provider = self.server.client.get(location(&away)).send().await.unwrap();
        assert_eq!(at_provider.status(), StatusCode::FOUND, "the provider refuses the request");
        let back = location(&at_provider);
        Back { cookie, path: back.strip_prefix("http://muster.example").unwrap().to_owned() }
    }

    async fn finish(&self, back: &Back) -> Response {
        let proof = Proof::Session(back.cookie.clone());
        let answer = self.server.get(&back.path, &proof).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        answer
    }

    /// The session of somebody who signs in, or the word for why they cannot.
    async fn sign_in(&self) -> Result<Proof, String> {
        let answer = self.finish(&self.go("/").await).await;
        outcome(&answer)
    }

    async fn people(&self) -> Value {
        let admin = self.server.signed_in("admin", PASSWORD, None).await;
        self.server.done("GET", "people", &admin, Value::Null).await["people"].clone()
    }
}

fn location(answer: &Response) -> String {
    answer.headers()["location"].to_str().unwrap().to_owned()
}

fn outcome(answer: &Response) -> Result<Proof, String> {
    match location(answer).strip_prefix("/?sign_in_failed=") {
        Some(word) => Err(word.to_owned()),
        None => Ok(Proof::Session(cookie(answer, "muster_session"))),
    }
}

#[tokio::test]
async fn a_person_of_the_provider_gets_an_account_and_its_role() {
    let scene = Scene::new().await;
    let ways = scene.server.done("GET", "sign-in", &Proof::Nothing, Value::Null).await;
    assert_eq!(ways, json!({ "provider": "Example" }));
    let answer = scene.finish(&scene.go("/hosts/web-1%3Frange=1h").await).await;
    assert_eq!(location(&answer), "/hosts/web-1?range=1h");
    let session = outcome(&answer).unwrap();
    let who = scene.server.done("GET", "session", &session, Value::Null).await;
    assert_eq!((&who["user"], &who["role"]), (&json!("ada"), &json!("viewer")));
    // The next time it is the same account, with the role that the provider gives now.
    scene
        .provider
        .claim(json!({ "groups": ["staff", "root"], "preferred_username": "ada lovelace" }));
    let session = scene.sign_in().await.unwrap();
    let who = scene.server.done("GET", "session", &session, Value::Null).await;
    assert_eq!((&who["user"], &who["role"]), (&json!("ada"), &json!("admin")));
    assert_eq!(scene.people().await.as_array().unwrap().len(), 2);
    // It has no password.
    assert_eq!(scene.server.sign_in("ada", "", None).await.status(), StatusCode::UNAUTHORIZED);
    scene.server.running.stop().await;
}

#[tokio::test]
async fn a_name_is_no_proof() {
    let scene = Scene::new().await;
    scene.provider.claim(json!({ "preferred_username": "admin" }));
    let session = scene.sign_in().await.unwrap();
    let who = scene.server.done("GET", "session", &session, Value::Null).await;
    assert_eq!((&who["user"], &who["role"]), (&json!("admin (Example)"), &json!("viewer")));
    let account = scene.server.done("GET", "account", &session, Value::Null).await;
    assert_eq!(account["provider"], scene.provider.issuer.as_str());
    assert_eq!(account["has_password"], false);
    scene.server.running.stop().await;
}

#[tokio::test]
async fn whom_no_claim_gives_a_role_stays_outside_and_so_does_who_is_shut_out() {
    let scene = Scene::new().await;
    scene.provider.claim(json!({ "groups": ["strangers"] }));
    assert_eq!(scene.sign_in().await.unwrap_err(), "no_role");
    assert_eq!(scene.people().await.as_array().unwrap().len(), 1, "no account is made");
    scene.provider.claim(json!({}));
    let session = scene.sign_in().await.unwrap();
    let id = scene.people().await.as_array().unwrap().iter().find(|p| p["name"] == "ada").unwrap()
        ["id"]
        .clone();
    let admin = scene.server.session(Role::Admin).await;
    let path = format!("people/{}", id.as_str().unwrap());
    scene.server.done("PATCH", &path, &admin, json!({ "disabled": true })).await;
    assert!(!scene.server.reads(&session).await);
    assert_eq!(scene.sign_in().await.unwrap_err(), "disabled");
    scene.server.running.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_what_it_must_be_lets_nobody_in() {
    let scene = Scene::new().await;
    let now_s = NOW_MS / 1_000;
    for claims in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "aud": "another client" }),
        json!({ "aud": ["muster", "another"] }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": now_s - 100, "iat": now_s - 400 }),
        json!({ "exp": null }),
        json!({ "iat": now_s + 3_600, "exp": now_s + 7_200 }),
        json!({ "sub": null }),
    ] {
        scene.provider.claim(claims.clone());
        assert_eq!(scene.sign_in().await.unwrap_err(), "provider", "{claims}");
    }
    scene.provider.claim(json!({}));
    for signing in [Signing::Forged, Signing::None, Signing::Shared] {
        scene.provider.sign(signing);
        assert_eq!(scene.sign_in().await.unwrap_err(), "provider", "{signing:?}");
    }
    scene.provider.sign(Signing::Right);
    assert!(scene.sign_in().await.is_ok());
    scene.server.running.stop().await;
}

#[tokio::test]
async fn an_answer_is_good_once_in_the_browser_that_asked_and_for_a_while() {
    let scene = Scene::new().await;
    let [mine, victim] = [scene.go("/").await, scene.go("/").await];
    // An attacker's answer in a victim's browser.
    let planted = Back { cookie: victim.cookie.clone(), path: mine.path.clone() };
    assert_eq!(outcome(&scene.finish(&planted).await).unwrap_err(), "expired");
    let without = Back { cookie: "a=b".into(), path: mine.path.clone() };
    assert_eq!(outcome(&scene.finish(&without).await).unwrap_err(), "expired");
    // A code of another attempt with the right state: PKCE ties the code to the browser too.
    let code =
        |path: &str| path.split(['?', '&']).find(|p| p.starts_with("code=")).unwrap().to_owned();
    let swapped = victim.path.replace(&code(&victim.path), &code(&mine.path));
    let swapped = Back { cookie: victim.cookie.clone(), path: swapped };
    assert_eq!(outcome(&scene.finish(&swapped).await).unwrap_err(), "provider");
    // An answer in the name of another issuer.
    let issuer: String =
        form_urlencoded::byte_serialize(scene.provider.issuer.as_bytes()).collect();
    let mixed = victim.path.replace(&issuer, "https%3A%2F%2Fevil.example");
    assert_ne!(mixed, victim.path);
    let mixed = Back { cookie: victim.cookie.clone(), path: mixed };
    assert_eq!(outcome(&scene.finish(&mixed).await).unwrap_err(), "provider");

    assert!(outcome(&scene.finish(&victim).await).is_ok());
    assert_eq!(
        outcome(&scene.finish(&victim).await).unwrap_err(),
        "provider",
        "the code is used up"
    );
    let late = scene.go("/").await;
    scene.server.clock.advance(600_000);
    assert_eq!(outcome(&scene.finish(&late).await).unwrap_err(), "expired");
    scene.server.running.stop().await;
}

#[tokio::test]
async fn a_provider_may_change_its_keys_and_may_be_away() {
    let scene = Scene::new().await;
    assert!(scene.sign_in().await.is_ok());
    scene.provider.change_key("second");
    scene.server.clock.advance(30_000);
    assert!(scene.sign_in().await.is_ok());
    scene.server.running.stop().await;

    let server = Server::start().await;
    let (status, answer) =
        server.ask("GET", "sign-in/provider", &Proof::Nothing, Value::Null).await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("busy")));
    assert!(server.signed_in("admin", PASSWORD, None).await.is_session());
    server.running.stop().await;
    let server = Server::start_with(TlsMode::Off, None).await;
    assert_eq!(server.ask("GET", "sign-in/provider", &Proof::Nothing, Value::Null).await.0, 404);
    server.running.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let scene = Scene::new().await;
    for elsewhere in
        ["https://evil.example", "//evil.example", "%2F%5Cevil.example", "%2F%09%2Fevil.example"]
    {
        let answer = scene.finish(&scene.go(elsewhere).await).await;
        assert_eq!(location(&answer), "/", "{elsewhere}");
    }
    scene.server.running.stop().await;
}
