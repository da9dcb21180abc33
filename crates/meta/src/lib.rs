//! What Muster knows beside samples: people, sessions, tokens, agents and settings, in a database.
//!
//! This is the only crate that knows SQL. It hands out plain values; entities, statements and the
//! library behind them stay inside, so that the file can become a MySQL or PostgreSQL server
//! without anybody noticing. Secrets come in as hashes: making and hashing them is the server's.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use muster_meta::{Location, Meta, NewUser, Role};
//!
//! let meta = Meta::open(&Location::InMemory).await?;
//! let now_ms = 1_760_000_000_000;
//! let admin = NewUser { name: "admin".into(), password_hash: "$argon2id$…".into(), role: Role::Admin };
//! meta.create_user(admin, now_ms).await?;
//! assert_eq!(meta.count_users().await?, 1);
//! # Ok(())
//! # }
//! ```

mod role;
mod secret_hash;

mod agents;
mod api_tokens;
mod copy;
mod enroll_tokens;
mod open;
mod sessions;
mod settings;
mod users;

mod entities;
mod error;
mod ids;
mod migrations;

pub use agents::{Agent, Enrollment, NewAgent};
pub use api_tokens::{ApiToken, NewApiToken};
pub use copy::{check_database, copy_database};
pub use enroll_tokens::{EnrollToken, NewEnrollToken};
pub use error::{EnrollError, MetaError};
pub use open::{Location, Meta};
pub use role::{Permission, Role, UnknownRole};
pub use sessions::{NewSession, Session};
pub use users::{NewUser, User};
