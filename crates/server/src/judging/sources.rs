//! Where people's rules come from: files on the server, and documents that were made on the page.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use muster_alerting::{RuleFile, RuleSource};
use muster_api::RuleProblem;
use muster_meta::Setting;

use crate::app::App;

/// What the settings that hold documents begin with.
pub(crate) const PREFIX: &str = "rules/";
/// The longest text of rules, in bytes.
pub(crate) const MAX_TEXT: usize = 256 << 10;

/// Rules from one place, as they are written.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// The file's path, or the document's name.
    pub(crate) name: String,
    pub(crate) is_file: bool,
    pub(crate) yaml: String,
    /// How often it was changed; 0 for files.
    pub(crate) version: u64,
    /// Why it is not in force as it is written.
    pub(crate) failure: Option<String>,
    /// What is in force: the last version that was good.
    pub(crate) rules: Option<Arc<RuleFile>>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.name.clone(), one.is_file, one.version, one.failure.clone());
        key(self) == key(other) && self.yaml == other.yaml
    }
}

impl Document {
    pub(crate) fn source(&self) -> Option<RuleSource> {
        let file = self.rules.as_deref()?.clone();
        Some(RuleSource { name: self.name.clone(), file })
    }
}

/// A text as it was found, or why it could not be read.
struct Found {
    name: String,
    is_file: bool,
    version: u64,
    text: Result<String, String>,
}

/// All documents as they are now. One that is broken keeps the rules that it had.
pub(crate) async fn read(app: &App, settings: &[Setting], former: &[Document]) -> Vec<Document> {
    let patterns = app.config.rules.clone();
    let read = tokio::task::spawn_blocking(move || read_files(&patterns));
    let mut found = read.await.unwrap_or_default();
    for setting in settings {
        let Some(name) = setting.name.strip_prefix(PREFIX) else { continue };
        let Some(yaml) = setting.value.as_str() else { continue };
        let (name, text) = (name.to_owned(), Ok(yaml.to_owned()));
        found.push(Found { name, is_file: false, version: setting.version, text });
    }
    found.into_iter().map(|found| document(found, former)).collect()
}

fn document(found: Found, former: &[Document]) -> Document {
    let Found { name, is_file, version, text } = found;
    let before = former.iter().find(|one| one.name == name && one.is_file == is_file);
    if let (Some(before), Ok(text)) = (before, &text)
        && before.yaml == *text
        && before.version == version
    {
        return before.clone();
    }
    let kept = before.and_then(|before| before.rules.clone());
    let yaml = text.as_ref().cloned().unwrap_or_default();
    let (rules, failure) =
        match text.map_err(|error| vec![problem("", error)]).and_then(|t| parse(&t)) {
            Ok(rules) => (Some(Arc::new(rules)), None),
            Err(problems) => (kept, Some(describe(&problems))),
        };
    Document { name, is_file, yaml, version, failure, rules }
}

/// Problems as one text.
pub(crate) fn describe(problems: &[RuleProblem]) -> String {
    let lines = problems.iter().map(|one| match one.place.as_str() {
        "" => one.text.clone(),
        place => format!("{place}: {}", one.text),
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn read_files(patterns: &[String]) -> Vec<Found> {
    let mut files: BTreeMap<PathBuf, Result<String, String>> = BTreeMap::new();
    for pattern in patterns {
        match glob::glob(pattern) {
            Ok(paths) => files.extend(paths.map(|path| match path {
                Ok(path) => {
                    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
                    (path, text)
                }
                Err(error) => (error.path().to_owned(), Err(error.error().to_string())),
            })),
            Err(error) => {
                files.insert(pattern.into(), Err(format!("this is no pattern: {error}")));
            }
        }
    }
    let found = files.into_iter();
    found
        .map(|(path, text)| {
            let name = path.display().to_string();
            Found { name, is_file: true, version: 0, text }
        })
        .collect()
}

/// Reads and checks a text of rules, their expressions too.
pub(crate) fn parse(text: &str) -> Result<RuleFile, Vec<RuleProblem>> {
    if text.len() > MAX_TEXT {
        let kib = MAX_TEXT >> 10;
        return Err(vec![problem("", format!("longer than {kib} KiB; split it into several"))]);
    }
    let file = RuleFile::parse(text).map_err(|error| vec![problem("", error.to_string())])?;
    let mut problems = Vec::new();
    for group in &file.groups {
        for rule in &group.rules {
            if let Err(error) = muster_promql::parse(rule.expr()) {
                let place = format!("{}/{}", group.name, rule.name());
                problems.push(problem(&place, format!("expr: {error}")));
            }
        }
    }
    if problems.is_empty() { Ok(file) } else { Err(problems) }
}

fn problem(place: &str, text: impl Into<String>) -> RuleProblem {
    RuleProblem { place: place.into(), text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: Result<&str, &str>) -> Found {
        let text = text.map(str::to_owned).map_err(str::to_owned);
        Found { name: "a.yml".into(), is_file: true, version: 0, text }
    }

    const GOOD: &str = "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]";

    #[test]
    fn a_broken_file_keeps_the_rules_that_it_had_and_says_so() {
        let good = document(found(Ok(GOOD)), &[]);
        assert!(good.failure.is_none() && good.source().is_some());
        for broken in [
            Ok("groups: 5"),
            Ok("groups: [{name: g, rules: [{alert: A, expr: up =}]}]"),
            Err("no such file"),
        ] {
            let after = document(found(broken), std::slice::from_ref(&good));
            assert!(after.failure.is_some(), "{broken:?}");
            assert!(after.source().is_some(), "{broken:?} keeps what was good");
            assert!(document(found(broken), &[]).source().is_none());
            assert!(document(found(Ok(GOOD)), &[after]).failure.is_none());
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let problems =
            parse("groups: [{name: g, rules: [{alert: A, expr: up =}, {record: b, expr: '('}]}]")
                .expect_err("two expressions are broken");
        let places: Vec<&str> = problems.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["g/A", "g/b"]);
        assert!(parse(&"#".repeat(MAX_TEXT + 1)).is_err());
    }

    #[test]
    fn files_are_found_by_pattern() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yml"), GOOD).unwrap();
        let pattern = dir.path().join("*.yml").display().to_string();
        let found = read_files(&[pattern.clone(), pattern, "a***b".into()]);
        let good: Vec<bool> = found.iter().map(|one| one.text.is_ok()).collect();
        assert_eq!(good.iter().filter(|good| **good).count(), 1);
        assert_eq!(found.len(), 2);
    }
}
