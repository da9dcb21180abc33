//! `muster query`: PromQL from the command line.

use anyhow::Context as _;
use muster_environment::{Clock as _, SystemClock};
use muster_series::parse_duration_ms;
use serde_json::Value;

use crate::cli::QueryArgs;
use crate::client::Session;
use crate::table;

/// Asks and prints.
pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<()> {
    let (path, form) = request(&args)?;
    let session = Session::open(&args.target).await?;
    let reply = session.client.post_form(path, &form).await;
    session.done().await;
    let reply = reply?;
    for kind in ["warnings", "infos"] {
        for text in reply[kind].as_array().into_iter().flatten() {
            tracing::warn!("{}", text.as_str().unwrap_or_default());
        }
    }
    if args.target.json {
        table::print(&format!("{:#}\n", reply["data"]));
    } else {
        table::print(&as_table(&reply["data"])?);
    }
    Ok(())
}

/// Path and form of the request.
fn request(args: &QueryArgs) -> anyhow::Result<(&'static str, Vec<(&'static str, String)>)> {
    let mut form = vec![("query", args.expression.clone())];
    let Some(range) = &args.range else {
        form.extend(args.time.clone().map(|time| ("time", time)));
        return Ok(("/api/v1/query", form));
    };
    let range_ms = parse_duration_ms(range).context("in --range")?;
    let step = args.step.as_deref().map(parse_duration_ms).transpose().context("in --step")?;
    let step_ms = step.unwrap_or((range_ms / 100).max(1_000));
    let end_ms = SystemClock::new().now_ms();
    form.push(("start", seconds(end_ms - range_ms)));
    form.push(("end", seconds(end_ms)));
    form.push(("step", seconds(step_ms)));
    Ok(("/api/v1/query_range", form))
}

fn seconds(ms: i64) -> String {
    format!("{:.3}", ms as f64 / 1e3)
}

fn as_table(data: &Value) -> anyhow::Result<String> {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar" | "string") => Ok(format!("{}\n", result[1].as_str().unwrap_or_default())),
        Some("vector") => {
            let rows = result
                .as_array()
                .into_iter()
                .flatten()
                .map(|sample| vec![series(&sample["metric"]), text(&sample["value"][1])]);
            Ok(table::render(&["SERIES", "VALUE"], &rows.collect::<Vec<_>>()))
        }
        Some("matrix") => {
            let mut rows = Vec::new();
            for one in result.as_array().into_iter().flatten() {
                let name = series(&one["metric"]);
                for point in one["values"].as_array().into_iter().flatten() {
                    rows.push(vec![name.clone(), time(&point[0]), text(&point[1])]);
                }
            }
            Ok(table::render(&["SERIES", "TIME", "VALUE"], &rows))
        }
        _ => anyhow::bail!("the server's answer has an unknown form"),
    }
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
    use super::*;

    #[track_caller]
    fn check(data: &str, expected: &str) {
        assert_eq!(as_table(&serde_json::from_str(data).unwrap()).unwrap(), expected);
    }

    #[test]
    fn every_type_of_result_is_printed() {
        check(r#"{"resultType":"scalar","result":[1,"2"]}"#, "2\n");
        check(
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a"},"value":[1,"1"]}]}"#,
            "SERIES            VALUE\nup{instance=\"a\"}  1\n",
        );
        check(
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1.5,"3"]]}]}"#,
            "SERIES  TIME                    VALUE\n{}      1970-01-01T00:00:01.5Z  3\n",
        );
    }
}
