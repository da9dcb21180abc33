//! The second factor: turned on by a code, asked for at each sign-in, good once.

use aws_lc_rs::hmac;
use muster_environment::Clock as _;
use muster_meta::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{PASSWORD, Proof, Server};

/// A person's device: the code of the step that is so many away from now.
struct Device(Vec<u8>);

impl Device {
    fn new(base32: &str) -> Self {
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for letter in base32.bytes() {
            let five = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
            bits = bits << 5 | u32::from(five);
            count += 5;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count) as u8);
                bits &= (1 << count) - 1;
            }
        }
        Self(bytes)
    }

    fn code(&self, server: &Server, steps: i64) -> String {
        let step = server.clock.now_ms() / 30_000 + steps;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let digest = tag.as_ref();
        let at = usize::from(digest[19] & 15);
        let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

/// The account `ada` with a second factor, her session, device and recovery codes.
async fn set_up(server: &Server) -> (Proof, Device, Vec<String>) {
    server.account("ada", Role::Viewer).await;
    let session = server.signed_in("ada", PASSWORD, None).await;
    let password = json!({ "password": PASSWORD });
    let made = server.done("POST", "account/second-factor", &session, password).await;
    let device = Device::new(made["secret"].as_str().unwrap());
    assert!(made["uri"].as_str().unwrap().starts_with("otpauth://totp/Muster:ada?secret="));
    let body = json!({ "code": device.code(server, 0) });
    let codes = server.done("POST", "account/second-factor/confirm", &session, body).await;
    let codes = codes["codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned());
    (session, device, codes.collect())
}

async fn sign_in(server: &Server, code: Option<&str>) -> (u16, String) {
    let answer = server.sign_in("ada", PASSWORD, code).await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_code_is_asked_for_and_good_once() {
    let server = Server::start().await;
    let (_, device, _) = set_up(&server).await;
    assert_eq!(sign_in(&server, None).await, (401, "second_factor_needed".into()));
    let shown = device.code(&server, 0);
    assert_eq!(sign_in(&server, Some(&shown)).await.0, 401, "it was used to turn it on");
    server.clock.advance(30_000);
    let next = device.code(&server, 0);
    assert_eq!(sign_in(&server, Some(&next)).await.0, 200);
    assert_eq!(sign_in(&server, Some(&next)).await, (401, "bad_credentials".into()));
    assert_eq!(
        sign_in(&server, Some(&device.code(&server, -1))).await.0,
        401,
        "older than one used"
    );
    assert_eq!(sign_in(&server, Some(&device.code(&server, 1))).await.0, 200, "a clock may differ");
    server.running.stop().await;
}

#[tokio::test]
async fn of_two_who_send_one_code_at_once_one_gets_in() {
    let server = Server::start().await;
    let (_, device, _) = set_up(&server).await;
    server.clock.advance(60_000);
    let code = device.code(&server, 0);
    let (one, other) = tokio::join!(sign_in(&server, Some(&code)), sign_in(&server, Some(&code)));
    let mut both = [one.0, other.0];
    both.sort_unstable();
    assert_eq!(both, [200, 401]);
    server.running.stop().await;
}

#[tokio::test]
async fn wrong_codes_are_slowed_down_and_a_wrong_password_tells_nothing() {
    let server = Server::start().await;
    let (_, device, _) = set_up(&server).await;
    server.clock.advance(60_000);
    let answer = server.sign_in("ada", "wrong", Some(&device.code(&server, 0))).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "bad_credentials");
    // Turning it on was one attempt that succeeded; from other addresses the codes count all the same.
    let mut statuses = Vec::new();
    for n in 0..8 {
        let client = reqwest::Client::builder();
        let client = client.local_address(std::net::IpAddr::from([127, 0, 2, n])).build().unwrap();
        let body = json!({ "user": "ada", "password": PASSWORD, "code": "000000" });
        let url = format!("{}/api/muster/v1/session", server.url);
        statuses.push(client.post(url).json(&body).send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[..5], [401; 5]);
    assert_eq!(statuses[5..], [429; 3]);
    server.running.stop().await;
}

#[tokio::test]
async fn a_recovery_code_is_good_once_however_it_is_typed() {
    let server = Server::start().await;
    let (session, _, codes) = set_up(&server).await;
    assert_eq!(codes.len(), 10);
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert_eq!(sign_in(&server, Some(&typed)).await.0, 200);
    assert_eq!(sign_in(&server, Some(&codes[3])).await.0, 401);
    let account = server.done("GET", "account", &session, Value::Null).await;
    assert_eq!(account["recovery_codes_left"], 9);
    let password = json!({ "password": PASSWORD });
    let path = "account/second-factor/recovery-codes";
    let renewed = server.done("POST", path, &session, password).await;
    assert_eq!(sign_in(&server, Some(&codes[4])).await.0, 401, "those before are worth nothing");
    assert_eq!(sign_in(&server, renewed["codes"][0].as_str()).await.0, 200);
    server.running.stop().await;
}

#[tokio::test]
async fn only_the_password_turns_it_off_and_an_administrator_can_where_the_device_is_lost() {
    let server = Server::start().await;
    let (session, ..) = set_up(&server).await;
    let remove = "account/second-factor/remove";
    let wrong = json!({ "password": "wrong" });
    assert_eq!(server.ask("POST", remove, &session, wrong.clone()).await.0, 403);
    assert_eq!(server.ask("POST", "account/second-factor", &session, wrong).await.0, 403);
    let right = json!({ "password": PASSWORD });
    let (status, answer) =
        server.ask("POST", "account/second-factor", &session, right.clone()).await;
    assert_eq!((status, answer["code"].as_str()), (409, Some("second_factor_is_on")));
    assert_eq!(server.ask("POST", remove, &session, right).await.0, 204);
    assert_eq!(server.sign_in("ada", PASSWORD, None).await.status(), StatusCode::OK);
    server.running.stop().await;

    let server = Server::start().await;
    set_up(&server).await;
    let admin = server.signed_in("admin", PASSWORD, None).await;
    let id = server.account("ada", Role::Viewer).await;
    let path = format!("people/{id}/second-factor");
    server.done("DELETE", &path, &admin, Value::Null).await;
    assert_eq!(server.sign_in("ada", PASSWORD, None).await.status(), StatusCode::OK);
    server.running.stop().await;
}

#[tokio::test]
async fn turning_it_on_ends_sessions_of_a_password_alone() {
    let server = Server::start().await;
    server.account("ada", Role::Viewer).await;
    let stolen = server.signed_in("ada", PASSWORD, None).await;
    let (session, ..) = set_up(&server).await;
    assert!(server.reads(&session).await);
    assert!(!server.reads(&stolen).await);
    // Neither does the password alone push.
    let push = server.client.post(format!("{}/api/v1/import/prometheus", server.url));
    let answer = push.basic_auth("ada", Some(PASSWORD)).body("a 1").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    server.running.stop().await;
}
