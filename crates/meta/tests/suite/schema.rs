//! The tables: made once, kept over restarts, never taken back.

use muster_meta::{MetaError, Role};

use super::{Kind, add_user, place};

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let Some(place) = place().await else { return };
    let meta = place.open().await.unwrap();
    add_user(&meta, "ada", Role::Viewer).await.unwrap();
    meta.close().await.unwrap();
    let meta = place.open().await.unwrap();
    assert!(meta.user_by_name("ada").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_a_new_database_and_write_at_once() {
    let Some(place) = place().await else { return };
    let place = std::sync::Arc::new(place);
    let tasks: Vec<_> = (0..6)
        .map(|number| {
            let place = std::sync::Arc::clone(&place);
            tokio::spawn(async move {
                let meta = place.open().await?;
                for turn in 0..5 {
                    add_user(&meta, &format!("user-{number}-{turn}"), Role::Viewer).await?;
                }
                Ok::<_, MetaError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(place.open().await.unwrap().count_users().await.unwrap(), 30);
}

/// What a database of the first version looks like, with an account, its session, a token and an agent.
const FIRST_VERSION: &str = "
    DROP TABLE outbox; DROP TABLE channels; DROP TABLE alert_episodes; DROP TABLE alert_trail;
    DROP TABLE alerting_records; DELETE FROM seaql_migrations WHERE version = 'm0003_alerting';
    DROP TABLE audit; DROP TABLE recovery_codes; DROP TABLE guards;
    DELETE FROM seaql_migrations WHERE version = 'm0002_audit_and_second_factors';
    DROP INDEX users_by_oidc;
    ALTER TABLE users DROP COLUMN disabled; ALTER TABLE users DROP COLUMN totp_sealed;
    ALTER TABLE users DROP COLUMN totp_confirmed; ALTER TABLE users DROP COLUMN totp_last_step;
    ALTER TABLE users DROP COLUMN oidc_issuer; ALTER TABLE users DROP COLUMN oidc_subject;
    ALTER TABLE users DROP COLUMN last_sign_in_ms;
    ALTER TABLE sessions DROP COLUMN ends_ms; ALTER TABLE sessions DROP COLUMN last_seen_ms;
    ALTER TABLE sessions DROP COLUMN user_agent;
    ALTER TABLE api_tokens DROP COLUMN made_by;
    ALTER TABLE enroll_tokens DROP COLUMN tags_json; ALTER TABLE enroll_tokens DROP COLUMN made_by;
    ALTER TABLE agents DROP COLUMN tags_json; ALTER TABLE agents DROP COLUMN asked_instance;
    ALTER TABLE agents DROP COLUMN version;
    ALTER TABLE settings DROP COLUMN version; ALTER TABLE settings DROP COLUMN changed_ms;
    INSERT INTO users VALUES ('u1', 'admin', 'hash', 'admin', 5);
    INSERT INTO sessions VALUES ('s1', 'aa', 'u1', 5, 9000000000000, '::1');
    INSERT INTO api_tokens VALUES ('t1', 'grafana', 'viewer', 'bb', 5, NULL, 6);
    INSERT INTO agents VALUES ('a1', 'web1', 'web1', '0707070707070707070707070707070707070707070707070707070707070707', '[\"web\"]', 5, FALSE, 7);
";

/// Only SQLite ran the first version.
#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up() {
    if crate::KIND != Kind::Sqlite {
        return;
    }
    let Some(place) = place().await else { return };
    place.open().await.unwrap().close().await.unwrap();
    place.meddle(FIRST_VERSION).await;
    let meta = place.open().await.unwrap();
    let admin = meta.user_by_name("admin").await.unwrap().unwrap();
    assert_eq!((admin.role, admin.disabled, admin.second_factor), (Role::Admin, false, false));
    assert_eq!(meta.list_api_tokens().await.unwrap()[0].last_used_ms, Some(6));
    let agent = meta.agent_by_public_key(&[7; 32]).await.unwrap().unwrap();
    assert_eq!((agent.instance.as_str(), agent.groups.as_slice()), ("web1", &["web".into()][..]));
    assert_eq!(agent.asked_instance, None);
    // Its session had no end, so everybody signs in once more.
    assert_eq!(meta.sessions_of_user("u1", 0).await.unwrap(), []);
    add_user(&meta, "ada", Role::Viewer).await.unwrap();
}

/// MySQL and MariaDB keep what a step did before it was cut short; the next start must finish it on all.
#[tokio::test]
async fn a_step_that_was_cut_short_is_finished_by_the_next_start() {
    let Some(place) = place().await else { return };
    place.open().await.unwrap().close().await.unwrap();
    place.meddle("DROP TABLE audit").await;
    place.meddle("ALTER TABLE agents DROP COLUMN version").await;
    place.meddle("DELETE FROM guards WHERE name = 'administrators'").await;
    place.meddle("DELETE FROM seaql_migrations WHERE version LIKE 'm0002%'").await;
    let meta = place.open().await.unwrap();
    let ada = add_user(&meta, "ada", Role::Admin).await.unwrap();
    let error = meta.remove_user(&super::by(), &ada.id, 0).await.unwrap_err();
    assert!(matches!(error, MetaError::LastAdministrator { .. }), "{error}");
    meta.close().await.unwrap();
    place.meddle("DELETE FROM seaql_migrations").await;
    assert_eq!(place.open().await.unwrap().count_users().await.unwrap(), 1);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let Some(place) = place().await else { return };
    let meta = place.open().await.unwrap();
    add_user(&meta, "ada", Role::Viewer).await.unwrap();
    meta.close().await.unwrap();
    place.meddle("INSERT INTO seaql_migrations VALUES ('m9999_the_future', 0)").await;
    let error = place.open().await.unwrap_err();
    assert!(
        matches!(&error, MetaError::Newer { migration, .. } if migration == "m9999_the_future"),
        "{error}"
    );
    place.meddle("DELETE FROM seaql_migrations WHERE version = 'm9999_the_future'").await;
    let meta = place.open().await.unwrap();
    assert_eq!(meta.count_users().await.unwrap(), 1);
}

#[tokio::test]
async fn a_value_that_was_edited_by_hand_is_an_error_that_says_where() {
    let Some(place) = place().await else { return };
    let meta = place.open().await.unwrap();
    add_user(&meta, "ada", Role::Viewer).await.unwrap();
    place.meddle("UPDATE users SET role = 'emperor'").await;
    let error = meta.user_by_name("ada").await.unwrap_err().to_string();
    assert!(error.contains("\"emperor\" in users.role"), "{error}");
}

#[tokio::test]
async fn a_server_without_the_database_or_the_password_is_told_without_the_password() {
    let Some(place) = place().await else { return };
    if crate::KIND == Kind::Sqlite {
        return;
    }
    let (server, _) = place.url.rsplit_once('/').unwrap();
    let secret = server.replace('@', ":s3cret@");
    for url in
        [format!("{server}/absent"), format!("{}/muster", secret.replace("127.0.0.1", "127.0.0.2"))]
    {
        let location = muster_meta::Location::Server(url.parse().unwrap());
        let key = muster_meta::SealingKey::from_bytes([7; 32]);
        let error = muster_meta::Meta::open(&location, key).await.unwrap_err();
        assert!(matches!(error, MetaError::CannotConnect { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
