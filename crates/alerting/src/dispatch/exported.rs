//! The routes as another Alertmanager, or a program that asks one, can read them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::routing::Routing;
use crate::yaml;

/// What only Muster knows of a route.
const OWN_KEYS: [&str; 3] = ["eager", "escalate_after", "escalate_to"];
/// The same beside the route.
const OWN_TOP_KEYS: [&str; 1] = ["storm_after"];

impl Routing {
    /// The file without what only Muster knows, with all receivers by their names: JSON, which is YAML too. Secrets of
    /// channels are no part of routes.
    pub fn to_alertmanager(&self, channels: &BTreeSet<String>) -> Value {
        let mut file: Map<String, Value> = yaml::parse(self.to_yaml()).unwrap_or_default();
        if let Some(route) = file.get_mut("route") {
            strip(route);
        }
        for key in OWN_TOP_KEYS {
            file.remove(key);
        }
        let names: BTreeSet<String> = self.receivers().union(channels).cloned().collect();
        let receivers = names.into_iter().map(|name| json!({ "name": name }));
        file.insert("receivers".to_owned(), receivers.collect());
        file.into()
    }
}

fn strip(route: &mut Value) {
    let Some(route) = route.as_object_mut() else { return };
    for key in OWN_KEYS {
        route.remove(key);
    }
    for child in route.get_mut("routes").and_then(Value::as_array_mut).into_iter().flatten() {
        strip(child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_muster_knows_is_left_out_and_receivers_are_complete() {
        let channels = BTreeSet::from(["mail".to_owned()]);
        let file = Routing::built_in().to_alertmanager(&channels);
        assert_eq!(
            file["receivers"],
            json!([{ "name": "everyone" }, { "name": "mail" }, { "name": "nobody" }])
        );
        assert_eq!(file["route"]["group_wait"], "500ms");
        for own in ["eager", "storm_after"] {
            assert!(!file.to_string().contains(own), "{file}");
        }
        let own = "route: {receiver: mail, routes: [{receiver: mail, escalate_after: 5m, escalate_to: mail}]}";
        let file = Routing::parse(own).unwrap().to_alertmanager(&channels);
        assert_eq!(file["route"]["routes"], json!([{ "receiver": "mail" }]));
    }
}
