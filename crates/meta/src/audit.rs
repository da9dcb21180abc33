//! The audit log: who did what, when, from where, with what was there before and after.
//!
//! An entry is written in the transaction of the change it tells of, by the function that makes the change, so neither is
//! there without the other. Entries are added and read; nothing here changes or removes one. They hold no secrets: what
//! is written is what a list would show.
//!
//! An entry's number begins with its time in milliseconds, as 12 hexadecimal digits, and a count within the process, so
//! that the order of numbers is the order of entries, and a page ends where the next one begins.

use std::sync::atomic::{AtomicU16, Ordering};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Value;

use crate::entities::audit;
use crate::names::truncated;
use crate::{Actor, Meta, MetaError, ids};

/// The most entries that a page has.
pub const MAX_AUDIT_PAGE: u64 = 1_000;

/// One deed.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number: 32 hexadecimal digits; a later entry has a greater one.
    pub id: String,
    /// When it was done, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who did it.
    pub actor: Actor,
    /// What was done, such as `user.create`: the kind of thing, a dot, a verb.
    pub action: String,
    /// To what.
    pub target: Target,
    /// What was there before, without secrets; none if there was nothing.
    pub before: Option<Value>,
    /// What was there afterwards, without secrets; none if there was nothing.
    pub after: Option<Value>,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The kind of thing: `user`, `token`, `enroll-token`, `agent`, `session`, `setting` and so on.
    pub kind: String,
    /// Its number, or the name of what has no number.
    pub id: String,
    /// Its name at that time.
    pub name: String,
}

impl Target {
    /// Something to be named in the log.
    pub fn new(kind: &str, id: &str, name: &str) -> Self {
        Self { kind: kind.into(), id: id.into(), name: name.into() }
    }
}

/// Which entries are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of this time and later, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Those before this time, in milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Those of an actor with this name or number.
    pub actor: Option<String>,
    /// Those with this action, or all of a kind of thing: `user` means `user.create`, `user.role` and so on.
    pub action: Option<String>,
    /// Those about what has this name or number.
    pub target: Option<String>,
}

/// Some entries, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins: to be handed to [`Meta::audit_page`]. None after the last one.
    pub next: Option<String>,
}

/// A change to be written down.
pub(crate) struct Change<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) action: &'static str,
    pub(crate) target: Target,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) now_ms: i64,
}

impl Change<'_> {
    /// Writes it down, in the transaction of the change itself.
    pub(crate) async fn record(self, tx: &impl ConnectionTrait) -> Result<(), MetaError> {
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        let row = audit::Model {
            id: entry_id(self.now_ms)?,
            at_ms: self.now_ms,
            actor_kind: self.actor.kind.as_str().to_owned(),
            actor_id: truncated(&self.actor.id, 255),
            actor_name: truncated(&self.actor.name, 255),
            address: truncated(&self.actor.address, 64),
            action: truncated(self.action, 64),
            target_kind: truncated(&self.target.kind, 64),
            target_id: truncated(&self.target.id, 255),
            target_name: truncated(&self.target.name, 255),
            before_json: text(self.before),
            after_json: text(self.after),
        };
        audit::Entity::insert(audit::ActiveModel::from(row)).exec_without_returning(tx).await?;
        Ok(())
    }
}

fn entry_id(now_ms: i64) -> Result<String, MetaError> {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let random = ids::new_id()?;
    Ok(format!("{:012x}{count:04x}{}", now_ms.clamp(0, 0xffff_ffff_ffff), &random[..16]))
}

impl Meta {
    /// Writes down a deed that changes nothing here, such as a sign-in that failed or an export. It must hold no secret.
    pub async fn record_deed(
        &self,
        actor: &Actor,
        action: &'static str,
        target: Target,
        detail: Option<Value>,
        now_ms: i64,
    ) -> Result<(), MetaError> {
        let change = Change { actor, action, target, before: None, after: detail, now_ms };
        change.record(&self.db).await
    }

    /// At most `limit` entries (up to [`MAX_AUDIT_PAGE`]), the newest first; `after` is where the page before ended.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<AuditPage, MetaError> {
        let limit = limit.clamp(1, MAX_AUDIT_PAGE);
        let mut condition = condition(filter);
        if let Some(after) = after {
            condition = condition.add(audit::Column::Id.lt(after));
        }
        let mut rows = audit::Entity::find()
            .filter(condition)
            .order_by_desc(audit::Column::Id)
            .limit(limit + 1)
            .all(&self.db)
            .await?;
        let has_more = rows.len() as u64 > limit;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| has_more).map(|row| row.id.clone());
        let entries = rows.into_iter().map(AuditEntry::try_from).collect::<Result<_, _>>()?;
        Ok(AuditPage { entries, next })
    }

    /// All entries that are wanted, the newest first, a page at a time: however many there are, one page is in memory.
    pub fn audit_export(&self, filter: AuditFilter) -> AuditExport {
        AuditExport { meta: self.clone(), filter, state: ExportState::Begins }
    }
}

/// Goes through the audit log; made by [`Meta::audit_export`].
#[derive(Debug)]
pub struct AuditExport {
    meta: Meta,
    filter: AuditFilter,
    state: ExportState,
}

#[derive(Debug)]
enum ExportState {
    Begins,
    After(String),
    Over,
}

impl AuditExport {
    /// The next entries, up to [`MAX_AUDIT_PAGE`]; none when all were there.
    pub async fn next_page(&mut self) -> Result<Option<Vec<AuditEntry>>, MetaError> {
        let after = match &self.state {
            ExportState::Begins => None,
            ExportState::After(id) => Some(id.as_str()),
            ExportState::Over => return Ok(None),
        };
        let page = self.meta.audit_page(&self.filter, after, MAX_AUDIT_PAGE).await?;
        self.state = page.next.map_or(ExportState::Over, ExportState::After);
        Ok((!page.entries.is_empty()).then_some(page.entries))
    }
}

fn condition(filter: &AuditFilter) -> Condition {
    let mut all = Condition::all();
    // The number begins with the time, so a span of time is a span of the primary key.
    if let Some(from_ms) = filter.from_ms {
        all =
            all.add(audit::Column::Id.gte(format!("{:012x}", from_ms.clamp(0, 0xffff_ffff_ffff))));
    }
    if let Some(until_ms) = filter.until_ms {
        all =
            all.add(audit::Column::Id.lt(format!("{:012x}", until_ms.clamp(0, 0xffff_ffff_ffff))));
    }
    if let Some(actor) = &filter.actor {
        all = all.add(
            Condition::any()
                .add(audit::Column::ActorName.eq(actor))
                .add(audit::Column::ActorId.eq(actor)),
        );
    }
    if let Some(action) = &filter.action {
        all = all.add(
            Condition::any()
                .add(audit::Column::Action.eq(action))
                .add(audit::Column::Action.starts_with(format!("{action}."))),
        );
    }
    if let Some(target) = &filter.target {
        all = all.add(
            Condition::any()
                .add(audit::Column::TargetName.eq(target))
                .add(audit::Column::TargetId.eq(target)),
        );
    }
    all
}

impl TryFrom<audit::Model> for AuditEntry {
    type Error = MetaError;

    fn try_from(row: audit::Model) -> Result<Self, MetaError> {
        let kind = row.actor_kind.parse().map_err(|()| MetaError::Malformed {
            column: "audit.actor_kind",
            value: row.actor_kind.clone(),
        })?;
        Ok(Self {
            id: row.id,
            at_ms: row.at_ms,
            actor: Actor { kind, id: row.actor_id, name: row.actor_name, address: row.address },
            action: row.action,
            target: Target { kind: row.target_kind, id: row.target_id, name: row.target_name },
            before: value(row.before_json, "audit.before_json")?,
            after: value(row.after_json, "audit.after_json")?,
        })
    }
}

fn value(text: Option<String>, column: &'static str) -> Result<Option<Value>, MetaError> {
    text.map(|text| {
        serde_json::from_str(&text).map_err(|_| MetaError::Malformed { column, value: text })
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_entries_grow_with_time_and_with_each_entry() {
        let mut last = String::new();
        for at_ms in [0, 5, 5, 1_760_000_000_000, 1_760_000_000_001] {
            let id = entry_id(at_ms).unwrap();
            assert_eq!(id.len(), 32);
            // The count may begin anew in between, once in 65,536 entries.
            assert!(id > last || id[..12] == last[..12], "{last} {id}");
            last = id;
        }
    }
}
