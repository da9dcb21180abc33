//! One test for each noise rule.

use crate::scenario::{BUILT_IN, check, check_without_restarts};

/// Alertmanager's own times.
const CLASSIC: &str = "
route:
  receiver: mail
  group_by: [alertname]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
";

#[test]
fn a_group_waits_for_more_and_then_looks_from_time_to_time() {
    check(
        CLASSIC,
        "0s   DiskFull web-1 warning fires
         10s  DiskFull web-2 warning fires
         30s  => mail change: +DiskFull{web-1} +DiskFull{web-2}
         1m   DiskFull web-3 warning fires
         2m   DiskFull web-1 warning resolves
         5m30s => mail change: +DiskFull{web-2} +DiskFull{web-3} -DiskFull{web-1}
         5m40s trail DiskFull web-1 warning: firing grouped queued resolved queued
         20m  end",
    );
}

#[test]
fn muster_itself_tells_of_what_is_new_at_once_in_old_groups_too() {
    check(
        BUILT_IN,
        "0s    UnitFailed web-1 critical fires
         500ms => everyone change: +UnitFailed{web-1}
         2m    UnitFailed web-2 critical fires
         2m500ms => everyone change: +UnitFailed{web-2}
         3m    UnitFailed web-1 critical resolves
         3m500ms => everyone change: -UnitFailed{web-1}
         10m   end",
    );
}

#[test]
fn no_program_from_outside_takes_over_or_ends_what_a_rule_here_tells() {
    check(
        BUILT_IN,
        "0s    Raid web-1 critical fires
         500ms => everyone change: +Raid{web-1}
         1m    Raid web-1 critical pushed
         20m   Raid web-1 critical resolves
         20m500ms => everyone change: -Raid{web-1}
         30m   end",
    );
}

#[test]
fn what_is_critical_is_repeated_each_hour_and_warnings_each_day() {
    check(
        BUILT_IN,
        "0s    Raid web-1 critical fires
         0s    Slow web-2 warning fires
         500ms => everyone change: +Raid{web-1}
         500ms => everyone change: +Slow{web-2}
         1h1m500ms => everyone repeat: +Raid{web-1}
         2h2m500ms => everyone repeat: +Raid{web-1}
         3h    end",
    );
}

#[test]
fn nobody_is_told_of_infos_and_the_trail_says_so() {
    check(
        BUILT_IN,
        "0s Reboot web-1 info fires
         1h trail Reboot web-1 info: firing no_receiver",
    );
}

#[test]
fn what_never_fires_is_not_told() {
    check(
        BUILT_IN,
        "0s  DiskFull web-1 warning pends
         1m  DiskFull web-1 warning resolves
         10m trail DiskFull web-1 warning: pending dropped",
    );
}

#[test]
fn an_alert_that_comes_back_before_its_end_was_told_makes_no_message() {
    check(
        BUILT_IN,
        "0s    DiskFull web-1 warning fires
         500ms => everyone change: +DiskFull{web-1}
         1m5s  DiskFull web-1 warning resolves
         1m50s DiskFull web-1 warning fires
         6m    trail DiskFull web-1 warning: firing grouped queued resolved firing grouped unchanged",
    );
}

#[test]
fn what_comes_and_goes_within_the_wait_is_not_told() {
    check(
        CLASSIC,
        "0s  DiskFull web-1 warning fires
         10s DiskFull web-1 warning resolves
         1h  end",
    );
}

#[test]
fn a_silence_hides_and_what_fires_still_is_told_afterwards() {
    check(
        BUILT_IN,
        "0s  silence s1 instance=web-1 for 1h
         1m  DiskFull web-1 warning fires
         1m  DiskFull web-2 warning fires
         1m500ms => everyone change: +DiskFull{web-2}
         1h500ms => everyone change: +DiskFull{web-1}
         1h1m trail DiskFull web-1 warning: firing grouped silenced unhushed queued",
    );
}

#[test]
fn a_silence_can_be_ended_before_its_time() {
    check(
        BUILT_IN,
        "0s  silence s1 instance=web-1 for 1h
         1m  DiskFull web-1 warning fires
         10m expire s1
         10m500ms => everyone change: +DiskFull{web-1}
         2h  end",
    );
}

#[test]
fn an_alert_that_was_told_and_then_silenced_ends_without_a_word_and_is_told_anew() {
    check(
        BUILT_IN,
        "0s    DiskFull web-1 warning fires
         500ms => everyone change: +DiskFull{web-1}
         1m    silence s1 instance=web-1 for 30m
         2m    DiskFull web-1 warning resolves
         40m   DiskFull web-1 warning fires
         40m500ms => everyone change: +DiskFull{web-1}
         50m   end",
    );
}

#[test]
fn a_silence_until_resolved_ends_with_the_alerts_it_hides() {
    check(
        BUILT_IN,
        "0s  DiskFull web-1 warning fires
         500ms => everyone change: +DiskFull{web-1}
         1m  silence s1 instance=web-1 for 10h until-resolved
         1h  DiskFull web-1 warning resolves
         1h500ms => everyone change: -DiskFull{web-1}
         3h  DiskFull web-1 warning fires
         3h500ms => everyone change: +DiskFull{web-1}
         4h  end",
    );
}

#[test]
fn a_maintenance_window_comes_back_every_day() {
    check(
        BUILT_IN,
        "0s  silence night instance=web-1 for 72h daily=01:00-02:00
         30m Backup web-1 warning fires
         30m500ms => everyone change: +Backup{web-1}
         40m Backup web-1 warning resolves
         40m500ms => everyone change: -Backup{web-1}
         1h30m Backup web-1 warning fires
         1h45m Backup web-1 warning resolves
         25h30m Backup web-1 warning fires
         1d2h500ms => everyone change: +Backup{web-1}
         27h end",
    );
}

#[test]
fn a_silent_host_is_one_incident_and_swallows_what_else_fires_there() {
    check(
        BUILT_IN,
        "0s    HostSilent web-1 critical fires
         500ms => everyone change: +HostSilent{web-1}
         5s    DiskFull web-1 warning fires
         6s    UnitFailed web-1 critical fires
         6s    UnitFailed web-2 critical fires
         6s500ms => everyone change: +UnitFailed{web-2}
         1h1m500ms => everyone repeat: +HostSilent{web-1} swallows 2
         1h1m6s500ms => everyone repeat: +UnitFailed{web-2}
         1h10m trail DiskFull web-1 warning: firing grouped inhibited",
    );
}

#[test]
fn a_host_that_may_be_silent_holds_its_alerts_back_already() {
    check(
        BUILT_IN,
        "0s  HostSilent web-1 critical pends
         1s  CheckFailed web-1 warning fires
         9s  HostSilent web-1 critical fires
         9s500ms => everyone change: +HostSilent{web-1} swallows 1
         10m end",
    );
}

#[test]
fn when_a_host_is_heard_again_its_alerts_have_a_moment_to_end() {
    check(
        BUILT_IN,
        "0s    HostSilent web-1 critical fires
         500ms => everyone change: +HostSilent{web-1}
         5s    DiskFull web-1 warning fires
         6s    CheckFailed web-1 warning fires
         4m    HostSilent web-1 critical resolves
         4m15s CheckFailed web-1 warning resolves
         4m500ms => everyone change: -HostSilent{web-1} swallows 2
         4m30s500ms => everyone change: +DiskFull{web-1}
         9m    end",
    );
}

#[test]
fn the_more_severe_of_two_levels_explains_the_milder() {
    check(
        BUILT_IN,
        "0s    DiskFull web-1 warning fires
         500ms => everyone change: +DiskFull{web-1}
         10m   DiskFull web-1 critical fires
         10m500ms => everyone change: +DiskFull{web-1} swallows 1
         11m   trail DiskFull web-1 warning: firing grouped queued inhibited",
    );
}

#[test]
fn peoples_inhibition_rules_hold_too() {
    check(
        "
route: {receiver: mail, group_by: [alertname], group_wait: 1s}
inhibit_rules:
  - source_matchers: [alertname=SwitchDown]
    target_matchers: [alertname=~\"Link.*\"]
    equal: [instance]
",
        "0s SwitchDown site-a critical fires
         1s => mail change: +SwitchDown{site-a}
         2s LinkSlow site-a warning fires
         2s LinkSlow site-b warning fires
         3s => mail change: +LinkSlow{site-b}
         1m end",
    );
}

#[test]
fn who_takes_note_of_an_alert_is_not_reminded_of_it() {
    check(
        BUILT_IN,
        "0s    Raid web-1 critical fires
         500ms => everyone change: +Raid{web-1}
         30m   acknowledge Raid web-1 critical ann
         30m   assign Raid web-1 critical bob
         3h    Raid web-1 critical resolves
         3h500ms => everyone change: -Raid{web-1}
         4h    trail Raid web-1 critical: firing grouped queued acknowledged assigned resolved queued",
    );
}

const ESCALATING: &str = "
route: {receiver: mail, group_by: [alertname], group_wait: 1s, group_interval: 5m, escalate_after: 15m, escalate_to: pager}
";

#[test]
fn if_nobody_takes_note_in_time_somebody_else_is_called_once() {
    check(
        ESCALATING,
        "0s    Raid web-1 critical fires
         1s    => mail change: +Raid{web-1}
         15m1s => pager escalation: +Raid{web-1}
         1h    Raid web-1 critical resolves
         1h1s  => mail change: -Raid{web-1}
         1h1s  => pager change: -Raid{web-1}
         2h    trail Raid web-1 critical: firing grouped queued escalated queued resolved queued queued",
    );
}

#[test]
fn if_somebody_takes_note_in_time_nobody_else_is_called() {
    check(
        ESCALATING,
        "0s  Raid web-1 critical fires
         1s  => mail change: +Raid{web-1}
         10m acknowledge Raid web-1 critical ann
         2h  end",
    );
}

#[test]
fn flapping_is_told_once_and_then_what_it_settles_in() {
    check(
        "route: {receiver: mail, group_by: [alertname], group_wait: 1s, group_interval: 30s, eager: true}",
        "0s   Link web-1 warning fires
         1s   => mail change: +Link{web-1}
         1m   Link web-1 warning resolves
         1m1s => mail change: -Link{web-1}
         2m   Link web-1 warning fires
         2m1s => mail change: +Link{web-1}
         3m   Link web-1 warning resolves
         3m1s => mail change: -Link{web-1}
         4m   Link web-1 warning fires
         4m1s => mail change: +Link{web-1}
         5m   Link web-1 warning resolves
         5m1s => mail change: -Link{web-1}
         6m   Link web-1 warning fires
         6m1s => mail flapping: +Link{web-1}
         7m   Link web-1 warning resolves
         8m   Link web-1 warning fires
         9m   Link web-1 warning resolves
         41m21s457ms => mail change: -Link{web-1}
         50m  end",
    );
}

#[test]
fn a_thousand_alerts_at_once_are_a_few_messages() {
    check(
        BUILT_IN,
        "0s    DiskFull web-1..web-1000 warning fires
         500ms => everyone change: +DiskFull{web-1}
         500ms => everyone change: +DiskFull{web-10}
         500ms => everyone change: +DiskFull{web-100}
         500ms => everyone change: +DiskFull{web-1000}
         500ms => everyone change: +DiskFull{web-101}
         10s500ms => everyone storm: 200 firing, 0 resolved, 795 left out
         3m    trail DiskFull web-7 warning: firing grouped summed_up",
    );
}

#[test]
fn critical_alerts_come_first_in_a_storm() {
    check(
        BUILT_IN,
        "0s    DiskFull web-1..web-20 warning fires
         0s    Raid web-7 critical fires
         500ms => everyone change: +Raid{web-7}
         500ms => everyone change: +DiskFull{web-1}
         500ms => everyone change: +DiskFull{web-10}
         500ms => everyone change: +DiskFull{web-11}
         500ms => everyone change: +DiskFull{web-12}
         1s    HostSilent web-8 critical fires
         1s500ms => everyone change: +HostSilent{web-8} swallows 1
         10s500ms => everyone storm: 16 firing, 0 resolved, 0 left out
         3m    end",
    );
}

#[test]
fn alerts_of_other_programs_end_by_themselves() {
    // A restart gives them time to be renewed, so that this holds without one only.
    check_without_restarts(
        "route: {receiver: mail, group_by: [alertname], group_wait: 1s, group_interval: 1m}",
        "0s   Job ci warning pushed
         1s   => mail change: +Job{ci}
         4m   Job ci warning pushed
         9m1s => mail change: -Job{ci}
         20m  end",
    );
}

#[test]
fn a_mute_time_holds_messages_back_until_it_ends() {
    check(
        "
route:
  receiver: mail
  group_by: [alertname]
  group_wait: 1s
  group_interval: 1m
  eager: true
  routes: [{matchers: [severity=warning], mute_time_intervals: [night]}]
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]
",
        "1h   DiskFull web-1 warning fires
         1h   Raid web-1 critical fires
         1h1s => mail change: +Raid{web-1}
         5h1m1s => mail repeat: +Raid{web-1}
         6h1s => mail change: +DiskFull{web-1}
         7h   trail DiskFull web-1 warning: firing grouped muted unhushed queued",
    );
}

#[test]
fn without_a_channel_nobody_is_told_until_there_is_one() {
    check(
        "route: {receiver: chat, group_by: [alertname], group_wait: 1s}",
        "0s DiskFull web-1 warning fires
         1h channels chat
         1h => chat change: +DiskFull{web-1}
         2h trail DiskFull web-1 warning: firing no_receiver unhushed queued",
    );
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_for_long() {
    check(
        BUILT_IN,
        "2h    DiskFull web-1 warning fires
         2h500ms => everyone change: +DiskFull{web-1}
         2h10s clock -1h
         2h11s DiskFull web-2 warning fires
         1h11s500ms => everyone change: +DiskFull{web-2}
         2h12s DiskFull web-1 warning resolves
         1h1m10s => everyone change: -DiskFull{web-1}
         2h20m end",
    );
}
