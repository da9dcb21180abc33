//! Where things lie: the repository, the target folder cargo really uses, the binaries, the page.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::process;

/// The places of one checkout.
pub(crate) struct Workspace {
    /// The repository's root folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever `CARGO_TARGET_DIR` or cargo's configuration put it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, which knows both whatever the current folder and the configuration are.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let mut command = process::cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps"]);
        let metadata: serde_json::Value = serde_json::from_str(&process::text_of(&mut command)?)
            .context("cargo metadata printed something that is not JSON")?;
        let folder = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata has no {key}"))
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// A release binary, whether or not it is built.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// The page's folder.
    pub(crate) fn web(&self) -> PathBuf {
        self.root.join("web")
    }

    /// A cargo command that runs in the repository's root.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = process::cargo();
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// A path as a person reads it: relative to the repository where it lies inside.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}
