//! Backup beside a server under load, restore, and a doctor who finds what is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::server::{Server, muster, text, wait_for};
use crate::test_agent::{Session, TestAgent, numbered};

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
fn refused(arguments: &[&str], expected: &str) {
    let output = muster(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let error = text(&output.stderr);
    assert!(error.contains(expected), "{error}");
}

/// How many samples of the counter there are.
fn counted(server: &Server) -> f64 {
    let query = "sum(count_over_time(backup_counter[1h]))";
    server.query(query).first().map_or(0.0, |(_, value)| *value)
}

/// Sends batches until told to stop.
fn feed(server: &Server, token: &str, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let (address, token, stop) = (server.address, token.to_owned(), Arc::clone(stop));
    std::thread::spawn(move || {
        let agent = TestAgent::new("backup-1", numbered("backup_counter", 50));
        let mut session: Session = agent.connect(address, Some(&token)).unwrap();
        for number in 1.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let _ = session.exchange(number);
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}
