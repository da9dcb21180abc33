//! HTTP/1.1 on one connection that stays open: as little work as possible beside the server that is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Longer than anything that is asked for may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body, if the answer is 2xx; else an error with what it says.
    pub(crate) fn success(self, what: &str) -> anyhow::Result<Vec<u8>> {
        let said = String::from_utf8_lossy(&self.body[..self.body.len().min(500)]);
        ensure!((200..300).contains(&self.status), "{what}: {} {}", self.status, said.trim());
        Ok(self.body)
    }
}

/// A connection to one server.
pub(crate) struct Connection {
    address: SocketAddr,
    /// The headers that every request carries.
    headers: String,
    stream: BufReader<TcpStream>,
    head: Vec<u8>,
    /// The server said that it closes the connection after its answer.
    closing: bool,
}

impl Connection {
    /// Connects; `authorization` is the value of that header.
    pub(crate) fn open(address: SocketAddr, authorization: Option<&str>) -> anyhow::Result<Self> {
        let mut headers = format!("Host: {address}\r\n");
        if let Some(authorization) = authorization {
            headers.extend(["Authorization: ", authorization, "\r\n"]);
        }
        let stream = connect(address)?;
        Ok(Self { address, headers, stream, head: Vec::new(), closing: false })
    }

    /// A GET.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.request("GET", path, "", &[])
    }

    /// A POST; `more` are headers, each with its line end.
    pub(crate) fn post(&mut self, path: &str, more: &str, body: &[u8]) -> anyhow::Result<Answer> {
        self.request("POST", path, more, body)
    }

    fn request(
        &mut self,
        method: &str,
        path: &str,
        more: &str,
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        if self.closing {
            self.stream = connect(self.address)?;
        }
        self.head.clear();
        write!(
            self.head,
            "{method} {path} HTTP/1.1\r\n{}{more}Content-Length: {}\r\n\r\n",
            self.headers,
            body.len()
        )?;
        let what = || format!("{method} {path} at {}", self.address);
        let stream = self.stream.get_mut();
        stream.write_all(&self.head).with_context(what)?;
        stream.write_all(body).with_context(what)?;
        let (answer, closing) = read_answer(&mut self.stream).with_context(what)?;
        self.closing = closing;
        Ok(answer)
    }
}

fn connect(address: SocketAddr) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// The answer, and whether the server closes the connection now.
fn read_answer(stream: &mut BufReader<TcpStream>) -> anyhow::Result<(Answer, bool)> {
    let status_line = read_line(stream)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("{status_line:?} is no status line"))?;
    let (mut length, mut chunked, mut closing) = (0, false, false);
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().context("a length that is none")?,
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            "connection" => closing = value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if !chunked {
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
        return Ok((Answer { status, body }, closing));
    }
    loop {
        let line = read_line(stream)?;
        let length = usize::from_str_radix(line.trim(), 16).context("a chunk without length")?;
        let start = body.len();
        body.resize(start + length, 0);
        stream.read_exact(&mut body[start..])?;
        read_line(stream)?;
        if length == 0 {
            return Ok((Answer { status, body }, closing));
        }
    }
}

fn read_line(stream: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line)?;
    ensure!(read > 0, "the server closed the connection");
    line.truncate(line.trim_end().len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What is read of `raw`, which a server sends once for each of two requests.
    #[track_caller]
    fn check(raw: &'static str, expected: Result<(u16, &str), &str>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = if expected.is_ok() { 2 } else { 1 };
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..requests {
                let mut request = [0; 200];
                let read = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                assert!(request.contains("Authorization: Bearer x\r\n"), "{request}");
                stream.write_all(raw.as_bytes()).unwrap();
            }
        });
        let mut connection = Connection::open(address, Some("Bearer x")).unwrap();
        for _ in 0..requests {
            match (connection.get("/"), expected) {
                (Ok(answer), Ok((status, body))) => {
                    assert_eq!((answer.status, answer.body.as_slice()), (status, body.as_bytes()));
                }
                (Err(error), Err(part)) => {
                    assert!(format!("{error:#}").contains(part), "{error:#}");
                }
                (answer, _) => panic!("{:?}", answer.map(|answer| answer.status)),
            }
        }
        drop(connection);
        server.join().unwrap();
    }

    #[test]
    fn answers_are_read_to_their_end() {
        check("HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "")));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "hello")));
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            Ok((200, "hello")),
        );
        check("HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno", Ok((400, "no")));
        check("nonsense\r\n\r\n", Err("no status line"));
        check("", Err("closed the connection"));
    }

    #[test]
    fn only_2xx_is_success() {
        let answer = |status| Answer { status, body: b"why".to_vec() };
        assert_eq!(answer(204).success("x").unwrap(), b"why");
        let error = answer(503).success("writing").unwrap_err().to_string();
        assert_eq!(error, "writing: 503 why");
    }
}
