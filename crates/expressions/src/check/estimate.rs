//! What an expression costs at least and at most, from the sizes its values can have. Decides which rules may be written into a
//! CustomResourceDefinition, so the numbers are upstream's to the last.
//!
//! Upstream: cel-go checker.Cost; k8s.io/apiserver/pkg/cel/library.CostEstimator.EstimateCallCost.

mod calls;

use std::collections::HashMap;
use std::sync::Arc;

use calls::Call;
pub(crate) use calls::{compares_by_size, is_nominal};

use super::sizes::{SizeEstimate, Sizes};
use super::{Reference, literal_type};
use crate::environment::Checked;
use crate::eval::price::{LIST, MAP, MESSAGE};
use crate::syntax::{ACCUMULATOR, Expr, ExprId, Fold, Kind, Literal};
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
