//! The table `outbox`: messages on their way out, and those that are there.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) channel_id: String,
    pub(crate) subject: String,
    pub(crate) notification_json: String,
    pub(crate) alerts_json: String,
    pub(crate) queued_ms: i64,
    pub(crate) attempts: i32,
    pub(crate) next_try_ms: Option<i64>,
    pub(crate) sent_ms: Option<i64>,
    pub(crate) answer: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
