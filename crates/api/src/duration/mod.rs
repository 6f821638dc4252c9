//! Durations: Go's text (`1h2m3.5s`, metav1.Duration) and the short one for people (`2d3h`).
//!
//! Upstream: time.ParseDuration, time.Duration.String, k8s.io/apimachinery/pkg/util/duration.

use crate::go_text::quote;

/// Nanoseconds, as Go's time.Duration.
pub type Nanoseconds = i64;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has another shape, or is too long.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit is unknown.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;

/// Reads Go's text. Upstream: time.ParseDuration.
pub fn parse(text: &str) -> Result<Nanoseconds, Error> {
    let invalid = || Error::Invalid(text.to_owned());
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.bytes().position(|b| !b.is_ascii_digit() && b != b'.').unwrap_or(rest.len());
        let (mut digits, mut after) = rest.split_at(number);
        // A second point ends the number where a unit is due.
        if let Some(second) = digits.match_indices('.').nth(1).map(|(at, _)| at) {
            (digits, after) = rest.split_at(second);
        }
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.bytes().position(|b| b.is_ascii_digit() || b == b'.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        if unit.is_empty() {
            return Err(Error::MissingUnit(text.to_owned()));
        }
        let length = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            unknown => return Err(Error::UnknownUnit { unit: unknown.to_owned(), text: text.to_owned() }),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // Eighteen digits are finer than a nanosecond of an hour.
        let fraction = &fraction[..fraction.len().min(18)];
        let power = 10i128.pow(u32::try_from(fraction.len()).unwrap_or_default());
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
        let amount = whole.checked_mul(length).ok_or_else(invalid)? + part * length / power;
        total = total.checked_add(amount).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// Go's text: `1h0m0s`, `1.5s`, `100ms`, `0s`. Upstream: time.Duration.String.
pub fn format(duration: Nanoseconds) -> String {
    let sign = if duration < 0 { "-" } else { "" };
    let total = i128::from(duration).abs();
    let fraction = |amount: i128, unit: i128, name: &str| {
        let digits = unit.ilog10() as usize;
        let rest = if digits == 0 { String::new() } else { format!(".{:0digits$}", amount % unit) };
        let rest = rest.trim_end_matches('0').trim_end_matches('.');
        format!("{}{rest}{name}", amount / unit)
    };
    let text = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => fraction(total, 1_000, "µs"),
        1_000_000..SECOND => fraction(total, 1_000_000, "ms"),
        SECOND..MINUTE => fraction(total, SECOND, "s"),
        MINUTE..HOUR => format!("{}m{}", total / MINUTE, fraction(total % MINUTE, SECOND, "s")),
        _ => format!("{}h{}m{}", total / HOUR, total % HOUR / MINUTE, fraction(total % MINUTE, SECOND, "s")),
    };
    format!("{sign}{text}")
}

/// Two or three significant figures for people: `45s`, `3m20s`, `5h`, `2d3h`, `1y20d`.
///
/// Upstream: duration.HumanDuration.
pub fn human(duration: Nanoseconds) -> String {
    let seconds = i128::from(duration) / SECOND;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let pair = |large: i128, unit: &str, small: i128, part: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{part}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => pair(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if years < 8 => pair(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests;
