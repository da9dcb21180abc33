//! Rules as the page shows them: those that come with Muster, and documents of people, which are checked before they are kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_alerting::{
    AlertState, BuiltIn, Job, Judge, JudgedRule, Rule, Severity, ThresholdScope, catalogue,
};
use muster_api::{
    BuiltInRule, CheckRules, Failure, LevelChange, OwnRule, RuleDocument, RuleJob, RuleLayer,
    RuleLevel, RuleList, RuleProblems, SetRuleDocument, SetRuleLayer, SettingsScope,
};
use serde_json::Value;

use super::authority::{Administrator, Reader};
use super::failure::ApiFailure;
use super::json_body::ApiJson;
use crate::app::App;
use crate::judging::{self, sources, thresholds};

/// The longest name of a document, in characters.
const MAX_NAME: usize = 64;
/// The longest that a grade may wait, in milliseconds: a week.
const MAX_FOR_MS: i64 = 7 * 86_400_000;

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

/// Sets what differs of a built-in rule for somebody.
#[utoipa::path(put, path = "/api/muster/v1/rules/built-in/{id}/{scope}/{target}", params(
    ("id" = String, Path, description = "The rule"),
    ("scope" = String, Path, description = "`all`, `groups` or `hosts`"),
    ("target" = String, Path, description = "The group's name or the host's; `-` for all"),
), request_body = SetRuleLayer, responses(
    (status = 200, description = "The rule with all its layers", body = BuiltInRule),
    (status = 400, description = "The rule cannot be changed like that", body = Failure),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such rule, or no such host", body = Failure),
))]
pub(crate) async fn set_layer(
    who: Administrator,
    State(app): State<Arc<App>>,
    Path(place): Path<(String, String, String)>,
    ApiJson(request): ApiJson<SetRuleLayer>,
) -> Result<Json<BuiltInRule>, ApiFailure> {
    let (rule, scope) = find_layer(&app, &place)?;
    for (name, change) in &request.levels {
        check_change(rule, name, change).map_err(ApiFailure::bad_request)?;
    }
    store_layer(&app, &who, rule, &scope, &serde_json::json!(request.levels)).await?;
    Ok(Json(built_in(&app.judging.judge.lock(), rule)))
}

/// Takes away what differs of a built-in rule for somebody.
#[utoipa::path(delete, path = "/api/muster/v1/rules/built-in/{id}/{scope}/{target}", params(
    ("id" = String, Path, description = "The rule"),
    ("scope" = String, Path, description = "`all`, `groups` or `hosts`"),
    ("target" = String, Path, description = "The group's name or the host's; `-` for all"),
), responses(
    (status = 204, description = "Removed, or there was nothing"),
    (status = 403, description = "Not an administrator", body = Failure),
    (status = 404, description = "No such rule, or no such host", body = Failure),
))]
pub(crate) async fn remove_layer(
    who: Administrator,
    State(app): State<Arc<App>>,
    Path(place): Path<(String, String, String)>,
) -> Result<StatusCode, ApiFailure> {
    let (rule, scope) = find_layer(&app, &place)?;
    let layers = app.judging.judge.lock().thresholds().clone();
    if layers.layers(rule.id).iter().any(|(set, _)| **set == scope) {
        store_layer(&app, &who, rule, &scope, &Value::Null).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn store_layer(
    app: &Arc<App>,
    Administrator(who): &Administrator,
    rule: &BuiltIn,
    scope: &ThresholdScope,
    value: &Value,
) -> Result<(), ApiFailure> {
    let name = thresholds::setting_name(rule.id, scope);
    app.meta.set_setting(&who.actor, &name, value, None, app.clock.now_ms()).await?;
    judging::reload(app).await;
    app.judging.hurry(&format!("built-in/{}", rule.id), app.clock.now_ms());
    Ok(())
}

/// The rule and the scope that an address names.
fn find_layer(
    app: &App,
    (id, scope, target): &(String, String, String),
) -> Result<(&'static BuiltIn, ThresholdScope), ApiFailure> {
    let rule = catalogue().iter().find(|rule| rule.id == id);
    let rule = rule.ok_or_else(|| ApiFailure::not_found("there is no such built-in rule"))?;
    let scope = match scope.as_str() {
        "all" if target == "-" => ThresholdScope::All,
        "groups" if (1..=MAX_NAME).contains(&target.chars().count()) => {
            ThresholdScope::Group(target.clone())
        }
        "hosts" if app.roster.get(target).is_some() => ThresholdScope::Host(target.clone()),
        "hosts" => return Err(ApiFailure::not_found("there is no such host")),
        _ => {
            let text = "the scope is all/-, groups/NAME or hosts/NAME";
            return Err(ApiFailure::bad_request(text));
        }
    };
    Ok((rule, scope))
}

/// Whether a grade can be changed like that.
pub(super) fn check_change(rule: &BuiltIn, name: &str, change: &LevelChange) -> Result<(), String> {
    let level = rule.levels.iter().find(|level| level.severity.as_str() == name);
    let Some(level) = level else {
        return Err(format!("the rule {} has no grade {name:?}", rule.id));
    };
    match change.threshold {
        Some(_) if level.threshold.is_none() => {
            return Err(format!("the grade {name} of {} compares nothing", rule.id));
        }
        Some(threshold) if !threshold.is_finite() => {
            return Err(format!("the threshold of {name} must be a number"));
        }
        Some(threshold) if rule.unit == "percent" && !(0.0..=100.0).contains(&threshold) => {
            return Err(format!("the threshold of {name} is a share: from 0 to 100 percent"));
        }
        Some(threshold) if matches!(rule.unit, "seconds" | "bytes") && threshold < 0.0 => {
            return Err(format!("the threshold of {name} cannot be less than nothing"));
        }
        _ => {}
    }
    if change.for_ms.is_some_and(|for_ms| !(0..=MAX_FOR_MS).contains(&for_ms)) {
        return Err(format!("{name} can wait for at most a week before it fires"));
    }
    Ok(())
}

fn layer((scope, changes): (&ThresholdScope, &muster_alerting::LevelChanges)) -> RuleLayer {
    let (scope, target) = match scope {
        ThresholdScope::All => (SettingsScope::All, String::new()),
        ThresholdScope::Group(group) => (SettingsScope::Group, group.clone()),
        ThresholdScope::Host(instance) => (SettingsScope::Host, instance.clone()),
    };
    RuleLayer { scope, target, levels: thresholds::outer(changes) }
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
        layers: judge.thresholds().layers(rule.id).into_iter().map(layer).collect(),
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
