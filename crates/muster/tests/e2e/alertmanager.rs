//! Alertmanager's own client and a real Prometheus, against a Muster in Alertmanager's place.

use std::process::{Child, Command, Stdio};

use crate::server::{Server, free_address, muster, text, wait_for};

/// A process that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a program is there; its absence is said aloud.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

fn token(server: &Server, role: &str) -> String {
    let data_dir = server.data_dir.display().to_string();
    let made = muster(&["token", "create", role, "--role", role, "--data-dir", &data_dir]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    text(&made.stdout).trim().lines().last().unwrap().to_owned()
}

#[test]
#[ignore = "needs the release binary and amtool: cargo xtask test"]
fn amtool_adds_asks_and_silences() {
    if !is_there("amtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(&dir.path().join("data"));
    let config = dir.path().join("http.yml");
    let credentials = format!("authorization:\n  credentials: {}\n", token(&server, "operator"));
    std::fs::write(&config, credentials).unwrap();
    let writer = dir.path().join("writer.yml");
    let credentials = format!("authorization:\n  credentials: {}\n", token(&server, "writer"));
    std::fs::write(&writer, credentials).unwrap();
    let with = |config: &std::path::Path, arguments: &[&str]| {
        let done = Command::new("amtool")
            .arg(format!("--alertmanager.url=http://{}", server.address))
            .arg(format!("--http.config.file={}", config.display()))
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", text(&done.stderr));
        text(&done.stdout).trim().to_owned()
    };
    let amtool = |arguments: &[&str]| with(&config, arguments);

    let alert = ["alert", "add", "alertname=DiskFull", "instance=db-1", "severity=critical"];
    with(&writer, &alert);
    assert!(amtool(&["alert", "query", "alertname=DiskFull"]).contains("active"));
    assert!(!amtool(&["alert", "query", "alertname=Other"]).contains("DiskFull"));

    let id = amtool(&["silence", "add", "instance=~db-.*", "-d", "1h", "-c", "being mended"]);
    assert!(amtool(&["silence", "query"]).contains("being mended"));
    assert!(amtool(&["alert", "query", "-s"]).contains("suppressed"));
    let updated = amtool(&["silence", "update", "-d", "2h", "-c", "still being mended", &id]);
    assert!(updated.contains("still being mended"), "{updated}");
    assert_eq!(amtool(&["silence", "query", "-q"]), id, "it stays the same silence");
    amtool(&["silence", "expire", &id]);
    assert_eq!(amtool(&["silence", "query", "-q"]), "");
    assert!(amtool(&["alert", "query"]).contains("active"));

    assert_eq!(amtool(&["config", "routes", "test", "severity=critical"]), "everyone");
    assert_eq!(amtool(&["config", "routes", "test", "severity=info"]), "nobody");
}

#[test]
#[ignore = "needs the release binary and prometheus: cargo xtask test"]
fn a_prometheus_sends_its_alerts_here() {
    if !is_there("prometheus") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(&dir.path().join("data"));
    let rules = "groups: [{name: a, rules: [{alert: Always, expr: vector(1), labels: {severity: warning}}]}]";
    std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
    let config = format!(
        "global: {{evaluation_interval: 1s}}\nrule_files: [rules.yml]\nalerting:\n  alertmanagers:\n  \
         - authorization: {{credentials: {}}}\n    static_configs: [{{targets: ['{}']}}]\n",
        token(&server, "writer"),
        server.address
    );
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={}", free_address()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Killed(prometheus);
    let data_dir = server.data_dir.display().to_string();
    wait_for("the alert of Prometheus", || {
        let told = muster(&["alerts", "--severity", "warning", "--data-dir", &data_dir]);
        let told = text(&told.stdout);
        told.lines().any(|line| line.contains("Always") && line.contains("firing")).then_some(())
    });

    let silenced = muster(&[
        "silence",
        "add",
        "alertname=Always",
        "--comment",
        "known",
        "--data-dir",
        &data_dir,
    ]);
    assert!(silenced.status.success(), "{}", text(&silenced.stderr));
    let id = text(&silenced.stdout).trim().to_owned();
    let told = text(&muster(&["alerts", "--data-dir", &data_dir]).stdout);
    assert!(told.contains("silenced"), "{told}");
    let preview = muster(&["silence", "preview", "alertname=Always", "--data-dir", &data_dir]);
    assert!(text(&preview.stdout).contains("Always"));
    let list = muster(&["silence", "list", "--data-dir", &data_dir]);
    assert!(text(&list.stdout).contains(&id));
    assert!(muster(&["silence", "expire", &id, "--data-dir", &data_dir]).status.success());
    let list = muster(&["silence", "list", "--data-dir", &data_dir]);
    assert!(text(&list.stdout).contains("expired"));
}
