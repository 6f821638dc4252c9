//! Cron schedules: five fields (minute, hour, day of month, month, day of week), `@` words and a time zone.
//!
//! A time that does not exist on the day clocks go forward is left out; of a time that exists twice the first counts.
//!
//! Upstream: github.com/robfig/cron/v3 ParseStandard.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// A schedule without a date within this many years never fires.
const YEARS: i64 = 5;

/// Why a schedule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Error(String);

fn failed<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error(message.into()))
}

/// The values of one field, as bits.
#[derive(Debug, Clone, Copy)]
struct Field {
    bits: u64,
    /// Written as `*`: days of month and of week are alternatives only if both are restricted.
    star: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        self.bits & (1 << value) != 0
    }
}

#[derive(Debug, Clone)]
enum Kind {
    Fields { minute: Field, hour: Field, day: Field, month: Field, weekday: Field },
    Every(Duration),
}

/// When a cron job runs.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    kind: Kind,
    zone: TimeZone,
}

fn value(text: &str, names: &[&str], offset: u8) -> Result<u8, Error> {
    if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(u8::try_from(at).unwrap_or(0) + offset);
    }
    text.parse().map_err(|_| Error(format!("failed to parse int from {text}: invalid syntax")))
}

fn field(text: &str, min: u8, max: u8, names: &[&str]) -> Result<Field, Error> {
    let mut result = Field { bits: 0, star: false };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (range, step) = match part.split_once('/') {
            Some((_, step)) if step.contains('/') => return failed(format!("too many slashes: {part}")),
            Some((range, step)) => (range, Some(value(step, &[], 0)?)),
            None => (part, None),
        };
        let star = range == "*" || range == "?";
        let (low, high) = match range.split_once('-') {
            _ if star => (min, max),
            Some((_, high)) if high.contains('-') => return failed(format!("too many hyphens: {part}")),
            Some((low, high)) => (value(low, names, min)?, value(high, names, min)?),
            None => {
                let low = value(range, names, min)?;
                (low, if step.is_some() { max } else { low })
            }
        };
        if low < min || high > max || low > high {
            return failed(format!("value out of range ({min} - {max}): {part}"));
        }
        if step == Some(0) {
            return failed(format!("step of range should be a positive number: {part}"));
        }
        result.star |= star && step.unwrap_or(1) == 1;
        for at in (low..=high).step_by(usize::from(step.unwrap_or(1))) {
            result.bits |= 1 << at;
        }
    }
    if result.bits == 0 { failed(format!("empty field: {text}")) } else { Ok(result) }
}

fn every(text: &str) -> Result<Duration, Error> {
    let span: Span =
        text.trim().parse().map_err(|error| Error(format!("failed to parse duration @every {text}: {error}")))?;
    let duration = span.to_duration(Date::constant(2000, 1, 1)).map_err(|error| Error(error.to_string()))?;
    Ok(Duration::from_secs(duration.as_secs().max(1).unsigned_abs()))
}

impl Schedule {
    /// Reads `text`; `zone` is `spec.timeZone`, UTC if absent.
    pub(super) fn parse(text: &str, zone: Option<&str>) -> Result<Self, Error> {
        let mut text = text.trim();
        let mut zone_name = zone;
        for prefix in ["TZ=", "CRON_TZ="] {
            if let Some(rest) = text.strip_prefix(prefix) {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                zone_name = zone_name.or(Some(name));
                text = rest.trim();
            }
        }
        let zone = match zone_name {
            None | Some("") => TimeZone::UTC,
            Some(name) => {
                TimeZone::get(name).map_err(|error| Error(format!("provided bad location {name}: {error}")))?
            }
        };
        if let Some(duration) = text.strip_prefix("@every ") {
            return Ok(Self { kind: Kind::Every(every(duration)?), zone });
        }
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other if other.starts_with('@') => return failed(format!("unrecognized descriptor: {other}")),
            other => other,
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return failed(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
        };
        let kind = Kind::Fields {
            minute: field(minute, 0, 59, &[])?,
            hour: field(hour, 0, 23, &[])?,
            day: field(day, 1, 31, &[])?,
            month: field(month, 1, 12, &MONTHS)?,
            weekday: field(weekday, 0, 6, &DAYS)?,
        };
        Ok(Self { kind, zone })
    }

    /// The time zone it is read in.
    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first time after `after`; `None` if there is none in the coming years.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let fields = match &self.kind {
            Kind::Every(period) => {
                let second = Timestamp::from_second(after.as_second()).ok()?;
                return second.checked_add(*period).ok();
            }
            Kind::Fields { .. } => &self.kind,
        };
        let local = self.zone.to_datetime(after);
        let mut date = local.date();
        let last = date.checked_add(YEARS.years()).ok()?;
        while date <= last {
            if fields.fits_date(date)
                && let Some(found) =
                    fields.times(date).find_map(|time| self.instant(time).filter(|instant| *instant > after))
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The instant of a local time, unless clocks skip it.
    fn instant(&self, time: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => None,
            _ => ambiguous.compatible().ok(),
        }
    }
}

impl Kind {
    fn fits_date(&self, date: Date) -> bool {
        let Self::Fields { day, month, weekday, .. } = self else { return false };
        let by_day = day.has(date.day());
        let by_weekday = weekday.has(weekday_number(date.weekday()));
        let fits = if day.star || weekday.star { by_day && by_weekday } else { by_day || by_weekday };
        month.has(date.month()) && fits
    }

    fn times(&self, date: Date) -> impl Iterator<Item = DateTime> {
        let (minute, hour) = match self {
            Self::Fields { minute, hour, .. } => (*minute, *hour),
            Self::Every(_) => (Field { bits: 0, star: false }, Field { bits: 0, star: false }),
        };
        let minutes = move || (0..60).filter(move |at| minute.has(*at));
        (0..24)
            .filter(move |at| hour.has(*at))
            .flat_map(move |hour| minutes().map(move |minute| date.at(hour, minute, 0, 0)))
    }
}

fn weekday_number(weekday: Weekday) -> i8 {
    weekday.to_sunday_zero_offset()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, zone: Option<&str>, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(schedule, zone).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        let mut all = Vec::new();
        for _ in 0..count {
            at = schedule.next(at).unwrap();
            all.push(at.to_string());
        }
        all
    }

    #[test]
    fn fields_have_ranges_steps_lists_and_names() {
        assert_eq!(
            next("*/20 * * * *", None, "2026-01-01T10:05:30Z", 3),
            ["2026-01-01T10:20:00Z", "2026-01-01T10:40:00Z", "2026-01-01T11:00:00Z"]
        );
        assert_eq!(
            next("30 9-10 * * MON", None, "2026-01-01T00:00:00Z", 2),
            ["2026-01-05T09:30:00Z", "2026-01-05T10:30:00Z"]
        );
        assert_eq!(next("0 0 31 jan,mar *", None, "2026-01-31T00:00:00Z", 1), ["2026-03-31T00:00:00Z"]);
        assert_eq!(next("@monthly", None, "2026-01-15T00:00:00Z", 1), ["2026-02-01T00:00:00Z"]);
        assert_eq!(next("@every 1h30m", None, "2026-01-01T10:00:00.5Z", 1), ["2026-01-01T11:30:00Z"]);
    }

    #[test]
    fn restricted_days_of_month_and_week_are_alternatives() {
        assert_eq!(
            next("0 0 13 * FRI", None, "2026-01-01T12:00:00Z", 3),
            ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]
        );
    }

    #[test]
    fn a_time_zone_moves_the_times_and_skips_missing_ones() {
        assert_eq!(next("0 9 * * *", Some("Europe/Berlin"), "2026-01-01T00:00:00Z", 1), ["2026-01-01T08:00:00Z"]);
        assert_eq!(next("CRON_TZ=Europe/Berlin 30 2 * * *", None, "2026-03-28T12:00:00Z", 1), ["2026-03-30T00:30:00Z"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "@often", "a * * * *", "* * * * 7"]
        {
            assert!(Schedule::parse(text, None).is_err(), "{text}");
        }
        assert!(Schedule::parse("* * * * *", Some("Mars/Olympus")).is_err());
        assert!(Schedule::parse("0 0 30 2 *", None).unwrap().next("2026-01-01T00:00:00Z".parse().unwrap()).is_none());
    }
}
