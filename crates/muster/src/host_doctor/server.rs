//! Whether the agent's server can be reached from here, is the right one, and has the same time.

use std::path::Path;
use std::time::Duration;

use muster_agent::{parse_fingerprint, tls_client_config};
use muster_environment::{Clock as _, SystemClock};
use reqwest::header::DATE;

use super::finding::Finding;
use crate::run_agent::joined_with;

const TIMEOUT: Duration = Duration::from_secs(10);
/// From here on two clocks are told to differ; an answer's `Date` has whole seconds.
const CLOCKS_DIFFER_MS: i64 = 5_000;

/// Asks the server with which the agent of this state folder has joined.
pub(super) async fn check(state_dir: &Path) -> Vec<Finding> {
    let (server, fingerprint) = match joined_with(state_dir) {
        Ok((Some(server), fingerprint)) => (server, fingerprint),
        Ok((None, _)) => {
            return vec![Finding::missing(
                "server",
                "none is known here".into(),
                "start the agent once with --server and --token; `--once` and `--listen-metrics` need none",
            )];
        }
        Err(error) => {
            let advice = "start the agent with --server once more";
            return vec![Finding::wrong("server", format!("{error:#}"), advice)];
        }
    };
    let asked = ask(&server, fingerprint.as_deref()).await;
    match asked {
        Ok(server_ms) => {
            let mut findings = vec![Finding::fine("server", format!("{server} answers"))];
            findings.extend(server_ms.map(|ms| clocks(SystemClock::new().now_ms() - ms)));
            findings
        }
        Err(error) => vec![unreachable_server(&server, &format!("{error:#}"))],
    }
}

/// The server's time, if it tells it.
async fn ask(server: &str, fingerprint: Option<&str>) -> anyhow::Result<Option<i64>> {
    let fingerprint = fingerprint.map(parse_fingerprint).transpose()?;
    // Without TLS nothing is verified, and a machine without a CA store must not be in the way.
    let trusted = if server.starts_with("http:") { Some([0; 32]) } else { fingerprint };
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls_client_config(trusted)?)
        .build()?;
    let url = format!("{}/-/healthy", server.trim_end_matches('/'));
    let answer = client.get(url).send().await?;
    anyhow::ensure!(answer.status().is_success(), "it answers {}", answer.status());
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    Ok(date
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
        .map(|at| at.timestamp().as_millisecond()))
}

fn unreachable_server(server: &str, error: &str) -> Finding {
    let advice = if error.contains("certificate") || error.contains("fingerprint") {
        "its certificate is not the one that this agent trusts: compare the fingerprint with what `muster enroll-token` prints on the \
         server; if the server was made anew, start the agent with the new --ca-fingerprint and --token"
    } else {
        "check that the server runs, that its name resolves here, and that a firewall lets this host reach its port; samples are kept meanwhile"
    };
    Finding::wrong("server", format!("{server}: {error}"), advice)
}

fn clocks(ahead_ms: i64) -> Finding {
    if ahead_ms.abs() <= CLOCKS_DIFFER_MS {
        return Finding::fine("clock", "this host and the server have the same time".into());
    }
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let what = format!("this host is {} s {side} the server", ahead_ms.abs() / 1_000);
    Finding::wrong(
        "clock",
        what,
        "let NTP set both (`timedatectl`); samples at wrong times may be refused",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_with_the_side() {
        assert_eq!(clocks(-5_000).state, State::Fine);
        assert!(clocks(7_500).what.contains("7 s ahead of"));
        assert!(clocks(-60_000).what.contains("60 s behind"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(dir.path()).await[0].state, State::Missing);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let known = format!("{{\"server\":\"http://{address}\"}}");
        std::fs::write(dir.path().join("agent.json"), known).unwrap();
        let found = check(dir.path()).await;
        assert_eq!(found[0].state, State::Wrong);
        assert!(found[0].advice.contains("firewall"), "{found:?}");
    }
}
