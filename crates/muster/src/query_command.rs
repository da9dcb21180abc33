//! `muster query`: PromQL from the command line.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow};
use muster_environment::{Clock as _, SystemClock};
use muster_series::parse_duration_ms;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use crate::chart::{self, Line};
use crate::cli::QueryArgs;
use crate::client::Session;
use crate::{csv, table};

/// What a chart shows if nothing is said of a range, in milliseconds.
const CHART_RANGE_MS: i64 = 3_600_000;
/// Steps of a range if nothing is said of them.
const STEPS: i64 = 100;

/// What is asked.
#[derive(Debug, PartialEq)]
enum Question {
    Instant { time: Option<String> },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// Asks and prints.
pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<()> {
    let question = question(&args, SystemClock::new().now_ms())?;
    let session = Session::open(&args.target).await?;
    let (path, form) = request(&args.expression, &question);
    let reply = session.client.post_form(path, &form).await;
    session.done().await;
    let reply = reply.map_err(|error| match pointer(&args.expression) {
        Some(pointer) => anyhow!("{error}\n{pointer}"),
        None => error,
    })?;
    for kind in ["warnings", "infos"] {
        for text in reply[kind].as_array().into_iter().flatten() {
            tracing::warn!("{}", text.as_str().unwrap_or_default());
        }
    }
    let data = &reply["data"];
    let text = match &question {
        _ if args.target.json => format!("{data:#}\n"),
        _ if args.csv => as_csv(data),
        Question::Range { start_ms, end_ms, .. } if args.chart => {
            chart::draw(&lines(data), *start_ms, *end_ms)
        }
        _ => as_table(data)?,
    };
    table::print(&text);
    Ok(())
}

/// The instant or the range that the arguments name.
fn question(args: &QueryArgs, now_ms: i64) -> anyhow::Result<Question> {
    let (start_ms, end_ms) = match (&args.start, &args.last) {
        (Some(start), _) => {
            let end = args.end.as_deref().map(time_ms).transpose().context("in --end")?;
            (time_ms(start).context("in --start")?, end.unwrap_or(now_ms))
        }
        (None, Some(last)) => {
            let last_ms = parse_duration_ms(last).context("in --last")?;
            (now_ms - last_ms, now_ms)
        }
        (None, None) if args.chart => (now_ms - CHART_RANGE_MS, now_ms),
        (None, None) if args.step.is_some() => {
            anyhow::bail!("--step needs a range; give --last 1h, or --start and --end");
        }
        (None, None) => return Ok(Question::Instant { time: args.time.clone() }),
    };
    let step = args.step.as_deref().map(parse_duration_ms).transpose().context("in --step")?;
    let step_ms = step.unwrap_or(((end_ms - start_ms) / STEPS).max(1_000));
    Ok(Question::Range { start_ms, end_ms, step_ms })
}

fn request(expression: &str, question: &Question) -> (&'static str, Vec<(&'static str, String)>) {
    let mut form = vec![("query", expression.to_owned())];
    match question {
        Question::Instant { time } => {
            form.extend(time.clone().map(|time| ("time", time)));
            ("/api/v1/query", form)
        }
        Question::Range { start_ms, end_ms, step_ms } => {
            form.push(("start", seconds(*start_ms)));
            form.push(("end", seconds(*end_ms)));
            form.push(("step", seconds(*step_ms)));
            ("/api/v1/query_range", form)
        }
    }
}

/// Seconds since 1970, or a time like 2026-09-01T08:00:00Z, in milliseconds.
fn time_ms(text: &str) -> anyhow::Result<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1e3).round() as i64);
    }
    let time: jiff::Timestamp = text
        .parse()
        .with_context(|| format!("{text:?} is no time; write one like 2026-09-01T08:00:00Z"))?;
    Ok(time.as_millisecond())
}

fn seconds(ms: i64) -> String {
    format!("{:.3}", ms as f64 / 1e3)
}

/// The line of the expression that is wrong, with a mark below the place.
fn pointer(expression: &str) -> Option<String> {
    let position = muster_promql::parse(expression).err()?.position?;
    let before = expression.get(..position)?;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let line = expression[begin..].lines().next().unwrap_or_default();
    Some(format!("  {line}\n  {}^", " ".repeat(expression[begin..position].width())))
}

fn as_table(data: &Value) -> anyhow::Result<String> {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar" | "string") => Ok(format!("{}\n", result[1].as_str().unwrap_or_default())),
        Some("vector") => {
            let rows = list(result)
                .map(|sample| vec![series(&sample["metric"]), text(&sample["value"][1])]);
            Ok(table::render(&["SERIES", "VALUE"], &rows.collect::<Vec<_>>()))
        }
        Some("matrix") => {
            let mut rows = Vec::new();
            for one in list(result) {
                let name = series(&one["metric"]);
                for point in list(&one["values"]) {
                    rows.push(vec![name.clone(), time(&point[0]), text(&point[1])]);
                }
            }
            Ok(table::render(&["SERIES", "TIME", "VALUE"], &rows))
        }
        _ => anyhow::bail!("the server's answer has an unknown form"),
    }
}

/// A row for each sample: time, value, and a column for each label.
fn as_csv(data: &Value) -> String {
    let result = &data["result"];
    if matches!(data["resultType"].as_str(), Some("scalar" | "string")) {
        let row = vec![time(&result[0]), text(&result[1])];
        return csv::render(&["time".into(), "value".into()], &[row]);
    }
    let names: BTreeSet<&String> =
        list(result).filter_map(|one| one["metric"].as_object()).flat_map(|m| m.keys()).collect();
    let mut rows = Vec::new();
    for one in list(result) {
        let labels = names.iter().map(|name| one["metric"][name.as_str()].as_str());
        let labels: Vec<String> = labels.map(|value| value.unwrap_or_default().into()).collect();
        let single = one.get("value").into_iter();
        for point in single.chain(list(&one["values"])) {
            let mut row = vec![time(&point[0]), text(&point[1])];
            row.extend(labels.iter().cloned());
            rows.push(row);
        }
    }
    let mut heading = vec!["time".to_owned(), "value".to_owned()];
    heading.extend(names.into_iter().cloned());
    csv::render(&heading, &rows)
}

/// The series of a range as lines.
fn lines(data: &Value) -> Vec<Line> {
    let point = |point: &Value| {
        let value = point[1].as_str()?.parse().ok()?;
        Some(((point[0].as_f64()? * 1e3).round() as i64, value))
    };
    list(&data["result"])
        .map(|one| Line {
            name: series(&one["metric"]),
            points: list(&one["values"]).filter_map(point).collect(),
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn series(metric: &Value) -> String {
    let pairs = metric
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    muster_series::Labels::from_pairs(pairs).map_or_else(|_| metric.to_string(), |l| l.to_string())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn time(value: &Value) -> String {
    let ms = (value.as_f64().unwrap_or_default() * 1e3).round() as i64;
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| value.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[track_caller]
    fn check(data: &str, table: &str, csv: &str) {
        let data = serde_json::from_str(data).unwrap();
        assert_eq!((as_table(&data).unwrap().as_str(), as_csv(&data).as_str()), (table, csv));
    }

    #[test]
    fn every_type_of_result_is_printed() {
        check(
            r#"{"resultType":"scalar","result":[1,"2"]}"#,
            "2\n",
            "time,value\r\n1970-01-01T00:00:01Z,2\r\n",
        );
        check(
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a"},"value":[1,"1"]},{"metric":{"b":"c"},"value":[1,"2"]}]}"#,
            "SERIES            VALUE\nup{instance=\"a\"}  1\n{b=\"c\"}           2\n",
            "time,value,__name__,b,instance\r\n1970-01-01T00:00:01Z,1,up,,a\r\n1970-01-01T00:00:01Z,2,,c,\r\n",
        );
        check(
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1.5,"3"]]}]}"#,
            "SERIES  TIME                    VALUE\n{}      1970-01-01T00:00:01.5Z  3\n",
            "time,value\r\n1970-01-01T00:00:01.5Z,3\r\n",
        );
    }

    fn asked(flags: &[&str]) -> Result<Question, String> {
        let words = ["muster", "query", "up"].iter().chain(flags);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Query(args) = cli.command else { return Err("another command".into()) };
        question(&args, 10_000_000).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_instant_unless_a_range_is_named() {
        let range = |start_ms, end_ms, step_ms| Ok(Question::Range { start_ms, end_ms, step_ms });
        assert_eq!(asked(&[]), Ok(Question::Instant { time: None }));
        assert_eq!(asked(&["--last", "1h"]), range(6_400_000, 10_000_000, 36_000));
        assert_eq!(asked(&["--last", "10s"]), range(9_990_000, 10_000_000, 1_000));
        assert_eq!(asked(&["--chart"]), range(6_400_000, 10_000_000, 36_000));
        let named = ["--start", "1000", "--end", "1970-01-01T01:00:00Z", "--step", "1m"];
        assert_eq!(asked(&named), range(1_000_000, 3_600_000, 60_000));
        for (flags, expected) in [
            (&["--step", "1m"][..], "--step needs a range"),
            (&["--end", "5"], "--start"),
            (&["--start", "soon"], "in --start"),
            (&["--last", "soon"], "in --last"),
            (&["--last", "1h", "--time", "5"], "cannot be used with"),
            (&["--csv", "--json"], "cannot be used with"),
        ] {
            let error = asked(flags).expect_err("it makes no sense");
            assert!(error.contains(expected), "{flags:?}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        assert_eq!(pointer("sum(up) up").unwrap(), "  sum(up) up\n          ^");
        assert_eq!(pointer("up{a=\"北京\"} or\n  up up").unwrap(), "    up up\n       ^");
        assert_eq!(pointer("{a=\"北京\"} x").unwrap(), "  {a=\"北京\"} x\n             ^");
        assert_eq!(pointer("up"), None);
    }
}
