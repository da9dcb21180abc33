//! `muster doctor` on a host: what its agent misses, why, and what to do about it.
//!
//! What a machine lacks is told apart from what this user may not read. Nothing is changed, and the agent's session is
//! left alone.

mod finding;
mod probes;
mod server;

use std::path::{Path, PathBuf};

use anyhow::bail;
use muster_agent::{HostSource, Scraper};
use muster_collectors::{Roots, collector_names};
use muster_environment::SystemClock;
use muster_exposition::Family;
use serde_json::Value;

use crate::agent_modes;
use crate::table;
use finding::{Finding, State};

/// Looks at this host and at the state folder of its agent. An error if something is wrong that a person must mend.
pub(crate) async fn run(state_dir: PathBuf, json: bool) -> anyhow::Result<()> {
    let mut findings = vec![probes::whoami()];
    let settings = agent_modes::settings(&state_dir, true);
    let off: Vec<String> = settings.off.iter().cloned().collect();
    let families = tokio::task::spawn_blocking(collect).await?;
    findings.extend(of_collectors(&families, &off));
    findings.extend(probes::permissions(Path::new("/")));
    findings.push(clock(&families));
    findings.extend(probes::state_folder(&state_dir));
    findings.push(probes::unit(Path::new("/")));
    findings.extend(server::check(&state_dir).await);
    if json {
        let findings: Vec<Value> = findings.iter().map(Finding::json).collect();
        table::print(&format!("{:#}\n", Value::from(findings)));
    } else {
        table::print(&finding::text(&findings));
    }
    match findings.iter().filter(|finding| finding.state == State::Wrong).count() {
        0 => Ok(()),
        1 => bail!("one thing is wrong; what is missing besides is told above"),
        wrong => bail!("{wrong} things are wrong; what is missing besides is told above"),
    }
}

fn collect() -> Vec<Family> {
    let clock: std::sync::Arc<dyn muster_environment::Clock> =
        std::sync::Arc::new(SystemClock::new());
    let source = HostSource::new(&Roots::default(), std::sync::Arc::clone(&clock));
    Scraper::new(Box::new(source), clock).collect()
}

/// What the collectors bring; those that bring nothing are named, as the machine may lack what they read.
fn of_collectors(families: &[Family], off: &[String]) -> Vec<Finding> {
    let success = families.iter().find(|family| family.name == "node_scrape_collector_success");
    let failed: Vec<&str> = success
        .into_iter()
        .flat_map(|family| &family.points)
        .filter(|point| point.value == 0.0)
        .filter_map(|point| point.labels.get("collector"))
        .collect();
    let series: usize = families.iter().map(|family| family.points.len()).sum();
    let count = collector_names().len();
    let mut findings = Vec::new();
    if failed.is_empty() {
        let what = format!("all {count} collectors work; {series} series");
        findings.push(Finding::fine("collectors", what));
    } else {
        findings.push(Finding::wrong(
            "collectors",
            format!("{} of {count} collectors fail: {}", failed.len(), failed.join(", ")),
            "the lines of `muster agent --once` on the terminal say why",
        ));
    }
    if !off.is_empty() {
        findings.push(Finding::missing(
            "collectors",
            format!("switched off by the server's settings: {}", off.join(", ")),
            "an administrator changes that on the page, under Settings, Agents; --no-central-settings leaves it out here",
        ));
    }
    findings
}

/// Whether the kernel's clock is held right, as far as a collector tells.
fn clock(families: &[Family]) -> Finding {
    let synchronized = families.iter().find(|family| family.name == "node_timex_sync_status");
    match synchronized.and_then(|family| family.points.first()).map(|point| point.value) {
        Some(1.0) => Finding::fine("clock", "it is synchronized".into()),
        Some(_) => Finding::missing(
            "clock",
            "no program keeps it right".into(),
            "let NTP set it: `timedatectl set-ntp true`, or install chrony; a wrong clock puts samples at wrong times",
        ),
        None => {
            Finding::absent("clock", "the kernel does not say whether it is synchronized".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_exposition::Kind;

    use super::*;

    fn success(values: &[(&str, f64)]) -> Vec<Family> {
        let mut family = Family::new("node_scrape_collector_success", Kind::Gauge, "");
        for (collector, value) in values {
            family.push([("collector", *collector)], *value).unwrap();
        }
        vec![family]
    }

    #[test]
    fn collectors_that_fail_are_named() {
        let found = of_collectors(&success(&[("stat", 1.0), ("mdadm", 0.0)]), &[]);
        assert_eq!(found[0].state, State::Wrong);
        assert!(found[0].what.ends_with("fail: mdadm"), "{}", found[0].what);
        let found = of_collectors(&success(&[("stat", 1.0)]), &["hwmon".into()]);
        assert_eq!((found[0].state, found[1].state), (State::Fine, State::Missing));
    }

    #[test]
    fn a_clock_that_nobody_keeps_right_is_told() {
        let family = |value| {
            let mut family = Family::new("node_timex_sync_status", Kind::Gauge, "");
            family.push([], value).unwrap();
            vec![family]
        };
        assert_eq!(clock(&family(1.0)).state, State::Fine);
        assert_eq!(clock(&family(0.0)).state, State::Missing);
        assert_eq!(clock(&[]).state, State::Absent);
    }
}
