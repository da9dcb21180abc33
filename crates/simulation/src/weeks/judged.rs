//! Judges what a host told: by the built-in rules, and by static thresholds.
//!
//! The expressions of rules are evaluated over the whole time at once, which costs far less than instant by instant; the
//! values of each instant then go to the judge in turn. What is urgent is evaluated at its own instant, as the server does.

use std::collections::{BTreeSet, HashMap};

use muster_alerting::{
    Context, Judge, PostedAlert, RuleFile, RuleSource, Sample, Step, Thresholds, catalogue,
};
use muster_promql::{Options, Value, evaluate_instant, evaluate_range, parse};
use muster_series::SeriesColumns;

use super::fault::Urgent;
use super::history::History;
use super::life::{FAST_MS, SLOW_MS, Span};

/// What was posted at an instant, in milliseconds since 1970.
pub(super) type Posted = (i64, Vec<PostedAlert>);

const STATIC_RULES: &str = include_str!("static_rules.yml");

/// The rules that judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Those that come with Muster.
    BuiltIn,
    /// Static thresholds; nothing is urgent for them.
    Static,
}

impl Rules {
    fn judge(self, now_ms: i64) -> Judge {
        let mut judge = Judge::new(Thresholds::default());
        let reads = |expr: &str| {
            let names = ["node_systemd_unit_state", "muster_oom_kills_total", "muster_host_silent"];
            let read = names.iter().filter(|name| expr.contains(**name));
            read.map(|name| metric_of(name)).collect::<BTreeSet<String>>()
        };
        match self {
            Self::BuiltIn => {
                let rules: Vec<_> = catalogue().iter().collect();
                judge.set_rules(&rules, Vec::new(), &reads, now_ms);
            }
            Self::Static => {
                let file = RuleFile::parse(STATIC_RULES).expect("a test reads the static rules");
                let source = RuleSource { name: "static".into(), file };
                judge.set_rules(&[], vec![source], &reads, now_ms);
            }
        }
        judge
    }
}

fn metric_of(name: &str) -> String {
    if name == "muster_host_silent" { "muster_host_silent_seconds".into() } else { name.into() }
}

/// What the rules post of a host's time.
pub(super) fn judge(
    history: &History,
    span: Span,
    rules: Rules,
    urgent: Option<Urgent>,
) -> Vec<Posted> {
    let mut judge = rules.judge(span.judged_from_ms);
    let mut tracks = Tracks { history, span, by_expr: HashMap::new() };
    let mut posted = Vec::new();
    let mut urgent = urgent.filter(|_| rules == Rules::BuiltIn);
    for at_ms in span.instants(span.judged_from_ms) {
        if let Some(now) = urgent.take_if(|urgent| urgent.at_ms <= at_ms) {
            judge.nudge([now.name], now.at_ms, now.at_ms);
            let turn = judge.due_nudged(now.at_ms);
            for step in turn.into_iter().flat_map(|turn| turn.steps) {
                let vector = instant(history, &step, now.at_ms);
                let outcome = judge.take(&step, vector, 0.0, &Context::default());
                posted.push((now.at_ms, outcome.posted));
            }
        }
        for turn in judge.due(at_ms) {
            for step in turn.steps {
                let vector = tracks.vector(&step.expr, at_ms);
                let outcome = judge.take(&step, vector, 0.0, &Context::default());
                posted.push((at_ms, outcome.posted));
            }
        }
    }
    posted.retain(|(_, alerts)| !alerts.is_empty());
    posted
}

fn options() -> Options {
    Options { max_points: 200_000, threads: 1, ..Options::default() }
}

fn instant(history: &History, step: &Step, at_ms: i64) -> Result<Vec<Sample>, String> {
    let query = parse(&step.expr).map_err(|error| error.to_string())?;
    let evaluated =
        evaluate_instant(history, &query, at_ms, &options()).map_err(|error| error.to_string())?;
    let Value::Vector(samples) = evaluated.value else { return Ok(Vec::new()) };
    let of = |sample: muster_promql::InstantSample| Sample {
        labels: sample.labels,
        value: sample.value,
    };
    Ok(samples.into_iter().map(of).collect())
}

/// The values of each expression over the whole time, read forwards.
struct Tracks<'a> {
    history: &'a History,
    span: Span,
    by_expr: HashMap<String, Result<Vec<Track>, String>>,
}

/// A series of values, and how far it was read.
struct Track {
    columns: SeriesColumns,
    at: usize,
}

impl Tracks<'_> {
    /// The values at an instant that is not earlier than any before.
    fn vector(&mut self, expr: &str, at_ms: i64) -> Result<Vec<Sample>, String> {
        if !self.by_expr.contains_key(expr) {
            let tracks = tracks(self.history, self.span, expr);
            self.by_expr.insert(expr.to_owned(), tracks);
        }
        let tracks = self.by_expr.get_mut(expr).expect("it was put there");
        let tracks = tracks.as_mut().map_err(|error| error.clone())?;
        Ok(tracks.iter_mut().filter_map(|track| track.read(at_ms)).collect())
    }
}

impl Track {
    fn read(&mut self, at_ms: i64) -> Option<Sample> {
        let times = &self.columns.timestamps;
        while times.get(self.at).is_some_and(|&time| time < at_ms) {
            self.at += 1;
        }
        let holds = times.get(self.at) == Some(&at_ms);
        holds.then(|| Sample {
            labels: self.columns.labels.clone(),
            value: self.columns.values[self.at],
        })
    }
}

fn tracks(history: &History, span: Span, expr: &str) -> Result<Vec<Track>, String> {
    let query = parse(expr).map_err(|error| error.to_string())?;
    let fast_from_ms = span.fast_from_ms.min(span.end_ms + 1);
    let mut tracks = Vec::new();
    for (from_ms, to_ms, step_ms) in [
        (span.judged_from_ms, fast_from_ms - 1, SLOW_MS),
        (span.judged_from_ms.max(fast_from_ms), span.end_ms, FAST_MS),
    ] {
        if from_ms > to_ms {
            continue;
        }
        let evaluated = evaluate_range(history, &query, from_ms, to_ms, step_ms, &options())
            .map_err(|error| error.to_string())?;
        if let Value::Matrix(series) = evaluated.value {
            tracks.extend(series.into_iter().map(|columns| Track { columns, at: 0 }));
        }
    }
    Ok(tracks)
}
