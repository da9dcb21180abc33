//! Thresholds that people change for all hosts, a group or a host.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Host, World};

const RULE: &str = "/api/muster/v1/rules/built-in/file_handles";
const ALERT: &str = "FileHandles";

/// Tells that 60 % of the file handles are in use.
async fn sixty_percent(host: &mut Host, at_ms: i64) {
    let samples: [(&[_], f64); 2] = [
        (&[("__name__", "node_filefd_allocated")], 60.0),
        (&[("__name__", "node_filefd_maximum")], 100.0),
    ];
    host.send(false, at_ms, &samples).await;
}

async fn set(world: &World, layer: &str, warning: Value) -> Value {
    // A rule is evaluated every 200 ms at most, however often it is asked for.
    world.clock.advance(300);
    world
        .ask(Method::PUT, &format!("{RULE}/{layer}"), json!({ "levels": { "warning": warning } }))
        .await
}

async fn shown_layers(world: &World) -> Vec<String> {
    let rules = world.get("/api/muster/v1/rules").await;
    let all = rules["built_in"].as_array().unwrap();
    let rule = all.iter().find(|rule| rule["id"] == "file_handles").unwrap();
    let layers = rule["layers"].as_array().unwrap().iter();
    layers.map(|one| format!("{} {} {}", one["scope"], one["target"], one["levels"])).collect()
}

#[tokio::test]
async fn a_layer_changes_what_is_compared_at_once_and_stays_after_a_restart() {
    let world = World::start().await;
    let mut hosts =
        [world.host("a", &[]).await, world.host("b", &["db"]).await, world.host("c", &[]).await];
    for host in &mut hosts {
        sixty_percent(host, world.now_ms()).await;
    }
    set(&world, "groups/db", json!({ "threshold": 70 })).await;
    set(&world, "hosts/c", json!({ "enabled": false })).await;
    let rule = set(&world, "all/-", json!({ "threshold": 50, "for_ms": 0 })).await;
    assert_eq!(rule["layers"].as_array().unwrap().len(), 3, "{rule}");
    world.until_alerts(ALERT, &["a firing"]).await;
    set(&world, "groups/db", json!({ "threshold": 55 })).await;
    world.until_alerts(ALERT, &["a firing", "b firing"]).await;

    let before = shown_layers(&world).await;
    let world = world.restarted().await;
    assert_eq!(shown_layers(&world).await, before);
    world.until_alerts(ALERT, &["a firing", "b firing"]).await;
    set(&world, "hosts/c", json!({ "threshold": 59 })).await;
    world.until_alerts(ALERT, &["a firing", "b firing", "c firing"]).await;
    // In the first minute after a restart no alert ends.
    world.clock.advance(61_000);
    world.ask(Method::DELETE, &format!("{RULE}/all/-"), Value::Null).await;
    // The group and the host say no waiting time, so that of the rule holds for them again; what fires goes on.
    world.until_alerts(ALERT, &["b firing", "c firing"]).await;
    world.stop().await;
}
