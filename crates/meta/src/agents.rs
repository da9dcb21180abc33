//! Agents: joining with a token, and what is known of those that have joined.

use std::collections::HashSet;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::enroll_tokens::{groups_from_json, groups_to_json};
use crate::entities::{agent, enroll_token};
use crate::secret_hash::{from_hex, to_hex};
use crate::{EnrollError, EnrollToken, Meta, MetaError, ids};

/// An agent that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its number: 32 hexadecimal digits.
    pub id: String,
    /// The host it reports for: the label `instance` of its series. No two agents that are not
    /// revoked have the same.
    pub instance: String,
    /// The key by which it is known (Ed25519).
    pub public_key: [u8; 32],
    /// Its groups.
    pub groups: Vec<String>,
    /// When it joined, in milliseconds since 1970.
    pub created_ms: i64,
    /// Whether an administrator revoked it; then it must not be let in.
    pub revoked: bool,
    /// When it was last heard of, as told by [`Meta::touch_agent`].
    pub last_seen_ms: Option<i64>,
}

/// An agent that wants to join.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// The name of its host; at most 253 characters.
    pub instance: String,
    /// Its public key; that it has the private one must have been checked.
    pub public_key: [u8; 32],
}

/// What came of a request to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// The agent as it is on record now.
    pub agent: Agent,
    /// Whether its instance differs from the one asked for, because another agent has that name or
    /// because the agent joined earlier under another one.
    pub renamed: bool,
    /// Whether the key was on record already; then the token was not used.
    pub known: bool,
}

impl Meta {
    /// Lets an agent join.
    ///
    /// Use of the token and record of the agent are one transaction: however many ask at once, a
    /// token admits as many as it says. A key that is on record already gets its agent back,
    /// whatever the token, because a reply can be lost; a revoked one is refused. A host whose name
    /// is held by another agent becomes `name-2`, `name-3` and so on; the name of a revoked agent
    /// is free.
    pub async fn enroll_agent(
        &self,
        token_hash: &[u8; 32],
        new: NewAgent,
        now_ms: i64,
    ) -> Result<Enrollment, EnrollError> {
        let transaction = self.begin_write().await?;
        let enrollment = enroll(&transaction, token_hash, new, now_ms).await;
        match &enrollment {
            Ok(_) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        enrollment
    }

    /// The agent with this key, revoked or not.
    pub async fn agent_by_public_key(
        &self,
        public_key: &[u8; 32],
    ) -> Result<Option<Agent>, MetaError> {
        let row = agent::Entity::find()
            .filter(agent::Column::PublicKey.eq(to_hex(public_key)))
            .one(&self.db)
            .await?;
        row.map(Agent::try_from).transpose()
    }

    /// All agents, by instance, revoked ones among them.
    pub async fn list_agents(&self) -> Result<Vec<Agent>, MetaError> {
        let rows = agent::Entity::find()
            .order_by_asc(agent::Column::Instance)
            .order_by_asc(agent::Column::CreatedMs)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Agent::try_from).collect()
    }

    /// Shuts an agent out and frees the name of its host. [`MetaError::NotFound`] if there is no
    /// such agent.
    pub async fn revoke_agent(&self, id: &str) -> Result<(), MetaError> {
        let changed = agent::Entity::update_many()
            .set(agent::ActiveModel {
                revoked: Set(true),
                held_instance: Set(None),
                ..Default::default()
            })
            .filter(agent::Column::Id.eq(id))
            .exec(&self.db)
            .await?;
        if changed.rows_affected == 0 {
            return Err(MetaError::NotFound { what: "agent", id: id.to_owned() });
        }
        Ok(())
    }

    /// Notes that an agent was heard of. Each call is a durable write: once a minute and agent is
    /// enough.
    pub async fn touch_agent(&self, id: &str, now_ms: i64) -> Result<(), MetaError> {
        agent::Entity::update_many()
            .set(agent::ActiveModel { last_seen_ms: Set(Some(now_ms)), ..Default::default() })
            .filter(agent::Column::Id.eq(id))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}

async fn enroll(
    db: &DatabaseTransaction,
    token_hash: &[u8; 32],
    new: NewAgent,
    now_ms: i64,
) -> Result<Enrollment, EnrollError> {
    let public_key = to_hex(&new.public_key);
    let known =
        agent::Entity::find().filter(agent::Column::PublicKey.eq(&public_key)).one(db).await?;
    if let Some(row) = known {
        if row.revoked {
            return Err(EnrollError::AgentRevoked { instance: row.instance });
        }
        let renamed = row.instance != new.instance;
        return Ok(Enrollment { agent: row.try_into()?, renamed, known: true });
    }
    let token = use_token(db, token_hash, now_ms).await?;
    let instance = free_instance(&new.instance, &held_instances(db, &new.instance).await?);
    let row = agent::Model {
        id: ids::new_id()?,
        held_instance: Some(instance.clone()),
        instance,
        public_key,
        groups_json: groups_to_json(&token.groups),
        created_ms: now_ms,
        revoked: false,
        last_seen_ms: None,
    };
    let renamed = row.instance != new.instance;
    agent::Entity::insert(agent::ActiveModel::from(row.clone())).exec_without_returning(db).await?;
    Ok(Enrollment { agent: row.try_into()?, renamed, known: false })
}

async fn use_token(
    db: &DatabaseTransaction,
    token_hash: &[u8; 32],
    now_ms: i64,
) -> Result<EnrollToken, EnrollError> {
    let row = enroll_token::Entity::find()
        .filter(enroll_token::Column::SecretHash.eq(to_hex(token_hash)))
        .one(db)
        .await?
        .ok_or(EnrollError::UnknownToken)?;
    let token = EnrollToken::try_from(row)?;
    admits(&token, now_ms)?;
    // The condition is repeated where the count changes, for databases that let two transactions
    // read the same count.
    let used = enroll_token::Entity::update_many()
        .col_expr(enroll_token::Column::Used, Expr::col(enroll_token::Column::Used).add(1))
        .filter(enroll_token::Column::Id.eq(&token.id))
        .filter(Expr::col(enroll_token::Column::Used).lt(Expr::col(enroll_token::Column::Uses)))
        .exec(db)
        .await?;
    if used.rows_affected == 0 {
        return Err(EnrollError::UsedUp { uses: token.uses });
    }
    Ok(token)
}

/// Whether the token lets one more agent in.
fn admits(token: &EnrollToken, now_ms: i64) -> Result<(), EnrollError> {
    if token.revoked {
        return Err(EnrollError::TokenRevoked);
    }
    if token.expires_ms <= now_ms {
        return Err(EnrollError::Expired { expires_ms: token.expires_ms });
    }
    if token.used >= token.uses {
        return Err(EnrollError::UsedUp { uses: token.uses });
    }
    Ok(())
}

/// The names in use that could stand in the way: `wanted` and what begins with it and a hyphen.
async fn held_instances(
    db: &DatabaseTransaction,
    wanted: &str,
) -> Result<HashSet<String>, EnrollError> {
    let held = agent::Column::HeldInstance;
    // The pattern may match more, should the name hold a wildcard; more does no harm.
    let in_the_way =
        Condition::any().add(held.eq(wanted)).add(held.starts_with(format!("{wanted}-")));
    let names: Vec<Option<String>> = agent::Entity::find()
        .select_only()
        .column(held)
        .filter(in_the_way)
        .into_tuple()
        .all(db)
        .await?;
    Ok(names.into_iter().flatten().collect())
}

/// `wanted` if it is free, else the first of `wanted-2`, `wanted-3`, … that is.
fn free_instance(wanted: &str, held: &HashSet<String>) -> String {
    if !held.contains(wanted) {
        return wanted.to_owned();
    }
    (2..=held.len() + 2)
        .map(|number| format!("{wanted}-{number}"))
        .find(|name| !held.contains(name))
        .expect("one of more numbers than there are names is free")
}

impl TryFrom<agent::Model> for Agent {
    type Error = MetaError;

    fn try_from(row: agent::Model) -> Result<Self, MetaError> {
        Ok(Self {
            public_key: from_hex(&row.public_key, "agents.public_key")?,
            groups: groups_from_json(&row.groups_json, "agents.groups_json")?,
            id: row.id,
            instance: row.instance,
            created_ms: row.created_ms,
            revoked: row.revoked,
            last_seen_ms: row.last_seen_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &str, held: &[&str], expected: &str) {
        let held = held.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(free_instance(wanted, &held), expected);
    }

    #[test]
    fn a_name_in_use_gets_the_first_free_number() {
        check("web", &[], "web");
        check("web", &["db", "web-2"], "web");
        check("web", &["web"], "web-2");
        check("web", &["web", "web-2", "web-4"], "web-3");
        check("web-2", &["web", "web-2"], "web-2-2");
    }
}
