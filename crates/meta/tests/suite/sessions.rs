//! Sessions: how long they are valid, and what ends them.

use muster_meta::{Meta, MetaError, NewSession, Session, User};

use super::{NOW_MS, by, meta, user};

fn new_session(user: &User, secret: u8, expires_ms: i64) -> NewSession {
    NewSession {
        secret_hash: [secret; 32],
        user_id: user.id.clone(),
        expires_ms,
        ends_ms: NOW_MS + 10_000,
        address: "203.0.113.9".into(),
        user_agent: "Firefox".into(),
        replaces: None,
    }
}

async fn sign_in(meta: &Meta, user: &User, secret: u8, expires_ms: i64) -> Session {
    meta.create_session(new_session(user, secret, expires_ms), NOW_MS).await.unwrap()
}

async fn is_valid(meta: &Meta, secret: u8, now_ms: i64) -> bool {
    meta.session_by_hash(&[secret; 32], now_ms).await.unwrap().is_some()
}

#[tokio::test]
async fn a_session_is_valid_until_it_expires_and_is_put_off_by_use() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = user(&meta, "ada").await;
    let made = sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    let (session, owner) = meta.session_by_hash(&[1; 32], NOW_MS + 999).await.unwrap().unwrap();
    assert_eq!(session, made);
    assert_eq!((session.address.as_str(), session.user_agent.as_str()), ("203.0.113.9", "Firefox"));
    assert_eq!((owner.id, owner.last_sign_in_ms), (ada.id.clone(), Some(NOW_MS)));
    assert!(!is_valid(&meta, 1, NOW_MS + 1000).await);
    assert!(!is_valid(&meta, 9, NOW_MS).await);

    meta.touch_session(&session, NOW_MS + 5000, NOW_MS + 900).await.unwrap();
    let touched = &meta.sessions_of_user(&ada.id, NOW_MS + 4999).await.unwrap()[0];
    assert_eq!((touched.expires_ms, touched.last_seen_ms), (NOW_MS + 5000, NOW_MS + 900));
    meta.touch_session(&session, NOW_MS + 90_000, NOW_MS + 4000).await.unwrap();
    assert!(is_valid(&meta, 1, NOW_MS + 9_999).await);
    assert!(!is_valid(&meta, 1, NOW_MS + 10_000).await);

    meta.delete_session(&by(), &session.id, NOW_MS).await.unwrap();
    meta.delete_session(&by(), &session.id, NOW_MS).await.unwrap();
    assert!(!is_valid(&meta, 1, NOW_MS).await);
}

#[tokio::test]
async fn a_sign_in_ends_the_session_that_the_browser_had() {
    let Some((meta, _place)) = meta().await else { return };
    let (ada, bob) = (user(&meta, "ada").await, user(&meta, "bob").await);
    sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    sign_in(&meta, &ada, 2, NOW_MS + 1000).await;
    let new = NewSession { replaces: Some([1; 32]), ..new_session(&bob, 3, NOW_MS + 1000) };
    meta.create_session(new, NOW_MS).await.unwrap();
    assert!(!is_valid(&meta, 1, NOW_MS).await);
    assert!(is_valid(&meta, 2, NOW_MS).await);
    assert!(is_valid(&meta, 3, NOW_MS).await);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_of_that_account_only() {
    let Some((meta, _place)) = meta().await else { return };
    let (ada, bob) = (user(&meta, "ada").await, user(&meta, "bob").await);
    let own = sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    sign_in(&meta, &ada, 2, NOW_MS + 1000).await;
    sign_in(&meta, &bob, 3, NOW_MS + 1000).await;
    let keep = Some(own.id.as_str());
    meta.set_password_hash(&by(), &ada.id, "second", keep, NOW_MS).await.unwrap();
    assert_eq!(meta.user_by_name("ada").await.unwrap().unwrap().password_hash, "second");
    assert!(is_valid(&meta, 1, NOW_MS).await);
    assert!(!is_valid(&meta, 2, NOW_MS).await);
    assert!(is_valid(&meta, 3, NOW_MS).await);
    meta.set_password_hash(&by(), &ada.id, "third", None, NOW_MS).await.unwrap();
    assert!(!is_valid(&meta, 1, NOW_MS).await);
    let error = meta.set_password_hash(&by(), "nobody", "x", None, NOW_MS).await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "account", .. }), "{error}");
    assert_eq!(meta.user_by_name("bob").await.unwrap().unwrap().password_hash, "first");
}

#[tokio::test]
async fn a_disabled_account_has_no_session_and_gets_none() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = user(&meta, "ada").await;
    sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    meta.set_disabled(&by(), &ada.id, true, NOW_MS).await.unwrap();
    assert!(!is_valid(&meta, 1, NOW_MS).await);
    let refused = meta.create_session(new_session(&ada, 2, NOW_MS + 1000), NOW_MS).await;
    assert!(matches!(refused, Err(MetaError::NotFound { .. })), "{refused:?}");
    meta.set_disabled(&by(), &ada.id, false, NOW_MS).await.unwrap();
    assert!(!is_valid(&meta, 1, NOW_MS).await);
    sign_in(&meta, &ada, 2, NOW_MS + 1000).await;
    meta.remove_user(&by(), &ada.id, NOW_MS).await.unwrap();
    assert!(!is_valid(&meta, 2, NOW_MS).await);
}

#[tokio::test]
async fn all_sessions_of_an_account_end_but_the_one_that_is_kept() {
    let Some((meta, _place)) = meta().await else { return };
    let (ada, bob) = (user(&meta, "ada").await, user(&meta, "bob").await);
    for secret in 1..=3 {
        sign_in(&meta, &ada, secret, NOW_MS + 1000).await;
    }
    sign_in(&meta, &bob, 4, NOW_MS + 1000).await;
    let sessions = meta.sessions_of_user(&ada.id, NOW_MS).await.unwrap();
    assert_eq!(sessions.len(), 3);
    let keep = Some(sessions[1].id.as_str());
    assert_eq!(meta.delete_sessions_of_user(&by(), &ada.id, keep, NOW_MS).await.unwrap(), 2);
    let left = meta.sessions_of_user(&ada.id, NOW_MS).await.unwrap();
    assert_eq!(left, [sessions[1].clone()]);
    assert!(is_valid(&meta, 4, NOW_MS).await);
}

#[tokio::test]
async fn only_expired_sessions_are_cleared_away() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = user(&meta, "ada").await;
    sign_in(&meta, &ada, 1, NOW_MS + 1000).await;
    let lasting = sign_in(&meta, &ada, 2, NOW_MS + 1001).await;
    assert_eq!(meta.delete_expired_sessions(NOW_MS + 1000).await.unwrap(), 1);
    assert_eq!(meta.sessions_of_user(&ada.id, NOW_MS).await.unwrap(), [lasting]);
}

#[tokio::test]
async fn a_session_needs_an_account() {
    let Some((meta, _place)) = meta().await else { return };
    let mut nobody = user(&meta, "ada").await;
    nobody.id = "nobody".into();
    let refused = meta.create_session(new_session(&nobody, 1, NOW_MS + 1), NOW_MS).await;
    assert!(matches!(refused, Err(MetaError::NotFound { .. })), "{refused:?}");
}
