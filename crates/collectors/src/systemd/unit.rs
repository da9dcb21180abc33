//! One unit: what is known of it, which units are watched at all.

use muster_series::Labels;

use crate::dbus::{Value, hex_digit};
use crate::systemd::metrics::{EXIT_CODE, EXIT_SIGNAL, LAST_TRIGGER, RESTARTS, RESULT, START_TIME};
use crate::systemd::metrics::{Push, STATE};
use crate::systemd::transitions::{Stamps, State};

/// Where the objects of units are on the bus.
const PATH: &str = "/org/freedesktop/systemd1/unit/";
/// Kinds of units that are not watched: `node_exporter`'s, but for mounts.
const IGNORED_KINDS: [&str; 4] = ["automount", "device", "scope", "slice"];
/// Mounts of the kernel's, of containers and of sessions, as the beginning of their unit's name.
const IGNORED_MOUNTS: [&str; 9] = [
    "dev-",
    "proc-",
    "sys-",
    "run-credentials-",
    "run-docker-",
    "run-user-",
    "var-lib-docker-",
    "var-lib-containers-",
    "var-lib-kubelet-",
];
/// `ExecMainCode` of a process that exited by itself, `CLD_EXITED`.
const EXITED: i64 = 1;
/// Result of a service that did not fail.
pub(super) const SUCCESS: &str = "success";

/// Whether this unit is of interest.
pub(super) fn is_watched(name: &str) -> bool {
    match kind_of(name) {
        "mount" => !IGNORED_MOUNTS.iter().any(|start| name.starts_with(start)),
        kind => !IGNORED_KINDS.contains(&kind),
    }
}

/// The name of the unit whose object has this path, in which all but letters and digits are `_` and two hexadecimal digits.
pub(super) fn name_of(path: &str) -> Option<String> {
    let mut bytes = path.strip_prefix(PATH)?.bytes();
    let mut name = Vec::with_capacity(bytes.len());
    while let Some(byte) = bytes.next() {
        name.push(if byte == b'_' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8
        } else {
            byte
        });
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// The path of a unit's object.
pub(super) fn path_of(name: &str) -> String {
    let mut path = PATH.to_owned();
    for (at, byte) in name.bytes().enumerate() {
        // A digit at the beginning is written as a number as well.
        let plain = byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && at > 0);
        if plain {
            path.push(char::from(byte));
        } else {
            path.push('_');
            path.extend([byte >> 4, byte & 15].map(hex_digit));
        }
    }
    path
}

/// What systemd says about a unit, in one message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) state: Option<State>,
    pub(super) stamps: Stamps,
    pub(super) service_type: Option<String>,
    pub(super) result: Option<String>,
    pub(super) restarts: Option<u64>,
    pub(super) main_code: Option<i64>,
    pub(super) main_status: Option<i64>,
    pub(super) last_trigger: Option<u64>,
}

impl Facts {
    /// A property, by its name; others are passed over.
    pub(super) fn take(&mut self, property: &str, value: Value<'_>) {
        match (property, value) {
            ("ActiveState", Value::Text(state)) => self.state = State::of(state),
            ("StateChangeTimestamp", Value::Number(us)) => self.stamps.state_change = us,
            ("InactiveExitTimestamp", Value::Number(us)) => self.stamps.inactive_exit = us,
            ("ActiveEnterTimestamp", Value::Number(us)) => self.stamps.active_enter = us,
            ("ActiveExitTimestamp", Value::Number(us)) => self.stamps.active_exit = us,
            ("InactiveEnterTimestamp", Value::Number(us)) => self.stamps.inactive_enter = us,
            ("Type", Value::Text(kind)) => self.service_type = Some(kind.into()),
            ("Result", Value::Text(result)) => self.result = Some(result.into()),
            ("NRestarts", Value::Number(count)) => self.restarts = Some(count),
            ("ExecMainCode", Value::Signed(code)) => self.main_code = Some(code),
            ("ExecMainStatus", Value::Signed(status)) => self.main_status = Some(status),
            ("LastTriggerUSec", Value::Number(us)) => self.last_trigger = Some(us),
            _ => {}
        }
    }
}

/// A unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    pub(super) state: State,
    /// A bit for each state that it was in since the agent started.
    seen: u8,
    /// Up to when its states are known, in microseconds since 1970.
    pub(super) known_us: u64,
    /// The time of the last state told; the next bears a later one, or the two would be one sample.
    pub(super) told_ms: i64,
    /// A service's `Type`; unknown until systemd was asked. Other kinds have none.
    pub(super) service_type: Option<String>,
    pub(super) active_since_us: u64,
    result: Option<String>,
    restarts: u64,
    main_code: i64,
    main_status: i64,
    last_trigger_us: u64,
    /// States not told yet, since the type is not known.
    pub(super) waiting: Vec<(i64, State, State)>,
    /// Its series as they were before what systemd has told ahead of the state.
    pub(super) untold: Option<Vec<(Labels, f64)>>,
    /// Changes of its were lost in a storm, so all of it is to be told anew.
    pub(super) dirty: bool,
}

impl Unit {
    /// A unit first heard of at this time, in microseconds since 1970.
    pub(super) fn new(name: &str, state: State, known_us: u64) -> Self {
        let service_type = if is_service(name) { None } else { Some(String::new()) };
        Self {
            state,
            seen: bit(state),
            known_us,
            told_ms: 0,
            service_type,
            active_since_us: 0,
            result: None,
            restarts: 0,
            main_code: 0,
            main_status: 0,
            last_trigger_us: 0,
            waiting: Vec::new(),
            untold: None,
            dirty: false,
        }
    }

    /// Whether its last run is known to have failed.
    pub(super) fn has_failed(&self) -> bool {
        self.result.as_deref().is_some_and(|result| result != SUCCESS)
    }

    /// Goes to a state.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.seen |= bit(state);
    }

    /// Takes over what a message says, but for the state.
    pub(super) fn learn(&mut self, facts: Facts) {
        let Facts { stamps, service_type, result, restarts, main_code, main_status, .. } = facts;
        if stamps.active_enter > 0 {
            self.active_since_us = stamps.active_enter;
        }
        self.service_type = service_type.or(self.service_type.take());
        self.result = result.or(self.result.take());
        self.restarts = restarts.unwrap_or(self.restarts);
        // While a process runs, the code is 0; how the one before it ended is still of interest.
        if let Some(code) = main_code.filter(|code| *code != 0) {
            self.main_code = code;
            self.main_status = main_status.unwrap_or(self.main_status);
        } else if main_code.is_none() {
            self.main_status = main_status.unwrap_or(self.main_status);
        }
        self.last_trigger_us = facts.last_trigger.unwrap_or(self.last_trigger_us);
    }

    /// Pushes the series of its states.
    pub(super) fn push_states(&self, name: &str, push: &mut Push<'_>) {
        let kind = self.service_type.as_deref().unwrap_or_default();
        for state in State::ALL {
            if state == State::Failed || self.seen & bit(state) != 0 {
                let is_it = f64::from(u8::from(state == self.state));
                push(&STATE, &[name, state.name(), kind], is_it);
            }
        }
    }

    /// Pushes its other series.
    pub(super) fn push_facts(&self, name: &str, push: &mut Push<'_>) {
        let kind = self.service_type.as_deref().unwrap_or_default();
        let seconds = |us: u64| us as f64 / 1e6;
        if matches!(self.state, State::Active | State::Reloading) && self.active_since_us > 0 {
            push(&START_TIME, &[name, kind], seconds(self.active_since_us));
        }
        if kind_of(name) == "timer" {
            push(&LAST_TRIGGER, &[name], seconds(self.last_trigger_us));
        }
        if !is_service(name) {
            return;
        }
        push(&RESTARTS, &[name], self.restarts as f64);
        if self.has_failed() || self.main_code != 0 {
            push(&RESULT, &[name, self.result.as_deref().unwrap_or(SUCCESS)], 1.0);
        }
        if self.main_code == EXITED {
            push(&EXIT_CODE, &[name], self.main_status as f64);
        } else if self.main_code != 0 {
            push(&EXIT_SIGNAL, &[name], self.main_status as f64);
        }
    }
}

/// Whether it is a service, of which there is more to know.
pub(super) fn is_service(name: &str) -> bool {
    kind_of(name) == "service"
}

/// What kind of unit it is: what follows the last dot of its name.
pub(super) fn kind_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, kind)| kind)
}

fn bit(state: State) -> u8 {
    1 << State::ALL.iter().position(|other| *other == state).expect("it is one of all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(escaped: &str, expected: Option<&str>) {
        let path = format!("{PATH}{escaped}");
        let name = name_of(&path);
        assert_eq!(name.as_deref(), expected);
        if let Some(name) = name {
            assert_eq!(path_of(&name), path);
        }
    }

    #[test]
    fn names_come_out_of_paths() {
        check_name("nginx_2eservice", Some("nginx.service"));
        check_name("getty_40tty1_2eservice", Some("getty@tty1.service"));
        check_name("_2d_2emount", Some("-.mount"));
        check_name("_31password2_2eservice", Some("1password2.service"));
        check_name("a_2", None);
        check_name("a_zz", None);
        check_name("_ff", None);
        check_name("", None);
        assert_eq!(name_of("/org/freedesktop/systemd1/job/7"), None);
    }

    #[test]
    fn which_units_are_watched() {
        for name in ["nginx.service", "apt-daily.timer", "-.mount", "srv-data.mount", "x.socket"] {
            assert!(is_watched(name), "{name}");
        }
        for name in ["dev-sda.device", "user.slice", "init.scope", "sys-kernel-debug.mount"] {
            assert!(!is_watched(name), "{name}");
        }
        assert!(!is_watched("var-lib-docker-overlay2-4f-merged.mount"));
    }

    #[track_caller]
    fn check_end(code: i64, status: i64, expected: &[(&str, f64)]) {
        let mut unit = Unit::new("x.service", State::Failed, 0);
        let result = Some("signal".to_owned());
        unit.learn(Facts {
            result,
            main_code: Some(code),
            main_status: Some(status),
            ..Facts::default()
        });
        // A new process runs: its code is 0, and says nothing about how the last one ended.
        unit.learn(Facts { main_code: Some(0), main_status: Some(0), ..Facts::default() });
        let mut seen = Vec::new();
        unit.push_facts("x.service", &mut |metric, _, value| seen.push((metric.name, value)));
        seen.retain(|(name, _)| name.contains("exit"));
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_end_of_the_main_process_is_a_code_or_a_signal() {
        check_end(1, 3, &[("muster_systemd_unit_exit_code", 3.0)]);
        check_end(2, 9, &[("muster_systemd_unit_exit_signal", 9.0)]);
        check_end(3, 11, &[("muster_systemd_unit_exit_signal", 11.0)]);
        check_end(0, 0, &[]);
    }
}
