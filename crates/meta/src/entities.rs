//! The tables as the ORM sees them; one module a table.

pub(crate) mod agent;
pub(crate) mod alert_episode;
pub(crate) mod alert_trail;
pub(crate) mod alerting_record;
pub(crate) mod api_token;
pub(crate) mod audit;
pub(crate) mod channel;
pub(crate) mod enroll_token;
pub(crate) mod guard;
pub(crate) mod outbox;
pub(crate) mod recovery_code;
pub(crate) mod session;
pub(crate) mod setting;
pub(crate) mod user;
