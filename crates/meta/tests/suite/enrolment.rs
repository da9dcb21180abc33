//! Agents join with tokens: what is admitted, what is refused, and what happens when many ask at once.

use muster_meta::{EnrollError, Enrollment, Meta, MetaError, NewAgent, NewEnrollToken};

use super::{NOW_MS, Place, by, meta};

const TOKEN: [u8; 32] = [7; 32];

async fn with_token(uses: u32) -> Option<(Meta, Place)> {
    let (meta, place) = meta().await?;
    make_token(&meta, uses).await;
    Some((meta, place))
}

async fn make_token(meta: &Meta, uses: u32) -> String {
    let new = NewEnrollToken {
        secret_hash: TOKEN,
        uses,
        expires_ms: NOW_MS + 1000,
        groups: vec!["prod".into(), "机房 \"2\"".into()],
        tags: vec!["ssd".into()],
    };
    meta.create_enroll_token(&by(), new, NOW_MS).await.unwrap().id
}

fn agent(instance: &str, key: u8) -> NewAgent {
    NewAgent {
        instance: instance.into(),
        public_key: [key; 32],
        version: "1.2".into(),
        address: "192.0.2.1".into(),
    }
}

async fn join(meta: &Meta, instance: &str, key: u8) -> Result<Enrollment, EnrollError> {
    meta.enroll_agent(&TOKEN, agent(instance, key), NOW_MS).await
}

async fn used(meta: &Meta) -> u32 {
    meta.list_enroll_tokens().await.unwrap()[0].used
}

#[tokio::test]
async fn an_agent_joins_once_and_is_known_by_its_key() {
    let Some((meta, _place)) = with_token(1).await else { return };
    let joined = join(&meta, "web1", 1).await.unwrap();
    assert!(!joined.renamed && !joined.known);
    assert_eq!(joined.agent.groups, ["prod", "机房 \"2\""]);
    assert_eq!((joined.agent.tags[0].as_str(), joined.agent.version.as_str()), ("ssd", "1.2"));
    assert_eq!(meta.agent_by_public_key(&[1; 32]).await.unwrap().as_ref(), Some(&joined.agent));
    assert_eq!(meta.agent_by_public_key(&[2; 32]).await.unwrap(), None);
    meta.touch_agent(&joined.agent.id, NOW_MS + 5).await.unwrap();
    assert_eq!(meta.list_agents().await.unwrap()[0].last_seen_ms, Some(NOW_MS + 5));
    meta.note_agent(&joined.agent.id, "1.3", NOW_MS + 6).await.unwrap();
    let noted = meta.agent(&joined.agent.id).await.unwrap().unwrap();
    assert_eq!((noted.version.as_str(), noted.last_seen_ms), ("1.3", Some(NOW_MS + 6)));
}

#[tokio::test]
async fn the_same_key_again_costs_no_use_and_makes_no_second_agent() {
    let Some((meta, _place)) = with_token(1).await else { return };
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
    let Some((meta, _place)) = with_token(9).await else { return };
    let mut names = Vec::new();
    for key in 1..=3 {
        let joined = join(&meta, "localhost", key).await.unwrap();
        assert_eq!(joined.renamed, key > 1);
        assert_eq!(joined.agent.asked_instance.as_deref(), Some("localhost"));
        names.push(joined.agent.instance);
    }
    assert_eq!(names, ["localhost", "localhost-2", "localhost-3"]);
}

#[tokio::test]
async fn a_revoked_agent_is_shut_out_and_its_name_is_free() {
    let Some((meta, _place)) = with_token(9).await else { return };
    let old = join(&meta, "web1", 1).await.unwrap().agent;
    meta.revoke_agent(&by(), &old.id, NOW_MS).await.unwrap();
    assert!(meta.agent_by_public_key(&[1; 32]).await.unwrap().unwrap().revoked);
    let error = join(&meta, "web1", 1).await.unwrap_err();
    assert!(matches!(error, EnrollError::AgentRevoked { .. }), "{error}");
    let new = join(&meta, "web1", 2).await.unwrap();
    assert_eq!((new.agent.instance.as_str(), new.renamed), ("web1", false));
    assert_eq!(used(&meta).await, 2);
    let error = meta.revoke_agent(&by(), "nobody", NOW_MS).await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "agent", .. }), "{error}");
}

#[tokio::test]
async fn tokens_that_do_not_admit_are_told_apart() {
    let Some((meta, _place)) = meta().await else { return };
    assert!(matches!(join(&meta, "web1", 1).await.unwrap_err(), EnrollError::UnknownToken));

    let id = make_token(&meta, 1).await;
    let late = meta.enroll_agent(&TOKEN, agent("web1", 1), NOW_MS + 1000).await.unwrap_err();
    assert!(matches!(late, EnrollError::Expired { .. }), "{late}");
    assert_eq!(used(&meta).await, 0);

    join(&meta, "web1", 1).await.unwrap();
    let again = join(&meta, "web2", 2).await.unwrap_err();
    assert!(matches!(again, EnrollError::UsedUp { uses: 1 }), "{again}");

    meta.revoke_enroll_token(&by(), &id, NOW_MS).await.unwrap();
    let revoked = join(&meta, "web2", 2).await.unwrap_err();
    assert!(matches!(revoked, EnrollError::TokenRevoked), "{revoked}");
    assert_eq!(meta.list_agents().await.unwrap().len(), 1);

    let error = meta.revoke_enroll_token(&by(), "none", NOW_MS).await.unwrap_err();
    assert!(matches!(error, MetaError::NotFound { what: "enrolment token", .. }), "{error}");
}

#[tokio::test]
async fn an_agent_can_be_renamed_regrouped_and_once_revoked_forgotten() {
    let Some((meta, _place)) = with_token(9).await else { return };
    let (one, two) = (join(&meta, "web1", 1).await.unwrap(), join(&meta, "web2", 2).await.unwrap());
    let taken = meta.rename_agent(&by(), &two.agent.id, "web1", NOW_MS).await.unwrap_err();
    assert!(matches!(taken, MetaError::NameTaken { what: "an agent", .. }), "{taken}");
    let renamed = meta.rename_agent(&by(), &two.agent.id, "db1", NOW_MS).await.unwrap();
    assert_eq!(
        (renamed.instance.as_str(), renamed.asked_instance.as_deref()),
        ("db1", Some("web2"))
    );
    let groups = vec!["b".into(), "a".into(), "b".into()];
    let grouped =
        meta.set_agent_groups(&by(), &two.agent.id, groups, vec![], NOW_MS).await.unwrap();
    assert_eq!((grouped.groups.as_slice(), grouped.tags.len()), (&["a".into(), "b".into()][..], 0));
    assert_eq!(meta.agent(&two.agent.id).await.unwrap(), Some(grouped));

    let early = meta.remove_agent(&by(), &one.agent.id, NOW_MS).await.unwrap_err();
    assert!(matches!(early, MetaError::NotFound { what: "revoked agent", .. }), "{early}");
    meta.revoke_agent(&by(), &one.agent.id, NOW_MS).await.unwrap();
    meta.rename_agent(&by(), &two.agent.id, "web1", NOW_MS).await.unwrap();
    meta.remove_agent(&by(), &one.agent.id, NOW_MS).await.unwrap();
    assert_eq!(meta.agent(&one.agent.id).await.unwrap(), None);
}

/// Twenty agents, over two handles on one database as from two processes, want a token at once.
async fn race(uses: u32, instance: impl Fn(u8) -> String) -> Option<(usize, Vec<String>, u32)> {
    let (first, place) = meta().await?;
    let handles = [first, place.open().await.unwrap()];
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
    Some((admitted, names, used(&handles[0]).await))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_for_one_admits_exactly_one_of_many() {
    let race = race(1, |key| format!("web{key}")).await;
    let Some((admitted, names, used)) = race else { return };
    assert_eq!((admitted, names.len(), used), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_of_one_name_that_join_at_once_are_kept_apart() {
    let race = race(15, |_| "localhost".into()).await;
    let Some((admitted, mut names, used)) = race else { return };
    assert_eq!((admitted, used), (15, 15));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 15);
}
