//! An agent that reaches no server tells the webhook of its host, once.

use std::sync::Arc;

use muster_agent::{AgentConfig, FallbackConfig, HostSource, run};
use muster_collectors::Roots;
use muster_environment::{Clock, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[tokio::test]
async fn an_agent_without_a_server_tells_people_directly() {
    let state = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let webhook = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", webhook.local_addr().unwrap());
    let config = AgentConfig {
        instance: Some("web-1".into()),
        token: Some("none".into()),
        fallback: Some(FallbackConfig { url, after_ms: 200 }),
        ..AgentConfig::new(format!("http://{nobody}"), state.path())
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let source = Box::new(HostSource::new(&Roots::default(), Arc::clone(&clock)));
    let (stop, stopped) = watch::channel(false);
    let agent = tokio::spawn(run(config, source, clock, stopped));
    let (mut stream, _) = webhook.accept().await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"}") {
        assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.contains("MusterServerUnreachable") && heard.contains("web-1"), "{heard}");
    stop.send_replace(true);
    agent.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_is_told_at_the_start() {
    let state = tempfile::tempdir().unwrap();
    let config = AgentConfig {
        instance: Some("web-1".into()),
        fallback: Some(FallbackConfig { url: "chat.example/s3cret".into(), after_ms: 200 }),
        ..AgentConfig::new("http://127.0.0.1:1", state.path())
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let source = Box::new(HostSource::new(&Roots::default(), Arc::clone(&clock)));
    let (_stop, stopped) = watch::channel(false);
    let error = run(config, source, clock, stopped).await.unwrap_err().to_string();
    assert!(error.contains("fallback webhook") && !error.contains("s3cret"), "{error}");
}
