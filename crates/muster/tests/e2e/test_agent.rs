//! An agent made of the protocol's state machine and a blocking WebSocket, so that a test decides what is sent.

use std::net::{SocketAddr, TcpStream};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use muster_series::Labels;
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, CONNECT_PATH, Group, OsFacts, RefuseReason, RejectCode,
};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client, stream::MaybeTlsStream};

use crate::server::PATIENCE;

/// The agent's lasting part: a key, a name and the series it knows.
pub(crate) struct TestAgent {
    key: Ed25519KeyPair,
    pub(crate) instance: String,
    pub(crate) series: Vec<Labels>,
}

/// A session that was let in.
pub(crate) struct Session {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    wire: AgentSession,
    series: Vec<Labels>,
}

/// Why there is no session (any more).
#[derive(Debug)]
pub(crate) enum Ended {
    Rejected(RejectCode, String),
    Lost,
}

/// What the server said about a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Acknowledged(Vec<u64>),
    Refused(u64, RefuseReason),
}

impl TestAgent {
    pub(crate) fn new(instance: &str, series: Vec<Labels>) -> Self {
        let key = Ed25519KeyPair::generate().expect("the system has random numbers");
        Self { key, instance: instance.into(), series }
    }

    /// Connects and is let in, or not.
    pub(crate) fn connect(
        &self,
        address: SocketAddr,
        token: Option<&str>,
    ) -> Result<Session, Ended> {
        let hello = AgentHello {
            instance: self.instance.clone(),
            public_key: self.key.public_key().as_ref().try_into().expect("32 bytes"),
            enroll_token: token.map(str::to_owned),
            agent_version: "0.0.0-test".into(),
            boot_id: String::new(),
            nonce: [7; 32],
            os: OsFacts::default(),
        };
        let mut session = Session {
            socket: web_socket(address).ok_or(Ended::Lost)?,
            wire: AgentSession::new(hello, 0),
            series: self.series.clone(),
        };
        loop {
            session.flush()?;
            match session.receive()? {
                Some(AgentEvent::Challenged { message }) => {
                    let signature = self.key.sign(&message);
                    let signature = signature.as_ref().try_into().expect("64 bytes");
                    session.wire.prove(signature).expect("it was asked for");
                }
                Some(AgentEvent::Welcomed(_)) => return Ok(session),
                Some(AgentEvent::Rejected { code, message }) => {
                    return Err(Ended::Rejected(code, message));
                }
                _ => {}
            }
        }
    }
}

impl Session {
    /// Sends `values`, one for each series, as taken at `timestamp_ms`; gives the batch's number.
    pub(crate) fn send(&mut self, timestamp_ms: i64, values: &[f64]) -> Result<u64, Ended> {
        let samples = values.iter().enumerate().map(|(at, value)| (at as u32, *value)).collect();
        let groups = [Group { timestamp_ms, samples }];
        let series = &self.series;
        let sent = self
            .wire
            .send_batch(false, &groups, |number| series.get(number as usize).cloned())
            .map_err(|_| Ended::Lost)?;
        self.flush()?;
        Ok(sent.sequence)
    }

    /// Sends bytes that are no frame.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.socket.send(Message::Binary(bytes.to_vec().into())).map_err(|_| Ended::Lost)
    }

    /// Waits for the server's next word on a batch.
    pub(crate) fn verdict(&mut self) -> Result<Verdict, Ended> {
        loop {
            match self.receive()? {
                Some(AgentEvent::Acknowledged(sequences)) => {
                    return Ok(Verdict::Acknowledged(sequences));
                }
                Some(AgentEvent::Refused { sequence, reason }) => {
                    return Ok(Verdict::Refused(sequence, reason));
                }
                Some(AgentEvent::Goodbye { .. }) => return Err(Ended::Lost),
                _ => {}
            }
        }
    }

    fn flush(&mut self) -> Result<(), Ended> {
        while let Some(frame) = self.wire.poll_transmit() {
            self.socket.send(Message::Binary(frame.into())).map_err(|_| Ended::Lost)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<AgentEvent>, Ended> {
        match self.socket.read() {
            Ok(Message::Binary(frame)) => {
                self.wire.handle_frame(&frame, 0).map_err(|_| Ended::Lost)
            }
            Ok(Message::Close(_)) | Err(_) => Err(Ended::Lost),
            Ok(_) => Ok(None),
        }
    }
}

/// Sends one frame on a new connection; gives the bytes of the answer.
pub(crate) fn exchange(address: SocketAddr, frame: &[u8]) -> Option<Vec<u8>> {
    let mut socket = web_socket(address)?;
    socket.send(Message::Binary(frame.to_vec().into())).ok()?;
    match socket.read() {
        Ok(Message::Binary(answer)) => Some(answer.to_vec()),
        _ => None,
    }
}

fn web_socket(address: SocketAddr) -> Option<WebSocket<MaybeTlsStream<TcpStream>>> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    let url = format!("ws://{address}{CONNECT_PATH}");
    client(url, MaybeTlsStream::Plain(stream)).ok().map(|(socket, _)| socket)
}

/// `count` series named `name`, numbered by the label `n`.
pub(crate) fn numbered(name: &str, count: usize) -> Vec<Labels> {
    (0..count)
        .map(|n| {
            Labels::from_pairs([("__name__", name.to_owned()), ("n", n.to_string())])
                .expect("two different names")
        })
        .collect()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    use muster_environment::Clock as _;
    muster_environment::SystemClock::new().now_ms()
}
