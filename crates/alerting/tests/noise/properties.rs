//! What must hold whatever happens.

use std::collections::BTreeMap;

use muster_alerting::{NotificationKind, PostedState};
use proptest::prelude::*;

use crate::scenario::{MIDNIGHT_MS, World, alert};

/// Times that are short enough for a lot to happen.
const ROUTES: &str = "
route:
  receiver: mail
  group_by: [alertname]
  group_wait: 5s
  group_interval: 1m
  repeat_interval: 30m
  routes:
    - matchers: [severity=critical]
      receiver: pager
      group_by: ['...']
      eager: true
      continue: true
    - matchers: ['instance=~\"web-[12]\"']
";

/// After how many milliseconds, which alert, and whether it fires then.
type Step = (i64, usize, bool);

const ALERTS: [(&str, &str, &str); 6] = [
    ("DiskFull", "web-1", "warning"),
    ("DiskFull", "web-2", "warning"),
    ("DiskFull", "web-3", "critical"),
    ("HostSilent", "web-1", "critical"),
    ("Load", "web-1", "warning"),
    ("Load", "web-2", "critical"),
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..300_000_i64, 0..ALERTS.len(), any::<bool>()), 1..40)
}

fn step(world: &mut World, &(wait_ms, which, fires): &Step) {
    world.advance(world.now_ms + wait_ms);
    let (name, host, severity) = ALERTS[which];
    let what = if fires { "fires" } else { "resolves" };
    world.post(alert(name, host, severity, what, world.now_ms));
}

/// A message: when, to whom, why, and of which alerts with whether they fire.
type Told = (i64, String, NotificationKind, Vec<(String, bool)>);

/// What was told, in order.
fn told(world: &World) -> Vec<Told> {
    let messages = world.messages.iter().map(|message| {
        let alerts = message.alerts.iter().map(|one| (one.fingerprint.clone(), one.firing));
        (message.at_ms, message.receiver.clone(), message.kind, alerts.collect())
    });
    messages.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_fires_and_is_not_hidden_is_told_in_time(steps in steps()) {
        let mut world = World::new(ROUTES, &["mail", "pager"], false);
        for one in &steps {
            step(&mut world, one);
        }
        // Wait, interval, and the time for which storms and silent hosts hold back.
        world.advance(world.now_ms + 5_000 + 60_000 + 300_000 + 30_000);
        // What the last message about each alert says.
        let said = world.messages.iter().flat_map(|message| &message.alerts);
        let said: BTreeMap<&str, bool> = said.map(|one| (&*one.fingerprint, one.firing)).collect();
        for view in world.dispatcher.alerts() {
            let open = view.state == PostedState::Firing && view.hush.is_none();
            let known = said.get(&*view.fingerprint) == Some(&true);
            prop_assert!(!open || known, "{:?} was not told", view.posted.labels);
        }
    }

    #[test]
    fn nothing_is_repeated_early(steps in steps()) {
        let mut world = World::new(ROUTES, &["mail", "pager"], false);
        for one in &steps {
            step(&mut world, one);
        }
        world.advance(world.now_ms + 7_200_000);
        let mut last: BTreeMap<(String, String), i64> = BTreeMap::new();
        for message in &world.messages {
            let key = (message.receiver.clone(), message.group_key.clone());
            let before = last.insert(key, message.at_ms);
            if message.kind == NotificationKind::Repeat {
                prop_assert!(before.is_some_and(|before| message.at_ms - before > 1_800_000));
            }
        }
    }

    #[test]
    fn a_restart_loses_nothing_and_tells_nothing_twice(steps in steps(), at in 0..40_usize) {
        let mut straight = World::new(ROUTES, &["mail", "pager"], false);
        let mut restarted = World::new(ROUTES, &["mail", "pager"], false);
        for (number, one) in steps.iter().enumerate() {
            step(&mut straight, one);
            step(&mut restarted, one);
            if number == at {
                restarted.restart();
            }
        }
        let end_ms = straight.now_ms + 7_200_000;
        straight.advance(end_ms);
        restarted.advance(end_ms);
        prop_assert_eq!(told(&straight), told(&restarted));
    }

    #[test]
    fn every_alert_that_fires_has_a_trail_and_no_line_is_written_twice(steps in steps()) {
        let mut world = World::new(ROUTES, &["mail", "pager"], false);
        for one in &steps {
            step(&mut world, one);
        }
        world.advance(MIDNIGHT_MS + 86_400_000);
        for pair in world.trail.windows(2) {
            prop_assert!(pair[0].at_ms <= pair[1].at_ms);
            prop_assert_ne!(&pair[0], &pair[1]);
        }
    }
}
