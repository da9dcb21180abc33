//! A `muster` process with a data folder of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The administrator's password in all tests.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// The passphrase of all backups in tests.
pub(crate) const PASSPHRASE: &str = "a passphrase of tests";
/// How long anything may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("MUSTER_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_muster").into(), PathBuf::from)
}

/// `muster ARGUMENTS`, run to its end.
pub(crate) fn muster(arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .env("MUSTER_BACKUP_PASSPHRASE", PASSPHRASE)
        .env_remove("MUSTER_LOG")
        .output()
        .expect("the binary can be started")
}

/// What a process printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `check` gives something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port that was free a moment ago, on loopback, and stays so: the system gives those from 32768 on to whoever does not care.
pub(crate) fn free_address() -> SocketAddr {
    let first = 10_000 + u16::try_from(std::process::id() % 10_000).expect("it is below 10,000");
    let listener = (first..32_768).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    listener.and_then(|listener| listener.local_addr().ok()).expect("loopback has free ports")
}

/// `muster COMMAND` with its data in `data_dir`, on the address `listen`.
pub(crate) fn command_of(command: &str, data_dir: &Path, listen: &str, more: &[&str]) -> Command {
    let mut process = Command::new(binary());
    process
        .arg(command)
        .args(["--data-dir", &data_dir.display().to_string(), "--listen", listen])
        .args(more)
        .env_remove("MUSTER_LOG");
    process
}

/// A running `muster up` or `muster server`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) data_dir: PathBuf,
    /// What it printed on standard output before and with its address.
    pub(crate) greeting: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `muster COMMAND` on `listen` and waits until it says where its page is.
    pub(crate) fn start(command: &str, data_dir: &Path, listen: &str, more: &[&str]) -> Self {
        let mut command = command_of(command, data_dir, listen, more);
        let mut child = command
            .env("MUSTER_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let (sink, stderr) = (Arc::clone(&log), child.stderr.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no reader of the log panics");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        while !greeting.contains("page: ") {
            let read = lines.read_line(&mut greeting).expect("its output is text");
            assert!(read > 0, "it ended before it listened:\n{greeting}{}", log.lock().unwrap());
        }
        let url = greeting.split("page: ").nth(1).expect("just seen").trim().trim_end_matches('/');
        let address = url.split("://").nth(1).expect("a URL").parse().expect("an address");
        // The rest of its output is of no interest, but the pipe must not fill up.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, address, data_dir: data_dir.into(), greeting, log }
    }

    /// `muster up` on a free port.
    pub(crate) fn up(data_dir: &Path) -> Self {
        Self::start("up", data_dir, "127.0.0.1:0", &[])
    }

    /// `muster server` without TLS on a free port.
    pub(crate) fn alone(data_dir: &Path) -> Self {
        Self::start("server", data_dir, "127.0.0.1:0", &[])
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no reader of the log panics").clone()
    }

    /// Sends `signal` to this process.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid fits");
        let pid = rustix::process::Pid::from_raw(pid).expect("a child has a pid");
        rustix::process::kill_process(pid, signal).expect("the child is ours");
    }

    /// How much memory the process has, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a child that runs has a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kib.expect("the kernel tells the size of a process")
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// SIGTERM; gives the exit status and how long it took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        self.signal(rustix::process::Signal::TERM);
        let status = wait_for("the end of the process", || self.child.try_wait().expect("ours"));
        (status, started.elapsed())
    }

    /// `muster ARGUMENTS --data-dir …` beside this server.
    pub(crate) fn beside(&self, arguments: &[&str]) -> Output {
        let mut all = arguments.to_vec();
        let data_dir = self.data_dir.display().to_string();
        all.extend(["--data-dir", &data_dir]);
        muster(&all)
    }

    /// A new token, of `token create` or `enroll-token`: the last line printed.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        let output = self.beside(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().last().expect("it prints the token").to_owned()
    }

    /// The result of an instant query: labels and value of each series.
    pub(crate) fn query(&self, expression: &str) -> Vec<(serde_json::Value, f64)> {
        let output = self.beside(&["query", expression, "--json"]);
        assert!(output.status.success(), "{}\n{}", text(&output.stderr), self.log());
        let data: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let number = |value: &serde_json::Value| value.as_str()?.parse().ok();
        data["result"]
            .as_array()
            .expect("a vector")
            .iter()
            .map(|one| (one["metric"].clone(), number(&one["value"][1]).expect("a number")))
            .collect()
    }

    /// The samples of the series that a range selector like `up[1m]` gives: labels, and (ms, value) pairs.
    pub(crate) fn samples(&self, selector: &str) -> Vec<(serde_json::Value, Vec<(i64, f64)>)> {
        let output = self.beside(&["query", selector, "--json"]);
        assert!(output.status.success(), "{}\n{}", text(&output.stderr), self.log());
        let data: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let point = |pair: &serde_json::Value| {
            let ms = (pair[0].as_f64()? * 1_000.0).round() as i64;
            Some((ms, pair[1].as_str()?.parse().ok()?))
        };
        data["result"]
            .as_array()
            .expect("a matrix")
            .iter()
            .map(|one| {
                let points = one["values"].as_array().expect("points");
                (one["metric"].clone(), points.iter().map(|p| point(p).expect("a point")).collect())
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
