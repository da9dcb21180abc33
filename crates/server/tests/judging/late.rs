//! Data that come late, as after a broken link: they are stored, and make no alert of what is over.

use crate::world::{Pair, World};

const RULES: &str = "
groups:
- name: g
  interval: 1s
  rules: [{alert: Bad, expr: bad == 1}]
";
const BAD: [Pair; 1] = [("__name__", "bad")];

#[tokio::test]
async fn what_comes_late_makes_no_alert_and_ends_none() {
    let world = World::start().await;
    world.set_rules(RULES).await;
    let (mut fine, mut ill) = (world.host("fine", &[]).await, world.host("ill", &[]).await);
    let mut old = world.host("old", &[]).await;
    world.clock.advance(1_000);
    let now_ms = world.now_ms();
    fine.send(false, now_ms, &[(&BAD, 0.0)]).await;
    ill.send(true, now_ms, &[(&BAD, 1.0)]).await;
    world.until_alerts("Bad", &["ill firing"]).await;
    for ago_ms in [60_000, 30_000, 5_000] {
        fine.send(true, now_ms - ago_ms, &[(&BAD, 1.0)]).await;
        ill.send(true, now_ms - ago_ms, &[(&BAD, 0.0)]).await;
        old.send(true, now_ms - 600_000 - ago_ms, &[(&BAD, 1.0)]).await;
        world.clock.advance(1_000);
        world.a_while().await;
        assert_eq!(world.alerts("Bad").await, ["ill firing"], "{ago_ms}");
    }
    world.stop().await;
}
