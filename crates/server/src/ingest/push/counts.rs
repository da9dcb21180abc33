//! What was pushed and what was refused, by protocol and reason: for the sender, and for `/metrics`.

use std::fmt;

use super::Stored;
use crate::app::Counter;

/// How samples are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    RemoteWrite1,
    RemoteWrite2,
    Otlp,
    Text,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] =
        [Self::RemoteWrite1, Self::RemoteWrite2, Self::Otlp, Self::Text];

    /// The word for it in `/metrics`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RemoteWrite1 => "remote_write_1",
            Self::RemoteWrite2 => "remote_write_2",
            Self::Otlp => "otlp",
            Self::Text => "text",
        }
    }
}

/// Why something is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    BadLabels,
    LabelLimit,
    SeriesLimit,
    TooOld,
    TooNew,
    UnknownSeries,
    NativeHistogram,
    Delta,
    Malformed,
}

impl Reason {
    pub(crate) const ALL: [Self; 9] = [
        Self::BadLabels,
        Self::LabelLimit,
        Self::SeriesLimit,
        Self::TooOld,
        Self::TooNew,
        Self::UnknownSeries,
        Self::NativeHistogram,
        Self::Delta,
        Self::Malformed,
    ];

    /// The word for it in `/metrics`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BadLabels => "bad_labels",
            Self::LabelLimit => "label_limit",
            Self::SeriesLimit => "series_limit",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::UnknownSeries => "unknown_series",
            Self::NativeHistogram => "native_histogram",
            Self::Delta => "delta",
            Self::Malformed => "malformed",
        }
    }

    /// What it means, for the sender.
    fn sentence(self) -> &'static str {
        match self {
            Self::BadLabels => "no metric name, a label without a name or given twice, or no text",
            Self::LabelLimit => {
                "more than 64 labels, a name over 1 KiB or a value over 8 KiB; use fewer or shorter labels"
            }
            Self::SeriesLimit => {
                "the store has as many series as it may; remove a label that takes many values"
            }
            Self::TooOld => "older than the retention",
            Self::TooNew => {
                "more than 10 minutes ahead of the server's clock; set the sender's or the server's clock (NTP)"
            }
            Self::UnknownSeries => "forgotten by the store while they were sent; send them again",
            Self::NativeHistogram => "native histograms are not stored; send classic ones as well",
            Self::Delta => "delta temporality is not stored; send cumulative values",
            Self::Malformed => "not in the format",
        }
    }
}

/// What of one request was refused, and the first details.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    by_reason: [u64; Reason::ALL.len()],
    details: Vec<String>,
}

impl Refusals {
    /// The most details that are kept of a request.
    const MOST_DETAILS: usize = 5;

    pub(super) fn add(&mut self, reason: Reason, count: u64) {
        self.by_reason[reason as usize] += count;
    }

    /// Keeps what was wrong with one series or line, unless there are enough already.
    pub(super) fn detail(&mut self, detail: impl FnOnce() -> String) {
        if self.details.len() < Self::MOST_DETAILS {
            let mut detail = detail();
            if let Some((end, _)) = detail.char_indices().nth(300) {
                detail.truncate(end);
                detail.push('…');
            }
            self.details.push(detail);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.by_reason.iter().sum()
    }

    pub(crate) fn of(&self, reason: Reason) -> u64 {
        self.by_reason[reason as usize]
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for reason in Reason::ALL.into_iter().filter(|&reason| self.of(reason) > 0) {
            write!(f, "\n{} {}: {}", self.of(reason), reason.as_str(), reason.sentence())?;
        }
        self.details.iter().try_for_each(|detail| write!(f, "\n- {detail}"))
    }
}

/// The status codes that are counted; others count as 500.
pub(crate) const CODES: [u16; 7] = [200, 204, 400, 413, 415, 500, 503];

/// What `/metrics` tells of one protocol.
#[derive(Debug, Default)]
pub(crate) struct OfProtocol {
    pub(crate) samples: Counter,
    pub(crate) exemplars: Counter,
    pub(crate) refused: [Counter; Reason::ALL.len()],
    pub(crate) requests: [Counter; CODES.len()],
}

/// What `/metrics` tells of pushing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_protocol: [OfProtocol; Protocol::ALL.len()],
}

impl Counts {
    pub(crate) fn of(&self, protocol: Protocol) -> &OfProtocol {
        &self.by_protocol[protocol as usize]
    }

    pub(super) fn note(&self, protocol: Protocol, stored: &Stored) {
        let of = self.of(protocol);
        of.samples.add(stored.samples);
        of.exemplars.add(stored.exemplars);
        for (counter, count) in of.refused.iter().zip(stored.refusals.by_reason) {
            counter.add(count);
        }
    }

    pub(crate) fn answered(&self, protocol: Protocol, code: u16) {
        let at = CODES.iter().position(|&known| known == code);
        let at = at.or_else(|| CODES.iter().position(|&known| known == 500));
        self.of(protocol).requests[at.expect("500 is in the list")].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_told_by_reason_with_the_first_details() {
        let mut refusals = Refusals::default();
        refusals.add(Reason::TooOld, 2);
        refusals.add(Reason::BadLabels, 1);
        refusals.detail(|| "x".repeat(1_000));
        for n in 0..10 {
            refusals.detail(|| format!("line {n}"));
        }
        let text = refusals.to_string();
        assert_eq!(refusals.total(), 3);
        assert!(text.starts_with("\n1 bad_labels: no metric name"), "{text}");
        assert!(text.contains("\n2 too_old: older than the retention\n- xxx"), "{text}");
        assert!(text.ends_with("\n- line 3") && text.len() < 700, "{text}");
    }

    #[test]
    fn every_reason_and_protocol_has_its_own_place() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        for (at, protocol) in Protocol::ALL.into_iter().enumerate() {
            assert_eq!(protocol as usize, at);
        }
        let counts = Counts::default();
        counts.answered(Protocol::Otlp, 204);
        counts.answered(Protocol::Otlp, 999);
        let codes: Vec<u64> = counts.of(Protocol::Otlp).requests.iter().map(Counter::get).collect();
        assert_eq!(codes, [0, 1, 0, 0, 0, 1, 0]);
    }
}
