//! People, sessions, API tokens and settings, in a database in memory.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]

use muster_meta::{Location, Meta, MetaError, NewApiToken, NewSession, NewUser, Role, User};

const NOW_MS: i64 = 1_760_000_000_000;

async fn meta() -> Meta {
    Meta::open(&Location::InMemory).await.unwrap()
}

async fn user(meta: &Meta, name: &str) -> User {
    let new = NewUser { name: name.into(), password_hash: "first".into(), role: Role::Operator };
    meta.create_user(new, NOW_MS).await.unwrap()
}

async fn sign_in(meta: &Meta, user: &User, secret: u8, expires_ms: i64) -> String {
    let new = NewSession {
        secret_hash: [secret; 32],
        user_id: user.id.clone(),
        expires_ms,
        address: "203.0.113.9".into(),
    };
    meta.create_session(new, NOW_MS).await.unwrap().id
}

async fn api_token(
    meta: &Meta,
    name: &str,
    secret: u8,
    expires_ms: Option<i64>,
) -> Result<String, MetaError> {
    let new = NewApiToken {
        name: name.into(),
        role: Role::Writer,
        secret_hash: [secret; 32],
        expires_ms,
    };
    Ok(meta.create_api_token(new, NOW_MS).await?.id)
}

#[tokio::test]
async fn an_account_is_found_by_its_exact_name() {
    let meta = meta().await;
    assert_eq!(meta.count_users().await.unwrap(), 0);
    let made = user(&meta, "李雷").await;
    user(&meta, "ada").await;
    assert_eq!(meta.count_users().await.unwrap(), 2);
    assert_eq!(meta.user_by_name("李雷").await.unwrap(), Some(made));
    assert_eq!(meta.user_by_name("Ada").await.unwrap(), None);
    let names: Vec<_> =
        meta.list_users().await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["ada", "李雷"]);
}

#[tokio::test]
async fn a_second_account_of_one_name_is_refused() {
    let meta = meta().await;
    user(&meta, "ada").await;
    let again = NewUser { name: "ada".into(), password_hash: "x".into(), role: Role::Admin };
    let error = meta.create_user(again, NOW_MS).await.unwrap_err();
    assert_eq!(error.to_string(), "there is already an account named \"ada\"; choose another name");
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_of_that_account_only() {
    let meta = meta().await;
    let (ada, bob) = (user(&meta, "ada").await, user(&meta, "bob").await);
    sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    sign_in(&meta, &bob, 2, NOW_MS + 1000).await;
    meta.set_password_hash(&ada.id, "second").await.unwrap();
    assert_eq!(meta.user_by_name("ada").await.unwrap().unwrap().password_hash, "second");
    assert_eq!(meta.session_by_hash(&[1; 32], NOW_MS).await.unwrap(), None);
    assert!(meta.session_by_hash(&[2; 32], NOW_MS).await.unwrap().is_some());
    let error = meta.set_password_hash("nobody", "x").await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "account", .. }), "{error}");
    assert_eq!(meta.user_by_name("bob").await.unwrap().unwrap().password_hash, "first");
}

#[tokio::test]
async fn a_session_is_valid_until_it_expires_and_can_be_extended() {
    let meta = meta().await;
    let ada = user(&meta, "ada").await;
    let id = sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    let (session, owner) = meta.session_by_hash(&[1; 32], NOW_MS + 999).await.unwrap().unwrap();
    assert_eq!((session.id.as_str(), session.address.as_str()), (id.as_str(), "203.0.113.9"));
    assert_eq!(owner, ada);
    assert_eq!(meta.session_by_hash(&[1; 32], NOW_MS + 1000).await.unwrap(), None);
    assert_eq!(meta.session_by_hash(&[9; 32], NOW_MS).await.unwrap(), None);
    meta.extend_session(&id, NOW_MS + 5000).await.unwrap();
    assert!(meta.session_by_hash(&[1; 32], NOW_MS + 1000).await.unwrap().is_some());
    meta.delete_session(&id).await.unwrap();
    assert_eq!(meta.session_by_hash(&[1; 32], NOW_MS).await.unwrap(), None);
}

#[tokio::test]
async fn only_expired_sessions_are_cleared_away() {
    let meta = meta().await;
    let ada = user(&meta, "ada").await;
    sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    let lasting = sign_in(&meta, &ada, 2, NOW_MS + 1001).await;
    assert_eq!(meta.delete_expired_sessions(NOW_MS + 1000).await.unwrap(), 1);
    let left = meta.sessions_of_user(&ada.id).await.unwrap();
    assert_eq!(left.into_iter().map(|session| session.id).collect::<Vec<_>>(), [lasting]);
}

#[tokio::test]
async fn a_session_needs_an_account() {
    let meta = meta().await;
    let new = NewSession {
        secret_hash: [1; 32],
        user_id: "nobody".into(),
        expires_ms: NOW_MS + 1,
        address: String::new(),
    };
    let error = meta.create_session(new, NOW_MS).await.unwrap_err();
    assert!(matches!(error, MetaError::Database(_)), "{error}");
}

#[tokio::test]
async fn an_api_token_is_found_until_it_expires_or_is_revoked() {
    let meta = meta().await;
    let id = api_token(&meta, "grafana", 1, None).await.unwrap();
    api_token(&meta, "build", 2, Some(NOW_MS + 1000)).await.unwrap();
    let found = meta.api_token_by_hash(&[1; 32], i64::MAX).await.unwrap().unwrap();
    assert_eq!(
        (found.id.as_str(), found.role, found.last_used_ms),
        (id.as_str(), Role::Writer, None)
    );
    assert!(meta.api_token_by_hash(&[2; 32], NOW_MS + 999).await.unwrap().is_some());
    assert_eq!(meta.api_token_by_hash(&[2; 32], NOW_MS + 1000).await.unwrap(), None);

    meta.touch_api_token(&id, NOW_MS + 7).await.unwrap();
    let listed = meta.list_api_tokens().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|t| (t.name.as_str(), t.last_used_ms)).collect();
    assert_eq!(listed, [("build", None), ("grafana", Some(NOW_MS + 7))]);

    meta.revoke_api_token(&id).await.unwrap();
    assert_eq!(meta.api_token_by_hash(&[1; 32], NOW_MS).await.unwrap(), None);
    meta.revoke_api_token("build").await.unwrap();
    assert_eq!(meta.list_api_tokens().await.unwrap(), []);
    let error = meta.revoke_api_token("build").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no API token \"build\"");
}

#[tokio::test]
async fn the_name_of_an_api_token_is_free_again_once_it_is_revoked() {
    let meta = meta().await;
    api_token(&meta, "grafana", 1, None).await.unwrap();
    let error = api_token(&meta, "grafana", 2, None).await.unwrap_err();
    assert!(matches!(error, MetaError::NameTaken { what: "an API token", .. }), "{error}");
    meta.revoke_api_token("grafana").await.unwrap();
    api_token(&meta, "grafana", 2, None).await.unwrap();
}

#[tokio::test]
async fn a_setting_is_what_it_was_set_to_last() {
    let meta = meta().await;
    assert_eq!(meta.setting("retention").await.unwrap(), None);
    meta.set_setting("retention", "400d").await.unwrap();
    meta.set_setting("language", "zh").await.unwrap();
    meta.set_setting("retention", "30d").await.unwrap();
    assert_eq!(meta.setting("retention").await.unwrap().as_deref(), Some("30d"));
    assert_eq!(meta.setting("language").await.unwrap().as_deref(), Some("zh"));
}
