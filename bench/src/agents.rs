//! Load by Muster's own protocol: agents that join, sign in and send scrapes, each over its own WebSocket.

use std::net::TcpStream;
use std::thread;

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use muster_series::Labels;
use muster_wire::{AgentEvent, AgentHello, AgentSession, CONNECT_PATH, Group, OsFacts};
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::data::{Host, INTERVAL_MS};
use crate::load::SEED;
use crate::product::Server;

/// Agents that are connected.
const AGENTS: u64 = 100;
/// Simulated hosts behind each agent: five times 200 series is a busy host with many containers.
const UNITS: u64 = 5;
/// Threads that send; each serves its share of the agents in turn, one batch under way for each.
const THREADS: usize = 5;

/// An agent that was let in.
struct Agent {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: AgentSession,
    units: Vec<Host>,
    series: Vec<Labels>,
    values: Vec<f64>,
}

/// All agents, connected.
pub(crate) struct Agents(Vec<Vec<Agent>>);

impl Agents {
    /// Lets all of them join a server, which is Muster.
    pub(crate) fn join(server: &Server) -> anyhow::Result<Self> {
        let token = server.muster(&["enroll-token", "--uses", &AGENTS.to_string()])?;
        let mut threads: Vec<Vec<Agent>> = Vec::new();
        threads.resize_with(THREADS, Vec::new);
        for number in 0..AGENTS {
            threads[number as usize % THREADS].push(Agent::join(server, &token, number)?);
        }
        Ok(Self(threads))
    }

    /// Sends the scrapes of all ticks from `first_ms` to before `end_ms`, and waits until all are acknowledged; gives the number
    /// of samples.
    pub(crate) fn write(&mut self, first_ms: i64, end_ms: i64) -> anyhow::Result<u64> {
        thread::scope(|scope| {
            let senders: Vec<_> = self
                .0
                .iter_mut()
                .map(|agents| scope.spawn(move || send_all(agents, first_ms, end_ms)))
                .collect();
            senders.into_iter().map(|sender| sender.join().expect("no sender panics")).sum()
        })
    }
}

fn send_all(agents: &mut [Agent], first_ms: i64, end_ms: i64) -> anyhow::Result<u64> {
    let mut sent = 0;
    for tick in (first_ms..end_ms).step_by(INTERVAL_MS as usize) {
        for agent in &mut *agents {
            sent += agent.send(tick)?;
        }
        for agent in &mut *agents {
            agent.wait_for_acknowledgement()?;
        }
    }
    Ok(sent)
}

impl Agent {
    fn join(server: &Server, token: &str, number: u64) -> anyhow::Result<Self> {
        let units: Vec<Host> =
            (0..UNITS).map(|unit| Host::new(SEED, "node", number * UNITS + unit)).collect();
        let key = Ed25519KeyPair::generate().context("cannot make a key")?;
        let mut nonce = [0; 32];
        rand::fill(&mut nonce).context("cannot make a nonce")?;
        let hello = AgentHello {
            instance: format!("bench-{number:03}"),
            public_key: key.public_key().as_ref().try_into()?,
            enroll_token: Some(token.to_owned()),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            boot_id: String::new(),
            nonce,
            os: OsFacts::default(),
        };
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{}{CONNECT_PATH}", server.address);
        let (socket, _) = client(url, MaybeTlsStream::Plain(stream))
            .map_err(|error| anyhow::anyhow!("cannot open a WebSocket: {error}"))?;
        let series = series(&units)?;
        let session = AgentSession::new(hello, 0);
        let mut agent = Self { socket, session, units, series, values: Vec::new() };
        loop {
            agent.flush()?;
            match agent.receive()? {
                Some(AgentEvent::Challenged { message }) => {
                    agent.session.prove(key.sign(&message).as_ref().try_into()?)?;
                }
                Some(AgentEvent::Welcomed(_)) => return Ok(agent),
                Some(other) => bail!("the agent is not let in: {other:?}"),
                None => {}
            }
        }
    }

    /// Sends one scrape of all series; gives their number.
    fn send(&mut self, tick_ms: i64) -> anyhow::Result<u64> {
        self.values.clear();
        let mut timestamp_ms = tick_ms;
        for unit in &mut self.units {
            timestamp_ms = unit.scrape(tick_ms, &mut self.values);
        }
        let samples: Vec<(u32, f64)> = (0..).zip(self.values.iter().copied()).collect();
        let count = samples.len() as u64;
        let groups = [Group { timestamp_ms, samples }];
        let series = &self.series;
        let labels_of = |number: u32| series.get(number as usize).cloned();
        let sent = self.session.send_batch(false, &groups, labels_of)?;
        ensure!(sent.dropped == 0, "the agent's side drops {} samples", sent.dropped);
        self.flush()?;
        Ok(count)
    }

    fn wait_for_acknowledgement(&mut self) -> anyhow::Result<()> {
        loop {
            match self.receive()? {
                Some(AgentEvent::Acknowledged(_)) => return Ok(()),
                Some(
                    AgentEvent::Settings { .. }
                    | AgentEvent::Recall { .. }
                    | AgentEvent::Configuration(_)
                    | AgentEvent::ProcessWatch { .. }
                    | AgentEvent::Release(_),
                )
                | None => {}
                Some(other) => bail!("a batch is not acknowledged: {other:?}"),
            }
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        while let Some(frame) = self.session.poll_transmit() {
            self.socket.send(Message::Binary(frame.into()))?;
        }
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<Option<AgentEvent>> {
        match self.socket.read()? {
            Message::Binary(frame) => Ok(self.session.handle_frame(&frame, 0)?),
            Message::Close(_) => bail!("the server closed the connection of an agent"),
            _ => Ok(None),
        }
    }
}

/// The labels as an agent names them: without `job` and `instance`, which the server adds.
fn series(units: &[Host]) -> anyhow::Result<Vec<Labels>> {
    let mut all = Vec::new();
    for (unit, host) in units.iter().enumerate() {
        for pairs in host.labels() {
            let pairs = pairs.iter().filter(|(name, _)| name != "job" && name != "instance");
            let pairs = pairs.map(|(name, value)| (name.clone(), value.clone()));
            let unit = ("unit".to_owned(), format!("container-{unit}"));
            all.push(Labels::from_pairs(pairs.chain([unit]))?);
        }
    }
    Ok(all)
}
