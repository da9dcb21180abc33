//! PromQL as scripts specify it: those of Prometheus where they lie beside the project, and our own.

mod runner;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use runner::{Outcome, run};

/// Cases of Prometheus's scripts that do not pass yet: `FILE:LINE` of each `eval`.
const KNOWN_GAPS: &str = include_str!("known_gaps.txt");

fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    paths.sort();
    paths
}

fn run_file(path: &Path) -> Vec<Outcome> {
    let text = fs::read_to_string(path).expect("the script can be read");
    run(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn scripts_of_prometheus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is absent", folder.display());
        return;
    }
    let gaps: BTreeSet<&str> = KNOWN_GAPS
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .filter(|line| !line.is_empty())
        .collect();
    let mut unseen = gaps.clone();
    let (mut passed, mut failed) = (0, 0);
    let mut complaints = Vec::new();
    for path in scripts(&folder) {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        for outcome in run_file(&path) {
            let case = format!("{file}:{}", outcome.line);
            unseen.remove(case.as_str());
            match (outcome.failure, gaps.contains(case.as_str())) {
                (None, false) => passed += 1,
                (Some(_), true) => failed += 1,
                (None, true) => {
                    complaints.push(format!("{case} # passes; strike it off known_gaps.txt"));
                }
                (Some(why), false) => complaints.push(format!("{case} # {why}")),
            }
        }
    }
    complaints.extend(unseen.iter().map(|case| format!("{case} # is listed, but is no eval")));
    eprintln!("{passed} cases pass, {failed} are known gaps");
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(passed > 400, "the scripts hold fewer cases than they should");
}

#[test]
fn own_scripts() {
    let paths = scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts"));
    assert!(!paths.is_empty());
    let mut complaints = Vec::new();
    for path in paths {
        for outcome in run_file(&path) {
            let why =
                outcome.failure.map(|why| format!("{}:{} {why}", path.display(), outcome.line));
            complaints.extend(why);
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The runner must be able to fail: each of these expectations is wrong.
#[test]
fn a_wrong_expectation_fails() {
    let cases = [
        "eval instant at 10s m\n  m 2",
        "eval instant at 10s m\n  other 1",
        "eval instant at 10s m\n",
        "eval instant at 10s m\n  m 1\n  m2 1",
        "eval instant at 10s m\n  expect fail",
        "eval instant at 10s m\n  expect warn\n  m 1",
        "eval instant at 10s m + on() group_left m offset 1d\n  m 1",
        "eval instant at 10s 1 + 1\n  3",
        "eval instant at 10s \"a\"\n  expect string \"b\"",
        "eval instant at 10s quantile(2, m)\n  expect no_warn\n  {} Inf",
        "eval instant at 10s sort({__name__=~\"m|n\"})\n  expect ordered\n  n 5\n  m 1",
        "eval range from 0 to 20s step 10s m\n  m 0 1 3",
        "eval range from 0 to 20s step 10s m\n  m 0 1",
        "eval instant at 10s rate(\n",
        "eval instant at 10s m + unknown(m)\n  expect fail msg: something else",
    ];
    for case in cases {
        let script = format!("load 10s\n  m 0 1 2\n  n 0 5 6\n\n{case}\n");
        let outcomes = run(&script).unwrap();
        assert_eq!(outcomes.len(), 1);
        assert!(outcomes[0].failure.is_some(), "passes, but must not: {case}");
    }
    assert!(run("lod 10s\n  m 1").is_err());
    assert!(run("load 10s\n  m abc").is_err());
}
