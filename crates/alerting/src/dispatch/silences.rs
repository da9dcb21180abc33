//! Silences: who wants not to hear of which alerts, until when. A maintenance window is a silence that comes back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

use super::matchers::Matchers;
use crate::posted::LabelMap;

/// The most silences that are kept, those that are over too.
const MAX_SILENCES: usize = 10_000;
/// How long a silence is kept when it is over, in milliseconds.
const EXPIRED_RETENTION_MS: i64 = 5 * 86_400_000;
/// The longest silence, in milliseconds.
const MAX_LENGTH_MS: i64 = 366 * 86_400_000;
/// The most bytes of a comment.
const MAX_COMMENT: usize = 1_000;
/// The most bytes of its maker's name, and of its matchers as they are written.
const MAX_AUTHOR: usize = 256;
const MAX_MATCHERS: usize = 16 << 10;
/// The length of a minute: what recurs begins and ends with one.
pub(super) const MINUTE_MS: i64 = 60_000;

/// Why a silence is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// It would hide everything.
    #[error(
        "the silence would hide every alert; give it a matcher that an absent label does not satisfy"
    )]
    HidesAll,
    /// It ends before it begins.
    #[error("the silence ends before it begins")]
    NoTime,
    /// It is over already.
    #[error("the silence's end lies in the past")]
    Past,
    /// It lasts too long.
    #[error("the silence lasts longer than 366 days; make it shorter")]
    TooLong,
    /// The comment is too long.
    #[error("the comment has {0} bytes, and at most 1000 are allowed")]
    Comment(usize),
    /// The name of who made it is too long.
    #[error("the author's name has {0} bytes, and at most 256 are allowed")]
    Author(usize),
    /// The matchers are too long.
    #[error("the matchers have {0} bytes, and at most 16384 are allowed")]
    Matchers(usize),
    /// There are too many.
    #[error("there are {MAX_SILENCES} silences already; let some end before making more")]
    TooMany,
    /// What it says about when it comes back makes no sense.
    #[error("{0}")]
    Recurrence(String),
}

/// When a silence comes back: on days of the week, from one time of day to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// Days of the week, 1 for Monday to 7 for Sunday, on which it begins; empty for every day.
    pub weekdays: Vec<u8>,
    /// When it begins, in minutes of the day.
    pub from_minute: u16,
    /// When it ends, in minutes of the day; what is not after `from_minute` is on the next day.
    pub to_minute: u16,
    /// The name of a time zone.
    pub time_zone: String,
}

/// What hides alerts for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its number, which its maker gives it.
    pub id: String,
    /// Which alerts it hides.
    pub matchers: Matchers,
    /// From when on, in milliseconds since 1970.
    pub starts_at_ms: i64,
    /// Until when.
    pub ends_at_ms: i64,
    /// If set, it hides only at these times between its start and its end.
    pub recurrence: Option<Recurrence>,
    /// Whether it ends as soon as no alert that it hides fires any more.
    pub until_resolved: bool,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// When it was last changed.
    pub updated_ms: i64,
}

/// Whether a silence hides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It begins later; for a recurring one, it is between two of its times.
    Pending,
    /// It hides.
    Active,
    /// It is over.
    Expired,
}

impl Recurrence {
    /// Reads times such as `22:00`; `24:00` is the end of a day. Weekdays are 1 for Monday to 7 for Sunday.
    pub fn new(
        mut weekdays: Vec<u8>,
        from: &str,
        to: &str,
        time_zone: &str,
    ) -> Result<Self, SilenceError> {
        let refuse = |text: String| SilenceError::Recurrence(text);
        if let Some(day) = weekdays.iter().find(|day| !(1..=7).contains(*day)) {
            return Err(refuse(format!("{day} is no day of the week; they are 1 to 7")));
        }
        weekdays.sort_unstable();
        weekdays.dedup();
        TimeZone::get(time_zone)
            .map_err(|_| refuse(format!("there is no time zone {time_zone:?}")))?;
        let minute = |text: &str| {
            minute_of_day(text).ok_or_else(|| {
                SilenceError::Recurrence(format!("{text:?} is no time of day such as 22:00"))
            })
        };
        let (from_minute, to_minute) = (minute(from)?, minute(to)?);
        if from_minute == 1_440 {
            return Err(refuse("a silence that begins at 24:00 begins at 00:00".to_owned()));
        }
        Ok(Self { weekdays, from_minute, to_minute, time_zone: time_zone.to_owned() })
    }

    /// Whether it is one of its times.
    pub fn holds(&self, at_ms: i64) -> bool {
        let zone = TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC);
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
        let local = at.to_zoned(zone).datetime();
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let begins_on = |date: civil::Date| {
            let day = date.weekday().to_monday_one_offset() as u8;
            self.weekdays.is_empty() || self.weekdays.contains(&day)
        };
        let today = begins_on(local.date());
        if self.to_minute > self.from_minute {
            return today && (self.from_minute..self.to_minute).contains(&minute);
        }
        let yesterday = local.date().yesterday().is_ok_and(begins_on);
        (today && minute >= self.from_minute) || (yesterday && minute < self.to_minute)
    }
}

/// Reads `HH:MM`, up to `24:00`.
pub(super) fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= 1_440).then_some(all)
}

impl Silence {
    /// Whether it hides at `now_ms`.
    pub fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms >= self.ends_at_ms {
            SilenceState::Expired
        } else if now_ms < self.starts_at_ms
            || self.recurrence.as_ref().is_some_and(|recurrence| !recurrence.holds(now_ms))
        {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    fn check(&self, now_ms: i64) -> Result<(), SilenceError> {
        if self.matchers.match_everything() {
            return Err(SilenceError::HidesAll);
        }
        if self.ends_at_ms <= self.starts_at_ms {
            return Err(SilenceError::NoTime);
        }
        if self.ends_at_ms <= now_ms {
            return Err(SilenceError::Past);
        }
        if self.ends_at_ms.saturating_sub(self.starts_at_ms) > MAX_LENGTH_MS {
            return Err(SilenceError::TooLong);
        }
        if self.comment.len() > MAX_COMMENT {
            return Err(SilenceError::Comment(self.comment.len()));
        }
        if self.created_by.len() > MAX_AUTHOR {
            return Err(SilenceError::Author(self.created_by.len()));
        }
        let bytes = self.matchers.to_string().len();
        if bytes > MAX_MATCHERS {
            return Err(SilenceError::Matchers(bytes));
        }
        Ok(())
    }
}

/// All silences.
#[derive(Debug, Default)]
pub(super) struct Silences {
    by_id: BTreeMap<String, Silence>,
    /// Those that hide, as of the last [`Silences::refresh`].
    active: BTreeSet<String>,
    /// Those that have hidden an alert that fires: only such end with their alerts.
    used: BTreeSet<String>,
}

impl Silences {
    pub(super) fn restore(&mut self, silence: Silence) {
        self.by_id.insert(silence.id.clone(), silence);
    }

    /// Takes a new one in, or a changed one.
    pub(super) fn put(&mut self, silence: Silence, now_ms: i64) -> Result<(), SilenceError> {
        silence.check(now_ms)?;
        if self.by_id.len() >= MAX_SILENCES && !self.by_id.contains_key(&silence.id) {
            return Err(SilenceError::TooMany);
        }
        self.used.remove(&silence.id);
        self.by_id.insert(silence.id.clone(), silence);
        Ok(())
    }

    /// Ends one now; false if there is none that has not ended.
    pub(super) fn expire(&mut self, id: &str, now_ms: i64) -> bool {
        match self.by_id.get_mut(id) {
            Some(silence) if silence.ends_at_ms > now_ms => {
                silence.ends_at_ms = now_ms;
                silence.starts_at_ms = silence.starts_at_ms.min(now_ms);
                silence.updated_ms = now_ms;
                true
            }
            _ => false,
        }
    }

    /// Looks at the time; gives the numbers of those that hide now and did not before, or the other way round.
    pub(super) fn refresh(&mut self, now_ms: i64) -> BTreeSet<String> {
        let hides = |silence: &&Silence| silence.state(now_ms) == SilenceState::Active;
        let active: BTreeSet<String> =
            self.by_id.values().filter(hides).map(|one| one.id.clone()).collect();
        let changed = active.symmetric_difference(&self.active).cloned().collect();
        self.active = active;
        changed
    }

    /// Forgets those that are over for long; gives their numbers.
    pub(super) fn forget_old(&mut self, now_ms: i64) -> Vec<String> {
        let old = |silence: &&Silence| now_ms - silence.ends_at_ms > EXPIRED_RETENTION_MS;
        let gone: Vec<String> = self.by_id.values().filter(old).map(|one| one.id.clone()).collect();
        for id in &gone {
            self.by_id.remove(id);
            self.used.remove(id);
        }
        gone
    }

    /// The numbers of those that hide an alert with these labels.
    pub(super) fn hiding(&self, labels: &LabelMap) -> Vec<String> {
        let hides = |id: &&String| self.by_id[*id].matchers.matches(labels);
        self.active.iter().filter(hides).cloned().collect()
    }

    /// Those of the active ones that end with their alerts, and have had one; `firing` are all numbers that hide an
    /// alert that fires.
    pub(super) fn outlived(&mut self, firing: &BTreeSet<String>) -> Vec<String> {
        self.used.extend(firing.iter().filter(|id| self.active.contains(*id)).cloned());
        let over = |id: &&String| self.used.contains(*id) && !firing.contains(*id);
        let ends = |id: &&String| self.by_id[*id].until_resolved;
        self.active.iter().filter(over).filter(ends).cloned().collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Silence> {
        self.by_id.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values()
    }

    /// Whether any ends with its alerts.
    pub(super) fn any_until_resolved(&self) -> bool {
        self.active.iter().any(|id| self.by_id[id].until_resolved)
    }

    /// When the next one begins or ends; for recurring ones, the next minute.
    pub(super) fn next_edge_ms(&self, now_ms: i64) -> Option<i64> {
        let edge = |silence: &Silence| {
            if silence.starts_at_ms > now_ms {
                Some(silence.starts_at_ms)
            } else if silence.ends_at_ms <= now_ms {
                None
            } else if silence.recurrence.is_some() {
                Some(silence.ends_at_ms.min(next_minute(now_ms)))
            } else {
                Some(silence.ends_at_ms)
            }
        };
        self.by_id.values().filter_map(edge).min()
    }
}

/// The beginning of the next minute.
pub(super) fn next_minute(now_ms: i64) -> i64 {
    (now_ms.div_euclid(MINUTE_MS) + 1) * MINUTE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// Days, from, to and zone of a silence, and times with whether it hides then.
    #[track_caller]
    fn check(days: &[u8], from: &str, to: &str, zone: &str, times: &[(&str, bool)]) {
        let recurrence = Recurrence::new(days.to_vec(), from, to, zone).unwrap();
        for (time, expected) in times {
            assert_eq!(
                recurrence.holds(ms(time)),
                *expected,
                "{days:?} {from}-{to} {zone}: {time}"
            );
        }
    }

    #[test]
    fn windows_come_back_over_midnight_and_clock_changes() {
        // 2026-11-22 is a Sunday.
        let night = [
            ("2026-11-22T21:59:59Z", false),
            ("2026-11-22T22:00:00Z", true),
            ("2026-11-23T05:59:59Z", true),
            ("2026-11-23T06:00:00Z", false),
            ("2026-11-23T22:30:00Z", false),
        ];
        check(&[7], "22:00", "06:00", "UTC", &night);
        let all = [("2026-11-22T00:00:00Z", true), ("2026-11-22T23:59:00Z", true)];
        check(&[], "00:00", "24:00", "UTC", &all);
        check(&[], "08:00", "08:00", "UTC", &all);
        // At 01:00 UTC on 2026-03-29 Berlin goes from 02:00 to 03:00.
        let spring = [("2026-03-29T00:30:00Z", true), ("2026-03-29T01:30:00Z", false)];
        check(&[], "01:00", "03:00", "Europe/Berlin", &spring);
        check(&[1], "02:00", "03:00", "Asia/Shanghai", &[("2026-11-22T18:30:00Z", true)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (days, from, to, zone) in [
            (vec![8], "01:00", "02:00", "UTC"),
            (vec![], "1:00", "02:00", "UTC"),
            (vec![], "01:00", "24:01", "UTC"),
            (vec![], "01:60", "02:00", "UTC"),
            (vec![], "24:00", "02:00", "UTC"),
            (vec![], "01:00", "02:00", "Mars/Olympus"),
        ] {
            assert!(Recurrence::new(days, from, to, zone).is_err(), "{from} {to} {zone}");
        }
        let silence = |matchers: &str, from, to| Silence {
            id: "s".into(),
            matchers: Matchers::parse(matchers).unwrap(),
            starts_at_ms: from,
            ends_at_ms: to,
            recurrence: None,
            until_resolved: false,
            created_by: "me".into(),
            comment: String::new(),
            updated_ms: 0,
        };
        let mut silences = Silences::default();
        assert_eq!(silences.put(silence("a=~.*", 0, 9), 1), Err(SilenceError::HidesAll));
        assert_eq!(silences.put(silence("a=b", 9, 9), 1), Err(SilenceError::NoTime));
        assert_eq!(silences.put(silence("a=b", 0, 9), 9), Err(SilenceError::Past));
        let year = 367 * 86_400_000;
        assert_eq!(silences.put(silence("a=b", 0, year), 1), Err(SilenceError::TooLong));
        assert_eq!(silences.put(silence("a=b", 0, 9), 1), Ok(()));
    }
}
