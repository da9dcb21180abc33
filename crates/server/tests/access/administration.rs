//! What administrators do, and what the audit log says of it.

use muster_meta::{Actor, NewAgent, NewEnrollToken, Role};
use muster_server::secrets::{Secret, SecretKind};
use serde_json::{Value, json};

use crate::server::{NOW_MS, PASSWORD, Proof, Server};

/// The number of an agent that has joined.
async fn agent(server: &Server, instance: &str, key: u8) -> String {
    let meta = server.running.meta();
    let secret = Secret::generate(SecretKind::EnrollToken);
    let token = NewEnrollToken {
        secret_hash: secret.hash(),
        uses: 1,
        expires_ms: NOW_MS + 1,
        groups: vec!["web".into()],
        tags: vec![],
    };
    meta.create_enroll_token(&Actor::server(), token, NOW_MS).await.unwrap();
    let new = NewAgent {
        instance: instance.into(),
        public_key: [key; 32],
        version: "0.1.0".into(),
        address: "192.0.2.7".into(),
    };
    meta.enroll_agent(&secret.hash(), new, NOW_MS).await.unwrap().agent.id
}

/// The actions in the audit log that pass a filter, the oldest first.
async fn actions(server: &Server, admin: &Proof, filter: &str) -> Vec<String> {
    let page = server.done("GET", &format!("audit?{filter}"), admin, Value::Null).await;
    let entries = page["entries"].as_array().unwrap().iter().rev();
    entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn people_are_made_changed_and_removed_but_never_the_last_administrator() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let made =
        server.done("POST", "people", &admin, json!({ "name": "ada", "role": "viewer" })).await;
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 23);
    server.signed_in("ada", password, None).await;
    let id = made["person"]["id"].as_str().unwrap();
    for (body, status) in [
        (json!({ "name": "ada", "role": "viewer" }), 409),
        (json!({ "name": "bot", "role": "writer" }), 400),
        (json!({ "name": " ", "role": "viewer" }), 400),
        (json!({ "name": "eve", "role": "viewer", "password": "short" }), 400),
        (json!({ "name": "eve" }), 422),
    ] {
        assert_eq!(server.ask("POST", "people", &admin, body.clone()).await.0, status, "{body}");
    }
    let people = server.done("GET", "people", &admin, Value::Null).await;
    let of = |name: &str| {
        let mut people = people["people"].as_array().unwrap().iter();
        people.find(|person| person["name"] == name).unwrap().clone()
    };
    assert_eq!(of("ada")["last_sign_in_ms"], NOW_MS);
    assert!(!people.to_string().contains("argon2"));
    let last = format!("people/{}", of("admin")["id"].as_str().unwrap());
    for (method, body) in [
        ("PATCH", json!({ "disabled": true })),
        ("PATCH", json!({ "role": "viewer" })),
        ("DELETE", Value::Null),
    ] {
        let (status, answer) = server.ask(method, &last, &admin, body).await;
        assert_eq!((status, answer["code"].as_str()), (409, Some("last_administrator")));
    }
    let reset = format!("people/{id}/password");
    let reset = server.done("POST", &reset, &admin, json!({})).await;
    server.signed_in("ada", reset["password"].as_str().unwrap(), None).await;
    server.done("DELETE", &format!("people/{id}"), &admin, Value::Null).await;
    assert_eq!(server.ask("DELETE", &format!("people/{id}"), &admin, Value::Null).await.0, 404);
    server.running.stop().await;
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_and_no_secret() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let body = json!({ "name": "ada", "role": "viewer", "password": "ada's own password" });
    let made = server.done("POST", "people", &admin, body).await;
    let person = format!("people/{}", made["person"]["id"].as_str().unwrap());
    server.sign_in("ada", "a wrong password", None).await;
    server.done("PATCH", &person, &admin, json!({ "role": "operator" })).await;
    let token = json!({ "name": "grafana", "role": "viewer", "expires_in_ms": 60_000 });
    let token = server.done("POST", "tokens", &admin, token).await;
    let enroll = json!({ "uses": 5, "expires_in_ms": 60_000, "groups": ["web"], "tags": ["a"] });
    let enroll = server.done("POST", "enroll-tokens", &admin, enroll).await;
    for (kind, made) in [("tokens", &token), ("enroll-tokens", &enroll)] {
        let path = format!("{kind}/{}", made["id"].as_str().unwrap());
        server.done("DELETE", &path, &admin, Value::Null).await;
    }
    let id = agent(&server, "web-1", 1).await;
    let path = format!("agents/{id}");
    server.done("PATCH", &path, &admin, json!({ "instance": "web-9", "groups": ["db"] })).await;
    server.done("DELETE", &path, &admin, Value::Null).await;
    server.done("POST", &format!("{path}/forget"), &admin, Value::Null).await;
    let delete = "/api/v1/admin/tsdb/delete_series?match[]=up";
    let answer = server.request(reqwest::Method::POST, delete, &admin).send().await.unwrap();
    assert_eq!(answer.status(), 204);

    assert_eq!(
        actions(&server, &admin, "actor=admin").await,
        [
            "session.create",
            "user.create",
            "user.role",
            "token.create",
            "enroll-token.create",
            "token.revoke",
            "enroll-token.revoke",
            "agent.groups",
            "agent.rename",
            "agent.revoke",
            "agent.remove",
            "samples.delete",
        ]
    );
    assert_eq!(actions(&server, &admin, "action=session.refused").await, ["session.refused"]);
    assert_eq!(
        actions(&server, &admin, "target=ada&action=user").await,
        ["user.create", "user.role"]
    );
    assert_eq!(actions(&server, &admin, &format!("until_ms={NOW_MS}")).await, [] as [&str; 0]);
    let page = server.done("GET", "audit?limit=1000", &admin, Value::Null).await;
    let role =
        page["entries"].as_array().unwrap().iter().find(|e| e["action"] == "user.role").unwrap();
    assert_eq!(
        (&role["before"]["role"], &role["after"]["role"]),
        (&json!("viewer"), &json!("operator"))
    );
    assert_eq!(role["actor"]["address"], "127.0.0.1");
    let everything = page.to_string();
    for secret in ["password", "argon2", "muster_s_", "muster_t_", "muster_e_"] {
        let told = everything.replace("\"wrong\":\"password\"", "").replace("user.password", "");
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
    server.running.stop().await;
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page_and_exported_whole() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    for n in 0..25 {
        let body =
            json!({ "name": format!("=token {n}"), "role": "viewer", "expires_in_ms": null });
        server.done("POST", "tokens", &admin, body).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("audit?action=token&limit=10&cursor={cursor}");
        let page = server.done("GET", &path, &admin, Value::Null).await;
        let names = page["entries"].as_array().unwrap().iter();
        seen.extend(names.map(|entry| entry["target"]["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = next.to_owned();
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("=token {n}")).collect();
    assert_eq!(seen, expected);
    let path = "/api/muster/v1/audit.csv?action=token";
    let answer = server.get(path, &admin).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let table = answer.text().await.unwrap();
    let lines: Vec<&str> = table.trim_end().split("\r\n").collect();
    assert_eq!(lines.len(), 26);
    assert!(lines[0].starts_with("time,actor_kind,actor,"));
    assert!(
        lines[1].contains(",user,admin,") && lines[1].contains("\"'=token 24\""),
        "{}",
        lines[1]
    );
    assert_eq!(actions(&server, &admin, "action=audit").await, ["audit.export"]);
    assert_eq!(server.ask("GET", "audit?form_ms=5", &admin, Value::Null).await.0, 400);
    server.running.stop().await;
}

#[tokio::test]
async fn settings_show_what_the_server_was_told_and_the_room_it_takes() {
    let server = Server::start().await;
    let viewer = server.token(Role::Viewer, None).await;
    let settings = server.done("GET", "settings", &viewer, Value::Null).await;
    assert_eq!(settings["retention_ms"], 86_400_000);
    assert_eq!(
        settings["tls"],
        json!({ "kind": "off", "not_after_ms": null, "ca_fingerprint": null })
    );
    assert_eq!(settings["provider"], "Example");
    let disk = &settings["disk"];
    assert!(disk["free_bytes"].as_u64().unwrap() <= disk["size_bytes"].as_u64().unwrap());
    for secret in ["client & secret", PASSWORD] {
        assert!(!settings.to_string().contains(secret));
    }
    server.running.stop().await;
}

#[tokio::test]
async fn enrolment_tokens_are_listed_without_their_secrets_and_revoked() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let body = json!({ "uses": 50, "expires_in_ms": 60_000, "groups": ["web"], "tags": ["eu"] });
    let made = server.done("POST", "enroll-tokens", &admin, body).await;
    let list = server.done("GET", "enroll-tokens", &admin, Value::Null).await;
    let expected = json!([{
        "id": made["id"], "uses": 50, "used": 0, "created_ms": NOW_MS, "expires_ms": NOW_MS + 60_000,
        "revoked": false, "groups": ["web"], "tags": ["eu"], "made_by": "admin",
    }]);
    assert_eq!(list["tokens"], expected);
    let path = format!("enroll-tokens/{}", made["id"].as_str().unwrap());
    server.done("DELETE", &path, &admin, Value::Null).await;
    let list = server.done("GET", "enroll-tokens", &admin, Value::Null).await;
    assert_eq!(list["tokens"][0]["revoked"], true);
    assert_eq!(server.ask("DELETE", "enroll-tokens/none", &admin, Value::Null).await.0, 404);
    server.running.stop().await;
}

#[tokio::test]
async fn agents_are_renamed_regrouped_and_revoked() {
    let server = Server::start().await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let (id, _) = (agent(&server, "web-1", 1).await, agent(&server, "web-2", 2).await);
    let path = format!("agents/{id}");
    let changed = json!({ "instance": "web-3", "tags": ["eu"] });
    let changed = server.done("PATCH", &path, &admin, changed).await;
    assert_eq!(changed["instance"], "web-3");
    assert_eq!((&changed["groups"], &changed["tags"]), (&json!(["web"]), &json!(["eu"])));
    for (body, status) in [
        (json!({ "instance": "web-2" }), 409),
        (json!({ "instance": "<script>" }), 400),
        (json!({ "groups": ["x".repeat(65)] }), 400),
    ] {
        assert_eq!(server.ask("PATCH", &path, &admin, body.clone()).await.0, status, "{body}");
    }
    assert_eq!(server.ask("POST", &format!("{path}/forget"), &admin, Value::Null).await.0, 404);
    server.done("DELETE", &path, &admin, Value::Null).await;
    assert_eq!(server.ask("DELETE", &path, &admin, Value::Null).await.0, 404);
    let list = server.done("GET", "agents", &admin, Value::Null).await;
    let revoked = list["agents"].as_array().unwrap().iter().filter(|a| a["revoked"] == true);
    assert_eq!(revoked.count(), 1);
    server.done("POST", &format!("{path}/forget"), &admin, Value::Null).await;
    let list = server.done("GET", "agents", &admin, Value::Null).await;
    assert_eq!(list["agents"].as_array().unwrap().len(), 1);
    server.running.stop().await;
}
