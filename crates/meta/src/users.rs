//! Accounts of people: making, finding and changing them. One administrator who can sign in always stays.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter,
};
use serde_json::{Value, json};

use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::{session, user};
use crate::guards::Guard;
use crate::names::{MAX_NAME, check_name};
use crate::{Actor, Meta, MetaError, Role, ids};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// The name to sign in with; unique, compared exactly.
    pub name: String,
    /// The hash of the password, in the form the server's hash function writes; empty, which no password fits, if the
    /// account is signed in by an identity provider only.
    pub password_hash: String,
    /// What the account may do.
    pub role: Role,
    /// Whether an administrator shut it out; then it must not be let in.
    pub disabled: bool,
    /// Whether signing in by password takes a second factor.
    pub second_factor: bool,
    /// Who it is at an identity provider.
    pub identity: Option<Identity>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last signed in, in milliseconds since 1970.
    pub last_sign_in_ms: Option<i64>,
}

/// Who somebody is at an identity provider (`OpenID` Connect): the only pair that a provider promises never to give to
/// anybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's `iss`; at most 255 characters.
    pub issuer: String,
    /// The person's `sub` there; at most 255 characters.
    pub subject: String,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name to sign in with; up to 100 characters.
    pub name: String,
    /// The hash of the password; empty if it is to be signed in by an identity provider only.
    pub password_hash: String,
    /// What the account may do; not [`Role::Writer`].
    pub role: Role,
    /// Who it is at an identity provider.
    pub identity: Option<Identity>,
}

impl Meta {
    /// Makes an account; [`MetaError::NameTaken`] if the name is in use.
    pub async fn create_user(
        &self,
        by: &Actor,
        new: NewUser,
        now_ms: i64,
    ) -> Result<User, MetaError> {
        check_name("an account", &new.name, MAX_NAME)?;
        check_role(new.role)?;
        let (oidc_issuer, oidc_subject) = identity_columns(new.identity)?;
        let row = user::Model {
            id: ids::new_id()?,
            name: new.name,
            password_hash: new.password_hash,
            role: new.role.as_str().to_owned(),
            created_ms: now_ms,
            disabled: false,
            totp_sealed: None,
            totp_confirmed: false,
            totp_last_step: None,
            oidc_issuer,
            oidc_subject,
            last_sign_in_ms: None,
        };
        let made = User::try_from(row.clone())?;
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                check_identity_is_free(tx, &row).await?;
                user::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await
                    .map_err(|error| MetaError::taken(error, "an account", &row.name))?;
                change(by, "user.create", None, Some(&made), now_ms).record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result.map(|()| made);
            }
        }
    }

    /// The account with this name.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<User>, MetaError> {
        let row = user::Entity::find().filter(user::Column::Name.eq(name)).one(&self.db).await?;
        row.map(User::try_from).transpose()
    }

    /// The account with this number.
    pub async fn user(&self, id: &str) -> Result<Option<User>, MetaError> {
        let row = user::Entity::find_by_id(id).one(&self.db).await?;
        row.map(User::try_from).transpose()
    }

    /// The account of somebody whom an identity provider knows.
    pub async fn user_by_identity(&self, identity: &Identity) -> Result<Option<User>, MetaError> {
        let row = user::Entity::find()
            .filter(user::Column::OidcIssuer.eq(&identity.issuer))
            .filter(user::Column::OidcSubject.eq(&identity.subject))
            .one(&self.db)
            .await?;
        row.map(User::try_from).transpose()
    }

    /// All accounts, by name.
    pub async fn list_users(&self) -> Result<Vec<User>, MetaError> {
        let rows = user::Entity::find().all(&self.db).await?;
        let mut users: Vec<User> =
            rows.into_iter().map(User::try_from).collect::<Result<_, _>>()?;
        users.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(users)
    }

    /// How many accounts there are; none before the first start.
    pub async fn count_users(&self) -> Result<u64, MetaError> {
        Ok(user::Entity::find().count(&self.db).await?)
    }

    /// Gives an account another password and ends its sessions, but for the one with the number `keep_session`: whoever
    /// knew the old password is signed out. [`MetaError::NotFound`] if there is no such account.
    pub async fn set_password_hash(
        &self,
        by: &Actor,
        user_id: &str,
        password_hash: &str,
        keep_session: Option<&str>,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let before = find(tx, user_id).await?;
                let set = user::ActiveModel {
                    password_hash: Set(password_hash.to_owned()),
                    ..Default::default()
                };
                update(tx, user_id, set).await?;
                end_sessions(tx, user_id, keep_session).await?;
                let target = target(&before);
                let change = Change {
                    actor: by,
                    action: "user.password",
                    target,
                    before: None,
                    after: None,
                    now_ms,
                };
                change.record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Gives an account another role, at once. [`MetaError::LastAdministrator`] if nobody could manage anything then.
    pub async fn set_role(
        &self,
        by: &Actor,
        user_id: &str,
        role: Role,
        now_ms: i64,
    ) -> Result<User, MetaError> {
        check_role(role)?;
        self.change_user(by, "user.role", user_id, now_ms, |user| user.role = role).await
    }

    /// Shuts an account out, which ends its sessions, or lets it in again. [`MetaError::LastAdministrator`] if nobody
    /// could manage anything then.
    pub async fn set_disabled(
        &self,
        by: &Actor,
        user_id: &str,
        disabled: bool,
        now_ms: i64,
    ) -> Result<User, MetaError> {
        let action = if disabled { "user.disable" } else { "user.enable" };
        self.change_user(by, action, user_id, now_ms, |user| user.disabled = disabled).await
    }

    /// Ties an account to somebody's identity at a provider, or unties it. [`MetaError::IdentityTaken`] if it is
    /// another account's.
    pub async fn set_identity(
        &self,
        by: &Actor,
        user_id: &str,
        identity: Option<Identity>,
        now_ms: i64,
    ) -> Result<User, MetaError> {
        identity_columns(identity.clone())?;
        let set = |user: &mut User| user.identity.clone_from(&identity);
        self.change_user(by, "user.identity", user_id, now_ms, set).await
    }

    /// Removes an account with its sessions. What it did stays in the audit log, and tokens that it made stay valid.
    /// [`MetaError::LastAdministrator`] if nobody could manage anything then.
    pub async fn remove_user(
        &self,
        by: &Actor,
        user_id: &str,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                Guard::Administrators.take(tx).await?;
                let before = User::try_from(find(tx, user_id).await?)?;
                user::Entity::delete_by_id(user_id).exec(tx).await?;
                check_an_administrator_stays(tx, &before).await?;
                change(by, "user.remove", Some(&before), None, now_ms).record(tx).await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }

    /// Changes role, being disabled or identity; nothing is written where nothing changes.
    async fn change_user(
        &self,
        by: &Actor,
        action: &'static str,
        user_id: &str,
        now_ms: i64,
        set: impl Fn(&mut User),
    ) -> Result<User, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                Guard::Administrators.take(tx).await?;
                let before = User::try_from(find(tx, user_id).await?)?;
                let mut after = before.clone();
                set(&mut after);
                if after == before {
                    return Ok(after);
                }
                let (oidc_issuer, oidc_subject) = identity_columns(after.identity.clone())?;
                let row = user::ActiveModel {
                    role: Set(after.role.as_str().to_owned()),
                    disabled: Set(after.disabled),
                    oidc_issuer: Set(oidc_issuer),
                    oidc_subject: Set(oidc_subject),
                    ..Default::default()
                };
                if after.identity != before.identity {
                    let mut wanted = find(tx, user_id).await?;
                    (wanted.oidc_issuer, wanted.oidc_subject) =
                        identity_columns(after.identity.clone())?;
                    check_identity_is_free(tx, &wanted).await?;
                }
                update(tx, user_id, row).await?;
                check_an_administrator_stays(tx, &before).await?;
                if after.disabled {
                    end_sessions(tx, user_id, None).await?;
                }
                change(by, action, Some(&before), Some(&after), now_ms).record(tx).await?;
                Ok(after)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }
}

/// The account's row; [`MetaError::NotFound`] if there is none.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    user_id: &str,
) -> Result<user::Model, MetaError> {
    let row = user::Entity::find_by_id(user_id).one(db).await?;
    row.ok_or_else(|| MetaError::NotFound { what: "account", id: user_id.to_owned() })
}

pub(crate) async fn update(
    tx: &DatabaseTransaction,
    user_id: &str,
    set: user::ActiveModel,
) -> Result<(), MetaError> {
    user::Entity::update_many().set(set).filter(user::Column::Id.eq(user_id)).exec(tx).await?;
    Ok(())
}

/// How the audit log names an account.
pub(crate) fn target(row: &user::Model) -> Target {
    Target::new("user", &row.id, &row.name)
}

async fn end_sessions(
    tx: &DatabaseTransaction,
    user_id: &str,
    keep: Option<&str>,
) -> Result<(), MetaError> {
    let mut ended = session::Entity::delete_many().filter(session::Column::UserId.eq(user_id));
    if let Some(keep) = keep {
        ended = ended.filter(session::Column::Id.ne(keep));
    }
    ended.exec(tx).await?;
    Ok(())
}

/// Fails if `before` was an administrator who could sign in and now there is none. The guard must have been taken, so
/// that no other transaction removes another one at the same time.
async fn check_an_administrator_stays(
    tx: &DatabaseTransaction,
    before: &User,
) -> Result<(), MetaError> {
    if before.role != Role::Admin || before.disabled {
        return Ok(());
    }
    let left = user::Entity::find()
        .filter(user::Column::Role.eq(Role::Admin.as_str()))
        .filter(user::Column::Disabled.eq(false))
        .count(tx)
        .await?;
    if left == 0 {
        return Err(MetaError::LastAdministrator { name: before.name.clone() });
    }
    Ok(())
}

/// Fails if another account has the identity. The columns are unique too, should two ask at once.
async fn check_identity_is_free(
    tx: &DatabaseTransaction,
    row: &user::Model,
) -> Result<(), MetaError> {
    let (Some(issuer), Some(subject)) = (&row.oidc_issuer, &row.oidc_subject) else {
        return Ok(());
    };
    let others = user::Entity::find()
        .filter(user::Column::OidcIssuer.eq(issuer))
        .filter(user::Column::OidcSubject.eq(subject))
        .filter(user::Column::Id.ne(&row.id))
        .count(tx)
        .await?;
    if others == 0 { Ok(()) } else { Err(MetaError::IdentityTaken) }
}

fn check_role(role: Role) -> Result<(), MetaError> {
    match role {
        Role::Writer => Err(MetaError::RoleForTokens(role)),
        Role::Viewer | Role::Operator | Role::Admin => Ok(()),
    }
}

fn identity_columns(
    identity: Option<Identity>,
) -> Result<(Option<String>, Option<String>), MetaError> {
    let Some(identity) = identity else { return Ok((None, None)) };
    check_name("an identity's issuer", &identity.issuer, 255)?;
    check_name("an identity's subject", &identity.subject, 255)?;
    Ok((Some(identity.issuer), Some(identity.subject)))
}

fn change<'a>(
    actor: &'a Actor,
    action: &'static str,
    before: Option<&User>,
    after: Option<&User>,
    now_ms: i64,
) -> Change<'a> {
    let user = after.or(before).expect("something was there before or is there after");
    let target = Target::new("user", &user.id, &user.name);
    let (before, after) = (before.map(User::audited), after.map(User::audited));
    Change { actor, action, target, before, after, now_ms }
}

impl User {
    /// What the audit log shows of it.
    fn audited(&self) -> Value {
        json!({
            "name": self.name,
            "role": self.role.as_str(),
            "disabled": self.disabled,
            "second_factor": self.second_factor,
            "identity": self.identity.as_ref().map(|identity| json!({
                "issuer": identity.issuer,
                "subject": identity.subject,
            })),
        })
    }
}

impl TryFrom<user::Model> for User {
    type Error = MetaError;

    fn try_from(row: user::Model) -> Result<Self, MetaError> {
        let identity = match (row.oidc_issuer, row.oidc_subject) {
            (Some(issuer), Some(subject)) => Some(Identity { issuer, subject }),
            _ => None,
        };
        Ok(Self {
            role: parse_role(&row.role, "users.role")?,
            id: row.id,
            name: row.name,
            password_hash: row.password_hash,
            disabled: row.disabled,
            second_factor: row.totp_confirmed,
            identity,
            created_ms: row.created_ms,
            last_sign_in_ms: row.last_sign_in_ms,
        })
    }
}

/// A role as the database holds it.
pub(crate) fn parse_role(text: &str, column: &'static str) -> Result<Role, MetaError> {
    text.parse().map_err(|_| MetaError::Malformed { column, value: text.to_owned() })
}
