//! `intstr.IntOrString`: a number or a percentage of some total.
//!
//! Upstream: k8s.io/apimachinery/pkg/util/intstr.

use crate::go_text::quote;
use json::Value;

/// Why a value is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is absent.
    #[error("nil value for IntOrString")]
    Absent,
    /// A text without a percent sign.
    #[error("invalid value for IntOrString: invalid type: string is not a percentage")]
    NotPercentage,
    /// The text before the percent sign is no number.
    #[error(
        "invalid value for IntOrString: invalid value {}: strconv.Atoi: parsing {}: invalid syntax",
        quote(.0),
        quote(.0.trim_end_matches('%'))
    )]
    NotNumber(String),
    /// Another type.
    #[error("invalid value for IntOrString: invalid type: neither int nor percentage")]
    WrongType,
}

/// The number, or the percentage of `total`, rounded up or down.
///
/// Upstream: intstr.GetScaledValueFromIntOrPercent.
pub fn scaled(value: Option<&Value>, total: i64, round_up: bool) -> Result<i64, Error> {
    match value {
        None | Some(Value::Null) => Err(Error::Absent),
        Some(Value::Number(number)) => number.as_i64().ok_or(Error::WrongType),
        Some(Value::String(text)) => {
            let percent = percent(text)?;
            let part = i128::from(percent) * i128::from(total);
            let rounded = if round_up {
                part.div_euclid(100) + i128::from(part.rem_euclid(100) != 0)
            } else {
                part.div_euclid(100)
            };
            Ok(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
        }
        Some(_) => Err(Error::WrongType),
    }
}

/// The number before the percent sign.
pub fn percent(text: &str) -> Result<i64, Error> {
    let digits = text.strip_suffix('%').ok_or(Error::NotPercentage)?;
    digits.parse().map_err(|_| Error::NotNumber(text.to_owned()))
}

/// The value as text prints it: the number or the text. Upstream: IntOrString.String.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
