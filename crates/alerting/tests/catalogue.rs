//! The documents list the rules that come with Muster as they are.

use std::fmt::Write as _;

use expect_test::expect_file;
use muster_alerting::{BuiltIn, Job, Level, catalogue};

const JOBS: [(Job, [&str; 2]); 5] = [
    (Job::Performance, ["Hosts and performance", "主机与性能"]),
    (Job::Disks, ["Disks", "磁盘"]),
    (Job::Services, ["Services", "服务"]),
    (Job::Network, ["Network", "网络"]),
    (Job::Muster, ["Muster itself", "Muster 自身"]),
];
const HEADS: [&str; 2] = [
    "# The rules that come with Muster\n\nThey are on from the first start. Thresholds and times can be changed for all hosts, a group or a host, without PromQL, under\n*Rules* on the page. `≥ 80 %, 1 h` means: from 80 percent on, held for an hour. How they are judged is told in [rules.md](rules.md).\n",
    "# Muster 内置规则\n\n安装后即启用。可在页面“规则”中按全部主机、分组或单台主机修改阈值和持续时间，无需 PromQL。`≥ 80 %, 1 h` 表示：达到 80% 并持续一小时。判定方式见 [rules.md](rules.zh-CN.md)。\n",
];
const COLUMNS: [&str; 2] = [
    "| alert | when | critical | warning | info |\n|---|---|---|---|---|\n",
    "| 告警 | 条件 | 严重 | 警告 | 提示 |\n|---|---|---|---|---|\n",
];

fn span(ms: i64) -> String {
    let (size, unit) = match ms {
        0 => return "0 s".into(),
        ms if ms % 86_400_000 == 0 => (86_400_000, "d"),
        ms if ms % 3_600_000 == 0 => (3_600_000, "h"),
        ms if ms % 60_000 == 0 => (60_000, "min"),
        _ => (1_000, "s"),
    };
    format!("{} {unit}", ms / size)
}

fn threshold(value: f64, unit: &str) -> String {
    match unit {
        "percent" => format!("{value} %"),
        "celsius" => format!("{value} °C"),
        "seconds" if value >= 1.0 => span((value * 1_000.0) as i64),
        "seconds" => format!("{value} s"),
        "bytes" => format!("{value} B"),
        _ => format!("{value}"),
    }
}

fn grade(rule: &BuiltIn, level: &Level) -> String {
    let mut text = match level.threshold {
        Some(value) => {
            let sign = if rule.below { "<" } else { "≥" };
            format!("{sign} {}", threshold(value, rule.unit))
        }
        None => "✓".into(),
    };
    if level.for_ms > 0 {
        let _ = write!(text, ", {}", span(level.for_ms));
    }
    text
}

fn document(language: usize) -> String {
    let mut text = HEADS[language].to_owned();
    for (job, titles) in JOBS {
        let _ = write!(text, "\n## {}\n{}", titles[language], COLUMNS[language]);
        for rule in catalogue().iter().filter(|rule| rule.job == job) {
            let of = |severity: &str| {
                let level = rule.levels.iter().find(|level| level.severity.as_str() == severity);
                level.map_or_else(String::new, |level| grade(rule, level))
            };
            let _ = writeln!(
                text,
                "| `{}` | {}: {} | {} | {} | {} |",
                rule.alert,
                rule.title[language],
                rule.about[language],
                of("critical"),
                of("warning"),
                of("info"),
            );
        }
    }
    text
}

#[test]
fn the_documents_list_the_rules_as_they_are() {
    expect_file!["../../../docs/built-in-rules.md"].assert_eq(&document(0));
    expect_file!["../../../docs/built-in-rules.zh-CN.md"].assert_eq(&document(1));
}
