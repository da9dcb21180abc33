//! Sessions and tokens: nobody can choose one for somebody else, and none outlives what it stands for.

use std::time::Duration;

use muster_meta::{Actor, Role};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Proof, Server, cookie};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn signing_in_never_takes_over_a_secret_that_was_there_before() {
    let server = Server::start().await;
    let planted = "muster_session=muster_s_planted-by-an-attacker";
    let sign_in = |before: &str| {
        let body = json!({ "user": "admin", "password": PASSWORD });
        let request = server.request(Method::POST, "/api/muster/v1/session", &Proof::Nothing);
        request.header("cookie", before.to_owned()).json(&body).send()
    };
    let first = cookie(&sign_in(planted).await.unwrap(), "muster_session");
    assert_ne!(first, planted);
    assert!(!server.reads(&Proof::Session(planted.into())).await);
    // Who signs in again in the same browser gets another secret, and the one before is worth nothing.
    let second = cookie(&sign_in(&first).await.unwrap(), "muster_session");
    assert!(server.reads(&Proof::Session(second)).await);
    assert!(!server.reads(&Proof::Session(first)).await);
    server.running.stop().await;
}

#[tokio::test]
async fn a_cookie_is_for_this_host_and_no_script() {
    let server = Server::start().await;
    let answer = server.sign_in("admin", PASSWORD, None).await;
    let plain = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(plain.starts_with("muster_session=muster_s_"), "{plain}");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(plain.contains(part), "{plain}");
    }
    server.running.stop().await;
    let server = Server::start_with(muster_server::TlsMode::Auto, None).await;
    let answer = server.sign_in("admin", PASSWORD, None).await;
    let secure = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(secure.starts_with("__Host-muster_session="), "{secure}");
    assert!(secure.contains("; Secure") && !secure.contains("Domain"), "{secure}");
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    server.running.stop().await;
}

#[tokio::test]
async fn a_stolen_cookie_is_worth_nothing_after_signing_out() {
    let server = Server::start().await;
    let session = server.signed_in("admin", PASSWORD, None).await;
    assert!(server.reads(&session).await);
    server.done("DELETE", "session", &session, Value::Null).await;
    assert!(!server.reads(&session).await);
    server.running.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_the_end_anyway() {
    let server = Server::start().await;
    let idle = server.signed_in("admin", PASSWORD, None).await;
    let used = server.signed_in("admin", PASSWORD, None).await;
    for hour in 1..=24 * 7 {
        server.clock.advance(HOUR_MS);
        let alive = server.reads(&used).await;
        assert_eq!(alive, hour < 24 * 7, "after {hour} hours");
        if hour == 12 {
            assert!(!server.reads(&idle).await, "after {hour} hours without use");
        }
    }
    server.running.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let server = Server::start().await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(server.signed_in("admin", PASSWORD, None).await);
        server.clock.advance(1_000);
    }
    let list = server.done("GET", "account/sessions", &sessions[2], Value::Null).await;
    let list = list["sessions"].as_array().unwrap().clone();
    assert_eq!(list.len(), 3);
    assert_eq!(
        list.iter().map(|s| s["current"].as_bool().unwrap()).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert_eq!(list[0]["address"], "127.0.0.1");
    assert!(!list[0].to_string().contains("muster_s_"));
    // Another person's session is none of theirs.
    let other = server.session(Role::Viewer).await;
    let id = list[1]["id"].as_str().unwrap();
    let path = format!("account/sessions/{id}");
    assert_eq!(server.ask("DELETE", &path, &other, Value::Null).await.0, 404);
    assert!(server.reads(&sessions[1]).await);
    server.done("DELETE", &path, &sessions[2], Value::Null).await;
    assert!(!server.reads(&sessions[1]).await);
    assert!(server.reads(&sessions[0]).await);
    server.done("DELETE", "account/sessions", &sessions[2], Value::Null).await;
    assert!(!server.reads(&sessions[0]).await);
    assert!(server.reads(&sessions[2]).await);
    server.running.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let server = Server::start().await;
    let (mine, stolen) = (
        server.signed_in("admin", PASSWORD, None).await,
        server.signed_in("admin", PASSWORD, None).await,
    );
    let change = |old: &str, new: &str| {
        let body = json!({ "old_password": old, "new_password": new });
        let (server, mine) = (&server, &mine);
        async move { server.ask("POST", "account/password", mine, body).await }
    };
    let (status, answer) = change("a guess", "another password").await;
    assert_eq!((status, answer["code"].as_str()), (403, Some("bad_password")));
    assert_eq!(change(PASSWORD, "short").await.0, 400);
    assert_eq!(change(PASSWORD, "another password").await.0, 204);
    assert!(server.reads(&mine).await);
    assert!(!server.reads(&stolen).await);
    assert_eq!(server.sign_in("admin", PASSWORD, None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.sign_in("admin", "another password", None).await.status(), StatusCode::OK);
    server.running.stop().await;
}

#[tokio::test]
async fn whoever_is_shut_out_is_out_at_once_and_comes_back_only_when_let_in() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let id = server.account("ada", Role::Operator).await;
    let ada = server.signed_in("ada", PASSWORD, None).await;
    let path = format!("people/{id}");
    server.done("PATCH", &path, &admin, json!({ "disabled": true })).await;
    assert!(!server.reads(&ada).await);
    assert_eq!(server.sign_in("ada", PASSWORD, None).await.status(), StatusCode::UNAUTHORIZED);
    server.done("PATCH", &path, &admin, json!({ "disabled": false })).await;
    assert!(!server.reads(&ada).await, "the session has ended for good");
    let ada = server.signed_in("ada", PASSWORD, None).await;
    // A role that is taken away is gone for the session that is open.
    assert_eq!(server.ask("GET", "people", &ada, Value::Null).await.0, 403);
    server.done("PATCH", &path, &admin, json!({ "role": "admin" })).await;
    assert_eq!(server.ask("GET", "people", &ada, Value::Null).await.0, 200);
    server.done("PATCH", &path, &admin, json!({ "role": "viewer" })).await;
    assert_eq!(server.ask("GET", "people", &ada, Value::Null).await.0, 403);
    server.done("DELETE", &path, &admin, Value::Null).await;
    assert!(!server.reads(&ada).await);
    server.running.stop().await;
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_one_revoked_elsewhere_within_a_second() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let body = json!({ "name": "grafana", "role": "viewer", "expires_in_ms": null });
    let made = server.done("POST", "tokens", &admin, body).await;
    let token = Proof::Token(made["token"].as_str().unwrap().to_owned());
    assert!(server.reads(&token).await);
    let listed = server.done("GET", "tokens", &admin, Value::Null).await;
    assert_eq!(listed["tokens"][0]["made_by"], "admin");
    assert!(!listed.to_string().contains("muster_t_"));
    server
        .done("DELETE", &format!("tokens/{}", made["id"].as_str().unwrap()), &admin, Value::Null)
        .await;
    assert!(!server.reads(&token).await);
    // By the command line, which tells the server nothing.
    let other = server.token(Role::Viewer, None).await;
    assert!(server.reads(&other).await);
    let Proof::Token(name) = &other else { unreachable!("it is a token") };
    let meta = server.running.meta();
    meta.revoke_api_token(&Actor::command_line("root"), name, 0).await.unwrap();
    server.clock.advance(1_000);
    assert!(!server.reads(&other).await);
    server.running.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let server = Server::start().await;
    let token = server.token(Role::Viewer, Some(crate::server::NOW_MS + 500)).await;
    assert!(server.reads(&token).await);
    server.clock.advance(499);
    assert!(server.reads(&token).await);
    server.clock.advance(1);
    assert!(!server.reads(&token).await);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_while_they_are_used_end() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let id = server.account("ada", Role::Viewer).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(server.session_of(&id).await);
    }
    // Each is used as fast as it goes until it is refused; meanwhile all are ended.
    let using = sessions.iter().map(|session| async { while server.reads(session).await {} });
    let ending = async {
        server.done("DELETE", &format!("people/{id}/sessions"), &admin, Value::Null).await;
    };
    let all = async { tokio::join!(futures_util::future::join_all(using), ending) };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("all of them end");
    for session in &sessions {
        assert!(!server.reads(session).await, "one came back");
    }
    server.running.stop().await;
}

#[tokio::test]
async fn an_attacker_is_slowed_down_and_locks_nobody_out() {
    let server = Server::start().await;
    let guess = |address: [u8; 4], password: &'static str| {
        let client =
            reqwest::Client::builder().local_address(std::net::IpAddr::from(address)).build();
        let url = format!("{}/api/muster/v1/session", server.url);
        let body = json!({ "user": "admin", "password": password });
        async move { client.unwrap().post(url).json(&body).send().await.unwrap() }
    };
    for _ in 0..5 {
        assert_eq!(guess([127, 0, 0, 2], "guess").await.status(), StatusCode::UNAUTHORIZED);
    }
    let slowed = guess([127, 0, 0, 2], PASSWORD).await;
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS, "even the right one has to wait");
    assert!(slowed.headers().contains_key("retry-after"));
    assert_eq!(guess([127, 0, 0, 3], PASSWORD).await.status(), StatusCode::OK);
    server.running.stop().await;
}
