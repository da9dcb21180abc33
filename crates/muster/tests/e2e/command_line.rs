//! The command line: help, tokens, clear errors.

use crate::http::{get, sign_in};
use crate::server::{PASSWORD, Server, muster, text};

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn every_command_has_help_with_an_example() {
    for command in [
        "up",
        "server",
        "agent",
        "query",
        "rules",
        "user",
        "token",
        "enroll-token",
        "backup",
        "restore",
        "doctor",
    ] {
        let output = muster(&[command, "--help"]);
        assert!(output.status.success());
        let help = text(&output.stdout);
        assert!(
            help.contains("Examples:") && help.contains(&format!("muster {command}")),
            "{help}"
        );
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn tokens_are_made_beside_the_server_and_through_its_api() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let admin = server.token(&["token", "create", "root", "--role", "admin"]);
    let url = format!("http://{}", server.address);
    let remote = ["--server", &url, "--api-token", &admin];
    let mut create = vec!["token", "create", "grafana", "--role", "viewer", "--expires", "90d"];
    create.extend(remote);
    let made = muster(&create);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let token = text(&made.stdout).lines().last().unwrap().to_owned();
    assert_eq!(get(server.address, "/api/v1/query?query=1", &token).status, 200);

    let mut again = create.clone();
    again.truncate(3);
    again.extend(remote);
    assert!(text(&muster(&again).stderr).contains("already"), "a name is given once");

    let listed = server.beside(&["token", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let names: Vec<_> = listed["tokens"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(names, ["grafana", "root"]);
    assert!(!listed.to_string().contains(&token));

    // Beside the server and through its API, joining hosts get groups and tags.
    let terms = ["enroll-token", "--groups", "web", "--tags", "rack=12,owner=ada"];
    assert!(server.beside(&terms).status.success());
    assert!(muster(&[&terms[..], &remote].concat()).status.success());
    let listed = get(server.address, "/api/muster/v1/enroll-tokens", &admin).json();
    let tokens = listed["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2, "{listed}");
    for token in tokens {
        assert_eq!(token["tags"], serde_json::json!(["owner=ada", "rack=12"]), "{listed}");
        assert_eq!(token["groups"], serde_json::json!(["web"]), "{listed}");
    }

    let mut revoke = vec!["token", "revoke", "grafana"];
    revoke.extend(remote);
    assert!(muster(&revoke).status.success());
    assert_eq!(get(server.address, "/api/v1/query?query=1", &token).status, 401);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_server_that_cannot_start_says_what_to_do() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let (listen, any) = (server.address.to_string(), "127.0.0.1:0");
    let (data, free) = (dir.path().display().to_string(), other.path().display().to_string());
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let under_file = file.join("data").display().to_string();
    let config = dir.path().join("muster.toml").display().to_string();
    std::fs::write(&config, "retension = '30d'").unwrap();

    check(&["server", "--listen", &listen, "--data-dir", &free], "--listen");
    check(&["server", "--listen", any, "--data-dir", &data], "--data-dir");
    check(&["server", "--listen", any, "--data-dir", &under_file], "--data-dir");
    check(&["server", "--config", &config], "did you mean \"retention\"?");
    check(&["server", "--tls", "on", "--data-dir", &free], "off, auto nor CERTIFICATE,KEY");
    check(&["server", "--retention", "5", "--data-dir", &free], "400d");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_data_folder_of_somebody_else_is_told_by_name() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let data = dir.path().join("data").display().to_string();
    let output = std::process::Command::new(crate::server::binary())
        .args(["server", "--listen", "127.0.0.1:0", "--data-dir", &data])
        .uid(NOBODY)
        .output();
    let Ok(output) = output else {
        println!(
            "skipped: this user cannot become another one, or that one cannot start the binary"
        );
        return;
    };
    let error = text(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains(&data) && error.contains("--data-dir"), "{error}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_command_that_cannot_work_says_what_to_do() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _server = Server::alone(dir.path());
    let (data, free) = (dir.path().display().to_string(), other.path().display().to_string());
    let nowhere = "http://127.0.0.1:1";

    check(&["query", "up", "--data-dir", &free], "no server runs");
    check(&["query", "sum(up) up", "--data-dir", &data], "  sum(up) up\n          ^");
    check(&["query", "up", "--last", "soon", "--data-dir", &data], "--last");
    check(&["rules", "check", "/nowhere.yml"], "1 of 1 files failed");
    check(&["query", "up", "--server", nowhere], "--api-token");
    check(&["query", "up", "--server", nowhere, "--api-token", "x"], "cannot reach");
    check(
        &["token", "create", "x", "--role", "king", "--data-dir", &data],
        "viewer, operator, admin",
    );
    check(&["enroll-token", "--uses", "0", "--data-dir", &data], "--uses");
    check(&["agent", "--state-dir", &free], "muster enroll-token");
}

/// The command fails, quickly, with one message that holds `expected`, and without a panic.
#[track_caller]
fn check(arguments: &[&str], expected: &str) {
    let output = muster(arguments);
    let error = text(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(error.contains(expected), "{arguments:?} says: {error}");
    assert!(!error.contains("defect of Muster"), "{error}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_lost_password_is_replaced_beside_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let password = server.token(&["user", "passwd", "admin"]);
    assert_eq!(sign_in(server.address, "admin", &password).status, 200);
    assert_eq!(sign_in(server.address, "admin", PASSWORD).status, 401);
    let nobody = server.beside(&["user", "passwd", "nobody"]);
    assert!(!nobody.status.success());
    assert!(text(&nobody.stderr).contains("admin"), "{}", text(&nobody.stderr));
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn the_join_command_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start("server", dir.path(), "127.0.0.1:0", &["--tls", "auto"]);
    let printed = text(&server.beside(&["enroll-token"]).stdout);
    let token = printed.lines().last().unwrap().to_owned();
    let command = printed.lines().find(|line| line.contains("muster agent")).expect("a command");
    let port = format!(":{} ", server.address.port());
    for part in
        ["--server https://", &port, "--ca-fingerprint sha256:", &format!("--token {token}")]
    {
        assert!(command.contains(part), "{command}");
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_query_is_a_table_csv_or_a_chart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::up(dir.path());
    crate::server::wait_for("up", || server.query("up == 1").into_iter().next());
    let printed = |more: &[&str]| {
        let output = server.beside(&[&["query", "up"], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(printed(&[]).starts_with("SERIES "), "{}", printed(&[]));
    let csv = printed(&["--last", "1m", "--csv"]);
    assert!(csv.starts_with("time,value,__name__,instance,job\r\n"), "{csv}");
    let chart = printed(&["--chart", "--last", "10m"]);
    assert!(chart.contains("* up{") && chart.contains("UTC"), "{chart}");
    assert!(chart.lines().all(|line| line.chars().count() <= 80), "{chart}");
}

/// Files of rules and tests, and whether promtool and we find them good.
const RULE_TESTS: [(&str, &str, bool); 4] = [
    ("good", "exp: a", true),
    ("wrong label", "exp: b", false),
    ("unknown key", "exq: a", false),
    ("no such time", "exp: a\n    eval_time: never", false),
];

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn rules_are_judged_as_promtool_judges_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let rules = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    labels: {severity: page}\n    \
                 annotations: {summary: '{{ $labels.instance }} down, {{ humanizeDuration 90 }}'}\n  \
                 - {record: 'job:up', expr: sum by (job) (up)}\n";
    std::fs::write(path("rules.yml"), rules).unwrap();
    std::fs::write(path("broken.yml"), rules.replace("up == 0", "up = 0")).unwrap();
    let promtool = |arguments: &[&str]| {
        std::process::Command::new("promtool")
            .args(arguments)
            .output()
            .ok()
            .map(|o| o.status.success())
    };
    let ours = |arguments: &[&str]| muster(arguments).status.success();
    if promtool(&["--version"]).is_none() {
        println!("skipped: promtool is not installed (apt-get install prometheus)");
        return;
    }
    for (file, good) in [("rules.yml", true), ("broken.yml", false)] {
        assert_eq!(promtool(&["check", "rules", &path(file)]), Some(good), "promtool on {file}");
        assert_eq!(ours(&["rules", "check", &path(file)]), good, "muster on {file}");
    }
    for (what, expectation, good) in RULE_TESTS {
        let alert = expectation
            .replace(
                "exp: a",
                "exp_alerts:\n    - exp_labels: {severity: page, job: x, instance: a}\n      \
             exp_annotations: {summary: 'a down, 1m 30s'}",
            )
            .replace("exp: b", "exp_alerts: [{exp_labels: {severity: page}}]");
        let tests = format!(
            "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  input_series:\n  \
             - {{series: 'up{{job=\"x\", instance=\"a\"}}', values: '1 0x5 _ stale'}}\n  alert_rule_test:\n  \
             - alertname: Down\n    {alert}\n{}  promql_expr_test:\n  \
             - {{expr: 'job:up', eval_time: 3m, exp_samples: [{{labels: 'job:up{{job=\"x\"}}', value: 0}}]}}\n",
            if expectation.contains("eval_time") { "" } else { "    eval_time: 4m\n" },
        );
        std::fs::write(path("test.yml"), &tests).unwrap();
        assert_eq!(
            promtool(&["test", "rules", &path("test.yml")]),
            Some(good),
            "promtool: {what}\n{tests}"
        );
        assert_eq!(ours(&["rules", "test", &path("test.yml")]), good, "muster: {what}\n{tests}");
    }
}
