//! `resource.Quantity`: a decimal number with a suffix, exact, and its one canonical text.
//!
//! A [`Quantity`] is `mantissa * 10^exponent` with the format it was written in (`BinarySI`, `DecimalSI` or
//! `DecimalExponent`). Text that upstream takes for canonical is kept as written (`1.250k`, `+5`); anything else prints in
//! canonical form: no fraction, the largest suffix that keeps the number whole. Values smaller than a nano are rounded away
//! from zero to one. Comparison and equality are by value: `1` equals `1000m`.
//!
//! Upstream keeps numbers of any length; here 38 significant digits are kept, and longer ones are refused as not numeric.
//!
//! Upstream: k8s.io/apimachinery/pkg/api/resource.

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has another shape.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    FormatWrong,
    /// Its number cannot be read.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// Its suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// How a quantity is written. Upstream: resource.Format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi`, powers of 1024.
    BinarySI,
    /// `12M`, powers of 1000, and `n`, `u`, `m`.
    DecimalSI,
}

/// Power of ten of the smallest amount kept.
const NANO: i32 = -9;

/// A quantity. Upstream: resource.Quantity.
#[derive(Clone, Debug)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
    format: Format,
    /// The text it was read from, where that counts as canonical. Any change of the value forgets it.
    text: Option<Box<str>>,
}

impl Default for Quantity {
    fn default() -> Quantity {
        Quantity::new(0, Format::DecimalSI)
    }
}

impl Quantity {
    /// A whole number. Upstream: resource.NewQuantity.
    pub fn new(value: i64, format: Format) -> Quantity {
        Quantity::scaled(value, 0, format)
    }

    /// A number of thousandths. Upstream: resource.NewMilliQuantity.
    pub fn from_milli(value: i64, format: Format) -> Quantity {
        Quantity::scaled(value, -3, format)
    }

    /// `value * 10^exponent`. Upstream: resource.NewScaledQuantity.
    pub fn scaled(value: i64, exponent: i32, format: Format) -> Quantity {
        Quantity { mantissa: value.into(), exponent, format, text: None }
    }

    /// Reads a quantity. Upstream: resource.ParseQuantity.
    pub fn parse(text: &str) -> Result<Quantity, Error> {
        parse::parse(text)
    }

    /// The format it is written in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The value rounded away from zero to a whole number. Saturates. Upstream: Quantity.Value.
    pub fn value(&self) -> i64 {
        self.scaled_value(0)
    }

    /// The value in thousandths, rounded away from zero. Saturates. Upstream: Quantity.MilliValue.
    pub fn milli_value(&self) -> i64 {
        self.scaled_value(-3)
    }

    /// The value in units of `10^exponent`, rounded away from zero. Saturates. Upstream: Quantity.ScaledValue.
    pub fn scaled_value(&self, exponent: i32) -> i64 {
        let limit = if self.mantissa < 0 { i64::MIN } else { i64::MAX };
        rescale(self.mantissa, self.exponent, exponent)
            .and_then(|(value, _)| i64::try_from(value).ok())
            .unwrap_or(limit)
    }

    /// The value, if it is a whole number of 64 bits. Upstream: Quantity.AsInt64.
    pub fn as_i64(&self) -> Option<i64> {
        let (value, exact) = rescale(self.mantissa, self.exponent, 0)?;
        if exact { i64::try_from(value).ok() } else { None }
    }

    /// The value as a float, which may lose digits. Upstream: Quantity.AsApproximateFloat64.
    pub fn to_f64(&self) -> f64 {
        self.mantissa as f64 * 10f64.powi(self.exponent)
    }

    /// Whether the value is zero.
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        match self.mantissa.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// Adds; zero takes over the other's format. Upstream: Quantity.Add.
    pub fn add(&mut self, other: &Quantity) {
        self.combine(other.mantissa, other);
    }

    /// Subtracts; zero takes over the other's format. Upstream: Quantity.Sub.
    pub fn sub(&mut self, other: &Quantity) {
        self.combine(other.mantissa.saturating_neg(), other);
    }

    /// Multiplies. Upstream: Quantity.Mul.
    pub fn mul(&mut self, factor: i64) {
        self.text = None;
        self.mantissa = self.mantissa.saturating_mul(factor.into());
    }

    /// Changes the sign. Upstream: Quantity.Neg.
    pub fn neg(&mut self) {
        self.text = None;
        self.mantissa = self.mantissa.saturating_neg();
    }

    /// Rounds away from zero to a multiple of `10^exponent`; false if that changed the value. Upstream: Quantity.RoundUp.
    pub fn round_up(&mut self, exponent: i32) -> bool {
        if self.exponent >= exponent {
            return true;
        }
        let (mantissa, exact) = round_away(self.mantissa, exponent - self.exponent);
        *self = Quantity { mantissa, exponent, format: self.format, text: None };
        exact
    }

    /// The text of a quantity in canonical form.
    pub fn canonicalize(text: &str) -> Result<String, Error> {
        Quantity::parse(text).map(|quantity| quantity.to_string())
    }

    fn combine(&mut self, mantissa: i128, other: &Quantity) {
        self.text = None;
        if self.is_zero() {
            *self = Quantity { mantissa, exponent: other.exponent, format: other.format, text: None };
            return;
        }
        if mantissa == 0 {
            return;
        }
        let exponent = self.exponent.min(other.exponent);
        let raise =
            |value: i128, from: i32| rescale(value, from, exponent).map_or(saturated(value), |(value, _)| value);
        self.mantissa = raise(self.mantissa, self.exponent).saturating_add(raise(mantissa, other.exponent));
        self.exponent = exponent;
    }

    fn write_canonical(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        // Binary suffixes only where the number is whole and at least one of the smallest applies.
        if self.format == Format::BinarySI
            && let Some((mut number, true)) = rescale(self.mantissa, self.exponent, 0)
            && number.unsigned_abs() >= 1024
        {
            let mut power = 0;
            while number.unsigned_abs() >= 1024 && number % 1024 == 0 {
                number /= 1024;
                power += 1;
            }
            let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(power).unwrap_or(&"");
            return write!(f, "{number}{suffix}");
        }
        let (mut number, mut exponent) = (self.mantissa, self.exponent);
        while number % 10 == 0 {
            number /= 10;
            exponent += 1;
        }
        let zeros = exponent.rem_euclid(3);
        exponent -= zeros;
        write!(f, "{number}{}", &"00"[..usize::try_from(zeros).unwrap_or_default()])?;
        match (self.format, exponent) {
            (_, 0) => Ok(()),
            (Format::DecimalExponent, exponent) => write!(f, "e{exponent}"),
            // A power without a suffix is left out, as upstream does.
            (_, exponent) => f.write_str(parse::decimal_suffix(exponent)),
        }
    }
}

/// A value in units of `10^to` instead of `10^from`, rounded away from zero, and whether it stayed exact. None on overflow.
fn rescale(value: i128, from: i32, to: i32) -> Option<(i128, bool)> {
    if value == 0 || from == to {
        return Some((value, true));
    }
    if from < to {
        return Some(round_away(value, to.saturating_sub(from)));
    }
    let power = 10i128.checked_pow(u32::try_from(i64::from(from) - i64::from(to)).ok()?)?;
    Some((value.checked_mul(power)?, true))
}

/// Divides by `10^digits`, away from zero.
fn round_away(value: i128, digits: i32) -> (i128, bool) {
    let divisor = u32::try_from(digits).ok().and_then(|digits| 10i128.checked_pow(digits));
    let Some(divisor) = divisor else { return (value.signum(), value == 0) };
    let exact = value % divisor == 0;
    (value / divisor + if exact { 0 } else { value.signum() }, exact)
}

fn saturated(value: i128) -> i128 {
    if value < 0 { i128::MIN } else { i128::MAX }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        let left = rescale(self.mantissa, self.exponent, exponent);
        let right = rescale(other.mantissa, other.exponent, exponent);
        match (left, right) {
            (Some((left, _)), Some((right, _))) => left.cmp(&right),
            // Only the one with the larger exponent can overflow, and then it is the larger in magnitude.
            (None, _) => self.mantissa.cmp(&0),
            (_, None) => 0.cmp(&other.mantissa),
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => self.write_canonical(f),
        }
    }
}

impl FromStr for Quantity {
    type Err = Error;
    fn from_str(text: &str) -> Result<Quantity, Error> {
        Quantity::parse(text)
    }
}

#[cfg(test)]
mod tests;
