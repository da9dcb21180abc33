//! What evaluates rules at once: urgent batches, and hosts that fall silent.

use std::collections::BTreeSet;

use muster_alerting::catalogue;

use crate::world::{Pair, World};

const SILENT: &str = "HostSilent";
/// Nobody is silent for so long after the server's start, and then for so long again.
const SOONEST_STEPS: u32 = 28;

const FAILED: [Pair; 4] = [
    ("__name__", "node_systemd_unit_state"),
    ("name", "web.service"),
    ("state", "failed"),
    ("type", "simple"),
];

#[tokio::test]
async fn an_urgent_batch_evaluates_the_rules_that_read_it_and_no_others() {
    let world = World::start().await;
    let mut host = world.host("web-1", &[]).await;
    // That the host came evaluates what reads `up`. The clock stands still, so that nobody's turn comes.
    world.until_evaluated("host_silent").await;
    let before: BTreeSet<String> = world.evaluated().await.into_keys().collect();
    host.send(false, world.now_ms(), &[(&FAILED, 1.0)]).await;
    world.a_while().await;
    assert_eq!(world.alerts("ServiceFailed").await, [""; 0], "it was not urgent");
    host.send(true, world.now_ms(), &[(&FAILED, 1.0)]).await;
    world.until_alerts("ServiceFailed", &["web-1 firing"]).await;
    world.a_while().await;
    let after: BTreeSet<String> = world.evaluated().await.into_keys().collect();
    let reads = |expr: &str| expr.contains("node_systemd_unit_state");
    let readers = catalogue().iter().filter(|rule| rule.nudged && reads(rule.expr));
    let expected: BTreeSet<String> = readers.map(|rule| rule.id.to_owned()).collect();
    let new: BTreeSet<String> = after.difference(&before).cloned().collect();
    assert_eq!(new, expected);
    world.stop().await;
}

#[tokio::test]
async fn who_falls_silent_is_told_but_not_who_said_goodbye_and_nobody_too_soon() {
    let world = World::start().await;
    let hosts = [world.host("gone", &[]).await, world.host("stopped", &[]).await];
    let [_gone, stopped] = hosts;
    stopped.goodbye().await;
    world.pass(SOONEST_STEPS).await;
    assert_eq!(world.alerts(SILENT).await, [""; 0], "nobody is silent yet");
    // A machine that is slow makes the server believe that it stood still, and be patient for longer.
    for _ in 0..120 {
        if !world.alerts(SILENT).await.is_empty() {
            break;
        }
        world.pass(1).await;
    }
    world.until_alerts(SILENT, &["gone firing"]).await;
    let mut back = world.host("gone-2", &[]).await;
    back.send(false, world.now_ms(), &[(&FAILED, 0.0)]).await;
    world.until_alerts(SILENT, &["gone firing"]).await;
    world.stop().await;
}
