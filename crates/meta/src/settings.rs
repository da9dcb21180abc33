//! Settings that the running server keeps: text by name.

use sea_orm::EntityTrait;
use sea_orm::sea_query::OnConflict;

use crate::entities::setting;
use crate::{Meta, MetaError};

impl Meta {
    /// The value of a setting; none if it was never set.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, MetaError> {
        let row = setting::Entity::find_by_id(name).one(&self.db).await?;
        Ok(row.map(|row| row.value))
    }

    /// Sets a setting, whatever it was before.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), MetaError> {
        let row = setting::Model { name: name.to_owned(), value: value.to_owned() };
        let replace = OnConflict::column(setting::Column::Name)
            .update_column(setting::Column::Value)
            .to_owned();
        setting::Entity::insert(setting::ActiveModel::from(row))
            .on_conflict(replace)
            .exec_without_returning(&self.db)
            .await?;
        Ok(())
    }
}
