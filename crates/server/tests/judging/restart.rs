//! What a restart keeps of alerts that are on their way.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};

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
async fn the_alert_of_a_rule_that_went_away_meanwhile_ends() {
    let world = World::start().await;
    world.set_rules(&RULES.replace("for: 1m", "for: 0s")).await;
    world.clock.advance(1_000);
    world.until_alerts("Always", &["- firing"]).await;
    let shown = "/api/muster/v1/alerts?state=firing&search=Always";
    let world = world
        .restarted_after(async |folder| {
            let file = format!("sqlite://{}?mode=rw", folder.join("data/muster.db").display());
            let database = Database::connect(file).await.unwrap();
            let forget = "DELETE FROM settings WHERE name LIKE 'rules/%'";
            assert_eq!(database.execute_unprepared(forget).await.unwrap().rows_affected(), 1);
        })
        .await;
    let until = Instant::now() + Duration::from_mins(2);
    while world.get(shown).await["alerts"] != json!([]) {
        assert!(Instant::now() < until, "{}", world.get(shown).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.stop().await;
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
