//! Scores series in files, as the server would have while they came.
//!
//! `cargo run --release -p muster-detect --example score -- [--sensitivity 5] [--unit SECONDS] [FILE.csv]…` reads lines
//! of `timestamp,value` (further columns and a heading are passed over; without a file, standard input) and writes
//! `timestamp,value,lower,upper,score,anomalous`, line by line in the order of the input. The score is
//! `Outlook::lasting`, and a line is anomalous where it exceeds the sensitivity. What cannot be judged (the first
//! value, what is no number, a second value of the same time) has the score 0 and no band. The episodes are told on
//! standard error.
//!
//! A time is `2026-11-23 02:45:00` (UTC), with `T` and `Z` or an offset too, or a number: of seconds since 1970, of
//! milliseconds where it is beyond 10^11, or of so many seconds as `--unit` says (3600 for series numbered by hours).

use std::error::Error;
use std::io::{self, BufWriter, Read, Write};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use muster_detect::{Outlook, Sensitivity, judge};
use muster_series::Sample;

/// A number beyond this counts milliseconds.
const MOST_SECONDS: f64 = 1e11;

struct Arguments {
    wanted: Sensitivity,
    /// Seconds of one step of a numbered time, if it is not to be guessed.
    unit: Option<f64>,
    files: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments(std::env::args().skip(1))?;
    if arguments.files.is_empty() {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        score("standard input", &text, &arguments)?;
    }
    for file in &arguments.files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        score(file, &text, &arguments)?;
    }
    Ok(())
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let mut read = Arguments { wanted: Sensitivity::default(), unit: None, files: Vec::new() };
    while let Some(argument) = given.next() {
        let mut number = || -> Result<f64, String> {
            let value = given.next().and_then(|value| value.parse::<f64>().ok());
            value.filter(|value| *value > 0.0).ok_or(format!("{argument} needs a number above 0"))
        };
        match argument.as_str() {
            "--sensitivity" => read.wanted.scales = number()?,
            "--unit" => read.unit = Some(number()?),
            _ => read.files.push(argument),
        }
    }
    Ok(read)
}

fn score(name: &str, text: &str, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let rows: Vec<(&str, Sample)> =
        text.lines().filter_map(|line| row(line, arguments.unit)).collect();
    let samples: Vec<Sample> = rows.iter().map(|(_, sample)| *sample).collect();
    let judged = judge(&samples, &arguments.wanted);
    let mut out = BufWriter::new(io::stdout().lock());
    writeln!(out, "timestamp,value,lower,upper,score,anomalous")?;
    for ((time, sample), outlook) in rows.iter().zip(&judged.outlooks) {
        write!(out, "{time},{}", sample.value)?;
        match outlook {
            Some(Outlook { lower, upper, lasting, unusual, .. }) => {
                writeln!(out, ",{lower},{upper},{lasting},{}", u8::from(*unusual))?;
            }
            None => writeln!(out, ",,,0,0")?,
        }
    }
    out.flush()?;
    let mut told = io::stderr().lock();
    writeln!(told, "{name}: {} values, {} episodes", rows.len(), judged.episodes.len())?;
    for episode in &judged.episodes {
        let [from, to] = [episode.from_ms, episode.to_ms].map(jiff::Timestamp::from_millisecond);
        writeln!(told, "  {} to {}, up to {:.1} scales", from?, to?, episode.peak)?;
    }
    Ok(())
}

/// The time as it is written, and the sample; a line without them is none. An empty value is no number.
fn row(line: &str, unit: Option<f64>) -> Option<(&str, Sample)> {
    let mut columns = line.split(',').map(|column| column.trim().trim_matches('"'));
    let (time, value) = (columns.next()?, columns.next()?);
    let timestamp_ms = milliseconds(time, unit)?;
    Some((time, Sample { timestamp_ms, value: value.parse().unwrap_or(f64::NAN) }))
}

fn milliseconds(time: &str, unit: Option<f64>) -> Option<i64> {
    if let Ok(number) = time.parse::<f64>() {
        let seconds = match unit {
            Some(unit) => number * unit,
            None if number.abs() > MOST_SECONDS => number / 1e3,
            None => number,
        };
        return seconds.is_finite().then_some((seconds * 1e3).round() as i64);
    }
    if let Ok(at) = time.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let civil: DateTime = time.parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}
