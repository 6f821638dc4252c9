//! Durations as Go writes them in flags and configuration files: `1m30s`, `500ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration in Go's notation. Upstream: `time.ParseDuration`, without negative ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

/// The text is no duration.
#[derive(Debug, thiserror::Error)]
#[error("a duration such as 30s or 1m30s is expected")]
pub struct Error;

impl FromStr for GoDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        if rest == "0" {
            return Ok(Self(total));
        }
        if rest.is_empty() {
            return Err(Error);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(Error)?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let seconds = match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(Error),
            };
            let number: f64 = number.parse().map_err(|_| Error)?;
            let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| Error)?;
            total = total.checked_add(part).ok_or(Error)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for GoDuration {
    /// As Go's `time.Duration.String` does from a microsecond on: `1m30s`, `500ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0;
        if total.is_zero() {
            return f.write_str("0s");
        }
        if total < Duration::from_secs(1) {
            return write!(f, "{}ms", total.as_secs_f64() * 1e3);
        }
        let (hours, minutes) = (total.as_secs() / 3600, total.as_secs() / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let seconds = (total - Duration::from_secs(total.as_secs() / 60 * 60)).as_secs_f64();
        write!(f, "{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_go_writes_them() {
        for text in ["1h0m0s", "1m30s", "2m0s", "30s", "1.5s", "500ms", "0s"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn units_add_up_and_nonsense_is_refused() {
        let read = |text: &str| text.parse::<GoDuration>().ok().map(|duration| duration.0);
        assert_eq!(read("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(read("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        for nonsense in ["", "5", "s", "1 s", "-1s", "1d", "1..2s", "99999999999999999999h"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
