//! Accounts by the command line, and a server whose metadata is in MariaDB or PostgreSQL: backed up, restored, never mistaken.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::http::sign_in;
use crate::server::{PASSWORD, Server, muster, text};

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn accounts_are_managed_beside_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let status = |password: &str| sign_in(server.address, "ada", password).status;
    let password = server.token(&["user", "add", "ada", "--role", "operator"]);
    assert_eq!(status(&password), 200);
    assert!(server.beside(&["user", "disable", "ada"]).status.success());
    assert_eq!(status(&password), 401);
    assert!(server.beside(&["user", "enable", "ada"]).status.success());
    assert_eq!(status(&password), 200);

    let last = server.beside(&["user", "role", "admin", "viewer"]);
    assert!(!last.status.success());
    assert!(text(&last.stderr).contains("last administrator"), "{}", text(&last.stderr));
    let ada = json(&server.beside(&["user", "role", "ada", "admin", "--json"]));
    assert_eq!((&ada["role"], &ada["disabled"]), (&"admin".into(), &false.into()));
    assert!(server.beside(&["user", "remove", "admin"]).status.success());
    assert_eq!(sign_in(server.address, "admin", PASSWORD).status, 401);
    let users = json(&server.beside(&["user", "list", "--json"]));
    assert_eq!(users["users"].as_array().map(Vec::len), Some(1), "{users}");
    assert!(users["users"][0]["last_sign_in_ms"].is_i64(), "{users}");
    assert!(!users.to_string().contains("argon2"), "{users}");
}

/// Runs a statement by the database's own client.
fn statement(server: &str, sql: &str) {
    let output = if let Some(rest) = server.strip_prefix("mysql://root@127.0.0.1:") {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "-h127.0.0.1", "-uroot", "-P", rest, "-e", sql]).output()
    } else {
        Command::new("psql").args([&format!("{server}/postgres"), "-q", "-c", sql]).output()
    };
    let output = output.expect("the server's package brings its client");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn run(url: &str, dir: &Path, arguments: &[&str]) -> Output {
    let data = dir.display().to_string();
    muster(&[arguments, &["--data-dir", &data, "--database-url", url]].concat())
}

/// A database of its own, for the user `muster` with a password that nobody may see.
fn make_database(server: &str, name: &str) -> String {
    statement(server, &format!("CREATE DATABASE {name}"));
    if server.starts_with("mysql:") {
        let grant = format!("GRANT ALL ON {name}.* TO muster@localhost IDENTIFIED BY 's3cret'");
        statement(server, &grant);
        format!("{}/{name}", server.replacen("root@", "muster:s3cret@", 1))
    } else {
        statement(server, &format!("CREATE USER {name} PASSWORD 's3cret'"));
        statement(server, &format!("ALTER DATABASE {name} OWNER TO {name}"));
        format!("{}/{name}", server.replacen("postgres@", &format!("{name}:s3cret@"), 1))
    }
}

/// A server on a database server, from its first start to a restored second one.
#[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
fn check(variable: &str) {
    let Ok(server_url) = std::env::var(variable) else {
        println!("skipped: {variable} is not set; cargo xtask test starts the server");
        return;
    };
    let first = make_database(&server_url, "e2e_first");
    let second = make_database(&server_url, "e2e_second");
    let (dir, kept, other) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let arguments = ["--database-url", &first];
    let server = Server::start("server", dir.path(), "127.0.0.1:0", &arguments);
    assert_eq!(sign_in(server.address, "admin", PASSWORD).status, 200);
    assert!(!server.log().contains("s3cret"), "{}", server.log());
    assert!(!dir.path().join("muster.db").exists());

    let made = run(&first, dir.path(), &["user", "add", "ada", "--json"]);
    let password = json(&made)["password"].as_str().expect("a password").to_owned();
    assert_eq!(sign_in(server.address, "ada", &password).status, 200);
    // Without the URL nobody begins a second database by mistake.
    let blind = server.beside(&["user", "list"]);
    let error = text(&blind.stderr);
    assert!(!blind.status.success() && error.contains("--database-url"), "{error}");
    assert!(error.contains("/e2e_first") && !error.contains("s3cret"), "{error}");
    assert!(!dir.path().join("muster.db").exists());

    let backup = kept.path().join("muster.backup").display().to_string();
    json(&run(&first, dir.path(), &["backup", &backup, "--json"]));
    drop(server);
    let restored = run(&first, other.path(), &["restore", &backup]);
    assert!(!restored.status.success(), "a database that holds data is not written over");
    assert!(text(&restored.stderr).contains("holds data already"), "{}", text(&restored.stderr));
    json(&run(&second, other.path(), &["restore", &backup, "--json"]));
    let arguments = ["--database-url", &second];
    let server = Server::start("server", other.path(), "127.0.0.1:0", &arguments);
    assert_eq!(sign_in(server.address, "ada", &password).status, 200);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_server_keeps_its_people_in_mariadb() {
    check("MUSTER_TEST_MARIADB");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_server_keeps_its_people_in_postgresql() {
    check("MUSTER_TEST_POSTGRES");
}
