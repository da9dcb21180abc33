//! `muster user`: accounts of people, on the server's machine.

use muster_server::local;

use crate::cli::{UserArgs, UserCommand};
use crate::settings::{chosen_password, state_dir};
use crate::table;

/// The environment variable that may hold the new password.
const NEW_PASSWORD: &str = "MUSTER_NEW_PASSWORD";

/// Runs one of them.
pub(crate) async fn run(args: UserArgs) -> anyhow::Result<()> {
    match args.command {
        UserCommand::Passwd { name, data_dir } => {
            let data_dir = data_dir.unwrap_or_else(|| state_dir("muster"));
            let chosen = chosen_password(NEW_PASSWORD)?;
            let generated = local::set_password(&data_dir, &name, chosen).await?;
            let last = generated.unwrap_or_else(|| format!("the one in {NEW_PASSWORD}"));
            table::print(&format!(
                "The account {name:?} has a new password; its sessions have ended.\n{last}\n"
            ));
        }
    }
    Ok(())
}
