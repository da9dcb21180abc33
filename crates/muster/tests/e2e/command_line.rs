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
    check(&["query", "sum(", "--data-dir", &data], "query");
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
