//! Which connections to a SQLite file go back into the pool: those without a transaction.
//!
//! SQLite itself takes a transaction back when the disk is full or a write fails. The `ROLLBACK` that follows then has
//! nothing to take back and fails, and the library goes on counting the transaction as open. The next one on that
//! connection would be a savepoint within it, whose taking back ends nothing: the connection would read what was
//! there at that moment for ever, with access that has been revoked since, and could write no more.

use sea_orm::ConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{Connection, Error, Executor};

/// SQLite's answer to a `ROLLBACK` that has nothing to take back (`SQLITE_ERROR`).
const NOTHING_TO_TAKE_BACK: &str = "1";

/// Has the pool close a connection that comes back within a transaction, or is taken to be within one, and open another
/// in its place. Not for a database in memory, which would end with its connection.
pub(crate) fn keep_clean(options: &mut ConnectOptions) {
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_release(|connection, _| Box::pin(async move { Ok(is_clean(connection).await) }))
    });
}

/// Whether the connection has no transaction, by SQLite's word and by the library's count.
async fn is_clean(connection: &mut SqliteConnection) -> bool {
    // It also waits for what was asked of the connection before, so that the count is of now.
    let ended = match connection.execute("ROLLBACK").await {
        Err(Error::Database(error)) => error.code().as_deref() == Some(NOTHING_TO_TAKE_BACK),
        _ => false,
    };
    ended && !connection.is_in_transaction()
}

#[cfg(test)]
mod tests {
    use sea_orm::sqlx::Sqlite;
    use sea_orm::sqlx::pool::PoolConnection;

    use super::*;
    use crate::{
        Actor, Location, Meta, MetaError, NewApiToken, NewSession, NewUser, Role, SealingKey,
    };

    const NOW_MS: i64 = 1_760_000_000_000;

    fn new_token(number: u8) -> NewApiToken {
        let name = format!("token {number}");
        NewApiToken { name, role: Role::Viewer, secret_hash: [number; 32], expires_ms: None }
    }

    async fn create_token(meta: &Meta, number: u8) -> Result<(), MetaError> {
        meta.create_api_token(&Actor::server(), new_token(number), NOW_MS).await.map(|_| ())
    }

    async fn add_user(meta: &Meta, name: &str) -> Result<String, MetaError> {
        let (name, password_hash) = (name.to_owned(), "x".repeat(20_000));
        let new = NewUser { name, password_hash, role: Role::Viewer, identity: None };
        meta.create_user(&Actor::server(), new, NOW_MS).await.map(|user| user.id)
    }

    async fn open_session(meta: &Meta, user_id: &str, number: u8) -> Result<(), MetaError> {
        let session = NewSession {
            secret_hash: [number; 32],
            user_id: user_id.to_owned(),
            expires_ms: NOW_MS + 1_000,
            ends_ms: NOW_MS + 1_000,
            address: "192.0.2.1".to_owned(),
            user_agent: "x".repeat(200),
            replaces: None,
        };
        meta.create_session(session, NOW_MS).await.map(|_| ())
    }

    /// All connections that the pool has room for, at once.
    async fn all_connections(meta: &Meta) -> Vec<PoolConnection<Sqlite>> {
        let pool = meta.db.get_sqlite_connection_pool();
        let mut all = Vec::new();
        for _ in 0..pool.options().get_max_connections() {
            all.push(pool.acquire().await.unwrap());
        }
        all
    }

    async fn on_all_connections(meta: &Meta, statement: &'static str) {
        for mut connection in all_connections(meta).await {
            connection.execute(statement).await.unwrap();
        }
    }

    /// What fails between the two statements leaves no connection behind that is stuck in the past.
    async fn check(breaking: &'static str, mending: &'static str) {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("muster.db"));
        let meta = Meta::open(&location, SealingKey::from_bytes([7; 32])).await.unwrap();
        let user_id = add_user(&meta, "ada").await.unwrap();
        create_token(&meta, 0).await.unwrap();
        on_all_connections(&meta, breaking).await;

        let mut writing = tokio::task::JoinSet::new();
        for number in 1..=40 {
            let (meta, user_id) = (meta.clone(), user_id.clone());
            writing.spawn(async move {
                let name = format!("user {number}");
                let user = add_user(&meta, &name).await.map(|_| ());
                let token = create_token(&meta, number).await;
                let session = open_session(&meta, &user_id, number).await;
                // Taken back by Muster itself, which ends nothing where the transaction is a savepoint.
                let unknown = meta.revoke_api_token(&Actor::server(), "none", NOW_MS).await;
                assert!(unknown.is_err(), "there is such a token");
                let known = meta.api_token_by_hash(&[0; 32], NOW_MS).await.map(|_| ());
                [user, token, session, known]
            });
        }
        let ended = writing.join_all().await;
        let failed = ended.iter().flatten().filter(|result| result.is_err()).count();
        assert!(failed > 0, "nothing was broken");
        on_all_connections(&meta, mending).await;

        meta.revoke_api_token(&Actor::server(), "token 0", NOW_MS).await.unwrap();
        for mut connection in all_connections(&meta).await {
            let left = "SELECT 1 FROM api_tokens WHERE name = 'token 0'";
            let row = connection.fetch_optional(left).await.unwrap();
            assert!(row.is_none(), "a connection does not see that the token was revoked");
        }
        for number in 100..200 {
            create_token(&meta, number).await.unwrap();
        }
        meta.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_full_database_leaves_no_connection_in_the_past() {
        check("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000").await;
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_ends_leaves_no_connection_in_the_past() {
        check(
            "CREATE TRIGGER IF NOT EXISTS ending BEFORE INSERT ON audit \
             BEGIN SELECT RAISE(ROLLBACK, 'ended'); END",
            "DROP TRIGGER IF EXISTS ending",
        )
        .await;
    }
}
