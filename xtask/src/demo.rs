//! A fleet to look at: a server and simulated hosts, with a day of past, until Ctrl+C takes it all away.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::process;
use crate::workspace::Workspace;
use crate::{build, page};

/// How many hosts there are where nobody says.
const HOSTS: u32 = 50;
/// Not the port of `muster up`, which may run beside it.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7878);
/// The password unless `MUSTER_ADMIN_PASSWORD` has another; what it guards is not real, and on loopback.
const PASSWORD: &str = "muster-demo";
const PASSWORD_VARIABLE: &str = "MUSTER_ADMIN_PASSWORD";
/// How much past the hosts bring along, and how far apart its samples are: fine enough for `rate(…[5m])`.
const PAST: (&str, &str) = ("24h", "1m");
/// Time between samples of the present; a real agent's.
const INTERVAL: &str = "5s";
/// How often to look whether a child ended by itself.
const TICK: Duration = Duration::from_millis(250);
/// How much of a child's log is shown when it ends by itself.
const LAST_LINES: usize = 20;

/// `cargo xtask demo [--hosts N]`; comes back at Ctrl+C, or with the error that ended a child.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let hosts = hosts(arguments)?;
    page::build(workspace, "[1/3] ")?;
    build::release(workspace, &build::BINARIES, "[2/3] ")?;
    eprintln!("[3/3] starting a server and {hosts} simulated hosts …");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot wait for signals")?;
    runtime.block_on(async {
        // Before there is anything to take away, so that no Ctrl+C leaves it behind.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut demo = Demo::start(workspace, hosts)?;
        println!("{}", demo.greeting());
        loop {
            tokio::select! {
                // The children hear a Ctrl+C as well; that they end is then no failure.
                biased;
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                () = tokio::time::sleep(TICK) => demo.check()?,
            }
        }
        eprintln!("stopping; the demo's data is removed");
        Ok(ExitCode::SUCCESS)
    })
}

/// The number after `--hosts`.
fn hosts(arguments: &[String]) -> anyhow::Result<u32> {
    match arguments {
        [] => Ok(HOSTS),
        [flag, number] if flag == "--hosts" => {
            number.parse().ok().filter(|hosts| *hosts > 0).with_context(|| {
                format!("--hosts {number:?} is no number of hosts; write --hosts {HOSTS}")
            })
        }
        other => {
            anyhow::bail!("`cargo xtask demo` knows no `{}`; it takes --hosts N", other.join(" "))
        }
    }
}

/// Everything that runs. The children end before their folder goes.
struct Demo {
    simulation: Running,
    server: Running,
    password: Option<&'static str>,
    _folder: TempDir,
}

impl Demo {
    fn start(workspace: &Workspace, hosts: u32) -> anyhow::Result<Self> {
        let folder =
            TempDir::with_prefix("muster-demo-").context("cannot make a temporary folder")?;
        let data = folder.path().join("server").display().to_string();
        let muster = workspace.binary("muster");
        let password = std::env::var_os(PASSWORD_VARIABLE).is_none().then_some(PASSWORD);

        let listen = LISTEN.to_string();
        let mut command = Command::new(&muster);
        command.args(["server", "--listen", &listen, "--data-dir", &data]);
        command.envs(password.map(|password| (PASSWORD_VARIABLE, password)));
        let mut server = Running::spawn("the server", command, Stdio::piped(), folder.path())?;
        server.wait_for_line("page: ")?;

        let uses = hosts.to_string();
        let mut command = Command::new(&muster);
        command.args(["enroll-token", "--uses", &uses, "--data-dir", &data]);
        let said = process::text_of(&mut command)?;
        let token = said.lines().last().context("enroll-token printed nothing")?;

        let mut command = Command::new(workspace.binary("muster-simulation"));
        command.args(["--server", &format!("http://{LISTEN}"), "--token", token]);
        command.args(["--hosts", &uses, "--interval", INTERVAL]);
        command.args(["--backfill", PAST.0, "--backfill-step", PAST.1]);
        // It cannot remove its own temporary folder when it is killed, so that lies in ours.
        command.env("TMPDIR", folder.path());
        let simulation = Running::spawn("the simulation", command, Stdio::null(), folder.path())?;
        Ok(Self { simulation, server, password, _folder: folder })
    }

    fn greeting(&self) -> String {
        let password = self.password.unwrap_or("the one in MUSTER_ADMIN_PASSWORD");
        format!(
            "\npage:     http://{LISTEN}/\nuser:     admin\npassword: {password}\n\n\
             The hosts bring the last {} along, which takes some seconds. Ctrl+C ends it all.",
            PAST.0
        )
    }

    /// Fails where a child ended by itself.
    fn check(&mut self) -> anyhow::Result<()> {
        self.server.check()?;
        self.simulation.check()
    }
}

/// A child and its log; killed when dropped.
struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    fn spawn(
        name: &'static str,
        mut command: Command,
        stdout: Stdio,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let sink = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(sink)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { name, child, log })
    }

    /// Reads its output up to a line that begins so, and lets the rest run off.
    fn wait_for_line(&mut self, start: &str) -> anyhow::Result<()> {
        let stdout = self.child.stdout.take().expect("it is read but once, and was piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        if !lines.any(|line| line.starts_with(start)) {
            let status = self.child.wait().context("cannot wait for a child")?;
            return Err(self.ended(status));
        }
        std::thread::spawn(move || lines.for_each(drop));
        Ok(())
    }

    fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("cannot ask for a child's state")? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let said = last_lines(&log, LAST_LINES);
        anyhow::anyhow!("{} ended by itself ({status}):\n{said}", self.name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: Result<u32, &str>) {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        match (hosts(&arguments), expected) {
            (Ok(hosts), Ok(expected)) => assert_eq!(hosts, expected),
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.contains(part), "{error}");
            }
            (result, _) => panic!("{result:?} of {arguments:?}"),
        }
    }

    #[test]
    fn the_number_of_hosts_can_be_chosen() {
        check(&[], Ok(50));
        check(&["--hosts", "7"], Ok(7));
        check(&["--hosts", "0"], Err("no number of hosts"));
        check(&["--hosts", "many"], Err("no number of hosts"));
        check(&["--hosts"], Err("knows no `--hosts`"));
        check(&["--fast"], Err("knows no `--fast`"));
    }

    fn shell(folder: &Path, script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::spawn("a child", command, Stdio::piped(), folder).unwrap()
    }

    #[test]
    fn a_child_that_ends_by_itself_is_told_with_its_last_words() {
        let folder = TempDir::new().unwrap();
        let mut child = shell(folder.path(), "echo the port is taken >&2; exit 3");
        let error = child.wait_for_line("page: ").unwrap_err().to_string();
        assert!(error.contains("a child ended by itself"), "{error}");
        assert!(error.contains("the port is taken"), "{error}");
        assert!(child.check().is_err());
    }

    #[test]
    fn a_child_is_killed_before_its_folder_goes() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_owned();
        let mut child = shell(&path, "echo page: here; exec sleep 600");
        child.wait_for_line("page: ").unwrap();
        child.check().unwrap();
        let process = PathBuf::from(format!("/proc/{}", child.child.id()));
        assert!(process.exists());
        drop(child);
        assert!(!process.exists());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
