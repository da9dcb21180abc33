//! Metrics as data: what each name means, from which the documentation and the expositions are made.

use std::borrow::Cow;
use std::fmt;

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, but for a restart of the host.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1; what it says is in its labels.
    Info,
    /// `node_exporter` does not say, and neither do we.
    Untyped,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
            Self::Untyped => "untyped",
        })
    }
}

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A count, a ratio, a flag or a code.
    None,
    /// Seconds.
    Seconds,
    /// Bytes, or bytes a second.
    Bytes,
    /// Bits.
    Bits,
    /// Degrees Celsius.
    Celsius,
    /// Volts.
    Volts,
    /// Amperes.
    Amperes,
    /// Watts.
    Watts,
    /// Joules.
    Joules,
    /// Turns a minute.
    TurnsPerMinute,
    /// Hertz.
    Hertz,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Seconds => "s",
            Self::Bytes => "B",
            Self::Bits => "bit",
            Self::Celsius => "°C",
            Self::Volts => "V",
            Self::Amperes => "A",
            Self::Watts => "W",
            Self::Joules => "J",
            Self::TurnsPerMinute => "1/min",
            Self::Hertz => "Hz",
        })
    }
}

/// One metric, or a group of them whose names differ in one part that the kernel gives.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name; a `*` in it stands for the part that the kernel gives.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// What it is measured in.
    pub unit: Unit,
    /// One sentence for people.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

type Text = &'static str;

impl Metric {
    /// A counter.
    pub const fn counter(name: Text, unit: Unit, help: Text, labels: &'static [Text]) -> Self {
        Self { name, kind: Kind::Counter, unit, help, labels }
    }

    /// A gauge.
    pub const fn gauge(name: Text, unit: Unit, help: Text, labels: &'static [Text]) -> Self {
        Self { name, kind: Kind::Gauge, unit, help, labels }
    }

    /// A constant 1 with labels.
    pub const fn info(name: Text, help: Text, labels: &'static [Text]) -> Self {
        Self { name, kind: Kind::Info, unit: Unit::None, help, labels }
    }

    /// A metric without a type.
    pub const fn untyped(name: Text, help: Text) -> Self {
        Self { name, kind: Kind::Untyped, unit: Unit::None, help, labels: &[] }
    }

    /// The name with `part` in the place of its `*`.
    pub fn full_name(&self, part: &str) -> Cow<'static, str> {
        match self.name.split_once('*') {
            Some((before, after)) => Cow::Owned(format!("{before}{part}{after}")),
            None => Cow::Borrowed(self.name),
        }
    }

    /// Whether `name` is this metric's, or one of its group's.
    pub fn covers(&self, name: &str) -> bool {
        match self.name.split_once('*') {
            Some((before, after)) => {
                name.len() > before.len() + after.len()
                    && name.starts_with(before)
                    && name.ends_with(after)
            }
            None => name == self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Metric = Metric::gauge("node_memory_*_bytes", Unit::Bytes, "", &[]);
    const SINGLE: Metric = Metric::gauge("node_load1", Unit::None, "", &[]);

    #[track_caller]
    fn check(metric: &Metric, name: &str, covers: bool) {
        assert_eq!(metric.covers(name), covers);
    }

    #[test]
    fn a_group_covers_what_it_can_name() {
        assert_eq!(GROUP.full_name("Dirty"), "node_memory_Dirty_bytes");
        assert_eq!(SINGLE.full_name("Dirty"), "node_load1");
        check(&GROUP, "node_memory_Dirty_bytes", true);
        check(&GROUP, "node_memory__bytes", false);
        check(&GROUP, "node_memory_HugePages_Free", false);
        check(&SINGLE, "node_load1", true);
        check(&SINGLE, "node_load15", false);
    }
}
