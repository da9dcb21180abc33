//! What is told of an alert, by a rule here or by another Prometheus, to those who decide whom it concerns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The label that names an alert.
pub const ALERT_NAME: &str = "alertname";
/// The label that grades an alert: `critical`, `warning` or `info`.
pub const SEVERITY: &str = "severity";
/// The label that names the host.
pub const INSTANCE: &str = "instance";

/// Labels or annotations, by name.
pub type LabelMap = BTreeMap<String, String>;

/// What is the matter with a posted alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostedState {
    /// It holds, but not for long enough to tell anybody.
    Pending,
    /// It fires.
    Firing,
    /// It does not hold any more. One that never fired is forgotten without a word.
    Resolved,
}

/// Where an alert comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertSource {
    /// A rule of this server: `built-in/ID`, or `FILE/GROUP/NAME`.
    Rule(String),
    /// Another program, by Alertmanager's API. Such an alert resolves by itself at its end.
    Pushed,
}

/// An alert as it is told at one moment.
///
/// The texts are annotations: `summary`, `description` and `action` (what to do) in English, and the same names with
/// `_zh` behind them in Chinese. Rules of people may have any others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostedAlert {
    /// Where it comes from.
    pub source: AlertSource,
    /// What is the matter with it.
    pub state: PostedState,
    /// Its labels, [`ALERT_NAME`] among them: they are its identity.
    pub labels: LabelMap,
    /// Texts for people.
    pub annotations: LabelMap,
    /// Since when it holds, in milliseconds since 1970.
    pub active_at_ms: i64,
    /// Since when it fires.
    pub starts_at_ms: Option<i64>,
    /// When it ended, or when it ends if nothing more is heard of it.
    pub ends_at_ms: Option<i64>,
    /// The newest value.
    pub value: Option<f64>,
    /// What the value is compared with, where that is one number.
    pub threshold: Option<f64>,
    /// The unit of value and threshold, such as `percent`, `seconds`, `bytes`, `celsius`; empty if none.
    pub unit: String,
    /// An expression that draws the value, for its chart; empty if there is none.
    pub expression: String,
    /// A link to what made it; empty for rules of this server.
    pub generator_url: String,
}

/// The most bytes of an alert's labels, annotations and link; larger ones are refused.
pub const MAX_ALERT_BYTES: usize = 64 << 10;

impl PostedAlert {
    /// The bytes of its labels, annotations and link.
    pub fn bytes(&self) -> usize {
        let of = |map: &LabelMap| map.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
        of(&self.labels) + of(&self.annotations) + self.generator_url.len()
    }
}

/// The number of an alert: FNV-1a over its sorted labels with the separators that Prometheus's model uses, so that
/// fingerprints are the same as in an Alertmanager.
pub fn fingerprint(labels: &LabelMap) -> u64 {
    fnv(labels.iter().flat_map(|(name, value)| [name.as_str(), value]))
}

/// FNV-1a over texts, each with a separator that no text has behind it.
pub(crate) fn fnv<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    const OFFSET: u64 = 14_695_981_039_346_656_037;
    const PRIME: u64 = 1_099_511_628_211;
    const SEPARATOR: u8 = 255;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    texts.into_iter().fold(OFFSET, |hash, text| step(text.bytes().fold(hash, step), SEPARATOR))
}

/// A fingerprint as it is written: 16 hexadecimal digits.
pub fn format_fingerprint(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_alertmanagers() {
        assert_eq!(fingerprint(&LabelMap::new()), 0xcbf2_9ce4_8422_2325);
        let labels = [("alertname".to_owned(), "A".to_owned())].into();
        assert_ne!(fingerprint(&labels), fingerprint(&LabelMap::new()));
        assert_eq!(format_fingerprint(0xab), "00000000000000ab");
    }
}
