//! A question to Prometheus's HTTP API and its answer, in a form in which answers of different products can be compared.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::http::Connection;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    use muster_environment::Clock as _;
    muster_environment::SystemClock::new().now_ms()
}

/// Something to ask: a path with its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    path: String,
}

/// An answer without what products write differently: order of series, of labels, of digits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Series by their labels, each with its times (s) and values.
    Series(BTreeMap<String, Vec<(f64, f64)>>),
    /// Names, values or label sets, sorted.
    Names(Vec<String>),
}

impl Question {
    pub(crate) fn instant(expression: &str, at_ms: i64) -> Self {
        let time = (at_ms / 1_000).to_string();
        Self::new("/api/v1/query", &[("query", expression), ("time", &time)])
    }

    /// Over `length_s` seconds up to `end_ms`.
    pub(crate) fn range(expression: &str, end_ms: i64, length_s: i64, step_s: i64) -> Self {
        let end = end_ms / 1_000;
        let (start, end, step) =
            ((end - length_s).to_string(), end.to_string(), step_s.to_string());
        let parameters =
            [("query", expression), ("start", &*start), ("end", &*end), ("step", &*step)];
        Self::new("/api/v1/query_range", &parameters)
    }

    /// What the API lists at `path` for a selector, over an hour up to `end_ms`.
    pub(crate) fn list(path: &str, selector: &str, end_ms: i64) -> Self {
        let end = end_ms / 1_000;
        let (start, end) = ((end - 3_600).to_string(), end.to_string());
        Self::new(path, &[("match[]", selector), ("start", &start), ("end", &end)])
    }

    /// VictoriaMetrics is asked not to answer from its cache of results; others know no `nocache`.
    fn new(path: &str, parameters: &[(&str, &str)]) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters).append_pair("nocache", "1");
        Self { path: format!("{path}?{}", form.finish()) }
    }

    /// Asks, and reads the answer to its last byte.
    pub(crate) fn ask_raw(&self, connection: &mut Connection) -> anyhow::Result<Vec<u8>> {
        connection.get(&self.path)?.success(&self.path)
    }

    pub(crate) fn ask(&self, connection: &mut Connection) -> anyhow::Result<Answer> {
        let body = self.ask_raw(connection)?;
        parse(&body).with_context(|| format!("the answer to {}", self.path))
    }
}

fn parse(body: &[u8]) -> anyhow::Result<Answer> {
    let reply: Value = serde_json::from_slice(body)?;
    ensure!(reply["status"] == "success", "it says {}", reply["status"]);
    let data = &reply["data"];
    if let Some(list) = data.as_array() {
        let mut names: Vec<String> = list
            .iter()
            .map(|one| one.as_str().map_or_else(|| labels(one), str::to_owned))
            .collect();
        names.sort_unstable();
        return Ok(Answer::Names(names));
    }
    let result = data["result"].as_array().context("there is no result")?;
    let mut series = BTreeMap::new();
    for one in result {
        let points = match (&one["value"], &one["values"]) {
            (value @ Value::Array(_), _) => vec![point(value)?],
            (_, Value::Array(values)) => values.iter().map(point).collect::<Result<_, _>>()?,
            _ => bail!("a series has neither a value nor values"),
        };
        series.insert(labels(&one["metric"]), points);
    }
    Ok(Answer::Series(series))
}

/// The labels as `serde_json` writes them: by name.
fn labels(metric: &Value) -> String {
    let sorted: BTreeMap<&String, &Value> = metric.as_object().into_iter().flatten().collect();
    format!("{sorted:?}")
}

fn point(pair: &Value) -> anyhow::Result<(f64, f64)> {
    let time = pair[0].as_f64().context("a point has no time")?;
    let value = pair[1].as_str().context("a value is no text")?;
    Ok((time, value.parse().with_context(|| format!("{value:?} is no number"))?))
}

/// How far two values may be from each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tolerance {
    /// By this share of the larger one.
    OfValue(f64),
    /// By this share of the largest value of their series: of a rate that was counted in few ticks, one makes much of it.
    OfPeak(f64),
}

impl Answer {
    /// The value of an answer that is one number.
    pub(crate) fn one_number(&self) -> anyhow::Result<f64> {
        let Self::Series(series) = self else { bail!("a number was expected, not names") };
        match series.values().collect::<Vec<_>>()[..] {
            [points] if points.len() == 1 => Ok(points[0].1),
            _ => bail!("one number was expected, not {} series", series.len()),
        }
    }

    /// How many series or names there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Series(series) => series.len(),
            Self::Names(names) => names.len(),
        }
    }

    /// What differs from `other` by more than the tolerance.
    pub(crate) fn difference(&self, other: &Self, tolerance: Tolerance) -> Option<String> {
        match (self, other) {
            (Self::Names(own), Self::Names(others)) => {
                (own != others).then(|| format!("{} names, and {}", own.len(), others.len()))
            }
            (Self::Series(own), Self::Series(others)) => series_difference(own, others, tolerance),
            _ => Some("answers of different kinds".into()),
        }
    }
}

fn series_difference(
    own: &BTreeMap<String, Vec<(f64, f64)>>,
    others: &BTreeMap<String, Vec<(f64, f64)>>,
    tolerance: Tolerance,
) -> Option<String> {
    if let Some(labels) = own
        .keys()
        .chain(others.keys())
        .find(|labels| own.contains_key(*labels) != others.contains_key(*labels))
    {
        return Some(format!("{} series, and {}: only one has {labels}", own.len(), others.len()));
    }
    for ((labels, points), other) in own.iter().zip(others.values()) {
        if points.len() != other.len() {
            return Some(format!("{} points, and {}, of {labels}", points.len(), other.len()));
        }
        let peak = points.iter().chain(other).fold(0.0_f64, |peak, point| peak.max(point.1.abs()));
        for (one, other) in points.iter().zip(other) {
            let allowed = match tolerance {
                Tolerance::OfValue(share) => share * one.1.abs().max(other.1.abs()),
                Tolerance::OfPeak(share) => share * peak,
            };
            let apart = (one.1 - other.1).abs() > allowed;
            let one_nan = one.1.is_nan() != other.1.is_nan();
            if one.0 != other.0 || apart || one_nan {
                return Some(format!("{one:?} and {other:?} of {labels}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(order: [&str; 2], value: &str) -> Answer {
        let [a, b] = order;
        let text = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[
            {{"metric":{{"{a}":"1","{b}":"2"}},"value":[10,"{value}"]}}]}}}}"#
        );
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn answers_are_equal_whatever_their_order_and_digits() {
        let one = vector(["a", "b"], "0.1");
        let Answer::Series(series) = &one else { panic!("it is a vector") };
        assert_eq!(series.values().next().unwrap(), &[(10.0, 0.1)]);
        // The same labels would be "b":"2","a":"1"; these have other values, so they are other series.
        assert!(
            one.difference(&vector(["b", "a"], "0.1"), Tolerance::OfValue(1e-9))
                .unwrap()
                .contains("only one has")
        );
        assert_eq!(
            one.difference(&vector(["a", "b"], "0.10000000001"), Tolerance::OfValue(1e-9)),
            None
        );
        assert!(
            one.difference(&vector(["a", "b"], "0.1000001"), Tolerance::OfValue(1e-9)).is_some()
        );
        assert!(one.difference(&vector(["a", "b"], "NaN"), Tolerance::OfValue(1e-9)).is_some());
        assert_eq!(vector(["a", "b"], "7").one_number().unwrap(), 7.0);
        assert_eq!(one.len(), 1);
    }

    #[test]
    fn points_are_compared_one_by_one() {
        let matrix = |points: &str| {
            let text = format!(
                r#"{{"status":"success","data":{{"result":[{{"metric":{{}},"values":[{points}]}}]}}}}"#
            );
            parse(text.as_bytes()).unwrap()
        };
        let one = matrix(r#"[1,"5"],[2,"6"]"#);
        assert_eq!(one.difference(&matrix(r#"[1,"5"],[2,"6"]"#), Tolerance::OfValue(0.0)), None);
        assert!(
            one.difference(&matrix(r#"[1,"5"]"#), Tolerance::OfValue(0.0))
                .unwrap()
                .contains("2 points, and 1")
        );
        assert!(one.difference(&matrix(r#"[1,"5"],[3,"6"]"#), Tolerance::OfValue(0.0)).is_some());
    }

    #[test]
    fn names_are_sorted_and_failures_told() {
        let names =
            |list: &str| parse(format!(r#"{{"status":"success","data":{list}}}"#).as_bytes());
        let one = names(r#"["b","a"]"#).unwrap();
        assert_eq!(one.difference(&names(r#"["a","b"]"#).unwrap(), Tolerance::OfValue(0.0)), None);
        assert!(one.difference(&names(r#"["a"]"#).unwrap(), Tolerance::OfValue(0.0)).is_some());
        let series = names(r#"[{"b":"2","a":"1"}]"#).unwrap();
        assert_eq!(
            series.difference(&names(r#"[{"a":"1","b":"2"}]"#).unwrap(), Tolerance::OfValue(0.0)),
            None
        );
        assert!(parse(br#"{"status":"error","error":"x"}"#).is_err());
    }
}
