//! Agents join with tokens: what is admitted, what is refused, and what happens when many ask at once.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly, as tests do")]

use muster_meta::{EnrollError, Enrollment, Location, Meta, MetaError, NewAgent, NewEnrollToken};

const NOW_MS: i64 = 1_760_000_000_000;
const TOKEN: [u8; 32] = [7; 32];

async fn with_token(uses: u32) -> Meta {
    let meta = Meta::open(&Location::InMemory).await.unwrap();
    make_token(&meta, uses).await;
    meta
}

async fn make_token(meta: &Meta, uses: u32) -> String {
    let new = NewEnrollToken {
        secret_hash: TOKEN,
        uses,
        expires_ms: NOW_MS + 1000,
        groups: vec!["prod".into(), "机房 \"2\"".into()],
    };
    meta.create_enroll_token(new, NOW_MS).await.unwrap().id
}

async fn join(meta: &Meta, instance: &str, key: u8) -> Result<Enrollment, EnrollError> {
    let agent = NewAgent { instance: instance.into(), public_key: [key; 32] };
    meta.enroll_agent(&TOKEN, agent, NOW_MS).await
}

async fn used(meta: &Meta) -> u32 {
    meta.list_enroll_tokens().await.unwrap()[0].used
}

#[tokio::test]
async fn an_agent_joins_once_and_is_known_by_its_key() {
    let meta = with_token(1).await;
    let joined = join(&meta, "web1", 1).await.unwrap();
    assert!(!joined.renamed && !joined.known);
    assert_eq!(joined.agent.groups, ["prod", "机房 \"2\""]);
    assert_eq!(meta.agent_by_public_key(&[1; 32]).await.unwrap().as_ref(), Some(&joined.agent));
    assert_eq!(meta.agent_by_public_key(&[2; 32]).await.unwrap(), None);
    meta.touch_agent(&joined.agent.id, NOW_MS + 5).await.unwrap();
    assert_eq!(meta.list_agents().await.unwrap()[0].last_seen_ms, Some(NOW_MS + 5));
}

#[tokio::test]
async fn the_same_key_again_costs_no_use_and_makes_no_second_agent() {
    let meta = with_token(1).await;
    let first = join(&meta, "web1", 1).await.unwrap().agent;
    let again = join(&meta, "web1", 1).await.unwrap();
    assert!(again.known && !again.renamed);
    assert_eq!(again.agent, first);
    let moved = join(&meta, "web1-new", 1).await.unwrap();
    assert!(moved.known && moved.renamed);
    assert_eq!(moved.agent.instance, "web1");
    assert_eq!((used(&meta).await, meta.list_agents().await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn two_hosts_of_one_name_get_names_of_their_own() {
    let meta = with_token(9).await;
    let mut names = Vec::new();
    for key in 1..=3 {
        let joined = join(&meta, "localhost", key).await.unwrap();
        assert_eq!(joined.renamed, key > 1);
        names.push(joined.agent.instance);
    }
    assert_eq!(names, ["localhost", "localhost-2", "localhost-3"]);
}

#[tokio::test]
async fn a_revoked_agent_is_shut_out_and_its_name_is_free() {
    let meta = with_token(9).await;
    let old = join(&meta, "web1", 1).await.unwrap().agent;
    meta.revoke_agent(&old.id).await.unwrap();
    assert!(meta.agent_by_public_key(&[1; 32]).await.unwrap().unwrap().revoked);
    let error = join(&meta, "web1", 1).await.unwrap_err();
    assert!(matches!(error, EnrollError::AgentRevoked { .. }), "{error}");
    let new = join(&meta, "web1", 2).await.unwrap();
    assert_eq!((new.agent.instance.as_str(), new.renamed), ("web1", false));
    assert_eq!(used(&meta).await, 2);
    let error = meta.revoke_agent("nobody").await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "agent", .. }), "{error}");
}

#[tokio::test]
async fn tokens_that_do_not_admit_are_told_apart() {
    let meta = Meta::open(&Location::InMemory).await.unwrap();
    assert!(matches!(join(&meta, "web1", 1).await.unwrap_err(), EnrollError::UnknownToken));

    let id = make_token(&meta, 1).await;
    let agent = NewAgent { instance: "web1".into(), public_key: [1; 32] };
    let late = meta.enroll_agent(&TOKEN, agent, NOW_MS + 1000).await.unwrap_err();
    assert!(matches!(late, EnrollError::Expired { .. }), "{late}");
    assert_eq!(used(&meta).await, 0);

    join(&meta, "web1", 1).await.unwrap();
    let again = join(&meta, "web2", 2).await.unwrap_err();
    assert!(matches!(again, EnrollError::UsedUp { uses: 1 }), "{again}");

    meta.revoke_enroll_token(&id).await.unwrap();
    let revoked = join(&meta, "web2", 2).await.unwrap_err();
    assert!(matches!(revoked, EnrollError::TokenRevoked), "{revoked}");
    assert_eq!(meta.list_agents().await.unwrap().len(), 1);

    let error = meta.revoke_enroll_token("none").await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "enrolment token", .. }), "{error}");
}

/// Twenty agents, over two handles on one file as from two processes, want a token at once.
async fn race(uses: u32, instance: impl Fn(u8) -> String) -> (usize, Vec<String>, u32) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("muster.db"));
    let handles = [Meta::open(&location).await.unwrap(), Meta::open(&location).await.unwrap()];
    make_token(&handles[0], uses).await;
    let requests: Vec<_> = (1..=20_u8)
        .map(|key| {
            let meta = handles[usize::from(key % 2)].clone();
            let name = instance(key);
            tokio::spawn(async move { join(&meta, &name, key).await })
        })
        .collect();
    let mut admitted = 0;
    for request in requests {
        match request.await.unwrap() {
            Ok(_) => admitted += 1,
            Err(error) => assert!(matches!(error, EnrollError::UsedUp { .. }), "{error}"),
        }
    }
    let agents = handles[1].list_agents().await.unwrap();
    let names = agents.into_iter().map(|agent| agent.instance).collect();
    (admitted, names, used(&handles[0]).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_for_one_admits_exactly_one_of_many() {
    let (admitted, names, used) = race(1, |key| format!("web{key}")).await;
    assert_eq!((admitted, names.len(), used), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_of_one_name_that_join_at_once_are_kept_apart() {
    let (admitted, mut names, used) = race(15, |_| "localhost".into()).await;
    assert_eq!((admitted, used), (15, 15));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 15);
}
