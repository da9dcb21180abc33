//! A program that takes webhooks and remembers each, with the moment it came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use crate::http::request;
use crate::server::Server;

/// A webhook that came.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) body: Value,
}

impl Told {
    /// Whether it says that an alert of this name fires on something that has this label value.
    pub(crate) fn fires(&self, alert: &str, value: &str) -> bool {
        self.has("firing", alert, value)
    }

    /// Whether it says that such an alert is resolved.
    pub(crate) fn resolves(&self, alert: &str, value: &str) -> bool {
        self.has("resolved", alert, value)
    }

    fn has(&self, status: &str, alert: &str, value: &str) -> bool {
        let alerts = self.body["alerts"].as_array().map_or(&[][..], Vec::as_slice);
        alerts.iter().any(|one| {
            let labels = one["labels"].as_object().expect("an alert has labels");
            one["status"] == status
                && labels["alertname"] == alert
                && labels.values().any(|label| label == value)
        })
    }
}

/// See the module's documentation; it listens until the tests end.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sink = Arc::clone(&sink);
                std::thread::spawn(move || take(&stream, &sink));
            }
        });
        Self { address, told }
    }

    /// Everything that came so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().expect("nobody panics with it").clone()
    }

    /// Makes a channel of `server`'s that leads here; `token` is an administrator's.
    pub(crate) fn connect(&self, server: &Server, token: &str) {
        let spec = json!({
            "name": "sink", "kind": "webhook", "enabled": true, "send_resolved": true,
            "settings": { "url": format!("http://{}/", self.address) },
        });
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", &bearer)];
        let path = "/api/muster/v1/channels";
        let answer = request(server.address, "POST", path, &headers, &spec.to_string());
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
}

fn take(stream: &TcpStream, sink: &Mutex<Vec<Told>>) {
    let mut reader = BufReader::new(stream);
    // One connection may bring several requests.
    while let Some(body) = next_body(&mut reader) {
        let at = Instant::now();
        let body = serde_json::from_slice(&body).expect("webhooks are JSON");
        sink.lock().expect("nobody panics with it").push(Told { at, body });
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if { stream }.write_all(answer).is_err() {
            return;
        }
    }
}

fn next_body(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
