//! Services under a real systemd: each way in which one ends is told at once, with what happened.
//!
//! systemd runs in namespaces of its own, started by a tool beside the repository; the agent runs there as well, and the server outside.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::get;
use crate::server::{PATIENCE, Server, binary, wait_for};

/// What is printed after each command.
const MARK: &str = "=== done ===";
/// How often the way from a kill to the server is measured.
const KILLS: usize = 20;
/// How long that may take.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A shell beside a real systemd.
pub(crate) struct Systemd {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Systemd {
    /// `None`, and the reason is printed, where it cannot run.
    #[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
    pub(crate) fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
        let tool: PathBuf = root.join("../shared/tools/with-systemd");
        if !tool.exists() {
            println!("skipped: ../shared/tools/with-systemd is not there");
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            println!("skipped: a systemd of one's own needs root");
            return None;
        }
        let mut child = Command::new(tool)
            .args(["bash", "--norc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is there");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut systemd = Self { child, input, output };
        systemd.run("true");
        Some(systemd)
    }

    /// Runs a command to its end; what it printed.
    pub(crate) fn run(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}\necho '{MARK}'").expect("the shell reads");
        let mut all = String::new();
        loop {
            let read = self.output.read_line(&mut all).expect("it prints text");
            assert!(read > 0, "systemd has ended: {all}");
            if let Some(printed) = all.strip_suffix(&format!("{MARK}\n")) {
                return printed.to_owned();
            }
        }
    }

    /// Writes a unit's file and lets systemd read it.
    pub(crate) fn add_service(&mut self, name: &str, unit: &str, service: &str) {
        let text = format!("[Unit]\n{unit}\n[Service]\n{service}\n");
        let path = format!("/run/systemd/system/{name}.service");
        self.run(&format!("cat > {path} <<'END'\n{text}END\nsystemctl daemon-reload"));
    }

    /// Starts an agent of `server` under this systemd.
    pub(crate) fn start_agent(&mut self, server: &Server, state: &Path, more: &str) {
        let token = server.token(&["enroll-token"]);
        let (binary, state) = (binary().display().to_string(), state.display().to_string());
        self.run(&format!(
            "{binary} agent --server http://{} --token {token} --state-dir {state} --instance host {more} </dev/null >/dev/null 2>&1 &",
            server.address
        ));
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // The tool ends all of it when its command ends.
        let _ = writeln!(self.input, "exit");
        let _ = self.input.flush();
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of the only series that an expression gives now.
pub(crate) fn value(server: &Server, token: &str, expression: &str) -> Option<f64> {
    let mut query = String::new();
    for byte in expression.bytes() {
        write!(query, "%{byte:02x}").expect("a string takes all");
    }
    let answer = get(server.address, &format!("/api/v1/query?query={query}"), token).json();
    let result = answer["data"]["result"].as_array().expect("a vector");
    assert!(result.len() <= 1, "{expression} is ambiguous: {answer}");
    let number = |value: &Value| value.as_str()?.parse().ok();
    number(&result.first()?["value"][1])
}

/// Waits until a unit's state and what is known of its end are these.
#[track_caller]
fn check_end(server: &Server, token: &str, service: &str, expected: &[(&str, f64)]) {
    let all = [("node_systemd_unit_state{name=\"NAME\",state=\"failed\"}", 1.0)];
    for (expression, expected) in all.iter().chain(expected) {
        let expression = expression.replace("NAME", &format!("{service}.service"));
        wait_for(&format!("{expression} to be {expected}"), || {
            (value(server, token, &expression) == Some(*expected)).then_some(())
        });
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn every_way_in_which_a_service_ends_is_told() {
    let Some(mut systemd) = Systemd::start() else { return };
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let token = server.token(&["token", "create", "test"]);
    systemd.add_service("before", "", "ExecStart=/bin/sh -c 'exit 4'");
    systemd.run("systemctl start before");
    systemd.start_agent(&server, state.path(), "");
    let exit_code = "muster_systemd_unit_exit_code{name=\"NAME\"}";
    let signal = "muster_systemd_unit_exit_signal{name=\"NAME\"}";
    let result =
        |result| format!("muster_systemd_unit_result{{name=\"NAME\",result=\"{result}\"}}");
    let failed = result("exit-code");
    check_end(&server, &token, "before", &[(&failed, 1.0), (exit_code, 4.0)]);

    systemd.add_service("killed", "", "ExecStart=/bin/sleep 1000");
    systemd.run("systemctl start killed; systemctl kill -s KILL killed");
    check_end(&server, &token, "killed", &[(&result("signal"), 1.0), (signal, 9.0)]);

    systemd.add_service("exits", "", "ExecStart=/bin/sh -c 'exit 3'");
    systemd.run("systemctl start exits");
    check_end(&server, &token, "exits", &[(&failed, 1.0), (exit_code, 3.0)]);

    systemd.add_service("hangs", "", "ExecStart=/bin/sleep 1000\nWatchdogSec=1\nNotifyAccess=all");
    systemd.run("systemctl start hangs");
    check_end(&server, &token, "hangs", &[(&result("watchdog"), 1.0), (signal, 6.0)]);

    let often = "StartLimitIntervalSec=60\nStartLimitBurst=3";
    systemd.add_service("loops", often, "ExecStart=/bin/true\nRestart=always\nRestartSec=0");
    systemd.run("systemctl start loops");
    let restarts = "node_systemd_service_restart_total{name=\"NAME\"} > bool 1";
    check_end(&server, &token, "loops", &[(&result("start-limit-hit"), 1.0), (restarts, 1.0)]);

    assert_eq!(value(&server, &token, "node_systemd_system_running"), Some(0.0));
    assert_eq!(value(&server, &token, "node_systemd_units{state=\"failed\"}"), Some(5.0));

    if !systemd.run("cat /sys/fs/cgroup/cgroup.controllers").contains("memory") {
        println!("skipped: the kernel lends no memory controller to this systemd");
        return;
    }
    let eats = "ExecStart=/usr/bin/tail /dev/zero\nMemoryMax=20M\nMemorySwapMax=0";
    systemd.add_service("eats", "", eats);
    systemd.run("systemctl start eats");
    check_end(&server, &token, "eats", &[(&result("oom-kill"), 1.0)]);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_killed_service_is_on_the_server_within_a_second() {
    let Some(mut systemd) = Systemd::start() else { return };
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let token = server.token(&["token", "create", "test"]);
    systemd.add_service("victim", "StartLimitIntervalSec=0", "ExecStart=/bin/sleep 1000");
    systemd.start_agent(&server, state.path(), "");
    let failed = "node_systemd_unit_state{name=\"victim.service\",state=\"failed\"}";
    let active = "node_systemd_unit_state{name=\"victim.service\",state=\"active\"}";
    let (mut times, mut slowest_query) = (Vec::new(), Duration::ZERO);
    for _ in 0..KILLS {
        systemd.run("systemctl start victim");
        wait_for("the service", || (value(&server, &token, active) == Some(1.0)).then_some(()));
        let pid = systemd.run("systemctl show -P MainPID victim");
        let killed = Instant::now();
        systemd.run(&format!("kill -KILL {}", pid.trim()));
        loop {
            let asked = Instant::now();
            let told = value(&server, &token, failed) == Some(1.0);
            slowest_query = slowest_query.max(asked.elapsed());
            if told {
                break;
            }
            assert!(killed.elapsed() < PATIENCE, "the kill is never told");
            std::thread::sleep(Duration::from_millis(10));
        }
        times.push(killed.elapsed());
    }
    times.sort_unstable();
    let (median, worst) = (times[KILLS / 2], times[KILLS - 1]);
    println!(
        "from kill to query over {KILLS} runs: median {median:?}, worst {worst:?}; slowest query {slowest_query:?}"
    );
    if slowest_query > AT_ONCE / 4 {
        println!(
            "this machine is too busy to hold {AT_ONCE:?}: a query alone took {slowest_query:?}"
        );
        assert!(worst < 10 * slowest_query, "{times:?}");
    } else {
        assert!(worst < AT_ONCE, "{times:?}");
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn the_bus_may_go_and_come_back() {
    let Some(mut systemd) = Systemd::start() else { return };
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let token = server.token(&["token", "create", "test"]);
    systemd.start_agent(&server, state.path(), "");
    for (at, upset) in ["systemctl daemon-reexec", "systemctl restart dbus"].iter().enumerate() {
        let service = format!("service-{at}");
        systemd.add_service(&service, "", "ExecStart=/bin/sleep 1000");
        systemd.run(&format!("systemctl start {service}"));
        let active =
            format!("node_systemd_unit_state{{name=\"{service}.service\",state=\"active\"}}");
        wait_for("the service", || (value(&server, &token, &active) == Some(1.0)).then_some(()));
        systemd.run(upset);
        systemd.run(&format!("systemctl kill -s KILL {service}"));
        check_end(&server, &token, &service, &[]);
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_process_looked_for_by_name_is_told_as_it_comes_and_goes() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::alone(dir.path());
    let (join, token) = (server.token(&["enroll-token"]), server.token(&["token", "create", "t"]));
    // A number of seconds that nothing else on this machine sleeps.
    let seconds = format!("7{}", std::process::id());
    let mut agent = Command::new(binary())
        .args(["agent", "--server", &format!("http://{}", server.address), "--token", &join])
        .args(["--state-dir", &state.path().display().to_string(), "--interval", "30s"])
        .args(["--watch-process", &format!("sleeper=^sleep {seconds}$")])
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let is = |metric: &str, expected: f64| {
        let expression = format!("{metric}{{name=\"sleeper\"}}");
        wait_for(&format!("{expression} to be {expected}"), || {
            (value(&server, &token, &expression) == Some(expected)).then_some(())
        });
    };
    is("muster_named_processes", 0.0);
    let mut sleeper = Command::new("sleep").arg(&seconds).spawn().expect("every system has it");
    is("muster_named_processes", 1.0);
    sleeper.kill().expect("it is ours");
    sleeper.wait().expect("it is ours");
    is("muster_named_process_exits_total", 1.0);
    is("muster_named_processes", 0.0);
    agent.kill().expect("it is ours");
    agent.wait().expect("it is ours");
}
