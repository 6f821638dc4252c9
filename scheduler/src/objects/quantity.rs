//! Quantities as integers, rounded up as the scheduler counts them.

use serde::{Deserialize, Deserializer};

/// A quantity in thousandths of its unit, rounded up; enough for every count the scheduler makes.
/// Upstream: `resource.Quantity`, of which only `Value` and `MilliValue` are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount {
    milli: i128,
}

impl Amount {
    /// Whole units, rounded up. Upstream: `Quantity.Value`.
    pub(crate) fn value(self) -> i64 {
        saturate(-(-self.milli).div_euclid(1000))
    }

    /// Thousandths. Upstream: `Quantity.MilliValue`.
    pub(crate) fn milli_value(self) -> i64 {
        saturate(self.milli)
    }

    /// Reads a quantity; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let (factor, divisor) = scale(suffix)?;
        // Digits past the 18th of a fraction cannot change a rounded-up thousandth by more than one.
        let fraction = &fraction[..fraction.len().min(18)];
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let denominator = 10_i128.pow(u32::try_from(fraction.len()).ok()?).saturating_mul(divisor);
        let numerator = mantissa.saturating_mul(factor).saturating_mul(1000);
        let numerator = if negative { -numerator } else { numerator };
        Some(Self { milli: -(-numerator).div_euclid(denominator) })
    }
}

/// The factor and divisor of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1024_i128.pow(power), 1));
    let decimal = |power: u32| Some((1000_i128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        other => {
            let exponent: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            Some(if exponent < 0 { (1, power) } else { (power, 1) })
        }
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

impl<'de> Deserialize<'de> for Amount {
    /// Takes text or a number; what is no quantity counts as nothing, so that one bad object never stops a watch.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self::parse(&text).unwrap_or_default())
    }
}
