//! What an agent keeps on disk: for its user alone, written whole, and never in the way of a start.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::http::get;
use crate::server::{Server, binary, muster, text, wait_for};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

struct Agent(Child);

impl Agent {
    fn start(state: &Path, more: &[&str]) -> Self {
        let child = Command::new(binary())
            .args(["agent", "--state-dir", &state.display().to_string()])
            .args(more)
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be started");
        Self(child)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Waits until `agent.json` names a server.
fn wait_for_note(state: &Path) {
    let path = state.join("agent.json");
    wait_for("agent.json", || {
        let text = std::fs::read_to_string(&path).ok()?;
        let note: serde_json::Value = serde_json::from_str(&text).ok()?;
        note["server"].as_str().filter(|server| *server == NOWHERE).map(drop)
    });
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn the_state_folder_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let _agent = Agent::start(&state, &["--server", NOWHERE, "--interval", "1s"]);
    let segment = state.join("spool/00000000000000000001.spool");
    wait_for("a spool file", || segment.exists().then_some(()));
    for folder in [&state, &state.join("spool")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for name in ["agent.json", "identity.key", "lock"] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&segment), 0o600);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_damaged_note_is_replaced_where_the_server_is_given() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("agent.json");
    for damaged in ["", "{\"server\":"] {
        std::fs::write(&path, damaged).unwrap();
        let output = muster(&["agent", "--state-dir", &state.path().display().to_string()]);
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains("--server"), "{error}");
        let _agent = Agent::start(state.path(), &["--server", NOWHERE]);
        wait_for_note(state.path());
    }
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    let agent = Agent::start(state.path(), &[]);
    wait_for("the next start", || {
        let holder = std::fs::read_to_string(state.path().join("lock")).ok()?;
        (holder.trim() == agent.0.id().to_string()).then_some(())
    });
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        written,
        "nothing has changed"
    );
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_first_run_whose_agent_cannot_start_still_serves() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("agent"), "this should be a folder").unwrap();
    let mut server = Server::up(dir.path());
    wait_for("the log", || server.log().contains("the server runs without it").then_some(()));
    assert_eq!(get(server.address, "/-/ready", "").status, 200);
    assert_eq!(mode(&dir.path().join("address")), 0o600);
    assert!(server.terminate().0.success());
}
