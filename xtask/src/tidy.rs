//! The rules of this repository that no other tool checks: the map against the code, names, lengths, words, manifests, licences.
//!
//! Each rule is a pure function of text in a file of its own; this one reads the checkout and gathers what they find.

mod execution;
mod licences;
mod links;
mod manifests;
mod map;
mod ratchet;
mod sources;
mod words;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::process::{self, Outcome};
use crate::workspace::Workspace;

/// A file of the repository that is text.
pub(crate) struct File {
    /// Its path from the root, with `/` between the parts.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// What the rules found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Each breaks a rule; one sentence that begins with the place and ends with what to do.
    pub(crate) errors: Vec<String>,
    /// Worth knowing, and no reason to fail.
    pub(crate) notes: Vec<String>,
}

impl Findings {
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// `cargo xtask tidy [--bless]`.
pub(crate) fn run(workspace: &Workspace, bless: bool) -> anyhow::Result<ExitCode> {
    if bless {
        let path = workspace.root.join(ratchet::FILE);
        let blessed = ratchet::bless(read_if_there(&path)?.as_deref(), &files(workspace)?)?;
        std::fs::write(&path, blessed)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", workspace.relative(&path).display());
    }
    let outcome = outcome(workspace)?;
    for line in &outcome.lines {
        println!("{line}");
    }
    Ok(if outcome.success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All rules over the checkout, in the form in which `check` takes its steps.
pub(crate) fn outcome(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let findings = all_rules(workspace)?;
    let success = findings.errors.is_empty();
    let mut lines: Vec<String> =
        findings.errors.iter().map(|text| format!("error: {text}")).collect();
    lines.extend(findings.notes.iter().map(|text| format!("note: {text}")));
    lines.push(match findings.errors.len() {
        0 => "tidy".to_string(),
        1 => "1 rule is broken".to_string(),
        count => format!("{count} rules are broken"),
    });
    Ok(Outcome { success, lines })
}

fn all_rules(workspace: &Workspace) -> anyhow::Result<Findings> {
    let files = files(workspace)?;
    let text_of = |path: &str| files.iter().find(|file| file.path == path).map(|file| &*file.text);
    let mut findings = Findings::default();

    let architecture = text_of(map::FILE).context("ARCHITECTURE.md is missing")?;
    let mut metadata = workspace.cargo(["metadata", "--format-version", "1", "--no-deps"]);
    map::compare(architecture, &process::text_of(&mut metadata)?, &mut findings);

    let exists = |path: &str| workspace.root.join(path).exists();
    links::check_architecture(architecture, exists, &mut findings);
    for file in &files {
        links::check_markdown(file, exists, &mut findings);
        sources::check(file, &mut findings);
        execution::check(file, &mut findings);
        words::check(file, &mut findings);
        manifests::check_crate(file, &mut findings);
    }
    manifests::check_root(&files, &mut findings);
    ratchet::check(text_of(ratchet::FILE).unwrap_or_default(), &files, &mut findings)?;

    let rules = licences::Rules::parse(text_of(licences::FILE).context("deny.toml is missing")?)?;
    let mut tree = workspace.cargo(licences::TREE);
    rules.check_packages(&process::text_of(&mut tree)?, &mut findings);
    rules.check_lock(text_of("Cargo.lock").context("Cargo.lock is missing")?, &mut findings);
    Ok(findings)
}

/// Every text file that git tracks or would track.
fn files(workspace: &Workspace) -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root);
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]);
    let listing = process::text_of(&mut git).context("tidy needs git to know its files")?;
    let mut files = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        // A file that is deleted but still in the index is none, and one that is not UTF-8 is no text.
        if let Ok(bytes) = std::fs::read(workspace.root.join(path))
            && let Ok(text) = String::from_utf8(bytes)
        {
            files.push(File { path: path.to_string(), text });
        }
    }
    Ok(files)
}

fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    std::fs::read_to_string(path)
        .map(Some)
        .with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod fixture {
    //! What the rules' tests build their small inputs with.

    use super::{File, Findings};

    /// A file by value.
    pub(super) fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    /// Runs a rule and compares its errors: one expected fragment for each, in order.
    #[track_caller]
    pub(super) fn expect_errors(rule: impl FnOnce(&mut Findings), fragments: &[&str]) {
        let mut findings = Findings::default();
        rule(&mut findings);
        assert_eq!(findings.errors.len(), fragments.len(), "{:#?}", findings.errors);
        for (error, fragment) in findings.errors.iter().zip(fragments) {
            assert!(error.contains(fragment), "{error:?} lacks {fragment:?}");
        }
    }
}
