//! Settings, and who notices that one was changed meanwhile.

use muster_meta::MetaError;
use serde_json::json;

use super::{NOW_MS, by, meta};

#[tokio::test]
async fn a_setting_is_what_it_was_set_to_last() {
    let Some((meta, _place)) = meta().await else { return };
    assert_eq!(meta.setting("retention").await.unwrap(), None);
    let long = json!({ "days": 400, "name": "长".repeat(50_000) });
    meta.set_setting(&by(), "retention", &long, None, NOW_MS).await.unwrap();
    meta.set_setting(&by(), "language", &json!("zh"), None, NOW_MS).await.unwrap();
    assert_eq!(meta.setting("retention").await.unwrap().unwrap().value, long);
    meta.set_setting(&by(), "retention", &json!(30), None, NOW_MS + 1).await.unwrap();
    let listed = meta.list_settings().await.unwrap();
    let listed: Vec<_> =
        listed.iter().map(|s| (s.name.as_str(), s.value.clone(), s.version)).collect();
    assert_eq!(listed, [("language", json!("zh"), 1), ("retention", json!(30), 2)]);
}

#[tokio::test]
async fn nobody_overwrites_a_setting_they_have_not_seen() {
    let Some((meta, _place)) = meta().await else { return };
    let set = async |value: i64, expected| {
        meta.set_setting(&by(), "days", &json!(value), Some(expected), NOW_MS).await
    };
    assert_eq!(set(1, 0).await.unwrap().version, 1);
    let error = set(2, 0).await.unwrap_err();
    assert!(matches!(error, MetaError::Changed { version: 1, .. }), "{error}");
    assert_eq!(set(3, 1).await.unwrap().version, 2);
    assert!(set(4, 1).await.is_err());
    let kept = meta.setting("days").await.unwrap().unwrap();
    assert_eq!((kept.value, kept.version), (json!(3), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_change_one_version_at_once_one_wins() {
    let Some((meta, place)) = meta().await else { return };
    let other = place.open().await.unwrap();
    for version in 0..2 {
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let meta = if number % 2 == 0 { meta.clone() } else { other.clone() };
                tokio::spawn(async move {
                    meta.set_setting(&by(), "days", &json!(number), Some(version), NOW_MS).await
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, MetaError::Changed { .. }), "{error}"),
            }
        }
        assert_eq!(won, 1);
        assert_eq!(meta.setting("days").await.unwrap().unwrap().version, version + 1);
    }
}
