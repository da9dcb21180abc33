//! Whether settings can be given to agents; what cannot is told with what to do about it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use muster_api::AgentSettings;
use muster_collectors::{Pattern, collector_names};
use muster_wire::Configuration;

use crate::nearest::nearest;

/// The most processes to look for in one layer.
const MAX_NAMED_PROCESSES: usize = 50;

/// The first thing that is wrong with settings.
pub(crate) fn check(settings: &AgentSettings) -> Result<(), String> {
    let (fast, slow) = (Configuration::FAST_INTERVALS_MS, Configuration::SLOW_INTERVALS_MS);
    within("fast_interval_ms", settings.fast_interval_ms, fast, "milliseconds")?;
    within("slow_interval_ms", settings.slow_interval_ms, slow, "milliseconds")?;
    let limits = Configuration::CPU_LIMITS_PERCENT;
    within("cpu_limit_percent", settings.cpu_limit_percent, limits, "percent of one core")?;
    let known = collector_names();
    let mut off = BTreeSet::new();
    for name in settings.collectors_off.iter().flatten() {
        if !off.insert(name) {
            return Err(format!("collectors_off names {name:?} twice"));
        }
        if !known.contains(&name.as_str()) {
            return Err(format!(
                "there is no collector {name:?}; did you mean {:?}?",
                nearest(name, &known)
            ));
        }
    }
    let patterns = [
        ("mount_points_include", &settings.mount_points_include),
        ("mount_points_exclude", &settings.mount_points_exclude),
        ("fs_types_include", &settings.fs_types_include),
        ("fs_types_exclude", &settings.fs_types_exclude),
        ("network_devices_exclude", &settings.network_devices_exclude),
    ];
    for (field, text) in patterns {
        if let Some(text) = text {
            pattern(field, text, Pattern::whole)?;
        }
    }
    let named = settings.named_processes.iter().flatten();
    if named.clone().count() > MAX_NAMED_PROCESSES {
        return Err(format!("at most {MAX_NAMED_PROCESSES} processes can be looked for"));
    }
    for (name, text) in named {
        let fits = (1..=Configuration::MAX_NAME_BYTES).contains(&name.len());
        if !fits || name.trim() != name || name.chars().any(char::is_control) {
            return Err(format!(
                "{name:?} is no name for a process; give 1 to {} letters, no blanks around them",
                Configuration::MAX_NAME_BYTES
            ));
        }
        if text.is_empty() {
            return Err(format!("the pattern of {name:?} is empty and would match every process"));
        }
        pattern("named_processes", text, Pattern::anywhere)?;
    }
    Ok(())
}

fn within<T: Display + PartialOrd>(
    field: &str,
    value: Option<T>,
    range: RangeInclusive<T>,
    unit: &str,
) -> Result<(), String> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (least, most) = range.into_inner();
            Err(format!("{field} is {value}; give {least} to {most} ({unit})"))
        }
        _ => Ok(()),
    }
}

fn pattern(
    field: &str,
    text: &str,
    compile: fn(&str) -> Result<Pattern, muster_collectors::PatternError>,
) -> Result<(), String> {
    let most = Configuration::MAX_PATTERN_BYTES;
    if text.len() > most {
        return Err(format!("{field} is longer than {most} bytes"));
    }
    compile(text).map(drop).map_err(|error| format!("{field}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(settings: &AgentSettings, expected: &str) {
        let error = check(settings).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        let none = AgentSettings::default();
        assert_eq!(check(&none), Ok(()));
        check_error(
            &AgentSettings { fast_interval_ms: Some(10), ..none.clone() },
            "1000 to 300000",
        );
        check_error(&AgentSettings { cpu_limit_percent: Some(0.0), ..none.clone() }, "1 to 100");
        let off = Some(vec!["filesytem".into()]);
        check_error(&AgentSettings { collectors_off: off, ..none.clone() }, "\"filesystem\"");
        let twice = Some(vec!["hwmon".into(), "hwmon".into()]);
        check_error(&AgentSettings { collectors_off: twice, ..none.clone() }, "\"hwmon\" twice");
        let open = Some("(".to_owned());
        check_error(
            &AgentSettings { mount_points_exclude: open.clone(), ..none.clone() },
            "mount_points_exclude: \"(\" is no regular expression",
        );
        let named = |name: &str, pattern: &str| AgentSettings {
            named_processes: Some([(name.into(), pattern.into())].into()),
            ..AgentSettings::default()
        };
        assert_eq!(check(&named("web", "nginx.*worker")), Ok(()));
        check_error(&named("", "x"), "no name");
        check_error(&named("web", ""), "every process");
        check_error(&named("web", "["), "no regular expression");
        check_error(&named("web", &"x".repeat(1_025)), "longer than");
    }
}
