//! From a failure to the message, by default settings, with a real agent: told in time, and nothing told that is not so.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::server::{Server, binary, wait_for};
use crate::systemd::{Systemd, value};
use crate::webhook_sink::Sink;

/// How many crashes are timed, unless `MUSTER_CRASHES` says another number.
const CRASHES: usize = 4;
/// Crashes are this far apart where there are more: so many at once would be summed up.
const APART: Duration = Duration::from_secs(13);
/// From a unit's crash to its message.
const CRASH_LIMIT: Duration = Duration::from_secs(2);
/// From a host's death to its message.
const DEATH_LIMIT: Duration = Duration::from_secs(12);
/// For how long nothing may be told after something harmless.
const QUIET: Duration = Duration::from_secs(30);

/// An agent of `server`; killed when dropped.
struct Agent(Child);

impl Agent {
    fn start(server: &Server, state: &Path, instance: &str) -> Self {
        let token = server.token(&["enroll-token"]);
        let child = Command::new(binary())
            .args(["agent", "--server", &format!("http://{}", server.address), "--token", &token])
            .args(["--state-dir", &state.display().to_string(), "--instance", instance])
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be started");
        let agent = Self(child);
        wait_for("the agent", || {
            let up = format!("up{{instance=\"{instance}\"}}");
            server.query(&up).iter().any(|(_, value)| *value == 1.0).then_some(())
        });
        agent
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a pid fits");
        kill_process(Pid::from_raw(pid).expect("a child has a pid"), signal).expect("it is ours");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with a channel to a sink.
fn server_and_sink(dir: &Path) -> (Server, Sink, String) {
    let server = Server::alone(dir);
    let token = server.token(&["token", "create", "test", "--role", "admin"]);
    let sink = Sink::start();
    sink.connect(&server, &token);
    (server, sink, token)
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_crashed_service_is_told_within_two_seconds() {
    let Some(mut systemd) = Systemd::start() else { return };
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, sink, token) = server_and_sink(dir.path());
    let crashes = std::env::var("MUSTER_CRASHES").map_or(CRASHES, |n| n.parse().unwrap());
    for n in 0..crashes {
        systemd.add_service(&format!("victim-{n}"), "", "ExecStart=/bin/sleep 1000");
        systemd.run(&format!("systemctl start victim-{n}"));
    }
    systemd.start_agent(&server, state.path(), "");
    let mut times = Vec::new();
    for n in 0..crashes {
        let unit = format!("victim-{n}.service");
        let active = format!("node_systemd_unit_state{{name=\"{unit}\",state=\"active\"}}");
        wait_for("the service", || (value(&server, &token, &active) == Some(1.0)).then_some(()));
        let pid = systemd.run(&format!("systemctl show -P MainPID victim-{n}"));
        let killed = Instant::now();
        systemd.run(&format!("kill -KILL {}", pid.trim()));
        let told = wait_for(&format!("a message about {unit}"), || {
            sink.told().into_iter().find(|told| told.fires("ServiceFailed", &unit))
        });
        times.push(told.at.duration_since(killed));
        if crashes > CRASHES {
            std::thread::sleep(APART);
        }
    }
    times.sort_unstable();
    let (median, worst) = (times[crashes / 2], times[crashes - 1]);
    println!("from crash to message over {crashes}: median {median:?}, worst {worst:?}");
    assert!(worst < CRASH_LIMIT, "{times:?}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_dead_host_is_told_within_twelve_seconds_and_a_hiccup_is_not() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut server, sink, _) = server_and_sink(dir.path());
    let (mute, killed) = (
        Agent::start(&server, &state.path().join("mute"), "mute"),
        Agent::start(&server, &state.path().join("killed"), "killed"),
    );
    let about_hosts = |sink: &Sink| {
        sink.told().into_iter().filter(|told| told.body.to_string().contains("HostSilent")).count()
    };
    // A hiccup of three seconds, and a restart of the server.
    mute.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(3));
    mute.signal(Signal::CONT);
    let listen = server.address.to_string();
    server.terminate();
    let server = Server::start("server", dir.path(), &listen, &[]);
    std::thread::sleep(QUIET);
    assert_eq!(about_hosts(&sink), 0, "{:?}", sink.told());

    // One falls silent as a dead host does, without a word; the other's connection breaks.
    mute.signal(Signal::STOP);
    killed.signal(Signal::KILL);
    let died = Instant::now();
    for host in ["mute", "killed"] {
        let told = wait_for(&format!("a message about {host}"), || {
            sink.told().into_iter().find(|told| told.fires("HostSilent", host))
        });
        let took = told.at.duration_since(died);
        println!("from the death of {host} to the message: {took:?}");
        assert!(took < DEATH_LIMIT, "{host}: {took:?}");
    }
    mute.signal(Signal::CONT);
    wait_for("the message that it is back", || {
        sink.told().into_iter().find(|told| told.resolves("HostSilent", "mute"))
    });
    drop(server);
}
