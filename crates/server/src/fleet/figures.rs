//! The figures of a row, each an expression with one series a host, at a moment or over the last minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_api::{Host, RecentFigures, RecentList};
use muster_series::{SeriesColumns, TimeRange};

use super::rounding::{hundredths, percent, three_figures};
use crate::ask::{matrix, vector};
use crate::store::MetricStore;

/// Network devices that do not leave the host.
const INNER_DEVICES: &str = "lo|veth.*|docker.*|br-.*|virbr.*|cni.*|flannel.*|cali.*";
/// The distance of two values of a small line: what agents sample at.
const RECENT_STEP_MS: i64 = 5_000;
/// How many values a small line has.
const RECENT_POINTS: i64 = 12;

/// Which figure of a row an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Cpu,
    Cpus,
    Memory,
    MemoryTotal,
    Swap,
    Load,
    Receive,
    Transmit,
    BootTime,
}

/// All figures, in no particular order.
const FIGURES: [Figure; 9] = [
    Figure::Cpu,
    Figure::Cpus,
    Figure::Memory,
    Figure::MemoryTotal,
    Figure::Swap,
    Figure::Load,
    Figure::Receive,
    Figure::Transmit,
    Figure::BootTime,
];

impl Figure {
    fn expression(self) -> String {
        match self {
            Self::Cpu => {
                "100 * (1 - avg by (instance) (irate(node_cpu_seconds_total{mode=\"idle\"}[30s])))"
                    .into()
            }
            Self::Cpus => "count by (instance) (node_cpu_seconds_total{mode=\"idle\"})".into(),
            Self::Memory => {
                "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)".into()
            }
            Self::MemoryTotal => "node_memory_MemTotal_bytes".into(),
            Self::Swap => {
                "100 * (1 - node_memory_SwapFree_bytes / (node_memory_SwapTotal_bytes > 0))".into()
            }
            Self::Load => "node_load1".into(),
            Self::Receive => network("receive"),
            Self::Transmit => network("transmit"),
            Self::BootTime => "node_boot_time_seconds * 1000".into(),
        }
    }

    fn set(self, host: &mut Host, value: f64) {
        match self {
            // The kernel's idle counter may step back a little, which would show as less than nothing.
            Self::Cpu => host.cpu_percent = Some(value.clamp(0.0, 100.0)),
            Self::Cpus => host.cpus = Some(value),
            Self::Memory => host.memory_percent = Some(value),
            Self::MemoryTotal => host.memory_bytes = Some(value),
            Self::Swap => host.swap_percent = Some(value),
            Self::Load => host.load1 = Some(value),
            Self::Receive => host.receive_bytes_per_second = Some(value),
            Self::Transmit => host.transmit_bytes_per_second = Some(value),
            Self::BootTime => host.boot_time_ms = Some(value as i64),
        }
    }
}

fn network(direction: &str) -> String {
    format!(
        "sum by (instance) (irate(node_network_{direction}_bytes_total{{device!~\"{INNER_DEVICES}\"}}[30s]))"
    )
}

/// Fills in what the hosts' series say at a moment.
pub(super) fn fill(store: &dyn MetricStore, hosts: &mut BTreeMap<Arc<str>, Host>, at_ms: i64) {
    for figure in FIGURES {
        for (labels, value) in vector(store, &figure.expression(), at_ms) {
            if let Some(host) = labels.get("instance").and_then(|name| hosts.get_mut(name)) {
                figure.set(host, value);
            }
        }
    }
}

/// A figure with a small line: its expression, and where its values go.
type Drawn = (Figure, fn(&mut RecentFigures) -> &mut Vec<Option<f64>>, fn(f64) -> f64);

const DRAWN: [Drawn; 4] = [
    (Figure::Cpu, |recent| &mut recent.cpu, percent),
    (Figure::Load, |recent| &mut recent.load, hundredths),
    (Figure::Receive, |recent| &mut recent.receive, three_figures),
    (Figure::Transmit, |recent| &mut recent.transmit, three_figures),
];

/// The minute before a moment.
pub(super) fn recent(store: &dyn MetricStore, until_ms: i64) -> RecentList {
    // On a grid that stands still, so that who asks later gets the same values.
    let last_ms = until_ms - until_ms.rem_euclid(RECENT_STEP_MS);
    let first_ms = last_ms - (RECENT_POINTS - 1) * RECENT_STEP_MS;
    let range = TimeRange::new(first_ms, last_ms);
    let mut hosts: BTreeMap<String, RecentFigures> = BTreeMap::new();
    for (figure, column, rounded) in DRAWN {
        for series in matrix(store, &figure.expression(), range, RECENT_STEP_MS) {
            if let Some(instance) = series.labels.get("instance") {
                let recent = hosts.entry(instance.to_owned()).or_default();
                *column(recent) = on_grid(&series, first_ms, rounded);
            }
        }
    }
    RecentList { first_ms, step_ms: RECENT_STEP_MS, hosts }
}

fn on_grid(series: &SeriesColumns, first_ms: i64, rounded: fn(f64) -> f64) -> Vec<Option<f64>> {
    let mut values = vec![None; RECENT_POINTS as usize];
    for sample in series.samples().filter(|sample| sample.value.is_finite()) {
        let place = usize::try_from((sample.timestamp_ms - first_ms) / RECENT_STEP_MS);
        if let Some(value) = place.ok().and_then(|place| values.get_mut(place)) {
            *value = Some(rounded(sample.value));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use muster_series::Labels;

    use super::*;

    #[test]
    fn every_expression_is_valid() {
        for figure in FIGURES {
            let text = figure.expression();
            assert!(muster_promql::parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_small_line_keeps_its_holes() {
        let mut series = SeriesColumns::new(Labels::empty());
        series.timestamps = vec![10_000, 20_000, 900_000];
        series.values = vec![1.234_5, f64::NAN, 7.0];
        let values = on_grid(&series, 5_000, hundredths);
        assert_eq!(values.len(), 12);
        assert_eq!(values[..4], [None, Some(1.23), None, None]);
    }
}
