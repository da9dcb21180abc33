//! Facts in, changes out.

use muster_series::is_stale_marker;

use super::*;
use crate::systemd::transitions::Stamps;

const NOW: i64 = 1_000_000_000;

fn row(name: &str, state: State) -> Row {
    Row { name: name.into(), state }
}

fn typed(kind: &str) -> Facts {
    Facts { service_type: Some(kind.into()), ..Facts::default() }
}

/// Units of which nothing is to be told any more.
fn known(rows: &[(&str, State)]) -> Units {
    let mut units = Units::default();
    let rows: Vec<Row> = rows.iter().map(|(name, state)| row(name, *state)).collect();
    units.listed(&rows, NOW - 60_000, |_, _, _| {});
    for row in rows.iter().filter(|row| is_service(&row.name)) {
        units.answered(&row.name, typed("simple"), NOW - 60_000);
    }
    units.take_changes(NOW - 60_000);
    units
}

/// A change of state at so many milliseconds after `NOW`.
fn at(ms: i64, state: State) -> Facts {
    let us = ((NOW + ms) * 1_000) as u64;
    let mut stamps = Stamps { state_change: us, ..Stamps::default() };
    match state {
        State::Active => stamps.active_enter = us,
        State::Failed | State::Inactive => stamps.inactive_enter = us,
        State::Activating => stamps.inactive_exit = us,
        _ => stamps.active_exit = us,
    }
    Facts { state: Some(state), stamps, ..Facts::default() }
}

/// What is told: milliseconds after `NOW`, the series, its value; one that ends has the value `ends`.
#[track_caller]
fn check(units: &mut Units, now: i64, expected: &[&str]) {
    let mut told = Vec::new();
    for change in units.take_changes(NOW + now) {
        for (labels, value) in change.samples {
            let value = if is_stale_marker(value) { "ends".into() } else { value.to_string() };
            let labels = labels.to_string().replace("node_systemd_", "").replace(", ", ",");
            told.push(format!("{} {labels} {value}", change.timestamp_ms - NOW));
        }
    }
    assert_eq!(told, expected);
}

#[test]
fn the_first_list_tells_every_unit_once_its_type_is_known() {
    let mut units = Units::default();
    let rows = [
        row("a.service", State::Failed),
        row("b.timer", State::Active),
        row("dev-sda.device", State::Active),
    ];
    let mut asked = Vec::new();
    units.listed(&rows, NOW, |name, state, new| asked.push((name.to_owned(), state, new)));
    assert_eq!(
        asked,
        [("a.service".into(), State::Failed, true), ("b.timer".into(), State::Active, true)]
    );
    check(
        &mut units,
        0,
        &[
            r#"0 unit_state{name="b.timer",state="active"} 1"#,
            r#"0 unit_state{name="b.timer",state="failed"} 0"#,
            r#"0 timer_last_trigger_seconds{name="b.timer"} 0"#,
            r#"0 units{state="failed"} 1"#,
        ],
    );
    units.answered("a.service", Facts { result: Some("signal".into()), ..Facts::default() }, NOW);
    assert!(!units.has_changes());
    units.answered("a.service", typed("simple"), NOW + 1);
    check(
        &mut units,
        1,
        &[
            r#"0 unit_state{name="a.service",state="failed",type="simple"} 1"#,
            r#"0 service_restart_total{name="a.service"} 0"#,
            r#"0 muster_systemd_unit_result{name="a.service",result="signal"} 1"#,
        ],
    );
}

#[test]
fn a_failure_is_told_with_its_reason_and_its_time() {
    let mut units = known(&[("a.service", State::Active)]);
    let end = Facts {
        result: Some("exit-code".into()),
        main_code: Some(1),
        main_status: Some(3),
        ..Facts::default()
    };
    units.changed("a.service", end, NOW + 20);
    assert!(!units.has_changes(), "the state follows");
    units.changed("a.service", at(10, State::Failed), NOW + 20);
    check(
        &mut units,
        20,
        &[
            r#"10 unit_state{name="a.service",state="failed",type="simple"} 1"#,
            r#"10 unit_state{name="a.service",state="active",type="simple"} 0"#,
            r#"10 muster_systemd_unit_result{name="a.service",result="exit-code"} 1"#,
            r#"10 muster_systemd_unit_exit_code{name="a.service"} 3"#,
            r#"20 units{state="failed"} 1"#,
        ],
    );
    // It is started again, and killed: another result, and a signal in the place of the code.
    let started = Facts { result: Some("success".into()), main_code: Some(0), ..Facts::default() };
    units.changed("a.service", started, NOW + 30);
    units.changed("a.service", at(30, State::Active), NOW + 30);
    units.take_changes(NOW + 30);
    let end = Facts {
        result: Some("signal".into()),
        main_code: Some(2),
        main_status: Some(9),
        ..Facts::default()
    };
    units.changed("a.service", end, NOW + 40);
    units.changed("a.service", at(40, State::Failed), NOW + 40);
    check(
        &mut units,
        40,
        &[
            r#"40 unit_state{name="a.service",state="failed",type="simple"} 1"#,
            r#"40 unit_state{name="a.service",state="active",type="simple"} 0"#,
            r#"40 muster_systemd_unit_result{name="a.service",result="signal"} 1"#,
            r#"40 muster_systemd_unit_exit_signal{name="a.service"} 9"#,
            r#"40 unit_start_time_seconds{name="a.service",type="simple"} ends"#,
            r#"40 muster_systemd_unit_result{name="a.service",result="success"} ends"#,
            r#"40 muster_systemd_unit_exit_code{name="a.service"} ends"#,
            r#"40 units{state="failed"} 1"#,
        ],
    );
}

#[test]
fn no_change_hides_another_of_the_same_millisecond() {
    let mut units = known(&[("a.mount", State::Active)]);
    for state in [State::Failed, State::Activating, State::Active] {
        let mut facts = at(5, state);
        facts.stamps = Stamps { state_change: facts.stamps.state_change, ..Stamps::default() };
        units.changed("a.mount", facts, NOW + 5);
    }
    check(
        &mut units,
        5,
        &[
            r#"5 unit_state{name="a.mount",state="failed"} 1"#,
            r#"5 unit_state{name="a.mount",state="active"} 0"#,
            r#"6 unit_state{name="a.mount",state="activating"} 1"#,
            r#"6 unit_state{name="a.mount",state="failed"} 0"#,
            r#"7 unit_state{name="a.mount",state="active"} 1"#,
            r#"7 unit_state{name="a.mount",state="activating"} 0"#,
        ],
    );
}

#[test]
fn a_unit_first_heard_of_waits_for_its_type_and_may_vanish_before() {
    let mut units = known(&[]);
    let unknown = units.changed("run-1.service", at(1, State::Activating), NOW + 1);
    assert_eq!(unknown, Unknown::Everything);
    units.changed("run-1.service", at(2, State::Failed), NOW + 2);
    assert!(!units.has_changes());
    units.removed("run-1.service", NOW + 3);
    let told: Vec<i64> = units.take_changes(NOW + 3).iter().map(|c| c.timestamp_ms - NOW).collect();
    assert_eq!(told, [1, 2, 3], "both states, and the number of failed units");
    assert_eq!(units.count(State::Failed), 0);
}

#[test]
fn what_is_gone_ends_its_series() {
    let mut units = known(&[("a.socket", State::Active)]);
    units.removed("a.socket", NOW);
    check(
        &mut units,
        0,
        &[
            r#"0 unit_state{name="a.socket",state="active"} ends"#,
            r#"0 unit_state{name="a.socket",state="failed"} ends"#,
        ],
    );
}

#[test]
fn a_storm_is_bounded_and_ends_with_the_truth() {
    let mut units = known(&[("a.socket", State::Active), ("b.socket", State::Active)]);
    for round in 0..5_000 {
        let state = if round % 2 == 0 { State::Failed } else { State::Active };
        units.changed("a.socket", at(round, state), NOW + round);
    }
    units.changed("b.socket", at(5_000, State::Failed), NOW + 5_000);
    let changes = units.take_changes(NOW + 5_001);
    assert!(changes.len() <= MAX_CHANGES + 3, "{}", changes.len());
    let mut last = BTreeMap::new();
    for (labels, value) in changes.into_iter().flat_map(|change| change.samples) {
        last.insert(labels.to_string(), value);
    }
    let state = |name: &str, state: &str| {
        last[&format!("node_systemd_unit_state{{name=\"{name}\", state=\"{state}\"}}")]
    };
    assert_eq!((state("a.socket", "active"), state("a.socket", "failed")), (1.0, 0.0));
    assert_eq!((state("b.socket", "active"), state("b.socket", "failed")), (0.0, 1.0));
    assert!(!units.has_changes());
}

#[test]
fn a_list_mends_what_no_signal_told() {
    let mut units = known(&[("a.socket", State::Active), ("b.socket", State::Active)]);
    let mut asked = Vec::new();
    let rows = [row("a.socket", State::Failed), row("c.socket", State::Active)];
    units.listed(&rows, NOW, |name, _, new| asked.push((name.to_owned(), new)));
    assert_eq!(asked, [("a.socket".into(), true), ("c.socket".into(), true)]);
    let told = units.take_changes(NOW);
    let ended = told[0].samples.iter().filter(|(_, value)| is_stale_marker(*value)).count();
    assert_eq!((told[0].samples.len(), ended), (7, 2), "{told:?}");
    assert!(!units.by_name.contains_key("b.socket"));
}

#[test]
fn a_time_that_cannot_be_is_replaced_by_ours() {
    for wrong in [-MAX_AGE_MS - 1, 60_000] {
        let mut units = known(&[("a.socket", State::Active)]);
        units.changed("a.socket", at(wrong, State::Failed), NOW);
        assert_eq!(units.take_changes(NOW)[0].timestamp_ms, NOW, "{wrong}");
    }
}

#[test]
fn versions_are_numbers() {
    for (version, number) in [("252.39-1~deb12u2", 252.39), ("257", 257.0), ("v1", 0.0), ("", 0.0)]
    {
        assert_eq!(version_number(version), number);
    }
}
