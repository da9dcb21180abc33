//! The wall for the length of files, and the ratchet for those that stand beyond it: an offender may only shrink.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::sources::source_ending;
use super::{File, Findings};

/// Lines of a source file, tests included.
const WALL: usize = 600;
/// Where the offenders and their limits are written.
pub(super) const FILE: &str = "xtask/tidy-ratchet.toml";
/// Files that a tool writes and nobody reads.
const GENERATED: [&str; 1] = ["web/src/api/schema.d.ts"];
const HEADER: &str = "\
# Source files longer than the wall, with the lines each may have. They may only shrink:
# `cargo xtask tidy --bless` lowers the numbers to what the files have now, and raises none.
";

/// Paths and the lines each may have.
type Limits = BTreeMap<String, usize>;

/// No file beyond the wall but those in the ratchet, and those not beyond their limit.
pub(super) fn check(ratchet: &str, files: &[File], findings: &mut Findings) -> anyhow::Result<()> {
    let limits = parse(ratchet)?;
    let offenders = offenders(files);
    for (path, lines) in &offenders {
        match limits.get(path) {
            None => findings.error(format!("{path}: {lines} lines, at most {WALL}; split it")),
            Some(limit) if lines > limit => {
                findings.error(format!("{path}: grew to {lines} lines from {limit}; split it"));
            }
            Some(_) => {}
        }
    }
    for (path, limit) in &limits {
        if offenders.get(path).is_none_or(|lines| lines < limit) {
            findings.error(format!(
                "{FILE}: {path} is shorter than its {limit} lines; run `cargo xtask tidy --bless`"
            ));
        }
    }
    Ok(())
}

/// The ratchet's new text: limits lowered to what is, never raised; without an old one, today's offenders.
pub(super) fn bless(ratchet: Option<&str>, files: &[File]) -> anyhow::Result<String> {
    let offenders = offenders(files);
    let limits = match ratchet {
        None => offenders,
        Some(text) => parse(text)?
            .into_iter()
            .filter_map(|(path, limit)| {
                let lines = *offenders.get(&path)?;
                Some((path, lines.min(limit)))
            })
            .collect(),
    };
    let lines = limits.iter().map(|(path, limit)| format!("\"{path}\" = {limit}\n"));
    Ok(format!("{HEADER}\n[lines]\n{}", lines.collect::<String>()))
}

fn offenders(files: &[File]) -> Limits {
    files
        .iter()
        .filter(|file| source_ending(&file.path).is_some())
        .filter(|file| !GENERATED.contains(&file.path.as_str()))
        .map(|file| (file.path.clone(), file.text.lines().count()))
        .filter(|(_, lines)| *lines > WALL)
        .collect()
}

fn parse(ratchet: &str) -> anyhow::Result<Limits> {
    let table: toml::Table = ratchet.parse().with_context(|| format!("{FILE} is no TOML"))?;
    let lines = table.get("lines").and_then(toml::Value::as_table);
    lines
        .into_iter()
        .flatten()
        .map(|(path, limit)| {
            let limit = limit.as_integer().and_then(|limit| usize::try_from(limit).ok());
            Ok((path.clone(), limit.with_context(|| format!("{FILE}: {path} has no number"))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{expect_errors, file};
    use super::*;

    fn long(lines: usize) -> Vec<File> {
        vec![file("src/a.rs", &"x\n".repeat(lines))]
    }

    #[track_caller]
    fn run(ratchet: &str, lines: usize, fragments: &[&str]) {
        expect_errors(|findings| check(ratchet, &long(lines), findings).unwrap(), fragments);
    }

    #[test]
    fn the_wall_holds_and_offenders_only_shrink() {
        let ratchet = "[lines]\n\"src/a.rs\" = 700\n";
        run("", WALL, &[]);
        run("", WALL + 1, &["601 lines, at most 600"]);
        run(ratchet, 700, &[]);
        run(ratchet, 701, &["grew to 701 lines from 700"]);
        run(ratchet, 650, &["shorter than its 700 lines"]);
        run(ratchet, 10, &["shorter than its 700 lines"]);
    }

    #[test]
    fn documents_and_generated_files_may_be_long() {
        let text = "x\n".repeat(900);
        let files = [file("docs/a.md", &text), file(GENERATED[0], &text)];
        expect_errors(|findings| check("", &files, findings).unwrap(), &[]);
    }

    #[test]
    fn blessing_lowers_and_never_raises() {
        let first = bless(None, &long(700)).unwrap();
        assert!(first.ends_with("[lines]\n\"src/a.rs\" = 700\n"), "{first}");
        assert!(bless(Some(&first), &long(650)).unwrap().ends_with("= 650\n"));
        assert_eq!(bless(Some(&first), &long(800)).unwrap(), first);
        assert!(bless(Some(&first), &long(10)).unwrap().ends_with("[lines]\n"));
        assert!(bless(Some("[lines]\n"), &long(700)).unwrap().ends_with("[lines]\n"));
    }

    #[test]
    fn a_broken_ratchet_is_an_error() {
        assert!(parse("lines = [").is_err());
        assert!(parse("[lines]\na = \"x\"").is_err());
    }
}
