//! What a service tells the manager that started it: that it is ready, what it does, that it is alive.
//!
//! The protocol is systemd's `sd_notify(3)`: a datagram to the socket named in `NOTIFY_SOCKET`. A process that nobody
//! manages has no such socket, and then there is nothing to tell.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The manager of this process.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that the environment names; none if there is none, or if it cannot be reached.
    pub fn from_environment() -> Option<Self> {
        let address = std::env::var_os("NOTIFY_SOCKET")?;
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Self::connect(&address, watchdog).ok()
    }

    /// The manager behind a socket; a name that begins with `@` is in the abstract name space.
    fn connect(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not read must not hold its service up.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, watchdog })
    }

    /// How long the manager waits for a sign of life before it ends this process; none if it does not.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The service does its work now.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The service lives; to be said several times in each [`ServiceManager::watchdog`].
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// The service is on its way out.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// What the service does, in one line for people.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace('\n', " ")));
    }

    fn tell(&self, line: &str) {
        // Whom it does not reach has ended or is busy: nothing that a service could help.
        let _ = self.socket.send(line.as_bytes());
    }
}

/// The interval in the environment, if it is meant for this process.
fn watchdog(microseconds: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own_pid)) {
        return None;
    }
    let microseconds = microseconds?.parse().ok()?;
    (microseconds > 0).then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[track_caller]
    fn check(address: &OsStr, socket: &UnixDatagram) {
        let manager = ServiceManager::connect(address, None).unwrap();
        manager.ready();
        manager.status("two\nlines");
        manager.alive();
        manager.stopping();
        for expected in ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"] {
            assert_eq!(heard(socket), expected);
        }
    }

    #[test]
    fn what_is_told_arrives_at_either_kind_of_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        check(path.as_os_str(), &socket);
        drop(socket);
        assert!(ServiceManager::connect(path.as_os_str(), None).is_err(), "nobody listens there");
        let name = format!("muster-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&abstract_address).unwrap();
        check(OsStr::new(&format!("@{name}")), &socket);
    }

    #[test]
    fn the_watchdog_of_another_process_is_none_of_ours() {
        let minute = Some(Duration::from_mins(1));
        assert_eq!(watchdog(Some("60000000"), None, 7), minute);
        assert_eq!(watchdog(Some("60000000"), Some("7"), 7), minute);
        assert_eq!(watchdog(Some("60000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(Some("soon"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }
}
