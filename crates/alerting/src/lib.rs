//! Rules as Prometheus writes them: files read and checked, alerts' states decided, texts expanded.
//!
//! The crate is pure. It knows no PromQL and no clock: who uses it evaluates a rule's expression, hands the vector in
//! with the time, and gets samples to store and alerts out.
//!
//! ```
//! use muster_alerting::{AlertState, Alerts, Context, RuleFile, Sample};
//! use muster_series::Labels;
//!
//! let file = RuleFile::parse("groups: [{name: hosts, rules: [{alert: Down, expr: up == 0, for: 1m}]}]")?;
//! let rule = file.groups[0].rules[0].as_alerting().expect("it has an alert's name");
//! let down = Sample { labels: Labels::from_pairs([("instance", "web-1")])?, value: 0.0 };
//! let mut alerts = Alerts::default();
//! alerts.evaluate(rule, 0, &[down.clone()], &Context::default())?;
//! alerts.evaluate(rule, 60_000, &[down], &Context::default())?;
//! assert_eq!(alerts.active().next().map(|alert| alert.state), Some(AlertState::Firing));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alerts;
mod built_in;
mod dispatch;
mod judge;
mod notification;
mod posted;
mod recording;
mod rule_file;
mod series_notation;
mod template;
mod test_file;
mod yaml;

pub use alerts::{Alert, AlertState, Alerts, EvaluateError, Sample};
pub use built_in::{
    BuiltIn, Job, Level, LevelChange, LevelChanges, Severity, Terms, ThresholdScope, Thresholds,
    Unusual, catalogue,
};
pub use dispatch::{
    Acknowledgement, AlertView, Decisions, Dispatcher, EVERYONE, Episode, GroupView, Hush,
    Matchers, MatchersError, NOBODY, Recurrence, Routing, RoutingError, Silence, SilenceError,
    SilenceState, TrailKind, TrailLine, why,
};
pub use judge::{
    DEFAULT_INTERVAL_MS, Group, Judge, JudgedRule, LastEvaluation, Outcome, RULE_STATE, Reads,
    RuleKind, RuleSource, Step, Timing, Turn,
};
pub use notification::{Notification, NotificationKind, NotifiedAlert};
pub use posted::{
    ALERT_NAME, AlertSource, INSTANCE, LabelMap, MAX_ALERT_BYTES, PostedAlert, PostedState,
    SEVERITY, fingerprint, format_fingerprint,
};
pub use recording::record;
pub use rule_file::{AlertingRule, RecordingRule, Rule, RuleFile, RuleFileError, RuleGroup};
pub use series_notation::{NotationError, parse_values};
pub use template::{Context, Query, Template, TemplateError};
pub use test_file::{
    AlertTest, ExpectedAlert, ExpectedSample, ExpressionTest, InputSeries, TestFile, TestFileError,
    TestGroup,
};
