//! Docker and Podman, asked for the names and images of their containers.
//!
//! One question, which is always the same and changes nothing: `GET /containers/json` over the Unix
//! socket. No ID, nor anything else that the host's tenants may choose, gets into it. It is asked on a
//! thread that lives for it, so that an engine that hangs holds up nobody.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Where the engines listen, below the root of the file system.
const SOCKETS: [&str; 2] = ["run/docker.sock", "run/podman/podman.sock"];
/// How long an engine may take to answer, all in all.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the collector waits for the answer when new containers have come; what comes later is taken
/// with the next reading.
const PATIENCE: Duration = Duration::from_millis(100);
/// Largest answer that is read, in bytes: some thousand containers.
const MAX_ANSWER: u64 = 8 << 20;
/// How often the engines are asked although no container is new: one may have another name now. In
/// monotonic milliseconds.
const REFRESH_MS: i64 = 10 * 60_000;
/// How long an engine that does not answer, or does not know a container, is left alone.
const RETRY_MS: i64 = 5 * 60_000;
const STACK_BYTES: usize = 256 << 10;
/// Longest name or image that is told, in bytes.
const MAX_TEXT: usize = 256;

/// What an engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) image: String,
}

type Answer = HashMap<String, Known>;

/// The engines of a host.
#[derive(Debug)]
pub(super) struct Engine {
    sockets: Vec<PathBuf>,
    known: Answer,
    /// Of whom nothing was known when the engines were asked last.
    nameless: HashSet<String>,
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    is_under_way: bool,
    asked_ms: Option<i64>,
}

impl Engine {
    pub(super) fn new(rootfs: &Path) -> Self {
        let (sender, answers) = channel();
        let sockets = SOCKETS.map(|path| rootfs.join(path)).to_vec();
        Self {
            sockets,
            known: Answer::new(),
            nameless: HashSet::new(),
            sender,
            answers,
            is_under_way: false,
            asked_ms: None,
        }
    }

    /// What is known of a container by its whole ID.
    pub(super) fn known(&self, id: &str) -> Option<&Known> {
        self.known.get(id)
    }

    /// Asks the engines, if there is reason to: a container that is new, or a long time.
    pub(super) fn ask<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now_ms: i64) {
        let mut ids = ids.peekable();
        let since_ms = self.asked_ms.map_or(i64::MAX, |asked_ms| now_ms - asked_ms);
        let has_any = ids.peek().is_some();
        let unknown: HashSet<&str> = ids.filter(|id| !self.known.contains_key(*id)).collect();
        // One that the engines did not know when they were asked is most likely another runtime's.
        let is_due = unknown.iter().any(|id| !self.nameless.contains(*id))
            || (!unknown.is_empty() && since_ms >= RETRY_MS)
            || (has_any && since_ms >= REFRESH_MS);
        if self.is_under_way || !is_due || !self.sockets.iter().any(|socket| socket.exists()) {
            return;
        }
        self.nameless = unknown.into_iter().map(str::to_owned).collect();
        self.asked_ms = Some(now_ms);
        self.is_under_way = true;
        let (sockets, sender) = (self.sockets.clone(), self.sender.clone());
        let thread = thread::Builder::new().name("containers".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let answers = sockets.iter().filter_map(|socket| list(socket, DEADLINE).ok());
            // Nobody listens any more once the registry is gone.
            let _ = sender.send(answers.flatten().collect());
        });
        if spawned.is_err() {
            self.is_under_way = false;
            return;
        }
        if let Ok(answer) = self.answers.recv_timeout(PATIENCE) {
            self.handle_answer(answer);
        }
    }

    /// Takes an answer that has come meanwhile.
    pub(super) fn take_answer(&mut self) {
        if let Ok(answer) = self.answers.try_recv() {
            self.handle_answer(answer);
        }
    }

    fn handle_answer(&mut self, answer: Answer) {
        self.is_under_way = false;
        // An engine that is being restarted does not make its containers nameless.
        if !answer.is_empty() {
            self.known = answer;
        }
    }
}

/// The containers that an engine runs.
fn list(socket: &Path, deadline: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + deadline;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(
        b"GET /containers/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => break,
            len => answer.extend_from_slice(&buffer[..len]),
        }
        if answer.len() as u64 > MAX_ANSWER {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    parse(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A container as the engines write it; a list of other things is refused.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: Option<String>,
}

/// The containers of a whole answer, from the status line on; `None` if it is no such list.
fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?;
    if status != "200" {
        return None;
    }
    let is_chunked = lines.any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.ends_with("chunked")
    });
    let body = &answer[end + 4..];
    let listed: Vec<Listed> = if is_chunked {
        serde_json::from_slice(&without_chunks(body)?).ok()?
    } else {
        serde_json::from_slice(body).ok()?
    };
    let known = listed.into_iter().map(|it| {
        let name = it.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
        let name = text(name.trim_start_matches('/'));
        let name = if name.is_empty() { text(&it.id) } else { name };
        (it.id, Known { name, image: text(&it.image.unwrap_or_default()) })
    });
    Some(known.collect())
}

/// What the chunks of a body hold, up to the empty last one.
fn without_chunks(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        body = &body[line + 2..];
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(body.get(..size)?);
        body = body.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn text(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    text[..end].chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"[{"Id":"ab","Names":["/web"],"Image":"nginx:1","Ports":[]},{"Id":"cd"}]"#;

    fn expected() -> Answer {
        let known = |name: &str, image: &str| Known { name: name.into(), image: image.into() };
        HashMap::from([("ab".into(), known("web", "nginx:1")), ("cd".into(), known("cd", ""))])
    }

    #[track_caller]
    fn check(answer: &str, expected: Option<&Answer>) {
        assert_eq!(parse(answer.as_bytes()).as_ref(), expected, "{answer}");
    }

    #[test]
    fn answers() {
        check(&format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{BODY}"), Some(&expected()));
        let (first, second) = BODY.split_at(20);
        let chunks = format!("14\r\n{first}\r\n{:x};x=y\r\n{second}\r\n0\r\n\r\n", second.len());
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{head}{chunks}"), Some(&expected()));
        check(&format!("{head}{}", &chunks[..40]), None);
        check(&format!("{head}ffffffffffffffff\r\n"), None);
        check("HTTP/1.1 403 Forbidden\r\n\r\n[]", None);
        check("HTTP/1.1 200 OK\r\n\r\n{\"message\":\"no\"}", None);
        check("", None);
    }

    #[test]
    fn an_engine_is_asked_over_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKETS[0])).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n{BODY}").unwrap();
            String::from_utf8_lossy(&request[..len]).into_owned()
        });
        let mut engine = Engine::new(folder.path());
        engine.ask(["ab"].into_iter(), 0);
        while engine.known("ab").is_none() {
            engine.take_answer();
            thread::yield_now();
        }
        assert_eq!(engine.known, expected());
        assert!(server.join().unwrap().starts_with("GET /containers/json HTTP/1.1\r\n"));
        assert!(!engine.is_under_way);
    }

    #[test]
    fn an_engine_that_hangs_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(list(&socket, Duration::from_millis(20)).is_err());
        assert!(list(&folder.path().join("none"), DEADLINE).is_err());
    }

    #[test]
    fn without_a_socket_or_a_container_nobody_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = Engine::new(folder.path());
        engine.ask(["ab"].into_iter(), 0);
        engine.ask(std::iter::empty(), REFRESH_MS);
        assert_eq!((engine.is_under_way, engine.asked_ms), (false, None));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(bytes: Vec<u8>, cut in 0_usize..120) {
            let _ = (parse(&bytes), without_chunks(&bytes));
            let whole = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{BODY}");
            let mut damaged = whole.as_bytes()[..cut.min(whole.len())].to_vec();
            damaged.extend(bytes);
            let _ = parse(&damaged);
        }
    }
}
