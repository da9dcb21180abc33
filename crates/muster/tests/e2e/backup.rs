//! Backup beside a server under load, restore, and a doctor who finds what is wrong.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::http::{get, request, sign_in};
use crate::server::{PASSWORD, Server, muster, text, wait_for};
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
    let to = shown(&dir.path().join("backup"));
    let made = json(&["backup", "--to", &to, "--data-dir", &shown(&data), "--json"]);
    assert!(made["files"].as_u64().unwrap() > 5, "{made}");
    let after = feeder.batches() + 1;
    drop(feeder);
    let from = shown(&data);
    check_refused(&["backup", "--to", &to, "--data-dir", &from], "is not empty");
    let within = shown(&data.join("backup"));
    check_refused(&["backup", "--to", &within, "--data-dir", &from], "lies within");
    check_refused(&["restore", "--from", &to, "--data-dir", &from], "is not empty");
    drop(server);

    let restored = dir.path().join("restored");
    json(&["restore", "--from", &to, "--data-dir", &shown(&restored), "--json"]);
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
    assert_eq!(found["series_by_metric"][0]["metric"], "backup_counter", "{found}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn damage_is_found_by_the_doctor_and_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("backup"));
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
    muster(&["backup", "--to", &to_text, "--data-dir", &data_text]);
    // A backup is a data folder that the doctor understands.
    assert!(muster(&["doctor", "--data-dir", &to_text]).status.success());

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
    let restore = ["restore", "--from", &to_text, "--data-dir", &restored];
    let copy = to.join("metrics/blocks").join(name);
    flip(&copy);
    check_refused(&restore, "metrics/blocks");
    flip(&copy);
    fs::rename(to.join("backup.json"), to.join("list")).unwrap();
    check_refused(&restore, "no whole backup");
    fs::rename(to.join("list"), to.join("backup.json")).unwrap();
    assert!(!Path::new(&restored).exists());
    assert!(muster(&restore).status.success());
    assert_eq!(Server::alone(Path::new(&restored)).query(COUNT).len(), 1);
    check_refused(&["doctor", "--data-dir", "/nowhere"], "there is no Muster data");
    check_refused(&["backup", "--to", &restored, "--data-dir", "/nowhere"], "no Muster data");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn what_cannot_be_read_is_left_out_on_demand_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (data, to) = (dir.path().join("data"), dir.path().join("backup"));
    drop(Server::alone(&data));
    // The kernel gives an input/output error to whoever reads the start of this file, as a broken medium does.
    std::os::unix::fs::symlink("/proc/self/mem", data.join("broken")).unwrap();
    let (data_text, to_text) = (shown(&data), shown(&to));
    let backup = ["backup", "--to", &to_text, "--data-dir", &data_text];
    check_refused(&backup, "--skip-damaged");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);

    let output = muster(&[&backup[..], &["--skip-damaged"]].concat());
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("broken") && told.contains("lacks 1 of the files"), "{told}");
    let list = fs::read_to_string(to.join("backup.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["left_out"][0]["path"], "broken", "{list}");
    let restored = shown(&dir.path().join("restored"));
    let output = muster(&["restore", "--from", &to_text, "--data-dir", &restored]);
    let told = text(&output.stderr);
    assert!(output.status.success() && told.contains("broken"), "{told}");

    let doctor = ["doctor", "--data-dir", &restored];
    assert!(muster(&doctor).status.success());
    fs::remove_file(Path::new(&restored).join("muster.db")).unwrap();
    check_refused(&doctor, "the metadata database");
}
