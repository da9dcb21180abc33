//! The audit log: an entry for every change, found again, a page at a time.

use muster_meta::{Actor, AuditEntry, AuditFilter, Meta, NewApiToken, Role, Target};
use serde_json::json;

use super::{NOW_MS, add_user, by, meta, user};

async fn all(meta: &Meta, filter: AuditFilter) -> Vec<AuditEntry> {
    meta.audit_page(&filter, None, 1_000).await.unwrap().entries
}

async fn actions(meta: &Meta, filter: AuditFilter) -> Vec<String> {
    let mut actions: Vec<_> = all(meta, filter).await.into_iter().map(|e| e.action).collect();
    actions.reverse();
    actions
}

#[tokio::test]
async fn a_change_is_written_down_with_what_was_before_and_after() {
    let Some((meta, _place)) = meta().await else { return };
    let admin = add_user(&meta, "ada", Role::Admin).await.unwrap();
    let bob = user(&meta, "bob").await;
    let ada = Actor::user(&admin, "203.0.113.9");
    meta.set_role(&ada, &bob.id, Role::Viewer, NOW_MS + 5).await.unwrap();
    // What changes nothing is no deed.
    meta.set_role(&ada, &bob.id, Role::Viewer, NOW_MS + 6).await.unwrap();
    meta.set_password_hash(&ada, &bob.id, "secret hash", None, NOW_MS + 7).await.unwrap();
    let entries = all(&meta, AuditFilter { actor: Some("ada".into()), ..Default::default() }).await;
    assert_eq!(entries.len(), 2);
    let role = &entries[1];
    assert_eq!((role.at_ms, role.action.as_str()), (NOW_MS + 5, "user.role"));
    assert_eq!(role.actor, ada);
    assert_eq!(role.target, Target::new("user", &bob.id, "bob"));
    assert_eq!(role.before.as_ref().unwrap()["role"], json!("operator"));
    assert_eq!(role.after.as_ref().unwrap()["role"], json!("viewer"));
    assert_eq!((entries[0].action.as_str(), &entries[0].after), ("user.password", &None));
    let whole = format!("{:?}", all(&meta, AuditFilter::default()).await);
    assert!(!whole.contains("secret hash") && !whole.contains("first"), "{whole}");
}

#[tokio::test]
async fn what_is_refused_leaves_no_entry_behind() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = add_user(&meta, "ada", Role::Admin).await.unwrap();
    assert!(add_user(&meta, "ada", Role::Viewer).await.is_err());
    assert!(meta.remove_user(&by(), &ada.id, NOW_MS).await.is_err());
    assert!(meta.revoke_api_token(&by(), "none", NOW_MS).await.is_err());
    assert_eq!(actions(&meta, AuditFilter::default()).await, ["user.create"]);
}

#[tokio::test]
async fn entries_are_found_by_time_actor_action_and_target() {
    let Some((meta, _place)) = meta().await else { return };
    let bob = user(&meta, "bob").await;
    for number in 0..3_u8 {
        let new = NewApiToken {
            name: format!("token {number}"),
            role: Role::Writer,
            secret_hash: [number; 32],
            expires_ms: None,
        };
        let by = Actor::user(&bob, "::1");
        meta.create_api_token(&by, new, NOW_MS + 10 + i64::from(number)).await.unwrap();
    }
    let nobody = Actor::nobody("eve", "198.51.100.7");
    let target = Target::new("user", &bob.id, "bob");
    meta.record_deed(&nobody, "session.refused", target, None, NOW_MS + 20).await.unwrap();

    let check = async |filter: AuditFilter, expected: &[&str]| {
        assert_eq!(actions(&meta, filter.clone()).await, expected, "{filter:?}");
    };
    let any = AuditFilter::default;
    let [create, made, refused] = ["user.create", "token.create", "session.refused"];
    check(any(), &[create, made, made, made, refused]).await;
    let (from_ms, until_ms) = (Some(NOW_MS + 11), Some(NOW_MS + 20));
    check(AuditFilter { from_ms, until_ms, ..any() }, &[made, made]).await;
    check(AuditFilter { from_ms: until_ms, ..any() }, &[refused]).await;
    check(AuditFilter { actor: Some("eve".into()), ..any() }, &[refused]).await;
    check(AuditFilter { actor: Some(bob.id.clone()), ..any() }, &[made, made, made]).await;
    check(AuditFilter { action: Some("token".into()), ..any() }, &[made, made, made]).await;
    check(AuditFilter { action: Some("user.create".into()), ..any() }, &[create]).await;
    check(AuditFilter { action: Some("tok".into()), ..any() }, &[]).await;
    check(AuditFilter { target: Some("bob".into()), ..any() }, &[create, refused]).await;
    check(AuditFilter { target: Some("token 1".into()), ..any() }, &[made]).await;
}

#[tokio::test]
async fn pages_and_export_hold_every_entry_once() {
    let Some((meta, _place)) = meta().await else { return };
    // Many in one millisecond, and one clock that went back.
    for number in 0..1_205_i64 {
        let at_ms = if number == 700 { NOW_MS - 5 } else { NOW_MS + number / 400 };
        let target = Target::new("thing", &number.to_string(), "");
        meta.record_deed(&by(), "thing.done", target, None, at_ms).await.unwrap();
    }
    let (mut pages, mut ids, mut after) = (0, Vec::new(), None);
    loop {
        let page = meta.audit_page(&AuditFilter::default(), after.as_deref(), 500).await.unwrap();
        pages += 1;
        ids.extend(page.entries.into_iter().map(|entry| entry.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((pages, ids.len()), (3, 1_205));
    assert!(ids.is_sorted_by(|a, b| a > b));

    let mut export = meta.audit_export(AuditFilter::default());
    let mut exported = Vec::new();
    while let Some(entries) = export.next_page().await.unwrap() {
        exported.extend(entries.into_iter().map(|entry| entry.id));
    }
    assert_eq!(exported, ids);
    let mut none = meta.audit_export(AuditFilter { from_ms: Some(i64::MAX), ..Default::default() });
    assert_eq!(none.next_page().await.unwrap(), None);
}
