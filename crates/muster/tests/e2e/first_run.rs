//! The first run: one command, and this machine is there.

use std::fs::File;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::http::{get, request, sign_in};
use crate::server::{PASSWORD, Server, command_of, free_address, wait_for};

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn this_machine_is_there_in_seconds_and_stays_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let listen = free_address().to_string();
    let mut server = Server::start("up", dir.path(), &listen, &[]);
    let load = wait_for("node_load1", || server.query("node_load1").into_iter().next());
    assert_eq!(load.0["job"], "node");
    let seconds = started.elapsed().as_secs_f64();
    println!("first sample {seconds:.2} s after the start of the binary");
    // The kernel counts anew every five seconds, as often as the agent looks.
    wait_for("the load that the kernel tells", || {
        let shown = std::fs::read_to_string("/proc/loadavg").unwrap();
        let shown: f64 = shown.split(' ').next()?.parse().ok()?;
        server.query("node_load1").iter().any(|(_, load)| *load == shown).then_some(())
    });
    let boots = wait_for("the time of the boot", || {
        server.query("node_boot_time_seconds").into_iter().next()
    });
    wait_for("up", || server.query("up == 1").into_iter().next());

    let (status, took) = server.terminate();
    assert!(status.success(), "{status}\n{}", server.log());
    // It is told at once and ends by itself; a second is usual.
    assert!(took < Duration::from_mins(1), "it took {took:?} to stop");

    let again = Server::start("up", dir.path(), &listen, &[]);
    assert!(!again.greeting.contains("password"), "{}", again.greeting);
    assert_eq!(sign_in(again.address, "admin", PASSWORD).status, 200);
    let kept = again.query("last_over_time(node_boot_time_seconds[10m])");
    assert_eq!(kept[0].1, boots.1);
    assert_eq!(again.query("count(count by (instance) (up))")[0].1, 1.0, "it joined once");
}

/// A process that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_password_is_made_printed_once_and_works() {
    let dir = tempfile::tempdir().unwrap();
    let (data, terminal) = (dir.path().join("data"), dir.path().join("terminal"));
    let output = File::create(&terminal).unwrap();
    let started = Instant::now();
    let process = command_of("up", &data, "127.0.0.1:0", &[])
        .env_remove("MUSTER_ADMIN_PASSWORD")
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let process = Process(process);
    let screen = wait_for("the password", || {
        let screen = std::fs::read_to_string(&terminal).unwrap();
        screen.contains("(shown only this once; write it down)\n").then_some(screen)
    });
    let patient = started.elapsed() < Duration::from_secs(10);
    drop(process);
    // The block stands apart from the log and in one piece, and what the log says of the agent came before.
    let (log, block) = screen.split_once("\n\npage: ").expect("a line of its own");
    assert!(log.contains("agent connected") || !patient, "{screen}");
    let lines: Vec<&str> = block.lines().collect();
    assert_eq!((lines[1], &lines[3][..5]), ("user: admin", "(show"), "{screen}");
    let password = lines[2].strip_prefix("password: ").expect("it is printed");
    assert_eq!(screen.matches(password).count(), 1, "it is printed once: {screen}");
    let server = Server::up(&data);
    assert_eq!(sign_in(server.address, "admin", password).status, 200);
    assert_eq!(sign_in(server.address, "admin", PASSWORD).status, 401);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn nothing_but_health_and_page_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    for path in ["/-/healthy", "/-/ready", "/", "/hosts/any"] {
        assert_eq!(request(server.address, "GET", path, &[], "").status, 200, "{path}");
    }
    for path in [
        "/metrics",
        "/api/v1/query?query=up",
        "/api/v1/labels",
        "/api/muster/v1/hosts",
        "/api/muster/v1/tokens",
        "/api/muster/v1/agents",
        "/api/muster/v1/live/hosts",
        "/api/muster/v1/live/query?instance=a&q=up",
        "/api/muster/v1/session",
        "/api/muster/v1/about",
    ] {
        assert_eq!(request(server.address, "GET", path, &[], "").status, 401, "{path}");
        assert_eq!(get(server.address, path, "muster_t_wrong").status, 401, "{path}");
    }
    let viewer = server.token(&["token", "create", "v", "--role", "viewer"]);
    let writer = server.token(&["token", "create", "w", "--role", "writer"]);
    assert_eq!(get(server.address, "/metrics", &viewer).status, 200);
    assert_eq!(get(server.address, "/api/v1/query?query=1", &viewer).status, 200);
    assert_eq!(get(server.address, "/api/v1/query?query=1", &writer).status, 403);
    assert_eq!(get(server.address, "/api/muster/v1/tokens", &viewer).status, 403);
    server.beside(&["token", "revoke", "v"]);
    // The server is not told by a command beside it; it believes what it has looked up for a second.
    wait_for("the revoked token to be refused", || {
        (get(server.address, "/metrics", &viewer).status == 401).then_some(())
    });
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_session_ends_when_one_signs_out_and_guessing_is_slowed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let answer = sign_in(server.address, "admin", PASSWORD);
    let cookie = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .expect("a cookie is set");
    assert!(cookie.contains("httponly") && cookie.contains("samesite=lax"), "{cookie}");
    // Heads are shown in lower case, but a secret is not: it is taken from a second, raw look.
    let secret = raw_cookie(&server);
    let session = [("cookie", secret.as_str()), ("content-type", "application/json")];
    let path = "/api/muster/v1/session";
    assert_eq!(request(server.address, "GET", path, &session, "").status, 200);
    let other_site = [session[0], ("sec-fetch-site", "cross-site")];
    assert_eq!(request(server.address, "DELETE", path, &other_site, "").status, 403);
    assert_eq!(request(server.address, "DELETE", path, &session, "").status, 204);
    assert_eq!(request(server.address, "GET", path, &session, "").status, 401);

    // Each failure doubles the wait for the next try, so that sooner or later one comes too soon, however slow the machine is.
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        statuses.push(sign_in(server.address, "admin", "wrong").status);
        assert!(statuses.len() < 20, "nobody was slowed down");
    }
    let before = &statuses[..statuses.len() - 1];
    assert!(before.len() >= 5 && before.iter().all(|&status| status == 401), "{statuses:?}");
}

fn raw_cookie(server: &Server) -> String {
    use std::io::{Read as _, Write as _};
    let body = serde_json::json!({ "user": "admin", "password": PASSWORD }).to_string();
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /api/muster/v1/session HTTP/1.0\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let cookie = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}
