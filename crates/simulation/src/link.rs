//! One agent's connection: WebSocket below, agent protocol above.

use std::time::Duration;

use aws_lc_rs::rand;
use futures_util::{SinkExt, StreamExt};
use muster_agent::AgentKey;
use muster_series::Labels;
use muster_wire::{
    AgentEvent, AgentHello, AgentSession, CONNECT_PATH, GoodbyeReason, Group, OsFacts,
};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::target::Stream;
use crate::{SimulationError, Target};

/// Longest that connection and handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of each connection's read buffer. All of it is zeroed at every read, and a server's frames
/// are short.
const READ_BUFFER: usize = 4 << 10;

/// Who an agent says it is.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) instance: String,
    pub(crate) kernel: String,
    pub(crate) token: Option<String>,
    pub(crate) key: AgentKey,
}

/// An open session.
pub(crate) struct Link {
    session: AgentSession,
    socket: WebSocketStream<Box<dyn Stream>>,
    instance: String,
}

impl Link {
    /// Connects and lets the server check the key.
    pub(crate) async fn open(
        target: &Target,
        introduction: &Introduction,
        now_ms: i64,
    ) -> Result<Self, SimulationError> {
        tokio::time::timeout(CONNECT_TIMEOUT, Self::open_in_time(target, introduction, now_ms))
            .await
            .unwrap_or(Err(SimulationError::Silent(CONNECT_TIMEOUT.as_secs())))
    }

    async fn open_in_time(
        target: &Target,
        introduction: &Introduction,
        now_ms: i64,
    ) -> Result<Self, SimulationError> {
        let stream = target.connect().await?;
        let url = format!("ws://{}{CONNECT_PATH}", target.authority());
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (socket, _) = client_async_with_config(url, stream, Some(config))
            .await
            .map_err(SimulationError::connection)?;
        let session = AgentSession::new(hello(introduction)?, now_ms);
        let instance = introduction.instance.clone();
        let mut link = Self { session, socket, instance };
        link.transmit().await?;
        loop {
            match link.next(now_ms).await? {
                AgentEvent::Challenged { message } => {
                    link.session.prove(introduction.key.sign(&message))?;
                    link.transmit().await?;
                }
                AgentEvent::Welcomed(welcome) => {
                    link.instance = welcome.instance;
                    return Ok(link);
                }
                AgentEvent::Rejected { code, message } => {
                    let instance = link.instance;
                    return Err(SimulationError::Rejected { instance, code, message });
                }
                other => return Err(SimulationError::Ended(format!("{other:?}"))),
            }
        }
    }

    /// The name that the server has given the host.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Sends a batch; returns the number by which it will be acknowledged.
    pub(crate) async fn send(
        &mut self,
        groups: &[Group],
        labels_of: impl Fn(u32) -> Option<Labels>,
    ) -> Result<u64, SimulationError> {
        let sent = self.session.send_batch(false, groups, labels_of)?;
        self.transmit().await?;
        Ok(sent.sequence)
    }

    /// What the server says next. Nothing is lost if this is dropped before it is done.
    pub(crate) async fn next(&mut self, now_ms: i64) -> Result<AgentEvent, SimulationError> {
        loop {
            let message = match self.socket.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(SimulationError::connection(error)),
                None => return Err(SimulationError::connection("closed by the server")),
            };
            let Message::Binary(frame) = message else {
                continue;
            };
            if let Some(event) = self.session.handle_frame(&frame, now_ms)? {
                return Ok(event);
            }
        }
    }

    /// Lets the server hear that the agent is there.
    pub(crate) async fn ping(&mut self) -> Result<(), SimulationError> {
        let ping = Message::Ping(Vec::new().into());
        self.socket.send(ping).await.map_err(SimulationError::connection)
    }

    /// Says goodbye. Errors do not matter any more.
    pub(crate) async fn close(mut self) {
        self.session.goodbye(GoodbyeReason::Shutdown);
        if self.transmit().await.is_ok() {
            let _ = self.socket.close(None).await;
        }
    }

    async fn transmit(&mut self) -> Result<(), SimulationError> {
        let failed = |error: SocketError| SimulationError::connection(error);
        while let Some(frame) = self.session.poll_transmit() {
            self.socket.feed(Message::Binary(frame.into())).await.map_err(failed)?;
        }
        self.socket.flush().await.map_err(failed)
    }
}

fn hello(introduction: &Introduction) -> Result<AgentHello, SimulationError> {
    let mut nonce = [0; 32];
    rand::fill(&mut nonce).map_err(|_| SimulationError::NoRandomness)?;
    Ok(AgentHello {
        instance: introduction.instance.clone(),
        public_key: introduction.key.public_key(),
        enroll_token: introduction.token.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: String::new(),
        nonce,
        os: OsFacts {
            pretty_name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            kernel: introduction.kernel.clone(),
            arch: "x86_64".to_owned(),
        },
    })
}
