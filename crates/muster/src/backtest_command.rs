//! `muster rules backtest`: when rules would have fired over what a server has stored.

use std::path::PathBuf;

use anyhow::Context as _;
use muster_api::{Backtest, BacktestEpisode, BacktestResult, Severity};
use muster_environment::{Clock as _, SystemClock};

use crate::cli::BacktestArgs;
use crate::client::Session;
use crate::table;

const DAY_MS: i64 = 86_400_000;

/// Asks the server for a replay and prints what came of it.
pub(crate) async fn run(args: &BacktestArgs) -> anyhow::Result<()> {
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    let yaml = args.file.as_ref().map(read).transpose()?;
    let to_ms = SystemClock::new().now_ms();
    let from_ms = to_ms - i64::from(args.days) * DAY_MS;
    let built_in = args.built_in.clone();
    let wanted = Backtest { built_in, yaml, from_ms, to_ms, ..Backtest::default() };
    let session = Session::open(&args.target).await?;
    let answer: anyhow::Result<BacktestResult> =
        session.client.post("/api/muster/v1/rules/backtest", &wanted).await;
    session.done().await;
    let result = answer?;
    if args.target.json {
        table::print(&format!("{}\n", serde_json::to_string_pretty(&result)?));
    } else {
        table::print(&text(&result));
    }
    Ok(())
}

fn text(result: &BacktestResult) -> String {
    let step_s = result.step_ms / 1_000;
    let counts = format!(
        "Would have fired {} times, with {} messages; evaluated every {step_s} s.\n",
        result.total_episodes, result.total_messages
    );
    if result.episodes.is_empty() {
        return counts;
    }
    let rows: Vec<Vec<String>> = result.episodes.iter().map(row).collect();
    let table = table::render(&["FIRED", "FOR", "SEVERITY", "ALERT", "WORST", "ABOUT"], &rows);
    let left_out = result.total_episodes.saturating_sub(rows.len() as u64);
    let more = if left_out == 0 { String::new() } else { format!("and {left_out} more\n") };
    format!("{table}{more}\n{counts}")
}

fn row(episode: &BacktestEpisode) -> Vec<String> {
    let severity = match episode.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let since = jiff::Timestamp::from_millisecond(episode.starts_at_ms / 1_000 * 1_000);
    let lasted = episode.ends_at_ms.map(|ends_at_ms| minutes(ends_at_ms - episode.starts_at_ms));
    let about = if episode.summary.is_empty() { labels(episode) } else { episode.summary.clone() };
    vec![
        since.map_or_else(|_| "-".into(), |since| since.to_string()),
        lasted.unwrap_or_else(|| "still".into()),
        severity.into(),
        episode.name.clone(),
        format!("{:.3}", episode.worst).trim_end_matches('0').trim_end_matches('.').into(),
        about,
    ]
}

fn minutes(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

fn labels(episode: &BacktestEpisode) -> String {
    let others = episode.labels.iter();
    let others = others.filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
    others.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_are_rows_and_what_is_left_out_is_told() {
        let mut result = BacktestResult {
            episodes: vec![],
            messages: vec![],
            total_episodes: 0,
            total_messages: 0,
            step_ms: 60_000,
            took_seconds: 0.1,
        };
        let none = "Would have fired 0 times, with 0 messages; evaluated every 60 s.\n";
        assert_eq!(text(&result), none);
        result.episodes = vec![BacktestEpisode {
            name: "DiskFull".into(),
            severity: Severity::Warning,
            labels: [("alertname", "DiskFull"), ("instance", "a")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            active_at_ms: 0,
            starts_at_ms: 600_500,
            ends_at_ms: Some(4_260_500),
            worst: 2.5,
            summary: String::new(),
            summary_zh: String::new(),
        }];
        (result.total_episodes, result.total_messages) = (3, 6);
        let text = text(&result);
        let lines: Vec<&str> = text.lines().collect();
        let row = "1970-01-01T00:10:00Z  1h1m  warning   DiskFull  2.5    instance=a";
        assert_eq!((lines[1], lines[2]), (row, "and 2 more"), "{text}");
        assert!(lines[4].starts_with("Would have fired 3 times, with 6 messages"), "{text}");
    }
}
