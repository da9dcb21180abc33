//! An agent that is cut off keeps its samples and sends them when the server is back.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::server::{Server, binary, wait_for};
use crate::test_agent::now_ms;

const CUT_FOR: Duration = Duration::from_mins(1);
const INTERVAL_MS: i64 = 1_000;
/// A busy machine may collect late or skip a tick; the outage is four times as long.
const WIDEST_MS: i64 = 15_000;

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_minute_without_a_network_leaves_no_gap_and_no_double() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let relay = Relay::start(server.address);
    let token = server.token(&["enroll-token"]);
    let _agent = Agent::start(relay.address, &token, &state.path().display().to_string());
    wait_for("samples", || Some(points(&server)).filter(|points| points.len() >= 3));

    relay.cut(true);
    let (cut, cut_at_ms) = (Instant::now(), now_ms());
    wait_for("`up` to be 0", || server.query("up == 0").into_iter().next());
    std::thread::sleep(CUT_FOR.saturating_sub(cut.elapsed()));
    let before = points(&server);
    let outage_ms = i64::try_from(cut.elapsed().as_millis()).unwrap();
    relay.cut(false);
    wait_for("the backlog", || {
        let now = points(&server);
        let newest = now.last()?.0 - cut_at_ms;
        // Newer samples than the outage's end come first, so the hole closes last.
        (newest > outage_ms && widest(&now) <= WIDEST_MS).then_some(())
    });
    let after = points(&server);
    for two in after.windows(2) {
        assert!(two[1].0 - two[0].0 >= INTERVAL_MS / 3, "a double: {two:?}");
    }
    let during = after.iter().filter(|(at, _)| (0..outage_ms).contains(&(at - cut_at_ms))).count();
    assert!(during as i64 >= outage_ms / INTERVAL_MS * 3 / 4, "{during} in {outage_ms} ms");
    println!("{} samples before, {} after", before.len(), after.len());
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn an_agent_that_is_killed_in_an_outage_loses_seconds() {
    /// What is not on disk yet, the time until the next agent runs, and what a busy machine adds.
    const LONGEST_LOSS_MS: i64 = 30_000;
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let relay = Relay::start(server.address);
    let token = server.token(&["enroll-token"]);
    let state_dir = state.path().display().to_string();
    let agent = Agent::start(relay.address, &token, &state_dir);
    wait_for("samples", || Some(points(&server)).filter(|points| points.len() >= 3));

    relay.cut(true);
    let cut_at_ms = now_ms();
    std::thread::sleep(CUT_FOR);
    drop(agent);
    let killed_at_ms = now_ms();
    let _agent = Agent::start(relay.address, &token, &state_dir);
    relay.cut(false);
    wait_for("the backlog", || {
        let now = points(&server);
        (now.last()?.0 > killed_at_ms && widest(&now) <= LONGEST_LOSS_MS).then_some(())
    });
    let outage = cut_at_ms..killed_at_ms;
    let during = points(&server).iter().filter(|(at, _)| outage.contains(at)).count();
    assert!(during >= 30, "{during} samples of a minute");
    println!("the widest gap is {} ms", widest(&points(&server)));
}

/// The longest time between two samples, in milliseconds.
fn widest(points: &[(i64, f64)]) -> i64 {
    points.windows(2).map(|two| two[1].0 - two[0].0).max().unwrap_or(i64::MAX)
}

fn points(server: &Server) -> Vec<(i64, f64)> {
    server
        .samples("node_load1[10m]")
        .into_iter()
        .next()
        .map(|(_, points)| points)
        .unwrap_or_default()
}

struct Agent(Child);

impl Agent {
    fn start(server: SocketAddr, token: &str, state_dir: &str) -> Self {
        let url = format!("http://{server}");
        let arguments = ["--server", &url, "--token", token, "--state-dir", state_dir];
        let child = Command::new(binary())
            .arg("agent")
            .args(arguments)
            .args(["--interval", "1s"])
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

/// Passes bytes on, until it is cut.
struct Relay {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("a listener has an address");
        let relay = Self { address, cut: Arc::default(), open: Arc::default() };
        let (cut, open) = (Arc::clone(&relay.cut), Arc::clone(&relay.open));
        std::thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(onward) = TcpStream::connect(to) else {
                    continue;
                };
                pass(from.try_clone().unwrap(), onward.try_clone().unwrap());
                pass(onward.try_clone().unwrap(), from.try_clone().unwrap());
                open.lock().unwrap().extend([from, onward]);
            }
        });
        relay
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
