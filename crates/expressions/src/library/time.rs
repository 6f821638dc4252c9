//! Parts of timestamps and durations. Upstream: cel-go common/stdlib, cel/library.go (UTC by default).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("timestamp_to_year", "(timestamp).getFullYear() -> int", year),
    ("timestamp_to_year_with_tz", "(timestamp).getFullYear(string) -> int", year),
    ("timestamp_to_month", "(timestamp).getMonth() -> int", month),
    ("timestamp_to_month_with_tz", "(timestamp).getMonth(string) -> int", month),
    ("timestamp_to_day_of_year", "(timestamp).getDayOfYear() -> int", day_of_year),
    ("timestamp_to_day_of_year_with_tz", "(timestamp).getDayOfYear(string) -> int", day_of_year),
    ("timestamp_to_day_of_month", "(timestamp).getDayOfMonth() -> int", day_of_month),
    ("timestamp_to_day_of_month_with_tz", "(timestamp).getDayOfMonth(string) -> int", day_of_month),
    ("timestamp_to_day_of_month_1_based", "(timestamp).getDate() -> int", date),
    ("timestamp_to_day_of_month_1_based_with_tz", "(timestamp).getDate(string) -> int", date),
    ("timestamp_to_day_of_week", "(timestamp).getDayOfWeek() -> int", day_of_week),
    ("timestamp_to_day_of_week_with_tz", "(timestamp).getDayOfWeek(string) -> int", day_of_week),
    ("timestamp_to_hours", "(timestamp).getHours() -> int", hours),
    ("timestamp_to_hours_with_tz", "(timestamp).getHours(string) -> int", hours),
    ("duration_to_hours", "(duration).getHours() -> int", |args| whole(args, 3_600_000_000_000)),
    ("timestamp_to_minutes", "(timestamp).getMinutes() -> int", minutes),
    ("timestamp_to_minutes_with_tz", "(timestamp).getMinutes(string) -> int", minutes),
    ("duration_to_minutes", "(duration).getMinutes() -> int", |args| whole(args, 60_000_000_000)),
    ("timestamp_to_seconds", "(timestamp).getSeconds() -> int", seconds),
    ("timestamp_to_seconds_tz", "(timestamp).getSeconds(string) -> int", seconds),
    ("duration_to_seconds", "(duration).getSeconds() -> int", |args| whole(args, 1_000_000_000)),
    ("timestamp_to_milliseconds", "(timestamp).getMilliseconds() -> int", milliseconds),
    ("timestamp_to_milliseconds_with_tz", "(timestamp).getMilliseconds(string) -> int", milliseconds),
    ("duration_to_milliseconds", "(duration).getMilliseconds() -> int", |args| whole(args, 1_000_000)),
];

/// A part of a timestamp, in the zone of the second argument or in UTC.
fn part<'a>(args: &[Value<'a>], read: fn(DateTime) -> i64) -> Outcome<'a> {
    let time = match args {
        [Value::Timestamp(time)] => at(time.at, TimeZone::UTC),
        [Value::Timestamp(time), Value::String(zone)] => at(time.at, zone_of(zone)?),
        _ => return no_overload(),
    };
    Ok(Value::Int(read(time)))
}

fn at(time: Timestamp, zone: TimeZone) -> DateTime {
    time.to_zoned(zone).datetime()
}

/// `+02:30`, `-08:00` or a name of the time zone database.
fn zone_of(text: &str) -> Result<TimeZone, Failure> {
    let Some((hours, minutes)) = text.split_once(':') else {
        if text == "UTC" {
            return Ok(TimeZone::UTC);
        }
        return TimeZone::get(text).map_err(|_| Failure::message(format!("unknown time zone {text}")));
    };
    let negative = hours.starts_with('-');
    let number = |text: &str| text.parse::<i32>().map_err(|why| Failure::message(why.to_string()));
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = hours * 3600 + if negative { -minutes } else { minutes } * 60;
    Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|why| Failure::message(why.to_string()))
}

fn year<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| time.year().into())
}

fn month<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| i64::from(time.month()) - 1)
}

fn day_of_year<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| i64::from(time.day_of_year()) - 1)
}

fn day_of_month<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| i64::from(time.day()) - 1)
}

fn date<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| time.day().into())
}

fn day_of_week<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| time.weekday().to_sunday_zero_offset().into())
}

fn hours<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| time.hour().into())
}

fn minutes<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| time.minute().into())
}

fn seconds<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| time.second().into())
}

fn milliseconds<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    part(args, |time| i64::from(time.subsec_nanosecond()) / 1_000_000)
}

/// How many whole units a duration has.
fn whole<'a>(args: &[Value<'a>], unit: i64) -> Outcome<'a> {
    let [Value::Duration(nanoseconds)] = args else { return no_overload() };
    Ok(Value::Int(nanoseconds / unit))
}
