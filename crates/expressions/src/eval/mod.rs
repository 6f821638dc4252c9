//! Evaluates checked expressions.
//!
//! A [`Program`] is planned once (`plan`): names are resolved to slots, constants computed, patterns compiled. Evaluating it
//! allocates little, never blocks and pays for every step from a [`Meter`]; when that is empty, evaluation ends. Nothing in
//! here panics or recurses deeper than the expression is nested.
//!
//! Upstream: cel-go interpreter.

mod operators;
mod plan;
pub(crate) mod price;
mod run;

use std::fmt;

pub(crate) use operators::{add, compare, equal};
pub use run::Evaluation;

use crate::environment::Checked;
use crate::types::Type;
use crate::value::Value;
use plan::Node;

/// Most that one evaluation may cost. Upstream: apis/cel.PerCallLimit.
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// Most that all evaluations for one object may cost. Upstream: apis/cel.RuntimeCELCostBudget.
pub const RUNTIME_COST_BUDGET: u64 = 10_000_000;
/// Most that the match conditions of one webhook or binding may cost. Upstream: apis/cel.RuntimeCELCostBudgetMatchConditions.
pub const MATCH_CONDITIONS_BUDGET: u64 = 2_500_000;

/// An expression that can be evaluated.
#[derive(Debug)]
pub struct Program {
    root: Node,
    output: Type,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It went wrong; `&&` and `||` may have a value nonetheless.
    Message(Box<str>),
    /// It cost too much, which ends everything.
    CostLimit,
}

impl Failure {
    /// A failure with a text.
    pub fn message(text: impl Into<String>) -> Failure {
        Failure::Message(text.into().into_boxed_str())
    }

    pub(crate) fn no_such_overload() -> Failure {
        Failure::message("no such overload")
    }

    pub(crate) fn no_such_key(key: impl fmt::Display) -> Failure {
        Failure::message(format!("no such key: {key}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Message(text) => f.write_str(text),
            Failure::CostLimit => f.write_str("operation cancelled: actual cost limit exceeded"),
        }
    }
}

impl std::error::Error for Failure {}

/// Counts what evaluation costs, up to a limit.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    spent: u64,
    limit: u64,
}

impl Meter {
    /// With a limit.
    pub fn new(limit: u64) -> Meter {
        Meter { spent: 0, limit }
    }

    /// What was spent so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// What may still be spent.
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.spent)
    }

    /// Gives back what was paid since `before`, up to an amount.
    fn refund(&mut self, amount: u64, before: u64) {
        self.spent = self.spent.saturating_sub(amount.min(self.spent - before));
    }

    /// Pays, or ends everything.
    pub fn spend(&mut self, cost: u64) -> Result<(), Failure> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limit { Err(Failure::CostLimit) } else { Ok(()) }
    }
}

impl Program {
    pub(crate) fn plan(checked: Checked) -> Result<Program, Failure> {
        let output = checked.output().clone();
        Ok(Program { root: plan::plan(&checked)?, output })
    }

    /// The type of what it gives.
    pub fn output(&self) -> &Type {
        &self.output
    }

    /// Evaluates with the values of the environment's variables, in their order, at most at the cost of one call.
    pub fn evaluate<'a>(&'a self, variables: &[Value<'a>]) -> Evaluation<'a> {
        self.evaluate_within(variables, PER_CALL_LIMIT)
    }

    /// As [`Program::evaluate`], with another limit.
    pub fn evaluate_within<'a>(&'a self, variables: &[Value<'a>], limit: u64) -> Evaluation<'a> {
        let mut meter = Meter::new(limit);
        let result = run::run(&self.root, variables, &mut meter);
        Evaluation { result, cost: meter.spent() }
    }
}
