//! All rows into a file and back into another database, as a backup and a restore do.

use muster_meta::{AuditFilter, MetaError, NewAgent, NewEnrollToken, Role, check_database};
use serde_json::json;

use super::{NOW_MS, add_user, by, meta, place};

#[tokio::test]
async fn a_backup_holds_everything_and_goes_into_an_empty_database_only() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = add_user(&meta, "ada", Role::Admin).await.unwrap();
    for number in 0..450 {
        add_user(&meta, &format!("user {number:03}"), Role::Viewer).await.unwrap();
    }
    meta.begin_totp(&ada.id, b"seed").await.unwrap();
    meta.confirm_totp(&by(), &ada.id, 1, &[[9; 32]], NOW_MS).await.unwrap();
    let token = NewEnrollToken {
        secret_hash: [1; 32],
        uses: 2,
        expires_ms: NOW_MS + 1,
        groups: vec!["机房".into()],
        tags: vec!["a".into()],
    };
    meta.create_enroll_token(&by(), token, NOW_MS).await.unwrap();
    let agent = NewAgent {
        instance: "web-1".into(),
        public_key: [2; 32],
        version: "1".into(),
        address: "::1".into(),
    };
    let joined = meta.enroll_agent(&[1; 32], agent, NOW_MS).await.unwrap().agent;
    meta.set_setting(&by(), "x", &json!({ "y": [1.5, null] }), None, NOW_MS).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("muster.db");
    meta.copy_to_file(&file).await.unwrap();
    add_user(&meta, "later", Role::Viewer).await.unwrap();
    assert_eq!(check_database(&file).await.unwrap(), [""; 0]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(meta.copy_to_file(&file).await.is_err());

    let other = place().await.unwrap();
    let restored = other.open().await.unwrap();
    restored.take_from_file(&file).await.unwrap();
    assert_eq!(restored.count_users().await.unwrap(), 451);
    assert_eq!(restored.user(&ada.id).await.unwrap().unwrap().name, "ada");
    assert_eq!(restored.totp(&ada.id).await.unwrap().unwrap().secret, b"seed");
    assert_eq!(restored.recovery_codes_left(&ada.id).await.unwrap(), 1);
    assert_eq!(restored.agent_by_public_key(&[2; 32]).await.unwrap(), Some(joined));
    assert_eq!(restored.list_settings().await.unwrap(), meta.list_settings().await.unwrap());
    let target = AuditFilter { target: Some("ada".into()), ..Default::default() };
    let entries = restored.audit_page(&target, None, 10).await.unwrap();
    assert_eq!(entries, meta.audit_page(&target, None, 10).await.unwrap());
    assert_eq!(entries.entries.len(), 2);

    let error = restored.take_from_file(&file).await.unwrap_err();
    assert!(matches!(error, MetaError::NotEmpty { table: "users", .. }), "{error}");
    assert_eq!(restored.count_users().await.unwrap(), 451);
}
