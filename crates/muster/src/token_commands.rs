//! `muster token` and `muster enroll-token`.

use anyhow::Context as _;
use muster_api::{ApiToken, ApiTokenList, CreateApiToken, CreateEnrollToken, NewSecret};
use muster_environment::{Clock as _, SystemClock};
use muster_series::parse_duration_ms;
use muster_server::local::{self, JoinTerms};
use serde_json::json;

use crate::cli::{EnrollTokenArgs, TargetArgs, TokenArgs, TokenCommand};
use crate::client::{self, Target};
use crate::install_command::install_command;
use crate::place::{Place, actor};
use crate::table;

/// `muster token …`.
pub(crate) async fn token(args: TokenArgs) -> anyhow::Result<()> {
    match args.command {
        TokenCommand::Create { name, role, expires, target } => {
            create(&name, &role, expires.as_deref(), &target).await
        }
        TokenCommand::List { target } => list(&target).await,
        TokenCommand::Revoke { name, target } => revoke(&name, &target).await,
    }
}

async fn create(
    name: &str,
    role: &str,
    expires: Option<&str>,
    target: &TargetArgs,
) -> anyhow::Result<()> {
    let role: muster_meta::Role = role.parse()?;
    let life_ms = expires.map(parse_duration_ms).transpose().context("in --expires")?;
    let now_ms = SystemClock::new().now_ms();
    let secret = match Target::of(target)? {
        Target::Local(place) => {
            let expires_ms = life_ms.map(|life| now_ms + life);
            let meta = place.open().await?;
            local::create_api_token(&meta, &actor(), name, role, expires_ms, now_ms).await?
        }
        Target::Remote(client) => {
            let body = CreateApiToken {
                name: name.into(),
                role: local::api_role(role),
                expires_in_ms: life_ms,
            };
            client.post::<NewSecret>("/api/muster/v1/tokens", &body).await?.token
        }
    };
    if target.json {
        table::print(&format!(
            "{:#}\n",
            json!({ "name": name, "role": role.as_str(), "token": secret })
        ));
    } else {
        table::print(&format!(
            "API token {name:?}, role {}, shown only this once. Send it as `Authorization: Bearer TOKEN`.\n{secret}\n",
            role.as_str()
        ));
    }
    Ok(())
}

async fn list(target: &TargetArgs) -> anyhow::Result<()> {
    let tokens = match Target::of(target)? {
        Target::Local(place) => local::api_tokens(&place.open().await?).await?,
        Target::Remote(client) => client.get("/api/muster/v1/tokens").await?,
    };
    if target.json {
        table::print(&format!("{:#}\n", json!(tokens)));
        return Ok(());
    }
    let row = |token: ApiToken| {
        let role = json!(token.role).as_str().unwrap_or_default().to_owned();
        let created = day(Some(token.created_ms), "-");
        vec![
            token.name,
            role,
            created,
            day(token.expires_ms, "never"),
            day(token.last_used_ms, "never"),
        ]
    };
    let rows: Vec<Vec<String>> = tokens.tokens.into_iter().map(row).collect();
    table::print(&table::render(&["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED"], &rows));
    Ok(())
}

/// A time to the minute, in words where there is none.
pub(crate) fn day(ms: Option<i64>, none: &str) -> String {
    let time = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| none.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

async fn revoke(name: &str, target: &TargetArgs) -> anyhow::Result<()> {
    match Target::of(target)? {
        Target::Local(place) => {
            let now_ms = SystemClock::new().now_ms();
            place.open().await?.revoke_api_token(&actor(), name, now_ms).await?;
        }
        Target::Remote(client) => {
            let tokens = client.get::<ApiTokenList>("/api/muster/v1/tokens").await?.tokens;
            let found = tokens.into_iter().find(|token| token.name == name).with_context(|| {
                format!("there is no token named {name:?}; see `muster token list`")
            })?;
            client.delete(&format!("/api/muster/v1/tokens/{}", found.id)).await?;
        }
    }
    if target.json {
        table::print(&format!("{:#}\n", json!({ "revoked": name })));
    } else {
        table::print(&format!("API token {name:?} is revoked.\n"));
    }
    Ok(())
}

/// `muster enroll-token`.
pub(crate) async fn enroll_token(args: EnrollTokenArgs) -> anyhow::Result<()> {
    let life_ms = parse_duration_ms(&args.expires).context("in --expires")?;
    anyhow::ensure!(args.uses > 0, "--uses must be 1 or more");
    anyhow::ensure!(life_ms > 0, "--expires must be longer than nothing");
    let now_ms = SystemClock::new().now_ms();
    let (secret, ca_fingerprint, install_sha256) = match Target::of(&args.target)? {
        Target::Local(place) => {
            let terms = JoinTerms {
                uses: args.uses,
                expires_ms: now_ms + life_ms,
                groups: args.groups.clone(),
                tags: args.tags.clone(),
            };
            let meta = place.open().await?;
            let secret = local::create_enroll_token(&meta, &actor(), terms, now_ms).await?;
            let fingerprint = muster_server::stored_ca_fingerprint(place.data_dir());
            let fingerprint = fingerprint.as_ref().map(muster_server::format_fingerprint);
            (secret, fingerprint, client::install_sha256(place.data_dir()).await)
        }
        Target::Remote(client) => {
            let body = CreateEnrollToken {
                uses: args.uses,
                expires_in_ms: life_ms,
                groups: args.groups.clone(),
                tags: args.tags.clone(),
            };
            let made: NewSecret = client.post("/api/muster/v1/enroll-tokens", &body).await?;
            (made.token, made.ca_fingerprint, made.install_sha256)
        }
    };
    if args.target.json {
        let reply = json!({ "token": secret, "uses": args.uses, "expires_ms": now_ms + life_ms, "ca_fingerprint": ca_fingerprint, "install_sha256": install_sha256 });
        table::print(&format!("{reply:#}\n"));
        return Ok(());
    }
    let (server, note) = match &args.target.server {
        Some(server) => (server.clone(), ""),
        None => client::address_for_others(Place::of(&args.target.place)?.data_dir()),
    };
    let joins = if args.uses == 1 {
        "one agent may join with it".into()
    } else {
        format!("{} agents may join with it", args.uses)
    };
    let fingerprint = ca_fingerprint.as_deref();
    let install = install_sha256.map(|sha256| {
        let command = install_command(&server, &secret, fingerprint, &sha256);
        format!("This installs the agent as a service and joins, on each host:\n\n{command}\n\n")
    });
    let pin = fingerprint.map(|pin| format!(" --ca-fingerprint {pin}")).unwrap_or_default();
    table::print(&format!(
        "Enrolment token, valid for {}; {joins}.\n\n{}Where the program is already:\n\n\
         \u{20}   muster agent --server {server}{pin} --token {secret}\n\n{note}The token alone:\n{secret}\n",
        args.expires,
        install.unwrap_or_default(),
    ));
    Ok(())
}
