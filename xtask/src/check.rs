//! The check to run while working: every step runs, whatever the one before found, and a table tells how long each took.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::databases::Databases;
use crate::process::{self, Outcome};
use crate::tally::{self, Tally};
use crate::workspace::Workspace;
use crate::{page, tidy};

/// What one step found.
struct Step {
    name: &'static str,
    success: bool,
    took: Duration,
    tally: Tally,
}

/// The steps of a run, in order.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
    /// What could not be tested at all, and why.
    pub(crate) skipped: Vec<String>,
}

impl Report {
    /// Runs one step and keeps what it found; what failed prints at once, and later steps still run; tells whether it held.
    /// With `count` it is a step of tests, and one that ran none has failed.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        count: Option<fn(&[String]) -> Tally>,
        run: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> bool {
        eprintln!("{name} …");
        let started = Instant::now();
        let (success, tally) = match run() {
            Ok(outcome) => {
                let tally = count.map(|count| count(&outcome.lines)).unwrap_or_default();
                let ran_none = count.is_some() && tally == Tally::default();
                let success = outcome.success && !ran_none;
                if !success {
                    eprintln!("{}", tally::without_successes(&outcome.lines).join("\n"));
                }
                if ran_none {
                    eprintln!("{name} ran no test");
                }
                (success, tally)
            }
            Err(error) => {
                eprintln!("{error:#}");
                (false, Tally::default())
            }
        };
        self.steps.push(Step { name, success, took: started.elapsed(), tally });
        success
    }

    /// Whether no step failed.
    pub(crate) fn success(&self) -> bool {
        self.steps.iter().all(|step| step.success)
    }

    /// All tests counted; a step that failed without a failing test, as a compile error does, counts as one failure.
    pub(crate) fn tally(&self) -> Tally {
        let mut all = Tally::default();
        for step in &self.steps {
            all.add(step.tally.clone());
            all.failed += usize::from(!step.success && step.tally.failed == 0);
        }
        all.skipped.extend(self.skipped.iter().cloned());
        all
    }

    /// Prints what was skipped, the table of steps, and the closing line.
    pub(crate) fn close(&self) -> ExitCode {
        let tally = self.tally();
        for skip in &tally.skipped {
            println!("skipped: {skip}");
        }
        println!();
        for step in &self.steps {
            println!("{}", line(step));
        }
        println!("\n{}", tally.line());
        if self.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn line(step: &Step) -> String {
    let Step { name, success, took, tally } = step;
    let tests = tally.passed + tally.failed;
    let tests = if tests == 0 { String::new() } else { format!("{tests} tests") };
    let verdict = if *success { "ok" } else { "FAILED" };
    format!("{name:<24} {verdict:<7} {:>7.1} s  {tests}", took.as_secs_f64()).trim_end().to_string()
}

/// `cargo xtask check`.
pub(crate) fn run(workspace: &Workspace) -> ExitCode {
    let mut report = Report::default();
    steps(workspace, &Databases::start(), &mut report);
    report.close()
}

/// The steps, cheap ones first.
pub(crate) fn steps(workspace: &Workspace, databases: &Databases, report: &mut Report) {
    report.skipped.extend(databases.skipped.iter().cloned());
    report.step("format", None, || {
        process::watch("format", &mut workspace.cargo(["fmt", "--all", "--check"]))
    });
    report.step("tidy", None, || tidy::outcome(workspace));
    // Before the server is compiled, which embeds it and would be compiled again.
    report.step("page build", None, || page::build(workspace, "  "));
    report.step("lints", None, || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        process::watch("lints", &mut workspace.cargo(arguments))
    });
    report.step("unit tests", Some(tally::cargo_test), || {
        let arguments = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
        let mut command = workspace.cargo(arguments);
        databases.name(&mut command);
        // In CI the same commit gives the same answer; at a desk every run looks at new cases.
        if std::env::var_os("CI").is_some() {
            command.env("PROPTEST_RNG_SEED", "20261122");
        }
        process::watch("unit tests", &mut command)
    });
    report.step("page", Some(tally::vitest), || {
        page::install(workspace, "  ")?;
        page::npm(workspace, "page", &["run", "check"])
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(success: bool, text: &str) -> Outcome {
        Outcome { success, lines: text.lines().map(Into::into).collect() }
    }

    #[test]
    fn a_failed_step_fails_the_run_and_the_next_still_runs() {
        let mut report = Report::default();
        report.step("a", None, || anyhow::bail!("no such tool"));
        report.step("b", Some(tally::cargo_test), || {
            Ok(outcome(true, "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored"))
        });
        report.skipped.push("c: no browser".into());
        assert!(!report.success());
        assert_eq!(report.tally().line(), "2 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_step_whose_tests_failed_is_not_counted_twice() {
        let mut report = Report::default();
        report.step("b", Some(tally::cargo_test), || {
            Ok(outcome(
                false,
                "running 5 tests\ntest result: FAILED. 2 passed; 3 failed; 0 ignored",
            ))
        });
        assert_eq!(report.tally().line(), "2 passed, 3 failed, 0 skipped");
    }

    #[test]
    fn a_step_of_tests_that_ran_none_has_failed() {
        let mut report = Report::default();
        report.step("b", Some(tally::node_test), || Ok(outcome(true, "# pass 0\n# fail 0")));
        assert!(!report.success());
        assert_eq!(report.tally().line(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn the_table_tells_verdict_time_and_tests() {
        let took = Duration::from_millis(1250);
        let tally = Tally { passed: 7, ..Tally::default() };
        let step = Step { name: "unit tests", success: true, took, tally };
        assert_eq!(line(&step), "unit tests               ok          1.2 s  7 tests");
        let step = Step { success: false, tally: Tally::default(), ..step };
        assert_eq!(line(&step), "unit tests               FAILED      1.2 s");
    }
}
