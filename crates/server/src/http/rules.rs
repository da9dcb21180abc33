//! Rules as the page shows them: those that come with Muster, and documents of people, which are checked before they are kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_alerting::{AlertState, BuiltIn, Job, Judge, JudgedRule, Rule, Severity, catalogue};
use muster_api::{
    BuiltInRule, CheckRules, Failure, OwnRule, RuleDocument, RuleJob, RuleLevel, RuleList,
    RuleProblems, SetRuleDocument,
};
use serde_json::Value;

use super::authority::{Administrator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::app::App;
use crate::judging::{self, sources};

/// The longest name of a document, in characters.
const MAX_NAME: usize = 64;

/// Lists all rules.
#[utoipa::path(get, path = "/api/muster/v1/rules", responses(
    (status = 200, description = "All rules", body = RuleList),
))]
pub(crate) async fn list(_: Reader, State(app): State<Arc<App>>) -> Json<RuleList> {
    let documents = app.judging.documents();
    let judge = app.judging.judge.lock();
    Json(RuleList {
        built_in: catalogue().iter().map(|rule| built_in(&judge, rule)).collect(),
        documents: documents.iter().map(|one| shown(&judge, one)).collect(),
        groups: app.central.now().all_groups(),
    })
}

/// Says what is wrong with a text of rules.
#[utoipa::path(post, path = "/api/muster/v1/rules/check", request_body = CheckRules, responses(
    (status = 200, description = "What is wrong with it; nothing if it can be used", body = RuleProblems),
))]
pub(crate) async fn check(_: Reader, ApiJson(request): ApiJson<CheckRules>) -> Json<RuleProblems> {
    Json(match sources::parse(&request.yaml) {
        Ok(file) => RuleProblems { problems: vec![], rules: file.rules().count() as u64 },
        Err(problems) => RuleProblems { problems, rules: 0 },
    })
}

/// Shows a document of rules.
#[utoipa::path(get, path = "/api/muster/v1/rules/documents/{name}", params(("name" = String, Path,)), responses(
    (status = 200, description = "The document", body = RuleDocument),
    (status = 404, description = "No such document", body = Failure),
))]
pub(crate) async fn document(
    _: Reader,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<RuleDocument>, ApiFailure> {
    find(&app, &name).map(Json)
}

/// Sets a document of rules; it is in force at once.
#[utoipa::path(put, path = "/api/muster/v1/rules/documents/{name}", params(("name" = String, Path,)), request_body = SetRuleDocument, responses(
    (status = 200, description = "The document as it is now", body = RuleDocument),
    (status = 400, description = "It cannot be used, or that is no name of a document", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 409, description = "Somebody else changed it meanwhile (`changed`)", body = Failure),
))]
pub(crate) async fn set_document(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    ApiJson(request): ApiJson<SetRuleDocument>,
) -> Result<Json<RuleDocument>, ApiFailure> {
    check_name(&name)?;
    sources::parse(&request.yaml)
        .map_err(|problems| ApiFailure::bad_request(sources::describe(&problems)))?;
    let (value, version) = (Value::String(request.yaml), Some(request.version));
    let setting = format!("{}{name}", sources::PREFIX);
    app.meta.set_setting(&who.actor, &setting, &value, version, app.clock.now_ms()).await?;
    judging::reload(&app).await;
    find(&app, &name).map(Json)
}

/// Removes a document; the alerts of its rules end.
#[utoipa::path(delete, path = "/api/muster/v1/rules/documents/{name}", params(("name" = String, Path,)), responses(
    (status = 204, description = "Removed"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such document", body = Failure),
))]
pub(crate) async fn remove_document(
    Administrator(who): Administrator,
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiFailure> {
    find(&app, &name)?;
    let setting = format!("{}{name}", sources::PREFIX);
    app.meta.set_setting(&who.actor, &setting, &Value::Null, None, app.clock.now_ms()).await?;
    judging::reload(&app).await;
    Ok(StatusCode::NO_CONTENT)
}

fn check_name(name: &str) -> Result<(), ApiFailure> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\');
    if !fits || name.trim() != name || name.contains(odd) || name == "built-in" {
        let text = "a document's name has 1 to 64 characters, no slashes, and is not built-in";
        return Err(ApiFailure::bad_request(text));
    }
    Ok(())
}

fn find(app: &App, name: &str) -> Result<RuleDocument, ApiFailure> {
    let documents = app.judging.documents();
    let found = documents.iter().find(|one| !one.is_file && one.name == name);
    let found = found.ok_or_else(|| ApiFailure::not_found("there is no such document of rules"))?;
    Ok(shown(&app.judging.judge.lock(), found))
}

fn shown(judge: &Judge, document: &sources::Document) -> RuleDocument {
    let groups = judge.groups().iter().filter(|group| group.file == document.name);
    let rules = groups.flat_map(|group| group.rules.iter().map(|rule| own(&group.name, rule)));
    RuleDocument {
        name: document.name.clone(),
        is_file: document.is_file,
        yaml: document.yaml.clone(),
        version: document.version,
        rules: rules.flatten().collect(),
        failure: document.failure.clone(),
    }
}

fn own(group: &str, judged: &JudgedRule) -> Option<OwnRule> {
    let muster_alerting::RuleKind::Own { rule, .. } = judged.kind() else { return None };
    let (firing, pending) = counts(judged);
    Some(OwnRule {
        key: judged.key.clone(),
        group: group.to_owned(),
        name: rule.name().to_owned(),
        is_alerting: matches!(rule, Rule::Alerting(_)),
        expression: judged.expr.clone(),
        for_ms: rule.as_alerting().map_or(0, |rule| rule.for_ms),
        firing,
        pending,
        evaluated_ms: judged.last().at_ms,
        failure: judged.last().failure.clone(),
    })
}

/// How many of a rule's alerts fire, and how many are pending.
fn counts(rule: &JudgedRule) -> (u64, u64) {
    let firing = rule.active().filter(|alert| alert.state == AlertState::Firing).count() as u64;
    (firing, rule.active().count() as u64 - firing)
}

fn built_in(judge: &Judge, rule: &BuiltIn) -> BuiltInRule {
    let judged = judge.rule(&format!("built-in/{}", rule.id));
    let last = judged.map(JudgedRule::last);
    let levels = rule.levels.iter().map(|level| RuleLevel {
        severity: severity(level.severity),
        enabled: true,
        threshold: level.threshold,
        clear: level.clear,
        for_ms: level.for_ms,
        keep_firing_for_ms: level.keep_firing_for_ms,
    });
    BuiltInRule {
        id: rule.id.into(),
        alert: rule.alert.into(),
        job: job(rule.job),
        title: rule.title[0].into(),
        title_zh: rule.title[1].into(),
        about: rule.about[0].into(),
        about_zh: rule.about[1].into(),
        expression: rule.expr.into(),
        unit: rule.unit.into(),
        below: rule.below,
        levels: levels.collect(),
        layers: vec![],
        firing: judged.map_or(0, |judged| counts(judged).0),
        evaluated_ms: last.and_then(|last| last.at_ms),
        evaluation_seconds: last.map_or(0.0, |last| last.seconds),
        failure: last.and_then(|last| last.failure.clone()),
    }
}

fn severity(severity: Severity) -> muster_api::Severity {
    match severity {
        Severity::Critical => muster_api::Severity::Critical,
        Severity::Warning => muster_api::Severity::Warning,
        Severity::Info => muster_api::Severity::Info,
    }
}

fn job(job: Job) -> RuleJob {
    match job {
        Job::Performance => RuleJob::Performance,
        Job::Disks => RuleJob::Disks,
        Job::Services => RuleJob::Services,
        Job::Network => RuleJob::Network,
        Job::Muster => RuleJob::Muster,
    }
}
