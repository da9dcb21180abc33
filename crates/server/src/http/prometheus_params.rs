//! The parameters of Prometheus's HTTP API: times, steps, limits, matchers, escaped names.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use muster_series::{Matcher, TimeRange, parse_duration_ms};

use super::json_body::BODY_TIMEOUT;
use super::prometheus_reply::PromFailure;
use crate::store::QueryRun;

/// The most bytes of a form.
const MAX_FORM: usize = 1 << 20;
/// How long a query may wait for its turn, and how long it may compute then.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest look-back that a query may ask for: a year of 365 days.
const MAX_LOOKBACK_MS: i64 = 365 * 86_400_000;

/// Parameters of a request: of its address, and of its body if that is a form.
pub(crate) struct Params(Vec<(String, String)>);

/// How long a query may take, and how its expression is evaluated.
pub(super) struct Allowance {
    pub(super) timeout: Duration,
    pub(super) run: QueryRun,
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = PromFailure;

    async fn from_request(request: Request, _: &S) -> Result<Self, PromFailure> {
        let mut pairs = parse_pairs(request.uri().query().unwrap_or_default().as_bytes());
        let form = request.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
            value.as_bytes().starts_with(b"application/x-www-form-urlencoded")
        });
        if matches!(*request.method(), Method::POST | Method::PUT) && form {
            let reading = axum::body::to_bytes(request.into_body(), MAX_FORM);
            let body = tokio::time::timeout(BODY_TIMEOUT, reading)
                .await
                .map_err(|_| PromFailure::timeout("the form did not arrive in time"))?
                .map_err(|_| PromFailure::bad_data("the form is larger than 1 MiB"))?;
            pairs.extend(parse_pairs(&body));
        }
        Ok(Self(pairs))
    }
}

fn parse_pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

impl Params {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// All values of a parameter that may be given several times.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, PromFailure> {
        self.get(name)
            .ok_or_else(|| PromFailure::bad_data(&format!("the parameter {name:?} is missing")))
    }

    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, PromFailure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        parse_time_ms(text).map(Some).ok_or_else(|| {
            PromFailure::bad_data(&format!(
                "invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp; \
                 give seconds since 1970 or a time like 2026-09-01T08:00:00Z"
            ))
        })
    }

    /// The sets of matchers in `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, PromFailure> {
        self.0
            .iter()
            .filter(|(name, _)| name == "match[]")
            .map(|(_, text)| {
                muster_promql::parse_selector(text).map_err(|error| {
                    PromFailure::bad_data(&format!("invalid parameter \"match[]\": {error}"))
                })
            })
            .collect()
    }

    /// The same, of which there must be one.
    pub(super) fn required_selectors(&self) -> Result<Vec<Vec<Matcher>>, PromFailure> {
        let sets = self.selectors()?;
        if sets.is_empty() {
            return Err(PromFailure::bad_data("no match[] parameter provided"));
        }
        Ok(sets)
    }

    pub(super) fn range(&self) -> Result<TimeRange, PromFailure> {
        let start = self.time_ms("start")?.unwrap_or(i64::MIN);
        let end = self.time_ms("end")?.unwrap_or(i64::MAX);
        if end < start {
            return Err(PromFailure::bad_data(
                "invalid parameter \"end\": end timestamp must not be before start time",
            ));
        }
        Ok(TimeRange::new(start, end))
    }

    /// The step of a range query, in milliseconds.
    pub(super) fn step_ms(&self) -> Result<i64, PromFailure> {
        let step = self.required("step")?;
        parse_length_ms(step).filter(|ms| *ms > 0).ok_or_else(|| {
            PromFailure::bad_data(&format!(
                "invalid parameter \"step\": {step:?} is no positive duration; give seconds or a duration like 15s"
            ))
        })
    }

    /// The most results wanted; a parameter of 0 or none asks for all.
    pub(super) fn limit(&self) -> Result<usize, PromFailure> {
        match self.number("limit")? {
            None | Some(0) => Ok(usize::MAX),
            Some(limit) => Ok(limit),
        }
    }

    /// A count.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, PromFailure> {
        let parsed = self.get(name).map(str::parse).transpose();
        parsed.map_err(|_| PromFailure::bad_data(&format!("{name} must be a non-negative number")))
    }

    /// What `timeout` and `lookback_delta` allow a query, within the server's own limits.
    pub(super) fn allowance(&self) -> Result<Allowance, PromFailure> {
        let length = |name: &str| match self.get(name) {
            None => Ok(None),
            Some(text) => parse_length_ms(text).map(Some).ok_or_else(|| {
                PromFailure::bad_data(&format!(
                    "invalid parameter {name:?}: cannot parse {text:?} to a valid duration"
                ))
            }),
        };
        let timeout = match length("timeout")? {
            None => QUERY_TIMEOUT,
            Some(ms) => Duration::from_millis(ms.max(0).unsigned_abs()).min(QUERY_TIMEOUT),
        };
        let lookback_ms = length("lookback_delta")?.filter(|ms| *ms > 0);
        Ok(Allowance {
            timeout,
            run: QueryRun::with_lookback(lookback_ms.map(|ms| ms.min(MAX_LOOKBACK_MS)))
                .counting(self.get("stats").is_some()),
        })
    }
}

/// Seconds since 1970, with fraction, or RFC 3339.
fn parse_time_ms(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) => whole_ms(seconds),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
    }
}

/// Seconds with fraction, or a duration like `15s`.
fn parse_length_ms(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) => whole_ms(seconds),
        Err(_) => parse_duration_ms(text).ok(),
    }
}

fn whole_ms(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1_000.0).round();
    (ms.abs() < 9e15).then_some(ms as i64)
}

/// A name as Prometheus 3 escapes it for addresses: `U__` before it, `__` for `_`, `_hex_` for other characters.
/// What is not escaped so is a name as it stands.
pub(super) fn unescape_name(name: &str) -> String {
    let whole = || name.strip_prefix("U__").and_then(unescape);
    whole().unwrap_or_else(|| name.to_owned())
}

fn unescape(escaped: &str) -> Option<String> {
    let mut name = String::new();
    let mut parts = escaped.split('_');
    name.push_str(parts.next()?);
    // Every other part stands between two underscores.
    while let Some(code) = parts.next() {
        let after = parts.next()?;
        if code.is_empty() {
            name.push('_');
        } else if code.len() <= 6 && code.bytes().all(|b| b.is_ascii_hexdigit()) {
            name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        } else {
            return None;
        }
        name.push_str(after);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(parse_time_ms("1.5"), Some(1_500));
        assert_eq!(parse_time_ms("2026-09-01T08:00:00Z"), Some(1_788_249_600_000));
        assert_eq!(parse_time_ms("2026-09-01T10:00:00+02:00"), Some(1_788_249_600_000));
        for text in ["", "yesterday", "NaN", "1e300", "inf"] {
            assert_eq!(parse_time_ms(text), None, "{text}");
        }
    }

    fn params(query: &str) -> Params {
        Params(parse_pairs(query.as_bytes()))
    }

    #[test]
    fn steps_are_positive() {
        assert_eq!(params("step=0.5").step_ms().unwrap(), 500);
        assert_eq!(params("step=1h30m").step_ms().unwrap(), 5_400_000);
        for text in ["", "step=", "step=0", "step=-1", "step=0s", "step=NaN", "step=soon"] {
            assert!(params(text).step_ms().is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_may_ask_for_less_time_but_not_for_more() {
        let timeout = |query: &str| params(query).allowance().unwrap().timeout;
        assert_eq!(timeout(""), QUERY_TIMEOUT);
        assert_eq!(timeout("timeout=1.5"), Duration::from_millis(1_500));
        assert_eq!(timeout("timeout=2h"), QUERY_TIMEOUT);
        assert!(params("timeout=soon").allowance().is_err());
        assert!(params("lookback_delta=soon").allowance().is_err());
    }

    #[test]
    fn no_limit_is_no_limit() {
        assert_eq!(params("limit=0").limit().unwrap(), usize::MAX);
        assert_eq!(params("limit=3").limit().unwrap(), 3);
        assert!(params("limit=-1").limit().is_err());
    }

    #[test]
    fn escaped_names_are_read_as_prometheus_writes_them() {
        for (escaped, name) in [
            ("instance", "instance"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___30b5__30fc_", "サー"),
            ("U__a_zz_b", "U__a_zz_b"),
            ("U__a_", "U__a_"),
            ("U__a_d800_", "U__a_d800_"),
            ("U__", ""),
        ] {
            assert_eq!(unescape_name(escaped), name, "{escaped}");
        }
    }
}
