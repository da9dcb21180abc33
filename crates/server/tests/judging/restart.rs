//! What a restart keeps of alerts that are on their way.

use serde_json::Value;

use crate::world::World;

const RULES: &str = "
groups:
- name: g
  interval: 1s
  rules: [{alert: Always, expr: 'vector(1)', for: 1m}]
";

async fn active_since(world: &World) -> Value {
    let told = world.get("/api/v1/alerts").await;
    let mut all = told["data"]["alerts"].as_array().unwrap().iter();
    let found = all.find(|alert| alert["labels"]["alertname"] == "Always");
    found.unwrap_or_else(|| panic!("{told}"))["activeAt"].clone()
}

#[tokio::test]
async fn a_waiting_time_goes_on_where_it_was_before_the_restart() {
    let world = World::start().await;
    world.set_rules(RULES).await;
    world.clock.advance(1_000);
    world.until_alerts("Always", &["- pending"]).await;
    let began = active_since(&world).await;
    world.clock.advance(30_000);
    let world = world.restarted().await;
    world.clock.advance(10_000);
    world.a_while().await;
    assert_eq!(world.alerts("Always").await, ["- pending"]);
    world.clock.advance(21_000);
    world.until_alerts("Always", &["- firing"]).await;
    assert_eq!(active_since(&world).await, began);
    world.stop().await;
}
