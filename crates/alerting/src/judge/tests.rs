//! What the judge says over a few turns, as text.

use std::collections::BTreeSet;

use muster_series::Labels;
use serde_json::Value;

use super::*;
use crate::built_in::{Job, Level, Severity, Unusual};
use crate::posted::PostedState;

static HOT: BuiltIn = BuiltIn {
    id: "hot",
    alert: "Hot",
    job: Job::Performance,
    title: ["Hot", "过热"],
    about: ["", ""],
    expr: "celsius",
    unit: "celsius",
    below: false,
    levels: &[
        Level {
            severity: Severity::Critical,
            threshold: Some(90.0),
            clear: Some(85.0),
            for_ms: 0,
            keep_firing_for_ms: 0,
        },
        Level {
            severity: Severity::Warning,
            threshold: Some(70.0),
            clear: Some(65.0),
            for_ms: 30_000,
            keep_firing_for_ms: 0,
        },
    ],
    summary: [
        "{{ $labels.instance }} has {{ $value }} °C",
        "{{ $labels.instance }} 温度 {{ $value }} °C",
    ],
    description: ["", ""],
    action: ["Look at the fans.", "检查风扇。"],
    nudged: true,
    unusual: None,
};

fn sample(instance: &str, value: f64) -> Sample {
    let pairs = [("__name__", "x"), ("instance", instance), ("job", "node")];
    Sample { labels: Labels::from_pairs(pairs).unwrap(), value }
}

/// An expression of these tests reads the metric that it names first.
fn reads(expr: &str) -> BTreeSet<String> {
    expr.split(' ').next().map(str::to_owned).into_iter().collect()
}

fn source(name: &str, yaml: &str) -> RuleSource {
    RuleSource { name: name.into(), file: RuleFile::parse(yaml).unwrap() }
}

fn judge(yaml: &str) -> Judge {
    let mut judge = Judge::new(Thresholds::default());
    judge.set_rules(&[&HOT], vec![source("own", yaml)], &reads, 0);
    judge
}

fn text(outcome: &Outcome) -> String {
    let posted = outcome.posted.iter().map(|alert| {
        let state = match alert.state {
            PostedState::Pending => "pending",
            PostedState::Firing => "firing",
            PostedState::Resolved => "resolved",
        };
        let severity = alert.labels.get("severity").map_or("", String::as_str);
        format!("{}{severity} {state}", alert.labels["alertname"])
    });
    posted.collect::<Vec<_>>().join(", ")
}

/// Evaluates one rule at an instant.
fn take(judge: &mut Judge, key: &str, at_ms: i64, vector: Vec<Sample>) -> Outcome {
    let expr = judge.rule(key).expect("the rule is there").expr.clone();
    let step = Step { key: key.into(), expr, query_at_ms: at_ms, at_ms };
    judge.take(&step, Ok(vector), 0.0, &Context::default())
}

const DOWN: &str = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m}]}]";

/// What is posted of the built-in rule for these values, 15 s apart; `-` is no sample.
#[track_caller]
fn check_hot(values: &str, expected: &[&str]) {
    let mut judge = judge("groups: []");
    for ((value, at), expected) in values.split(' ').zip(1..).zip(expected) {
        let vector = value.parse().map(|value| vec![sample("a", value)]).unwrap_or_default();
        let outcome = take(&mut judge, "built-in/hot", at * 15_000, vector);
        assert_eq!(text(&outcome), *expected, "value {at} of {values}");
    }
}

#[test]
fn grades_have_their_own_thresholds_terms_and_hysteresis() {
    check_hot(
        "60 70 66 75 66 64",
        &["", "Hotwarning pending", "", "Hotwarning firing", "", "Hotwarning resolved"],
    );
    check_hot("66 69", &["", ""]);
    check_hot(
        "90 86 84 -",
        &[
            "Hotcritical firing, Hotwarning pending",
            "",
            "Hotcritical resolved, Hotwarning firing",
            "Hotwarning resolved",
        ],
    );
    check_hot("NaN 1e999", &["", "Hotcritical firing, Hotwarning pending"]);
}

#[test]
fn alerts_of_built_in_rules_say_what_is_the_matter_in_both_languages() {
    let outcome = take(&mut judge("groups: []"), "built-in/hot", 15_000, vec![sample("a", 95.0)]);
    let alert = &outcome.posted[0];
    assert_eq!(alert.annotations["summary"], "a has 95 °C");
    assert_eq!(alert.annotations["action_zh"], "检查风扇。");
    assert!(!alert.annotations.contains_key("description"));
    assert!(!alert.labels.contains_key("job"));
    assert_eq!((alert.threshold, alert.unit.as_str()), (Some(90.0), "celsius"));
    let names: Vec<&str> =
        outcome.samples.iter().filter_map(|one| one.labels.metric_name()).collect();
    assert_eq!(names, ["ALERTS", "ALERTS_FOR_STATE", "ALERTS", "ALERTS_FOR_STATE"]);
    assert_eq!(outcome.put.len(), 2);
}

#[test]
fn only_what_is_new_is_told_and_a_moved_value_once_a_minute() {
    let mut judge = judge(DOWN);
    let key = "own/g/Down";
    let mut said = Vec::new();
    for (at_s, value) in [(0, 1.0), (15, 2.0), (60, 1.01), (75, 5.0), (120, 9.0), (135, 9.0)] {
        let outcome = take(&mut judge, key, at_s * 1_000, vec![sample("a", value)]);
        said.push(format!("{at_s}:{}/{}", text(&outcome), outcome.put.len()));
    }
    assert_eq!(
        said.join(" "),
        "0:Down pending/1 15:/0 60:Down firing/1 75:/0 120:Down firing/0 135:/0"
    );
    let gone = take(&mut judge, key, 150_000, vec![]);
    assert_eq!(
        (text(&gone).as_str(), gone.remove.len(), gone.ended.len()),
        ("Down resolved", 1, 2)
    );
    assert_eq!(take(&mut judge, key, 165_000, vec![]), Outcome::default());
}

#[test]
fn a_pending_alert_that_ends_is_taken_back() {
    let mut judge = judge(DOWN);
    take(&mut judge, "own/g/Down", 0, vec![sample("a", 0.0)]);
    let gone = take(&mut judge, "own/g/Down", 15_000, vec![]);
    assert_eq!((text(&gone).as_str(), gone.remove.len()), ("Down resolved", 1));
    assert_eq!(gone.posted[0].starts_at_ms, None);
}

#[test]
fn what_was_pending_or_fired_before_a_restart_goes_on() {
    let mut before = judge(DOWN);
    let mut kept: Vec<(String, Value)> = Vec::new();
    kept.extend(take(&mut before, "own/g/Down", 0, vec![sample("a", 0.0)]).put);
    let mut after = Judge::new(Thresholds::default());
    assert!(after.restore(kept, 90_000).is_empty());
    after.set_rules(&[], vec![source("own", DOWN)], &reads, 30_000);
    assert!(after.forget_orphans().is_empty());
    // The host has not come back yet: that ends nothing.
    assert_eq!(text(&take(&mut after, "own/g/Down", 30_000, vec![])), "Down pending");
    let fires = take(&mut after, "own/g/Down", 61_000, vec![sample("a", 0.0)]);
    assert_eq!(text(&fires), "Down firing");
    assert_eq!(fires.posted[0].active_at_ms, 0);
    assert_eq!(text(&take(&mut after, "own/g/Down", 90_000, vec![])), "Down resolved");
}

#[test]
fn states_of_rules_that_are_gone_and_broken_ones_are_told() {
    let kept = take(&mut judge(DOWN), "own/g/Down", 0, vec![sample("a", 0.0)]).put;
    let key = kept[0].0.clone();
    let mut after = Judge::new(Thresholds::default());
    let broken = ("k".to_owned(), Value::Null);
    let unreadable = after.restore(kept.into_iter().chain([broken]), 0);
    assert_eq!(unreadable.len(), 1);
    after.set_rules(&[], vec![], &reads, 0);
    assert_eq!(after.forget_orphans(), [key]);
}

#[test]
fn reading_rules_anew_keeps_states_and_ends_those_of_rules_that_are_gone() {
    let mut judge = judge(DOWN);
    take(&mut judge, "own/g/Down", 0, vec![sample("a", 0.0)]);
    let longer = DOWN.replace("1m", "2m");
    let same = judge.set_rules(&[&HOT], vec![source("own", &longer)], &reads, 10_000);
    assert_eq!(same, Outcome::default());
    assert_eq!(text(&take(&mut judge, "own/g/Down", 60_000, vec![sample("a", 0.0)])), "");
    let fires = take(&mut judge, "own/g/Down", 120_000, vec![sample("a", 0.0)]);
    assert_eq!(text(&fires), "Down firing");
    let gone = judge.set_rules(&[&HOT], vec![], &reads, 130_000);
    assert_eq!(
        (text(&gone).as_str(), gone.ended.len(), gone.remove.len()),
        ("Down resolved", 2, 1)
    );
    assert!(judge.rule("own/g/Down").is_none());
}

#[test]
fn turns_are_spread_ordered_and_missed_ones_counted() {
    let rules = "groups: [{name: g, interval: 1m, query_offset: 10s, rules: [{record: a, expr: x}, {record: b, expr: y}]}, {name: h, interval: 1m}]";
    let mut judge = judge(rules);
    let first = judge.groups()[1].timing.next_ms;
    assert_ne!(first, judge.groups()[2].timing.next_ms, "two groups have two places");
    assert!((0..60_000).contains(&first));
    let turns = judge.due(first);
    let turn = turns.iter().find(|turn| turn.group == "g").expect("it is its turn");
    let steps: Vec<(&str, i64)> =
        turn.steps.iter().map(|step| (step.expr.as_str(), step.at_ms - step.query_at_ms)).collect();
    assert_eq!(steps, [("x", 10_000), ("y", 10_000)]);
    assert!(judge.due(first).iter().all(|turn| turn.group != "g"));
    let late = judge.due(first + 185_000);
    let turn = late.iter().find(|turn| turn.group == "g").expect("it is its turn");
    assert_eq!((turn.missed, turn.steps[0].at_ms), (2, first + 180_000));
    assert_eq!(judge.groups()[1].timing.missed, 2);
}

#[test]
fn a_nudge_evaluates_the_rules_that_read_the_metric_and_not_more_often_than_is_useful() {
    let mut judge = judge(
        "groups: [{name: g, rules: [{alert: Down, expr: up == 0}, {alert: Other, expr: y}, {record: r, expr: up}]}]",
    );
    assert_eq!(judge.nudge(["nothing"], 0, 0), 0);
    assert_eq!(judge.due_nudged(0), None);
    for at_ms in 1_000..1_100 {
        assert_eq!(judge.nudge(["up"], at_ms + 300, at_ms), 1);
    }
    let turn = judge.due_nudged(1_100).expect("a rule was nudged");
    let keys: Vec<(&str, i64)> =
        turn.steps.iter().map(|step| (step.key.as_str(), step.at_ms)).collect();
    assert_eq!(
        keys,
        [("own/g/Down", 1_399)],
        "it sees the newest sample, of a clock that is ahead"
    );
    judge.nudge(["up", "celsius"], 1_150, 1_150);
    let turn = judge.due_nudged(1_150).expect("another rule was nudged");
    assert_eq!(turn.steps.len(), 1, "the first one rests");
    assert_eq!(judge.next_nudged_ms(), Some(1_300));
    assert_eq!(judge.due_nudged(1_300).map(|turn| turn.steps.len()), Some(1));
    assert_eq!(judge.next_nudged_ms(), None);
}

#[test]
fn a_failed_evaluation_leaves_the_alerts_as_they_are() {
    let mut judge = judge(DOWN);
    take(&mut judge, "own/g/Down", 0, vec![sample("a", 0.0)]);
    let step = judge.rule("own/g/Down").unwrap().step(60_000, 0);
    let failed = judge.take(&step, Err("the store is closed".into()), 0.1, &Context::default());
    assert_eq!(failed.failure.as_deref(), Some("the store is closed"));
    assert!(failed.ended.is_empty() && failed.posted.is_empty());
    let rule = judge.rule("own/g/Down").unwrap();
    assert_eq!((rule.last().count, rule.last().failed, rule.active().count()), (2, 1, 1));
    let late = judge.take(&step, Ok(vec![]), 0.1, &Context::default());
    assert_eq!(late, Outcome::default(), "what was judged already is not judged again");
}

#[test]
fn a_limit_ends_all_alerts_of_its_rule_and_a_recording_rule_stores() {
    let mut judge = judge(
        "groups: [{name: g, limit: 1, rules: [{alert: Down, expr: up == 0}, {record: r, expr: up}]}]",
    );
    take(&mut judge, "own/g/Down", 0, vec![sample("a", 0.0)]);
    let over = take(&mut judge, "own/g/Down", 15_000, vec![sample("a", 0.0), sample("b", 0.0)]);
    assert!(over.failure.is_some_and(|text| text.contains("limit is 1")));
    assert!(over.posted.iter().all(|alert| alert.state == PostedState::Resolved));
    let stored = take(&mut judge, "own/g/r", 15_000, vec![sample("a", 3.0)]);
    assert_eq!(stored.samples[0].labels.metric_name(), Some("r"));
    let none = take(&mut judge, "own/g/r", 30_000, vec![]);
    assert_eq!(none.ended.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_stops_no_rule() {
    const HOUR_MS: i64 = 3_600_000;
    let mut judge = judge(DOWN);
    let down = || vec![sample("a", 0.0)];
    take(&mut judge, "own/g/Down", 10 * HOUR_MS, down());
    assert!(!judge.due(10 * HOUR_MS).is_empty());
    // An hour comes again.
    let now_ms = 9 * HOUR_MS;
    judge.due(now_ms);
    let turns: Vec<Turn> = (1..=15).flat_map(|second| judge.due(now_ms + second * 1_000)).collect();
    let steps: Vec<&Step> = turns.iter().flat_map(|turn| &turn.steps).collect();
    let of_down = steps.iter().find(|step| step.key == "own/g/Down").expect("it has its turn");
    assert!(of_down.at_ms <= now_ms + 15_000, "{of_down:?}");
    // What held goes on holding, from now on.
    let outcome = take(&mut judge, "own/g/Down", now_ms + 61_000, down());
    assert_eq!(text(&outcome), "Down firing");
}

static HOT_SOONER: BuiltIn = BuiltIn {
    id: "hot_sooner",
    unusual: Some(Unusual { metric: "temperature_celsius", for_ms: 15_000 }),
    ..HOT
};

#[test]
fn what_is_unusual_for_the_hour_need_not_hold_as_long() {
    let mut judge = Judge::new(Thresholds::default());
    judge.set_rules(&[&HOT_SOONER], Vec::new(), &reads, 0);
    let question = |judge: &mut Judge, now_ms: i64| {
        let turns = judge.due(now_ms);
        let asks = |turn: &&Turn| turn.group == "unusual";
        turns.iter().find(asks).map(|turn| turn.steps[0].clone()).expect("it is asked first")
    };
    let step = question(&mut judge, 15_000);
    assert_eq!(step.expr, "muster_anomaly_score{metric=~\"temperature_celsius\"} > 5");
    let score = |instance| {
        let pairs = [("instance", instance), ("metric", "temperature_celsius")];
        vec![Sample { labels: Labels::from_pairs(pairs).unwrap(), value: 7.0 }]
    };
    judge.take(&step, Ok(score("a")), 0.0, &Context::default());
    let both = || vec![sample("a", 75.0), sample("b", 75.0)];
    let first = take(&mut judge, "built-in/hot_sooner", 15_000, both());
    assert_eq!(text(&first), "Hotwarning pending, Hotwarning pending");
    let second = take(&mut judge, "built-in/hot_sooner", 30_000, both());
    assert_eq!(text(&second), "Hotwarning firing");
    assert_eq!(second.posted[0].labels["instance"], "a");
    // Without an answer nothing is known, and the full time counts.
    let step = question(&mut judge, 45_000);
    judge.take(&step, Ok(score("b")), 0.0, &Context::default());
    let step = question(&mut judge, 60_000);
    judge.take(&step, Err("too much".into()), 0.0, &Context::default());
    let at_once = || vec![sample("b", 60.0)];
    take(&mut judge, "built-in/hot_sooner", 45_000, at_once());
    take(&mut judge, "built-in/hot_sooner", 60_000, vec![sample("b", 75.0)]);
    let late = take(&mut judge, "built-in/hot_sooner", 75_000, vec![sample("b", 75.0)]);
    assert_eq!(text(&late), "");
}

#[test]
fn where_no_rule_asks_what_is_unusual_it_is_not_asked() {
    let turns = judge("groups: []").due(60_000);
    assert!(turns.iter().all(|turn| turn.group != "unusual"), "{turns:?}");
}
