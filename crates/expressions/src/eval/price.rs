//! What a call costs when it is evaluated, by its arguments and result.
//!
//! Upstream: cel-go interpreter.CostTracker, ext/costs.go; k8s.io/apiserver/pkg/cel/library.CostEstimator.CallCost.

use crate::check::{compares_by_size, is_nominal};
use crate::value::{List, Map, Value};

pub(crate) const LIST: u64 = 10;
pub(crate) const MAP: u64 = 30;
pub(crate) const MESSAGE: u64 = 40;
/// Two checks fit into one expression.
pub(crate) const AUTHORIZATION_CHECK: u64 = 350_000;
pub(crate) const STRING_FACTOR: f64 = 0.1;
pub(crate) const REGEX_FACTOR: f64 = 0.25;
/// Length assumed of a format's pattern.
pub(crate) const NAME_FORMAT_REGEX: u64 = 128;
/// A selector has a requirement in two characters at most, and each is a list and a struct.
pub(crate) const REQUIREMENTS_PER_CHARACTER: f64 = 0.5;
pub(crate) const REQUIREMENT: f64 = (LIST + MESSAGE) as f64;

/// How the cost of a call is found, decided once for each call of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Price {
    Fixed(u64),
    /// Characters of an argument, times a factor.
    Scan(usize, f64),
    /// Characters of the result, times a factor.
    Result(f64),
    /// Two arguments scanned together.
    Concatenation,
    /// The shorter of two arguments.
    Comparison,
    /// All texts in the first argument, one for anything else.
    Traversal,
    Contains,
    /// A pattern over a text, by the arguments' indexes.
    Regex(usize, usize),
    Validate,
    Selector,
    /// In the network of the first argument: a network or an address, maybe as text.
    Network {
        network: bool,
        text: bool,
    },
    /// As many steps as the argument has elements.
    Elements(usize),
    /// A new list as large as the result.
    NewList,
    Flatten,
    /// Each element of an argument against each other.
    SelfComparison(usize),
    /// Each element of one list against each of the other, so many times.
    Sets(f64),
}

impl Price {
    /// The price of a function where one overload, or none alone, is known to be meant.
    pub(crate) fn of(function: &str, overload: Option<&str>) -> Price {
        by_overload(overload.unwrap_or_default())
            .or_else(|| by_function(function, overload.unwrap_or_default()))
            .unwrap_or(Price::Fixed(1))
    }

    /// What this call costs.
    pub(crate) fn cost(self, args: &[Value<'_>], result: Option<&Value<'_>>) -> u64 {
        let size = |index: usize| args.get(index).map_or(1, Value::size);
        match self {
            Price::Fixed(cost) => cost,
            Price::Scan(index, factor) => scaled(size(index), factor),
            Price::Result(factor) => scaled(result.map_or(1, Value::size), factor),
            Price::Concatenation => scaled(size(0) + size(1), STRING_FACTOR),
            Price::Comparison => scaled(size(0).min(size(1)), STRING_FACTOR),
            Price::Traversal => args.first().map_or(0, traversal),
            Price::Contains => scaled(size(0), STRING_FACTOR) * scaled(size(1), STRING_FACTOR),
            Price::Regex(text, pattern) => regex(size(text), size(pattern)),
            Price::Validate => {
                let pattern = match args.first() {
                    Some(Value::Format(format)) => format.max_regex_size,
                    _ => NAME_FORMAT_REGEX,
                };
                regex(size(1), pattern)
            }
            Price::Selector => {
                let length = size(1);
                let requirements = scaled(scaled(length, REQUIREMENTS_PER_CHARACTER), REQUIREMENT);
                LIST + scaled(length, STRING_FACTOR) + requirements
            }
            Price::Network { network, text } => {
                let mut cost = scaled(size(0) + size(0), STRING_FACTOR);
                if network {
                    cost += scaled(size(0), STRING_FACTOR) + 1;
                }
                if text {
                    cost += scaled(size(1), STRING_FACTOR);
                }
                cost
            }
            Price::Elements(index) => size(index),
            Price::NewList => result.map_or(1, Value::size) + 1 + LIST,
            Price::Flatten => {
                let depth = match args.get(1) {
                    Some(Value::Int(depth)) => u64::try_from(*depth).unwrap_or(1),
                    _ => 1,
                };
                size(0).saturating_mul(depth).saturating_add(1 + LIST)
            }
            Price::SelfComparison(index) => {
                let texts = match args.get(index) {
                    Some(Value::List(list)) => {
                        matches!(list.get(0), Some(Ok(Value::String(_) | Value::Bytes(_))))
                    }
                    _ => false,
                };
                let factor = if texts { 2.0 + STRING_FACTOR } else { 2.0 };
                let pairs = size(index).saturating_mul(size(index));
                ((pairs as f64 * factor) as u64).saturating_add(1 + LIST)
            }
            Price::Sets(factor) => ((size(0) * size(1)) as f64 * factor) as u64 + 1,
        }
    }
}

fn by_overload(overload: &str) -> Option<Price> {
    Some(match overload {
        "list_slice" | "lists_range" | "list_reverse" => Price::NewList,
        "list_flatten" | "list_flatten_int" => Price::Flatten,
        "list_distinct" => Price::SelfComparison(0),
        "list_sets_contains_list" | "list_sets_intersects_list" => Price::Sets(1.0),
        "list_sets_equivalent_list" => Price::Sets(2.0),
        _ if overload.ends_with("_sort") => Price::SelfComparison(0),
        _ if overload.ends_with("_sortByAssociatedKeys") => Price::SelfComparison(1),
        _ => return None,
    })
}

fn by_function(function: &str, overload: &str) -> Option<Price> {
    Some(match function {
        "check" => Price::Fixed(AUTHORIZATION_CHECK),
        "fieldSelector" | "labelSelector" => Price::Selector,
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" | "includes" => Price::Traversal,
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "jsonpatch.escapeKey" => {
            Price::Scan(0, STRING_FACTOR)
        }
        "replace" | "split" | "ip.isCanonical" => Price::Scan(0, 2.0 * STRING_FACTOR),
        "join" => Price::Result(2.0 * STRING_FACTOR),
        "find" | "findAll" => Price::Regex(0, 1),
        "ip" if overload == "cidr_ip" => Price::Fixed(1),
        "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
            Price::Scan(0, STRING_FACTOR)
        }
        "containsIP" => Price::Network { network: false, text: overload == "cidr_contains_ip_string" },
        "containsCIDR" => Price::Network { network: true, text: overload == "cidr_contains_cidr_string" },
        "validate" => Price::Validate,
        name if is_nominal(name) => Price::Fixed(1),
        _ => return standard(overload),
    })
}

fn standard(overload: &str) -> Option<Price> {
    Some(match overload {
        "starts_with_string" | "ends_with_string" => Price::Scan(1, STRING_FACTOR),
        "string_to_bytes" | "bytes_to_string" | "strings_quote" | "string_format" => Price::Scan(0, STRING_FACTOR),
        "in_list" => Price::Elements(1),
        "add_string" | "add_bytes" => Price::Concatenation,
        "matches" | "matches_string" => Price::Regex(0, 1),
        "contains_string" => Price::Contains,
        _ if compares_by_size(overload) => Price::Comparison,
        _ => return None,
    })
}

/// A pattern over a text, by their lengths.
pub(super) fn regex(text: u64, pattern: u64) -> u64 {
    scaled(text + 1, STRING_FACTOR) * scaled(pattern, REGEX_FACTOR)
}

/// Times a factor, rounded up.
fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

/// Upstream: library.traversalCost.
fn traversal(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => (text.len() as f64 * STRING_FACTOR) as u64,
        Value::Bytes(bytes) => (bytes.len() as f64 * STRING_FACTOR) as u64,
        Value::List(List::Items(items)) => items.iter().map(traversal).sum(),
        Value::List(list) => list.iter().filter_map(Result::ok).map(|item| traversal(&item)).sum(),
        Value::Map(Map::Items(entries)) => entries.values().map(|(key, value)| traversal(key) + traversal(value)).sum(),
        Value::Map(map) => map
            .keys()
            .iter()
            .map(|key| traversal(key) + map.get(key).and_then(Result::ok).map_or(0, |value| traversal(&value)))
            .sum(),
        _ => 1,
    }
}
