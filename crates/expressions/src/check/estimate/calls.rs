//! What calls cost, by their functions and overloads.
//!
//! Upstream: library.CostEstimator.EstimateCallCost, cel-go checker.functionCost, ext/costs.go.

use super::{CallEstimate, Estimator, FREE, ONE};
use crate::check::sizes::SizeEstimate;
use crate::eval::price::{
    AUTHORIZATION_CHECK, LIST, NAME_FORMAT_REGEX, REGEX_FACTOR, REQUIREMENT, REQUIREMENTS_PER_CHARACTER, STRING_FACTOR,
};
use crate::syntax::{Expr, Kind, Literal, operator};
use crate::types::Type;

/// A call whose cost is asked for.
pub(super) struct Call<'c> {
    pub(super) expr: &'c Expr,
    pub(super) function: &'c str,
    pub(super) overload: &'static str,
    pub(super) target: Option<&'c Expr>,
    pub(super) args: &'c [Expr],
    pub(super) costs: &'c [SizeEstimate],
}

impl Estimator<'_> {
    pub(super) fn overload(&mut self, call: &Call<'_>) -> CallEstimate {
        let arguments = call.costs.iter().fold(FREE, |sum, cost| sum.plus(*cost));
        let own = self.list_call(call).or_else(|| self.library_call(call)).or_else(|| self.standard_call(call));
        match own {
            Some(estimate) => CallEstimate { cost: estimate.cost.plus(arguments), size: estimate.size },
            None => self.operator_call(call, arguments),
        }
    }

    /// Functions of cel-go's lists and sets, which are known by their overloads. Upstream: ext/lists.go, ext/sets.go.
    fn list_call(&mut self, call: &Call<'_>) -> Option<CallEstimate> {
        let allocating = |factor: f64, size: SizeEstimate| CallEstimate {
            cost: size.scaled(factor).plus(SizeEstimate::fixed(1 + LIST)),
            size: Some(size),
        };
        let number = |arg: &Expr, default: u64| match &arg.kind {
            Kind::Literal(Literal::Int(value)) => u64::try_from(*value).unwrap_or(0),
            _ => default,
        };
        let squared = |size: SizeEstimate| size.times(size);
        Some(match (call.overload, call.target, call.args) {
            ("list_slice", Some(list), [start, end]) => {
                let size = self.size_or_unknown(list);
                let count = number(end, size.max).wrapping_sub(number(start, 0));
                allocating(1.0, SizeEstimate::fixed(count))
            }
            ("lists_range", None, [count]) => allocating(1.0, SizeEstimate::fixed(number(count, u64::MAX))),
            ("list_reverse", Some(list), []) => allocating(1.0, self.size_or_unknown(list)),
            ("list_flatten", Some(list), []) => allocating(1.0, self.size_or_unknown(list)),
            ("list_flatten_int", Some(list), [depth]) => {
                allocating(number(depth, u64::MAX) as f64, self.size_or_unknown(list))
            }
            ("list_distinct", Some(list), []) => allocating(2.0, squared(self.size_or_unknown(list))),
            (overload, Some(list), args) if overload.starts_with("list_") && call.function.contains("sort") => {
                let sorted = args.first().unwrap_or(list);
                let texts = overload.contains("_string_") || overload.contains("_bytes_");
                let factor = if texts { 2.0 + STRING_FACTOR } else { 2.0 };
                allocating(factor, squared(self.size_or_unknown(sorted)))
            }
            (
                "list_sets_contains_list" | "list_sets_intersects_list" | "list_sets_equivalent_list",
                None,
                [left, right],
            ) => {
                let factor = if call.overload == "list_sets_equivalent_list" { 2.0 } else { 1.0 };
                let pairs = self.size_or_unknown(left).times(self.size_or_unknown(right));
                CallEstimate { cost: pairs.scaled(factor).plus(ONE), size: None }
            }
            _ => return None,
        })
    }

    /// Functions of Kubernetes' libraries and cel-go's strings. Upstream: library.CostEstimator.EstimateCallCost.
    fn library_call(&mut self, call: &Call<'_>) -> Option<CallEstimate> {
        let plain = |cost: SizeEstimate| Some(CallEstimate { cost, size: None });
        let sized = |cost: SizeEstimate, size: SizeEstimate| Some(CallEstimate { cost, size: Some(size) });
        let first = call.args.first();
        match call.function {
            "check" => plain(SizeEstimate::fixed(AUTHORIZATION_CHECK)),
            "fieldSelector" | "labelSelector" if call.args.len() == 1 => {
                let length = self.size_or_unknown(first?);
                let requirements = length.scaled(REQUIREMENTS_PER_CHARACTER).scaled(REQUIREMENT);
                plain(SizeEstimate::fixed(LIST).plus(length.scaled(STRING_FACTOR)).plus(requirements))
            }
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" | "includes" => {
                let target = call.target?;
                let size = self.size_or_unknown(target);
                match self.element(target) {
                    Some((Type::String | Type::Bytes, element)) => {
                        plain(size.times(ONE.plus(element.scaled(STRING_FACTOR))))
                    }
                    Some(_) => plain(size),
                    None if call.function == "includes" => plain(size),
                    None => plain(size.scaled(STRING_FACTOR)),
                }
            }
            "url" | "jsonpatch.escapeKey" if call.args.len() == 1 => {
                let size = self.size_or_unknown(first?);
                sized(size.scaled(STRING_FACTOR), size)
            }
            "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                let size = self.size_or_unknown(call.target?);
                sized(size.scaled(STRING_FACTOR), size)
            }
            "replace" if call.args.len() >= 2 => {
                let size = self.size_or_unknown(call.target?);
                let from = self.size_or_unknown(&call.args[0]);
                let to = self.size_or_unknown(&call.args[1]);
                sized(size.scaled(2.0 * STRING_FACTOR), replaced_size(size, from, to))
            }
            "split" => {
                let size = self.size_or_unknown(call.target?);
                let limit = match call.args.get(1).map(|limit| &limit.kind) {
                    Some(Kind::Literal(Literal::Int(limit))) => *limit as u64,
                    _ => size.max,
                };
                sized(size.scaled(2.0 * STRING_FACTOR), SizeEstimate { min: 0, max: limit })
            }
            "join" => {
                let target = call.target?;
                let count = self.size_or_unknown(target);
                let mut size = self.element(target).map_or(FREE, |(_, element)| count.times(element));
                if let Some(separator) = first {
                    let separators =
                        SizeEstimate { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
                    size = size.plus(self.size_or_unknown(separator).times(separators));
                }
                sized(size.scaled(STRING_FACTOR), size)
            }
            "find" | "findAll" if !call.args.is_empty() => {
                let size = self.size_or_unknown(call.target?);
                let pattern = self.size_or_unknown(first?).scaled(REGEX_FACTOR);
                let cost = size.plus(ONE).scaled(STRING_FACTOR).times(pattern);
                sized(cost, SizeEstimate { min: 0, max: size.max })
            }
            "ip" if call.overload == "cidr_ip" => plain(ONE),
            "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
                plain(self.size_or_unknown(first?).scaled(STRING_FACTOR))
            }
            "ip.isCanonical" => plain(self.size_or_unknown(first?).scaled(2.0 * STRING_FACTOR)),
            "containsIP" | "containsCIDR" => {
                let bytes = SizeEstimate { min: 4, max: 16 };
                let mut cost = bytes.plus(bytes).scaled(STRING_FACTOR);
                if call.function == "containsCIDR" {
                    cost = cost.plus(bytes.scaled(STRING_FACTOR)).plus(ONE);
                }
                if call.overload.ends_with("_string") {
                    cost = cost.plus(self.size_or_unknown(first?).scaled(STRING_FACTOR));
                }
                plain(cost)
            }
            "validate" => {
                let size = self.size_or_unknown(first?);
                plain(size.scaled(STRING_FACTOR).scaled(NAME_FORMAT_REGEX as f64 * REGEX_FACTOR))
            }
            name if is_nominal(name) => plain(ONE),
            operator::EQUALS => self.library_equality(call),
            _ => None,
        }
    }

    fn library_equality(&mut self, call: &Call<'_>) -> Option<CallEstimate> {
        let [left, right] = call.args else { return None };
        let Type::Opaque(name, _) = self.type_of(left) else { return None };
        if self.type_of(left) != self.type_of(right) {
            return None;
        }
        let cost = match &**name {
            "kubernetes.NamedFormat" => SizeEstimate { min: 1, max: 64 }.scaled(STRING_FACTOR),
            "kubernetes.URL" => {
                let most = self.size(right).map_or(1, |size| size.max);
                SizeEstimate { min: 1, max: most }.scaled(STRING_FACTOR)
            }
            "optional_type" => return None,
            _ => ONE,
        };
        Some(CallEstimate { cost, size: None })
    }

    /// Functions of the standard library that take time in proportion to their arguments. Upstream: checker.functionCost.
    fn standard_call(&mut self, call: &Call<'_>) -> Option<CallEstimate> {
        let plain = |cost: SizeEstimate| Some(CallEstimate { cost, size: None });
        match (call.overload, call.target, call.args) {
            ("string_format", Some(target), _) => plain(self.size_or_unknown(target).scaled(STRING_FACTOR)),
            ("string_to_bytes", _, [text]) => {
                let size = self.size_or_unknown(text);
                let result = SizeEstimate { min: size.min, max: size.max.wrapping_mul(4) };
                Some(CallEstimate { cost: size.scaled(STRING_FACTOR), size: Some(result) })
            }
            ("bytes_to_string", _, [bytes]) => {
                let size = self.size_or_unknown(bytes);
                let result = SizeEstimate { min: size.min / 4, max: size.max };
                Some(CallEstimate { cost: size.scaled(STRING_FACTOR), size: Some(result) })
            }
            ("strings_quote", _, [text]) => {
                let size = self.size_or_unknown(text);
                let result =
                    SizeEstimate { min: size.min.wrapping_add(2), max: size.max.wrapping_mul(2).wrapping_add(2) };
                Some(CallEstimate { cost: size.scaled(STRING_FACTOR), size: Some(result) })
            }
            ("starts_with_string" | "ends_with_string", _, [arg]) => {
                plain(self.size_or_unknown(arg).scaled(STRING_FACTOR))
            }
            ("in_list", _, [_, list]) => plain(self.size_or_unknown(list)),
            ("matches", None, [text, pattern]) | ("matches_string", Some(text), [pattern]) => {
                let text = self.size_or_unknown(text).plus(ONE).scaled(STRING_FACTOR);
                plain(text.times(self.size_or_unknown(pattern).scaled(REGEX_FACTOR)))
            }
            ("contains_string", Some(text), [part]) => {
                let text = self.size_or_unknown(text).scaled(STRING_FACTOR);
                plain(text.times(self.size_or_unknown(part).scaled(STRING_FACTOR)))
            }
            _ => None,
        }
    }

    /// Operators, and everything that costs one.
    fn operator_call(&mut self, call: &Call<'_>, arguments: SizeEstimate) -> CallEstimate {
        let plain = |cost: SizeEstimate| CallEstimate { cost, size: None };
        match (call.overload, call.args) {
            ("logical_and" | "logical_or", _) => {
                plain(SizeEstimate { min: call.costs.first().map_or(0, |first| first.min), max: arguments.max })
            }
            ("conditional", [_, truthy, falsy]) => {
                let size = self.size_or_unknown(truthy).union(self.size_or_unknown(falsy));
                if let (Some(left), Some(right)) = (self.entry(truthy), self.entry(falsy)) {
                    self.entries.insert(call.expr.id, left.union(right));
                }
                let cost = call.costs[0].plus(call.costs[1].union(call.costs[2]));
                CallEstimate { cost, size: Some(size) }
            }
            ("add_string" | "add_bytes" | "add_list", [left, right]) => {
                let size = self.size_or_unknown(left).plus(self.size_or_unknown(right));
                if let (Some(left), Some(right)) = (self.entry(left), self.entry(right)) {
                    self.entries.insert(call.expr.id, left.union(right));
                }
                let own = if call.overload == "add_list" { ONE } else { size.scaled(STRING_FACTOR) };
                CallEstimate { cost: own.plus(arguments), size: Some(size) }
            }
            (overload, [left, right]) if compares_by_size(overload) => {
                let most = self.size_or_unknown(left).max.min(self.size_or_unknown(right).max);
                let compared = SizeEstimate { min: u64::from(most > 0), max: most };
                plain(compared.scaled(STRING_FACTOR).plus(arguments))
            }
            _ => plain(ONE.plus(arguments)),
        }
    }
}

/// Comparisons that look at each character.
pub(crate) fn compares_by_size(overload: &str) -> bool {
    matches!(overload, "equals" | "not_equals")
        || ["less", "greater"].iter().any(|word| {
            overload
                .strip_prefix(word)
                .is_some_and(|rest| matches!(rest, "_string" | "_bytes" | "_equals_string" | "_equals_bytes"))
        })
}

/// Functions that only look something up. Upstream: the cases of EstimateCallCost that cost one.
pub(crate) fn is_nominal(function: &str) -> bool {
    matches!(
        function,
        "serviceAccount"
            | "path"
            | "group"
            | "resource"
            | "subresource"
            | "namespace"
            | "name"
            | "allowed"
            | "reason"
            | "error"
            | "errored"
            | "masked"
            | "prefixLength"
            | "family"
            | "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast"
            | "format.named"
            | "sign"
            | "asInteger"
            | "isInteger"
            | "asApproximateFloat"
            | "isGreaterThan"
            | "isLessThan"
            | "compareTo"
            | "add"
            | "sub"
            | "major"
            | "minor"
            | "patch"
            | "getScheme"
            | "getHostname"
            | "getHost"
            | "getPort"
            | "getEscapedPath"
            | "getQuery"
    )
}

/// How long a text can be after a replacement.
fn replaced_size(size: SizeEstimate, from: SizeEstimate, to: SizeEstimate) -> SizeEstimate {
    let (mut count, mut kept) = (FREE, FREE);
    if from.min == 0 {
        // Nothing is replaced: what replaces it comes around every character.
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if to.max <= from.min {
        kept.max = size.max;
    } else {
        count.max = (size.max as f64 / from.min as f64).ceil() as u64;
    }
    if from.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if from.max <= to.min {
        kept.min = size.min;
    } else {
        count.min = (size.min as f64 / from.max as f64).ceil() as u64;
    }
    count.times(to).plus(kept)
}
