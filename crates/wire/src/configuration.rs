//! Settings that a server gives an agent: typed data and nothing else.
//!
//! Whatever bytes arrive become these fields or an error. Texts are names and patterns to compare with; none of them is
//! ever a path to open or a program to run. Numbers are held to their ranges here, so that a server cannot ask for a
//! cadence that would harm the host.

use std::ops::RangeInclusive;

use prost::Message;

use crate::WireError;
use crate::message::check_text;

/// What an agent is told; what is absent is left to the agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// Tells these settings from others; the agent says which it applies. Below 2^53, and 0 only before any were given.
    pub revision: u64,
    /// Milliseconds between fast collections, in [`Configuration::FAST_INTERVALS_MS`].
    pub fast_interval_ms: Option<i64>,
    /// Milliseconds between slow collections, in [`Configuration::SLOW_INTERVALS_MS`].
    pub slow_interval_ms: Option<i64>,
    /// Whether the flight recorder runs.
    pub recorder: Option<bool>,
    /// Names of collectors that do not run.
    pub collectors_off: Vec<String>,
    /// A pattern of mount points that are looked at.
    pub mount_points_include: Option<String>,
    /// A pattern of mount points that are left out.
    pub mount_points_exclude: Option<String>,
    /// A pattern of types of file systems that are looked at.
    pub fs_types_include: Option<String>,
    /// A pattern of types of file systems that are left out.
    pub fs_types_exclude: Option<String>,
    /// A pattern of network devices that are left out.
    pub network_devices_exclude: Option<String>,
    /// Processes to look for: name, and a pattern of their command.
    pub named_processes: Vec<(String, String)>,
    /// Whether tables of processes show arguments.
    pub process_arguments: Option<bool>,
    /// The most of one core that the agent may use, in percent, in [`Configuration::CPU_LIMITS_PERCENT`].
    pub cpu_limit_percent: Option<f64>,
    /// Whether updates wait.
    pub updates_paused: bool,
}

impl Configuration {
    /// From one fast collection to the next, in milliseconds.
    pub const FAST_INTERVALS_MS: RangeInclusive<i64> = 1_000..=300_000;
    /// From one slow collection to the next, in milliseconds.
    pub const SLOW_INTERVALS_MS: RangeInclusive<i64> = 1_000..=3_600_000;
    /// The share of one core that an agent may be held to, in percent.
    pub const CPU_LIMITS_PERCENT: RangeInclusive<f64> = 1.0..=100.0;
    /// The most names in a list.
    pub const MAX_NAMES: usize = 200;
    /// The longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 64;
    /// The longest pattern, in bytes.
    pub const MAX_PATTERN_BYTES: usize = 1_024;

    /// The message's bytes, as on the wire: for its revision, and for the agent's disk.
    pub fn to_bytes(&self) -> Vec<u8> {
        ConfigurationMessage::from(self.clone()).encode_to_vec()
    }

    /// Reads what [`Configuration::to_bytes`] wrote, as strictly as what comes from a server.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let message = ConfigurationMessage::decode(bytes).map_err(|error| {
            WireError::Malformed { what: "configuration", reason: error.to_string() }
        })?;
        Self::from_message(message)
    }

    pub(crate) fn from_message(message: ConfigurationMessage) -> Result<Self, WireError> {
        check_count(message.collectors_off.len())?;
        check_count(message.named_processes.len())?;
        for name in &message.collectors_off {
            check_text(name, Self::MAX_NAME_BYTES, "bytes of a collector's name")?;
        }
        let mut named_processes = Vec::with_capacity(message.named_processes.len());
        for process in message.named_processes {
            check_text(&process.name, Self::MAX_NAME_BYTES, "bytes of a process's name")?;
            check_pattern(Some(&process.pattern))?;
            named_processes.push((process.name, process.pattern));
        }
        for pattern in [
            &message.mount_points_include,
            &message.mount_points_exclude,
            &message.fs_types_include,
            &message.fs_types_exclude,
            &message.network_devices_exclude,
        ] {
            check_pattern(pattern.as_deref())?;
        }
        let cpu_limit_percent = message.cpu_limit_percent.filter(|percent| !percent.is_nan());
        Ok(Self {
            revision: message.revision,
            fast_interval_ms: message.fast_interval_ms.map(|ms| held(ms, Self::FAST_INTERVALS_MS)),
            slow_interval_ms: message.slow_interval_ms.map(|ms| held(ms, Self::SLOW_INTERVALS_MS)),
            recorder: message.recorder,
            collectors_off: message.collectors_off,
            mount_points_include: message.mount_points_include,
            mount_points_exclude: message.mount_points_exclude,
            fs_types_include: message.fs_types_include,
            fs_types_exclude: message.fs_types_exclude,
            network_devices_exclude: message.network_devices_exclude,
            named_processes,
            process_arguments: message.process_arguments,
            cpu_limit_percent: cpu_limit_percent.map(|percent| {
                percent.clamp(*Self::CPU_LIMITS_PERCENT.start(), *Self::CPU_LIMITS_PERCENT.end())
            }),
            updates_paused: message.updates_paused,
        })
    }
}

fn held(value: i64, range: RangeInclusive<i64>) -> i64 {
    value.clamp(*range.start(), *range.end())
}

fn check_count(count: usize) -> Result<(), WireError> {
    if count > Configuration::MAX_NAMES {
        return Err(WireError::Limit {
            what: "names in a list",
            limit: Configuration::MAX_NAMES,
            got: count,
        });
    }
    Ok(())
}

fn check_pattern(pattern: Option<&str>) -> Result<(), WireError> {
    check_text(pattern.unwrap_or(""), Configuration::MAX_PATTERN_BYTES, "bytes of a pattern")
}

/// As on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConfigurationMessage {
    #[prost(uint64, tag = "1")]
    revision: u64,
    #[prost(int64, optional, tag = "2")]
    fast_interval_ms: Option<i64>,
    #[prost(int64, optional, tag = "3")]
    slow_interval_ms: Option<i64>,
    #[prost(bool, optional, tag = "4")]
    recorder: Option<bool>,
    #[prost(string, repeated, tag = "5")]
    collectors_off: Vec<String>,
    #[prost(string, optional, tag = "6")]
    mount_points_include: Option<String>,
    #[prost(string, optional, tag = "7")]
    mount_points_exclude: Option<String>,
    #[prost(string, optional, tag = "8")]
    fs_types_include: Option<String>,
    #[prost(string, optional, tag = "9")]
    fs_types_exclude: Option<String>,
    #[prost(string, optional, tag = "10")]
    network_devices_exclude: Option<String>,
    #[prost(message, repeated, tag = "11")]
    named_processes: Vec<NamedProcess>,
    #[prost(bool, optional, tag = "12")]
    process_arguments: Option<bool>,
    #[prost(double, optional, tag = "13")]
    cpu_limit_percent: Option<f64>,
    #[prost(bool, tag = "14")]
    updates_paused: bool,
}

#[derive(Clone, PartialEq, Message)]
struct NamedProcess {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    pattern: String,
}

impl From<Configuration> for ConfigurationMessage {
    fn from(configuration: Configuration) -> Self {
        let named_processes = configuration
            .named_processes
            .into_iter()
            .map(|(name, pattern)| NamedProcess { name, pattern })
            .collect();
        Self {
            revision: configuration.revision,
            fast_interval_ms: configuration.fast_interval_ms,
            slow_interval_ms: configuration.slow_interval_ms,
            recorder: configuration.recorder,
            collectors_off: configuration.collectors_off,
            mount_points_include: configuration.mount_points_include,
            mount_points_exclude: configuration.mount_points_exclude,
            fs_types_include: configuration.fs_types_include,
            fs_types_exclude: configuration.fs_types_exclude,
            network_devices_exclude: configuration.network_devices_exclude,
            named_processes,
            process_arguments: configuration.process_arguments,
            cpu_limit_percent: configuration.cpu_limit_percent,
            updates_paused: configuration.updates_paused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Configuration {
        let text = |text: &str| Some(text.to_owned());
        Configuration {
            revision: 7,
            fast_interval_ms: Some(2_000),
            slow_interval_ms: Some(60_000),
            recorder: Some(false),
            collectors_off: vec!["hwmon".into()],
            mount_points_include: text("/srv.*"),
            mount_points_exclude: text("/srv/tmp"),
            fs_types_include: text("ext4"),
            fs_types_exclude: text("nfs"),
            network_devices_exclude: text("veth.*"),
            named_processes: vec![("web".into(), "nginx".into())],
            process_arguments: Some(true),
            cpu_limit_percent: Some(5.0),
            updates_paused: true,
        }
    }

    #[test]
    fn every_field_comes_back() {
        for configuration in [full(), Configuration::default()] {
            assert_eq!(Configuration::from_bytes(&configuration.to_bytes()), Ok(configuration));
        }
    }

    #[test]
    fn numbers_are_held_to_their_ranges() {
        let wild = Configuration {
            fast_interval_ms: Some(0),
            slow_interval_ms: Some(i64::MAX),
            cpu_limit_percent: Some(f64::INFINITY),
            ..full()
        };
        let read = Configuration::from_bytes(&wild.to_bytes()).unwrap();
        assert_eq!(read.fast_interval_ms, Some(1_000));
        assert_eq!(read.slow_interval_ms, Some(3_600_000));
        assert_eq!(read.cpu_limit_percent, Some(100.0));
        let wild = Configuration { cpu_limit_percent: Some(f64::NAN), ..full() };
        let read = Configuration::from_bytes(&wild.to_bytes()).unwrap();
        assert_eq!(read.cpu_limit_percent, None);
    }

    #[track_caller]
    fn check_refused(change: impl Fn(&mut Configuration)) {
        let mut configuration = full();
        change(&mut configuration);
        let read = Configuration::from_bytes(&configuration.to_bytes());
        assert!(matches!(read, Err(WireError::Limit { .. })), "{read:?}");
    }

    #[test]
    fn what_is_too_long_is_refused() {
        check_refused(|c| c.collectors_off = vec![String::new(); Configuration::MAX_NAMES + 1]);
        check_refused(|c| c.collectors_off = vec!["x".repeat(Configuration::MAX_NAME_BYTES + 1)]);
        check_refused(|c| {
            c.mount_points_include = Some("x".repeat(Configuration::MAX_PATTERN_BYTES + 1));
        });
        check_refused(|c| c.named_processes = vec![("x".repeat(65), String::new())]);
        check_refused(|c| c.named_processes = vec![("x".into(), "x".repeat(1_025))]);
        check_refused(|c| {
            c.named_processes = vec![(String::new(), String::new()); Configuration::MAX_NAMES + 1];
        });
    }
}
