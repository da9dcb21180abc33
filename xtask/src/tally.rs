//! Counts tests from what the runners printed, so that the closing line is a fact and not a hope.
//!
//! A test that finds nothing to test against prints a line `skipped: WHY` and returns; it counts as skipped, not as passed.

/// Tests of one or more runs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and held.
    pub(crate) passed: usize,
    /// Tests that ran and failed.
    pub(crate) failed: usize,
    /// Tests that did not run, or found nothing to test against, each with its reason where one was given.
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    /// Adds another run's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }

    /// The closing line.
    pub(crate) fn line(&self) -> String {
        let Self { passed, failed, skipped } = self;
        format!("{passed} passed, {failed} failed, {} skipped", skipped.len())
    }
}

/// The reasons with which end-to-end tests are ignored; `cargo xtask test` runs them, so no run counts them as skipped.
pub(crate) const END_TO_END_REASONS: [&str; 2] =
    ["needs the release binary", "compares with Alertmanager"];

/// Counts the output of `cargo test -- --show-output`.
///
/// 1. `running 3 tests` opens a binary.
/// 2. `test NAME ... ignored, REASON` is a skip, but for the end-to-end tests' reason.
/// 3. `---- NAME stdout ----` opens the section of a test's output; its first `skipped: WHY` is a skip.
/// 4. `test result: ok. 3 passed; 0 failed; 1 ignored; …` closes the binary when the numbers add up to those it
///    runs, which tells it from such a line in a test's output; skips of kind 3 are among the passed.
pub(crate) fn cargo_test(lines: &[String]) -> Tally {
    let mut tally = Tally::default();
    let mut running: Option<usize> = None;
    let mut section: Option<&str> = None;
    let mut skipped_while_passing = 0;
    for line in lines {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----")) {
            section = Some(name.strip_suffix(" stdout").unwrap_or(name));
        } else if let (Some(count), None) = (number_of_tests(line), running) {
            running = Some(count);
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            let [passed, failed, ignored] =
                [" passed", " failed", " ignored"].map(|word| number_before(counts, word));
            if running == Some(passed + failed + ignored) {
                tally.passed += passed.saturating_sub(skipped_while_passing);
                tally.failed += failed;
                (running, section, skipped_while_passing) = (None, None, 0);
            }
        } else if let Some(skip) = ignored(line) {
            tally.skipped.push(skip);
        } else if let (Some(name), Some(why)) = (section, said_skip(line)) {
            tally.skipped.push(format!("{name}: {why}"));
            skipped_while_passing += 1;
            section = None;
        }
    }
    tally
}

/// The output of a failed step without what went well: binaries whose tests all held, passed tests, their output.
pub(crate) fn without_successes(lines: &[String]) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut block: Option<usize> = None;
    let mut in_successes = false;
    for line in lines {
        if block.is_none() && number_of_tests(line).is_some() {
            block = Some(kept.len());
        }
        in_successes =
            block.is_some() && line != "failures:" && (in_successes || line == "successes:");
        let passed = block.is_some() && line.ends_with(" ... ok");
        if !in_successes && !passed {
            kept.push(line.as_str());
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            if let Some(start) = block.take().filter(|_| result.starts_with("ok")) {
                kept.truncate(start);
            }
            in_successes = false;
        }
    }
    kept
}

/// The reason in a line `skipped: WHY` or `SKIPPED: WHY`.
fn said_skip(line: &str) -> Option<&str> {
    let (word, why) = line.trim().split_once(": ")?;
    word.eq_ignore_ascii_case("skipped").then_some(why)
}

/// The number in `running 3 tests`.
fn number_of_tests(line: &str) -> Option<usize> {
    let (count, tests) = line.strip_prefix("running ")?.split_once(' ')?;
    if tests.starts_with("test") { count.parse().ok() } else { None }
}

/// The skip that a line about an ignored test is; none where another run runs the test.
fn ignored(line: &str) -> Option<String> {
    let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    let reason = reason.trim_start_matches(", ");
    match reason {
        "" => Some(name.to_string()),
        _ if END_TO_END_REASONS.iter().any(|known| reason.starts_with(known)) => None,
        _ => Some(format!("{name}: {reason}")),
    }
}

/// The number that stands right before `word`, 0 where there is none.
fn number_before(text: &str, word: &str) -> usize {
    let before = text.find(word).map_or("", |at| &text[..at]);
    before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Counts the output of Vitest: its line `Tests  1 failed | 12 passed | 2 skipped (15)`.
pub(crate) fn vitest(lines: &[String]) -> Tally {
    let Some(counts) = lines.iter().rev().find_map(|line| line.trim().strip_prefix("Tests "))
    else {
        return Tally::default();
    };
    let skipped = number_before(counts, " skipped") + number_before(counts, " todo");
    Tally {
        passed: number_before(counts, " passed"),
        failed: number_before(counts, " failed"),
        skipped: vec!["a test of the page's that Vitest skipped".to_string(); skipped],
    }
}

/// Counts the output of `node --test`, whose closing lines are `# pass 5` or `ℹ pass 5`;
/// a skipped test's own line ends in `# SKIP WHY`, or in `# WHY` where people are meant to read it.
pub(crate) fn node_test(lines: &[String]) -> Tally {
    let closing = |what: &str| {
        let value = lines.iter().rev().find_map(|line| {
            let line = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
            line.strip_prefix(what)?.strip_prefix(' ')
        });
        value.and_then(|digits| digits.trim().parse::<usize>().ok()).unwrap_or(0)
    };
    let mut skipped: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let line = line.trim();
            let text = line.strip_prefix("ok ").or_else(|| line.strip_prefix("﹣ "))?;
            let (name, why) = text.split_once(" # SKIP").or_else(|| text.split_once(" # "))?;
            let name = name.trim_start_matches(|sign: char| sign.is_ascii_digit() || sign == ' ');
            Some(format!("{}: {}", name.trim_start_matches("- "), why.trim()))
        })
        .collect();
    skipped
        .resize(closing("skipped") + closing("todo"), "a test of the page's in the browser".into());
    Tally { passed: closing("pass"), failed: closing("fail") + closing("cancelled"), skipped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        count: fn(&[String]) -> Tally,
        text: &str,
        passed: usize,
        failed: usize,
        skips: &[&str],
    ) {
        let lines: Vec<String> = text.lines().map(ToString::to_string).collect();
        let skipped = skips.iter().map(ToString::to_string).collect();
        assert_eq!(count(&lines), Tally { passed, failed, skipped });
    }

    #[test]
    fn cargo_test_is_counted_over_all_its_binaries() {
        let text = "\
running 4 tests
test a ... ok
test b ... FAILED
test c ... ignored, needs a broker
test e2e_page ... ignored, needs the release binary: cargo xtask test

test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test d ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        check(cargo_test, text, 3, 1, &["c: needs a broker"]);
    }

    #[test]
    fn a_test_that_says_it_skipped_is_no_pass() {
        let text = "\
running 2 tests
test parity ... ok
test other ... ok

successes:

---- parity stdout ----
SKIPPED: node_exporter is not installed
skipped: and so on

successes:
    parity
    other

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        check(cargo_test, text, 1, 0, &["parity: node_exporter is not installed"]);
    }

    #[test]
    fn what_a_test_prints_is_not_taken_for_a_result() {
        let text = "\
running 2 tests
---- a stdout ----
running 9 tests
test result: FAILED. 2 passed; 3 failed; 0 ignored
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 2 passed; 0 failed; 0 ignored
";
        check(cargo_test, text, 2, 0, &[]);
    }

    #[test]
    fn only_what_failed_is_shown() {
        let text = "\
Running a
running 1 test
test x ... ok
test result: ok. 1 passed; 0 failed; 0 ignored
Running b
running 2 tests
test y ... ok
test z ... FAILED
successes:
---- y stdout ----
noise
failures:
---- z stdout ----
assertion failed
test result: FAILED. 1 passed; 1 failed; 0 ignored
error: test failed";
        let lines: Vec<String> = text.lines().map(Into::into).collect();
        let expected = "Running a/Running b/running 2 tests/test z ... FAILED/failures:/---- z stdout ----/\
            assertion failed/test result: FAILED. 1 passed; 1 failed; 0 ignored/error: test failed";
        assert_eq!(without_successes(&lines).join("/"), expected);
    }

    #[test]
    fn output_without_results_counts_nothing() {
        check(cargo_test, "error: could not compile `x`", 0, 0, &[]);
        check(vitest, "no test files found", 0, 0, &[]);
        check(node_test, "", 0, 0, &[]);
    }

    #[test]
    fn vitest_is_counted_by_its_line_of_tests_not_of_files() {
        let skip = "a test of the page's that Vitest skipped";
        let text =
            " Test Files  3 passed (3)\n      Tests  1 failed | 12 passed | 2 skipped (15)\n";
        check(vitest, text, 12, 1, &[skip, skip]);
        check(vitest, "      Tests  41 passed (41)", 41, 0, &[]);
    }

    #[test]
    fn node_test_is_counted_in_both_its_formats() {
        let tap = "\
ok 1 - signs in
ok 2 - reads a point # SKIP no simulation
# tests 4
# pass 2
# fail 1
# cancelled 0
# skipped 1
# todo 0
";
        check(node_test, tap, 2, 1, &["reads a point: no simulation"]);
        let spec = "✔ signs in (2 ms)\nℹ tests 1\nℹ pass 1\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\n";
        check(node_test, spec, 1, 0, &[]);
    }

    #[test]
    fn the_closing_line_adds_the_runs_up() {
        let mut all = Tally { passed: 2, failed: 0, skipped: vec!["x".into()] };
        all.add(Tally { passed: 3, failed: 1, skipped: vec![] });
        assert_eq!(all.line(), "5 passed, 1 failed, 1 skipped");
    }
}
