//! The table `alert_trail`: the steps of alerts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_trail")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) at_ms: i64,
    pub(crate) alert: String,
    pub(crate) step: String,
    pub(crate) receiver: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) value: Option<f64>,
    pub(crate) text: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
