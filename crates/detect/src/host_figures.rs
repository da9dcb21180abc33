//! The figures of a host whose rhythm is learned: some twenty that say how it fares, none of which stands for a device.
//!
//! A figure is an expression with one series a host; `$I` in it is where matchers of one host go.

use crate::baseline::{Direction, Sensitivity};

/// A figure whose rhythm is learned.
#[derive(Debug)]
pub struct HostFigure {
    /// Its name in the label `metric` of what is told of it.
    pub metric: &'static str,
    expression: &'static str,
    /// What is nearer than this to the expected value is never unusual, in the figure's unit.
    least: f64,
    direction: Direction,
}

const fn up(metric: &'static str, expression: &'static str, least: f64) -> HostFigure {
    HostFigure { metric, expression, least, direction: Direction::Up }
}

const fn both(metric: &'static str, expression: &'static str, least: f64) -> HostFigure {
    HostFigure { metric, expression, least, direction: Direction::Both }
}

/// All of them. Devices inside of hosts (loopback, containers, bridges) and parts of disks are left out.
pub const HOST_FIGURES: [HostFigure; 20] = [
    both(
        "cpu_percent",
        r#"100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{$I mode="idle"}[5m])))"#,
        10.0,
    ),
    up(
        "cpu_iowait_percent",
        r#"100 * avg by (instance) (rate(node_cpu_seconds_total{$I mode="iowait"}[5m]))"#,
        5.0,
    ),
    up("load5", "max by (instance) (node_load5{$I})", 1.0),
    up("processes_blocked", "max by (instance) (avg_over_time(node_procs_blocked{$I}[5m]))", 3.0),
    both(
        "memory_percent",
        "100 * (1 - max by (instance) (node_memory_MemAvailable_bytes{$I}) / max by (instance) (node_memory_MemTotal_bytes{$I}))",
        5.0,
    ),
    up(
        "swap_bytes",
        "max by (instance) (node_memory_SwapTotal_bytes{$I} - node_memory_SwapFree_bytes{$I})",
        268_435_456.0,
    ),
    up(
        "cpu_pressure_percent",
        "100 * max by (instance) (rate(node_pressure_cpu_waiting_seconds_total{$I}[5m]))",
        5.0,
    ),
    up(
        "memory_pressure_percent",
        "100 * max by (instance) (rate(node_pressure_memory_waiting_seconds_total{$I}[5m]))",
        2.0,
    ),
    up(
        "io_pressure_percent",
        "100 * max by (instance) (rate(node_pressure_io_waiting_seconds_total{$I}[5m]))",
        5.0,
    ),
    up(
        "disk_read_bytes",
        r#"sum by (instance) (rate(node_disk_read_bytes_total{$I device!~"dm-.*|md.*"}[5m]))"#,
        1_048_576.0,
    ),
    up(
        "disk_written_bytes",
        r#"sum by (instance) (rate(node_disk_written_bytes_total{$I device!~"dm-.*|md.*"}[5m]))"#,
        1_048_576.0,
    ),
    up(
        "disk_busy_percent",
        "100 * max by (instance) (rate(node_disk_io_time_seconds_total{$I}[5m]))",
        10.0,
    ),
    both(
        "network_receive_bytes",
        r#"sum by (instance) (rate(node_network_receive_bytes_total{$I device!~"lo|veth.*|br-.*|docker.*|cni.*|virbr.*"}[5m]))"#,
        125_000.0,
    ),
    both(
        "network_transmit_bytes",
        r#"sum by (instance) (rate(node_network_transmit_bytes_total{$I device!~"lo|veth.*|br-.*|docker.*|cni.*|virbr.*"}[5m]))"#,
        125_000.0,
    ),
    up(
        "network_errors",
        "sum by (instance) (rate(node_network_receive_errs_total{$I}[5m])) + sum by (instance) (rate(node_network_transmit_errs_total{$I}[5m]))",
        1.0,
    ),
    both("tcp_connections", "max by (instance) (node_netstat_Tcp_CurrEstab{$I})", 20.0),
    up("tcp_retransmits", "max by (instance) (rate(node_netstat_Tcp_RetransSegs{$I}[5m]))", 2.0),
    both(
        "context_switches",
        "max by (instance) (rate(node_context_switches_total{$I}[5m]))",
        1_000.0,
    ),
    up("forks", "max by (instance) (rate(node_forks_total{$I}[5m]))", 5.0),
    up("temperature_celsius", "max by (instance) (node_hwmon_temp_celsius{$I})", 5.0),
];

impl HostFigure {
    /// The expression of all hosts, in PromQL.
    pub fn of_all(&self) -> String {
        self.expression.replace("$I", "")
    }

    /// The expression of one host.
    pub fn of(&self, instance: &str) -> String {
        let quoted = instance.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        self.expression.replace("$I", &format!("instance=\"{quoted}\","))
    }

    /// How far from usual is unusual.
    pub fn sensitivity(&self) -> Sensitivity {
        Sensitivity {
            least_deviation: self.least,
            direction: self.direction,
            ..Sensitivity::default()
        }
    }
}
