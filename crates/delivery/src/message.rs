//! A message as a channel gets it: what was decided, in which language, seen from where.

use jiff::tz::TimeZone;
use muster_alerting::{
    LabelMap, Notification, NotificationKind, NotifiedAlert, fingerprint, format_fingerprint,
};
use muster_api::MessageLanguage;

/// Where a message comes from: what its links and times are told by.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address of the server's page, without a slash at its end.
    pub public_url: String,
    /// The zone that times are told in.
    pub zone: TimeZone,
}

impl Place {
    /// The page of an alert; a test has none, and leads to all.
    pub(crate) fn url_of(&self, alert: &NotifiedAlert, kind: NotificationKind) -> String {
        if kind == NotificationKind::Test {
            return self.alerts_url();
        }
        format!("{}/alerts/{}", self.public_url, alert.fingerprint)
    }

    /// The page of all alerts.
    pub(crate) fn alerts_url(&self) -> String {
        format!("{}/alerts", self.public_url)
    }
}

/// A message to be sent by one channel.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Its number in the outbox: the same whenever it is sent again.
    pub id: &'a str,
    /// What was decided.
    pub notification: &'a Notification,
    /// The language of its texts.
    pub language: MessageLanguage,
    /// Where it comes from.
    pub place: &'a Place,
}

/// What a channel is to tell of a notification: all of it, or with `send_resolved` off what fires only. None if that is
/// nothing.
pub fn for_channel(notification: &Notification, send_resolved: bool) -> Option<Notification> {
    let mut notification = notification.clone();
    if !send_resolved {
        notification.alerts.retain(|alert| alert.firing);
    }
    (!notification.alerts.is_empty()).then_some(notification)
}

/// A message by which a person tries a channel.
pub fn sample_notification(id: String, receiver: &str, now_ms: i64) -> Notification {
    let map = |pairs: &[(&str, &str)]| -> LabelMap {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let labels = map(&[("alertname", "MusterTest"), ("severity", "info")]);
    let annotations = map(&[
        ("summary", "Messages of Muster arrive here"),
        ("description", "Somebody tried this channel on the page. Nothing is wrong."),
        ("action", "Nothing needs to be done."),
        ("summary_zh", "Muster 的消息可以送达这里"),
        ("description_zh", "有人在页面上测试了此通道,一切正常。"),
        ("action_zh", "无需任何操作。"),
    ]);
    Notification {
        incident: id.clone(),
        id,
        receiver: receiver.to_owned(),
        kind: NotificationKind::Test,
        group_key: "{}:{alertname=\"MusterTest\"}".into(),
        group_labels: map(&[("alertname", "MusterTest")]),
        alerts: vec![NotifiedAlert {
            fingerprint: format_fingerprint(fingerprint(&labels)),
            firing: true,
            labels: labels.clone(),
            annotations: annotations.clone(),
            starts_at_ms: now_ms,
            ends_at_ms: None,
            value: None,
            threshold: None,
            unit: String::new(),
            generator_url: String::new(),
        }],
        common_labels: labels,
        common_annotations: annotations,
        left_out: 0,
        swallowed: 0,
        at_ms: now_ms,
    }
}
