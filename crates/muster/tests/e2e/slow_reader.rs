//! A large answer to a client that reads slowly: memory holds the samples that it is written from, and not its text.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::http::{get, request};
use crate::server::{PATIENCE, Server, wait_for};

const SERIES: usize = 1_820;
/// What the answer takes more than once it has begun, in KiB.
const MORE_KIB: u64 = 48 << 10;

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn half_a_gigabyte_is_sent_without_being_held() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let token = server.token(&["token", "create", "reader", "--role", "operator"]);
    let mut samples = String::new();
    for n in 0..SERIES {
        writeln!(samples, "m{{n=\"{n}\"}} {n}.125").unwrap();
    }
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let pushed = request(server.address, "POST", "/api/v1/import/prometheus", &headers, &samples);
    assert_eq!(pushed.status, 204, "{pushed:?}");
    let now = get(server.address, "/api/v1/query?query=time()", &token).json();
    let now = now["data"]["result"][0].as_f64().unwrap();
    let path = format!(
        "/api/v1/query_range?query=m&start={now}&end={}&step=1&lookback_delta=1d",
        now + 10_999.0
    );
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.0\r\nauthorization: {authorization}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();

    let (mut buffer, mut end, mut total) = (vec![0; 1 << 20], Vec::new(), 0);
    let first = stream.read(&mut buffer).unwrap();
    assert!(buffer.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&buffer[..first]));
    let begun_kib = server.resident_kib();
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        let before = total >> 26;
        total += read;
        end.extend_from_slice(&buffer[..read]);
        end.drain(..end.len().saturating_sub(16));
        if total >> 26 > before {
            // The server may write ahead as long as this lasts.
            std::thread::sleep(Duration::from_millis(100));
            let kib = server.resident_kib();
            assert!(kib < begun_kib + MORE_KIB, "{begun_kib} KiB became {kib} at {total} bytes");
        }
    }
    assert!(total > 500_000_000, "{total} bytes");
    assert!(end.ends_with(b"]]}]}}"), "{}", String::from_utf8_lossy(&end));
    wait_for("the memory of the answer", || (server.resident_kib() < begun_kib / 2).then_some(()));
}
