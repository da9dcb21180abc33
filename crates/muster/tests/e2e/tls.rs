//! TLS with the server's own CA: agents and commands trust exactly that one.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::server::{Server, binary, muster, text, wait_for};

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn agents_and_commands_trust_the_servers_own_ca_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start("server", dir.path(), "127.0.0.1:0", &["--tls", "auto"]);
    assert!(server.greeting.contains("page: https://"), "{}", server.greeting);
    let fingerprint = server
        .greeting
        .lines()
        .find_map(|line| line.strip_prefix("CA fingerprint: "))
        .map_or_else(|| fingerprint_of(&server), str::to_owned);

    assert_eq!(
        server.query("vector(1)")[0].1,
        1.0,
        "a command on this machine finds the CA itself"
    );
    let url = format!("https://{}", server.address);
    let admin = server.token(&["token", "create", "remote", "--role", "admin"]);
    let remote = ["query", "1", "--server", &url, "--api-token", &admin];
    assert!(!muster(&remote).status.success(), "an unknown CA is not trusted");
    let mut pinned = remote.to_vec();
    pinned.extend(["--ca-fingerprint", &fingerprint]);
    let output = muster(&pinned);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let token = server.token(&["enroll-token"]);
    let state = dir.path().join("agent-state").display().to_string();
    let base = ["agent", "--server", &url, "--token", &token, "--state-dir", &state];
    let wrong = format!("sha256:{}", "00".repeat(32));
    for trust in [vec![], vec!["--ca-fingerprint", wrong.as_str()]] {
        let mut agent = Command::new(binary());
        let mut child = agent.args(base).args(trust).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let told = log.find(|line| line.contains("TLS fails"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(told.as_ref().is_some_and(|told| told.contains("--ca-fingerprint")), "{told:?}");
    }
    assert_eq!(server.query("up"), [], "nobody joined");
    let mut child =
        Command::new(binary()).args(base).args(["--ca-fingerprint", &fingerprint]).spawn().unwrap();
    wait_for("samples over TLS", || server.query("node_load1").into_iter().next());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The fingerprint as `muster enroll-token` tells it.
fn fingerprint_of(server: &Server) -> String {
    let output = server.beside(&["enroll-token", "--json"]);
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    made["ca_fingerprint"].as_str().unwrap().to_owned()
}
