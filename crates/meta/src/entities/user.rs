//! The table `users`: accounts of people.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) password_hash: String,
    pub(crate) role: String,
    pub(crate) created_ms: i64,
    pub(crate) disabled: bool,
    pub(crate) totp_sealed: Option<String>,
    pub(crate) totp_confirmed: bool,
    pub(crate) totp_last_step: Option<i64>,
    pub(crate) oidc_issuer: Option<String>,
    pub(crate) oidc_subject: Option<String>,
    pub(crate) last_sign_in_ms: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(has_many = "super::session::Entity")]
    Sessions,
}

impl Related<super::session::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Sessions.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
