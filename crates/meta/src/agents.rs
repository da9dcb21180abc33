//! Agents: joining with a token, and what is known of those that have joined.

use std::collections::HashSet;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde_json::{Value, json};

use crate::attempts::Attempts;
use crate::audit::{Change, Target};
use crate::entities::{agent, enroll_token};
use crate::guards::Guard;
use crate::names::{check_name, tidy_words, truncated, words_from_json, words_to_json};
use crate::secret_hash::{from_hex, to_hex};
use crate::{Actor, ActorKind, EnrollError, EnrollToken, Meta, MetaError, ids};

/// The longest name of a host, in characters.
const MAX_INSTANCE: usize = 253;

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
    /// The name that its host gave when it joined: not that of `instance` if another agent had it, or if an
    /// administrator renamed it. None if that is not on record.
    pub asked_instance: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The version of its program when it last connected; empty if that is not on record.
    pub version: String,
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
    /// The version of its program.
    pub version: String,
    /// The address it comes from.
    pub address: String,
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
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let result = enroll(&open, token_hash, &new, now_ms).await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
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

    /// The agent with this number, revoked or not.
    pub async fn agent(&self, id: &str) -> Result<Option<Agent>, MetaError> {
        let row = agent::Entity::find_by_id(id).one(&self.db).await?;
        row.map(Agent::try_from).transpose()
    }

    /// All agents, by instance, revoked ones among them.
    pub async fn list_agents(&self) -> Result<Vec<Agent>, MetaError> {
        let rows = agent::Entity::find().all(&self.db).await?;
        let mut agents: Vec<Agent> =
            rows.into_iter().map(Agent::try_from).collect::<Result<_, _>>()?;
        agents.sort_by(|a, b| (&a.instance, a.created_ms).cmp(&(&b.instance, b.created_ms)));
        Ok(agents)
    }

    /// Shuts an agent out and frees the name of its host; it cannot be let in again. [`MetaError::NotFound`] if there is
    /// no such agent.
    pub async fn revoke_agent(
        &self,
        by: &Actor,
        id: &str,
        now_ms: i64,
    ) -> Result<Agent, MetaError> {
        self.change_agent(by, "agent.revoke", id, now_ms, |agent| agent.revoked = true).await
    }

    /// Lets an agent report for another host name: the label `instance` of what it sends from now on.
    /// [`MetaError::NameTaken`] if another agent has it.
    pub async fn rename_agent(
        &self,
        by: &Actor,
        id: &str,
        instance: &str,
        now_ms: i64,
    ) -> Result<Agent, MetaError> {
        check_name("a host", instance, MAX_INSTANCE)?;
        let rename = |agent: &mut Agent| instance.clone_into(&mut agent.instance);
        self.change_agent(by, "agent.rename", id, now_ms, rename).await
    }

    /// Gives an agent other groups and tags.
    pub async fn set_agent_groups(
        &self,
        by: &Actor,
        id: &str,
        groups: Vec<String>,
        tags: Vec<String>,
        now_ms: i64,
    ) -> Result<Agent, MetaError> {
        let (groups, tags) = (tidy_words("groups", groups)?, tidy_words("tags", tags)?);
        let regroup = |agent: &mut Agent| {
            agent.groups.clone_from(&groups);
            agent.tags.clone_from(&tags);
        };
        self.change_agent(by, "agent.groups", id, now_ms, regroup).await
    }

    /// Forgets a revoked agent; its samples stay, and so does what the audit log says. [`MetaError::NotFound`] if there
    /// is no such agent, or it is not revoked.
    pub async fn remove_agent(&self, by: &Actor, id: &str, now_ms: i64) -> Result<(), MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                let agent = find(tx, id).await?;
                let not_found = || MetaError::NotFound { what: "revoked agent", id: id.to_owned() };
                if !agent.revoked {
                    return Err(not_found());
                }
                let deleted = agent::Entity::delete_by_id(id).exec(tx).await?;
                if deleted.rows_affected == 0 {
                    return Err(not_found());
                }
                change(by, "agent.remove", &agent, Some(agent.audited()), None, now_ms)
                    .record(tx)
                    .await
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
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

    /// Notes that an agent has connected, with the version of its program; what of that exceeds 64 characters is cut off.
    pub async fn note_agent(&self, id: &str, version: &str, now_ms: i64) -> Result<(), MetaError> {
        agent::Entity::update_many()
            .set(agent::ActiveModel {
                version: Set(truncated(version, 64)),
                last_seen_ms: Set(Some(now_ms)),
                ..Default::default()
            })
            .filter(agent::Column::Id.eq(id))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Changes what people may change of an agent; nothing is written where nothing changes.
    async fn change_agent(
        &self,
        by: &Actor,
        action: &'static str,
        id: &str,
        now_ms: i64,
        set: impl Fn(&mut Agent),
    ) -> Result<Agent, MetaError> {
        let mut attempts = Attempts::new(self);
        loop {
            let open = attempts.begin().await?;
            let tx = &open;
            let result: Result<_, MetaError> = async {
                Guard::Instances.take(tx).await?;
                let before = find(tx, id).await?;
                let mut after = before.clone();
                set(&mut after);
                if after == before {
                    return Ok(after);
                }
                let row = agent::ActiveModel {
                    instance: Set(after.instance.clone()),
                    held_instance: Set((!after.revoked).then(|| after.instance.clone())),
                    revoked: Set(after.revoked),
                    groups_json: Set(words_to_json(&after.groups)),
                    tags_json: Set(words_to_json(&after.tags)),
                    ..Default::default()
                };
                agent::Entity::update_many()
                    .set(row)
                    .filter(agent::Column::Id.eq(id))
                    .exec(tx)
                    .await
                    .map_err(|error| MetaError::taken(error, "an agent", &after.instance))?;
                let (old, new) = (Some(before.audited()), Some(after.audited()));
                change(by, action, &after, old, new, now_ms).record(tx).await?;
                Ok(after)
            }
            .await;
            if let Some(result) = attempts.end(open, result).await {
                return result;
            }
        }
    }
}

async fn find(tx: &DatabaseTransaction, id: &str) -> Result<Agent, MetaError> {
    let row = agent::Entity::find_by_id(id).one(tx).await?;
    row.ok_or_else(|| MetaError::NotFound { what: "agent", id: id.to_owned() })?.try_into()
}

fn change<'a>(
    actor: &'a Actor,
    action: &'static str,
    agent: &Agent,
    before: Option<Value>,
    after: Option<Value>,
    now_ms: i64,
) -> Change<'a> {
    let target = Target::new("agent", &agent.id, &agent.instance);
    Change { actor, action, target, before, after, now_ms }
}

impl Agent {
    /// What the audit log shows of it.
    fn audited(&self) -> Value {
        json!({
            "instance": self.instance,
            "asked_instance": self.asked_instance,
            "groups": self.groups,
            "tags": self.tags,
            "revoked": self.revoked,
        })
    }
}

async fn enroll(
    tx: &DatabaseTransaction,
    token_hash: &[u8; 32],
    new: &NewAgent,
    now_ms: i64,
) -> Result<Enrollment, EnrollError> {
    check_name("a host", &new.instance, MAX_INSTANCE)?;
    // Hosts of one name that join at once come one after the other, and each sees the names before it.
    Guard::Instances.take(tx).await?;
    let public_key = to_hex(&new.public_key);
    let known =
        agent::Entity::find().filter(agent::Column::PublicKey.eq(&public_key)).one(tx).await?;
    if let Some(row) = known {
        if row.revoked {
            return Err(EnrollError::AgentRevoked { instance: row.instance });
        }
        let renamed = row.instance != new.instance;
        return Ok(Enrollment { agent: row.try_into()?, renamed, known: true });
    }
    let token = use_token(tx, token_hash, now_ms).await?;
    let instance = free_instance(&new.instance, &held_instances(tx, &new.instance).await?);
    let row = agent::Model {
        id: ids::new_id()?,
        held_instance: Some(instance.clone()),
        instance,
        public_key,
        groups_json: words_to_json(&token.groups),
        created_ms: now_ms,
        revoked: false,
        last_seen_ms: None,
        tags_json: words_to_json(&token.tags),
        asked_instance: Some(new.instance.clone()),
        version: truncated(&new.version, 64),
    };
    agent::Entity::insert(row.clone().into_active_model()).exec_without_returning(tx).await?;
    let agent = Agent::try_from(row)?;
    let actor = Actor::new(ActorKind::Agent, &agent.id, &agent.instance, &new.address);
    let mut after = agent.audited();
    after["enroll_token"] = json!(token.id);
    change(&actor, "agent.join", &agent, None, Some(after), now_ms).record(tx).await?;
    Ok(Enrollment { renamed: agent.instance != new.instance, agent, known: false })
}

async fn use_token(
    tx: &DatabaseTransaction,
    token_hash: &[u8; 32],
    now_ms: i64,
) -> Result<EnrollToken, EnrollError> {
    let row = enroll_token::Entity::find()
        .filter(enroll_token::Column::SecretHash.eq(to_hex(token_hash)))
        .one(tx)
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
        .exec(tx)
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
    tx: &DatabaseTransaction,
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
        .all(tx)
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
            groups: words_from_json(&row.groups_json, "agents.groups_json")?,
            tags: words_from_json(&row.tags_json, "agents.tags_json")?,
            asked_instance: row.asked_instance,
            version: row.version,
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
