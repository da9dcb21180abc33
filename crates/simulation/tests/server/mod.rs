//! A server for fleets, in this process: it checks keys, keeps samples in memory, and can be told to
//! fail as a server that is killed does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use futures_util::{SinkExt, StreamExt};
use muster_series::Labels;
use muster_simulation::Target;
use muster_wire::{Batch, Identity, Limits, RejectCode, ServerEvent, ServerSession, Welcome};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

/// What one session does with its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It stores and acknowledges all of them.
    None,
    /// Every third time it stores a batch, but breaks off before it says so.
    LostAnswer,
    /// Every third time it breaks off before it stores a batch.
    LostBatch,
}

/// What is stored: all values that ever came, by instance, labels and time.
pub(crate) type Stored = HashMap<(String, Labels, i64), Vec<f64>>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) stored: Stored,
    pub(crate) keys: HashSet<[u8; 32]>,
    /// When it was pinged.
    pub(crate) pings: Vec<Instant>,
    batches: u64,
}

/// The server; it ends with its runtime.
pub(crate) struct Server {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) target: Target,
}

pub(crate) const TOKEN: &str = "join-me";

pub(crate) async fn start(fault: Fault) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let state = Arc::new(Mutex::new(State::default()));
    let shared = Arc::clone(&state);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&shared), fault));
        }
    });
    Server { state, target: Target::parse(&url, None).unwrap() }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, fault: Fault) {
    let mut socket = accept_async(stream).await.unwrap();
    let mut session = ServerSession::new(Limits::default(), [9; 32], 0);
    let mut instance = String::new();
    let mut series: HashMap<u32, Labels> = HashMap::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(frame) = message else {
            if message.is_ping() {
                state.lock().unwrap().pings.push(Instant::now());
            }
            continue;
        };
        match session.handle_frame(&frame, 0).unwrap() {
            Some(ServerEvent::Identified(identity)) => {
                instance.clone_from(&identity.instance);
                admit(&mut session, &identity, &mut state.lock().unwrap());
            }
            Some(ServerEvent::Series(defined)) => series.extend(defined),
            Some(ServerEvent::Batch(batch)) => {
                let mut state = state.lock().unwrap();
                state.batches += 1;
                let fails = state.batches.is_multiple_of(3);
                if fails && fault == Fault::LostBatch {
                    return;
                }
                store(&mut state.stored, &instance, &series, &batch);
                if fails && fault == Fault::LostAnswer {
                    return;
                }
                session.acknowledge(batch.sequence);
            }
            Some(
                ServerEvent::Goodbye(_) | ServerEvent::Processes(_) | ServerEvent::UpdateReport(_),
            )
            | None => {}
        }
        while let Some(frame) = session.poll_transmit() {
            if socket.send(Message::Binary(frame.into())).await.is_err() {
                return;
            }
        }
    }
}

fn admit(session: &mut ServerSession, identity: &Identity, state: &mut State) {
    let key = UnparsedPublicKey::new(&ED25519, identity.public_key);
    key.verify(&identity.signed_message, &identity.signature).expect("the signature is right");
    let joins = identity.enroll_token.as_deref() == Some(TOKEN);
    if !joins && !state.keys.contains(&identity.public_key) {
        session.reject(RejectCode::BadToken, "no such token");
        return;
    }
    state.keys.insert(identity.public_key);
    let instance = identity.instance.clone();
    session.accept(Welcome { session: 1, server_time_ms: 0, instance, interval_ms: 0 });
}

fn store(stored: &mut Stored, instance: &str, series: &HashMap<u32, Labels>, batch: &Batch) {
    for group in &batch.groups {
        for (number, value) in &group.samples {
            let labels = series[number].clone();
            let place = (instance.to_owned(), labels, group.timestamp_ms);
            stored.entry(place).or_default().push(*value);
        }
    }
}
