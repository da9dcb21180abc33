//! The table `agents`: agents that have joined.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agents")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) instance: String,
    pub(crate) held_instance: Option<String>,
    pub(crate) public_key: String,
    pub(crate) groups_json: String,
    pub(crate) created_ms: i64,
    pub(crate) revoked: bool,
    pub(crate) last_seen_ms: Option<i64>,
    pub(crate) tags_json: String,
    pub(crate) asked_instance: Option<String>,
    pub(crate) version: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
