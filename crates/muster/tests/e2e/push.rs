//! Real programs push: Debian's Prometheus sends what it scrapes by remote write.

use std::process::{Child, Command, Stdio};

use crate::server::{Server, free_address, wait_for};
use crate::test_agent::now_ms;

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
    let (data, listen) = (dir.path().join("data"), free_address().to_string());
    let mut server = Server::start("server", &data, &listen, &[]);
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
    wait_for("a histogram of Prometheus", || {
        let count = "count(prometheus_http_request_duration_seconds_bucket) >= 10";
        (server.query(count).len() == 1).then_some(())
    });

    // It keeps what it cannot send while the server is away.
    server.kill();
    let away_ms = now_ms();
    std::thread::sleep(std::time::Duration::from_secs(5));
    let back_ms = now_ms();
    let server = Server::start("server", &data, &listen, &[]);
    wait_for("what was scraped meanwhile", || {
        let samples = server.samples(&format!("{own_up}[10m]"));
        let times = samples.first()?.1.iter().map(|sample| sample.0);
        let meanwhile = times.filter(|at_ms| (away_ms..back_ms).contains(at_ms)).count();
        // It scrapes every second, a busy machine less often.
        (meanwhile >= 2).then_some(())
    });
    drop(prometheus);
    let sent = "prometheus_remote_storage_samples_failed_total";
    let failed: f64 = server.query(sent).iter().map(|(_, count)| count).sum();
    assert!(failed.abs() < f64::EPSILON, "{failed} samples were given up");
}
