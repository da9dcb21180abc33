//! `muster alerts`: what fires as a table, the most urgent and newest first.

use form_urlencoded::Serializer;
use muster_api::{Alert, AlertHush, AlertList, AlertState, Severity};

use crate::cli::AlertsArgs;
use crate::client::Session;
use crate::hosts_command::duration;
use crate::table;

/// Lists the alerts that are asked for.
pub(crate) async fn run(args: AlertsArgs) -> anyhow::Result<()> {
    let path = path(&args);
    let session = Session::open(&args.target).await?;
    let answer: anyhow::Result<AlertList> = session.client.get(&path).await;
    session.done().await;
    let list = answer?;
    if args.target.json {
        table::print(&format!("{}\n", serde_json::to_string_pretty(&list)?));
    } else {
        table::print(&text(&list));
    }
    Ok(())
}

fn path(args: &AlertsArgs) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(args.severity.iter().map(|severity| ("severity", severity)));
    query.extend_pairs(args.instance.iter().map(|instance| ("instance", instance)));
    format!("/api/muster/v1/alerts?{}", query.finish())
}

/// The alerts as a table.
pub(crate) fn text(list: &AlertList) -> String {
    if list.alerts.is_empty() {
        return "No such alert.\n".into();
    }
    let headings = ["SEVERITY", "ALERT", "HOST", "STATE", "FOR", "NOBODY IS TOLD", "SUMMARY"];
    let rows: Vec<Vec<String>> = list.alerts.iter().map(|alert| row(alert, list.at_ms)).collect();
    table::render(&headings, &rows)
}

fn row(alert: &Alert, now_ms: i64) -> Vec<String> {
    let severity = match alert.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let (state, since_ms) = match alert.state {
        AlertState::Pending => ("pending", Some(alert.active_at_ms)),
        AlertState::Firing => ("firing", alert.starts_at_ms),
        AlertState::Resolved => ("resolved", alert.ends_at_ms),
    };
    let hush = alert.hush.map_or("-", |hush| match hush {
        AlertHush::Silenced => "silenced",
        AlertHush::Inhibited => "explained by another",
        AlertHush::Muted => "muted at this time",
        AlertHush::Flapping => "flapping",
        AlertHush::NoReceiver => "no receiver",
    });
    let summary = alert.annotations.get("summary").map_or("-", String::as_str);
    vec![
        severity.into(),
        alert.name.clone(),
        alert.instance.clone().unwrap_or_else(|| "-".into()),
        state.into(),
        duration(now_ms - since_ms.unwrap_or(alert.active_at_ms)),
        hush.into(),
        // A text of another program must not spoil the table.
        summary.split_whitespace().collect::<Vec<_>>().join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use muster_api::AlertCounts;
    use serde_json::json;

    use super::*;

    fn alert() -> Alert {
        let value = json!({
            "id": "1", "name": "DiskFull", "severity": "critical", "state": "firing",
            "instance": "db-1", "labels": {}, "annotations": { "summary": "a\nb" }, "unit": "",
            "expression": "", "active_at_ms": 1_000, "starts_at_ms": 2_000, "hush": "silenced",
            "silenced_by": ["s"], "inhibited_by": [], "incident": "1", "receivers": [],
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_alert_is_one_line() {
        let list =
            AlertList { alerts: vec![alert()], counts: AlertCounts::default(), at_ms: 62_000 };
        let text = text(&list);
        assert_eq!(text.lines().count(), 2, "{text}");
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["critical", "DiskFull", "db-1", "firing", "1m0s", "silenced", "a", "b"]);
    }

    #[test]
    fn what_is_asked_for_is_escaped() {
        use clap::Parser as _;
        let line = ["muster", "alerts", "--severity", "critical", "--instance", "a&b"];
        let cli = crate::cli::Cli::parse_from(line);
        let crate::cli::Command::Alerts(args) = cli.command else { panic!("another command") };
        assert_eq!(path(&args), "/api/muster/v1/alerts?severity=critical&instance=a%26b");
    }
}
