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
