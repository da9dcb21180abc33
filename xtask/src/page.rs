//! The page: npm is asked only for what changed since the last time, told by stamps of the sources' content.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::packages;
use crate::process::{self, Outcome};
use crate::workspace::Workspace;

/// Folders of `web/` that hold no source of what is built.
const NOT_SOURCES: [&str; 5] = ["node_modules", "dist", "test-results", "e2e", "dev"];
/// Both stamps lie in `node_modules`, which `npm ci` empties: a new install is always followed by a new build.
const INSTALL_STAMP: &str = "node_modules/.xtask-installed";
const BUILD_STAMP: &str = "node_modules/.xtask-built";

/// Brings `web/dist` up to date; `step` stands before what it says, such as `[1/3] `.
pub(crate) fn build(workspace: &Workspace, step: &str) -> anyhow::Result<Outcome> {
    let web = workspace.web();
    let sources = stamp_of_sources(&web)?;
    let built =
        web.join("dist/index.html").exists() && read_stamp(&web, BUILD_STAMP) == Some(sources);
    if built && is_installed(&web)? {
        eprintln!("{step}the page is up to date");
        return Ok(Outcome::nothing_to_do());
    }
    install(workspace, step)?;
    eprintln!("{step}building the page (npm, about 10 s) …");
    let outcome =
        npm(workspace, "the page", &["run", "build"])?.or_error("`npm run build` in web/")?;
    write_stamp(&web, BUILD_STAMP, sources)?;
    Ok(outcome)
}

/// Brings `web/node_modules` to what `package-lock.json` says.
pub(crate) fn install(workspace: &Workspace, step: &str) -> anyhow::Result<()> {
    let web = workspace.web();
    anyhow::ensure!(web.join("package.json").exists(), "web/package.json is missing");
    packages::require_node()?;
    if is_installed(&web)? {
        return Ok(());
    }
    eprintln!("{step}fetching what the page is built with (npm ci, about 10 s) …");
    npm(workspace, "npm ci", &["ci", "--no-audit", "--no-fund"])?.or_error("`npm ci` in web/")?;
    write_stamp(&web, INSTALL_STAMP, stamp_of(&[web.join("package-lock.json")], &web)?)
}

/// Runs npm in `web/` to its end.
pub(crate) fn npm(workspace: &Workspace, label: &str, words: &[&str]) -> anyhow::Result<Outcome> {
    process::watch(label, &mut npm_command(workspace, words))
}

/// An npm command that runs in `web/`, without colours, so that we can read its output.
pub(crate) fn npm_command(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(words).current_dir(workspace.web()).env("NO_COLOR", "1");
    command
}

fn is_installed(web: &Path) -> anyhow::Result<bool> {
    let wanted = stamp_of(&[web.join("package-lock.json")], web)?;
    Ok(read_stamp(web, INSTALL_STAMP) == Some(wanted))
}

fn stamp_of_sources(web: &Path) -> anyhow::Result<u64> {
    let mut files = Vec::new();
    gather(web, &mut files)?;
    files.sort();
    stamp_of(&files, web)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        let skipped = NOT_SOURCES.iter().any(|name| path.file_name() == Some(OsStr::new(name)));
        if path.is_dir() && !skipped {
            gather(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// A number that changes with any name or content among `files`.
fn stamp_of(files: &[PathBuf], base: &Path) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for path in files {
        path.strip_prefix(base).unwrap_or(path).hash(&mut hasher);
        std::fs::read(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn read_stamp(web: &Path, name: &str) -> Option<u64> {
    std::fs::read_to_string(web.join(name)).ok()?.trim().parse().ok()
}

fn write_stamp(web: &Path, name: &str, stamp: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(web.join("node_modules"))
        .and_then(|()| std::fs::write(web.join(name), format!("{stamp}\n")))
        .with_context(|| format!("cannot write web/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_follows_names_and_contents_of_sources_only() {
        let web = std::env::temp_dir().join(format!("xtask-page-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let path = web.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            stamp_of_sources(&web).unwrap()
        };
        let first = write("src/a.ts", "1");
        assert_eq!(write("dist/a.js", "built"), first);
        assert_eq!(write("node_modules/x/index.js", "fetched"), first);
        let second = write("src/a.ts", "2");
        assert_ne!(second, first);
        assert_ne!(write("src/b.ts", ""), second);
        std::fs::remove_file(web.join("src/b.ts")).unwrap();
        std::fs::rename(web.join("src/a.ts"), web.join("src/c.ts")).unwrap();
        assert_ne!(stamp_of_sources(&web).unwrap(), second);
        std::fs::remove_file(web.join("src/c.ts")).unwrap();
        assert_eq!(write("src/a.ts", "1"), first);
        std::fs::remove_dir_all(&web).unwrap();
    }
}
