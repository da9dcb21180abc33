//! What the alerting writes down: records, steps, firings, messages and channels.

use muster_meta::{
    AlertingChange, AuditFilter, Episode, EpisodeFilter, MetaError, NewMessage, Record, Secrets,
    TrailLine, WaitingFor,
};
use serde_json::json;

use super::{NOW_MS, by, meta, place};

fn record(key: &str, value: i64) -> Record {
    Record { kind: "alert".into(), key: key.into(), value: json!(value) }
}

fn line(alert: &str, at_ms: i64, text: &str) -> TrailLine {
    TrailLine {
        at_ms,
        alert: alert.into(),
        kind: "firing".into(),
        receiver: None,
        message: None,
        subject: None,
        value: Some(1.5),
        text: text.into(),
    }
}

fn episode(alert: &str, starts_at_ms: i64, ends_at_ms: Option<i64>) -> Episode {
    Episode {
        alert: alert.into(),
        name: "DiskFull".into(),
        severity: "warning".into(),
        instance: Some("web-1".into()),
        labels: json!({ "mountpoint": "/srv/100%_full" }),
        annotations: json!({}),
        starts_at_ms,
        ends_at_ms,
        messages: 1,
    }
}

fn message(id: &str, channel_id: &str) -> NewMessage {
    NewMessage {
        id: id.into(),
        channel_id: channel_id.into(),
        subject: "disk full".into(),
        notification: json!({ "a": [1] }),
        alerts: vec!["aa".into()],
    }
}

#[tokio::test]
async fn records_are_replaced_and_forgotten_by_kind_and_key() {
    let Some((meta, _place)) = meta().await else { return };
    let put = |records: Vec<Record>| AlertingChange { put: records, ..AlertingChange::default() };
    let first = put(vec![record("a", 1), record("b", 2), record("b", 3)]);
    meta.commit_alerting(&first, NOW_MS).await.unwrap();
    let second = AlertingChange {
        remove: vec![("alert".into(), "a".into()), ("other".into(), "b".into())],
        ..put(vec![record("b", 4), record("c", 5)])
    };
    meta.commit_alerting(&second, NOW_MS).await.unwrap();
    assert_eq!(meta.records("alert").await.unwrap(), [record("b", 4), record("c", 5)]);
    assert_eq!(meta.records("other").await.unwrap(), []);
}

#[tokio::test]
async fn a_thousand_alerts_are_one_change() {
    let Some((meta, _place)) = meta().await else { return };
    let numbers = 0..1_200;
    let change = AlertingChange {
        put: numbers.clone().map(|n| record(&n.to_string(), n)).collect(),
        trail: numbers.clone().map(|n| line("aa", NOW_MS, &n.to_string())).collect(),
        episodes: numbers.clone().map(|n| episode(&format!("{n:x}"), NOW_MS, None)).collect(),
        messages: numbers.map(|n| message(&n.to_string(), "c")).collect(),
        ..AlertingChange::default()
    };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();
    assert_eq!(meta.records("alert").await.unwrap().len(), 1_200);
    assert_eq!(meta.waiting_messages().await.unwrap().messages, 1_200);
    let trail = meta.trail_of("aa", NOW_MS, NOW_MS).await.unwrap();
    let texts: Vec<String> = trail.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, (0..1_200).map(|n| n.to_string()).collect::<Vec<_>>(), "in their order");
}

#[tokio::test]
async fn what_others_send_holds_up_nothing() {
    let Some((meta, _place)) = meta().await else { return };
    let odd = "a\0b\u{202e}\u{7f}\r\n🦀";
    let change = AlertingChange {
        put: vec![record(odd, 1)],
        trail: vec![TrailLine { subject: Some(odd.into()), ..line("aa", NOW_MS, odd) }],
        episodes: vec![Episode { name: odd.into(), ..episode("aa", NOW_MS, None) }],
        messages: vec![NewMessage { subject: odd.into(), ..message("1", "c") }],
        ..AlertingChange::default()
    };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();
    let text = &meta.trail_of("aa", NOW_MS, NOW_MS).await.unwrap()[0].text;
    assert_eq!(*text, odd.replace('\0', "\u{fffd}"));
    // Quotes are written with a sign before each: a single statement would be larger than MariaDB takes.
    let large = json!("\"".repeat(62_000));
    let records = (0..300).map(|n| Record { value: large.clone(), ..record(&n.to_string(), n) });
    let put = AlertingChange { put: records.collect(), ..AlertingChange::default() };
    meta.commit_alerting(&put, NOW_MS).await.unwrap();
    let kept = meta.records("alert").await.unwrap();
    assert_eq!(kept.iter().filter(|record| record.value == large).count(), 300);
}

#[tokio::test]
async fn a_change_in_halves_is_the_whole_change() {
    let change = AlertingChange {
        put: vec![record("a", 1), record("b", 2)],
        remove: vec![("alert".into(), "c".into())],
        trail: vec![line("aa", NOW_MS, "one")],
        episodes: vec![episode("aa", NOW_MS, None)],
        messages: vec![message("1", "c")],
    };
    let mut parts = vec![change.clone()];
    let mut ones = Vec::new();
    while let Some(part) = parts.pop() {
        if part.len() > 1 {
            let (first, second) = part.halved();
            parts.extend([second, first]);
        } else {
            ones.push(part);
        }
    }
    assert_eq!(ones.len(), 6);
    assert_eq!(ones[0].messages, change.messages, "messages are written first");
    let mut whole = AlertingChange::default();
    for one in ones {
        whole.put.extend(one.put);
        whole.remove.extend(one.remove);
        whole.trail.extend(one.trail);
        whole.episodes.extend(one.episodes);
        whole.messages.extend(one.messages);
    }
    assert_eq!(whole, change);
}

#[tokio::test]
async fn steps_are_found_by_alert_and_time_and_forgotten_when_old() {
    let Some((meta, _place)) = meta().await else { return };
    let trail = vec![
        line("aa", NOW_MS, "one"),
        line("bb", NOW_MS + 5, "other"),
        line("aa", NOW_MS + 10, "two"),
    ];
    let change = AlertingChange { trail: trail.clone(), ..AlertingChange::default() };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();
    let of_aa = meta.trail_of("aa", 0, i64::MAX).await.unwrap();
    assert_eq!(of_aa, [trail[0].clone(), trail[2].clone()]);
    assert_eq!(meta.trail_of("aa", NOW_MS + 1, NOW_MS + 10).await.unwrap(), [trail[2].clone()]);
    assert_eq!(meta.trail_between(NOW_MS, NOW_MS + 5).await.unwrap(), trail[..2]);
    assert_eq!(meta.prune_alerting(NOW_MS + 5).await.unwrap(), 1);
    assert_eq!(meta.trail_between(0, i64::MAX).await.unwrap(), trail[1..]);
}

#[tokio::test]
async fn firings_change_are_searched_and_paged() {
    let Some((meta, _place)) = meta().await else { return };
    let episodes = vec![episode("aa", NOW_MS, None), episode("bb", NOW_MS + 1, Some(NOW_MS + 5))];
    let change = AlertingChange { episodes, ..AlertingChange::default() };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();
    let ended = Episode { messages: 2, ..episode("aa", NOW_MS, Some(NOW_MS + 9)) };
    let change = AlertingChange { episodes: vec![ended.clone()], ..AlertingChange::default() };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();

    let (page, next) = meta.episodes(&EpisodeFilter::default(), 1).await.unwrap();
    assert_eq!(page[0].alert, "bb");
    let rest = EpisodeFilter { before: next, ..EpisodeFilter::default() };
    assert_eq!(meta.episodes(&rest, 1).await.unwrap(), (vec![ended], None));

    let found = async |filter: EpisodeFilter| {
        let (page, _) = meta.episodes(&filter, 10).await.unwrap();
        page.into_iter().map(|episode| episode.alert).collect::<Vec<_>>()
    };
    let searched = |text: &str| EpisodeFilter { search: Some(text.into()), ..Default::default() };
    assert_eq!(found(searched("100%_full")).await, ["bb", "aa"]);
    assert_eq!(found(searched("100_%full")).await, [""; 0]);
    let late = EpisodeFilter { from_ms: Some(NOW_MS + 6), ..Default::default() };
    assert_eq!(found(late).await, ["aa"]);
    let host = EpisodeFilter { instance: Some("web-2".into()), ..Default::default() };
    assert_eq!(found(host).await, [""; 0]);
}

#[tokio::test]
async fn a_message_waits_until_it_is_taken_or_given_up() {
    let Some((meta, _place)) = meta().await else { return };
    let settings = json!({ "kind": "webhook" });
    let channel =
        meta.create_channel(&by(), "ops", &settings, &Secrets::new(), NOW_MS).await.unwrap();
    let messages = vec![message("1", &channel.id), message("2", &channel.id)];
    let change = AlertingChange { messages, ..AlertingChange::default() };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();
    // The same change once more queues nothing anew.
    meta.commit_alerting(&change, NOW_MS + 1).await.unwrap();
    assert_eq!(meta.due_messages(&channel.id, NOW_MS, 10).await.unwrap().len(), 2);

    meta.message_taken("1", "200 OK", NOW_MS + 2).await.unwrap();
    let later = NOW_MS + 60_000;
    meta.message_failed("2", "refused", Some(later), NOW_MS + 2).await.unwrap();
    meta.message_failed("2", "refused", Some(later), NOW_MS + 3).await.unwrap();
    assert_eq!(meta.due_messages(&channel.id, NOW_MS + 3, 10).await.unwrap(), []);
    let waiting = meta.waiting_messages().await.unwrap();
    assert_eq!((waiting.messages, waiting.oldest_ms), (1, Some(NOW_MS)));
    let one = WaitingFor {
        channel_id: channel.id.clone(),
        messages: 1,
        oldest_ms: NOW_MS,
        next_try_ms: later,
        latest_try_ms: later,
    };
    assert_eq!(waiting.by_channel, [one]);
    assert_eq!(meta.due_messages("another", later, 10).await.unwrap(), []);
    // The first message is not queued again, though it is told again.
    meta.commit_alerting(&change, NOW_MS + 4).await.unwrap();
    let due = meta.due_messages(&channel.id, later, 10).await.unwrap();
    assert_eq!((due.len(), due[0].attempts), (1, 2));
    meta.message_failed("2", "refused", None, later).await.unwrap();
    assert_eq!(meta.waiting_messages().await.unwrap().messages, 0);
    let kinds: Vec<String> =
        meta.trail_of("aa", 0, i64::MAX).await.unwrap().into_iter().map(|line| line.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "failed").count(), 1, "{kinds:?}");
    assert!(kinds.contains(&"sent".into()) && kinds.contains(&"given_up".into()), "{kinds:?}");
    let seen = &meta.list_channels().await.unwrap()[0];
    assert_eq!((seen.last_sent_ms, seen.failure.as_deref()), (Some(NOW_MS + 2), Some("refused")));
    assert_eq!(meta.prune_messages(NOW_MS + 1).await.unwrap(), 2);
    assert_eq!(meta.list_messages(10).await.unwrap(), []);
}

#[tokio::test]
async fn secrets_of_channels_are_sealed_kept_and_never_told() {
    let Some((meta, place)) = meta().await else { return };
    let secrets = |pairs: &[(&str, &str)]| -> Secrets {
        pairs.iter().map(|(name, secret)| (name.to_string(), secret.to_string())).collect()
    };
    let settings = json!({ "url": "http://x" });
    let all = secrets(&[("password", "hunter2"), ("authorization", "Bearer q")]);
    let made = meta.create_channel(&by(), "ops", &settings, &all, NOW_MS).await.unwrap();
    assert_eq!(made.secret_names, ["authorization", "password"]);
    let taken = meta.create_channel(&by(), "ops", &settings, &all, NOW_MS).await.unwrap_err();
    assert!(matches!(taken, MetaError::NameTaken { .. }), "{taken}");

    let change = secrets(&[("authorization", ""), ("url", "http://y/secret")]);
    let changed =
        meta.change_channel(&by(), &made.id, "night", &settings, &change, NOW_MS).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.secret_names.len()), ("night", 2));
    let (_, kept) = meta.channel(&made.id).await.unwrap().unwrap();
    assert_eq!(kept, secrets(&[("password", "hunter2"), ("url", "http://y/secret")]));
    let audit = meta.audit_page(&AuditFilter::default(), None, 100).await.unwrap();
    assert!(!format!("{audit:?}").contains("hunter2"));
    assert!(!format!("{:?}", meta.list_channels().await.unwrap()).contains("hunter2"));

    let queued = AlertingChange { messages: vec![message("1", &made.id)], ..Default::default() };
    meta.commit_alerting(&queued, NOW_MS).await.unwrap();
    meta.remove_channel(&by(), &made.id, NOW_MS).await.unwrap();
    assert_eq!(meta.waiting_messages().await.unwrap().messages, 0);
    assert!(meta.channel(&made.id).await.unwrap().is_none());
    drop(place);
}

#[tokio::test]
async fn a_backup_holds_it_all() {
    let Some((meta, _place)) = meta().await else { return };
    let channel =
        meta.create_channel(&by(), "ops", &json!({}), &Secrets::new(), NOW_MS).await.unwrap();
    let change = AlertingChange {
        put: vec![record("a", 1)],
        trail: vec![line("aa", NOW_MS, "one")],
        episodes: vec![episode("aa", NOW_MS, None)],
        messages: vec![message("1", &channel.id)],
        ..AlertingChange::default()
    };
    meta.commit_alerting(&change, NOW_MS).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("muster.db");
    meta.copy_to_file(&file).await.unwrap();
    let other = place().await.unwrap();
    let restored = other.open().await.unwrap();
    restored.take_from_file(&file).await.unwrap();
    assert_eq!(restored.records("alert").await.unwrap(), change.put);
    assert_eq!(restored.trail_between(0, i64::MAX).await.unwrap(), change.trail);
    assert_eq!(restored.list_channels().await.unwrap(), [channel]);
    assert_eq!(restored.list_messages(10).await.unwrap(), meta.list_messages(10).await.unwrap());
    assert_eq!(restored.episodes(&EpisodeFilter::default(), 10).await.unwrap().0, change.episodes);
}
