//! `muster rules`: here are `muster rules check` and `muster rules test`: files of rules and of their tests, as promtool takes them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use muster_alerting::{RuleFile, TestFile};

use crate::backtest_command;
use crate::cli::{RulesArgs, RulesCommand};
use crate::rules_test::{LoadedFile, run_tests};
use crate::table;

/// Checks or tests all files, and fails if one of them fails.
pub(crate) async fn run(args: &RulesArgs) -> anyhow::Result<()> {
    let (files, is_test) = match &args.command {
        RulesCommand::Check { files } => (files, false),
        RulesCommand::Test { files } => (files, true),
        RulesCommand::Backtest(args) => return backtest_command::run(args).await,
    };
    let mut failed = 0;
    for file in files {
        let title = if is_test { "Unit Testing: " } else { "Checking" };
        let result = if is_test { test(file) } else { check(file) };
        let report = match &result {
            Ok(done) => format!("  SUCCESS{done}\n"),
            Err(failures) => format!("  FAILED:\n{}\n", failures.join("\n")),
        };
        table::print(&format!("{title} {}\n{report}\n", file.display()));
        failed += usize::from(result.is_err());
    }
    if failed > 0 {
        bail!("{failed} of {} files failed", files.len());
    }
    Ok(())
}

/// What there is to say of a good file, or what is wrong with it.
type Report = Result<String, Vec<String>>;

fn check(file: &Path) -> Report {
    let rules = load(file).map_err(|error| vec![format!("  {error:#}")])?;
    let count = rules.rules().count();
    let mut report = format!(": {count} rules found");
    for (name, labels) in rules.duplicates() {
        let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        let with =
            if labels.is_empty() { String::new() } else { format!(" with {}", labels.join(", ")) };
        let _ = write!(
            report,
            "\n  WARNING: {name}{with} is there more than once; one of them may hide what the other means"
        );
    }
    Ok(report)
}

/// Reads a file of rules and parses its expressions.
fn load(file: &Path) -> anyhow::Result<RuleFile> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rules = RuleFile::parse(&text)?;
    for group in &rules.groups {
        for rule in &group.rules {
            muster_promql::parse(rule.expr()).with_context(|| {
                format!(
                    "group {:?}, rule {:?}: could not parse expression",
                    group.name,
                    rule.name()
                )
            })?;
        }
    }
    Ok(rules)
}

fn test(file: &Path) -> Report {
    let failed = |error: anyhow::Error| vec![format!("  {error:#}")];
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .map_err(failed)?;
    let tests = TestFile::parse(&text).map_err(|error| failed(error.into()))?;
    let rules = rule_files(file, &tests).map_err(failed)?;
    let failures = run_tests(&tests, &rules);
    if failures.is_empty() { Ok(String::new()) } else { Err(failures) }
}

/// The rule files that a test file names, relative to itself.
fn rule_files(file: &Path, tests: &TestFile) -> anyhow::Result<Vec<LoadedFile>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut loaded = Vec::new();
    for pattern in &tests.rule_files {
        let pattern = folder.join(pattern).display().to_string();
        let found: Vec<PathBuf> = glob::glob(&pattern)
            .with_context(|| format!("rule_files: {pattern:?} is no pattern"))?
            .collect::<Result<_, _>>()
            .with_context(|| format!("rule_files: {pattern}"))?;
        if found.is_empty() {
            bail!("rule_files: there is no file {pattern}");
        }
        for path in found {
            let rules = load(&path).with_context(|| path.display().to_string())?;
            loaded.push(LoadedFile { groups: rules.groups });
        }
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 1m\n    \
                         annotations: {summary: '{{ $labels.instance }} is down'}\n  - record: up:sum\n    expr: sum(up)\n";

    fn report(rules: &str, tests: &str) -> Report {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rules")).unwrap();
        std::fs::write(dir.path().join("rules/a.yml"), rules).unwrap();
        let file = dir.path().join("test.yml");
        std::fs::write(&file, tests).unwrap();
        if tests.is_empty() { check(&dir.path().join("rules/a.yml")) } else { test(&file) }
    }

    #[track_caller]
    fn check_failed(rules: &str, tests: &str, expected: &str) {
        let failures = report(rules, tests).expect_err("it fails").join("\n");
        assert!(failures.contains(expected), "{failures}");
    }

    #[test]
    fn good_rules_are_counted_and_bad_ones_told() {
        assert_eq!(report(RULES, ""), Ok(": 2 rules found".into()));
        let twice = format!("{RULES}- name: h\n  rules: [{{record: 'up:sum', expr: up}}]\n");
        assert!(report(&twice, "").unwrap().contains("WARNING: up:sum is there more than once"));
        check_failed(
            &RULES.replace("up == 0", "up ="),
            "",
            "rule \"Down\": could not parse expression: 1:",
        );
        check_failed("groups: 5", "", "  ");
    }

    #[test]
    fn tests_of_good_rules_pass_and_a_wrong_expectation_fails() {
        let tests = "rule_files: [rules/*.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n  \
                     - {series: 'up{instance=\"a\"}', values: '1 0 0 0'}\n  alert_rule_test:\n  \
                     - {eval_time: 1m, alertname: Down}\n  - eval_time: 2m30s\n    alertname: Down\n    exp_alerts:\n    \
                     - {exp_labels: {instance: a}, exp_annotations: {summary: 'a is down'}}\n  promql_expr_test:\n  \
                     - {expr: 'up:sum', eval_time: 1m, exp_samples: [{labels: 'up:sum', value: 0}]}\n  \
                     - {expr: 'count(ALERTS{alertstate=\"pending\"})', eval_time: 1m, exp_samples: [{value: 1}]}\n";
        assert_eq!(report(RULES, tests), Ok(String::new()));
        check_failed(
            RULES,
            &tests.replace("a is down", "b is down"),
            "alertname: Down, time: 2m30s",
        );
        check_failed(RULES, &tests.replace("value: 1}", "value: 2}"), "exp: {} 2E");
        check_failed(RULES, &tests.replace("values: '1", "values: '1x"), "is no value");
        check_failed(RULES, &tests.replace("rules/*.yml", "none.yml"), "there is no file");
        check_failed(RULES, &tests.replace("instance=\"a\"", "instance=~\"a\""), "is no series");
        let twins = RULES.replace("expr: sum(up)", "expr: up\n    labels: {instance: x}");
        let two = tests.replace(
            "  alert_rule_test",
            "  - {series: 'up{instance=\"b\"}', values: '1'}\n  alert_rule_test",
        );
        check_failed(&twins, &two, "same labelset");
    }
}
