//! Dates in UTC from seconds since 1970, by the proleptic Gregorian calendar.

/// A moment, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u8,
    /// Of the month, from 1.
    pub(crate) day: u8,
    /// From 0 for Sunday.
    pub(crate) weekday: u8,
    /// From 1.
    pub(crate) day_of_year: u16,
    pub(crate) days_in_month: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
}

impl Date {
    /// The date of a number of seconds since 1970, fractions cut off; none for NaN or beyond all years.
    ///
    /// From days to the civil date by Howard Hinnant's `civil_from_days`: years begin in March, so that
    /// the leap day is the last one, and repeat every 400 years.
    pub(crate) fn at(seconds: f64) -> Option<Self> {
        if seconds.is_nan() || seconds.abs() > 1e17 {
            return None;
        }
        let seconds = seconds as i64;
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let from_march = days + 719_468;
        let (era, day_of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let march_day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * march_day + 2) / 153;
        let day = march_day - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let lengths = month_lengths(year);
        let month_index = month as usize - 1;
        let days_before: i64 = lengths[..month_index].iter().map(|&days| i64::from(days)).sum();
        Some(Self {
            year,
            month: month as u8,
            day: day as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
            day_of_year: (days_before + day) as u16,
            days_in_month: lengths[month_index],
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
        })
    }
}

/// A time in milliseconds as RFC 3339 writes it, to the second.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    let seconds = time_ms / 1000;
    let second = seconds.rem_euclid(60);
    match Date::at(seconds as f64) {
        Some(Date { year, month, day, hour, minute, .. }) => {
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
        }
        None => format!("{seconds} s"),
    }
}

fn month_lengths(year: i64) -> [u8; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, 28 + u8::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: f64, expected: (i64, u8, u8), weekday: u8, day_of_year: u16, length: u8) {
        let date = Date::at(seconds).unwrap();
        assert_eq!((date.year, date.month, date.day), expected);
        assert_eq!(
            (date.weekday, date.day_of_year, date.days_in_month),
            (weekday, day_of_year, length)
        );
    }

    #[test]
    fn dates() {
        check(0.0, (1970, 1, 1), 4, 1, 31);
        check(-1.0, (1969, 12, 31), 3, 365, 31);
        check(1_709_210_096.0, (2024, 2, 29), 4, 60, 29);
        check(1_735_603_200.0, (2024, 12, 31), 2, 366, 31);
        check(951_782_400.0, (2000, 2, 29), 2, 60, 29);
        let date = Date::at(1_709_210_096.9).unwrap();
        assert_eq!((date.hour, date.minute), (12, 34));
    }

    #[test]
    fn no_dates() {
        assert_eq!(Date::at(f64::NAN), None);
        assert_eq!(Date::at(f64::INFINITY), None);
    }
}
