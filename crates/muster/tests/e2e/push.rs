//! Real programs push: Debian's Prometheus sends what it scrapes by remote write.

use std::process::{Child, Command, Stdio};

use crate::server::{Server, free_address, wait_for};

/// A process that ends with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs the release binary: cargo xtask test"]
fn prometheus_sends_what_it_scrapes() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        println!("skipped: prometheus is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::alone(&dir.path().join("data"));
    let token = server.token(&["token", "create", "prometheus", "--role", "writer"]);
    let own = free_address();
    let address = server.address;
    let config = format!(
        "global: {{ scrape_interval: 1s, external_labels: {{ cluster: e2e }} }}\n\
         scrape_configs: [ {{ job_name: itself, static_configs: [ {{ targets: ['{own}'] }} ] }} ]\n\
         remote_write:\n\
         - url: http://{address}/api/v1/write\n  \
           authorization: {{ credentials: {token} }}\n  \
           queue_config: {{ batch_send_deadline: 1s, min_backoff: 100ms, max_backoff: 1s }}\n",
    );
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("prometheus").display()))
        .arg(format!("--web.listen-address={own}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let prometheus = Program(prometheus);
    let own_up = format!("up{{job=\"itself\",cluster=\"e2e\",instance=\"{own}\"}}");
    wait_for("samples of Prometheus", || (server.query(&own_up).len() == 1).then_some(()));
    let buckets = server.query("count(prometheus_http_request_duration_seconds_bucket)");
    assert!(buckets.iter().all(|(_, count)| *count > 10.0), "{buckets:?}");

    // It keeps what it cannot send while the server is away.
    server.kill();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let server = Server::start("server", &dir.path().join("data"), &address.to_string(), &[]);
    wait_for("what was scraped meanwhile", || {
        let samples = server.samples(&format!("{own_up}[1m]"));
        let times: Vec<i64> = samples.first()?.1.iter().map(|sample| sample.0).collect();
        let whole = times.windows(2).all(|two| two[1] - two[0] < 2_000);
        (times.len() > 8 && whole).then_some(())
    });
    drop(prometheus);
    let sent = "prometheus_remote_storage_samples_failed_total";
    let failed: f64 = server.query(sent).iter().map(|(_, count)| count).sum();
    assert!(failed.abs() < f64::EPSILON, "{failed} samples were given up");
}
