//! What people changed of the built-in rules' thresholds, as the database holds it: a setting for each rule and scope.

use std::collections::BTreeMap;

use muster_alerting::{LevelChanges, Severity, ThresholdScope, Thresholds, catalogue};
use muster_api::LevelChange;
use muster_meta::{Agent, Setting};

/// What all these settings begin with.
const PREFIX: &str = "thresholds/";

/// What differs, by severity, as the API and the database have it.
pub(crate) type Changes = BTreeMap<String, LevelChange>;

/// The name of the setting for a rule and a scope.
pub(crate) fn setting_name(rule: &str, scope: &ThresholdScope) -> String {
    match scope {
        ThresholdScope::All => format!("{PREFIX}{rule}/all"),
        ThresholdScope::Group(group) => format!("{PREFIX}{rule}/group/{group}"),
        ThresholdScope::Host(instance) => format!("{PREFIX}{rule}/host/{instance}"),
    }
}

fn of_setting(name: &str) -> Option<(&str, ThresholdScope)> {
    let (rule, scope) = name.strip_prefix(PREFIX)?.split_once('/')?;
    let scope = match scope.split_once('/') {
        None if scope == "all" => ThresholdScope::All,
        Some(("group", group)) => ThresholdScope::Group(group.to_owned()),
        Some(("host", instance)) => ThresholdScope::Host(instance.to_owned()),
        _ => return None,
    };
    Some((rule, scope))
}

/// All layers, and the groups of the hosts. What cannot be read, and what is for a rule that is no more, is left out.
pub(super) fn of_settings(settings: &[Setting], agents: &[Agent]) -> Thresholds {
    let mut thresholds = Thresholds::default();
    for setting in settings {
        let Some((rule, scope)) = of_setting(&setting.name) else { continue };
        let Ok(changes) = serde_json::from_value::<Changes>(setting.value.clone()) else {
            continue;
        };
        if catalogue().iter().any(|known| known.id == rule) {
            thresholds.set(rule, scope, inner(&changes));
        }
    }
    for agent in agents.iter().filter(|agent| !agent.revoked) {
        let mut groups = agent.groups.clone();
        groups.sort_unstable();
        thresholds.set_groups(&agent.instance, groups);
    }
    thresholds
}

/// The grades by their names.
pub(crate) fn severity(name: &str) -> Option<Severity> {
    let all = [Severity::Critical, Severity::Warning, Severity::Info];
    all.into_iter().find(|severity| severity.as_str() == name)
}

fn inner(changes: &Changes) -> LevelChanges {
    let change = |(name, change): (&String, &LevelChange)| {
        let LevelChange { enabled, threshold, for_ms } = *change;
        Some((severity(name)?, muster_alerting::LevelChange { enabled, threshold, for_ms }))
    };
    changes.iter().filter_map(change).collect()
}

/// A layer as the API tells it.
pub(crate) fn outer(changes: &LevelChanges) -> Changes {
    let change = |(severity, change): (&Severity, &muster_alerting::LevelChange)| {
        let muster_alerting::LevelChange { enabled, threshold, for_ms } = *change;
        (severity.as_str().to_owned(), LevelChange { enabled, threshold, for_ms })
    };
    changes.iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_known_by_its_name() {
        for scope in [
            ThresholdScope::All,
            ThresholdScope::Group("a/b".into()),
            ThresholdScope::Host("web-1".into()),
        ] {
            let name = setting_name("disk_full", &scope);
            assert_eq!(of_setting(&name), Some(("disk_full", scope)));
        }
        for name in ["thresholds/disk_full/everyone", "thresholds/disk_full", "rules/a"] {
            assert_eq!(of_setting(name), None, "{name}");
        }
    }

    #[test]
    fn changes_are_the_same_inside_and_outside() {
        let change = LevelChange { threshold: Some(5.0), ..LevelChange::default() };
        let changes = Changes::from([("warning".to_owned(), change)]);
        assert_eq!(outer(&inner(&changes)), changes);
    }
}
