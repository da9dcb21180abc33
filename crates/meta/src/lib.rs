//! What Muster knows beside samples: people, sessions, tokens, agents and settings, in a database.
//!
//! This is the only crate that knows SQL. It hands out plain values; entities, statements and the
//! library behind them stay inside, so that a SQLite file can become a MariaDB, MySQL or PostgreSQL server
//! without anybody noticing. Secrets come in as hashes: making and hashing them is the server's. What
//! must be read again is sealed with a key that is not in the database ([`SealingKey`]).
//!
//! What changes something takes the [`Actor`] who does it, and writes the audit log in the same transaction.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use muster_meta::{Actor, Location, Meta, NewUser, Role, SealingKey};
//!
//! let meta = Meta::open(&Location::InMemory, SealingKey::from_bytes([7; 32])).await?;
//! let now_ms = 1_760_000_000_000;
//! let admin = NewUser {
//!     name: "admin".into(),
//!     password_hash: "$argon2id$…".into(),
//!     role: Role::Admin,
//!     identity: None,
//! };
//! meta.create_user(&Actor::server(), admin, now_ms).await?;
//! assert_eq!(meta.count_users().await?, 1);
//! # Ok(())
//! # }
//! ```

mod actor;
mod role;
mod secret_hash;

mod agents;
mod alerting;
mod api_tokens;
mod audit;
mod channels;
mod copy;
mod enroll_tokens;
mod open;
mod outbox;
mod pooled;
mod second_factors;
mod sessions;
mod settings;
mod transfer;
mod users;

mod attempts;
mod database_url;
mod entities;
mod error;
mod guards;
mod ids;
mod migrations;
mod names;
mod sealing;

pub use actor::{Actor, ActorKind};
pub use agents::{Agent, Enrollment, NewAgent};
pub use alerting::{AlertingChange, Episode, EpisodeFilter, MAX_ALERTING_PAGE, Record, TrailLine};
pub use api_tokens::{ApiToken, NewApiToken};
pub use audit::{AuditEntry, AuditExport, AuditFilter, AuditPage, MAX_AUDIT_PAGE, Target};
pub use channels::{Channel, Secrets};
pub use copy::{check_database, copy_database};
pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use enroll_tokens::{EnrollToken, NewEnrollToken};
pub use error::{EnrollError, MetaError};
pub use open::{Location, Meta};
pub use outbox::{Message, NewMessage, Waiting, WaitingFor};
pub use role::{Permission, Role, UnknownRole};
pub use sealing::SealingKey;
pub use second_factors::Totp;
pub use sessions::{NewSession, Session};
pub use settings::Setting;
pub use users::{Identity, NewUser, User};
