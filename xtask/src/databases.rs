//! MariaDB and PostgreSQL for tests: the programs of the system's packages, started by ourselves on scratch folders and free
//! ports of loopback, and stopped when the tests are over. The system's own services and their data are left alone.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::text_of;
use crate::workspace::Workspace;

/// How long a server may take until it answers; a loaded machine takes its time.
const START: Duration = Duration::from_mins(2);
/// How long a server may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(100);

/// The tests' variable for the URL of MariaDB, without the name of a database.
const MARIADB: &str = "MUSTER_TEST_MARIADB";
/// The tests' variable for the URL of PostgreSQL, without the name of a database.
const POSTGRES: &str = "MUSTER_TEST_POSTGRES";
/// The tests' variable for the file of the certificate that both servers show.
const CERTIFICATE: &str = "MUSTER_TEST_DATABASE_CERTIFICATE";

/// Servers at work; they are stopped and their folder is removed when this is dropped.
#[derive(Default)]
pub(crate) struct Databases {
    /// Before the folder, so that they stop before it goes.
    servers: Vec<Server>,
    variables: Vec<(&'static str, String)>,
    /// What could not be started, and why.
    pub(crate) skipped: Vec<String>,
    /// Kept for its end.
    folder: Option<TempDir>,
}

impl Databases {
    /// Starts those whose programs are here.
    pub(crate) fn start() -> Self {
        let mut databases = Self::default();
        if let Err(error) = databases.start_all() {
            databases.skipped.push(format!("the tests on database servers: {error:#}"));
        }
        databases
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        let folder = TempDir::with_prefix("muster-databases-")?;
        // The servers run as users of their own, who must get through to their folders.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let certificate = make_certificate(folder.path());
        if let Err(error) = &certificate {
            self.skipped.push(format!("TLS to database servers: {error:#}"));
        }
        let certificate = certificate.ok();
        let folder = self.folder.insert(folder).path();
        let mariadb = start_mariadb(folder, certificate.as_ref());
        let postgres = start_postgres(folder, certificate.as_ref());
        for (variable, name, started) in
            [(MARIADB, "MariaDB", mariadb), (POSTGRES, "PostgreSQL", postgres)]
        {
            match started {
                Ok((server, url)) => {
                    self.servers.push(server);
                    self.variables.push((variable, url));
                }
                Err(error) => self.skipped.push(format!("the tests on {name}: {error:#}")),
            }
        }
        if let Some(certificate) = certificate {
            self.variables.push((CERTIFICATE, certificate.file.display().to_string()));
        }
        Ok(())
    }

    /// Tells a command where they are.
    pub(crate) fn name<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)))
    }
}

/// `cargo xtask databases COMMAND…`: runs a command with both at hand.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let (program, rest) = arguments.split_first().context(
        "name the command to run, as in: cargo xtask databases cargo test -p muster-meta",
    )?;
    let databases = Databases::start();
    for skip in &databases.skipped {
        eprintln!("skipped: {skip}");
    }
    let mut command = Command::new(program);
    command.args(rest).current_dir(&workspace.root);
    let status = databases.name(&mut command).status();
    let status = status.with_context(|| format!("cannot start {program}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A process that ends with this.
struct Server {
    child: Child,
}

impl Server {
    /// Starts a server and waits until `answers` says so.
    fn spawn(mut command: Command, log: &Path, answers: impl Fn() -> bool) -> anyhow::Result<Self> {
        let output = fs::File::create(log)?;
        let program = command.get_program().display().to_string();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut server = Self { child };
        let started = Instant::now();
        while !answers() {
            let ended = server.child.try_wait()?;
            if ended.is_some() || started.elapsed() > START {
                let said = fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().rev().find(|line| !line.is_empty()).unwrap_or("nothing");
                anyhow::bail!("{program} does not answer; it said last: {last}");
            }
            std::thread::sleep(TICK);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // PostgreSQL stops at this signal without waiting for clients, and MariaDB stops at it as well.
        let process = self.child.id().to_string();
        let asked = Command::new("kill").args(["-INT", &process]).status();
        let asked = asked.is_ok_and(|status| status.success())
            && Command::new("kill").args(["-TERM", &process]).status().is_ok();
        let started = Instant::now();
        while asked && started.elapsed() < STOP {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(TICK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_mariadb(folder: &Path, tls: Option<&Certificate>) -> anyhow::Result<(Server, String)> {
    let (server, install) = ("/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db");
    anyhow::ensure!(Path::new(server).exists(), "it is not installed (package mariadb-server)");
    let owner = Owner::of("mysql")?;
    let data = owner.folder(folder, "mariadb")?;
    let data_dir = format!("--datadir={}", data.display());
    let user = format!("--user={}", owner.name);
    let mut command = Command::new(install);
    command.args(["--no-defaults", &data_dir, &user, "--skip-test-db"]);
    command.arg("--auth-root-authentication-method=normal");
    text_of(&mut command)?;

    let port = free_port()?;
    let mut command = Command::new(server);
    // Nothing here must survive a power cut.
    command.args(["--no-defaults", &data_dir, &user, "--bind-address=127.0.0.1"]);
    command.args([&format!("--port={port}"), &format!("--socket={}/socket", data.display())]);
    command.args([
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--skip-log-bin",
    ]);
    command.args(["--innodb-buffer-pool-size=64M", "--max-connections=500"]);
    if let Some(tls) = tls {
        let (file, key) = tls.copy_for(&owner, &data)?;
        command.args([format!("--ssl-cert={file}"), format!("--ssl-key={key}")]);
    }
    let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    let server = Server::spawn(command, &folder.join("mariadb.log"), answers)?;
    Ok((server, format!("mysql://root@127.0.0.1:{port}")))
}

fn start_postgres(folder: &Path, tls: Option<&Certificate>) -> anyhow::Result<(Server, String)> {
    let programs = postgres_programs().context("it is not installed (package postgresql)")?;
    let owner = Owner::of("postgres")?;
    let data = owner.folder(folder, "postgres")?;
    let mut command = owner.command(&programs.join("initdb"));
    command.arg("--pgdata").arg(&data).args(["--username=postgres", "--auth=trust", "--no-sync"]);
    text_of(command.args(["--encoding=UTF8", "--locale=C"]))?;

    let port = free_port()?;
    let mut command = owner.command(&programs.join("postgres"));
    command.arg("-D").arg(&data).arg("-k").arg(&data).args(["-h", "127.0.0.1", "-F"]);
    command.args(["-p", &port.to_string(), "-c", "max_connections=500"]);
    if let Some(tls) = tls {
        let (file, key) = tls.copy_for(&owner, &data)?;
        command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={file}")]);
        command.args(["-c", &format!("ssl_key_file={key}")]);
    }
    let answers = || {
        let mut ask = Command::new(programs.join("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        ask.status().is_ok_and(|status| status.success())
    };
    let server = Server::spawn(command, &folder.join("postgres.log"), answers)?;
    Ok((server, format!("postgres://postgres@127.0.0.1:{port}")))
}

/// Where the newest PostgreSQL has its programs; Debian keeps several versions apart.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let version = |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| version(path))?;
    Some(newest.join("bin")).filter(|programs| programs.join("initdb").exists())
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Who a server runs as: its own user where we are root, which PostgreSQL refuses to run as, else ourselves.
struct Owner {
    name: String,
    /// Number of the user and of the group, where they are not ours.
    numbers: Option<(u32, u32)>,
}

impl Owner {
    fn of(user: &str) -> anyhow::Result<Self> {
        let number = |flag: &str, name: &str| -> anyhow::Result<u32> {
            Ok(text_of(Command::new("id").args([flag, name]))?.trim().parse()?)
        };
        let own = text_of(Command::new("id").arg("-un"))?.trim().to_owned();
        if own != "root" {
            return Ok(Self { name: own, numbers: None });
        }
        Ok(Self {
            name: user.to_owned(),
            numbers: Some((number("-u", user)?, number("-g", user)?)),
        })
    }

    fn own(&self, path: &Path) -> anyhow::Result<()> {
        if let Some((user, group)) = self.numbers {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    fn folder(&self, within: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let folder = within.join(name);
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        self.own(&folder)?;
        Ok(folder)
    }

    /// A command that runs as this user.
    fn command(&self, program: &Path) -> Command {
        let Some((user, group)) = self.numbers else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}")]);
        command.arg("--clear-groups").arg(program);
        command
    }
}

/// What the servers prove themselves with.
struct Certificate {
    file: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Copies both to where a server's user can read them; their paths.
    fn copy_for(&self, owner: &Owner, folder: &Path) -> anyhow::Result<(String, String)> {
        // MariaDB takes whatever lies in its folder for a database, but for files.
        let copies = [&self.file, &self.key].map(|from| {
            let to = folder.join(from.file_name().expect("it was made with a name"));
            fs::copy(from, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            owner.own(&to)?;
            anyhow::Ok(to.display().to_string())
        });
        let [file, key] = copies;
        Ok((file?, key?))
    }
}

/// A certificate of its own for 127.0.0.1, by the openssl program.
fn make_certificate(folder: &Path) -> anyhow::Result<Certificate> {
    let (file, key) = (folder.join("server.pem"), folder.join("server.key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]);
    command.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&file);
    text_of(&mut command)?;
    Ok(Certificate { file, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_by_itself_is_told_with_its_last_words() {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no room on the disk >&2; exit 1"]);
        let error = Server::spawn(command, &folder.path().join("log"), || false).err().unwrap();
        assert!(error.to_string().contains("said last: no room on the disk"), "{error}");
    }

    #[test]
    fn a_server_is_stopped_with_its_owner() {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600");
        let server = Server::spawn(command, &folder.path().join("log"), || true).unwrap();
        let process = PathBuf::from(format!("/proc/{}", server.child.id()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists());
    }
}
