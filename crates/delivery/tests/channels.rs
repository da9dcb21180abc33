//! Each channel against servers that take what it sends, refuse it, or misbehave.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

mod sinks;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use muster_alerting::Notification;
use muster_api::{ChannelKind, ChannelSpec, MessageLanguage};
use muster_delivery::{Message, Place, SendError, Surroundings, Then, open, sample_notification};
use sinks::{HttpSink, Manners, Reply, SmtpSink};
use tokio::net::TcpListener;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn spec(kind: ChannelKind, settings: &[(&str, &str)]) -> ChannelSpec {
    ChannelSpec {
        name: "ops".into(),
        kind,
        enabled: true,
        language: MessageLanguage::English,
        send_resolved: true,
        settings: map(settings),
        secrets: BTreeMap::new(),
    }
}

fn notification() -> Notification {
    sample_notification("n1".into(), "ops", 1_767_225_600_000)
}

/// Sends a notification through a channel set up like this.
async fn send_as(
    spec: &ChannelSpec,
    secrets: &[(&str, &str)],
    roots: &[&str],
    notification: &Notification,
) -> Result<String, SendError> {
    let roots = roots.iter().map(|pem| pem.as_bytes().to_vec()).collect();
    let surroundings = Surroundings::trusting(roots).unwrap();
    let channel = open(spec, &map(secrets), &surroundings).expect("the settings are good");
    let place = Place { public_url: "https://muster.example".into(), zone: TimeZone::UTC };
    let message = Message { id: "n1/7", notification, language: spec.language, place: &place };
    channel.send(&message).await
}

async fn post(url: &str, secrets: &[(&str, &str)]) -> Result<String, SendError> {
    send_as(&spec(ChannelKind::Webhook, &[("url", url)]), secrets, &[], &notification()).await
}

#[track_caller]
fn check_failed(result: Result<String, SendError>, then: Then, says: &str) {
    let error = result.expect_err("it was not taken");
    assert_eq!(error.then, then, "{error}");
    assert!(error.text.contains(says), "{error}");
}

#[tokio::test]
async fn a_webhook_is_posted_once_with_its_number_and_its_secret() {
    let mut sink = HttpSink::start(Reply::text("202 Accepted", "", "thanks\nfor it")).await;
    let secrets = [("authorization", "Bearer s3cret")];
    let receipt = post(&sink.url("/hook?x=1"), &secrets).await;
    assert_eq!(receipt.as_deref(), Ok("202 Accepted: thanks for it"));
    let heard = sink.heard.recv().await.unwrap();
    assert!(heard.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{heard}");
    for part in [
        "content-type: application/json",
        "muster-message-id: n1/7",
        "authorization: Bearer s3cret",
        "\"version\":\"4\"",
    ] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
    assert!(sink.heard.try_recv().is_err());
}

#[tokio::test]
async fn an_alertmanager_gets_its_alerts_under_its_path() {
    let mut sink = HttpSink::start(Reply::text("200 OK", "", "")).await;
    let spec = spec(ChannelKind::Alertmanager, &[("url", &sink.url("/prefix/"))]);
    assert_eq!(send_as(&spec, &[], &[], &notification()).await.as_deref(), Ok("200 OK"));
    let heard = sink.heard.recv().await.unwrap();
    assert!(heard.starts_with("POST /prefix/api/v2/alerts HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("[{\"labels\":{\"alertname\":\"MusterTest\""), "{heard}");
}

#[tokio::test]
async fn refusals_say_what_was_answered_and_what_becomes_of_the_message() {
    for (status, headers, then, says) in [
        ("500 Internal Server Error", "", Then::TryAgain, "500 Internal Server Error: oh"),
        ("400 Bad Request", "", Then::GiveUp, "400 Bad Request: oh"),
        ("401 Unauthorized", "", Then::TryAgain, "authorization"),
        ("404 Not Found", "", Then::TryAgain, "address"),
        (
            "302 Found",
            "location: http://127.0.0.1:1/\r\n",
            Then::TryAgain,
            "redirects are not followed",
        ),
        (
            "429 Too Many Requests",
            "retry-after: 7\r\n",
            Then::TryAgainAfter(Duration::from_secs(7)),
            "429",
        ),
    ] {
        let sink = HttpSink::start(Reply::text(status, headers, "oh")).await;
        check_failed(post(&sink.url("/"), &[]).await, then, says);
    }
}

#[tokio::test]
async fn servers_that_misbehave_cost_a_try_and_no_more() {
    let sink = HttpSink::start(Reply::Hangup).await;
    check_failed(post(&sink.url("/"), &[]).await, Then::TryAgain, "the request failed");
    let sink = HttpSink::start(Reply::Raw(b"\x00\xff garbage\r\n\r\n".to_vec())).await;
    check_failed(post(&sink.url("/"), &[]).await, Then::TryAgain, "the request failed");
    let large = "x".repeat(1 << 20);
    let sink = HttpSink::start(Reply::text("200 OK", "", &large)).await;
    let receipt = post(&sink.url("/"), &[]).await.expect("a large answer is an answer");
    assert!(receipt.len() < 300, "{}", receipt.len());
}

#[tokio::test]
async fn nobody_there_and_no_such_name_are_told_without_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let result = post(&format!("http://{free}/?key=s3cret"), &[]).await;
    let text = result.as_ref().expect_err("nobody listens").text.clone();
    assert!(!text.contains("s3cret"), "{text}");
    check_failed(result, Then::TryAgain, "cannot connect");
    let result = post("http://no-such-host.invalid/", &[]).await;
    check_failed(result, Then::TryAgain, "cannot connect");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hanging = tokio::spawn(async move {
        let held = listener.accept().await;
        std::future::pending::<()>().await;
        drop(held);
    });
    check_failed(post(&url, &[]).await, Then::TryAgain, "no answer in time");
    hanging.abort();
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_believed() {
    let sink = SmtpSink::start(Manners { tls: true, ..Manners::default() }).await;
    let result = post(&format!("https://{}/", sink.address), &[]).await;
    check_failed(result, Then::TryAgain, "certificate");
}

fn mail_spec(sink: &SmtpSink, tls: &str, to: &str) -> ChannelSpec {
    let server = sink.address.to_string();
    let from = "Muster <muster@example.com>";
    spec(ChannelKind::Email, &[("to", to), ("from", from), ("server", &server), ("tls", tls)])
}

#[tokio::test]
async fn a_mail_has_both_forms_and_threads_by_incident() {
    let mut sink = SmtpSink::start(Manners::default()).await;
    let spec = mail_spec(&sink, "off", "a@example.com, Boss <b@example.com>");
    let receipt = send_as(&spec, &[], &[], &notification()).await;
    assert_eq!(receipt.as_deref(), Ok("250 queued as 4711"));
    let first = sink.heard.recv().await.unwrap();
    for part in [
        "MAIL FROM:<muster@example.com>",
        "RCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>",
        "Subject: [Test] Messages of Muster arrive here\r\n",
        "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "Muster-Message-Id: n1/7\r\n",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: text/html; charset=utf-8\r\n",
    ] {
        assert!(first.contains(part), "{part} in {first}");
    }
    assert_eq!(
        send_as(&spec, &[], &[], &notification()).await.as_deref(),
        Ok("250 queued as 4711")
    );
    let again = sink.heard.recv().await.unwrap();
    let header = |mail: &str, name: &str| {
        let line = mail.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{name} in {mail}"))
    };
    for name in ["Message-ID: <", "References: <incident.", "In-Reply-To: <incident."] {
        assert_eq!(header(&first, name), header(&again, name));
    }
    assert_eq!(first, again, "a message that is sent again is the same to the byte");
}

#[tokio::test]
async fn a_chinese_mail_arrives_whole() {
    let mut sink = SmtpSink::start(Manners::default()).await;
    let mut spec = mail_spec(&sink, "off", "a@example.com");
    spec.language = MessageLanguage::Chinese;
    send_as(&spec, &[], &[], &notification()).await.unwrap();
    let mail = sink.heard.recv().await.unwrap();
    assert!(mail.contains("Subject: =?utf-8?b?"), "{mail}");
    assert!(mail.is_ascii(), "{mail}");
}

#[tokio::test]
async fn no_label_makes_a_header_or_a_line_of_smtp() {
    let mut sink = SmtpSink::start(Manners::default()).await;
    let spec = mail_spec(&sink, "off", "a@example.com");
    let mut evil = notification();
    evil.id = "x\r\nBcc: evil@example.com".into();
    evil.incident = "x\r\nBcc: evil@example.com".into();
    evil.receiver = "x\r\n.\r\nMAIL FROM:<evil@example.com>".into();
    let summary = "x\r\nBcc: evil@example.com\r\n\r\n.\r\nMAIL FROM:<evil@example.com>";
    evil.alerts[0].annotations = map(&[("summary", summary), ("description", summary)]);
    send_as(&spec, &[], &[], &evil).await.unwrap();
    let heard = sink.heard.recv().await.unwrap();
    let (head, _) = heard.split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{heard}");
    assert_eq!(heard.matches("\r\n.\r\n").count(), 1, "{heard}");
    assert!(!heard.lines().any(|line| line == ".MAIL"), "{heard}");
}

#[tokio::test]
async fn one_bad_address_does_not_keep_the_others_from_being_told() {
    let manners = Manners { refuses: Some(("gone@", "550 no such user")), ..Manners::default() };
    let sink = SmtpSink::start(manners).await;
    let both = mail_spec(&sink, "off", "gone@example.com, a@example.com");
    let receipt = send_as(&both, &[], &[], &notification()).await.unwrap();
    assert!(receipt.starts_with("250 queued as 4711; but not by gone@example.com"), "{receipt}");
    let gone = mail_spec(&sink, "off", "gone@example.com");
    check_failed(send_as(&gone, &[], &[], &notification()).await, Then::GiveUp, "no such user");
}

#[tokio::test]
async fn mail_servers_refuse_for_now_or_for_good() {
    for (data, then) in [("451 try later", Then::TryAgain), ("554 this is spam", Then::GiveUp)] {
        let sink = SmtpSink::start(Manners { data: Some(data), ..Manners::default() }).await;
        let spec = mail_spec(&sink, "off", "a@example.com");
        check_failed(send_as(&spec, &[], &[], &notification()).await, then, &data[4..]);
    }
    let sink =
        SmtpSink::start(Manners { auth: Some("535 who are you"), ..Manners::default() }).await;
    let mut spec = mail_spec(&sink, "off", "a@example.com");
    spec.settings.insert("user".into(), "muster".into());
    let result = send_as(&spec, &[("password", "s3cret")], &[], &notification()).await;
    check_failed(result, Then::TryAgain, "user and password");
}

#[tokio::test]
async fn mail_is_encrypted_before_the_password_is_said() {
    for (tls, manners) in [
        ("starttls", Manners { starttls: true, ..Manners::default() }),
        ("tls", Manners { tls: true, ..Manners::default() }),
    ] {
        let mut sink = SmtpSink::start(manners).await;
        let mut spec = mail_spec(&sink, tls, "a@example.com");
        spec.settings.insert("user".into(), "muster".into());
        let password = [("password", "s3cret")];
        let unknown = send_as(&spec, &password, &[], &notification()).await;
        check_failed(unknown, Then::TryAgain, "certificate");
        let heard = sink.heard.recv().await.unwrap();
        assert!(!heard.contains("AUTH"), "{heard}");
        let certificate = sink.certificate.clone();
        let receipt = send_as(&spec, &password, &[&certificate], &notification()).await;
        assert_eq!(receipt.as_deref(), Ok("250 queued as 4711"), "{tls}");
        assert!(sink.heard.recv().await.unwrap().contains("AUTH PLAIN"));
    }
    // One that does not offer it gets nothing in the clear.
    let mut sink = SmtpSink::start(Manners::default()).await;
    let spec = mail_spec(&sink, "starttls", "a@example.com");
    assert!(send_as(&spec, &[], &[], &notification()).await.is_err());
    assert!(!sink.heard.recv().await.unwrap().contains("MAIL FROM"));
}

#[track_caller]
fn check_spec(kind: ChannelKind, settings: &[(&str, &str)], says: &str) {
    let opened = open(&spec(kind, settings), &BTreeMap::new(), &Surroundings::new().unwrap());
    let error = opened.err().expect("a refusal").to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn settings_are_refused_with_what_to_do() {
    use ChannelKind::{Alertmanager, Email, Webhook};
    check_spec(Webhook, &[], "a webhook needs url: where to POST");
    check_spec(Webhook, &[("url", "chat.example")], "is no address");
    check_spec(Alertmanager, &[("url", "ftp://x")], "does not begin with http");
    check_spec(Webhook, &[("url", "https://x"), ("to", "y")], "a webhook has no \"to\"");
    let good = [("to", "a@b.example"), ("from", "m@b.example"), ("server", "mail.example:587")];
    let with = |name: &'static str, value: &'static str| {
        let mut settings = good.to_vec();
        settings.retain(|(known, _)| *known != name);
        settings.push((name, value));
        settings
    };
    check_spec(Email, &with("to", ""), "e-mail needs to");
    check_spec(Email, &with("to", "nobody"), "is no address");
    check_spec(Email, &with("to", "a@b.example\r\nBcc: c@d"), "is no address");
    check_spec(Email, &with("from", "a@b, c@d"), "is no address");
    check_spec(Email, &with("server", "mail.example"), "is no HOST:PORT");
    check_spec(Email, &with("tls", "ssl"), "is neither");
    check_spec(Email, &with("user", "x"), "needs password");
}
