//! Accounts, and the rule that an administrator stays.

use muster_meta::{Identity, Meta, MetaError, NewUser, Role};

use super::{NOW_MS, add_user, by, meta, user};

#[tokio::test]
async fn an_account_is_found_by_its_exact_name() {
    let Some((meta, _place)) = meta().await else { return };
    assert_eq!(meta.count_users().await.unwrap(), 0);
    let made = user(&meta, "李雷").await;
    user(&meta, "ada").await;
    user(&meta, "Ada").await;
    assert_eq!(meta.count_users().await.unwrap(), 3);
    assert_eq!(meta.user_by_name("李雷").await.unwrap().as_ref(), Some(&made));
    assert_eq!(meta.user(&made.id).await.unwrap(), Some(made));
    assert_eq!(meta.user_by_name("ADA").await.unwrap(), None);
    let names: Vec<_> =
        meta.list_users().await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["Ada", "ada", "李雷"]);
}

#[tokio::test]
async fn a_second_account_of_one_name_is_refused() {
    let Some((meta, _place)) = meta().await else { return };
    user(&meta, "ada").await;
    let error = add_user(&meta, "ada", Role::Admin).await.unwrap_err();
    assert_eq!(error.to_string(), "there is already an account named \"ada\"; choose another name");
    let error = add_user(&meta, " ", Role::Admin).await.unwrap_err();
    assert!(matches!(error, MetaError::BadName { .. }), "{error}");
    let error = add_user(&meta, "pusher", Role::Writer).await.unwrap_err();
    assert!(matches!(error, MetaError::RoleForTokens(Role::Writer)), "{error}");
    assert_eq!(meta.count_users().await.unwrap(), 1);
}

#[tokio::test]
async fn the_last_administrator_who_can_sign_in_stays() {
    let Some((meta, _place)) = meta().await else { return };
    let ada = add_user(&meta, "ada", Role::Admin).await.unwrap();
    let bob = add_user(&meta, "bob", Role::Admin).await.unwrap();
    meta.set_disabled(&by(), &bob.id, true, NOW_MS).await.unwrap();
    let role = meta.set_role(&by(), &ada.id, Role::Viewer, NOW_MS).await.unwrap_err();
    let disable = meta.set_disabled(&by(), &ada.id, true, NOW_MS).await.unwrap_err();
    let remove = meta.remove_user(&by(), &ada.id, NOW_MS).await.unwrap_err();
    for error in [role, disable, remove] {
        assert!(
            matches!(&error, MetaError::LastAdministrator { name } if name == "ada"),
            "{error}"
        );
    }
    assert_eq!(meta.user(&ada.id).await.unwrap(), Some(ada.clone()));
    meta.set_disabled(&by(), &bob.id, false, NOW_MS).await.unwrap();
    let ada = meta.set_role(&by(), &ada.id, Role::Viewer, NOW_MS).await.unwrap();
    assert_eq!(ada.role, Role::Viewer);
    meta.remove_user(&by(), &ada.id, NOW_MS).await.unwrap();
    assert_eq!(meta.user(&ada.id).await.unwrap(), None);
    let error = meta.remove_user(&by(), &ada.id, NOW_MS).await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "account", .. }), "{error}");
}

/// What one of many does to an administrator.
async fn depose(meta: &Meta, id: &str, way: usize) -> Result<(), MetaError> {
    match way % 3 {
        0 => meta.set_role(&by(), id, Role::Operator, NOW_MS).await.map(drop),
        1 => meta.set_disabled(&by(), id, true, NOW_MS).await.map(drop),
        _ => meta.remove_user(&by(), id, NOW_MS).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_administrators_who_all_go_at_once_one_stays() {
    let Some((meta, place)) = meta().await else { return };
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(add_user(&meta, &format!("admin {number}"), Role::Admin).await.unwrap().id);
    }
    let other = place.open().await.unwrap();
    let going: Vec<_> = ids
        .into_iter()
        .enumerate()
        .map(|(way, id)| {
            let meta = if way % 2 == 0 { meta.clone() } else { other.clone() };
            tokio::spawn(async move { depose(&meta, &id, way).await })
        })
        .collect();
    let mut refused = 0;
    for result in going {
        match result.await.unwrap() {
            Ok(()) => {}
            Err(MetaError::LastAdministrator { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(refused, 1);
    let users = meta.list_users().await.unwrap();
    let left = users.iter().filter(|user| user.role == Role::Admin && !user.disabled);
    assert_eq!(left.count(), 1);
}

fn identity(subject: &str) -> Identity {
    Identity { issuer: "https://id.example.com".into(), subject: subject.into() }
}

#[tokio::test]
async fn somebody_known_elsewhere_is_one_account_here() {
    let Some((meta, _place)) = meta().await else { return };
    let new = NewUser {
        name: "ada".into(),
        password_hash: String::new(),
        role: Role::Viewer,
        identity: Some(identity("1234")),
    };
    let ada = meta.create_user(&by(), new.clone(), NOW_MS).await.unwrap();
    let bob = user(&meta, "bob").await;
    let found = meta.user_by_identity(&identity("1234")).await.unwrap();
    assert_eq!(found.as_ref(), Some(&ada));
    assert_eq!(meta.user_by_identity(&identity("123")).await.unwrap(), None);

    let again = NewUser { name: "ada2".into(), ..new };
    let error = meta.create_user(&by(), again, NOW_MS).await.unwrap_err();
    assert!(matches!(error, MetaError::IdentityTaken), "{error}");
    let taken = meta.set_identity(&by(), &bob.id, Some(identity("1234")), NOW_MS).await;
    assert!(matches!(taken, Err(MetaError::IdentityTaken)), "{taken:?}");

    meta.set_identity(&by(), &ada.id, None, NOW_MS).await.unwrap();
    let bob = meta.set_identity(&by(), &bob.id, Some(identity("1234")), NOW_MS).await.unwrap();
    assert_eq!(meta.user_by_identity(&identity("1234")).await.unwrap(), Some(bob));
}
