//! Backup beside a server under load, restore, and a doctor who finds what is wrong.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::http::{get, request, sign_in};
use crate::server::{PASSWORD, Server, binary, free_address, muster, text, wait_for};
use crate::test_agent::{TestAgent, Verdict, now_ms, numbered};

const SERIES: usize = 50;
const COUNT: &str = "sum(count_over_time(backup_counter[1h]))";

/// Sends batches, one after the other, until it is dropped.
struct Feeder {
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    fn start(address: SocketAddr, token: String) -> Self {
        let (acknowledged, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, stopping) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let agent = TestAgent::new("backup-1", numbered("backup_counter", SERIES));
            let mut session = agent.connect(address, Some(&token)).unwrap();
            let mut at = now_ms() - 600_000;
            while !stopping.load(Ordering::SeqCst) {
                at += 100;
                session.send(at, &[at as f64; SERIES]).unwrap();
                assert!(matches!(session.verdict().unwrap(), Verdict::Acknowledged(_)));
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { acknowledged, stop, thread: Some(thread) }
    }

    /// Batches that were acknowledged so far.
    fn batches(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn wait_for_batches(&self, count: u64) {
        wait_for("acknowledged batches", || (self.batches() >= count).then_some(()));
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the feeder failed");
        }
    }
}

/// A process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    let output = muster(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn check_refused(arguments: &[&str], expected: &str) {
    let output = muster(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let error = text(&output.stderr);
    assert!(error.contains(expected), "{error}");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// Lets the server write all it has into blocks.
fn make_blocks(server: &Server, token: &str) {
    let headers = [("authorization", &*format!("Bearer {token}"))];
    let answer = request(server.address, "POST", "/api/v1/admin/tsdb/snapshot", &headers, "");
    assert_eq!((answer.status, &answer.json()["status"]), (200, &Value::from("success")));
}

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_backup_under_load_is_restored_with_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::up(&data);
    let admin = server.token(&["token", "create", "root", "--role", "admin"]);
    let feeder = Feeder::start(server.address, server.token(&["enroll-token"]));
    feeder.wait_for_batches(20);
    // Some of it into blocks.
    make_blocks(&server, &admin);
    feeder.wait_for_batches(40);

    let before = feeder.batches();
    let to = shown(&dir.path().join("muster.backup"));
    let made = json(&["backup", &to, "--data-dir", &shown(&data), "--json"]);
    assert!(made["files"].as_u64().unwrap() > 5, "{made}");
    let after = feeder.batches() + 1;
    drop(feeder);
    let from = shown(&data);
    check_refused(&["backup", &to, "--data-dir", &from], "is there already");
    check_refused(&["backup", &shown(dir.path()), "--data-dir", &from], "is a folder");
    let within = shown(&data.join("muster.backup"));
    check_refused(&["backup", &within, "--data-dir", &from], "lies within");
    check_refused(&["restore", &to, "--data-dir", &from], "is not empty");
    drop(server);

    let restored = dir.path().join("restored");
    json(&["restore", &to, "--data-dir", &shown(&restored), "--json"]);
    let server = Server::alone(&restored);
    let count = server.query(COUNT)[0].1;
    let (least, most) = (before * SERIES as u64, after * SERIES as u64);
    assert!((least as f64..=most as f64).contains(&count), "{count}, not {least} to {most}");
    assert!(!server.log().contains("ERROR") && !server.log().contains("WARN"), "{}", server.log());
    // Accounts and tokens are there too.
    assert_eq!(sign_in(server.address, "admin", PASSWORD).status, 200);
    assert_eq!(get(server.address, "/api/v1/query?query=1", &admin).status, 200);
    let found = json(&["doctor", "--data-dir", &shown(&restored), "--json"]);
    assert_eq!(found["damage"], serde_json::json!([]));
    let metrics = found["series_by_metric"].as_array().unwrap();
    let ours = metrics.iter().find(|metric| metric["metric"] == "backup_counter");
    assert_eq!(ours.map(|metric| &metric["series"]), Some(&SERIES.into()), "{found}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn damage_is_found_by_the_doctor_and_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("muster.backup"));
    let server = Server::alone(&data);
    let admin = server.token(&["token", "create", "root", "--role", "admin"]);
    let feeder = Feeder::start(server.address, server.token(&["enroll-token"]));
    feeder.wait_for_batches(20);
    drop(feeder);
    make_blocks(&server, &admin);
    let (data_text, to_text) = (shown(&data), shown(&to));
    let doctor = ["doctor", "--data-dir", &data_text];
    let output = muster(&doctor);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("backup_counter") && told.contains("bytes each"), "{told}");
    drop(server);
    assert!(muster(&["backup", &to_text, "--data-dir", &data_text]).status.success());

    let block = files(&data.join("metrics/blocks")).remove(0);
    flip(&block);
    let name = block.file_name().unwrap().to_str().unwrap();
    check_refused(&doctor, "1 part is damaged");
    let found = muster(&[&doctor[..], &["--json"]].concat());
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["damage"][0]["file"], format!("blocks/{name}"));
    // The database's log, which a kill leaves, would heal it.
    let _ = fs::remove_file(data.join("muster.db-wal"));
    fs::write(data.join("muster.db"), "no database").unwrap();
    check_refused(&doctor, "2 parts are damaged");

    let restored = shown(&dir.path().join("restored"));
    let restore = ["restore", &to_text, "--data-dir", &restored];
    let check = ["restore", "--check", &to_text];
    flip(&to);
    for refused in [&restore[..], &check] {
        check_refused(refused, "is damaged at byte");
    }
    flip(&to);
    let whole = fs::read(&to).unwrap();
    fs::write(&to, &whole[..whole.len() - 1]).unwrap();
    check_refused(&restore, "is cut short");
    fs::write(&to, whole).unwrap();
    let told = text(&muster(&check).stdout);
    assert!(told.contains("The backup is whole"), "{told}");
    assert!(!Path::new(&restored).exists());
    assert!(muster(&restore).status.success());
    assert_eq!(Server::alone(Path::new(&restored)).query(COUNT).len(), 1);
    check_refused(&["doctor", "--data-dir", "/nowhere"], "there is no Muster data");
    check_refused(&["backup", &restored, "--data-dir", "/nowhere"], "no Muster data");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn what_cannot_be_read_is_left_out_on_demand_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("muster.backup"));
    drop(Server::alone(&data));
    // The kernel gives an input/output error to whoever reads the start of this file, as a broken medium does.
    std::os::unix::fs::symlink("/proc/self/mem", data.join("broken")).unwrap();
    let (data_text, to_text) = (shown(&data), shown(&to));
    let backup = ["backup", &to_text, "--data-dir", &data_text];
    check_refused(&backup, "--skip-damaged");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the data folder is there");

    let output = muster(&[&backup[..], &["--skip-damaged"]].concat());
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("broken") && told.contains("lacks 1 of the files"), "{told}");
    let list = json(&["restore", "--check", &to_text, "--json"]);
    assert_eq!(list["left_out"][0]["path"], "broken", "{list}");
    let restored = shown(&dir.path().join("restored"));
    let output = muster(&["restore", &to_text, "--data-dir", &restored]);
    let told = text(&output.stderr);
    assert!(output.status.success() && told.contains("broken"), "{told}");

    let doctor = ["doctor", "--data-dir", &restored];
    assert!(muster(&doctor).status.success());
    fs::remove_file(Path::new(&restored).join("muster.db")).unwrap();
    check_refused(&doctor, "the metadata database");
}

/// Runs without the passphrase that other tests have in their environment.
fn muster_without_passphrase(arguments: &[&str]) -> std::process::Output {
    Command::new(binary())
        .args(arguments)
        .env_remove("MUSTER_BACKUP_PASSPHRASE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_passphrase_comes_from_a_file_too_and_nothing_works_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("muster.backup"));
    drop(Server::alone(&data));
    let (data, to, key) = (shown(&data), shown(&to), shown(&dir.path().join("key")));
    let backup = ["backup", &to, "--data-dir", &data];
    let output = muster_without_passphrase(&backup);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no terminal") && told.contains("--passphrase-file"), "{told}");
    fs::write(&key, "from the file it came\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let output = muster_without_passphrase(&[&backup[..], &["--passphrase-file", &key]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);

    let restored = shown(&dir.path().join("restored"));
    let restore = ["restore", &to, "--data-dir", &restored];
    check_refused(&restore, "the passphrase is wrong");
    assert!(!Path::new(&restored).exists());
    let output = muster_without_passphrase(&[&restore[..], &["--passphrase-file", &key]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = [output.stdout, output.stderr].map(|bytes| text(&bytes)).concat();
    assert!(!told.contains("from the file"), "{told}");
}

/// An agent of its own keeps its state while the server comes back from a backup on another folder.
#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_restored_server_is_recognised_by_its_agents() {
    let dir = tempfile::tempdir().unwrap();
    let (data, restored) = (dir.path().join("data"), dir.path().join("restored"));
    let (to, state) = (shown(&dir.path().join("muster.backup")), shown(&dir.path().join("agent")));
    let listen = free_address().to_string();
    let server = Server::start("server", &data, &listen, &["--tls", "auto"]);
    let url = format!("https://{listen}");
    let made = server.beside(&["enroll-token", "--tags", "rack=12,owner=ada", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let (token, fingerprint) = (made["token"].as_str(), made["ca_fingerprint"].as_str());
    let agent = |more: &[&str]| {
        let child = Command::new(binary())
            .args(["agent", "--state-dir", &state, "--instance", "kept", "--interval", "1s"])
            .args(more)
            .stderr(Stdio::null())
            .spawn();
        Process(child.unwrap())
    };
    let join =
        ["--server", &url, "--token", token.unwrap(), "--ca-fingerprint", fingerprint.unwrap()];
    let running = agent(&join);
    let count = r#"count_over_time(node_load1{instance="kept"}[1h])"#;
    let stored = |server: &Server| server.query(count).first().map_or(0.0, |(_, value)| *value);
    wait_for("samples of the agent", || (stored(&server) >= 1.0).then_some(()));
    drop(running);
    assert!(server.beside(&["backup", &to]).status.success());
    let before = stored(&server);
    drop(server);
    fs::remove_dir_all(&data).unwrap();

    json(&["restore", &to, "--data-dir", &shown(&restored), "--json"]);
    let server = Server::start("server", &restored, &listen, &["--tls", "auto"]);
    // Neither token nor fingerprint: the key and the CA that the agent remembers are enough.
    let _running = agent(&[]);
    wait_for("more samples of the agent", || (stored(&server) > before).then_some(()));
}
