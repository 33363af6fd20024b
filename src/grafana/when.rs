//! Points in time as people write them, in the two forms that every Grafana understands: its own words, and epoch
//! milliseconds. ISO times work only since 11, and seconds would mean 1970 (facts 1.5).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use regex::Regex;

use super::error::{Error, Kind};

/// Epoch numbers from here are milliseconds (March 1973), below it seconds (up to the year 5138).
const MILLISECONDS: i64 = 100_000_000_000;

/// Numbers below this (in seconds, March 1973) are `2026` or `20261122` and meant otherwise.
const SECONDS: i64 = 100_000_000;

/// Which end of a time range: a date as the end includes its whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `from`
    From,
    /// `to`
    To,
}

/// Reads `now-6h`, `now/d`, `6h` (that long ago), RFC 3339, a date or a time in `zone`, or epoch seconds or milliseconds.
pub fn moment(text: &str, end: End, zone: &TimeZone) -> Result<String, Error> {
    let text = text.trim();
    if is_relative(text) {
        return Ok(text.to_owned());
    }
    if let Ok(ago) = ago(text) {
        return Ok(ago);
    }
    let milliseconds = match text.parse::<i64>() {
        Ok(number) if number >= MILLISECONDS => Some(number),
        Ok(number) => (number >= SECONDS).then_some(number * 1000),
        Err(_) => absolute(text, end, zone).map(|time| time.as_millisecond()),
    };
    match milliseconds {
        Some(number) => Ok(number.to_string()),
        None => Err(Error::new(Kind::Misuse, format!("{text:?} is no point in time"))
            .with_hint("write now-6h, 6h, 2026-11-22, \"2026-11-22 15:30\", 2026-11-22T15:30:00Z, or epoch seconds")),
    }
}

/// `6h` as `now-6h`.
pub fn ago(text: &str) -> Result<String, Error> {
    let relative = format!("now-{text}");
    if is_relative(&relative) && !text.contains(['+', '-', '/']) {
        return Ok(relative);
    }
    Err(Error::new(Kind::Misuse, format!("{text:?} is no length of time"))
        .with_hint("write a number with s, m, h, d, w, M or y: 30m, 6h, 7d"))
}

/// A range whose end is not after its start draws "No data"; only absolute ones can be told.
pub fn check_range(from: Option<&str>, to: Option<&str>) -> Result<(), Error> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    match (number(from), number(to)) {
        (Some(from), Some(to)) if from >= to => {
            Err(Error::new(Kind::Misuse, "the time range ends before it starts").with_hint("swap --from and --to"))
        }
        _ => Ok(()),
    }
}

/// Grafana's date math: `now`, offsets, and rounding to a unit, also of the fiscal year.
fn is_relative(text: &str) -> bool {
    Regex::new(r"^now([+-]\d+[smhdwMQy])*(/f?[smhdwMQy])?$").is_ok_and(|words| words.is_match(text))
}

fn absolute(text: &str, end: End, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Some(zoned.timestamp());
    }
    if text.len() <= "2026-11-22".len() {
        let date: Date = text.parse().ok()?;
        let date = if end == End::To { date.checked_add(1.day()).ok()? } else { date };
        return date.to_zoned(zone.clone()).ok().map(|start| start.timestamp());
    }
    let time: DateTime = text.parse().ok()?;
    time.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}
