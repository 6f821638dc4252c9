//! Nodes to values.
//!
//! What is paid: one for each name, field and index, more for calls and literals (`price`). A branch of `?:` that is a name
//! does not pay for the name, an operand that is no name pays one more for its first field: so upstream counts.
//! Upstream: cel-go interpreter/interpretable.go, runtimecost.go.

use std::sync::Arc;

use indexmap::IndexMap;

use super::operators;
use super::plan::{Binary, FoldNode, Grow, MapItems, Node, Step};
use super::price::{self, Price};
use super::{Failure, Meter};
use crate::value::{Key, List, Map, Message, Value};

/// What an evaluation gave and cost.
#[derive(Debug)]
pub struct Evaluation<'a> {
    pub result: Result<Value<'a>, Failure>,
    pub cost: u64,
}

type Outcome<'a> = Result<Value<'a>, Failure>;

pub(super) fn run<'a>(root: &'a Node, variables: &[Value<'a>], meter: &mut Meter) -> Outcome<'a> {
    Run { variables, locals: Vec::new(), meter }.node(root)
}

struct Run<'v, 'a> {
    variables: &'v [Value<'a>],
    locals: Vec<Value<'a>>,
    meter: &'v mut Meter,
}

/// Is this read step by step from something with a name?
fn is_attribute(node: &Node) -> bool {
    matches!(node, Node::Variable(_) | Node::Local(_) | Node::Select { .. } | Node::Index { .. } | Node::Conditional(_))
}

/// Does the chain of fields and indexes begin with a name?
fn begins_with_name(node: &Node) -> bool {
    match node {
        Node::Variable(_) | Node::Local(_) => true,
        Node::Select { operand, .. } | Node::Index { operand, .. } => begins_with_name(operand),
        _ => false,
    }
}

impl<'a> Run<'_, 'a> {
    fn node(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Variable(_) | Node::Local(_) => {
                self.meter.spend(1)?;
                self.name(node)
            }
            Node::Select { operand, field, optional } => self.select(operand, field, *optional),
            Node::Has { operand, field } => self.has(operand, field),
            Node::Index { operand, index, optional } => self.index(operand, index, *optional),
            Node::And(terms) => self.logical(terms, false),
            Node::Or(terms) => self.logical(terms, true),
            Node::Not(operand) => match self.node(operand)? {
                Value::Bool(value) => self.paid(1, Value::Bool(!value)),
                _ => self.failed(1),
            },
            Node::NotStrictlyFalse(operand) => {
                let value = match self.node(operand) {
                    Err(Failure::CostLimit) => return Err(Failure::CostLimit),
                    Ok(Value::Bool(false)) => false,
                    _ => true,
                };
                self.paid(1, Value::Bool(value))
            }
            Node::Conditional(nodes) => self.conditional(nodes),
            Node::Binary { operator, price, operands } => self.binary(*operator, *price, operands),
            Node::Negate(operand) => {
                let value = self.node(operand)?;
                self.meter.spend(1)?;
                operators::negate(&value)
            }
            Node::InConstants { value, list } => {
                let value = self.node(value)?;
                operators::contains(&value, list)
            }
            Node::Pattern { function, text, limit, pattern, price, length } => {
                let text = self.node(text)?;
                let limit = limit.as_deref().map(|limit| self.node(limit)).transpose()?;
                let limit = match limit {
                    Some(Value::Int(limit)) => Some(limit),
                    _ => None,
                };
                let Value::String(text) = text else { return self.failed(1) };
                let cost =
                    if let Price::Regex(..) = price { price::regex(text.chars().count() as u64, *length) } else { 1 };
                self.paid(cost, crate::library::apply_regex(function, pattern, &text, limit))
            }
            Node::OptionalOr { operands, value } => self.optional_or(operands, *value),
            Node::Call { overloads, price, args } => self.call(overloads, *price, args),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Message { name, fields } => self.message(name, fields),
            Node::Fold(fold) => self.fold(fold),
            Node::Bind { value, result } => {
                let value = self.node(value)?;
                self.locals.push(value);
                let result = self.node(result);
                self.locals.pop();
                result
            }
        }
    }

    fn paid(&mut self, cost: u64, value: Value<'a>) -> Outcome<'a> {
        self.meter.spend(cost)?;
        Ok(value)
    }

    fn failed(&mut self, cost: u64) -> Outcome<'a> {
        self.meter.spend(cost)?;
        Err(Failure::no_such_overload())
    }

    /// The value of a name, which nobody pays for here.
    fn name(&self, node: &Node) -> Outcome<'a> {
        let value = match node {
            Node::Variable(index) => self.variables.get(*index),
            Node::Local(index) => self.locals.get(*index),
            _ => None,
        };
        value.cloned().ok_or_else(|| Failure::message("no such attribute"))
    }

    /// The operand of a field or index. The field or index itself is paid for where it is found.
    fn operand(&mut self, operand: &'a Node) -> Outcome<'a> {
        let value = self.node(operand)?;
        if !is_attribute(operand) {
            self.meter.spend(1)?;
        }
        Ok(value)
    }

    fn select(&mut self, operand: &'a Node, field: &str, optional: bool) -> Outcome<'a> {
        let value = self.operand(operand)?;
        let (target, optional) = match value {
            Value::Optional(None) => return Ok(Value::NONE),
            Value::Optional(Some(inner)) => ((*inner).clone(), true),
            value => (value, optional),
        };
        match (self.field(&target, field)?, optional) {
            (Some(value), true) => self.paid(1, Value::some(value)),
            (Some(value), false) => self.paid(1, value),
            (None, true) => Ok(Value::NONE),
            (None, false) => Err(Failure::no_such_key(field)),
        }
    }

    /// The value of a field, if it is there.
    fn field(&mut self, target: &Value<'a>, field: &str) -> Result<Option<Value<'a>>, Failure> {
        match target {
            Value::Map(map) => map.get_text(field).transpose(),
            Value::Lazy(lazy) => lazy.field(field, self.meter).transpose(),
            Value::Message(message) => Ok(message.fields.get(field).cloned()),
            _ => Ok(None),
        }
    }

    fn has(&mut self, operand: &'a Node, field: &str) -> Outcome<'a> {
        let target = match self.operand(operand)? {
            Value::Optional(None) => return Ok(Value::Bool(false)),
            Value::Optional(Some(inner)) => (*inner).clone(),
            value => value,
        };
        Ok(Value::Bool(match &target {
            Value::Map(map) => map.has_text(field),
            Value::Message(message) => message.fields.contains_key(field),
            Value::Lazy(_) => self.field(&target, field)?.is_some(),
            _ => return Err(Failure::no_such_overload()),
        }))
    }

    fn index(&mut self, operand: &'a Node, index: &'a Node, optional: bool) -> Outcome<'a> {
        let value = self.operand(operand)?;
        let index = self.unnamed(index)?;
        let (target, optional) = match value {
            Value::Optional(None) => return Ok(Value::NONE),
            Value::Optional(Some(inner)) => ((*inner).clone(), true),
            value => (value, optional),
        };
        let found = match &target {
            Value::List(list) => match list_index(&index)? {
                Some(place) => list.get(place).transpose()?,
                None => None,
            },
            Value::Map(map) => map.get(&index).transpose()?,
            Value::Lazy(_) | Value::Message(_) => match &index {
                Value::String(name) => self.field(&target, name)?,
                _ => None,
            },
            _ => return Err(Failure::no_such_overload()),
        };
        match (found, optional) {
            (Some(value), true) => self.paid(1, Value::some(value)),
            (Some(value), false) => self.paid(1, value),
            (None, true) => Ok(Value::NONE),
            (None, false) if matches!(target, Value::List(_)) => {
                Err(Failure::message(format!("index out of bounds: {}", crate::library::shown(&index))))
            }
            (None, false) => Err(Failure::no_such_key(crate::library::shown(&index))),
        }
    }

    /// A value whose name, if it begins with one, is not paid for.
    fn unnamed(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Variable(_) | Node::Local(_) => self.name(node),
            _ if begins_with_name(node) => {
                let before = self.meter.spent();
                let value = self.node(node)?;
                self.meter.refund(1, before);
                Ok(value)
            }
            _ => self.node(node),
        }
    }

    /// `&&` and `||`: the first term that decides does so, also after terms that failed.
    fn logical(&mut self, terms: &'a [Node], decides: bool) -> Outcome<'a> {
        let mut failure = None;
        for term in terms {
            match self.node(term) {
                Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => failure = failure.or_else(|| Some(Failure::no_such_overload())),
                Err(Failure::CostLimit) => return Err(Failure::CostLimit),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn conditional(&mut self, [condition, truthy, falsy]: &'a [Node; 3]) -> Outcome<'a> {
        match self.node(condition)? {
            Value::Bool(true) => self.unnamed(truthy),
            Value::Bool(false) => self.unnamed(falsy),
            _ => Err(Failure::no_such_overload()),
        }
    }

    fn binary(&mut self, operator: Binary, price: Price, [left, right]: &'a [Node; 2]) -> Outcome<'a> {
        // A failure costs what a value would.
        let (left, right) = (self.node(left), self.node(right));
        let args = match (left, right) {
            (Ok(left), Ok(right)) => [left, right],
            (Err(Failure::CostLimit), _) | (_, Err(Failure::CostLimit)) => return Err(Failure::CostLimit),
            (Err(failure), _) | (_, Err(failure)) => {
                self.meter.spend(1)?;
                return Err(failure);
            }
        };
        self.meter.spend(price.cost(&args, None))?;
        let [left, right] = args;
        let ordered = |holds: fn(std::cmp::Ordering) -> bool| {
            operators::compare(&left, &right).map(|order| Value::Bool(holds(order)))
        };
        match operator {
            Binary::Equals => Ok(Value::Bool(operators::equal(&left, &right))),
            Binary::NotEquals => Ok(Value::Bool(!operators::equal(&left, &right))),
            Binary::Less => ordered(std::cmp::Ordering::is_lt),
            Binary::LessEquals => ordered(std::cmp::Ordering::is_le),
            Binary::Greater => ordered(std::cmp::Ordering::is_gt),
            Binary::GreaterEquals => ordered(std::cmp::Ordering::is_ge),
            Binary::Add => operators::add(left, right),
            Binary::Subtract => operators::subtract(&left, &right),
            Binary::Multiply => operators::multiply(&left, &right),
            Binary::Divide => operators::divide(&left, &right),
            Binary::Modulo => operators::modulo(&left, &right),
            Binary::In => operators::contains(&left, &right),
        }
    }

    fn optional_or(&mut self, [left, right]: &'a [Node; 2], value: bool) -> Outcome<'a> {
        match self.node(left)? {
            Value::Optional(Some(inner)) if value => Ok((*inner).clone()),
            present @ Value::Optional(Some(_)) => Ok(present),
            Value::Optional(None) => self.node(right),
            _ => Err(Failure::no_such_overload()),
        }
    }

    fn call(
        &mut self,
        overloads: &'a [&'static crate::library::Overload],
        price: Price,
        args: &'a [Node],
    ) -> Outcome<'a> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.node(arg)?);
        }
        let mut result = Err(Failure::no_such_overload());
        for overload in overloads {
            if overload.accepts(&values) {
                result = (overload.run)(&values);
                break;
            }
        }
        self.meter.spend(price.cost(&values, result.as_ref().ok()))?;
        result
    }

    /// A value for a place marked with `?`: nothing where there is none.
    fn optional(&mut self, node: &'a Node, optional: bool) -> Result<Option<Value<'a>>, Failure> {
        match (self.node(node)?, optional) {
            (value, false) => Ok(Some(value)),
            (Value::Optional(inner), true) => Ok(inner.map(|value| (*value).clone())),
            (value, true) => Err(Failure::message(format!(
                "cannot initialize optional list element from non-optional value {}",
                crate::library::shown(&value)
            ))),
        }
    }

    fn list(&mut self, items: &'a [(Node, bool)]) -> Outcome<'a> {
        let mut values = Vec::with_capacity(items.len());
        for (node, optional) in items {
            values.extend(self.optional(node, *optional)?);
        }
        self.paid(price::LIST, Value::list(values))
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Outcome<'a> {
        let mut map: MapItems<'a> = IndexMap::with_capacity(entries.len());
        for (key, value, optional) in entries {
            let key = self.node(key)?;
            let slot =
                Key::of(&key).ok_or_else(|| Failure::message(format!("unsupported key type: {}", key.type_name())))?;
            if let Some(value) = self.optional(value, *optional)? {
                map.insert(slot, (key, value));
            }
        }
        self.paid(price::MAP, Value::Map(Map::Items(Arc::new(map))))
    }

    fn message(&mut self, name: &Arc<str>, fields: &'a [(Box<str>, Node, bool)]) -> Outcome<'a> {
        let mut values = IndexMap::with_capacity(fields.len());
        for (field, node, optional) in fields {
            if let Some(value) = self.optional(node, *optional)? {
                values.insert(field.to_string(), value);
            }
        }
        self.paid(price::MESSAGE, Value::Message(Arc::new(Message { name: name.clone(), fields: values })))
    }

    fn fold(&mut self, fold: &'a FoldNode) -> Outcome<'a> {
        let range = self.node(&fold.range)?;
        let init = self.node(&fold.init)?;
        let place = self.locals.len();
        self.locals.push(init);
        let result = self.rounds(fold, &range, place).and_then(|()| {
            self.locals.truncate(place + 1);
            self.node(&fold.result)
        });
        self.locals.truncate(place);
        result
    }

    fn rounds(&mut self, fold: &'a FoldNode, range: &Value<'a>, place: usize) -> Result<(), Failure> {
        // An accumulator that failed stands as such until it is read.
        let mut pending: Option<Failure> = None;
        let keys = match range {
            Value::List(_) => Vec::new(),
            Value::Map(map) => map.keys(),
            _ => return Err(Failure::message(format!("got '{}', expected iterable type", range.type_name()))),
        };
        let count = if let Value::List(list) = range { list.len() } else { keys.len() };
        let mut keys = keys.into_iter();
        for round in 0..count {
            self.locals.truncate(place + 1);
            match (range, keys.next()) {
                (Value::List(list), _) => {
                    let item = list.get(round).unwrap_or_else(|| Err(Failure::no_such_key(round)))?;
                    if fold.two {
                        self.locals.push(Value::Int(round as i64));
                    }
                    self.locals.push(item);
                }
                (Value::Map(map), Some(key)) => {
                    let value = if fold.two { map.get(&key).transpose()? } else { None };
                    self.locals.push(key);
                    self.locals.extend(value);
                }
                _ => {}
            }
            if pending.is_none() {
                match self.node(&fold.condition)? {
                    Value::Bool(true) => {}
                    _ => break,
                }
            } else {
                // The condition reads the accumulator, negated for `exists`; a failure is not false.
                self.meter.spend(if matches!(fold.step, Step::Replace(Node::Or(_))) { 3 } else { 2 })?;
            }
            match self.step(fold, place, pending.as_ref()) {
                Ok(()) => pending = None,
                Err(Failure::CostLimit) => return Err(Failure::CostLimit),
                Err(failure) if matches!(fold.step, Step::Replace(Node::And(_) | Node::Or(_))) => {
                    pending = Some(failure)
                }
                Err(failure) => return Err(failure),
            }
        }
        pending.map_or(Ok(()), Err)
    }

    fn step(&mut self, fold: &'a FoldNode, place: usize, pending: Option<&Failure>) -> Result<(), Failure> {
        match &fold.step {
            Step::Replace(Node::And(terms) | Node::Or(terms)) if pending.is_some() => {
                // The accumulator is the first term: only the others can still decide.
                let decides = matches!(&fold.step, Step::Replace(Node::Or(_)));
                self.meter.spend(1)?;
                match self.logical(&terms[1..], decides) {
                    Ok(Value::Bool(value)) if value == decides => self.locals[place] = Value::Bool(decides),
                    Err(Failure::CostLimit) => return Err(Failure::CostLimit),
                    _ => return Err(pending.cloned().unwrap_or_else(Failure::no_such_overload)),
                }
            }
            Step::Replace(node) => self.locals[place] = self.node(node)?,
            Step::Grow { filter, grow } => {
                if let Some(filter) = filter {
                    match self.node(filter)? {
                        Value::Bool(true) => {}
                        Value::Bool(false) => return Ok(()),
                        _ => return Err(Failure::no_such_overload()),
                    }
                }
                self.grow(grow, place)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self, grow: &'a Grow, place: usize) -> Result<(), Failure> {
        match grow {
            Grow::Append(node) => {
                let value = self.node(node)?;
                // The accumulator, the list around the value, the sum.
                self.meter.spend(1 + price::LIST + 1)?;
                let accumulated = std::mem::replace(&mut self.locals[place], Value::Null);
                let Value::List(List::Items(mut items)) = accumulated else { return Err(Failure::no_such_overload()) };
                Arc::make_mut(&mut items).push(value);
                self.locals[place] = Value::List(List::Items(items));
            }
            Grow::Insert(key, value) => {
                let key = self.node(key)?;
                let value = self.node(value)?;
                self.meter.spend(2)?;
                self.insert(place, vec![(key, value)])?;
            }
            Grow::Merge(node) => {
                let Value::Map(map) = self.node(node)? else { return Err(Failure::no_such_overload()) };
                self.meter.spend(2)?;
                let mut entries = Vec::with_capacity(map.len());
                for key in map.keys() {
                    let value = map.get(&key).unwrap_or_else(|| Err(Failure::no_such_overload()))?;
                    entries.push((key, value));
                }
                self.insert(place, entries)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, place: usize, entries: Vec<(Value<'a>, Value<'a>)>) -> Result<(), Failure> {
        let accumulated = std::mem::replace(&mut self.locals[place], Value::Null);
        let Value::Map(Map::Items(mut items)) = accumulated else { return Err(Failure::no_such_overload()) };
        let map = Arc::make_mut(&mut items);
        for (key, value) in entries {
            let slot =
                Key::of(&key).ok_or_else(|| Failure::message(format!("unsupported key type: {}", key.type_name())))?;
            if map.contains_key(&slot) {
                return Err(Failure::message(format!(
                    "insert failed: key {} already exists",
                    crate::library::shown(&key)
                )));
            }
            map.insert(slot, (key, value));
        }
        self.locals[place] = Value::Map(Map::Items(items));
        Ok(())
    }
}

/// The place in a list a value means; None where it is before the first.
fn list_index(index: &Value<'_>) -> Result<Option<usize>, Failure> {
    match index {
        Value::Int(place) => Ok(usize::try_from(*place).ok()),
        Value::Uint(place) => Ok(usize::try_from(*place).ok()),
        Value::Double(place) if place.trunc() == *place => Ok(if *place >= 0.0 { Some(*place as usize) } else { None }),
        Value::Double(_) => {
            Err(Failure::message(format!("unsupported index value {} in list", crate::library::shown(index))))
        }
        _ => Err(Failure::message(format!("unsupported index type '{}' in list", index.type_name()))),
    }
}
