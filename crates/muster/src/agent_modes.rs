//! What an agent can do without a server: say once what it would send, and serve `/metrics` for an existing Prometheus.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use muster_agent::{HostSource, Scraper, Source as _, serve_metrics, stored_settings};
use muster_collectors::{CollectorSettings, Roots};
use muster_environment::{Clock, SystemClock};
use muster_exposition::Family;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::table;

/// Prints all that the agent of this host would send now.
pub(crate) async fn once(settings: CollectorSettings, json: bool) -> anyhow::Result<()> {
    let work = tokio::task::spawn_blocking(move || scraper(&settings).collect());
    let families = work.await.context("the collectors failed")?;
    if json {
        let families: Vec<Value> = families.iter().map(as_json).collect();
        table::print(&format!("{:#}\n", Value::from(families)));
    } else {
        table::print(&muster_exposition::write(&families));
    }
    Ok(())
}

/// The settings that hold on this host: those of its server, as far as they are on record and allowed.
pub(crate) fn settings(state_dir: &Path, central: bool) -> CollectorSettings {
    if !central {
        return CollectorSettings::default();
    }
    stored_settings(state_dir).unwrap_or_else(|error| {
        tracing::warn!(state_dir = %state_dir.display(), %error, "the server's settings cannot be read; the defaults hold");
        CollectorSettings::default()
    })
}

fn scraper(settings: &CollectorSettings) -> Scraper {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut source = HostSource::new(&Roots::default(), Arc::clone(&clock));
    source.configure(settings);
    Scraper::new(Box::new(source), clock)
}

fn as_json(family: &Family) -> Value {
    let samples: Vec<Value> = family
        .points
        .iter()
        .map(|point| {
            let own = point.labels.iter().filter(|(name, _)| *name != muster_series::METRIC_NAME);
            let labels: serde_json::Map<String, Value> =
                own.map(|(name, value)| (name.to_owned(), value.into())).collect();
            // JSON has no NaN and no infinities.
            let value = if point.value.is_finite() {
                json!(point.value)
            } else {
                json!(point.value.to_string())
            };
            json!({ "labels": labels, "value": value })
        })
        .collect();
    json!({ "name": family.name, "type": family.kind.as_str(), "help": family.help, "samples": samples })
}

/// A listener for `/metrics` at work.
pub(crate) struct MetricsListener {
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl MetricsListener {
    /// Listens where `--listen-metrics` says.
    pub(crate) async fn start(text: &str, settings: &CollectorSettings) -> anyhow::Result<Self> {
        let address = parse_address(text)?;
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; is another exporter there? Choose another address with --listen-metrics")
        })?;
        let address = listener.local_addr().context("the address of --listen-metrics")?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "everybody who reaches this address can read this host's metrics");
        }
        tracing::info!("metrics for Prometheus at http://{address}/metrics");
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve_metrics(listener, scraper(settings), stopped));
        Ok(Self { stop, serving })
    }

    /// Stops it; whoever is just asking is cut off.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listener for metrics failed");
        }
    }
}

/// `ADDRESS:PORT`, or a port on this machine alone.
fn parse_address(text: &str) -> anyhow::Result<SocketAddr> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    match text.parse() {
        Ok(address) => Ok(address),
        Err(_) => bail!(
            "--listen-metrics {text:?} is no ADDRESS:PORT; give a port alone for this machine only, such as 9100, or 0.0.0.0:9100 for everybody"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(parse_address(text).ok(), expected.map(|text| text.parse().unwrap()), "{text}");
    }

    #[test]
    fn a_port_alone_is_for_this_machine_only() {
        check("9100", Some("127.0.0.1:9100"));
        check("0.0.0.0:9100", Some("0.0.0.0:9100"));
        check("[::1]:9100", Some("[::1]:9100"));
        check(":9100", None);
        check("99999", None);
        check("web-1", None);
    }

    #[test]
    fn what_json_cannot_hold_is_a_text() {
        let mut family = Family::new("m", muster_exposition::Kind::Gauge, "Help.");
        family.push([("device", "sda")], f64::NAN).unwrap();
        family.push([], 1.5).unwrap();
        let samples = json!([
            { "labels": { "device": "sda" }, "value": "NaN" },
            { "labels": {}, "value": 1.5 }
        ]);
        let expected = json!({ "name": "m", "type": "gauge", "help": "Help.", "samples": samples });
        assert_eq!(as_json(&family), expected);
    }
}
