//! Who may push.

use muster_meta::Actor;
use reqwest::StatusCode;

use crate::server::{PASSWORD, Server};

const PATH: &str = "/api/v1/import/prometheus";

#[tokio::test]
async fn writers_operators_and_administrators_may_push_and_a_revoked_token_not() {
    let server = Server::start().await;
    let push = async |token: &str| {
        let request = server.post(PATH).bearer_auth(token).body("a 1");
        request.send().await.unwrap().status()
    };
    assert_eq!(push("muster_t_wrong").await, StatusCode::UNAUTHORIZED);
    let nobody = server.post(PATH).body("a 1").send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(push(&server.token("viewer").await.0).await, StatusCode::FORBIDDEN);
    assert_eq!(push(&server.token("operator").await.0).await, StatusCode::NO_CONTENT);
    let (token, id) = server.token("admin").await;
    for _ in 0..3 {
        assert_eq!(push(&token).await, StatusCode::NO_CONTENT);
    }
    server.revoke(&id).await;
    assert_eq!(push(&token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(push(&server.writer).await, StatusCode::NO_CONTENT);
    server.running.stop().await;
}

#[tokio::test]
async fn basic_authentication_takes_a_password_or_a_token_and_slows_down_guessing() {
    let server = Server::start().await;
    let push = async |user: &str, password: &str| {
        let request = server.post(PATH).basic_auth(user, Some(password)).body("a 1");
        request.send().await.unwrap().status()
    };
    // Many at once with one password are let in by one hashing, and none of them counts as a guess.
    let together = (0..20).map(|_| push("admin", PASSWORD));
    let together = futures_util::future::join_all(together).await;
    assert!(together.iter().all(|&status| status == StatusCode::NO_CONTENT), "{together:?}");
    assert_eq!(push("any", &server.writer).await, StatusCode::NO_CONTENT);
    // Each guess doubles the wait for the next, so that sooner or later one comes too soon, however slow the machine is.
    let mut guesses = Vec::new();
    while guesses.last() != Some(&429) {
        guesses.push(push("admin", &format!("guess {}", guesses.len())).await.as_u16());
        assert!(guesses.len() < 20, "nobody was slowed down");
    }
    let before = &guesses[..guesses.len() - 1];
    assert!(before.len() >= 5 && before.iter().all(|&status| status == 401), "{guesses:?}");
    // Who is known is not locked out by it.
    assert_eq!(push("admin", PASSWORD).await, StatusCode::NO_CONTENT);
    server.running.stop().await;
}

#[tokio::test]
async fn a_token_that_was_just_used_reads_no_longer_once_it_is_revoked() {
    let server = Server::start().await;
    let read = async |token: &str| {
        let request = server.ask("/api/v1/query?query=1").bearer_auth(token);
        request.send().await.unwrap().status()
    };
    let (token, id) = server.token("viewer").await;
    let (other, other_id) = server.token("operator").await;
    for _ in 0..3 {
        assert_eq!(read(&token).await, StatusCode::OK);
        assert_eq!(read(&other).await, StatusCode::OK);
    }
    server.revoke(&id).await;
    assert_eq!(read(&token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(read(&other).await, StatusCode::OK);
    // Another process on the same database tells nobody; it is noticed soon.
    server
        .running
        .meta()
        .revoke_api_token(&Actor::command_line("root"), &other_id, 0)
        .await
        .unwrap();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while read(&other).await == StatusCode::OK {
        assert!(std::time::Instant::now() < patience, "a revoked token still reads");
    }
    assert_eq!(read(&other).await, StatusCode::UNAUTHORIZED);
    server.running.stop().await;
}

#[tokio::test]
async fn what_lets_push_does_not_let_read() {
    let server = Server::start().await;
    let push = server.post(PATH).basic_auth("admin", Some(PASSWORD)).body("a 1");
    assert_eq!(push.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let read = || server.ask("/api/v1/query?query=1");
    let with_password = read().basic_auth("admin", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(with_password.status(), StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        let with_writer = read().bearer_auth(&server.writer).send().await.unwrap();
        assert_eq!(with_writer.status(), StatusCode::FORBIDDEN);
    }
    let (viewer, _) = server.token("viewer").await;
    let by_basic = read().basic_auth("grafana", Some(viewer)).send().await.unwrap();
    assert_eq!(by_basic.status(), StatusCode::OK);
    server.running.stop().await;
}
