//! The first run, from sources: build what changed, then become `muster up`.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use crate::workspace::Workspace;
use crate::{build, page};

/// `cargo xtask up [-- ARGS]`; comes back only where the program cannot be started.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    page::build(workspace, "[1/3] ")?;
    build::release(workspace, &["muster"], "[2/3] ")?;
    let binary = workspace.binary("muster");
    let arguments = for_muster(arguments);
    eprintln!("[3/3] {} up {}", workspace.relative(&binary).display(), arguments.join(" "));
    let error = Command::new(&binary).arg("up").args(arguments).exec();
    Err(anyhow::Error::new(error).context(format!("cannot start {}", binary.display())))
}

/// What comes after the first `--`; without one, everything.
fn for_muster(arguments: &[String]) -> &[String] {
    match arguments {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashes_are_ours_and_the_rest_is_musters() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(Into::into).collect() };
        assert_eq!(for_muster(&words("-- --listen :1 -- x")), words("--listen :1 -- x"));
        assert_eq!(for_muster(&words("--tls off")), words("--tls off"));
        assert!(for_muster(&[]).is_empty());
    }
}
