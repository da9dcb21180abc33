//! Rules for one source file at a time: how it begins, what it is called, what it may not switch off.

use super::{File, Findings};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["common", "core", "utils", "util", "shared", "helpers", "misc"];
/// What counts as source, by ending.
pub(super) const SOURCE_ENDINGS: [&str; 7] = ["rs", "ts", "js", "mjs", "svelte", "css", "sh"];
/// Markup and script of a component: wanted, and allowed.
const COMPONENT_WANTED: usize = 150;
const COMPONENT_WALL: usize = 250;

/// Checks one file by its ending.
pub(super) fn check(file: &File, findings: &mut Findings) {
    let Some(ending) = source_ending(&file.path) else {
        return;
    };
    check_name(&file.path, findings);
    match ending {
        "rs" => check_rust(file, findings),
        "svelte" => check_component(file, findings),
        _ => {}
    }
}

/// The ending of a source file, `None` for any other file.
pub(super) fn source_ending(path: &str) -> Option<&str> {
    let (_, ending) = path.rsplit_once('.')?;
    SOURCE_ENDINGS.contains(&ending).then_some(ending)
}

fn check_name(path: &str, findings: &mut Findings) {
    for part in path.split('/') {
        let stem = part.split('.').next().unwrap_or(part);
        if EMPTY_NAMES.iter().any(|name| stem.eq_ignore_ascii_case(name)) {
            findings.error(format!("{path}: `{stem}` says nothing; name it for what is inside"));
        }
    }
}

fn check_rust(file: &File, findings: &mut Findings) {
    let path = &file.path;
    if !file.text.starts_with("//!") {
        findings.error(format!("{path}: must begin with `//!`: what it holds, and why"));
    }
    for (at, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
            findings
                .error(format!("{path}:{}: write `expect(…, reason = …)`, not `allow`", at + 1));
        }
    }
}

fn check_component(file: &File, findings: &mut Findings) {
    let lines = component_lines(&file.text);
    if lines > COMPONENT_WALL {
        findings.error(format!(
            "{}: {lines} lines of markup and script, at most {COMPONENT_WALL}; split it",
            file.path
        ));
    } else if lines > COMPONENT_WANTED {
        findings.note(format!(
            "{}: {lines} lines of markup and script, {COMPONENT_WANTED} wanted",
            file.path
        ));
    }
}

/// Lines of a component outside its `<style>`.
fn component_lines(text: &str) -> usize {
    let mut in_style = false;
    let mut count = 0;
    for line in text.lines() {
        in_style |= line.starts_with("<style");
        count += usize::from(!in_style);
        in_style &= !line.contains("</style>");
    }
    count
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{expect_errors, file};
    use super::*;

    #[track_caller]
    fn run(path: &str, text: &str, fragments: &[&str]) {
        expect_errors(|findings| check(&file(path, text), findings), fragments);
    }

    #[test]
    fn rust_files_begin_with_what_they_hold() {
        run("src/a.rs", "//! Holds a.\nfn a() {}\n", &[]);
        run("src/a.rs", "use b;\n//! Too late.\n", &["must begin with `//!`"]);
        run("src/a.rs", "", &["must begin with `//!`"]);
    }

    #[test]
    fn lints_are_expected_not_allowed() {
        run("a.rs", "//! A.\n    #[allow(dead_code)]\n", &["a.rs:2: write `expect("]);
        run("a.rs", "//! A.\n#![allow(dead_code)]\n", &["a.rs:2"]);
        run("a.rs", "//! A.\n#[expect(dead_code, reason = \"…\")]\n", &[]);
    }

    #[test]
    fn names_that_say_nothing_are_refused_wherever_they_stand() {
        run("crates/utils/src/lib.rs", "//! A.", &["`utils` says nothing"]);
        run("web/src/helpers.ts", "", &["`helpers` says nothing"]);
        run("web/src/Common.svelte", "", &["`Common` says nothing"]);
        run("docs/common/page.md", "", &[]);
        run("crates/x/src/score.rs", "//! A.", &[]);
    }

    #[test]
    fn components_are_measured_without_their_style() {
        let style = format!("<style>\n{}</style>\n", "a {}\n".repeat(300));
        run("A.svelte", &format!("{}{style}", "<p/>\n".repeat(COMPONENT_WALL)), &[]);
        run("A.svelte", &"<p/>\n".repeat(COMPONENT_WALL + 1), &["251 lines of markup"]);
        let mut findings = Findings::default();
        check(&file("A.svelte", &"<p/>\n".repeat(COMPONENT_WANTED + 1)), &mut findings);
        assert_eq!(findings.notes.len(), 1);
    }
}
