//! Second factors: sealed secrets, codes and recovery codes that are good once.

use muster_meta::{Meta, MetaError, SealingKey, User};

use super::{NOW_MS, by, meta, user};

const CODES: [[u8; 32]; 2] = [[1; 32], [2; 32]];

async fn guarded(meta: &Meta, name: &str) -> User {
    let user = user(meta, name).await;
    meta.begin_totp(&user.id, b"twenty bytes of seed").await.unwrap();
    assert!(meta.confirm_totp(&by(), &user.id, 100, &CODES, NOW_MS).await.unwrap());
    user
}

#[tokio::test]
async fn a_second_factor_guards_once_it_is_confirmed() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = user(&meta, "ada").await;
    assert_eq!(meta.totp(&ada.id).await.unwrap(), None);
    assert!(!meta.confirm_totp(&by(), &ada.id, 1, &CODES, NOW_MS).await.unwrap());
    meta.begin_totp(&ada.id, b"first").await.unwrap();
    meta.begin_totp(&ada.id, b"second").await.unwrap();
    let totp = meta.totp(&ada.id).await.unwrap().unwrap();
    assert_eq!(
        (totp.secret.as_slice(), totp.confirmed, totp.last_step),
        (&b"second"[..], false, None)
    );
    assert!(!format!("{totp:?}").contains("115"));
    assert!(!meta.user(&ada.id).await.unwrap().unwrap().second_factor);
    assert!(!meta.use_totp_step(&ada.id, 5).await.unwrap());

    assert!(meta.confirm_totp(&by(), &ada.id, 100, &CODES, NOW_MS).await.unwrap());
    assert!(!meta.confirm_totp(&by(), &ada.id, 101, &CODES, NOW_MS).await.unwrap());
    assert!(meta.user(&ada.id).await.unwrap().unwrap().second_factor);
    let error = meta.begin_totp(&ada.id, b"third").await.unwrap_err();
    assert!(matches!(error, MetaError::SecondFactorIsOn { .. }), "{error}");

    meta.remove_totp(&by(), &ada.id, NOW_MS).await.unwrap();
    assert_eq!(meta.totp(&ada.id).await.unwrap(), None);
    assert!(!meta.user(&ada.id).await.unwrap().unwrap().second_factor);
    assert_eq!(meta.recovery_codes_left(&ada.id).await.unwrap(), 0);
}

#[tokio::test]
async fn the_secret_is_sealed_for_its_account() {
    let Some((meta, place)) = meta().await else { return };
    let (ada, bob) = (guarded(&meta, "ada").await, guarded(&meta, "bob").await);
    let other = Meta::open(&place.location, SealingKey::from_bytes([8; 32])).await;
    let error = other.unwrap().totp(&ada.id).await.unwrap_err();
    assert!(error.to_string().contains("metadata.key"), "{error}");
    // Somebody who can write rows gives Ada's account the seed of their own.
    let steal = "UPDATE users SET totp_sealed = (SELECT s FROM (SELECT totp_sealed AS s FROM users \
                 WHERE name = 'bob') AS t) WHERE name = 'ada'";
    place.meddle(steal).await;
    assert!(matches!(meta.totp(&ada.id).await, Err(MetaError::WrongKey { .. })));
    assert_eq!(meta.totp(&bob.id).await.unwrap().unwrap().secret, b"twenty bytes of seed");
}

#[tokio::test]
async fn no_code_is_good_twice_nor_an_older_one_after_it() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = guarded(&meta, "ada").await;
    for (step, good) in
        [(100, false), (101, true), (101, false), (99, false), (103, true), (102, false)]
    {
        assert_eq!(meta.use_totp_step(&ada.id, step).await.unwrap(), good, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_send_one_code_at_once_one_gets_in() {
    let Some((meta, place)) = meta().await else { return };
    let ada = guarded(&meta, "ada").await;
    let other = place.open().await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let meta = if number % 2 == 0 { meta.clone() } else { other.clone() };
            let id = ada.id.clone();
            tokio::spawn(async move {
                let by_time = meta.use_totp_step(&id, 200).await.unwrap();
                let by_code = meta.use_recovery_code(&by(), &id, &CODES[0], NOW_MS).await.unwrap();
                (by_time, by_code)
            })
        })
        .collect();
    let mut let_in = (0, 0);
    for task in tasks {
        let (by_time, by_code) = task.await.unwrap();
        let_in = (let_in.0 + u32::from(by_time), let_in.1 + u32::from(by_code));
    }
    assert_eq!(let_in, (1, 1));
}

#[tokio::test]
async fn a_recovery_code_is_good_once_and_for_its_account() {
    let Some((meta, _place)) = meta().await else { return };
    let (ada, bob) = (guarded(&meta, "ada").await, user(&meta, "bob").await);
    assert!(!meta.use_recovery_code(&by(), &bob.id, &CODES[0], NOW_MS).await.unwrap());
    assert!(meta.use_recovery_code(&by(), &ada.id, &CODES[0], NOW_MS).await.unwrap());
    assert!(!meta.use_recovery_code(&by(), &ada.id, &CODES[0], NOW_MS).await.unwrap());
    assert_eq!(meta.recovery_codes_left(&ada.id).await.unwrap(), 1);
    meta.replace_recovery_codes(&by(), &ada.id, &[[3; 32], [4; 32]], NOW_MS).await.unwrap();
    assert!(!meta.use_recovery_code(&by(), &ada.id, &CODES[1], NOW_MS).await.unwrap());
    assert_eq!(meta.recovery_codes_left(&ada.id).await.unwrap(), 2);
}
