//! Where other programs push samples: remote write, OTLP over HTTP, Prometheus's text.
//!
//! Each protocol has its own way to say what was not stored. A sender of remote write takes 4xx for "never" and 5xx for
//! "later", an OTLP exporter reads a message in the body, and people read a text.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_exposition::TimestampUnit;
use muster_series::Labels;
use muster_tsdb::TsdbError;
use muster_wire::{encode_failure, encode_response};

use super::push_authority::Pusher;
use super::push_body::receive;
use crate::app::App;
use crate::ingest::push::{
    Encoding, Format, Payload, Protocol, PushError, Stored, TextOptions, store,
};

const PROTOBUF: &str = "application/x-protobuf";
/// The full names of the two messages of remote write.
const MESSAGE_V1: &str = "prometheus.WriteRequest";
const MESSAGE_V2: &str = "io.prometheus.write.v2.Request";
/// In what headers a sender of remote write is told how much was taken.
const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

/// What a request says about its body, or why nobody here can read that.
type Negotiated = Result<(Format, Encoding), String>;

/// `POST /api/v1/write`: Prometheus's remote write, 1.0 and 2.0.
pub(crate) async fn remote_write(
    pusher: Pusher,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (format, encoding) = match remote_write_format(&headers) {
        Ok(negotiated) => negotiated,
        Err(error) => {
            app.push.counts.answered(Protocol::RemoteWrite1, 415);
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, error).into_response();
        }
    };
    let protocol = format.protocol();
    let outcome = take(&app, &pusher, format, encoding, &headers, body).await;
    let mut response = text_answer(&outcome);
    // What an exemplar's sender is told is that it was taken, though nothing is kept of it: else it would be an error.
    let written = outcome.as_ref().map_or([0; 3], |stored| [stored.samples, 0, stored.exemplars]);
    for (name, count) in WRITTEN.into_iter().zip(written) {
        response.headers_mut().insert(HeaderName::from_static(name), count.into());
    }
    app.push.counts.answered(protocol, response.status().as_u16());
    response
}

/// `POST /api/v1/otlp/v1/metrics`: OpenTelemetry's metrics.
pub(crate) async fn otlp(
    pusher: Pusher,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (status, message, retry_after_s) = match otlp_format(&headers) {
        Err(error) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, encode_failure(INVALID_ARGUMENT, &error), None)
        }
        Ok((format, encoding)) => {
            match take(&app, &pusher, format, encoding, &headers, body).await {
                Ok(stored) => (StatusCode::OK, otlp_answer(&stored), None),
                Err(error) => {
                    let (status, retry_after_s) = status_of(&error);
                    let code =
                        if status.is_server_error() { UNAVAILABLE } else { INVALID_ARGUMENT };
                    (status, encode_failure(code, &error.to_string()), retry_after_s)
                }
            }
        }
    };
    app.push.counts.answered(Protocol::Otlp, status.as_u16());
    let mut response = (status, [(header::CONTENT_TYPE, PROTOBUF)], message).into_response();
    set_retry_after(&mut response, retry_after_s);
    response
}

/// The codes of gRPC in an answer to an OTLP exporter.
const INVALID_ARGUMENT: u8 = 3;
const UNAVAILABLE: u8 = 14;

fn otlp_answer(stored: &Stored) -> Vec<u8> {
    if stored.refusals.total() == 0 {
        return encode_response(0, "");
    }
    encode_response(stored.rejected_points, &told(stored))
}

/// `POST /api/v1/import/prometheus`: Prometheus's text format.
pub(crate) async fn text(
    pusher: Pusher,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let response = match text_encoding(&headers) {
        Err(error) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, error).into_response(),
        Ok((encoding, unit)) => match text_options(query.as_deref().unwrap_or_default(), unit) {
            Err(error) => text_answer(&Err(PushError::Malformed(error))),
            Ok(options) => {
                let format = Format::Text(options);
                text_answer(&take(&app, &pusher, format, encoding, &headers, body).await)
            }
        },
    };
    app.push.counts.answered(Protocol::Text, response.status().as_u16());
    response
}

/// Receives a body and stores what is in it.
async fn take(
    app: &Arc<App>,
    pusher: &Pusher,
    format: Format,
    encoding: Encoding,
    headers: &HeaderMap,
    body: Body,
) -> Result<Stored, PushError> {
    let received = receive(&app.push, headers, body).await?;
    let outcome = store(app, Payload { format, encoding, body: received.body }).await;
    let now_ms = app.clock.monotonic_ms();
    match &outcome {
        Ok(stored) if stored.refusals.total() > 0 => {
            app.refusals.pushed(&pusher.name, &stored.refusals, now_ms);
        }
        Err(PushError::Store(error)) => app.refusals.failed(&pusher.name, error, now_ms),
        _ => {}
    }
    outcome
}

fn told(stored: &Stored) -> String {
    format!(
        "{} samples stored, {} not:{}",
        stored.samples,
        stored.refusals.total(),
        stored.refusals
    )
}

/// The answer for who reads a status and perhaps a text.
fn text_answer(outcome: &Result<Stored, PushError>) -> Response {
    match outcome {
        Ok(stored) if stored.refusals.total() == 0 => StatusCode::NO_CONTENT.into_response(),
        // What was refused would be refused again, so the sender must not come back with it; the rest is stored.
        Ok(stored) => (StatusCode::BAD_REQUEST, told(stored) + "\n").into_response(),
        Err(error) => {
            let (status, retry_after_s) = status_of(error);
            let mut response = (status, format!("{error}\n")).into_response();
            set_retry_after(&mut response, retry_after_s);
            response
        }
    }
}

/// What a failure is in HTTP, and after how many seconds to come again.
fn status_of(error: &PushError) -> (StatusCode, Option<u32>) {
    match error {
        PushError::Malformed(_) => (StatusCode::BAD_REQUEST, None),
        PushError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, None),
        // Senders come again after a 5xx only, and a link that broke is no reason to drop samples.
        PushError::Silent | PushError::NoMemory | PushError::Store(TsdbError::Busy) => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(2))
        }
        PushError::Store(TsdbError::DiskFull { .. }) => (StatusCode::SERVICE_UNAVAILABLE, Some(30)),
        PushError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(10)),
        PushError::Defect => (StatusCode::INTERNAL_SERVER_ERROR, None),
    }
}

fn set_retry_after(response: &mut Response, seconds: Option<u32>) {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Which message of remote write the body is. Senders of 1.0 that say nothing are taken at what they must send.
fn remote_write_format(headers: &HeaderMap) -> Negotiated {
    let encoding = text_of(headers, header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(format!("Content-Encoding {encoding:?} is not supported; use snappy\n"));
    }
    let content_type = text_of(headers, header::CONTENT_TYPE);
    let (media, message) = media_type(content_type);
    let format = match message.as_deref() {
        _ if !media.is_empty() && !media.eq_ignore_ascii_case(PROTOBUF) => None,
        None | Some(MESSAGE_V1) => Some(Format::RemoteWrite1),
        Some(MESSAGE_V2) => Some(Format::RemoteWrite2),
        Some(_) => None,
    };
    let format = format.ok_or_else(|| {
        format!(
            "Content-Type {content_type:?} is not supported; use {PROTOBUF};proto={MESSAGE_V2}\n"
        )
    })?;
    Ok((format, Encoding::Snappy))
}

fn otlp_format(headers: &HeaderMap) -> Negotiated {
    let content_type = text_of(headers, header::CONTENT_TYPE);
    let (media, _) = media_type(content_type);
    if !media.eq_ignore_ascii_case(PROTOBUF) {
        return Err(format!(
            "Content-Type {content_type:?} is not supported; set the exporter to http/protobuf, not http/json"
        ));
    }
    Ok((Format::Otlp, plain_or_gzip(headers)?))
}

fn text_encoding(headers: &HeaderMap) -> Result<(Encoding, TimestampUnit), String> {
    let (media, _) = media_type(text_of(headers, header::CONTENT_TYPE));
    let openmetrics = media.eq_ignore_ascii_case("application/openmetrics-text");
    let unit = if openmetrics { TimestampUnit::Seconds } else { TimestampUnit::Milliseconds };
    Ok((plain_or_gzip(headers)?, unit))
}

fn plain_or_gzip(headers: &HeaderMap) -> Result<Encoding, String> {
    match text_of(headers, header::CONTENT_ENCODING) {
        "" | "identity" => Ok(Encoding::Identity),
        gzip if gzip.eq_ignore_ascii_case("gzip") => Ok(Encoding::Gzip),
        other => Err(format!("Content-Encoding {other:?} is not supported; use gzip or none\n")),
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?")).trim()
}

/// A media type and its parameter `proto`.
fn media_type(content_type: &str) -> (&str, Option<String>) {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let proto = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"').to_owned();
        name.trim().eq_ignore_ascii_case("proto").then_some(value)
    });
    (media, proto)
}

/// What the query of an import says: `extra_label=NAME=VALUE`, as often as wanted, and `timestamp=MS`.
fn text_options(query: &str, unit: TimestampUnit) -> Result<TextOptions, String> {
    let (mut extra, mut timestamp_ms) = (Vec::new(), None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "extra_label" => {
                let pair = value.split_once('=').filter(|(name, _)| !name.is_empty());
                let (name, value) = pair.ok_or_else(|| {
                    format!("extra_label={value:?} is not of the form NAME=VALUE")
                })?;
                extra.push((name.to_owned(), value.to_owned()));
            }
            "timestamp" => {
                let ms = value.parse();
                timestamp_ms = Some(ms.map_err(|_| {
                    format!("timestamp={value:?} is no whole number of milliseconds")
                })?);
            }
            _ => {
                return Err(format!(
                    "the parameter {key:?} is not known; there are extra_label and timestamp"
                ));
            }
        }
    }
    let extra = Labels::from_pairs(extra).map_err(|error| error.to_string())?;
    Ok(TextOptions { extra, timestamp_ms, unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str, encoding: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [(header::CONTENT_TYPE, content_type), (header::CONTENT_ENCODING, encoding)]
        {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        headers
    }

    #[track_caller]
    fn check(negotiated: Negotiated, expected: Result<(Protocol, Encoding), &str>) {
        match (negotiated, expected) {
            (Ok((format, encoding)), Ok(expected)) => {
                assert_eq!((format.protocol(), encoding), expected);
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (negotiated, expected) => panic!("{negotiated:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_message_of_remote_write_is_what_its_headers_say() {
        let write = |content_type, encoding| remote_write_format(&headers(content_type, encoding));
        let (v1, v2) = (
            Ok((Protocol::RemoteWrite1, Encoding::Snappy)),
            Ok((Protocol::RemoteWrite2, Encoding::Snappy)),
        );
        check(write("", ""), v1);
        check(write("application/x-protobuf", "snappy"), v1);
        check(write("application/x-protobuf;proto=prometheus.WriteRequest", "snappy"), v1);
        check(write("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy"), v2);
        check(
            write("Application/X-Protobuf; proto=\"io.prometheus.write.v2.Request\"", "Snappy"),
            v2,
        );
        check(write("application/x-protobuf;proto=other.Request", "snappy"), Err("other.Request"));
        check(write("application/json", "snappy"), Err("application/json"));
        check(write("application/x-protobuf", "gzip"), Err("use snappy"));
        check(write("application/x-protobuf", "zstd"), Err("use snappy"));
    }

    #[test]
    fn otlp_is_protobuf_with_gzip_or_without() {
        let otlp = |content_type, encoding| otlp_format(&headers(content_type, encoding));
        check(otlp("application/x-protobuf", ""), Ok((Protocol::Otlp, Encoding::Identity)));
        check(otlp("application/x-protobuf", "gzip"), Ok((Protocol::Otlp, Encoding::Gzip)));
        check(otlp("application/json", ""), Err("http/protobuf"));
        check(otlp("", ""), Err("http/protobuf"));
        check(otlp("application/x-protobuf", "zstd"), Err("zstd"));
    }

    #[test]
    fn the_query_of_an_import_is_read_or_refused() {
        let options = |query| text_options(query, TimestampUnit::Milliseconds);
        let read = options("extra_label=a=b%3Dc&extra_label=job=x&timestamp=-5").unwrap();
        assert_eq!(read.extra.to_string(), r#"{a="b=c", job="x"}"#);
        assert_eq!(read.timestamp_ms, Some(-5));
        assert!(options("").unwrap().extra.is_empty());
        for bad in [
            "extra_label=a",
            "extra_label==b",
            "timestamp=now",
            "extra=a",
            "extra_label=a=1&extra_label=a=2",
        ] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
