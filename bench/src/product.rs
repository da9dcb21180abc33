//! The products that are compared: how each is started, asked and brought to rest. All take remote write and answer PromQL.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::http::Connection;
use crate::process;

/// Longest start that is waited for: a log of a million series takes some products minutes.
const START_PATIENCE: Duration = Duration::from_mins(10);
const TICK: Duration = Duration::from_millis(10);
/// The password of an administrator whom nobody meets.
const PASSWORD: &str = "a-benchmark-on-loopback";
/// Prometheus takes what is up to two days behind, so that several connections need not wait for each other.
const PROMETHEUS_SETTINGS: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 2d\n";

/// One of the compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Product {
    Muster,
    VictoriaMetrics,
    Prometheus,
}

impl Product {
    pub(crate) const PEERS: [Self; 2] = [Self::VictoriaMetrics, Self::Prometheus];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Muster => "Muster",
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::Prometheus => "Prometheus",
        }
    }

    /// What starts it, where nobody says otherwise.
    fn program(self, muster: &Path) -> PathBuf {
        match self {
            Self::Muster => muster.to_owned(),
            Self::VictoriaMetrics => "victoria-metrics".into(),
            Self::Prometheus => "prometheus".into(),
        }
    }

    /// Its version: as it tells it, or of a peer as Debian's package has it, since not all of them tell it.
    pub(crate) fn version(self, muster: &Path) -> anyhow::Result<String> {
        let mut command = match self {
            Self::Muster => Command::new(muster),
            Self::VictoriaMetrics | Self::Prometheus => Command::new("dpkg-query"),
        };
        match self {
            Self::Muster => command.arg("--version"),
            peer => command.args(["--show", "--showformat=${Version}"]).arg(peer.program(muster)),
        };
        let program = command.get_program().display().to_string();
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        let name = self.name();
        ensure!(
            output.status.success(),
            "{name} is not here; `cargo xtask bench` installs the peers"
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn arguments(self, folder: &Path, address: SocketAddr) -> Vec<String> {
        let data = data_path(folder);
        let (folder, data) = (folder.display(), data.display());
        match self {
            Self::Muster => {
                vec!["server".into(), format!("--data-dir={data}"), format!("--listen={address}")]
            }
            Self::VictoriaMetrics => vec![
                format!("-storageDataPath={data}"),
                format!("-httpListenAddr={address}"),
                "-retentionPeriod=10y".into(),
            ],
            Self::Prometheus => vec![
                format!("--storage.tsdb.path={data}"),
                format!("--config.file={folder}/prometheus.yml"),
                format!("--web.listen-address={address}"),
                "--web.enable-remote-write-receiver".into(),
                "--web.enable-admin-api".into(),
                "--storage.tsdb.retention.time=10y".into(),
            ],
        }
    }

    fn ready_path(self) -> &'static str {
        match self {
            Self::Muster | Self::Prometheus => "/-/ready",
            Self::VictoriaMetrics => "/health",
        }
    }

    /// How it is started, for the report; `DIR` and the address stand for what differs.
    pub(crate) fn command_line(self) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], 6868));
        let program = self.program(Path::new("muster"));
        format!("{} {}", program.display(), self.arguments(Path::new("DIR"), address).join(" "))
    }
}

/// Where all of them take remote write.
const WRITE_PATH: &str = "/api/v1/write";
/// Headers of a remote-write request.
const WRITE_HEADERS: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
     X-Prometheus-Remote-Write-Version: 0.1.0\r\n";

/// A running product with a data folder of its own; it is killed, and the folder goes, when this is dropped.
pub(crate) struct Server {
    pub(crate) product: Product,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    folder: tempfile::TempDir,
    child: Child,
    authorization: Option<String>,
}

impl Server {
    /// Starts it on an empty folder and waits until it answers.
    pub(crate) fn start(product: Product, muster: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::TempDir::with_prefix("muster-bench-")?;
        if product == Product::Prometheus {
            fs::write(folder.path().join("prometheus.yml"), PROMETHEUS_SETTINGS)?;
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let program = product.program(muster);
        let child = spawn(product, &program, folder.path(), address)?;
        let mut server = Self { product, address, program, folder, child, authorization: None };
        server.wait_until_ready()?;
        if product == Product::Muster {
            let token = server.muster(&["token", "create", "bench", "--role", "admin"])?;
            server.authorization = Some(format!("Bearer {token}"));
        }
        Ok(server)
    }

    /// `kill -9`, and a start on the same folder, which returns at once.
    pub(crate) fn kill_and_start(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(self.product, &self.program, self.folder.path(), self.address)?;
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub(crate) fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let answer = Connection::open(self.address, None)
                .and_then(|mut connection| connection.get(self.product.ready_path()));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            let name = self.product.name();
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                anyhow::bail!("{name} ended by itself ({status}):\n{}", last.join("\n"));
            }
            ensure!(started.elapsed() < START_PATIENCE, "{name} does not become ready");
            std::thread::sleep(TICK);
        }
    }

    /// `muster ARGUMENTS` beside this server, which is Muster; gives the last line printed.
    pub(crate) fn muster(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data-dir").arg(self.data());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "muster {}: {said}", arguments.join(" "));
        let said = String::from_utf8(output.stdout)?;
        Ok(said.lines().last().context("muster printed nothing")?.to_owned())
    }

    /// A connection that may write and ask.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.address, self.authorization.as_deref())
    }

    /// Writes the body of a remote-write request; anything but success is an error.
    pub(crate) fn write(&self, connection: &mut Connection, body: &[u8]) -> anyhow::Result<()> {
        let answer = connection.post(WRITE_PATH, WRITE_HEADERS, body)?;
        answer.success(&format!("{} refuses samples", self.product.name())).map(drop)
    }

    /// Waits until all work in the background is done; gives the CPU time used up to then.
    pub(crate) fn rest(&self, quiet: Duration) -> anyhow::Result<f64> {
        process::wait_for_rest(self.pid(), quiet)
    }

    /// Has everything put into the form that it keeps for good, and gives the bytes on disk then.
    ///
    /// Prometheus keeps up to three hours in memory and log whatever one asks; what its blocks take in the end is
    /// told by a snapshot, which holds blocks only.
    pub(crate) fn settled_bytes(&self, quiet: Duration) -> anyhow::Result<u64> {
        let mut connection = self.connect()?;
        let name = self.product.name();
        match self.product {
            Product::Muster => {
                // A snapshot begins with writing all samples into blocks; hard links take no room.
                connection.post("/api/v1/admin/tsdb/snapshot", "", &[])?.success(name)?;
                connection.post("/api/v1/admin/tsdb/clean_tombstones", "", &[])?.success(name)?;
                self.rest(quiet)?;
                fs::remove_dir_all(self.snapshots()?).context("cannot remove the snapshot")?;
                self.disk_bytes()
            }
            Product::VictoriaMetrics => {
                connection.get("/internal/force_flush")?.success(name)?;
                connection.get("/internal/force_merge")?.success(name)?;
                self.rest(quiet)?;
                self.disk_bytes()
            }
            Product::Prometheus => {
                self.rest(quiet)?;
                connection.post("/api/v1/admin/tsdb/snapshot", "", &[])?.success(name)?;
                process::disk_bytes(&self.snapshots()?)
            }
        }
    }

    /// The folder of snapshots, wherever below the data folder it is.
    fn snapshots(&self) -> anyhow::Result<PathBuf> {
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)?.filter_map(Result::ok) {
                if entry.file_name() == "snapshots" {
                    return Ok(entry.path());
                }
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        anyhow::bail!("{} made no snapshot", self.product.name())
    }

    /// Bytes that its folder takes on disk now.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        process::disk_bytes(&self.data())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<process::Memory> {
        process::memory(self.pid())
    }

    /// Lets the peak of memory begin anew.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        process::forget_peak(self.pid())
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn log(&self) -> PathBuf {
        log_path(self.folder.path())
    }

    fn data(&self) -> PathBuf {
        data_path(self.folder.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data_path(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn spawn(
    product: Product,
    program: &Path,
    folder: &Path,
    address: SocketAddr,
) -> anyhow::Result<Child> {
    let log = fs::File::create(log_path(folder))?;
    Command::new(program)
        .args(product.arguments(folder, address))
        .env("MUSTER_ADMIN_PASSWORD", PASSWORD)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}
