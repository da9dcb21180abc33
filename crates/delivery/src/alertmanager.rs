//! An existing Alertmanager: alerts go to it as a Prometheus sends them, and its routes decide then.

use muster_alerting::LabelMap;
use reqwest::Url;
use serde::Serialize;

use crate::channel::{Channel, Sending};
use crate::http_client::HttpClient;
use crate::message::Message;
use crate::webhook::{generator_url, time};

/// How long an alert is said to hold if nothing more is heard of it, in milliseconds: three days, the time for which the
/// word that it is resolved is tried to be sent. Without an end, an Alertmanager would resolve it after five minutes, as
/// messages are repeated rarer than Prometheus repeats alerts.
const HOLDS_FOR_MS: i64 = crate::WAITS_FOR_MS;

/// An Alertmanager.
pub(crate) struct Alertmanager {
    http: HttpClient,
    url: Url,
    authorization: Option<String>,
}

impl Alertmanager {
    /// The one at `base`, which may have a path that its own paths are under.
    pub(crate) fn new(http: HttpClient, base: &Url, authorization: Option<&str>) -> Self {
        let mut url = base.clone();
        url.set_path(&format!("{}/api/v2/alerts", base.path().trim_end_matches('/')));
        Self { http, url, authorization: authorization.map(str::to_owned) }
    }
}

impl Channel for Alertmanager {
    fn send<'a>(&'a self, message: &'a Message<'a>) -> Sending<'a> {
        Box::pin(async {
            let authorization = self.authorization.as_deref();
            self.http.post(&self.url, message.id, authorization, body(message)).await
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostableAlert<'a> {
    labels: &'a LabelMap,
    annotations: &'a LabelMap,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
}

/// The alerts of a message, as `POST /api/v2/alerts` takes them.
pub(crate) fn body(message: &Message<'_>) -> Vec<u8> {
    let notification = message.notification;
    let alerts = notification.alerts.iter().map(|alert| {
        let ends_at_ms = match alert.ends_at_ms.filter(|_| !alert.firing) {
            Some(ended) => ended,
            None if alert.firing => notification.at_ms + HOLDS_FOR_MS,
            None => notification.at_ms,
        };
        PostableAlert {
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: time(Some(alert.starts_at_ms)),
            ends_at: time(Some(ends_at_ms)),
            generator_url: generator_url(alert, message),
        }
    });
    serde_json::to_vec(&alerts.collect::<Vec<_>>()).expect("texts can be written as JSON")
}
