//! Bad input: each gets a clear message, and nothing else is harmed.

use muster_wire::{RefuseReason, RejectCode};

use crate::http::get;
use crate::server::{Server, muster, text, wait_for};
use crate::test_agent::{Ended, Session, TestAgent, Verdict, exchange, now_ms, numbered};

fn joined(server: &Server, instance: &str) -> (TestAgent, Session) {
    let token = server.token(&["enroll-token"]);
    let agent = TestAgent::new(instance, numbered("bad_input", 2));
    let session = agent.connect(server.address, Some(&token)).expect("it is let in");
    (agent, session)
}

/// A good agent's batch is stored, so the server is unharmed.
#[track_caller]
fn check_unharmed(server: &Server, session: &mut Session) {
    let sequence = session.send(now_ms(), &[1.0, 2.0]).expect("the session lives");
    assert_eq!(
        session.verdict().expect("the session lives"),
        Verdict::Acknowledged(vec![sequence])
    );
    assert!(!server.log().contains("defect of Muster"), "{}", server.log());
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_wrong_used_up_or_missing_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let (_, mut good) = joined(&server, "good");
    let stranger = TestAgent::new("stranger", vec![]);
    for (token, expected) in [
        (Some("muster_e_wrong"), RejectCode::BadToken),
        (Some(""), RejectCode::BadToken),
        (None, RejectCode::UnknownAgent),
    ] {
        match stranger.connect(server.address, token) {
            Err(Ended::Rejected(code, message)) => {
                assert_eq!(code, expected, "{message}");
                assert!(message.contains("muster enroll-token"), "{message}");
            }
            _ => panic!("{token:?} was let in or lost"),
        }
    }
    let once = server.token(&["enroll-token"]);
    assert!(TestAgent::new("first", vec![]).connect(server.address, Some(&once)).is_ok());
    let second = TestAgent::new("second", vec![]).connect(server.address, Some(&once));
    assert!(matches!(second, Err(Ended::Rejected(RejectCode::BadToken, _))));
    check_unharmed(&server, &mut good);

    let state = dir.path().join("agent-state").display().to_string();
    let url = format!("http://{}", server.address);
    let arguments = ["agent", "--server", &url, "--token", "muster_e_wrong", "--state-dir", &state];
    let output = muster(&arguments);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("muster enroll-token"), "{}", text(&output.stderr));
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_name_that_is_none_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let token = server.token(&["enroll-token"]);
    let state = dir.path().join("agent-state").display().to_string();
    let url = format!("http://{}", server.address);
    let output = muster(&[
        "agent",
        "--server",
        &url,
        "--token",
        &token,
        "--state-dir",
        &state,
        "--instance",
        "a name/with more",
    ]);
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("--instance"), "{error}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn corrupt_frames_end_their_own_session_only() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let (_, mut good) = joined(&server, "good");
    let (bad_agent, mut bad) = joined(&server, "bad");
    for bytes in [&b""[..], b"\xff\xff\xff", b"\x00garbage", b"\x01\x28\xb5\x2f\xfd\xff\xff\xff"] {
        let _ = bad.send_raw(bytes);
        assert!(bad.verdict().is_err(), "a corrupt frame ends the session");
        bad = bad_agent.connect(server.address, None).expect("it may come back");
    }
    wait_for("a log line", || server.log().contains("bad frame").then_some(()));
    check_unharmed(&server, &mut good);
    check_unharmed(&server, &mut bad);
    let token = server.token(&["token", "create", "metrics"]);
    let metrics = get(server.address, "/metrics", &token).body;
    assert!(metrics.contains("muster_ingest_bad_frames_total 4"), "{metrics}");
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn another_protocol_version_is_told_which_side_to_upgrade() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let (_, mut good) = joined(&server, "good");
    // An uncompressed Hello of docs/format/wire.md that speaks the protocols 98 to 99 only.
    let mut hello = vec![0x08, 98, 0x10, 99, 0x22, 3, b'n', b'e', b'w', 0x2a, 32];
    hello.extend([7; 32]);
    hello.extend([0x42, 32]);
    hello.extend([8; 32]);
    let mut frame = vec![0x00, 0x0a, u8::try_from(hello.len()).unwrap()];
    frame.extend(hello);
    let answer = exchange(server.address, &frame).expect("it is answered");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("upgrade the server"), "{answer}");
    check_unharmed(&server, &mut good);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn a_clock_that_is_ahead_is_told_and_only_its_samples_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let (_, mut good) = joined(&server, "good");
    let (_, mut ahead) = joined(&server, "ahead");
    ahead.send(now_ms() + 7_200_000, &[1.0, 2.0]).unwrap();
    let verdict = ahead.verdict().unwrap();
    assert!(matches!(verdict, Verdict::Refused(_, RefuseReason::ClockAhead)), "{verdict:?}");
    wait_for("a warning", || {
        server.log().lines().any(|l| l.contains("ahead of this server's clock")).then_some(())
    });
    assert_eq!(server.query("bad_input{instance=\"ahead\"}"), []);
    check_unharmed(&server, &mut good);
    check_unharmed(&server, &mut ahead);
    assert_eq!(server.query("bad_input{instance=\"ahead\"}").len(), 2);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn an_agent_cannot_write_as_another_and_a_clone_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let token = server.token(&["enroll-token", "--uses", "2"]);
    let labels = [("__name__", "forged"), ("instance", "victim"), ("job", "payroll")];
    let series = vec![muster_series::Labels::from_pairs(labels).unwrap()];
    let mut first =
        TestAgent::new("twin", series.clone()).connect(server.address, Some(&token)).unwrap();
    let mut second = TestAgent::new("twin", series).connect(server.address, Some(&token)).unwrap();
    for (session, value) in [(&mut first, 1.0), (&mut second, 2.0)] {
        session.send(now_ms(), &[value]).unwrap();
        session.verdict().unwrap();
    }
    let mut stored: Vec<(String, f64)> = server
        .query("forged")
        .into_iter()
        .map(|(labels, value)| (labels["instance"].as_str().unwrap().to_owned(), value))
        .collect();
    stored.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(stored, [("twin".to_owned(), 1.0), ("twin-2".to_owned(), 2.0)]);
    assert_eq!(server.query("forged{job!=\"node\"}"), []);
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn bad_queries_are_answered_and_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::alone(dir.path());
    let token = server.token(&["token", "create", "q"]);
    let parens = "(".repeat(9_000);
    for (path, status) in [
        ("/api/v1/query", 400),
        ("/api/v1/query?query=sum(", 400),
        (&format!("/api/v1/query?query={parens}1"), 400),
        ("/api/v1/query?query=up&time=yesterday", 400),
        ("/api/v1/query_range?query=up&start=0&end=10&step=0", 400),
        ("/api/v1/query_range?query=up&start=10&end=0&step=1", 400),
        ("/api/v1/query_range?query=up&start=0&end=1e9&step=1", 400),
        ("/api/v1/series", 400),
        ("/api/v1/series?match[]=%7B%7D", 400),
        ("/api/v1/nothing", 404),
        ("/assets/..%2f..%2fetc%2fpasswd", 404),
        ("/api/v1/query?query=1", 200),
    ] {
        let answer = get(server.address, path, &token);
        assert_eq!(answer.status, status, "{:.80} says {:.300}", path, answer.body);
        assert!(answer.json().is_object());
    }
    assert!(!server.log().contains("defect of Muster"), "{}", server.log());
}
