//! What every database must do alike. Each test has a database of its own; the binary that holds this says of which kind.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]
#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

mod alerting;
mod audit;
mod enrolment;
mod people;
mod schema;
mod second_factors;
mod sessions;
mod settings;
mod tls;
mod tokens;
mod transfer;

use std::sync::atomic::{AtomicU32, Ordering};

use muster_meta::{Actor, Location, Meta, MetaError, NewUser, Role, SealingKey, User};
use sea_orm::{ConnectionTrait, Database};

pub(crate) const NOW_MS: i64 = 1_760_000_000_000;

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "each binary of tests has one kind of database")]
pub(crate) enum Kind {
    Sqlite,
    MariaDb,
    Postgres,
}

/// An empty database for one test; the servers' scratch folders go away with the servers.
pub(crate) struct Place {
    pub(crate) location: Location,
    /// For statements behind Muster's back.
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

/// An empty database; none, with the reason said, where the server is not there.
pub(crate) async fn place() -> Option<Place> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().unwrap();
    let (variable, admin) = match crate::KIND {
        Kind::Sqlite => {
            let path = folder.path().join("muster.db");
            let url = format!("sqlite:{}", path.display());
            return Some(Place { location: Location::Sqlite(path), url, _folder: folder });
        }
        Kind::MariaDb => ("MUSTER_TEST_MARIADB", "mysql"),
        Kind::Postgres => ("MUSTER_TEST_POSTGRES", "postgres"),
    };
    let Ok(server) = std::env::var(variable) else {
        println!(
            "skipped: no database server ({variable} is not set; cargo xtask test starts one)"
        );
        return None;
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("muster_{}_{count}", std::process::id());
    run(&format!("{server}/{admin}"), &format!("CREATE DATABASE {name}")).await;
    let url = format!("{server}/{name}");
    Some(Place { location: Location::Server(url.parse().unwrap()), url, _folder: folder })
}

impl Place {
    pub(crate) async fn open(&self) -> Result<Meta, MetaError> {
        Meta::open(&self.location, SealingKey::from_bytes([7; 32])).await
    }

    /// Runs a statement behind Muster's back.
    pub(crate) async fn meddle(&self, statement: &str) {
        run(&self.url, statement).await;
    }
}

async fn run(url: &str, statement: &str) {
    let db = Database::connect(url).await.unwrap();
    db.execute_unprepared(statement).await.unwrap();
    db.close().await.unwrap();
}

/// The metadata in an empty database, and what keeps that there.
pub(crate) async fn meta() -> Option<(Meta, Place)> {
    let place = place().await?;
    Some((place.open().await.unwrap(), place))
}

/// Whoever sets things up for a test.
pub(crate) fn by() -> Actor {
    Actor::command_line("root")
}

pub(crate) async fn add_user(meta: &Meta, name: &str, role: Role) -> Result<User, MetaError> {
    let new = NewUser { name: name.into(), password_hash: "first".into(), role, identity: None };
    meta.create_user(&by(), new, NOW_MS).await
}

pub(crate) async fn user(meta: &Meta, name: &str) -> User {
    add_user(meta, name, Role::Operator).await.unwrap()
}
