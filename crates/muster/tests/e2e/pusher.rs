//! A sender of remote write 1.0, so that a test decides what is pushed, and knows what was answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::server::PATIENCE;

/// A connection that stays open.
pub(crate) struct Pusher {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Pusher {
    pub(crate) fn connect(address: SocketAddr, token: &str) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream: BufReader::new(stream), token: token.into() })
    }

    /// Sends one sample for each series of `name` with the label `instance`, numbered by the label `n`; gives the status of
    /// the answer, or `None` if there is none.
    pub(crate) fn push(
        &mut self,
        name: &str,
        instance: &str,
        at: i64,
        values: &[f64],
    ) -> Option<u16> {
        let request: Vec<u8> = (0..)
            .zip(values)
            .flat_map(|(n, value): (usize, _)| field(1, &series(name, instance, n, at, *value)))
            .collect();
        let body = snap::raw::Encoder::new().compress_vec(&request).expect("a short request");
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nhost: e2e\r\nauthorization: Bearer {}\r\n\
             content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), &body].concat()).ok()?;
        self.status()
    }

    /// Reads an answer to its end.
    fn status(&mut self) -> Option<u16> {
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        self.stream.read_exact(&mut vec![0; length]).ok()?;
        status
    }
}

/// `TimeSeries { repeated Label labels = 1; repeated Sample samples = 2 }`, labels sorted by name.
fn series(name: &str, instance: &str, n: usize, at: i64, value: f64) -> Vec<u8> {
    let n = n.to_string();
    let labels = [("__name__", name), ("instance", instance), ("n", &n)];
    let label = |(name, value): (&str, &str)| {
        field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
    };
    let mut sample = vec![0x09];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(0x10);
    put_varint(&mut sample, at as u64);
    [labels.map(label).concat(), field(2, &sample)].concat()
}

/// A protobuf field with its length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    put_varint(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
