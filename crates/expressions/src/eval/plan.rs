//! Checked trees to nodes that can be evaluated without looking anything up.
//!
//! Constant lists, maps and conversions are computed here; upstream charges nothing for them, nor for the test whether
//! something is in a constant list. Upstream: cel-go interpreter/planner.go, decorators.go.

use std::sync::Arc;

use indexmap::IndexMap;
use regex::Regex;

use super::price::Price;
use super::{Failure, Meter, run};
use crate::check::Reference;
use crate::environment::Checked;
use crate::library::{self, Overload};
use crate::syntax::{ACCUMULATOR, Expr, Fold, Kind, Literal, operator};
use crate::value::Value;

/// A step of evaluation and what it needs.
#[derive(Debug)]
pub(super) enum Node {
    Constant(Value<'static>),
    Variable(usize),
    /// A variable of a macro: its place on the stack.
    Local(usize),
    Select {
        operand: Box<Node>,
        field: Box<str>,
        optional: bool,
    },
    Has {
        operand: Box<Node>,
        field: Box<str>,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    NotStrictlyFalse(Box<Node>),
    Conditional(Box<[Node; 3]>),
    Binary {
        operator: Binary,
        price: Price,
        operands: Box<[Node; 2]>,
    },
    Negate(Box<Node>),
    /// `value in [constants]`, for which nothing is paid.
    InConstants {
        value: Box<Node>,
        list: Value<'static>,
    },
    /// `matches`, `find` and `findAll` with a pattern that is constant; `length` is that of its text.
    Pattern {
        function: &'static str,
        text: Box<Node>,
        limit: Option<Box<Node>>,
        pattern: Regex,
        price: Price,
        length: u64,
    },
    /// `a.or(b)` and `a.orValue(b)`, which look at b only if they must.
    OptionalOr {
        operands: Box<[Node; 2]>,
        value: bool,
    },
    Call {
        overloads: Vec<&'static Overload>,
        price: Price,
        args: Vec<Node>,
    },
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    Message {
        name: Arc<str>,
        fields: Vec<(Box<str>, Node, bool)>,
    },
    Fold(Box<FoldNode>),
    /// A name for a value.
    Bind {
        value: Box<Node>,
        result: Box<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    In,
}

/// A loop. On the stack lie the accumulator, then the variable or two.
#[derive(Debug)]
pub(super) struct FoldNode {
    pub(super) range: Node,
    pub(super) two: bool,
    pub(super) init: Node,
    pub(super) condition: Node,
    pub(super) step: Step,
    pub(super) result: Node,
}

/// What a round does to the accumulator.
#[derive(Debug)]
pub(super) enum Step {
    Replace(Node),
    /// Puts something into the accumulator, which is not copied for that, if the filter lets it.
    Grow {
        filter: Option<Node>,
        grow: Grow,
    },
}

#[derive(Debug)]
pub(super) enum Grow {
    /// `accumulator + [value]`
    Append(Node),
    /// `cel.@mapInsert(accumulator, key, value)`
    Insert(Node, Node),
    /// `cel.@mapInsert(accumulator, map)`
    Merge(Node),
}

/// Plans a whole expression.
pub(super) fn plan(checked: &Checked) -> Result<Node, Failure> {
    Planner { checked, locals: Vec::new() }.node(&checked.expr)
}

struct Planner<'c> {
    checked: &'c Checked,
    locals: Vec<String>,
}

impl Planner<'_> {
    fn boxed(&mut self, expr: &Expr) -> Result<Box<Node>, Failure> {
        self.node(expr).map(Box::new)
    }

    fn nodes<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<Vec<Node>, Failure> {
        exprs.into_iter().map(|expr| self.node(expr)).collect()
    }

    fn node(&mut self, expr: &Expr) -> Result<Node, Failure> {
        Ok(match &expr.kind {
            Kind::Literal(literal) => Node::Constant(constant(literal)),
            Kind::Ident(_) => self.ident(expr)?,
            Kind::Select { operand, field, test_only: true } => {
                Node::Has { operand: self.boxed(operand)?, field: field.as_str().into() }
            }
            Kind::Select { operand, field, .. } => {
                Node::Select { operand: self.boxed(operand)?, field: field.as_str().into(), optional: false }
            }
            Kind::Call { target, function, args } => self.call(expr, target.as_deref(), function, args)?,
            Kind::List(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for item in items {
                    nodes.push((self.node(&item.value)?, item.optional));
                }
                let is_constant = nodes.iter().all(|(node, optional)| matches!(node, Node::Constant(_)) && !optional);
                folded(Node::List(nodes), is_constant)?
            }
            Kind::Map(entries) => {
                let mut nodes = Vec::with_capacity(entries.len());
                for entry in entries {
                    nodes.push((self.node(&entry.key)?, self.node(&entry.value)?, entry.optional));
                }
                let is_constant = nodes.iter().all(|(key, value, optional)| {
                    matches!((key, value), (Node::Constant(_), Node::Constant(_))) && !optional
                });
                folded(Node::Map(nodes), is_constant)?
            }
            Kind::Struct { name, fields } => {
                let mut nodes = Vec::with_capacity(fields.len());
                for field in fields {
                    nodes.push((field.name.as_str().into(), self.node(&field.value)?, field.optional));
                }
                Node::Message { name: name.as_str().into(), fields: nodes }
            }
            Kind::Fold(fold) if fold.is_bind() => {
                let value = self.boxed(&fold.init)?;
                self.locals.push(fold.accumulator.clone());
                let result = self.boxed(&fold.result);
                self.locals.pop();
                Node::Bind { value, result: result? }
            }
            Kind::Fold(fold) => self.fold(fold)?,
        })
    }

    fn ident(&mut self, expr: &Expr) -> Result<Node, Failure> {
        match &self.checked.references[expr.id] {
            Some(Reference::Variable(index)) => Ok(Node::Variable(*index)),
            Some(Reference::Local(name)) => match self.locals.iter().rposition(|local| local == name) {
                Some(index) => Ok(Node::Local(index)),
                None => Err(Failure::message(format!("no such attribute: {name}"))),
            },
            Some(Reference::Type(name)) => Ok(Node::Constant(Value::Type(library::type_value(name)))),
            _ => Err(Failure::message("an expression was planned that is not checked")),
        }
    }

    fn fold(&mut self, fold: &Fold) -> Result<Node, Failure> {
        let range = self.node(&fold.range)?;
        let init = self.node(&fold.init)?;
        self.locals.push(fold.accumulator.clone());
        let outer = self.locals.len();
        self.locals.push(fold.variable.clone());
        self.locals.extend(fold.second.clone());
        let condition = self.node(&fold.condition)?;
        let step = self.step(&fold.step)?;
        self.locals.truncate(outer);
        let result = self.node(&fold.result)?;
        self.locals.pop();
        Ok(Node::Fold(Box::new(FoldNode { range, two: fold.second.is_some(), init, condition, step, result })))
    }

    fn step(&mut self, step: &Expr) -> Result<Step, Failure> {
        if let Kind::Call { target: None, function, args } = &step.kind
            && function == operator::CONDITIONAL
            && let [filter, grow, rest] = args.as_slice()
            && is_accumulator(rest)
            && let Some(grow) = self.grow(grow)?
        {
            return Ok(Step::Grow { filter: Some(self.node(filter)?), grow });
        }
        match self.grow(step)? {
            Some(grow) => Ok(Step::Grow { filter: None, grow }),
            None => self.node(step).map(Step::Replace),
        }
    }

    fn grow(&mut self, expr: &Expr) -> Result<Option<Grow>, Failure> {
        let Kind::Call { target: None, function, args } = &expr.kind else { return Ok(None) };
        if !args.first().is_some_and(is_accumulator) {
            return Ok(None);
        }
        Ok(match (function.as_str(), &args[1..]) {
            (operator::ADD, [Expr { kind: Kind::List(items), .. }]) => match items.as_slice() {
                [item] if !item.optional => Some(Grow::Append(self.node(&item.value)?)),
                _ => None,
            },
            ("cel.@mapInsert", [key, value]) => Some(Grow::Insert(self.node(key)?, self.node(value)?)),
            ("cel.@mapInsert", [map]) => Some(Grow::Merge(self.node(map)?)),
            _ => None,
        })
    }

    fn call(&mut self, expr: &Expr, target: Option<&Expr>, function: &str, args: &[Expr]) -> Result<Node, Failure> {
        let mut nodes = self.nodes(target.into_iter().chain(args))?;
        let overloads = match &self.checked.references[expr.id] {
            Some(Reference::Overloads(overloads)) => overloads.clone(),
            _ => Vec::new(),
        };
        // Where several may be meant, upstream does not know the costs of any.
        let known = if let [one] = overloads.as_slice() { Some(one.id) } else { None };
        let price = Price::of(function, known);
        if let Some(node) = special(function, known, price, &mut nodes)? {
            return Ok(node);
        }
        let is_constant = library::is_conversion(function) && matches!(nodes.as_slice(), [Node::Constant(_)]);
        folded(Node::Call { overloads, price, args: nodes }, is_constant)
    }
}

/// Operators and functions that are no calls; takes the arguments if so.
fn special(
    function: &str,
    overload: Option<&str>,
    price: Price,
    args: &mut Vec<Node>,
) -> Result<Option<Node>, Failure> {
    // The second argument, where it is a constant.
    let constant = match args.get(1) {
        Some(Node::Constant(value)) => Some(value.clone()),
        _ => None,
    };
    let mut take = || std::mem::take(args);
    let one = |mut nodes: Vec<Node>| nodes.pop().map(Box::new).ok_or_else(Failure::no_such_overload);
    let two = |nodes: Vec<Node>| {
        <Box<[Node; 2]>>::try_from(nodes.into_boxed_slice()).map_err(|_| Failure::no_such_overload())
    };
    Ok(Some(match function {
        operator::AND => Node::And(take()),
        operator::OR => Node::Or(take()),
        operator::NOT => Node::Not(one(take())?),
        operator::NEGATE => Node::Negate(one(take())?),
        operator::NOT_STRICTLY_FALSE => Node::NotStrictlyFalse(one(take())?),
        operator::CONDITIONAL => {
            let nodes = <Box<[Node; 3]>>::try_from(take().into_boxed_slice());
            Node::Conditional(nodes.map_err(|_| Failure::no_such_overload())?)
        }
        operator::INDEX | operator::OPTIONAL_INDEX => {
            let [operand, index] = *two(take())?;
            let optional = function == operator::OPTIONAL_INDEX;
            Node::Index { operand: Box::new(operand), index: Box::new(index), optional }
        }
        operator::OPTIONAL_SELECT => {
            let [operand, field] = *two(take())?;
            let Node::Constant(Value::String(field)) = field else { return Err(Failure::no_such_overload()) };
            Node::Select { operand: Box::new(operand), field: (*field).into(), optional: true }
        }
        "or" if matches!(overload, None | Some("optional_or_optional")) => {
            Node::OptionalOr { operands: two(take())?, value: false }
        }
        "orValue" => Node::OptionalOr { operands: two(take())?, value: true },
        operator::IN if overload == Some("in_list") && matches!(constant, Some(Value::List(_))) => {
            let [value, _] = *two(take())?;
            Node::InConstants { value: Box::new(value), list: constant.ok_or_else(Failure::no_such_overload)? }
        }
        "matches" | "find" | "findAll" if matches!(constant, Some(Value::String(_))) => {
            let Some(Value::String(written)) = &constant else { return Err(Failure::no_such_overload()) };
            let pattern = library::compile_regex(written).map_err(Failure::message)?;
            let length = written.chars().count() as u64;
            let function = ["matches", "find"].into_iter().find(|name| *name == function).unwrap_or("findAll");
            let mut nodes = take().into_iter();
            let text = nodes.next().map(Box::new).ok_or_else(Failure::no_such_overload)?;
            let limit = nodes.nth(1).map(Box::new);
            Node::Pattern { function, text, limit, pattern, price, length }
        }
        _ => match binary(function) {
            Some(operator) => {
                let price = match operator {
                    Binary::Equals | Binary::NotEquals => Price::Comparison,
                    _ => price,
                };
                Node::Binary { operator, price, operands: two(take())? }
            }
            None => return Ok(None),
        },
    }))
}

fn binary(function: &str) -> Option<Binary> {
    Some(match function {
        operator::EQUALS => Binary::Equals,
        operator::NOT_EQUALS => Binary::NotEquals,
        operator::LESS => Binary::Less,
        operator::LESS_EQUALS => Binary::LessEquals,
        operator::GREATER => Binary::Greater,
        operator::GREATER_EQUALS => Binary::GreaterEquals,
        operator::ADD => Binary::Add,
        operator::SUBTRACT => Binary::Subtract,
        operator::MULTIPLY => Binary::Multiply,
        operator::DIVIDE => Binary::Divide,
        operator::MODULO => Binary::Modulo,
        operator::IN => Binary::In,
        _ => return None,
    })
}

/// The value instead of the node, where the node is constant.
fn folded(node: Node, is_constant: bool) -> Result<Node, Failure> {
    if !is_constant {
        return Ok(node);
    }
    let mut meter = Meter::new(u64::MAX);
    let value = run::run(&node, &[], &mut meter)?;
    // What is computed from constants borrows from the node alone, which goes now.
    library::owned(value).map(Node::Constant).ok_or_else(Failure::no_such_overload)
}

fn is_accumulator(expr: &Expr) -> bool {
    matches!(&expr.kind, Kind::Ident(name) if name == ACCUMULATOR)
}

fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::text(text.as_str()),
        Literal::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
    }
}

/// Entries of a map, by their keys.
pub(super) type MapItems<'a> = IndexMap<crate::value::Key, (Value<'a>, Value<'a>)>;
