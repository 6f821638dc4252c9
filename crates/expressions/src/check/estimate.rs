//! What an expression costs at least and at most, from the sizes its values can have. Decides which rules may be written into a
//! CustomResourceDefinition, so the numbers are upstream's to the last.
//!
//! Upstream: cel-go checker.Cost; k8s.io/apiserver/pkg/cel/library.CostEstimator.EstimateCallCost.

use std::collections::HashMap;
use std::sync::Arc;

use super::sizes::{SizeEstimate, Sizes};
use super::{Reference, literal_type};
use crate::environment::Checked;
use crate::eval::price::{
    AUTHORIZATION_CHECK, LIST, MAP, MESSAGE, NAME_FORMAT_REGEX, REGEX_FACTOR, REQUIREMENT, REQUIREMENTS_PER_CHARACTER,
    STRING_FACTOR,
};
use crate::syntax::{ACCUMULATOR, Expr, ExprId, Fold, Kind, Literal, operator};
use crate::types::Type;

/// Steps from a variable to what a node reads.
type Path = Vec<Arc<str>>;

/// What the keys and values of a list or map can be.
#[derive(Debug, Clone, Copy)]
struct Entry {
    list: bool,
    key: SizeEstimate,
    value: SizeEstimate,
}

impl Entry {
    fn union(self, other: Entry) -> Entry {
        Entry { list: self.list, key: self.key.union(other.key), value: self.value.union(other.value) }
    }
}

/// A variable of a macro.
#[derive(Debug, Clone)]
struct Local {
    name: String,
    path: Path,
    size: Option<SizeEstimate>,
    entry: Option<Entry>,
}

/// The cost of a call and the size of what it gives.
struct CallEstimate {
    cost: SizeEstimate,
    size: Option<SizeEstimate>,
}

/// The estimate for a checked expression.
pub(crate) fn estimate(checked: &Checked, sizes: &dyn Sizes) -> SizeEstimate {
    let mut estimator = Estimator {
        checked,
        sizes,
        paths: HashMap::new(),
        computed: HashMap::new(),
        entries: HashMap::new(),
        locals: Vec::new(),
    };
    estimator.cost(&checked.expr)
}

struct Estimator<'c> {
    checked: &'c Checked,
    sizes: &'c dyn Sizes,
    paths: HashMap<ExprId, Path>,
    computed: HashMap<ExprId, SizeEstimate>,
    entries: HashMap<ExprId, Entry>,
    locals: Vec<Local>,
}

const FREE: SizeEstimate = SizeEstimate::fixed(0);
const ONE: SizeEstimate = SizeEstimate::fixed(1);

impl Estimator<'_> {
    fn type_of(&self, expr: &Expr) -> &Type {
        &self.checked.types[expr.id]
    }

    fn local(&self, expr: &Expr) -> Option<&Local> {
        let Kind::Ident(name) = &expr.kind else { return None };
        self.locals.iter().rev().find(|local| local.name == *name)
    }

    fn path(&self, expr: &Expr) -> Path {
        match self.local(expr) {
            Some(local) => local.path.clone(),
            None => self.paths.get(&expr.id).cloned().unwrap_or_default(),
        }
    }

    fn cost(&mut self, expr: &Expr) -> SizeEstimate {
        match &expr.kind {
            Kind::Literal(_) => FREE,
            Kind::Ident(name) => {
                let path = match self.local(expr) {
                    Some(local) => local.path.clone(),
                    None => vec![name.as_str().into()],
                };
                self.paths.insert(expr.id, path);
                ONE
            }
            Kind::Select { operand, field, test_only } => self.select(expr, operand, field, *test_only),
            Kind::Call { target, function, args } => self.call(expr, target.as_deref(), function, args),
            Kind::List(items) => {
                let mut cost = FREE;
                let mut value = if items.is_empty() { FREE } else { SizeEstimate { min: u64::MAX, max: 0 } };
                for item in items {
                    cost = cost.plus(self.cost(&item.value));
                    value = value.union(self.size_or_unknown(&item.value));
                }
                self.entries.insert(expr.id, Entry { list: true, key: ONE, value });
                cost.plus(SizeEstimate::fixed(LIST))
            }
            Kind::Map(entries) => {
                let mut cost = FREE;
                let nothing = if entries.is_empty() { FREE } else { SizeEstimate { min: u64::MAX, max: 0 } };
                let (mut key, mut value) = (nothing, nothing);
                for entry in entries {
                    cost = cost.plus(self.cost(&entry.key)).plus(self.cost(&entry.value));
                    key = key.union(self.size_or_unknown(&entry.key));
                    value = value.union(self.size_or_unknown(&entry.value));
                }
                self.entries.insert(expr.id, Entry { list: false, key, value });
                cost.plus(SizeEstimate::fixed(MAP))
            }
            Kind::Struct { fields, .. } => {
                let cost = fields.iter().fold(FREE, |cost, field| cost.plus(self.cost(&field.value)));
                cost.plus(SizeEstimate::fixed(MESSAGE))
            }
            Kind::Fold(fold) if fold.is_bind() => self.bind(expr, fold),
            Kind::Fold(fold) => self.fold(expr, fold),
        }
    }

    fn select(&mut self, expr: &Expr, operand: &Expr, field: &str, test_only: bool) -> SizeEstimate {
        let mut cost = self.cost(operand);
        if test_only {
            return cost;
        }
        if matches!(self.type_of(operand), Type::Map(..) | Type::Object(_) | Type::Param(_)) {
            cost = cost.plus(ONE);
        }
        let mut path = self.path(operand);
        path.push(field.into());
        self.paths.insert(expr.id, path);
        cost
    }

    fn bind(&mut self, expr: &Expr, fold: &Fold) -> SizeEstimate {
        let cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        self.push_accumulator(fold);
        let cost = cost.plus(self.cost(&fold.result));
        self.locals.pop();
        self.copy_sizes(expr, &fold.result);
        cost
    }

    fn push_accumulator(&mut self, fold: &Fold) {
        let (path, size) = (self.path(&fold.init), self.size(&fold.init));
        let entry = self.entry(&fold.init);
        self.locals.push(Local { name: fold.accumulator.clone(), path, size, entry });
    }

    fn fold(&mut self, expr: &Expr, fold: &Fold) -> SizeEstimate {
        let mut cost = self.cost(&fold.range).plus(self.cost(&fold.init));
        self.push_accumulator(fold);
        let outer = self.locals.len();
        self.push_loop_variables(fold);
        let condition = self.cost(&fold.condition);
        let step = self.cost(&fold.step);
        self.locals.truncate(outer);
        cost = cost.plus(self.cost(&fold.result));
        self.locals.pop();
        let count = self.size_or_unknown(&fold.range);
        match fold.init.kind {
            Kind::Literal(_) => {
                if let Some(size) = self.size(&fold.init) {
                    self.computed.insert(expr.id, size);
                }
            }
            Kind::List(_) | Kind::Map(_) => {
                self.computed.insert(expr.id, count);
                if let Some(entry) = self.entry(&fold.step) {
                    self.entries.insert(expr.id, entry);
                }
            }
            _ => {}
        }
        cost.plus(count.times(step.plus(condition)))
    }

    fn push_loop_variables(&mut self, fold: &Fold) {
        let entry = self.entry(&fold.range);
        let list = entry.map_or(matches!(self.type_of(&fold.range), Type::List(_)), |entry| entry.list);
        let (keys, values) = if list { ("@indices", "@items") } else { ("@keys", "@values") };
        let range = self.path(&fold.range);
        let local = |name: &str, step: &str, size: Option<SizeEstimate>| {
            let mut path = range.clone();
            path.push(step.into());
            Local { name: name.to_owned(), path, size, entry: None }
        };
        let key = entry.map(|entry| entry.key);
        let value = entry.map(|entry| entry.value);
        let pushed = match &fold.second {
            Some(second) => vec![local(&fold.variable, keys, key), local(second, values, value)],
            None if list => vec![local(&fold.variable, values, value)],
            None => vec![local(&fold.variable, keys, key)],
        };
        self.locals.extend(pushed);
    }

    fn call(&mut self, expr: &Expr, target: Option<&Expr>, function: &str, args: &[Expr]) -> SizeEstimate {
        if function == "dyn"
            && let [arg] = args
        {
            let cost = self.cost(arg);
            self.copy_sizes(expr, arg);
            return cost.plus(ONE);
        }
        let costs: Vec<SizeEstimate> = args.iter().map(|arg| self.cost(arg)).collect();
        let overloads: Vec<&'static str> = match &self.checked.references[expr.id] {
            Some(Reference::Overloads(overloads)) => overloads.iter().map(|overload| overload.id).collect(),
            Some(Reference::OptionalField) => vec!["select_optional_field"],
            _ => return FREE,
        };
        let own = target.map_or(FREE, |target| self.cost(target));
        let mut cost = SizeEstimate { min: u64::MAX, max: 0 };
        let mut size: Option<SizeEstimate> = None;
        for overload in overloads {
            let call = Call { expr, function, overload, target, args, costs: &costs };
            let estimate = self.overload(&call);
            cost = cost.union(estimate.cost);
            if let Some(more) = estimate.size {
                size = Some(size.map_or(more, |size| size.union(more)));
            }
            let step = match overload {
                "index_list" => Some("@items"),
                "index_map" => Some("@values"),
                _ => None,
            };
            if let (Some(step), Some(operand)) = (step, args.first()) {
                size = self.entry(operand).map(|entry| entry.value);
                let mut path = self.path(operand);
                path.push(step.into());
                self.paths.insert(expr.id, path);
            }
            if size.is_none() {
                size = self.size(expr);
            }
        }
        if let Some(size) = size {
            self.computed.insert(expr.id, size);
        }
        own.plus(cost)
    }

    /// The size of a node's value, if anything is known of it. Upstream: checker.coster.computeSize.
    fn size(&mut self, expr: &Expr) -> Option<SizeEstimate> {
        if let Some(size) = self.computed.get(&expr.id) {
            return Some(*size);
        }
        if let Some(size) = literal_size(expr) {
            return Some(SizeEstimate::fixed(size));
        }
        let path = self.path(expr);
        if let Some(size) = self.sizes.size(&path) {
            self.computed.insert(expr.id, size);
            return Some(size);
        }
        if self.type_of(expr).is_scalar() {
            return Some(ONE);
        }
        self.local(expr).and_then(|local| local.size)
    }

    /// As the libraries see a node: accumulators have no path. Upstream: checker.coster.newAstNode.
    fn size_or_unknown(&mut self, expr: &Expr) -> SizeEstimate {
        self.size(expr).unwrap_or(SizeEstimate::UNKNOWN)
    }

    fn entry(&self, expr: &Expr) -> Option<Entry> {
        match self.entries.get(&expr.id) {
            Some(entry) => Some(*entry),
            None => self.local(expr).and_then(|local| local.entry),
        }
    }

    fn copy_sizes(&mut self, to: &Expr, from: &Expr) {
        if let Some(size) = self.size(from) {
            self.computed.insert(to.id, size);
        }
        if let Some(entry) = self.entry(from) {
            self.entries.insert(to.id, entry);
        }
    }

    /// The type of a list's elements and their size. Upstream: library.CostEstimator.listElementNode.
    fn element(&self, list: &Expr) -> Option<(Type, SizeEstimate)> {
        let of = match self.type_of(list) {
            Type::List(element) => (**element).clone(),
            Type::Map(key, _) => (**key).clone(),
            Type::Opaque(_, params) => params.first()?.clone(),
            _ => return None,
        };
        let mut path = self.path(list);
        if path.is_empty() || path.first().is_some_and(|first| &**first == ACCUMULATOR) {
            return Some((of, SizeEstimate::UNKNOWN));
        }
        path.push("@items".into());
        Some((of, self.sizes.size(&path).unwrap_or(SizeEstimate::UNKNOWN)))
    }
}

/// A call whose cost is asked for.
struct Call<'c> {
    expr: &'c Expr,
    function: &'c str,
    overload: &'static str,
    target: Option<&'c Expr>,
    args: &'c [Expr],
    costs: &'c [SizeEstimate],
}

impl Estimator<'_> {
    fn overload(&mut self, call: &Call<'_>) -> CallEstimate {
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

/// The size of a literal. Upstream: checker.computeExprSize.
fn literal_size(expr: &Expr) -> Option<u64> {
    match &expr.kind {
        Kind::Literal(Literal::String(text)) => Some(text.chars().count() as u64),
        Kind::Literal(Literal::Bytes(bytes)) => Some(bytes.len() as u64),
        Kind::Literal(literal) => Some(u64::from(literal_type(literal) != Type::Error)),
        Kind::List(items) => Some(items.len() as u64),
        Kind::Map(entries) => Some(entries.len() as u64),
        _ => None,
    }
}
