//! Bounds and formats of numbers. Upstream: `validate.numberValidator`, `IsValueValidAgainstRange`.

use json::Number;

use super::{Finding, Outcome};
use crate::go_text;
use crate::structural::{Checks, Format, Kind, Node};

/// A JSON number as Go holds it.
#[derive(Clone, Copy)]
enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    fn of(number: &Number) -> Num {
        number.as_i64().map_or_else(|| Num::Float(number.as_f64().unwrap_or_default()), Num::Int)
    }

    fn float(self) -> f64 {
        match self {
            Num::Int(value) => value as f64,
            Num::Float(value) => value,
        }
    }
}

/// Is a float an integer, as far as floats can tell? Upstream: swag.IsFloat64AJSONInteger.
pub(super) fn is_whole(value: f64) -> bool {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    if !value.is_finite() || value.abs() > LARGEST {
        return false;
    }
    let difference = (value - value.trunc()).abs();
    difference == 0.0 || difference / (2.0 * value.abs()) < 1e-9
}

/// Is a number one of an enumeration? It is brought to the type of the listed one first.
pub(super) fn equal(value: &Number, listed: &Number) -> bool {
    match (Num::of(value), Num::of(listed)) {
        (Num::Int(value), Num::Int(listed)) => value == listed,
        (Num::Float(value), Num::Int(listed)) => value as i64 == listed,
        (value, Num::Float(listed)) => value.float() == listed,
    }
}

pub(super) fn check(node: &Node, number: &Number, path: &str) -> Outcome {
    let mut outcome = Outcome { matched: 1, ..Outcome::default() };
    let value = Num::of(number);
    let range = Range::of(node);
    outcome.add_all(range.fault(value, "Checked", path));
    let Some(checks) = node.checks.as_deref() else { return outcome };
    if let Some(factor) = checks.multiple_of {
        let fault = range.fault(Num::Float(factor), "MultipleOf", path);
        let native = fault.is_none();
        outcome.add_all(fault);
        outcome.add_all(multiple(value, factor, native, number, path));
    }
    let bound = |limit: f64, exclusive: bool, upper: bool, outcome: &mut Outcome| {
        let prefix = if upper { "Maximum boundary" } else { "Minimum boundary" };
        let fault = range.fault(Num::Float(limit), prefix, path);
        let native = fault.is_none();
        outcome.add_all(fault);
        // Integers are compared as such, with what is whole of the bound.
        let (breaks, shown) = match value {
            Num::Int(value) if native => {
                let limit = limit as i64;
                (breaks(value.cmp(&limit), exclusive, upper), limit.to_string())
            }
            value => {
                let order = value.float().partial_cmp(&limit).unwrap_or(std::cmp::Ordering::Equal);
                (breaks(order, exclusive, upper), go_text::float(limit))
            }
        };
        if breaks {
            let words = match (upper, exclusive) {
                (true, false) => "less than or equal to",
                (true, true) => "less than",
                (false, false) => "greater than or equal to",
                (false, true) => "greater than",
            };
            let message = format!("{path} in body should be {words} {shown}");
            outcome.add(Finding::invalid(path, number.clone(), message));
        }
    };
    // Upstream tells of minima first.
    let Checks { minimum, exclusive_minimum, maximum, exclusive_maximum, .. } = *checks;
    minimum.into_iter().for_each(|limit| bound(limit, exclusive_minimum, false, &mut outcome));
    maximum.into_iter().for_each(|limit| bound(limit, exclusive_maximum, true, &mut outcome));
    outcome
}

fn breaks(order: std::cmp::Ordering, exclusive: bool, upper: bool) -> bool {
    let order = if upper { order } else { order.reverse() };
    order.is_gt() || (exclusive && order.is_eq())
}

fn multiple(value: Num, factor: f64, native: bool, number: &Number, path: &str) -> Option<Finding> {
    let (is, factor) = match value {
        Num::Int(value) if native => {
            let factor = factor as i64;
            ((factor > 0).then(|| value % factor == 0), factor.to_string())
        }
        value => {
            let value = value.float();
            let times = if factor < 1.0 { 1.0 / factor * value } else { value / factor };
            ((factor > 0.0).then(|| is_whole(times)), go_text::float(factor))
        }
    };
    match is {
        Some(true) => None,
        Some(false) => {
            let message = format!("{path} in body should be a multiple of {factor}");
            Some(Finding::invalid(path, number.clone(), message))
        }
        None => {
            let message = format!("factor MultipleOf declared for {path} must be positive: {factor}");
            Some(Finding::invalid(path, factor, message))
        }
    }
}

/// What numbers of a type and format can be.
struct Range {
    kind: Option<Kind>,
    format: Option<Format>,
}

impl Range {
    fn of(node: &Node) -> Range {
        let kind = node.kind.filter(|kind| matches!(kind, Kind::Integer | Kind::Number) && !node.int_or_string);
        let format = node.checks.as_deref().and_then(|checks| checks.format).filter(|format| !format.is_of_strings());
        Range { kind, format: format.filter(|_| kind.is_some()) }
    }

    fn fault(&self, value: Num, prefix: &str, path: &str) -> Option<Finding> {
        let fits = match (self.kind, self.format) {
            (Some(Kind::Integer), format) => {
                let whole = match value {
                    Num::Int(value) => Some(value),
                    // Nothing but digits when it is written out.
                    Num::Float(value) => value.to_string().parse().ok(),
                };
                let small = |value: i64| format != Some(Format::Int32) || i32::try_from(value).is_ok();
                whole.is_some_and(small)
            }
            (_, Some(Format::Float)) => value.float().abs() <= f64::from(f32::MAX),
            _ => true,
        };
        if fits {
            return None;
        }
        let kind = self.kind.map_or("", Kind::name);
        Some(Finding::composite(match self.format {
            Some(format) => {
                format!("{prefix} value must be of type {kind} with format {} in {path}", format.name())
            }
            None => format!("{prefix} value must be of type {kind} (default format) in {path}"),
        }))
    }
}
