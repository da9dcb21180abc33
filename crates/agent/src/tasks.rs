//! Everything that the agent runs beside its loop, spawned here and nowhere else.

use std::io;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::thread;

use muster_collectors::{Change, CollectorSettings, Watcher};
use muster_environment::Clock;
use muster_wire::ProcessTable;
use rustix::time::{ClockId, clock_gettime};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::{self, JoinHandle};

use crate::fallback::Address;
use crate::link::{self, LinkEvent};
use crate::recorder::Write;
use crate::recorder::disk::RecorderDisk;
use crate::schedule::Due;
use crate::source::{Collection, ProcessSource, Source};
use crate::target::Target;
use crate::watching;

/// What a collector needs at its deepest; the default of 2 MiB is not for a host with 8 MiB in all.
const COLLECTOR_STACK_BYTES: usize = 512 << 10;
/// What a watcher needs at its deepest.
const WATCHER_STACK_BYTES: usize = 256 << 10;
/// Sets of changes that wait for the agent's loop.
const CHANGES_WAITING: usize = 4;
/// What writing a file needs.
const RECORDER_STACK_BYTES: usize = 128 << 10;
/// Frames of the server that wait for the agent's loop.
const EVENTS_WAITING: usize = 16;

/// A finished collection.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) due: Due,
    pub(crate) collection: Collection,
    pub(crate) took_ms: i64,
    /// CPU time that the collector's thread has used since its start, in microseconds.
    pub(crate) thread_cpu_us: i64,
}

/// What the collecting thread is asked.
#[derive(Debug)]
enum Request {
    Collect(Due),
    Configure(Box<CollectorSettings>),
}

/// The thread that collects. It ends when this is dropped; it is not waited for, since a file system
/// that hangs may hold it for ever.
#[derive(Debug)]
pub(crate) struct Collector {
    requests: blocking::Sender<Request>,
    collected: mpsc::Receiver<Collected>,
    busy: bool,
}

impl Collector {
    /// Starts the thread.
    pub(crate) fn spawn(mut source: Box<dyn Source>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (requests, to_do) = blocking::channel::<Request>();
        let (done, collected) = mpsc::channel(1);
        thread::Builder::new().name("collector".into()).stack_size(COLLECTOR_STACK_BYTES).spawn(
            move || {
                for request in to_do {
                    let due = match request {
                        Request::Collect(due) => due,
                        Request::Configure(settings) => {
                            source.configure(&settings);
                            continue;
                        }
                    };
                    let started_ms = clock.monotonic_ms();
                    let collection = source.collect(due.tick, due.timestamp_ms);
                    let took_ms = clock.monotonic_ms() - started_ms;
                    let thread_cpu_us = cpu_us(ClockId::ThreadCPUTime);
                    let collected = Collected { due, collection, took_ms, thread_cpu_us };
                    if done.blocking_send(collected).is_err() {
                        break;
                    }
                }
            },
        )?;
        Ok(Self { requests, collected, busy: false })
    }

    /// Asks for a collection, unless the last one still runs: then this one is skipped, and false returned.
    pub(crate) fn request(&mut self, due: Due) -> bool {
        if self.busy || self.requests.send(Request::Collect(due)).is_err() {
            return false;
        }
        self.busy = true;
        true
    }

    /// Gives the source settings, which it takes over between two collections. A thread that has ended needs none.
    pub(crate) fn configure(&self, settings: CollectorSettings) {
        let _ = self.requests.send(Request::Configure(Box::new(settings)));
    }

    /// Waits for the collection asked for; none means that the thread has ended.
    pub(crate) async fn next(&mut self) -> Option<Collected> {
        let collected = self.collected.recv().await?;
        self.busy = false;
        Some(collected)
    }
}

/// The thread that watches. It ends within seconds after this is dropped; it is not waited for.
#[derive(Debug)]
pub(crate) struct Watching(mpsc::Receiver<Vec<Change>>);

impl Watching {
    /// Starts the thread, if there is anything to watch.
    pub(crate) fn spawn(
        watchers: Vec<Box<dyn Watcher>>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let (tell, changes) = mpsc::channel(CHANGES_WAITING);
        if !watchers.is_empty() {
            thread::Builder::new()
                .name("watcher".into())
                .stack_size(WATCHER_STACK_BYTES)
                .spawn(move || watching::run(watchers, &*clock, &tell))?;
        }
        Ok(Self(changes))
    }

    /// Waits for changes; for ever where nothing watches.
    pub(crate) async fn next(&mut self) -> Vec<Change> {
        match self.0.recv().await {
            Some(changes) => changes,
            None => std::future::pending().await,
        }
    }
}

/// CPU time that this process has used, in microseconds.
pub(crate) fn process_cpu_us() -> i64 {
    cpu_us(ClockId::ProcessCPUTime)
}

fn cpu_us(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

/// Says something at the fallback's address, and tells whether it was taken.
pub(crate) fn say(address: Arc<Address>, body: String) -> JoinHandle<bool> {
    tokio::spawn(async move { address.post(&body).await })
}

/// A write to the recorder's folder that was tried.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) write: Write,
    pub(crate) result: io::Result<()>,
}

enum RecorderJob {
    Write(Write),
    /// Note that the run ends on purpose.
    End(String),
}

/// The thread that writes the recorder's files. It ends when this is dropped; it is not waited for, since a disk may
/// hang for long, and nothing else must then.
#[derive(Debug)]
pub(crate) struct RecorderWriter {
    jobs: blocking::Sender<RecorderJob>,
    written: mpsc::Receiver<Written>,
    busy: bool,
}

impl RecorderWriter {
    /// Starts the thread.
    pub(crate) fn spawn(mut disk: RecorderDisk) -> io::Result<Self> {
        let (jobs, to_do) = blocking::channel();
        let (done, written) = mpsc::channel(1);
        thread::Builder::new().name("recorder".into()).stack_size(RECORDER_STACK_BYTES).spawn(
            move || {
                for job in to_do {
                    let tried = match job {
                        RecorderJob::Write(write) => Written { result: disk.write(&write), write },
                        RecorderJob::End(boot_id) => {
                            Written { result: disk.end_cleanly(&boot_id), write: Write::default() }
                        }
                    };
                    if done.blocking_send(tried).is_err() {
                        break;
                    }
                }
            },
        )?;
        Ok(Self { jobs, written, busy: false })
    }

    /// Whether a write is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Starts a write. Only one may be under way.
    pub(crate) fn start(&mut self, write: Write) {
        self.busy = self.jobs.send(RecorderJob::Write(write)).is_ok();
    }

    /// Starts to note that the run ends on purpose.
    pub(crate) fn start_end(&mut self, boot_id: String) {
        self.busy = self.jobs.send(RecorderJob::End(boot_id)).is_ok();
    }

    /// Waits for the write that is under way; for ever if there is none.
    pub(crate) async fn next(&mut self) -> Option<Written> {
        let written = self.written.recv().await;
        self.busy = false;
        written
    }
}

/// The thread that reads the processes while somebody looks. It ends when this is dropped, and is not waited for.
#[derive(Debug)]
pub(crate) struct ProcessReader {
    requests: blocking::Sender<()>,
    tables: mpsc::Receiver<ProcessTable>,
    busy: bool,
}

impl ProcessReader {
    /// Starts the thread.
    pub(crate) fn spawn(
        mut source: Box<dyn ProcessSource>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let (requests, to_do) = blocking::channel();
        let (done, tables) = mpsc::channel(1);
        thread::Builder::new().name("processes".into()).stack_size(COLLECTOR_STACK_BYTES).spawn(
            move || {
                for () in to_do {
                    let table = source.read(clock.now_ms(), clock.monotonic_ms());
                    if done.blocking_send(table).is_err() {
                        break;
                    }
                }
            },
        )?;
        Ok(Self { requests, tables, busy: false })
    }

    /// Asks for a table, unless the last one is still being read. A thread that has ended shows by [`ProcessReader::next`].
    pub(crate) fn request(&mut self) {
        if !self.busy {
            self.busy = true;
            let _ = self.requests.send(());
        }
    }

    /// Waits for the table asked for; none means that the thread has ended.
    pub(crate) async fn next(&mut self) -> Option<ProcessTable> {
        let table = self.tables.recv().await?;
        self.busy = false;
        Some(table)
    }
}

/// A connection that is open, or being opened.
#[derive(Debug)]
pub(crate) struct Link {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    events: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts to connect.
    pub(crate) fn spawn(target: Arc<Target>, tls: Option<Arc<ClientConfig>>) -> Self {
        // Not bounded by itself: the session's window bounds what is ever in it.
        let (frames, outgoing) = mpsc::unbounded_channel();
        let (to_agent, events) = mpsc::channel(EVENTS_WAITING);
        let task = task::spawn(link::run(target, tls, to_agent, outgoing));
        Self { frames, events, task }
    }

    /// Hands over a frame. One for a connection that has just ended is lost; its batch is not.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        let _ = self.frames.send(frame);
    }

    /// Waits for the next event; none comes after `Down`.
    pub(crate) async fn next(&mut self) -> Option<LinkEvent> {
        self.events.recv().await
    }

    /// Lets the frames handed over leave, closes the connection, and waits for that.
    pub(crate) async fn close(self) {
        let Self { frames, events, task } = self;
        drop(frames);
        drop(events);
        // A task that panicked has closed its connection too.
        let _ = task.await;
    }
}

/// Runs what blocks on the disk beside the loop's thread.
pub(crate) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    task::spawn_blocking(work).await.expect("disk work does not panic and is not cancelled")
}
