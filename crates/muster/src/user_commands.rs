//! `muster user`: accounts of people, on the server's machine.

use muster_environment::{Clock as _, SystemClock};
use muster_meta::{Actor, Meta, Role, User};
use muster_server::local;
use serde_json::{Value, json};

use crate::cli::{UserArgs, UserCommand, UserTarget};
use crate::place::{Place, actor};
use crate::settings::chosen_password;
use crate::table;
use crate::token_commands::day;

/// The environment variable that may hold the new password.
const NEW_PASSWORD: &str = "MUSTER_NEW_PASSWORD";

/// Runs one of them.
pub(crate) async fn run(args: UserArgs) -> anyhow::Result<()> {
    match args.command {
        UserCommand::Add { name, role, target } => add(&name, &role, &target).await,
        UserCommand::List { target } => list(&target).await,
        UserCommand::Passwd { name, target } => passwd(&name, &target).await,
        UserCommand::Role { name, role, target } => set_role(&name, &role, &target).await,
        UserCommand::Disable { name, target } => set_disabled(&name, true, &target).await,
        UserCommand::Enable { name, target } => set_disabled(&name, false, &target).await,
        UserCommand::ResetSecondFactor { name, target } => {
            reset_second_factor(&name, &target).await
        }
        UserCommand::Remove { name, target } => remove(&name, &target).await,
    }
}

/// The database, who changes it, and when.
struct Desk {
    meta: Meta,
    by: Actor,
    now_ms: i64,
}

impl Desk {
    async fn open(target: &UserTarget) -> anyhow::Result<Self> {
        let meta = Place::of(&target.place)?.open().await?;
        Ok(Self { meta, by: actor(), now_ms: SystemClock::new().now_ms() })
    }
}

async fn add(name: &str, role: &str, target: &UserTarget) -> anyhow::Result<()> {
    let role: Role = role.parse()?;
    let chosen = chosen_password(NEW_PASSWORD)?;
    let desk = Desk::open(target).await?;
    let made = local::create_user(&desk.meta, &desk.by, name, role, chosen, desk.now_ms).await?;
    let sentence = format!("The account {name:?} is made, role {role}.");
    tell_password(target, name, &sentence, made);
    Ok(())
}

async fn passwd(name: &str, target: &UserTarget) -> anyhow::Result<()> {
    let chosen = chosen_password(NEW_PASSWORD)?;
    let desk = Desk::open(target).await?;
    let made = local::set_password(&desk.meta, &desk.by, name, chosen, desk.now_ms).await?;
    let sentence = format!("The account {name:?} has a new password; its sessions have ended.");
    tell_password(target, name, &sentence, made);
    Ok(())
}

/// A password that was made here is shown once, alone on the last line.
fn tell_password(target: &UserTarget, name: &str, sentence: &str, made: Option<String>) {
    if target.json {
        tell(&json!({ "name": name, "password": made }));
    } else {
        let last = made.unwrap_or_else(|| format!("the one in {NEW_PASSWORD}"));
        table::print(&format!("{sentence} Its password:\n{last}\n"));
    }
}

fn tell(value: &Value) {
    table::print(&format!("{value:#}\n"));
}

async fn list(target: &UserTarget) -> anyhow::Result<()> {
    let users = Desk::open(target).await?.meta.list_users().await?;
    if target.json {
        tell(&json!({ "users": users.iter().map(shown).collect::<Vec<_>>() }));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = users.iter().map(row).collect();
    let headings = ["NAME", "ROLE", "STATE", "SECOND FACTOR", "CREATED", "LAST SIGN-IN"];
    table::print(&table::render(&headings, &rows));
    Ok(())
}

fn row(user: &User) -> Vec<String> {
    let state = if user.disabled { "disabled" } else { "enabled" };
    let second_factor = if user.second_factor { "on" } else { "off" };
    vec![
        user.name.clone(),
        user.role.to_string(),
        state.into(),
        second_factor.into(),
        day(Some(user.created_ms), "-"),
        day(user.last_sign_in_ms, "never"),
    ]
}

fn shown(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "role": user.role.as_str(),
        "disabled": user.disabled,
        "second_factor": user.second_factor,
        "created_ms": user.created_ms,
        "last_sign_in_ms": user.last_sign_in_ms,
    })
}

async fn set_role(name: &str, role: &str, target: &UserTarget) -> anyhow::Result<()> {
    let role: Role = role.parse()?;
    let Desk { meta, by, now_ms } = Desk::open(target).await?;
    let user = local::user(&meta, name).await?;
    let user = meta.set_role(&by, &user.id, role, now_ms).await?;
    tell_change(target, &user, &format!("The account {name:?} has the role {role}, at once."));
    Ok(())
}

async fn set_disabled(name: &str, disabled: bool, target: &UserTarget) -> anyhow::Result<()> {
    let Desk { meta, by, now_ms } = Desk::open(target).await?;
    let user = local::user(&meta, name).await?;
    let user = meta.set_disabled(&by, &user.id, disabled, now_ms).await?;
    let sentence = if disabled {
        format!("The account {name:?} is disabled; its sessions have ended.")
    } else {
        format!("The account {name:?} is enabled.")
    };
    tell_change(target, &user, &sentence);
    Ok(())
}

async fn reset_second_factor(name: &str, target: &UserTarget) -> anyhow::Result<()> {
    let Desk { meta, by, now_ms } = Desk::open(target).await?;
    let user = local::user(&meta, name).await?;
    meta.remove_totp(&by, &user.id, now_ms).await?;
    let user = local::user(&meta, name).await?;
    tell_change(target, &user, &format!("The account {name:?} signs in with its password alone."));
    Ok(())
}

async fn remove(name: &str, target: &UserTarget) -> anyhow::Result<()> {
    let Desk { meta, by, now_ms } = Desk::open(target).await?;
    let user = local::user(&meta, name).await?;
    meta.remove_user(&by, &user.id, now_ms).await?;
    if target.json {
        tell(&json!({ "removed": name }));
    } else {
        table::print(&format!("The account {name:?} is removed.\n"));
    }
    Ok(())
}

fn tell_change(target: &UserTarget, user: &User, sentence: &str) {
    if target.json {
        tell(&shown(user));
    } else {
        table::print(&format!("{sentence}\n"));
    }
}
