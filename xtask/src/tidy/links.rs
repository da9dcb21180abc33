//! What documents point at must be there: paths in ARCHITECTURE.md's backticks, and relative links of every Markdown file.

use super::{File, Findings, map};

/// Endings that make a word without a slash a path.
const ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".ts", ".svelte", ".json"];

/// Every path in backticks exists, from the root.
pub(super) fn check_architecture(
    text: &str,
    exists: impl Fn(&str) -> bool,
    findings: &mut Findings,
) {
    for (at, line) in text.lines().enumerate() {
        for word in line.split('`').skip(1).step_by(2).filter(|word| is_path(word)) {
            if !exists(word) {
                findings.error(format!("{}:{}: there is no `{word}`", map::FILE, at + 1));
            }
        }
    }
}

/// Paths are told from routes (`/api/…`), media types and code by their first sign and by what cannot stand in a path.
fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|sign| sign.is_ascii_alphanumeric() || "./_-".contains(sign));
    let looks = word.contains('/') || ENDINGS.iter().any(|ending| word.ends_with(ending));
    plain && looks && !word.starts_with('/') && !word.starts_with("application/")
}

/// Every relative link `[text](path)` of a Markdown file leads to a file.
pub(super) fn check_markdown(file: &File, exists: impl Fn(&str) -> bool, findings: &mut Findings) {
    let Some((stem, "md")) = file.path.rsplit_once('.') else {
        return;
    };
    let folder = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (at, line) in file.text.lines().enumerate() {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains(':') || path.contains(' ');
            let from_root =
                if folder.is_empty() { path.into() } else { format!("{folder}/{path}") };
            if !elsewhere && !exists(&from_root) {
                findings.error(format!(
                    "{}:{}: the link to {path} leads nowhere",
                    file.path,
                    at + 1
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{expect_errors, file};
    use super::*;

    #[track_caller]
    fn check_map(text: &str, fragments: &[&str]) {
        let exists = |path: &str| path == "crates/tsdb";
        expect_errors(|findings| check_architecture(text, exists, findings), fragments);
    }

    #[test]
    fn a_path_that_is_not_there_is_found() {
        check_map(
            "`crates/tsdb` and\n`crates/tsbd`",
            &["ARCHITECTURE.md:2: there is no `crates/tsbd`"],
        );
        check_map("`lib.rs`", &["`lib.rs`"]);
    }

    #[test]
    fn routes_names_and_code_are_no_paths() {
        check_map(
            "`/api/v1/query` `wire::Frame` `a/{b}` `series` `application/json` crates/x",
            &[],
        );
    }

    #[track_caller]
    fn check_link(path: &str, text: &str, fragments: &[&str]) {
        let exists = |path: &str| path == "docs/guide.md" || path == "docs/../README.md";
        expect_errors(|findings| check_markdown(&file(path, text), exists, findings), fragments);
    }

    #[test]
    fn links_are_followed_from_the_documents_own_folder() {
        check_link("README.md", "see [the guide](docs/guide.md#first) and [x](https://a.b)", &[]);
        check_link("docs/guide.md", "[back](../README.md) [here](#top)", &[]);
        check_link(
            "docs/guide.md",
            "\n[a](docs/guide.md)",
            &["docs/guide.md:2: the link to docs/guide.md"],
        );
        check_link("src/x.rs", "[a](nowhere.md)", &[]);
    }
}
