//! The rules that come with Muster, judged by the real engine over series in memory: each fires on its fault, says so in
//! both languages, and is quiet on what healthy busy machines do.

mod memory;

use std::collections::{BTreeMap, BTreeSet};

use muster_alerting::{
    BuiltIn, Context, Judge, PostedAlert, PostedState, Sample, Step, Thresholds, catalogue,
};
use muster_promql::{Options, Value, evaluate_instant, parse};

use memory::Memory;

#[track_caller]
fn rule(id: &str) -> &'static BuiltIn {
    catalogue().iter().find(|rule| rule.id == id).unwrap_or_else(|| panic!("no rule {id}"))
}

/// All alerts that fire while a rule is judged each minute over the series.
#[track_caller]
fn fired(id: &str, series: &str) -> Vec<PostedAlert> {
    let memory = Memory::read(series);
    let rule = rule(id);
    let query = parse(rule.expr).expect("the expression parses");
    let mut judge = Judge::new(Thresholds::default());
    judge.set_rules(&[rule], vec![], &|_| BTreeSet::new(), 0);
    let mut fired = Vec::new();
    for at_ms in (0..=memory.end_ms()).step_by(60_000) {
        let evaluated = evaluate_instant(&memory, &query, at_ms, &Options::default());
        let Value::Vector(vector) = evaluated.expect("the expression can be evaluated").value
        else {
            panic!("{id} yields no vector");
        };
        let vector = vector.into_iter().map(|s| Sample { labels: s.labels, value: s.value });
        let step = Step {
            key: format!("built-in/{id}"),
            expr: rule.expr.into(),
            query_at_ms: at_ms,
            at_ms,
        };
        let outcome = judge.take(&step, Ok(vector.collect()), 0.0, &Context::default());
        fired.extend(outcome.posted.into_iter().filter(|a| a.state == PostedState::Firing));
    }
    fired
}

/// The labels that a template reads.
fn labels_read(text: &str) -> impl Iterator<Item = &str> {
    let end = |rest: &str| rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    text.split("$labels.").skip(1).map(move |rest| &rest[..end(rest).unwrap_or(rest.len())])
}

#[track_caller]
fn check_fires(id: &str, series: &str, severities: &str, summary: &str) {
    let alerts = fired(id, series);
    let got: BTreeSet<&str> = alerts.iter().map(|alert| &*alert.labels["severity"]).collect();
    let expected: BTreeSet<&str> = severities.split(' ').collect();
    assert_eq!(got, expected, "{id}");
    let said: Vec<&str> = alerts.iter().map(|alert| &*alert.annotations["summary"]).collect();
    assert!(said.contains(&summary), "{id} says {said:#?}");
    let rule = rule(id);
    for text in [rule.summary, rule.description, rule.action].concat() {
        for label in labels_read(text) {
            let is_there = alerts.iter().all(|alert| alert.labels.contains_key(label));
            assert!(
                is_there || label == "unit",
                "{id} reads the label {label}, which is not there"
            );
        }
    }
    for (name, text) in alerts.iter().flat_map(|alert| &alert.annotations) {
        let is_broken = text.contains("<error") || text.contains("<no value>") || text.is_empty();
        assert!(!is_broken, "{id}: {name} is {text:?}");
    }
}

#[track_caller]
fn check_quiet(id: &str, series: &str) {
    let said: Vec<_> = fired(id, series).into_iter().map(|a| a.annotations).collect();
    assert!(said.is_empty(), "{id} should be quiet: {said:#?}");
}

/// A fault for each rule: its series, the grades that fire, and what one of them says.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        "host_silent",
        r#"muster_host_silent_seconds{instance="a"} 0 0 9.2"#,
        "critical",
        "a is silent",
    ),
    ("reboot", r#"node_boot_time_seconds{instance="a"} 0x5"#, "info", "a rebooted 0s ago"),
    (
        "cpu_saturated",
        r#"node_pressure_cpu_waiting_seconds_total{instance="a"} 0+57x90"#,
        "warning",
        "a: tasks wait for a processor 95 % of the time",
    ),
    (
        "load_high",
        r#"node_load15{instance="a"} 8x70
           node_cpu_seconds_total{instance="a",cpu="0",mode="idle"} 0x70
           node_cpu_seconds_total{instance="a",cpu="1",mode="idle"} 0x70"#,
        "warning",
        "a: the load is 4.0 for each processor",
    ),
    (
        "memory_pressure",
        r#"node_pressure_memory_waiting_seconds_total{instance="a"} 0+30x12
           node_memory_MemAvailable_bytes{instance="a"} 5x12
           node_memory_MemTotal_bytes{instance="a"} 100x12"#,
        "critical warning",
        "a: programs wait for memory 50 % of the time",
    ),
    (
        "memory_low",
        r#"node_memory_MemAvailable_bytes{instance="a"} 1x20
           node_memory_MemTotal_bytes{instance="a"} 100x20"#,
        "critical warning",
        "a: 1.0 % of memory available",
    ),
    (
        "swap_storm",
        r#"node_vmstat_pswpin{instance="a"} 0+60000x20"#,
        "warning",
        "a reads 1000 pages a second back from swap",
    ),
    (
        "oom_kill",
        r#"muster_oom_kills_total{instance="a",program="java",unit="app.service"} _x5 1x5"#,
        "warning",
        "a: the kernel killed java for want of memory",
    ),
    (
        "memory_errors",
        r#"node_edac_uncorrectable_errors_total{instance="a",controller="0"} 0x70 1x5"#,
        "critical",
        "a: memory controller 0 could not correct errors",
    ),
    (
        "temperature",
        r#"node_hwmon_temp_crit_celsius{instance="a",chip="cpu",sensor="t1"} 100x20
           node_hwmon_temp_celsius{instance="a",chip="cpu",sensor="t1"} 97x20"#,
        "warning",
        "a: cpu t1 is 3 °C below critical",
    ),
    (
        "clock_unsynchronised",
        r#"node_timex_maxerror_seconds{instance="a"} 16x40
           node_timex_sync_status{instance="a"} 0x40"#,
        "warning",
        "a: the clock is not synchronised",
    ),
    (
        "clock_off",
        r#"muster_agent_clock_offset_seconds{instance="a"} -90x15"#,
        "critical warning",
        "a: the clock is off by 1m 30s",
    ),
    (
        "gpu_hot",
        r#"muster_gpu_temperature_celsius{instance="a",gpu="0"} 90x12"#,
        "warning",
        "a: GPU 0 has 90 °C",
    ),
    (
        "gpu_errors",
        r#"muster_gpu_ecc_errors_total{instance="a",gpu="0",kind="uncorrected"} 3x65 5x3"#,
        "warning",
        "a: GPU 0 had 2 uncorrected memory errors",
    ),
    (
        "gpu_lost",
        r#"muster_gpu_info{instance="a",gpu="0",uuid="u"} 1x20
           up{instance="a"} 1x40"#,
        "critical",
        "a: GPU 0 (u) is gone",
    ),
    (
        "file_handles",
        r#"node_filefd_allocated{instance="a"} 85x12
           node_filefd_maximum{instance="a"} 100x12"#,
        "warning",
        "a: 85 % of file handles in use",
    ),
    (
        "pids",
        r#"node_processes_threads{instance="a"} 99x12
           node_processes_max_processes{instance="a"} 100x12"#,
        "critical warning",
        "a: 99 % of process numbers in use",
    ),
    (
        "reboot_required",
        r#"node_reboot_required{instance="a"} 1x10090"#,
        "info",
        "a needs a reboot to finish updates",
    ),
    (
        "disk_full",
        r#"node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4",device="sda"} 1x12
           node_filesystem_size_bytes{instance="a",mountpoint="/",fstype="ext4",device="sda"} 100x12
           node_filesystem_readonly{instance="a",mountpoint="/",fstype="ext4",device="sda"} 0x12"#,
        "critical warning",
        "a: / has 1.0 % left",
    ),
    (
        "disk_filling",
        r#"muster_filesystem_full_seconds{instance="a",mountpoint="/var",device="sda"} 7200x40"#,
        "critical warning",
        "a: /var will be full in 2h 0m 0s",
    ),
    (
        "inodes_full",
        r#"node_filesystem_files_free{instance="a",mountpoint="/",fstype="xfs",device="sda"} 3x12
           node_filesystem_files{instance="a",mountpoint="/",fstype="xfs",device="sda"} 100x12"#,
        "warning",
        "a: / has 3.0 % of its inodes left",
    ),
    (
        "inodes_filling",
        r#"muster_filesystem_inodes_full_seconds{instance="a",mountpoint="/",device="sda"} 36000x40"#,
        "warning",
        "a: / has no inodes left in 10h 0m 0s",
    ),
    (
        "disk_read_only",
        r#"node_filesystem_readonly{instance="a",mountpoint="/",fstype="ext4",device="sda"} 0x65 1x9"#,
        "critical",
        "a: / became read-only",
    ),
    (
        "disk_errors",
        r#"muster_disk_errors_total{instance="a",device="sda",model="m",kind="timeout"} 4x65 7x3"#,
        "warning",
        "a: disk sda had 3 errors (timeout)",
    ),
    (
        "disk_offline",
        r#"muster_disk_online{instance="a",device="sda",model="m"} 1 0x5"#,
        "critical",
        "a: disk sda is offline",
    ),
    (
        "disk_unhealthy",
        r#"muster_disk_smart_healthy{instance="a",device="sda",model="m"} 0x5"#,
        "critical",
        "a: disk sda (m) says that it fails",
    ),
    (
        "disk_worn",
        r#"muster_disk_life_used_ratio{instance="a",device="mmc",model="m"} 1x70"#,
        "warning",
        "a: disk mmc has used 100 % of its life",
    ),
    (
        "disk_slow",
        r#"node_disk_read_time_seconds_total{instance="a",device="sda"} 0+60x30
           node_disk_reads_completed_total{instance="a",device="sda"} 0+120x30"#,
        "warning",
        "a: a read of disk sda takes 500ms",
    ),
    (
        "raid_degraded",
        r#"node_md_disks_required{instance="a",device="md0"} 2x5
           node_md_disks{instance="a",device="md0",state="active"} 1x5"#,
        "critical",
        "a: array md0 lacks 1 disk(s)",
    ),
    (
        "pool_degraded",
        r#"node_zfs_zpool_state{instance="a",zpool="tank",state="degraded"} 1x5"#,
        "critical",
        "a: pool tank is degraded",
    ),
    (
        "service_failed",
        r#"node_systemd_unit_state{instance="a",name="web.service",state="failed",type="simple"} 0 1"#,
        "critical",
        "a: web.service failed",
    ),
    (
        "task_failed",
        r#"node_systemd_unit_state{instance="a",name="t.service",state="failed",type="oneshot"} 0 1"#,
        "warning",
        "a: the task t.service failed",
    ),
    (
        "service_flapping",
        r#"node_systemd_service_restart_total{instance="a",name="web.service"} 0x12 1+1x5"#,
        "warning",
        "a: web.service was restarted 3 times in ten minutes",
    ),
    (
        "service_hung",
        r#"node_systemd_unit_state{instance="a",name="web.service",state="deactivating",type="simple"} 1x20"#,
        "warning",
        "a: web.service stays deactivating",
    ),
    (
        "service_watchdog",
        r#"muster_systemd_unit_result{instance="a",name="web.service",result="watchdog"} _x35 1x3
           up{instance="a"} 1x45"#,
        "warning",
        "a: web.service hung and was killed by its watchdog",
    ),
    (
        "process_gone",
        r#"muster_named_processes{instance="a",name="nginx"} 4 0x3"#,
        "critical",
        "a: no process nginx runs",
    ),
    ("check_failed", r#"probe_success{instance="a"} 1 0x5"#, "critical", "The check of a fails"),
    (
        "link_lossy",
        r#"probe_success{instance="a"} 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0"#,
        "warning",
        "50 % of the checks of a fail",
    ),
    (
        "link_slow",
        r#"probe_duration_seconds{instance="a"} 4x12"#,
        "warning",
        "a takes 4s to answer",
    ),
    (
        "link_errors",
        r#"node_network_receive_errs_total{instance="a",device="eth0"} 0+60x45
           node_network_receive_packets_total{instance="a",device="eth0"} 0+1200x45"#,
        "warning",
        "a: 5.0 % of packets on eth0 arrive damaged",
    ),
    (
        "link_flapping",
        r#"node_network_carrier_changes_total{instance="a",device="eth0"} 2x12 8x3"#,
        "warning",
        "a: eth0 changed 6 times in ten minutes",
    ),
    (
        "bond_degraded",
        r#"node_bonding_slaves{instance="a",master="bond0"} 2x5
           node_bonding_active{instance="a",master="bond0"} 1x5"#,
        "warning",
        "a: bond0 lacks 1 link(s)",
    ),
    (
        "conntrack",
        r#"node_nf_conntrack_entries{instance="a"} 85x12
           node_nf_conntrack_entries_limit{instance="a"} 100x12"#,
        "warning",
        "a: 85 % of the connection table in use",
    ),
    (
        "certificate",
        r#"probe_ssl_earliest_cert_expiry{instance="a"} 864000x70"#,
        "warning",
        "The certificate of a expires in 9d 23h 0m 0s",
    ),
    (
        "store_failing",
        r#"muster_tsdb_write_failing{instance="s"} 0 1"#,
        "critical",
        "Muster cannot write to its disk",
    ),
    (
        "store_full",
        r#"muster_tsdb_disk_full{instance="s"} 0 1"#,
        "critical",
        "Muster stores nothing: its disk is full",
    ),
    (
        "store_damaged",
        r#"muster_tsdb_quarantined_total{instance="s"} 0x61 2"#,
        "warning",
        "2 damaged file(s) of Muster's store were set aside",
    ),
    (
        "notifications_failing",
        r#"muster_notifications_channel_failing{instance="s",channel="ops"} 1x7"#,
        "critical warning",
        "The channel ops takes no messages",
    ),
    (
        "notifications_given_up",
        r#"muster_notifications_last_given_up_timestamp_seconds{instance="s",channel="ops"} 0x3"#,
        "warning",
        "A message to the channel ops was given up",
    ),
    (
        "rules_failing",
        r#"muster_rule_evaluation_failures_total{instance="s",rule_group="g"} 0x12 4x3"#,
        "warning",
        "4 evaluations of rules failed in ten minutes",
    ),
    (
        "rules_late",
        r#"muster_rule_group_iterations_missed_total{instance="s",rule_group="g"} 0x12 40x8"#,
        "warning",
        "40 turns of rules were missed in ten minutes",
    ),
    (
        "series_refused",
        r#"muster_ingest_refused_series_total{instance="s"} 0x12 5x8"#,
        "warning",
        "Muster refused 5 series in ten minutes",
    ),
    (
        "server_defect",
        r#"muster_panics_total{instance="s"} 0x61 1"#,
        "warning",
        "A part of Muster failed and was contained",
    ),
    (
        "server_certificate",
        r#"muster_tls_certificate_not_after_seconds{instance="s"} 90000x70"#,
        "critical warning",
        "Muster's certificate expires in 1d 0h 50m 0s",
    ),
    (
        "agent_outdated",
        r#"muster_agent_outdated{instance="a"} 1x1450"#,
        "info",
        "a: the agent is older than the server",
    ),
    (
        "agent_lagging",
        r#"muster_agent_spool_bytes{instance="a"} 2097152x20"#,
        "warning",
        "a: 2MiB wait to be sent",
    ),
    (
        "agent_dropping",
        r#"muster_agent_dropped_samples_total{instance="a"} 0x12 2000x3"#,
        "warning",
        "a: the agent dropped 2k samples",
    ),
    (
        "container_oom",
        r#"muster_container_oom_kills_total{instance="a",container="c",name="db"} 0x12 2x3"#,
        "warning",
        "a: container db had not enough memory",
    ),
    (
        "store_filling",
        r#"muster_data_disk_available_bytes{instance="s"} 2x9
           muster_data_disk_size_bytes{instance="s"} 100x9"#,
        "critical warning",
        "Muster's disk has 2.0 % left",
    ),
    (
        "agent_slowed",
        r#"muster_agent_slowdown{instance="a"} 0x5 2x32"#,
        "info",
        "a: the agent measures more rarely than it should",
    ),
];

#[test]
fn every_rule_fires_on_its_fault_and_says_so_in_both_languages() {
    for (id, series, severities, summary) in FAULTS {
        check_fires(id, series, severities, summary);
    }
    let tested: BTreeSet<&str> = FAULTS.iter().map(|(id, ..)| *id).collect();
    let all: BTreeSet<&str> = catalogue().iter().map(|rule| rule.id).collect();
    assert_eq!(tested, all);
    assert_eq!(all.len(), catalogue().len(), "an id is there twice");
}

/// What healthy busy machines do, by the rule that is to stay quiet.
const HEALTHY: &[(&str, &str)] = &[
    // A build that takes half an hour, and a backup that keeps the disk busy.
    ("cpu_saturated", r#"node_pressure_cpu_waiting_seconds_total{instance="a"} 0+60x30 1800x60"#),
    (
        "disk_slow",
        r#"node_disk_read_time_seconds_total{instance="a",device="sda"} 0+600x60
           node_disk_reads_completed_total{instance="a",device="sda"} 0+12000x60"#,
    ),
    // Pages read by programs that wait for memory a little while enough is there.
    (
        "memory_pressure",
        r#"node_pressure_memory_waiting_seconds_total{instance="a"} 0+30x30
           node_memory_MemAvailable_bytes{instance="a"} 40x30
           node_memory_MemTotal_bytes{instance="a"} 100x30"#,
    ),
    ("swap_storm", r#"node_vmstat_pswpin{instance="a"} 0+600000x4 2400000x20"#),
    ("oom_kill", r#"muster_oom_kills_total{instance="a",program="x",unit=""} 0x30"#),
    // Images are full by design, and read-only for ever.
    (
        "disk_full",
        r#"node_filesystem_avail_bytes{instance="a",mountpoint="/snap/x",fstype="squashfs"} 0x20
           node_filesystem_size_bytes{instance="a",mountpoint="/snap/x",fstype="squashfs"} 100x20
           node_filesystem_avail_bytes{instance="a",mountpoint="/usr",fstype="ext4"} 0x20
           node_filesystem_size_bytes{instance="a",mountpoint="/usr",fstype="ext4"} 100x20
           node_filesystem_readonly{instance="a",mountpoint="/usr",fstype="ext4"} 1x20"#,
    ),
    (
        "disk_read_only",
        r#"node_filesystem_readonly{instance="a",mountpoint="/usr",fstype="ext4"} 1x200"#,
    ),
    // File systems such as btrfs count no inodes.
    (
        "inodes_full",
        r#"node_filesystem_files_free{instance="a",mountpoint="/",fstype="btrfs"} 0x20
           node_filesystem_files{instance="a",mountpoint="/",fstype="btrfs"} 0x20"#,
    ),
    // A deployment restarts a service once; a long task starts for an hour.
    ("service_flapping", r#"node_systemd_service_restart_total{instance="a",name="w"} 0x15 1x30"#),
    (
        "service_hung",
        r#"node_systemd_unit_state{instance="a",name="w",state="activating",type="simple"} 1 1 0x30
           node_systemd_unit_state{instance="a",name="backup",state="activating",type="oneshot"} 1x60"#,
    ),
    (
        "service_watchdog",
        r#"muster_systemd_unit_result{instance="a",name="w",result="watchdog"} 1x60
           up{instance="a"} _x20 1x40"#,
    ),
    (
        "raid_degraded",
        r#"node_md_disks_required{instance="a",device="md0"} 2x5
        node_md_disks{instance="a",device="md0",state="active"} 2x5
        node_md_disks{instance="a",device="md0",state="spare"} 1x5"#,
    ),
    ("check_failed", r#"probe_success{instance="a"} 1 1 0 1 1 1"#),
    ("link_lossy", r#"probe_success{instance="a"} 1x20 0 1x40"#),
    (
        "link_flapping",
        r#"node_network_carrier_changes_total{instance="a",device="eth0"} 2x15 4x30"#,
    ),
    // The card's driver was updated, and its host rebooted.
    (
        "gpu_lost",
        r#"muster_gpu_info{instance="a",gpu="0",uuid="u",driver="1"} 1x20
           muster_gpu_info{instance="a",gpu="0",uuid="u",driver="2"} _x24 1x40
           up{instance="a"} 1x20 0x4 1x40"#,
    ),
    ("agent_lagging", r#"muster_agent_spool_bytes{instance="a"} 9000000x5 0x30"#),
    ("host_silent", r#"muster_host_silent_seconds{instance="a"} 0x5 3 0x5"#),
];

#[test]
fn healthy_busy_machines_are_quiet() {
    for (id, series) in HEALTHY {
        check_quiet(id, series);
    }
}

#[test]
fn rules_are_well_formed() {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for rule in catalogue() {
        let id = rule.id;
        assert!(names.insert(rule.alert, id).is_none(), "{} is the name of two rules", rule.alert);
        let texts = [rule.title, rule.about, rule.summary, rule.action].concat();
        assert!(texts.iter().all(|text| !text.is_empty()), "{id} lacks a text");
        assert_eq!(rule.description[0].is_empty(), rule.description[1].is_empty(), "{id}");
        assert!(rule.levels.is_sorted_by_key(|level| level.severity), "{id}");
        for level in rule.levels {
            let (Some(threshold), Some(clear)) = (level.threshold, level.clear) else { continue };
            assert_eq!(clear > threshold, rule.below, "{id} clears on the wrong side");
        }
    }
}
