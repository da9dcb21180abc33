//! `muster silence`: hides alerts for a while, over the same API as the page.

use anyhow::Context as _;
use muster_alerting::Matchers;
use muster_api::{AlertList, Silence, SilenceList, SilenceMatcher, SilenceSpec, SilenceState};
use muster_environment::{Clock as _, SystemClock};
use muster_meta::Role;
use muster_series::{MatchOp, parse_duration_ms};

use crate::alerts_command;
use crate::cli::{SilenceArgs, SilenceCommand, TargetArgs};
use crate::client::Session;
use crate::hosts_command::duration;
use crate::table;

const PATH: &str = "/api/muster/v1/silences";
/// How long a silence is that is only looked at.
const PREVIEW_MS: i64 = 3_600_000;

/// Does what is asked of silences.
pub(crate) async fn run(args: SilenceArgs) -> anyhow::Result<()> {
    let now_ms = SystemClock::new().now_ms();
    match args.command {
        SilenceCommand::Add { matchers, duration, comment, target } => {
            let length_ms = parse_duration_ms(&duration).context("in --duration")?;
            let spec = spec(&matchers, now_ms, length_ms, comment)?;
            let session = Session::open_as(&target, Role::Operator).await?;
            let answer: anyhow::Result<Silence> = session.client.post(PATH, &spec).await;
            session.done().await;
            print(&target, &answer?, |silence| format!("{}\n", silence.id))
        }
        SilenceCommand::List { target } => {
            let session = Session::open(&target).await?;
            let answer: anyhow::Result<SilenceList> = session.client.get(PATH).await;
            session.done().await;
            print(&target, &answer?, |list| text(list, now_ms))
        }
        SilenceCommand::Expire { id, target } => {
            let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let session = Session::open_as(&target, Role::Operator).await?;
            let answer = session.client.delete(&format!("{PATH}/{id}")).await;
            session.done().await;
            answer
        }
        SilenceCommand::Preview { matchers, target } => {
            let spec = spec(&matchers, now_ms, PREVIEW_MS, String::new())?;
            let session = Session::open(&target).await?;
            let path = format!("{PATH}/preview");
            let answer: anyhow::Result<AlertList> = session.client.post(&path, &spec).await;
            session.done().await;
            print(&target, &answer?, alerts_command::text)
        }
    }
}

fn print<T: serde::Serialize>(
    target: &TargetArgs,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let told = if target.json {
        format!("{}\n", serde_json::to_string_pretty(value)?)
    } else {
        text(value)
    };
    table::print(&told);
    Ok(())
}

fn spec(
    texts: &[String],
    now_ms: i64,
    length_ms: i64,
    comment: String,
) -> anyhow::Result<SilenceSpec> {
    let mut matchers = Vec::new();
    for text in texts {
        let parsed = Matchers::parse(text).with_context(|| {
            format!("{text:?} is no matcher; write it like instance=web-1 or instance=~\"web-.*\"")
        })?;
        matchers.extend(parsed.iter().map(|matcher| SilenceMatcher {
            name: matcher.name().to_owned(),
            value: matcher.value().to_owned(),
            is_regex: matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex),
        }));
    }
    Ok(SilenceSpec {
        matchers,
        starts_at_ms: now_ms,
        ends_at_ms: now_ms.saturating_add(length_ms),
        comment,
        recurrence: None,
        until_resolved: false,
    })
}

fn text(list: &SilenceList, now_ms: i64) -> String {
    if list.silences.is_empty() {
        return "No silence.\n".into();
    }
    let row = |silence: &Silence| {
        let (state, rest) = match silence.state {
            SilenceState::Active => ("active", duration(silence.spec.ends_at_ms - now_ms)),
            SilenceState::Pending => ("pending", duration(silence.spec.ends_at_ms - now_ms)),
            SilenceState::Expired => ("expired", "-".to_owned()),
        };
        let matchers: Vec<String> = silence.spec.matchers.iter().map(matcher_text).collect();
        let comment = silence.spec.comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let hides = silence.hides.len().to_string();
        let by = silence.created_by.clone();
        vec![silence.id.clone(), state.into(), rest, hides, matchers.join(", "), by, comment]
    };
    let headings = ["ID", "STATE", "ENDS IN", "HIDES", "MATCHERS", "BY", "COMMENT"];
    table::render(&headings, &list.silences.iter().map(row).collect::<Vec<_>>())
}

fn matcher_text(matcher: &SilenceMatcher) -> String {
    let op = match (matcher.is_equal, matcher.is_regex) {
        (true, false) => "=",
        (false, false) => "!=",
        (true, true) => "=~",
        (false, true) => "!~",
    };
    format!("{}{op}{:?}", matcher.name, matcher.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let spec = spec(&[text.to_owned()], 0, 60_000, String::new()).unwrap();
        let told: Vec<String> = spec.matchers.iter().map(matcher_text).collect();
        assert_eq!(told.join(" "), expected);
        assert_eq!((spec.starts_at_ms, spec.ends_at_ms), (0, 60_000));
    }

    #[test]
    fn matchers_are_alertmanagers() {
        check("instance=web-1", "instance=\"web-1\"");
        check("severity!=\"info\"", "severity!=\"info\"");
        check("instance=~\"web-.*\"", "instance=~\"web-.*\"");
        check("team!~\"a|b\"", "team!~\"a|b\"");
        let error = spec(&["web-1".into()], 0, 1, String::new()).unwrap_err();
        assert!(format!("{error:#}").contains("is no matcher"), "{error:#}");
    }

    #[test]
    fn a_silence_is_one_line() {
        let spec = spec(&["a=b".into()], 0, 60_000, "for\nnothing".into()).unwrap();
        let silence = Silence {
            id: "1".into(),
            spec,
            created_by: "ada".into(),
            updated_ms: 0,
            state: SilenceState::Active,
            hides: vec!["x".into()],
        };
        let text = text(&SilenceList { silences: vec![silence] }, 30_000);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["1", "active", "30s", "1", "a=\"b\"", "ada", "for", "nothing"]);
    }
}
