//! The audit log: read page by page, and exported as a table.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use muster_api::{AuditActor, AuditEntry, AuditPage, AuditTarget, Failure};
use muster_meta::{AuditFilter, MAX_AUDIT_PAGE, MetaError, Target};

use super::authority::Administrator;
use super::failure::ApiFailure;
use crate::app::App;

/// How many entries a page has if the request does not say.
const PAGE: u64 = 100;
/// The columns of the export.
const COLUMNS: &str =
    "time,actor_kind,actor,actor_id,address,action,target_kind,target,target_id,before,after\r\n";

/// What a request wants to see.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    filter: AuditFilter,
    cursor: Option<String>,
    limit: u64,
}

/// Lists what was done, the newest first.
#[utoipa::path(get, path = "/api/muster/v1/audit", params(
    ("from_ms" = Option<i64>, Query, description = "Only what was done at this time or later"),
    ("until_ms" = Option<i64>, Query, description = "Only what was done before this time"),
    ("actor" = Option<String>, Query, description = "Only what was done by this name or number"),
    ("action" = Option<String>, Query, description = "Only this action, such as `user.create`, or all of a kind, such as `user`"),
    ("target" = Option<String>, Query, description = "Only what was done to this name or number"),
    ("cursor" = Option<String>, Query, description = "Where the page begins: `next` of the page before"),
    ("limit" = Option<u64>, Query, description = "How many entries, up to 1,000; 100 if absent"),
), responses(
    (status = 200, description = "A page of the log", body = AuditPage),
    (status = 400, description = "A parameter is unknown or cannot be read", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn list(
    _: Administrator,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<AuditPage>, ApiFailure> {
    let wanted = wanted(&query.unwrap_or_default())?;
    let page = app.meta.audit_page(&wanted.filter, wanted.cursor.as_deref(), wanted.limit).await?;
    let entries = page.entries.into_iter().map(entry).collect();
    Ok(Json(AuditPage { entries, next: page.next }))
}

/// The whole log, or what is wanted of it, as a table.
#[utoipa::path(get, path = "/api/muster/v1/audit.csv", params(
    ("from_ms" = Option<i64>, Query, description = "Only what was done at this time or later"),
    ("until_ms" = Option<i64>, Query, description = "Only what was done before this time"),
    ("actor" = Option<String>, Query, description = "Only what was done by this name or number"),
    ("action" = Option<String>, Query, description = "Only this action, or all of a kind"),
    ("target" = Option<String>, Query, description = "Only what was done to this name or number"),
), responses(
    (status = 200, description = "The entries, the newest first", body = String, content_type = "text/csv"),
    (status = 400, description = "A parameter is unknown or cannot be read", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
))]
pub(crate) async fn export(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiFailure> {
    let wanted = wanted(&query.unwrap_or_default())?;
    let target = Target::new("audit", "", "audit log");
    app.meta.record_deed(&who.actor, "audit.export", target, None, app.clock.now_ms()).await?;
    let export = app.meta.audit_export(wanted.filter);
    // A page is read when the client has taken the one before; an error breaks the answer off, so half of it never
    // looks whole.
    let rows = futures_util::stream::try_unfold(export, |mut export| async move {
        let page = export.next_page().await.inspect_err(|error| {
            tracing::error!(%error, "an export of the audit log was broken off");
        })?;
        let text = page.map(|entries| entries.into_iter().map(entry).map(|e| row(&e)).collect());
        Ok::<_, MetaError>(text.map(|text: String| (Bytes::from(text), export)))
    });
    let columns = futures_util::stream::iter([Ok(Bytes::from_static(COLUMNS.as_bytes()))]);
    let body = Body::from_stream(futures_util::StreamExt::chain(columns, rows));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"muster-audit.csv\""),
        ),
    ];
    Ok((headers, body).into_response())
}

fn wanted(query: &str) -> Result<Wanted, ApiFailure> {
    let mut wanted = Wanted { filter: AuditFilter::default(), cursor: None, limit: PAGE };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = || Some(value.to_string()).filter(|text| !text.is_empty());
        let number = || {
            let error = || ApiFailure::bad_request(format!("{name} must be a whole number"));
            value.parse::<i64>().map_err(|_| error())
        };
        match &*name {
            "from_ms" => wanted.filter.from_ms = Some(number()?),
            "until_ms" => wanted.filter.until_ms = Some(number()?),
            "actor" => wanted.filter.actor = text(),
            "action" => wanted.filter.action = text(),
            "target" => wanted.filter.target = text(),
            "cursor" => wanted.cursor = text(),
            "limit" => wanted.limit = number()?.clamp(1, MAX_AUDIT_PAGE as i64).unsigned_abs(),
            other => return Err(ApiFailure::bad_request(format!("unknown parameter {other:?}"))),
        }
    }
    Ok(wanted)
}

fn entry(entry: muster_meta::AuditEntry) -> AuditEntry {
    AuditEntry {
        id: entry.id,
        at_ms: entry.at_ms,
        actor: AuditActor {
            kind: entry.actor.kind.to_string(),
            id: entry.actor.id,
            name: entry.actor.name,
            address: entry.actor.address,
        },
        action: entry.action,
        target: AuditTarget {
            kind: entry.target.kind,
            id: entry.target.id,
            name: entry.target.name,
        },
        before: entry.before,
        after: entry.after,
    }
}

/// One line of the table (RFC 4180).
fn row(entry: &AuditEntry) -> String {
    let time = jiff::Timestamp::from_millisecond(entry.at_ms)
        .map_or_else(|_| entry.at_ms.to_string(), |time| time.to_string());
    let json = |value: &Option<serde_json::Value>| {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let cells = [
        &time,
        &entry.actor.kind,
        &entry.actor.name,
        &entry.actor.id,
        &entry.actor.address,
        &entry.action,
        &entry.target.kind,
        &entry.target.name,
        &entry.target.id,
        &json(&entry.before),
        &json(&entry.after),
    ];
    let mut line = String::new();
    for (at, text) in cells.into_iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        cell(&mut line, text);
    }
    line.push_str("\r\n");
    line
}

/// Names come from strangers too, and a spreadsheet computes what begins like a formula: such a cell gets an apostrophe.
fn cell(line: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let apostrophe = if formula { "'" } else { "" };
    if formula || text.contains(['"', ',', '\r', '\n']) {
        let quoted = text.replace('"', "\"\"");
        write!(line, "\"{apostrophe}{quoted}\"").expect("writing to a string cannot fail");
    } else {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_cell(text: &str, expected: &str) {
        let mut line = String::new();
        cell(&mut line, text);
        assert_eq!(line, expected);
    }

    #[test]
    fn a_cell_is_never_a_formula_nor_two_cells() {
        check_cell("ada", "ada");
        check_cell("a,b", "\"a,b\"");
        check_cell("{\"a\":1}", "\"{\"\"a\"\":1}\"");
        check_cell("=cmd|'/c calc'!A1", "\"'=cmd|'/c calc'!A1\"");
        check_cell("-1", "\"'-1\"");
        check_cell("a\r\nb", "\"a\r\nb\"");
    }

    #[test]
    fn a_parameter_that_means_nothing_is_refused() {
        let found =
            wanted("actor=ada&action=user&from_ms=5&limit=5000&cursor=&target=%E7%8E%8B").unwrap();
        let filter = AuditFilter {
            from_ms: Some(5),
            until_ms: None,
            actor: Some("ada".into()),
            action: Some("user".into()),
            target: Some("王".into()),
        };
        assert_eq!(found, Wanted { filter, cursor: None, limit: MAX_AUDIT_PAGE });
        assert!(wanted("from_ms=yesterday").is_err());
        assert!(wanted("form_ms=5").is_err());
    }
}
