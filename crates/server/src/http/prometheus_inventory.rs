//! What Prometheus's API tells of where samples come from and what they mean: targets, metadata, and the empty lists
//! of what the server does not do yet.
//!
//! Every agent is a target of the one scrape pool `node`; it is up while its agent is connected.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use muster_collectors::{Kind, Metric, Unit, metric_of};
use muster_series::{METRIC_NAME, TimeRange};
use serde_json::{Value, json};

use super::authority::Reader;
use super::prometheus_params::Params;
use super::prometheus_reply::{PromFailure, data_answer, data_reply};
use super::prometheus_status::time_text;
use super::prometheus_work::answer;
use crate::app::App;
use crate::roster::Entry;

/// The job of every agent, and the name of their scrape pool.
const POOL: &str = "node";

/// The agents.
pub(crate) async fn targets(
    _: Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let state = params.get("state").unwrap_or("any");
    if !matches!(state, "any" | "active" | "dropped") {
        return Err(PromFailure::bad_data(
            "invalid parameter \"state\": use any, active or dropped",
        ));
    }
    let wanted = state != "dropped" && params.get("scrapePool").is_none_or(|pool| pool == POOL);
    let entries = if wanted { app.roster.all() } else { Vec::new() };
    let active: Vec<Value> = entries.iter().map(|entry| target(entry)).collect();
    Ok(data_reply(&json!({
        "activeTargets": active,
        "droppedTargets": [],
        "droppedTargetCounts": { POOL: 0 },
    })))
}

fn target(entry: &Entry) -> Value {
    let presence = entry.presence();
    let newest_ms = *entry.newest().borrow();
    let (health, last_error) = if presence.connected {
        ("up", String::new())
    } else {
        ("down", format!("the agent is not connected since {}", time_text(presence.since_ms)))
    };
    json!({
        "discoveredLabels": { "__address__": &*entry.instance, "job": POOL },
        "labels": { "instance": &*entry.instance, "job": POOL },
        "scrapePool": POOL,
        "scrapeUrl": "",
        "globalUrl": "",
        "lastError": last_error,
        "lastScrape": time_text(newest_ms),
        "lastScrapeDuration": 0.0,
        "health": health,
        "scrapeInterval": "",
        "scrapeTimeout": "",
    })
}

/// The names of the scrape pools.
pub(crate) async fn scrape_pools(_: Reader) -> Response {
    data_reply(&json!({ "scrapePools": [POOL] }))
}

/// What is known of each metric that the store has.
pub(crate) async fn metadata(
    Reader(who): Reader,
    State(app): State<Arc<App>>,
    params: Params,
) -> Result<Response, PromFailure> {
    let limit = params.limit()?;
    // A metric has one meaning here, so that any number of them is enough.
    params.number("limit_per_metric")?;
    let wanted = params.get("metric").map(str::to_owned);
    answer(&app, &who, params.allowance()?, move |store, _| {
        let names = match wanted {
            Some(name) => vec![name],
            None => store.label_values(METRIC_NAME, &[], TimeRange::ALL, usize::MAX)?,
        };
        let known = names.into_iter().filter_map(|name| Some((meaning(&name)?, name)));
        let known: BTreeMap<String, [Value; 1]> =
            known.take(limit).map(|(meaning, name)| (name, [meaning])).collect();
        Ok(data_answer(&json!(known)))
    })
    .await
}

fn meaning(name: &str) -> Option<Value> {
    let of =
        |kind: &str, unit: &str, help: &str| json!({ "type": kind, "unit": unit, "help": help });
    if name == "up" {
        return Some(of("gauge", "", "1 while the agent of the host is connected, else 0."));
    }
    let Metric { kind, unit, help, .. } = metric_of(name)?;
    let kind = match kind {
        Kind::Counter => "counter",
        // `node_exporter` exposes these as gauges, and so do we.
        Kind::Gauge | Kind::Info => "gauge",
        Kind::Untyped => "unknown",
    };
    let unit = match unit {
        Unit::None | Unit::TurnsPerMinute => "",
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::Bits => "bits",
        Unit::Celsius => "celsius",
        Unit::Volts => "volts",
        Unit::Amperes => "amperes",
        Unit::Watts => "watts",
        Unit::Joules => "joules",
        Unit::Hertz => "hertz",
    };
    Some(of(kind, unit, help))
}

/// The Alertmanagers that are told of them.
pub(crate) async fn alertmanagers(_: Reader) -> Response {
    data_reply(&json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))
}

/// Notes to the people who look at Prometheus's own page, and metadata by target: neither exists here.
pub(crate) async fn nothing(_: Reader) -> Response {
    data_reply(&json!([]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_the_words_of_openmetrics() {
        let cpu = meaning("node_cpu_seconds_total").unwrap();
        assert_eq!(
            (cpu["type"].as_str(), cpu["unit"].as_str()),
            (Some("counter"), Some("seconds"))
        );
        assert_eq!(meaning("node_memory_MemFree_bytes").unwrap()["unit"], "bytes");
        assert_eq!(meaning("node_vmstat_pgfault").unwrap()["type"], "unknown");
        assert_eq!(meaning("up").unwrap()["type"], "gauge");
        assert_eq!(meaning("of_somebody_else"), None);
    }
}
