//! Settings that the running server keeps: JSON by name, each with a version that tells whether it was changed meanwhile.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::Value;

use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::setting;
use crate::names::check_name;
use crate::{Actor, Meta, MetaError};

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value. Secrets do not belong here: the audit log shows it.
    pub value: Value,
    /// How often it was set: 1 the first time.
    pub version: u64,
    /// When it was last set, in milliseconds since 1970.
    pub changed_ms: i64,
}

impl Meta {
    /// A setting; none if it was never set.
    pub async fn setting(&self, name: &str) -> Result<Option<Setting>, MetaError> {
        let row = setting::Entity::find_by_id(name).one(&self.db).await?;
        row.map(Setting::try_from).transpose()
    }

    /// All settings that were ever set, by name.
    pub async fn list_settings(&self) -> Result<Vec<Setting>, MetaError> {
        let rows = setting::Entity::find().all(&self.db).await?;
        let mut settings: Vec<Setting> =
            rows.into_iter().map(Setting::try_from).collect::<Result<_, _>>()?;
        settings.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(settings)
    }

    /// Sets a setting. With `expected` only if it has that version now (0: was never set), else
    /// [`MetaError::Changed`]: so nobody overwrites what they have not seen.
    pub async fn set_setting(
        &self,
        by: &Actor,
        name: &str,
        value: &Value,
        expected: Option<u64>,
        now_ms: i64,
    ) -> Result<Setting, MetaError> {
        check_name("a setting", name, 255)?;
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                // Whoever changes it first makes the other wait, and then see the new version.
                let raised = setting::Entity::update_many()
                    .col_expr(setting::Column::Version, Expr::col(setting::Column::Version).add(1))
                    .filter(setting::Column::Name.eq(name))
                    .exec(tx)
                    .await?;
                // What was not there a moment ago and is there now is somebody else's first version, which was not raised:
                // it must not be taken for an old one, so it is not looked for.
                let old = match raised.rows_affected {
                    0 => None,
                    _ => setting::Entity::find_by_id(name).one(tx).await?,
                };
                let version = old.as_ref().map_or(0, |old| old.version as u64 - 1);
                if expected.is_some_and(|expected| expected != version) {
                    return Err(MetaError::Changed { name: name.to_owned(), version });
                }
                let before = old.clone().map(|old| Setting::try_from(old).map(|old| old.value));
                let row = setting::Model {
                    name: name.to_owned(),
                    value: value.to_string(),
                    version: version as i64 + 1,
                    changed_ms: now_ms,
                };
                if old.is_some() {
                    let set = setting::ActiveModel {
                        value: Set(row.value.clone()),
                        changed_ms: Set(now_ms),
                        ..Default::default()
                    };
                    let of_name = setting::Column::Name.eq(name);
                    setting::Entity::update_many().set(set).filter(of_name).exec(tx).await?;
                } else {
                    setting::Entity::insert(row.clone().into_active_model())
                        .exec_without_returning(tx)
                        .await
                        .map_err(|error| match MetaError::taken(error, "a setting", name) {
                            // Two set it for the first time: the later one tries again and finds it.
                            MetaError::NameTaken { name, .. } => MetaError::Conflict(name),
                            other => other,
                        })?;
                }
                let change = Change {
                    actor: by,
                    action: "setting.set",
                    target: Target::new("setting", name, name),
                    before: before.transpose()?,
                    after: Some(value.clone()),
                    now_ms,
                };
                change.record(tx).await?;
                row.try_into()
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }
}

impl TryFrom<setting::Model> for Setting {
    type Error = MetaError;

    fn try_from(row: setting::Model) -> Result<Self, MetaError> {
        let malformed =
            || MetaError::Malformed { column: "settings.value", value: row.value.clone() };
        Ok(Self {
            value: serde_json::from_str(&row.value).map_err(|_| malformed())?,
            version: row.version as u64,
            name: row.name,
            changed_ms: row.changed_ms,
        })
    }
}
