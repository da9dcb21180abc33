//! Times at which a route is muted or active: times of day, weekdays, days of the month, months, years, in a time zone.
//!
//! The words are those of Alertmanager's `time_intervals`; all conditions that are given must hold, and of each one of
//! its ranges.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::silences::minute_of_day;

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// One interval as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawInterval {
    times: Option<Vec<RawTimes>>,
    weekdays: Option<Vec<String>>,
    days_of_month: Option<Vec<String>>,
    months: Option<Vec<String>>,
    years: Option<Vec<String>>,
    location: Option<String>,
}

/// A range of times of day as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTimes {
    start_time: String,
    end_time: String,
}

/// First and last of a range.
type Range = (i32, i32);

/// One interval; a list that is absent holds always.
#[derive(Debug, Clone)]
pub(super) struct Interval {
    /// Minutes of the day, the last one not included.
    times: Option<Vec<Range>>,
    /// 0 for Sunday.
    weekdays: Option<Vec<Range>>,
    /// Negative ones count from the month's end.
    days_of_month: Option<Vec<Range>>,
    months: Option<Vec<Range>>,
    years: Option<Vec<Range>>,
    zone: TimeZone,
}

impl RawInterval {
    /// Checks it; an error says what to write instead.
    pub(super) fn check(self) -> Result<Interval, String> {
        let times = self.times.map(|times| times.iter().map(RawTimes::check).collect());
        let zone = match self.location.as_deref() {
            None => TimeZone::UTC,
            Some("Local") => TimeZone::system(),
            Some(name) => {
                TimeZone::get(name).map_err(|_| format!("there is no time zone {name:?}"))?
            }
        };
        let named = |names: &'static [&'static str], first: i32| {
            move |word: &str| {
                let at = names.iter().position(|name| name.eq_ignore_ascii_case(word));
                at.map(|at| at as i32 + first)
            }
        };
        let number = |word: &str| word.parse::<i32>().ok();
        let month = |word: &str| named(&MONTHS, 1)(word).or_else(|| number(word));
        let in_month = |range: &Range| {
            let ok = |day: i32| day != 0 && (-31..=31).contains(&day);
            let same_sign = (range.0 < 0) == (range.1 < 0);
            ok(range.0)
                && ok(range.1)
                && (!same_sign || range.0 <= range.1)
                && !(range.0 < 0 && range.1 > 0)
        };
        let rising = |range: &Range| range.0 <= range.1;
        let year_month = |range: &Range| rising(range) && range.0 >= 1 && range.1 <= 12;
        Ok(Interval {
            times: times.transpose()?,
            weekdays: ranges(self.weekdays, "weekdays", named(&WEEKDAYS, 0), rising)?,
            days_of_month: ranges(self.days_of_month, "days_of_month", number, in_month)?,
            months: ranges(self.months, "months", month, year_month)?,
            years: ranges(self.years, "years", number, rising)?,
            zone,
        })
    }
}

impl RawTimes {
    fn check(&self) -> Result<Range, String> {
        let minute = |text: &str| {
            minute_of_day(text).ok_or_else(|| format!("{text:?} is no time of day such as 22:00"))
        };
        let (from, to) = (minute(&self.start_time)?, minute(&self.end_time)?);
        if from >= to {
            return Err(format!(
                "{} is not before {}; write two ranges for a time over midnight",
                self.start_time, self.end_time
            ));
        }
        Ok((i32::from(from), i32::from(to)))
    }
}

/// Reads ranges such as `monday:friday`.
fn ranges(
    texts: Option<Vec<String>>,
    what: &str,
    read: impl Fn(&str) -> Option<i32>,
    check: impl Fn(&Range) -> bool,
) -> Result<Option<Vec<Range>>, String> {
    let one = |text: String| {
        let (from, to) = text.split_once(':').unwrap_or((&text, &text));
        let range = read(from.trim()).zip(read(to.trim())).filter(&check);
        range.ok_or_else(|| format!("{text:?} is no range of {what}"))
    };
    texts.map(|texts| texts.into_iter().map(one).collect()).transpose()
}

impl Interval {
    /// Whether a time is in it.
    pub(super) fn contains(&self, at_ms: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return false };
        let local = at.to_zoned(self.zone.clone()).datetime();
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let date = local.date();
        let last_day = i32::from(date.days_in_month());
        let day_of_month = |&(from, to): &Range| {
            let day = |day: i32| if day < 0 { last_day + day + 1 } else { day };
            day(from) <= last_day && (day(from)..=day(to)).contains(&i32::from(date.day()))
        };
        let within = |ranges: &Option<Vec<Range>>, value: i32| {
            ranges
                .as_ref()
                .is_none_or(|ranges| ranges.iter().any(|&(from, to)| (from..=to).contains(&value)))
        };
        within(
            &self.times.as_ref().map(|all| all.iter().map(|&(a, b)| (a, b - 1)).collect()),
            minute,
        ) && within(&self.weekdays, i32::from(date.weekday().to_sunday_zero_offset()))
            && self.days_of_month.as_ref().is_none_or(|days| days.iter().any(day_of_month))
            && within(&self.months, i32::from(date.month()))
            && within(&self.years, i32::from(date.year()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(yaml: &str) -> Result<Interval, String> {
        crate::yaml::parse::<RawInterval>(yaml)?.check()
    }

    #[track_caller]
    fn check(yaml: &str, inside: &[&str], outside: &[&str]) {
        let interval = interval(yaml).unwrap();
        let all = inside.iter().map(|t| (t, true)).chain(outside.iter().map(|t| (t, false)));
        for (time, expected) in all {
            let at_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
            assert_eq!(interval.contains(at_ms), expected, "{yaml} at {time}");
        }
    }

    #[test]
    fn intervals_hold_as_alertmanagers_do() {
        check(
            "{times: [{start_time: 09:00, end_time: 17:00}], weekdays: ['monday:friday']}",
            &["2026-11-23T09:00:00Z", "2026-11-27T16:59:59Z"],
            &["2026-11-23T08:59:59Z", "2026-11-27T17:00:00Z", "2026-11-22T12:00:00Z"],
        );
        check(
            "{days_of_month: ['-3:-1']}",
            &["2026-02-26T00:00:00Z", "2026-02-28T23:59:59Z", "2026-01-31T12:00:00Z"],
            &["2026-02-25T23:00:00Z", "2026-01-28T12:00:00Z"],
        );
        check("{days_of_month: ['31']}", &["2026-01-31T12:00:00Z"], &["2026-02-28T12:00:00Z"]);
        check(
            "{months: ['may:august', december], years: ['2026:2027', 2030]}",
            &["2026-05-01T00:00:00Z", "2030-12-31T00:00:00Z"],
            &["2026-09-01T00:00:00Z", "2028-05-01T00:00:00Z"],
        );
        check(
            "{times: [{start_time: 00:00, end_time: 01:00}], location: Asia/Shanghai}",
            &["2026-11-22T16:30:00Z"],
            &["2026-11-22T00:30:00Z"],
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for yaml in [
            "{times: [{start_time: 22:00, end_time: 06:00}]}",
            "{times: [{start_time: 25:00, end_time: 26:00}]}",
            "{weekdays: [funday]}",
            "{weekdays: ['friday:monday']}",
            "{days_of_month: ['0']}",
            "{days_of_month: ['32']}",
            "{days_of_month: ['-1:-3']}",
            "{months: ['13']}",
            "{years: [soon]}",
            "{location: Mars/Olympus}",
            "{sometimes: []}",
        ] {
            assert!(interval(yaml).is_err(), "{yaml}");
        }
    }
}
