//! A POST with the body that Alertmanager's webhooks have, version 4: field for field, in its order. Behind each alert's
//! fields stand its value, threshold and unit where they are known; readers of Alertmanager's body pass over them.

use std::borrow::Cow;

use jiff::Timestamp;
use muster_alerting::{LabelMap, NotifiedAlert};
use muster_api::MessageLanguage;
use reqwest::Url;
use serde::Serialize;

use crate::channel::{Channel, Sending};
use crate::http_client::HttpClient;
use crate::message::Message;

/// How Alertmanager writes that there is no time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// A webhook.
pub(crate) struct Webhook {
    http: HttpClient,
    url: Url,
    authorization: Option<String>,
}

impl Webhook {
    pub(crate) fn new(http: HttpClient, url: Url, authorization: Option<&str>) -> Self {
        Self { http, url, authorization: authorization.map(str::to_owned) }
    }
}

impl Channel for Webhook {
    fn send<'a>(&'a self, message: &'a Message<'a>) -> Sending<'a> {
        Box::pin(async {
            let authorization = self.authorization.as_deref();
            self.http.post(&self.url, message.id, authorization, body(message)).await
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    group_labels: &'a LabelMap,
    common_labels: &'a LabelMap,
    common_annotations: &'a LabelMap,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: &'a LabelMap,
    annotations: Cow<'a, LabelMap>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
}

/// The body of a message.
pub(crate) fn body(message: &Message<'_>) -> Vec<u8> {
    let notification = message.notification;
    let alert = |alert: &'_ NotifiedAlert| -> (String, String) {
        (time(Some(alert.starts_at_ms)), time(alert.ends_at_ms.filter(|_| !alert.firing)))
    };
    let alerts = notification.alerts.iter().map(|one| {
        let (starts_at, ends_at) = alert(one);
        Alert {
            status: status(one.firing),
            labels: &one.labels,
            annotations: annotations(one, message.language),
            starts_at,
            ends_at,
            generator_url: generator_url(one, message),
            fingerprint: &one.fingerprint,
            // JSON has no other numbers.
            value: one.value.filter(|value| value.is_finite()),
            threshold: one.threshold.filter(|value| value.is_finite()),
            unit: &one.unit,
        }
    });
    let body = Body {
        receiver: &notification.receiver,
        status: status(notification.is_firing()),
        alerts: alerts.collect(),
        group_labels: &notification.group_labels,
        common_labels: &notification.common_labels,
        common_annotations: &notification.common_annotations,
        external_url: &message.place.public_url,
        version: "4",
        group_key: &notification.group_key,
        truncated_alerts: notification.left_out,
    };
    serde_json::to_vec(&body).expect("texts and numbers can be written as JSON")
}

/// An alert's texts. Where the channel speaks Chinese, and there are Chinese texts, they stand under the plain names,
/// which is where a receiver looks.
fn annotations(alert: &NotifiedAlert, language: MessageLanguage) -> Cow<'_, LabelMap> {
    let mut texts = Cow::Borrowed(&alert.annotations);
    if language == MessageLanguage::Chinese {
        for (name, text) in &alert.annotations {
            if let Some(plain) = name.strip_suffix("_zh").filter(|_| !text.is_empty()) {
                texts.to_mut().insert(plain.to_owned(), text.clone());
            }
        }
    }
    texts
}

fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// A link to what made an alert: for rules of this server the alert's page.
pub(crate) fn generator_url(alert: &NotifiedAlert, message: &Message<'_>) -> String {
    if alert.generator_url.is_empty() {
        message.place.url_of(alert, message.notification.kind)
    } else {
        alert.generator_url.clone()
    }
}

/// A time as RFC 3339 has it.
pub(crate) fn time(at_ms: Option<i64>) -> String {
    at_ms
        .and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok())
        .map_or_else(|| NO_TIME.to_owned(), |at| at.to_string())
}
