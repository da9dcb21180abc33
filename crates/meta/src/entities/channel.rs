//! The table `channels`: ways out.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "channels")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) settings_json: String,
    pub(crate) secrets_sealed: String,
    pub(crate) secret_names_json: String,
    pub(crate) last_sent_ms: Option<i64>,
    pub(crate) last_failure_ms: Option<i64>,
    pub(crate) failure: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
