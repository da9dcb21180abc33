//! The table `alert_episodes`: past and present firings.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_episodes")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) alert: String,
    pub(crate) name: String,
    pub(crate) severity: String,
    pub(crate) instance: Option<String>,
    pub(crate) labels_json: String,
    pub(crate) annotations_json: String,
    pub(crate) starts_at_ms: i64,
    pub(crate) ends_at_ms: Option<i64>,
    pub(crate) messages: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
