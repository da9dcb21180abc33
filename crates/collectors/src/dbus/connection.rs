//! A connection to a message bus: its socket, the greeting, and whole messages out of a stream of bytes.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dbus::hex_digit;
use crate::dbus::message::{self, Call, Message};

/// How long the bus may take for the greeting, and to take what is written.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// What the buffer shrinks to after a large message, in bytes.
const USUAL_BUFFER: usize = 32 << 10;
/// Longest answer of the bus to the greeting, in bytes.
const MAX_GREETING: usize = 512;

/// Why a connection ended, or was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbusError {
    /// The socket.
    #[error("{path}: {source}", path = path.display())]
    Socket { path: PathBuf, source: io::Error },
    /// The bus does not let this user in.
    #[error("{path}: the bus refuses this user: {answer:?}", path = path.display())]
    Refused { path: PathBuf, answer: String },
    /// What arrives is not D-Bus.
    #[error("{path}: the bus sends what is no message", path = path.display())]
    Malformed { path: PathBuf },
    /// The bus has closed the connection.
    #[error("{path}: the bus has closed the connection", path = path.display())]
    Closed { path: PathBuf },
}

/// An open connection. Reading never waits; writing does, for some seconds at most.
#[derive(Debug)]
pub(crate) struct Connection {
    path: PathBuf,
    stream: UnixStream,
    buffer: Vec<u8>,
    /// Bytes at the beginning of the buffer that are of messages already handed out.
    used: usize,
    next_serial: u32,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Connection {
    /// Connects to the bus at this socket and greets it.
    pub(crate) fn open(path: &Path) -> Result<Self, DbusError> {
        let connected = UnixStream::connect(path);
        let stream = connected.map_err(|source| DbusError::Socket { path: path.into(), source })?;
        Self::over(stream, path)
    }

    /// Greets the bus at the other end of `stream`; `path` is for errors.
    pub(crate) fn over(stream: UnixStream, path: &Path) -> Result<Self, DbusError> {
        let mut connection = Self {
            path: path.into(),
            stream,
            buffer: Vec::with_capacity(USUAL_BUFFER),
            used: 0,
            next_serial: 1,
        };
        connection.authenticate()?;
        let hello = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus".into(),
            interface: "org.freedesktop.DBus",
            member: "Hello",
            arguments: Vec::new(),
        };
        connection.send(&hello)?;
        let set = connection.stream.set_nonblocking(true);
        set.map_err(|source| connection.failed(source))?;
        Ok(connection)
    }

    fn failed(&self, source: io::Error) -> DbusError {
        DbusError::Socket { path: self.path.clone(), source }
    }

    /// The kernel tells the bus who we are; the text only has to agree.
    fn authenticate(&mut self) -> Result<(), DbusError> {
        let timeouts = self
            .stream
            .set_read_timeout(Some(GREETING_TIMEOUT))
            .and_then(|()| self.stream.set_write_timeout(Some(GREETING_TIMEOUT)));
        timeouts.map_err(|source| self.failed(source))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let mut greeting = "\0AUTH EXTERNAL ".to_owned();
        for digit in uid.bytes() {
            greeting.extend([digit >> 4, digit & 15].map(hex_digit));
        }
        greeting.push_str("\r\n");
        self.stream.write_all(greeting.as_bytes()).map_err(|source| self.failed(source))?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") {
            let mut byte = [0];
            let read = self.stream.read(&mut byte).map_err(|source| self.failed(source))?;
            if read == 0 || answer.len() == MAX_GREETING {
                break;
            }
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"OK ") || !answer.ends_with(b"\r\n") {
            let answer = String::from_utf8_lossy(&answer).trim_end().to_owned();
            return Err(DbusError::Refused { path: self.path.clone(), answer });
        }
        self.stream.write_all(b"BEGIN\r\n").map_err(|source| self.failed(source))
    }

    /// Sends a call; its number is in the reply.
    pub(crate) fn send(&mut self, call: &Call) -> Result<u32, DbusError> {
        let serial = self.next_serial;
        self.next_serial = self.next_serial.checked_add(1).unwrap_or(1);
        let bytes = call.encode(serial);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_to_write()?,
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(serial)
    }

    fn wait_to_write(&self) -> Result<(), DbusError> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let timeout = Timespec { tv_sec: GREETING_TIMEOUT.as_secs() as i64, tv_nsec: 0 };
        let mut writable = [PollFd::new(&self.stream, PollFlags::OUT)];
        match poll(&mut writable, Some(&timeout)) {
            Ok(0) => Err(self.failed(io::ErrorKind::TimedOut.into())),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// The next message that has arrived, if one has arrived whole.
    pub(crate) fn receive(&mut self) -> Result<Option<Message<'_>>, DbusError> {
        let len = loop {
            let waiting = &self.buffer[self.used..];
            let malformed = || DbusError::Malformed { path: self.path.clone() };
            let needed = message::length(waiting).map_err(|()| malformed())?;
            match needed {
                Some(len) if waiting.len() >= len => break len,
                _ => {}
            }
            if !self.fill(needed)? {
                return Ok(None);
            }
        };
        let start = self.used;
        self.used += len;
        let parsed = message::parse(&self.buffer[start..start + len]);
        parsed.map(Some).ok_or_else(|| DbusError::Malformed { path: self.path.clone() })
    }

    /// Reads what has arrived, of a message of `needed` bytes if that is known; false if nothing has.
    fn fill(&mut self, needed: Option<usize>) -> Result<bool, DbusError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let filled = self.buffer.len();
        let capacity = needed.unwrap_or(0).max(USUAL_BUFFER);
        if self.buffer.capacity() > 2 * capacity {
            self.buffer.shrink_to(capacity);
        }
        self.buffer.resize(capacity.max(filled + 1), 0);
        let result = self.stream.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + result.as_ref().map_or(0, |read| *read));
        match result {
            Ok(0) => Err(DbusError::Closed { path: self.path.clone() }),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(self.failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::io::BufReader;
    use std::thread;

    use super::*;
    use crate::dbus::bodies::{Body, reply, signal};

    /// A connection, and the bus's end of it after the greeting.
    fn connected() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let bus = thread::spawn(move || {
            let mut lines = BufReader::new(&theirs);
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert!(line.starts_with("\0AUTH EXTERNAL 3"), "{line}");
            (&theirs).write_all(b"OK 1234deadbeef\r\n").unwrap();
            line.clear();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, "BEGIN\r\n");
            let mut hello = [0; 16];
            lines.read_exact(&mut hello).unwrap();
            assert_eq!(hello[..4], [b'l', 1, 2, 1]);
            drop(lines);
            theirs
        });
        let connection = Connection::over(ours, Path::new("/test/bus")).unwrap();
        (connection, bus.join().unwrap())
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let (mut connection, mut bus) = connected();
        assert!(connection.receive().unwrap().is_none());
        let long = "x".repeat(3 * USUAL_BUFFER);
        let mut bytes = signal(":1.0", "/a", "i.i", "First", &Body::default().string(&long));
        bytes.extend(reply(":1.0", 9, &Body::default().u32(5)));
        let (all_but_last, last) = bytes.split_at(bytes.len() - 1);
        for piece in all_but_last.chunks(10_000) {
            bus.write_all(piece).unwrap();
            if let Some(mut message) = connection.receive().unwrap() {
                assert_eq!((message.member, message.body.string()), ("First", Some(&*long)));
            }
        }
        assert!(connection.receive().unwrap().is_none());
        bus.write_all(last).unwrap();
        let mut message = connection.receive().unwrap().unwrap();
        assert_eq!((message.reply_to, message.body.u32()), (9, Some(5)));
        assert!(connection.receive().unwrap().is_none());
        assert!(connection.buffer.capacity() <= 2 * USUAL_BUFFER, "the large buffer is given back");
        drop(bus);
        assert!(matches!(connection.receive(), Err(DbusError::Closed { .. })));
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        let (mut connection, mut bus) = connected();
        bus.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let error = connection.receive().unwrap_err().to_string();
        assert_eq!(error, "/test/bus: the bus sends what is no message");
    }

    #[test]
    fn a_refusal_says_what_the_bus_said() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"REJECTED EXTERNAL\r\n").unwrap();
        let error = Connection::over(ours, Path::new("/bus")).unwrap_err().to_string();
        assert_eq!(error, "/bus: the bus refuses this user: \"REJECTED EXTERNAL\"");
    }
}
