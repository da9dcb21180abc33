//! Texts that say who hears of alerts: files of routes, lists of matchers, the times of recurring silences.

use std::collections::BTreeSet;

use muster_alerting::{
    AlertSource, Dispatcher, LabelMap, Matchers, PostedAlert, PostedState, Recurrence, Routing,
};

const HOUR_MS: i64 = 3_600_000;
const NOW_MS: i64 = 1_790_000_000_000;

/// A text, read as each of them; what can be read has to decide about an alert, and to read the same again.
pub(crate) fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(routing) = Routing::parse(text) {
        let again = Routing::parse(routing.to_yaml()).expect("what was read is read again");
        assert_eq!(again.receivers(), routing.receivers(), "other receivers when read again");
        routed(routing);
    }
    if let Ok(matchers) = Matchers::parse(text) {
        assert_eq!(matchers.match_everything(), matchers.matches(&LabelMap::new()));
        let _ = matchers.matches(&labels());
        let written = matchers.to_string();
        let again = Matchers::parse(&written).expect("what was written is read");
        assert_eq!(again, matchers, "other matchers when read again: {written}");
    }
    recurring(text);
}

/// Days, times and a zone, a line each, as the page sends them.
fn recurring(text: &str) {
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default();
    let days = next().bytes().map(|byte| byte.wrapping_sub(b'0')).collect();
    let Ok(recurrence) = Recurrence::new(days, next(), next(), next()) else { return };
    for at_ms in [0, NOW_MS, NOW_MS + 13 * HOUR_MS, i64::MIN, i64::MAX, -HOUR_MS] {
        let _ = recurrence.holds(at_ms);
    }
}

fn labels() -> LabelMap {
    [("alertname", "DiskFull"), ("instance", "db-1"), ("severity", "critical")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// An alert begins, lasts and ends under these routes.
fn routed(routing: Routing) {
    let channels = BTreeSet::from(["ops".to_owned()]);
    let mut core = Dispatcher::new(routing, channels);
    let alert = PostedAlert {
        source: AlertSource::Pushed,
        state: PostedState::Firing,
        labels: labels(),
        annotations: LabelMap::new(),
        active_at_ms: NOW_MS,
        starts_at_ms: Some(NOW_MS),
        ends_at_ms: None,
        value: Some(97.0),
        threshold: None,
        unit: String::new(),
        expression: String::new(),
        generator_url: String::new(),
    };
    core.post(vec![alert.clone()], NOW_MS);
    for hours in [0, 1, 5, 30] {
        let _ = core.poll(NOW_MS + hours * HOUR_MS);
        let _ = core.next_due_ms();
    }
    let end_ms = NOW_MS + 31 * HOUR_MS;
    let over = PostedAlert { state: PostedState::Resolved, ends_at_ms: Some(end_ms), ..alert };
    core.post(vec![over], end_ms);
    let _ = core.poll(end_ms + 24 * HOUR_MS);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "route:\n  receiver: ops\n  group_by: [alertname, '...']\n  group_wait: 10s\n  \
         group_interval: 1m\n  repeat_interval: 4h\n  routes:\n  - receiver: night\n    \
         matchers: [severity=\"critical\", instance=~\"db-.*\"]\n    continue: true\n    \
         mute_time_intervals: [night]\nreceivers:\n- name: ops\n- name: night\n\
         inhibit_rules:\n- source_matchers: [alertname=\"HostSilent\"]\n  \
         target_matchers: [severity=~\"warning|info\"]\n  equal: [instance]\n\
         time_intervals:\n- name: night\n  time_intervals:\n  - times: [{start_time: '22:00', end_time: '24:00'}]\n    \
         weekdays: ['monday:friday']\n    days_of_month: ['1:-1']\n    months: ['may:august']\n    \
         years: ['2026:2030']\n    location: Europe/Berlin\n",
        "{severity=\"critical\", instance=~\"db-[0-9]+\", job!=\"a\\\"b\", \"x y\"!~'z'}",
        "alertname=DiskFull,team!~\"a|b\"",
        "12345\n22:00\n06:00\nEurope/Berlin",
        "\n00:00\n24:00\nUTC",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
