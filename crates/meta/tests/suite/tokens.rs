//! API tokens: as long as they are valid, and one by its name.

use muster_meta::{Meta, MetaError, NewApiToken, Role};

use super::{NOW_MS, by, meta};

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
    Ok(meta.create_api_token(&by(), new, NOW_MS).await?.id)
}

#[tokio::test]
async fn an_api_token_is_found_until_it_expires_or_is_revoked() {
    let Some((meta, _place)) = meta().await else { return };
    let id = api_token(&meta, "grafana", 1, None).await.unwrap();
    api_token(&meta, "build", 2, Some(NOW_MS + 1000)).await.unwrap();
    let found = meta.api_token_by_hash(&[1; 32], i64::MAX).await.unwrap().unwrap();
    assert_eq!((&found.id, found.role, found.last_used_ms), (&id, Role::Writer, None));
    assert_eq!(found.made_by, "root");
    assert!(meta.api_token_by_hash(&[2; 32], NOW_MS + 999).await.unwrap().is_some());
    assert_eq!(meta.api_token_by_hash(&[2; 32], NOW_MS + 1000).await.unwrap(), None);

    meta.revoke_api_token(&by(), &id, NOW_MS).await.unwrap();
    assert_eq!(meta.api_token_by_hash(&[1; 32], NOW_MS).await.unwrap(), None);
    let revoked = meta.revoke_api_token(&by(), "build", NOW_MS).await.unwrap();
    assert_eq!(revoked.name, "build");
    assert_eq!(meta.list_api_tokens().await.unwrap(), []);
    let error = meta.revoke_api_token(&by(), "build", NOW_MS).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no API token \"build\"");
}

#[tokio::test]
async fn the_last_use_of_a_token_is_written_once_a_minute() {
    let Some((meta, _place)) = meta().await else { return };
    let id = api_token(&meta, "grafana", 1, None).await.unwrap();
    api_token(&meta, "build", 2, None).await.unwrap();
    for (now_ms, expected) in [(7, 7), (8, 7), (60_006, 7), (60_007, 60_007)] {
        meta.touch_api_token(&id, NOW_MS + now_ms).await.unwrap();
        let listed = meta.list_api_tokens().await.unwrap();
        let listed: Vec<_> = listed.iter().map(|t| (t.name.as_str(), t.last_used_ms)).collect();
        assert_eq!(listed, [("build", None), ("grafana", Some(NOW_MS + expected))]);
    }
}

#[tokio::test]
async fn the_name_of_an_api_token_is_free_again_once_it_is_revoked() {
    let Some((meta, _place)) = meta().await else { return };
    api_token(&meta, "grafana", 1, None).await.unwrap();
    let error = api_token(&meta, "grafana", 2, None).await.unwrap_err();
    assert!(matches!(error, MetaError::NameTaken { what: "an API token", .. }), "{error}");
    meta.revoke_api_token(&by(), "grafana", NOW_MS).await.unwrap();
    api_token(&meta, "grafana", 2, None).await.unwrap();
}
