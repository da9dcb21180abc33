//! The fleet's past and its file systems, told from what other programs pushed.

use std::fmt::Write as _;

use serde_json::Value;

use crate::server::Server;

const HOUR_MS: i64 = 3_600_000;
const SIZE: i64 = 1_000_000_000_000;
/// What `/data` fills by in an hour: in 20 hours from now it is full.
const PACE: i64 = 10_000_000_000;
const LEFT: i64 = 20 * PACE;

/// What two hosts tell at a moment: `/data` of one fills, `/` does not, `/mnt` does not answer; the other has been silent
/// for the four hours before `now_ms`.
fn tell(text: &mut String, now_ms: i64, at_ms: i64) {
    let mut line = |series: &str, value: i64| {
        let _ = writeln!(text, "{series} {value} {at_ms}");
    };
    let silent = now_ms - at_ms <= 4 * HOUR_MS;
    line("up{job=\"node\",instance=\"db-1\"}", 1);
    line("up{job=\"node\",instance=\"web-1\"}", i64::from(!silent));
    line("node_load1{instance=\"db-1\"}", 2);
    if !silent {
        line("node_load1{instance=\"web-1\"}", 2);
    }
    let left = LEFT + PACE * (now_ms - at_ms) / HOUR_MS;
    for (mountpoint, left) in [("/data", left), ("/", SIZE / 2)] {
        let labels = format!(
            "{{instance=\"db-1\",device=\"sda\",fstype=\"xfs\",mountpoint=\"{mountpoint}\"}}"
        );
        line(&format!("node_filesystem_size_bytes{labels}"), SIZE);
        line(&format!("node_filesystem_files{labels}"), SIZE / 10_000);
        line(&format!("node_filesystem_files_free{labels}"), left / 10_000);
        line(&format!("node_filesystem_avail_bytes{labels}"), left);
        line(&format!("node_filesystem_free_bytes{labels}"), left);
    }
    let labels = "{instance=\"db-1\",device=\"nas:/x\",fstype=\"nfs4\",mountpoint=\"/mnt\"}";
    line(&format!("node_filesystem_device_error{labels}"), 1);
}

async fn json(server: &Server, path: &str) -> Value {
    server.get(path).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn disks_and_the_past_are_told_from_what_is_stored() {
    let server = Server::start().await;
    // On the grid of the readings, as samples stand for five minutes only.
    let now_ms = Server::now_ms();
    let last_ms = now_ms - now_ms.rem_euclid(HOUR_MS / 4);
    let mut text = String::new();
    for step in (0..=22 * 4).rev() {
        tell(&mut text, last_ms, last_ms - step * HOUR_MS / 4);
    }
    if now_ms > last_ms {
        tell(&mut text, last_ms, now_ms);
    }
    let push = server.post("/api/v1/import/prometheus").bearer_auth(&server.writer);
    let status = push.body(text).send().await.unwrap().status();
    assert_eq!(status, 204);

    let list = json(&server, "/api/muster/v1/file-systems").await;
    let systems = list["file_systems"].as_array().unwrap();
    let of = |mountpoint: &str| {
        systems
            .iter()
            .find(|one| one["mountpoint"] == mountpoint)
            .unwrap_or_else(|| panic!("{list}"))
    };
    let data = of("/data");
    assert_eq!(data["growth"]["kind"], "steady", "{data}");
    let ahead_ms = data["growth"]["full_ms"].as_i64().unwrap() - last_ms;
    assert!((19 * HOUR_MS..=21 * HOUR_MS).contains(&ahead_ms), "{data}");
    let at = |name: &str| data["growth"][name].as_i64().unwrap() - last_ms;
    assert!(at("early_ms") < at("full_ms") && at("full_ms") < at("late_ms"), "{data}");
    assert_eq!(data["growth"]["confidence"], "high", "{data}");
    assert_eq!(of("/")["growth"]["kind"], "none");
    let failed = of("/mnt");
    assert_eq!((&failed["failed"], &failed["network"]), (&true.into(), &true.into()), "{failed}");
    assert_eq!(failed["size_bytes"], Value::Null);

    let past = |ago_ms: i64| format!("/api/muster/v1/hosts?time_ms={}", last_ms - ago_ms);
    let before = json(&server, &past(6 * HOUR_MS)).await;
    let states = |list: &Value| -> Vec<String> {
        let hosts = list["hosts"].as_array().unwrap().iter();
        hosts.map(|host| format!("{} {}", host["instance"], host["state"])).collect()
    };
    assert_eq!(states(&before), ["\"db-1\" \"up\"", "\"web-1\" \"up\""]);
    assert_eq!(before["hosts"][0]["load1"], 2.0);
    assert!(before["hosts"][0]["worst_disk"]["used_percent"].as_f64().unwrap() > 70.0);
    let after = json(&server, &past(2 * HOUR_MS)).await;
    assert_eq!(states(&after), ["\"db-1\" \"up\"", "\"web-1\" \"silent\""]);
    let since_ms = after["hosts"][1]["state_since_ms"].as_i64().unwrap();
    let silent_ms = last_ms - 2 * HOUR_MS - since_ms;
    assert!((2 * HOUR_MS..=3 * HOUR_MS).contains(&silent_ms), "{after}");
    assert_eq!(json(&server, &past(30 * 24 * HOUR_MS)).await["hosts"], Value::Array(vec![]));
    check_stored_forecasts(&server).await;
    let future = server.get(&past(-48 * HOUR_MS)).send().await.unwrap();
    assert_eq!(future.status(), 400);
    server.running.stop().await;
}

/// Twenty hours of some figures of a host, of which the load is far from usual at the end.
fn twenty_hours(now_ms: i64) -> String {
    let mut text = String::new();
    for step in (0..=20 * 24).rev() {
        let at_ms = now_ms - step * HOUR_MS / 24;
        let (wave, load) = (step * 37 % 11, if step < 12 { 40 } else { 1 + step % 3 });
        for (name, value) in [
            ("node_load5", load),
            ("node_procs_blocked", step % 2),
            ("node_netstat_Tcp_CurrEstab", 50 + wave),
            ("node_hwmon_temp_celsius", 40 + wave),
            ("node_memory_MemAvailable_bytes", 500 + wave),
            ("node_memory_MemTotal_bytes", 1_000),
        ] {
            let _ = writeln!(text, "{name}{{instance=\"db-1\"}} {value} {at_ms}");
        }
    }
    text
}

#[tokio::test]
async fn what_is_usual_is_learned_from_what_is_stored() {
    let server = Server::start().await;
    let text = twenty_hours(Server::now_ms());
    let push = server.post("/api/v1/import/prometheus").bearer_auth(&server.writer);
    let answer = push.body(text).send().await.unwrap();
    assert_eq!(answer.status(), 204, "{:?}", answer.text().await);
    let ratio = series(&server, "muster_host_anomaly_ratio", 1).await;
    assert_eq!(ratio[0]["value"][1], "0.2", "{ratio:?}");
    let score = series(&server, "muster_anomaly_score>5", 1).await;
    assert_eq!(score[0]["metric"]["metric"], "load5", "{score:?}");
    let band = "muster_baseline_lower{metric=\"tcp_connections\"}<55<muster_baseline_upper";
    assert_eq!(series(&server, band, 1).await[0]["metric"]["instance"], "db-1");
    server.running.stop().await;
}

/// What a query gives, once it gives so many series.
async fn series(server: &Server, query: &str, wanted: usize) -> Vec<Value> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
    loop {
        let request = server.get("/api/v1/query").query(&[("query", query)]);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        if found.len() >= wanted || std::time::Instant::now() >= deadline {
            assert_eq!(found.len(), wanted, "{answer}");
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// The forecasts are series as well, of bytes and inodes, each with its range; what does not fill has none.
async fn check_stored_forecasts(server: &Server) {
    let wanted = [
        "muster_filesystem_full_earliest_seconds",
        "muster_filesystem_full_latest_seconds",
        "muster_filesystem_full_seconds",
        "muster_filesystem_inodes_full_earliest_seconds",
        "muster_filesystem_inodes_full_latest_seconds",
        "muster_filesystem_inodes_full_seconds",
    ];
    let query = "sort_by_label({__name__=~\"muster_filesystem_.*seconds\"},\"__name__\")";
    let found = series(server, query, wanted.len()).await;
    let names: Vec<_> = found.iter().map(|one| one["metric"]["__name__"].as_str()).collect();
    assert_eq!(names, wanted.map(Some), "{found:?}");
    for one in &found {
        assert_eq!(one["metric"]["mountpoint"], "/data", "{one}");
        let seconds: f64 = one["value"][1].as_str().unwrap().parse().unwrap();
        assert!((60_000.0..=90_000.0).contains(&seconds), "{one}");
    }
}
