//! A full disk: writing stops with a clear message, reading goes on, writing resumes by itself, and nothing that was
//! acknowledged is lost, also where the server ends meanwhile.

use std::path::Path;
use std::process::Command;

use crate::http::get;
use crate::server::{Server, text, wait_for};
use crate::test_agent::{Session, TestAgent, Verdict, now_ms, numbered};
use muster_wire::RefuseReason;

/// A small file system in memory, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(at)
            .output()
            .ok()?;
        mount.status.success().then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_full_disk_stops_writing_only_and_only_while_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(dir.path()) else {
        println!("skipped: mounting a tmpfs needs root");
        return;
    };
    let data_dir = disk.0.join("data");
    let mut server = Server::alone(&data_dir);
    let token = server.token(&["enroll-token"]);
    // Made while there is room: a token cannot be written to a full disk.
    let reader = server.token(&["token", "create", "reader"]);
    let agent = TestAgent::new("full", numbered("full_disk", 10));
    let mut session = agent.connect(server.address, Some(&token)).unwrap();
    let mut acknowledged = Vec::new();
    let mut next = now_ms();
    // Sends one batch and says whether it was stored; a refusal must name the reason.
    let mut send = |session: &mut Session| {
        next += 1;
        session.send(next, &[next as f64; 10]).unwrap();
        match session.verdict().unwrap() {
            Verdict::Acknowledged(_) => {
                acknowledged.push(next);
                true
            }
            Verdict::Refused(_, reason) => {
                assert_eq!(reason, RefuseReason::DiskFull);
                false
            }
        }
    };
    assert!(send(&mut session));

    let ballast = disk.0.join("ballast");
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", &format!("of={}", ballast.display())])
        .output()
        .expect("dd is everywhere");
    wait_for("a refusal", || (!send(&mut session)).then_some(()));
    wait_for("a log line", || server.log().contains("is full").then_some(()));
    let answer = get(server.address, "/api/v1/query?query=count(full_disk)", &reader);
    assert_eq!(answer.json()["data"]["result"][0]["value"][1], "10", "reading goes on");

    std::fs::remove_file(&ballast).unwrap();
    wait_for("writing to resume", || send(&mut session).then_some(()));
    server.kill();
    let mut server = Server::alone(&data_dir);
    let stored = server.samples("full_disk[30m]");
    assert_eq!(stored.len(), 10);
    for (labels, points) in stored {
        let stored: Vec<i64> = points.iter().map(|(at, _)| *at).collect();
        assert!(points.iter().all(|(at, value)| *value == *at as f64), "{labels}");
        let lost: Vec<_> = acknowledged.iter().filter(|at| !stored.contains(at)).collect();
        assert!(lost.is_empty(), "{labels}: acknowledged and lost: {lost:?}");
    }
    let (status, _) = server.terminate();
    assert!(status.success());
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_backup_to_a_full_disk_leaves_nothing_that_looks_like_one() {
    let (data, small) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(disk) = SmallDisk::mount(small.path()) else {
        println!("skipped: mounting a tmpfs needs root");
        return;
    };
    let server = Server::alone(data.path());
    let folder = disk.0.join("backups");
    std::fs::create_dir(&folder).unwrap();
    let to = folder.join("muster.backup").display().to_string();
    let ballast = disk.0.join("ballast");
    assert!(std::fs::write(&ballast, vec![1; 64 << 20]).is_err(), "it is larger than the disk");
    let output = server.beside(&["backup", &to]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("no backup was made") && error.contains("full"), "{error}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::fs::remove_file(ballast).unwrap();
    let output = server.beside(&["backup", &to]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
