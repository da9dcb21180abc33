//! A running server against clients that ask for too much, give up, or stay when they should not.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test]
async fn signing_out_ends_the_live_streams() {
    let server = Server::start().await;
    let mut stream = server.get("/api/muster/v1/live/hosts").send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    assert!(stream.chunk().await.unwrap().is_some());
    let out = server.delete("/api/muster/v1/session").send().await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let ended = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(Duration::from_mins(2), ended).await.expect("the stream ends");
    server.running.stop().await;
}

#[tokio::test]
async fn only_so_many_sign_ins_wait() {
    let server = Server::start().await;
    let session = server.url("/api/muster/v1/session");
    // From many addresses, as each may try only a few times.
    let clients = (1..=100).map(|n| {
        let address = std::net::IpAddr::from([127, 0, 1, n]);
        Client::builder().local_address(address).build().unwrap()
    });
    let clients: Vec<Client> = clients.collect();
    let tries = clients.into_iter().map(|client| {
        let body = json!({ "user": "admin", "password": "wrong" });
        let request = client.post(&session).json(&body);
        tokio::spawn(async move { request.send().await.unwrap() })
    });
    let tries: Vec<_> = tries.collect();
    let mut busy = 0;
    for answer in tries {
        let answer = answer.await.unwrap();
        match answer.status() {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::SERVICE_UNAVAILABLE => {
                busy += 1;
                assert!(answer.headers().contains_key("retry-after"));
                let failure: Value = answer.json().await.unwrap();
                assert_eq!(failure["code"], "busy");
            }
            status => panic!("{status}"),
        }
    }
    assert!((1..=68).contains(&busy), "{busy} of 100 were sent away");
    server.running.stop().await;
}

#[tokio::test]
async fn answers_are_json_and_never_brotli() {
    let server = Server::start().await;
    let query = "/api/v1/query?query=vector(1)";
    let answer = server.get(query).header("accept-encoding", "br").send().await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"));
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["data"]["result"][0]["value"][1], "1");
    let request = server.post_as_person("/api/muster/v1/tokens");
    let answer = request.header("content-type", "application/json").body("{").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "bad_request");
    server.running.stop().await;
}

#[tokio::test]
async fn a_long_answer_arrives_whole() {
    let server = Server::start().await;
    let path = "/api/v1/query_range?query=vector(1)&start=0&end=10999&step=1";
    let answer: Value = server.get(path).send().await.unwrap().json().await.unwrap();
    let values = answer["data"]["result"][0]["values"].as_array().unwrap();
    assert_eq!(values.len(), 11_000);
    assert_eq!(values[10_999], json!([10_999, "1"]));
    server.running.stop().await;
}
