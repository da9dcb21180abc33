//! What hosts get without signing in: the installer and programs, and nothing else.

use reqwest::StatusCode;

use crate::server::{Proof, Server};

#[tokio::test]
async fn the_installer_and_the_program_are_there_for_everybody_and_are_sent_once() {
    let server = Server::start().await;
    let own = format!("/download/muster-linux-{}", std::env::consts::ARCH);
    let length = std::fs::metadata("/proc/self/exe").unwrap().len();
    for path in ["/install.sh", &own] {
        let answer = server.get(path, &Proof::Nothing).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let tag = answer.headers()["etag"].clone();
        let bytes = answer.bytes().await.unwrap();
        if path == own {
            assert_eq!(bytes.len() as u64, length);
        } else {
            assert!(bytes.starts_with(b"#!/bin/sh\n"));
        }
        let again = server.get(path, &Proof::Nothing).header("if-none-match", tag);
        assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED, "{path}");
    }
    let sum = server.get(&format!("{own}.sha256"), &Proof::Nothing).send().await.unwrap();
    let sum = sum.text().await.unwrap();
    let script = server.get("/install.sh", &Proof::Nothing).send().await.unwrap();
    assert!(script.text().await.unwrap().contains(&sum[..64]), "the script knows the program");
    server.running.stop().await;
}

#[tokio::test]
async fn no_name_leads_to_another_file() {
    let server = Server::start().await;
    let own = format!("muster-linux-{}", std::env::consts::ARCH);
    for name in [
        "muster-linux-pdp11",
        "muster.db",
        "..%2Fmuster.db",
        "muster-linux-..%2F..%2Fmuster.db",
        &format!("{own}.sig"),
        &format!("{own}.exe"),
        "muster-linux-",
    ] {
        let path = format!("/download/{name}");
        let answer = server.get(&path, &Proof::Nothing).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{name}");
    }
    server.running.stop().await;
}
