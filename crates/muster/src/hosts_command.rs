//! `muster hosts`: the fleet as a table, its worst hosts first to the eye: those that are silent.

use muster_api::{Host, HostList, HostState};

use crate::cli::TargetArgs;
use crate::client::Session;
use crate::size::format_size;
use crate::table;

/// Lists the hosts with their main figures.
pub(crate) async fn run(args: TargetArgs) -> anyhow::Result<()> {
    let session = Session::open(&args).await?;
    let answer: anyhow::Result<HostList> = session.client.get("/api/muster/v1/hosts").await;
    session.done().await;
    let list = answer?;
    if args.json {
        table::print(&format!("{}\n", serde_json::to_string_pretty(&list)?));
    } else {
        table::print(&text(&list));
    }
    Ok(())
}

fn text(list: &HostList) -> String {
    if list.hosts.is_empty() {
        return "No agent has joined yet: make a token with `muster enroll-token`.\n".into();
    }
    let headings = [
        "HOST",
        "STATE",
        "FOR",
        "CPU",
        "MEMORY",
        "LOAD",
        "RECEIVES",
        "SENDS",
        "FULLEST DISK",
        "SYSTEM",
    ];
    let mut hosts: Vec<&Host> = list.hosts.iter().collect();
    hosts.sort_by_key(|host| (host.state == HostState::Up, host.instance.clone()));
    let rows: Vec<Vec<String>> = hosts.into_iter().map(|host| row(host, list.now_ms)).collect();
    table::render(&headings, &rows)
}

fn row(host: &Host, now_ms: i64) -> Vec<String> {
    let state = match host.state {
        HostState::Up => "up",
        HostState::Silent => "silent",
    };
    let percent = |value: Option<f64>| told(value, |value| format!("{value:.0} %"));
    let rate = |value: Option<f64>| {
        told(value, |value| format!("{}/s", format_size(value.max(0.0) as u64)))
    };
    let disk = host.worst_disk.as_ref();
    vec![
        host.instance.clone(),
        state.into(),
        duration(now_ms - host.state_since_ms),
        percent(host.cpu_percent),
        percent(host.memory_percent),
        told(host.load1, |load| format!("{load:.2}")),
        rate(host.receive_bytes_per_second),
        rate(host.transmit_bytes_per_second),
        disk.map_or("-".into(), |disk| format!("{:.0} % {}", disk.used_percent, disk.mountpoint)),
        host.os.clone().unwrap_or_else(|| "-".into()),
    ]
}

/// A figure as text, `-` where the host has not told it.
fn told(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "-".into(), text)
}

/// The two largest parts of a duration.
pub(crate) fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use muster_api::Disk;

    use super::*;

    fn host(instance: &str, state: HostState) -> Host {
        Host {
            instance: instance.into(),
            groups: vec![],
            tags: vec![],
            next_full: None,
            state,
            state_since_ms: 1_000,
            last_sample_ms: None,
            agent_version: None,
            os: Some("Debian 13".into()),
            kernel: None,
            architecture: None,
            cpus: None,
            memory_bytes: None,
            boot_time_ms: None,
            cpu_percent: Some(12.4),
            memory_percent: None,
            swap_percent: None,
            load1: Some(0.5),
            receive_bytes_per_second: Some(2_500.0),
            transmit_bytes_per_second: Some(f64::NAN),
            worst_disk: Some(Disk {
                mountpoint: "/srv".into(),
                used_percent: 91.2,
                size_bytes: 1.0,
                available_bytes: 0.1,
            }),
        }
    }

    #[test]
    fn silent_hosts_come_first_and_what_is_not_known_is_a_dash() {
        let hosts = vec![host("a", HostState::Up), host("b", HostState::Silent)];
        let text = text(&HostList { now_ms: 91_000, hosts, removed: vec![], figures: None });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("b     silent  1m30s  12 %  -       0.50"), "{text}");
        assert!(lines[2].contains("91 % /srv"), "{text}");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn durations() {
        for (ms, expected) in
            [(-5, "0s"), (61_000, "1m1s"), (7_380_000, "2h3m"), (180_000_000, "2d2h")]
        {
            assert_eq!(duration(ms), expected);
        }
    }
}
