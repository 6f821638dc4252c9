//! Reading a quantity: sign, digits, fraction, suffix; and whether the text is kept.

use super::{Error, Format, NANO, Quantity, round_away};

/// Digits a signed 64-bit number always holds: what upstream's fast path, which decides about keeping the text, takes.
const FAST_DIGITS: i32 = 18;

/// Largest number in binary format; more is capped.
const MAX_BINARY: i128 = i64::MAX as i128;

const DECIMAL: &[(&str, i32)] =
    &[("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: &[(&str, u32)] = &[("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// What a suffix means.
#[derive(Clone, Copy)]
enum Unit {
    Decimal(i32, Format),
    /// A power of two.
    Binary(u32),
}

struct Parts<'a> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    suffix: &'a str,
}

pub(super) fn decimal_suffix(exponent: i32) -> &'static str {
    DECIMAL.iter().find(|(_, power)| *power == exponent).map_or("", |(suffix, _)| suffix)
}

pub(super) fn parse(text: &str) -> Result<Quantity, Error> {
    let parts = split(text)?;
    let unit = unit(parts.suffix)?;
    let digits = i32::try_from(parts.whole.len().max(1) + parts.fraction.len()).map_err(|_| Error::Numeric)?;
    if let Some(quantity) = parse_fast(text, &parts, unit, digits) {
        return Ok(quantity);
    }
    // No digit at all reads as zero on the short path only, as upstream.
    if !text[..text.len() - parts.suffix.len()].bytes().any(|b| b.is_ascii_digit()) {
        return Err(Error::Numeric);
    }
    let (mantissa, mut exponent) = number(&parts, unit)?;
    let (mut mantissa, mut format) = match unit {
        Unit::Decimal(power, format) => {
            exponent = exponent.checked_add(power).ok_or(Error::Numeric)?;
            (mantissa, format)
        }
        // Digits beyond what can be multiplied are beyond the cap if they are whole.
        Unit::Binary(power) => match mantissa.checked_mul(1i128 << power) {
            Some(mantissa) => (mantissa, Format::BinarySI),
            None if exponent == 0 => (i128::MAX, Format::BinarySI),
            None => return Err(Error::Numeric),
        },
    };
    if exponent < NANO {
        mantissa = round_away(mantissa, NANO - exponent).0;
        exponent = NANO;
    }
    let quantity = Quantity { mantissa, exponent, format, text: None };
    if format == Format::BinarySI {
        if quantity > Quantity::new(i64::MAX, format) {
            (mantissa, exponent) = (MAX_BINARY, 0);
        }
        if mantissa > 0 && quantity < Quantity::new(1, format) {
            format = Format::DecimalSI;
        }
    }
    let mantissa = if parts.negative { -mantissa } else { mantissa };
    Ok(Quantity { mantissa, exponent, format, text: None })
}

/// Short numbers; here the text may be kept.
fn parse_fast(text: &str, parts: &Parts<'_>, unit: Unit, digits: i32) -> Option<Quantity> {
    let fraction = i32::try_from(parts.fraction.len()).ok()?;
    let (precision, power, factor, format) = match unit {
        Unit::Decimal(power, format) => (FAST_DIGITS - digits, power, 1, format),
        Unit::Binary(power) if fraction == 0 => {
            let lost = i32::try_from(power * 3 / 10).ok()?;
            let whole = i32::try_from(parts.whole.len().max(1)).ok()?;
            (15 - whole - lost - 1, 0, 1i64 << power, Format::BinarySI)
        }
        Unit::Binary(_) => return None,
    };
    let exponent = power.checked_sub(fraction)?;
    if precision < 0 || exponent < NANO {
        return None;
    }
    let whole = if parts.whole.is_empty() { "0" } else { parts.whole };
    let shifted = format!("{whole}{}", parts.fraction);
    let value: i64 = shifted.parse().ok()?;
    let mantissa = value.checked_mul(factor)?;
    let keep = if format == Format::BinarySI {
        value & 7 != 0
    } else {
        exponent % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0')
    };
    let mantissa = i128::from(if parts.negative { -mantissa } else { mantissa });
    Some(Quantity { mantissa, exponent, format, text: (keep || text == "0").then(|| text.into()) })
}

/// All digits as one number and its power of ten. A decimal's digits below a nano are rounded away here, so that only the
/// digits that count are held.
fn number(parts: &Parts<'_>, unit: Unit) -> Result<(i128, i32), Error> {
    let mut fraction = parts.fraction;
    let mut rounded_up = 0;
    if let Unit::Decimal(power, _) = unit {
        let kept = usize::try_from(power.saturating_sub(NANO)).unwrap_or_default();
        if fraction.len() > kept && power >= NANO {
            rounded_up = i128::from(fraction.as_bytes()[kept..].iter().any(|digit| *digit != b'0'));
            fraction = &fraction[..kept];
        }
    }
    fraction = if rounded_up == 0 { fraction.trim_end_matches('0') } else { fraction };
    let mut mantissa: i128 = 0;
    for digit in parts.whole.bytes().chain(fraction.bytes()) {
        let next = mantissa.checked_mul(10).and_then(|m| m.checked_add(i128::from(digit - b'0')));
        mantissa = match (next, unit) {
            (Some(next), _) => next,
            // A whole binary number this long is capped in any case.
            (None, Unit::Binary(_)) if fraction.is_empty() => return Ok((i128::MAX >> 60, 0)),
            (None, _) => return trailing_zeros(parts, fraction),
        };
    }
    let exponent = i32::try_from(fraction.len()).map_err(|_| Error::Numeric)?;
    Ok((mantissa + rounded_up, -exponent))
}

/// A long whole number that ends in zeros.
fn trailing_zeros(parts: &Parts<'_>, fraction: &str) -> Result<(i128, i32), Error> {
    let digits = parts.whole.trim_end_matches('0');
    let zeros = i32::try_from(parts.whole.len() - digits.len()).map_err(|_| Error::Numeric)?;
    if !fraction.is_empty() || digits.len() > 38 {
        return Err(Error::Numeric);
    }
    Ok((digits.parse().map_err(|_| Error::Numeric)?, zeros))
}

fn split(text: &str) -> Result<Parts<'_>, Error> {
    if text.is_empty() {
        return Err(Error::FormatWrong);
    }
    let negative = text.starts_with('-');
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text).trim_start_matches('0');
    let (whole, rest) = digits(rest);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    let after = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let after = after.strip_prefix(['-', '+']).unwrap_or(after);
    if !after.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::FormatWrong);
    }
    Ok(Parts { negative, whole, fraction, suffix })
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(suffix: &str) -> Result<Unit, Error> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok(Unit::Decimal(*power, Format::DecimalSI));
    }
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok(Unit::Binary(*power));
    }
    let power: i64 = suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse().ok()).ok_or(Error::Suffix)?;
    // Upstream keeps the low 32 bits.
    Ok(Unit::Decimal(power as i32, Format::DecimalExponent))
}
