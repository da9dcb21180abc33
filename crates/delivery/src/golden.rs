//! Whole messages as they look, in both languages.

use expect_test::{Expect, expect};
use jiff::tz::{Offset, TimeZone};
use muster_alerting::{LabelMap, Notification, NotificationKind, NotifiedAlert};
use muster_api::MessageLanguage;

use crate::letter::Letter;
use crate::message::{Message, Place};
use crate::words::Words;
use crate::{alertmanager, for_channel, html, plain, subject, webhook};

const START_MS: i64 = 1_767_225_600_000;

fn map(pairs: &[(&str, &str)]) -> LabelMap {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn alert(instance: &str, severity: &str, annotations: &[(&str, &str)]) -> NotifiedAlert {
    NotifiedAlert {
        fingerprint: format!("{:016x}", instance.len() * 1_000 + severity.len()),
        firing: true,
        labels: map(&[("alertname", "DiskFull"), ("instance", instance), ("severity", severity)]),
        annotations: map(annotations),
        starts_at_ms: START_MS,
        ends_at_ms: None,
        value: Some(97.5),
        threshold: None,
        unit: String::new(),
        generator_url: String::new(),
    }
}

fn notification(kind: NotificationKind, alerts: Vec<NotifiedAlert>) -> Notification {
    Notification {
        id: "42".into(),
        receiver: "ops".into(),
        kind,
        group_key: "{}:{alertname=\"DiskFull\"}".into(),
        group_labels: map(&[("alertname", "DiskFull")]),
        common_labels: map(&[("alertname", "DiskFull")]),
        common_annotations: LabelMap::new(),
        incident: "7".into(),
        alerts,
        left_out: 0,
        swallowed: 0,
        at_ms: START_MS + 2_000,
    }
}

fn told() -> NotifiedAlert {
    alert(
        "db-1",
        "critical",
        &[
            ("summary", "/var on db-1 is full"),
            ("description", "97.5 % of 100 GB are used; the limit is 95 %."),
            ("action", "Delete what is not needed:\n  du -xh /var | sort -h"),
            ("summary_zh", "db-1 的 /var 已满"),
            ("description_zh", "100 GB 已用 97.5 %,阈值为 95 %。"),
            ("action_zh", "清理不需要的文件。"),
        ],
    )
}

fn resolved(alert: NotifiedAlert) -> NotifiedAlert {
    NotifiedAlert { firing: false, ends_at_ms: Some(START_MS + 60_000), ..alert }
}

fn place() -> Place {
    Place {
        public_url: "https://muster.example".into(),
        zone: TimeZone::fixed(Offset::constant(8)),
    }
}

fn message<'a>(
    notification: &'a Notification,
    language: MessageLanguage,
    place: &'a Place,
) -> Message<'a> {
    Message { id: "42/1", notification, language, place }
}

#[expect(clippy::needless_pass_by_value, reason = "an expectation is made where it is used")]
#[track_caller]
fn check_plain(notification: &Notification, language: MessageLanguage, expected: Expect) {
    let place = place();
    let letter = Letter::write(&message(notification, language, &place));
    let text = plain::render(&letter, Words(language));
    expected.assert_eq(&format!("{}\n\n{text}", letter.subject));
}

#[test]
fn one_alert_in_english() {
    let notification = notification(NotificationKind::Change, vec![told()]);
    check_plain(
        &notification,
        MessageLanguage::English,
        expect![[r"
        [Critical] /var on db-1 is full

        [Critical] /var on db-1 is full
        97.5 % of 100 GB are used; the limit is 95 %.
        What to do: Delete what is not needed:
          du -xh /var | sort -h
        Host: db-1
        Since: 2026-01-01 08:00:00 +08:00
        Details: https://muster.example/alerts/0000000000000fa8

        All alerts: https://muster.example/alerts
        -- 
        Sent by Muster to ops.
    "]],
    );
}

#[test]
fn a_value_is_told_with_what_it_is_compared_with() {
    #[track_caller]
    fn check(alert: &NotifiedAlert, language: MessageLanguage, expected: Option<&str>) {
        let notification = notification(NotificationKind::Change, vec![alert.clone()]);
        let place = place();
        let letter = Letter::write(&message(&notification, language, &place));
        let facts = &letter.items[0].facts;
        let value = Words(language).value();
        let found = facts.iter().find(|(name, _)| *name == value).map(|(_, text)| &**text);
        assert_eq!(found, expected);
    }
    let (english, chinese) = (MessageLanguage::English, MessageLanguage::Chinese);
    let mut alert = NotifiedAlert { threshold: Some(95.0), unit: "percent".into(), ..told() };
    check(&alert, english, Some("97.5 % (threshold 95 %)"));
    check(&alert, chinese, Some("97.5 %(阈值 95 %)"));
    check(&resolved(alert.clone()), english, None);
    // A rule that only says that something is so has no threshold worth telling.
    alert.unit = String::new();
    check(&alert, english, None);
    alert.annotations = LabelMap::new();
    check(&alert, english, Some("97.5"));
    alert.value = None;
    check(&alert, english, None);
}

#[test]
fn one_alert_in_chinese() {
    let notification = notification(NotificationKind::Repeat, vec![told()]);
    check_plain(
        &notification,
        MessageLanguage::Chinese,
        expect![[r"
        [仍未恢复·严重] db-1 的 /var 已满

        自上次消息以来没有变化;再次提醒,以免遗忘。

        [严重] db-1 的 /var 已满
        100 GB 已用 97.5 %,阈值为 95 %。
        建议操作:清理不需要的文件。
        主机:db-1
        开始时间:2026-01-01 08:00:00 +08:00
        详情:https://muster.example/alerts/0000000000000fa8

        全部告警:https://muster.example/alerts
        -- 
        由 Muster 发送给 ops。
    "]],
    );
}

#[test]
fn what_fires_and_what_is_resolved_in_one_message() {
    let bare = alert("db-22", "warning", &[]);
    let mut notification = notification(NotificationKind::Change, vec![told(), resolved(bare)]);
    notification.swallowed = 3;
    check_plain(
        &notification,
        MessageLanguage::English,
        expect![[r"
        [Critical] DiskFull: 2 alerts on 2 hosts

        1 firing, 1 resolved

        [Critical] /var on db-1 is full
        97.5 % of 100 GB are used; the limit is 95 %.
        What to do: Delete what is not needed:
          du -xh /var | sort -h
        Host: db-1
        Since: 2026-01-01 08:00:00 +08:00
        Details: https://muster.example/alerts/0000000000000fa8

        [Resolved] DiskFull on db-22
        Host: db-22
        Value: 97.5
        Since: 2026-01-01 08:00:00 +08:00
        Resolved: 2026-01-01 08:01:00 +08:00
        Details: https://muster.example/alerts/000000000000138f

        3 other alerts have the same cause and are not told by themselves.

        All alerts: https://muster.example/alerts
        -- 
        Sent by Muster to ops.
    "]],
    );
}

#[test]
fn ten_alerts_are_told_and_the_rest_counted() {
    let alerts = (0..25).map(|n| alert(&format!("web-{n}"), "warning", &[("summary", "Full")]));
    let mut notification = notification(NotificationKind::Storm, alerts.collect());
    notification.left_out = 975;
    let place = place();
    let letter = Letter::write(&message(&notification, MessageLanguage::English, &place));
    assert_eq!(letter.subject, "[Many alerts] DiskFull: 1000 alerts on 25 hosts");
    assert_eq!(letter.items.len(), 10);
    assert_eq!(letter.after, ["and 990 more"]);
}

#[track_caller]
fn check_subject(notification: &Notification, english: &str, chinese: &str) {
    assert_eq!(subject(notification, MessageLanguage::English), english);
    assert_eq!(subject(notification, MessageLanguage::Chinese), chinese);
}

#[test]
fn first_lines_say_how_bad_what_and_where() {
    use NotificationKind::{Change, Escalation, Flapping, Repeat};
    let bare = || alert("db-1", "warning", &[]);
    let of = |kind, alerts| notification(kind, alerts);
    check_subject(&of(Change, vec![bare()]), "[Warning] DiskFull on db-1", "[警告] db-1:DiskFull");
    check_subject(
        &of(Change, vec![resolved(told())]),
        "[Resolved] /var on db-1 is full",
        "[已恢复] db-1 的 /var 已满",
    );
    check_subject(
        &of(Repeat, vec![told()]),
        "[Still critical] /var on db-1 is full",
        "[仍未恢复·严重] db-1 的 /var 已满",
    );
    check_subject(
        &of(Escalation, vec![told()]),
        "[Unanswered, critical] /var on db-1 is full",
        "[无人处理·严重] db-1 的 /var 已满",
    );
    check_subject(
        &of(Flapping, vec![bare()]),
        "[Flapping] DiskFull on db-1",
        "[反复告警] db-1:DiskFull",
    );
    check_subject(
        &of(Change, vec![bare(), told()]),
        "[Critical] DiskFull: 2 alerts on db-1",
        "[严重] db-1:DiskFull:共 2 条告警",
    );
}

#[test]
fn a_first_line_is_one_line_whatever_is_in_it() {
    let evil = alert("db-1", "page\r\nBcc: all@example.com", &[("summary", "a\r\nBcc: x@y\0 b")]);
    let line =
        subject(&notification(NotificationKind::Change, vec![evil]), MessageLanguage::English);
    assert_eq!(line, "[page Bcc: all@example.com] a Bcc: x@y b on db-1");
    let long = alert("db-1", "info", &[("summary", &"长".repeat(5_000))]);
    let line =
        subject(&notification(NotificationKind::Change, vec![long]), MessageLanguage::English);
    assert!(line.chars().count() <= 161, "{line}");
}

#[test]
fn html_holds_nothing_that_was_not_meant() {
    let evil = alert(
        "db-1",
        "critical",
        &[("summary", "<script>alert(1)</script>"), ("description", "\"'&<img onerror=x>\nline")],
    );
    let notification = notification(NotificationKind::Change, vec![evil]);
    let place = place();
    let letter = Letter::write(&message(&notification, MessageLanguage::English, &place));
    let page = html::render(&letter, Words(MessageLanguage::English));
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&quot;&#39;&amp;&lt;img onerror=x&gt;<br>line"), "{page}");
    assert!(page.contains("href=\"https://muster.example/alerts/"), "{page}");
}

#[test]
fn a_webhooks_body_is_alertmanagers() {
    let mut two =
        notification(NotificationKind::Change, vec![told(), resolved(alert("b", "info", &[]))]);
    two.alerts[0].annotations = map(&[("summary", "full")]);
    (two.alerts[0].threshold, two.alerts[0].unit) = (Some(95.0), "percent".into());
    two.alerts[1].value = Some(f64::NAN);
    two.alerts[1].generator_url = "http://prometheus/graph".into();
    two.left_out = 4;
    let place = place();
    let body = webhook::body(&message(&two, MessageLanguage::English, &place));
    let raw = String::from_utf8(body).unwrap();
    expect![[r#"
        {"receiver":"ops",
        "status":"firing",
        "alerts":[{"status":"firing",
        "labels":{"alertname":"DiskFull",
        "instance":"db-1",
        "severity":"critical"},
        "annotations":{"summary":"full"},
        "startsAt":"2026-01-01T00:00:00Z",
        "endsAt":"0001-01-01T00:00:00Z",
        "generatorURL":"https://muster.example/alerts/0000000000000fa8",
        "fingerprint":"0000000000000fa8",
        "value":97.5,
        "threshold":95.0,
        "unit":"percent"},{"status":"resolved",
        "labels":{"alertname":"DiskFull",
        "instance":"b",
        "severity":"info"},
        "annotations":{},
        "startsAt":"2026-01-01T00:00:00Z",
        "endsAt":"2026-01-01T00:01:00Z",
        "generatorURL":"http://prometheus/graph",
        "fingerprint":"00000000000003ec"}],
        "groupLabels":{"alertname":"DiskFull"},
        "commonLabels":{"alertname":"DiskFull"},
        "commonAnnotations":{},
        "externalURL":"https://muster.example",
        "version":"4",
        "groupKey":"{}:{alertname=\"DiskFull\"}",
        "truncatedAlerts":4}"#]]
    .assert_eq(&raw.replace(",\"", ",\n\""));
}

#[test]
fn an_alertmanager_hears_when_alerts_end() {
    let two =
        notification(NotificationKind::Change, vec![told(), resolved(alert("b", "info", &[]))]);
    let place = place();
    let body = alertmanager::body(&message(&two, MessageLanguage::English, &place));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body[0]["startsAt"], "2026-01-01T00:00:00Z");
    assert_eq!(body[0]["endsAt"], "2026-01-04T00:00:02Z");
    assert_eq!(body[1]["endsAt"], "2026-01-01T00:01:00Z");
    assert_eq!(body[0]["generatorURL"], "https://muster.example/alerts/0000000000000fa8");
}

#[test]
fn a_channel_may_be_told_of_what_fires_only() {
    let both = notification(NotificationKind::Change, vec![told(), resolved(told())]);
    assert_eq!(for_channel(&both, true).map(|kept| kept.alerts.len()), Some(2));
    assert_eq!(for_channel(&both, false).map(|kept| kept.alerts.len()), Some(1));
    let over = notification(NotificationKind::Change, vec![resolved(told())]);
    assert_eq!(for_channel(&over, false), None);
}
