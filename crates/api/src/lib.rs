//! Requests and replies of Muster's own HTTP API: the only types the page sees.
//!
//! Times are milliseconds since 1970-01-01 UTC in fields ending in `_ms`; percentages go from 0 to
//! 100; sizes are bytes. What a host has not told (yet) is `null`.
//!
//! ```
//! let request: muster_api::SignIn =
//!     serde_json::from_str(r#"{"user":"admin","password":"correct horse"}"#)?;
//! assert_eq!(request.user, "admin");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod account;
mod agent_settings;
mod agents;
mod alerts;
mod audit;
mod channels;
mod file_systems;
mod hosts;
mod live;
mod people;
mod processes;
mod rules;
mod services;
mod settings;
mod silences;
mod tokens;

pub use account::{
    Account, ChangePassword, ConfirmPassword, ConfirmSecondFactor, OpenSession, OpenSessionList,
    RecoveryCodes, SecondFactorSecret, Session, SignIn, SignInWays,
};
pub use agent_settings::{
    AgentSettings, EffectiveSettings, SetAgentSettings, SettingsLayer, SettingsLayers,
    SettingsScope,
};
pub use agents::{
    Agent, AgentList, AgentUpdate, ChangeAgent, CreateEnrollToken, EnrollToken, EnrollTokenList,
    UpdateOutcome,
};
pub use alerts::{
    Acknowledge, Acknowledgement, Alert, AlertCounts, AlertDetail, AlertEpisode, AlertHistory,
    AlertHush, AlertList, AlertState, AssignAlert, Severity, TrailKind, TrailStep, UnusualList,
    UnusualSeries, WhyNot,
};
pub use audit::{AuditActor, AuditEntry, AuditPage, AuditTarget};
pub use channels::{
    Channel, ChannelKind, ChannelList, ChannelSpec, ChannelTest, MessageLanguage, OutboxMessage,
    OutboxPage, Routing, SetRouting,
};
pub use file_systems::{Confidence, FileSystem, FileSystemList, Growth, GrowthKind};
pub use hosts::{
    Disk, Host, HostFigures, HostList, HostState, NextFull, RecentFigures, RecentList,
};
pub use live::{LiveFailure, LivePoints, LiveResult, LiveSeries};
pub use people::{ChangePerson, CreatePerson, NewPassword, Person, PersonList, SetPassword};
pub use processes::{ProcessRow, ProcessTable, ProcessesUnavailable};
pub use rules::{
    Backtest, BacktestEpisode, BacktestMessage, BacktestResult, BuiltInRule, CheckRules,
    LevelChange, OwnRule, RuleDocument, RuleJob, RuleLayer, RuleLevel, RuleList, RuleProblem,
    RuleProblems, SetRuleDocument, SetRuleLayer,
};
pub use services::{Service, ServiceCounts, ServiceGroup, ServiceHealth, ServiceKind, ServiceList};
pub use settings::{DiskUse, Settings, TlsKind, TlsSettings};
pub use silences::{Recurrence, Silence, SilenceList, SilenceMatcher, SilenceSpec, SilenceState};
pub use tokens::{ApiToken, ApiTokenList, CreateApiToken, NewSecret, Role};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, for a person and for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// A sentence that says what went wrong and what to do about it.
    pub error: String,
    /// A word that does not change between versions, such as `bad_credentials`.
    pub code: String,
    /// The request's number, by which the server's log tells more; also in the header `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What this server is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct About {
    /// Version of the server.
    pub version: String,
    /// When it was started.
    pub started_ms: i64,
    /// How many agents are connected now.
    pub agents: u64,
    /// How many series the store holds.
    pub series: u64,
    /// Bytes that the store takes on disk.
    pub bytes_on_disk: u64,
    /// How long samples are kept.
    pub retention_ms: i64,
    /// The address agents use, with the fingerprint of the CA where there is one.
    pub ca_fingerprint: Option<String>,
}
