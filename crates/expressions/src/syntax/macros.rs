//! Calls that are no functions but loops and tests in disguise: `has`, `all`, `exists`, `map`, `filter`, `transformMap`, ...
//!
//! Each becomes a [`Fold`] (or a presence test); the new nodes lie where the call's parenthesis does.
//! Upstream: cel-go parser/macro.go, ext/comprehensions.go, ext/lists.go (sortBy), cel/library.go (optMap).

use super::parser::Parser;
use super::{ACCUMULATOR, Expr, Fold, Item, Kind, Literal, operator};

/// Name of the variable of folds that only name a value.
const UNUSED: &str = "#unused";
/// What sortBy names the list it sorts.
const SORT_INPUT: &str = "@__sortBy_input__";

/// The name, or the pair of names, a loop gives to what it visits.
type Variables = (String, Option<String>);

impl Parser<'_> {
    /// `function(args)`, or what it stands for.
    pub(super) fn global_call(&mut self, at: usize, function: &str, mut args: Vec<Expr>) -> Expr {
        if function != "has" || args.len() != 1 {
            return self.call(at, function, args);
        }
        let arg = args.remove(0);
        match arg.kind {
            Kind::Select { operand, field, .. } => self.node(at, Kind::Select { operand, field, test_only: true }),
            _ => self.failed(arg.at, "invalid argument to has() macro"),
        }
    }

    /// `target.function(args)`, or what it stands for.
    pub(super) fn member_call(&mut self, at: usize, target: Expr, function: &str, args: Vec<Expr>) -> Expr {
        match (function, args.len()) {
            ("all" | "exists" | "exists_one", 2 | 3) | ("existsOne", 3) => self.quantifier(at, target, function, args),
            ("map", 2 | 3) => self.map_macro(at, target, args),
            ("filter", 2) => self.filter_macro(at, target, args),
            ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) => {
                self.transform(at, target, function, args)
            }
            ("optMap" | "optFlatMap", 2) => self.optional_map(at, target, function, args),
            ("sortBy", 2) => self.sort_by(at, target, args),
            _ => {
                let kind = Kind::Call { target: Some(Box::new(target)), function: function.to_owned(), args };
                self.node(at, kind)
            }
        }
    }

    /// Notes the error; a literal takes the place of what could not be made.
    fn failed(&mut self, at: usize, message: impl Into<String>) -> Expr {
        self.report(at, message);
        self.literal(at, Literal::Null)
    }

    fn ident(&mut self, at: usize, name: &str) -> Expr {
        self.node(at, Kind::Ident(name.to_owned()))
    }

    fn accumulated(&mut self, at: usize) -> Expr {
        self.ident(at, ACCUMULATOR)
    }

    fn bool(&mut self, at: usize, value: bool) -> Expr {
        self.literal(at, Literal::Bool(value))
    }

    fn int(&mut self, at: usize, value: i64) -> Expr {
        self.literal(at, Literal::Int(value))
    }

    fn list_of(&mut self, at: usize, items: Vec<Expr>) -> Expr {
        self.node(at, Kind::List(items.into_iter().map(|value| Item { value, optional: false }).collect()))
    }

    /// `accumulator + [value]`
    fn appended(&mut self, at: usize, value: Expr) -> Expr {
        let accumulated = self.accumulated(at);
        let list = self.list_of(at, vec![value]);
        self.call(at, operator::ADD, vec![accumulated, list])
    }

    /// `filter ? step : accumulator`
    fn filtered(&mut self, at: usize, filter: Option<Expr>, step: Expr) -> Expr {
        match filter {
            Some(filter) => {
                let accumulated = self.accumulated(at);
                self.call(at, operator::CONDITIONAL, vec![filter, step, accumulated])
            }
            None => step,
        }
    }

    /// A loop over everything in the range whose result is the accumulator.
    fn fold_all(&mut self, at: usize, range: Expr, (variable, second): Variables, init: Expr, step: Expr) -> Expr {
        let condition = self.bool(at, true);
        let result = self.accumulated(at);
        let fold = Fold { range, variable, second, accumulator: ACCUMULATOR.to_owned(), init, condition, step, result };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    /// A name given to a value while `result` is computed.
    fn bind(&mut self, at: usize, name: &str, value: Expr, result: Expr) -> Expr {
        let fold = Fold {
            range: self.list_of(at, Vec::new()),
            variable: UNUSED.to_owned(),
            second: None,
            accumulator: name.to_owned(),
            init: value,
            condition: self.bool(at, false),
            step: self.ident(at, name),
            result,
        };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    fn quantifier(&mut self, at: usize, range: Expr, function: &str, mut args: Vec<Expr>) -> Expr {
        let names = self.variables(&mut args, SIMPLE_NAME);
        let predicate = args.remove(0);
        let (variable, second) = match names {
            Ok(names) => names,
            Err(failed) => return failed,
        };
        let accumulated = self.accumulated(at);
        let tested = self.accumulated(at);
        let (init, condition, step) = match function {
            "all" => (
                self.bool(at, true),
                self.call(at, operator::NOT_STRICTLY_FALSE, vec![tested]),
                self.call(at, operator::AND, vec![accumulated, predicate]),
            ),
            "exists" => {
                let not = self.call(at, operator::NOT, vec![tested]);
                (
                    self.bool(at, false),
                    self.call(at, operator::NOT_STRICTLY_FALSE, vec![not]),
                    self.call(at, operator::OR, vec![accumulated, predicate]),
                )
            }
            _ => {
                let one = self.int(at, 1);
                let more = self.call(at, operator::ADD, vec![accumulated, one]);
                (self.int(at, 0), self.bool(at, true), self.filtered(at, Some(predicate), more))
            }
        };
        let mut result = self.accumulated(at);
        if !matches!(function, "all" | "exists") {
            let one = self.int(at, 1);
            result = self.call(at, operator::EQUALS, vec![result, one]);
        }
        let fold = Fold { range, variable, second, accumulator: ACCUMULATOR.to_owned(), init, condition, step, result };
        self.node(at, Kind::Fold(Box::new(fold)))
    }

    fn map_macro(&mut self, at: usize, range: Expr, mut args: Vec<Expr>) -> Expr {
        let variable = match self.variable(&args[0], "argument is not an identifier") {
            Ok(name) => name,
            Err(failed) => return failed,
        };
        let filter = if args.len() == 3 { Some(args.remove(1)) } else { None };
        let transform = args.remove(1);
        let step = self.appended(at, transform);
        let step = self.filtered(at, filter, step);
        let init = self.list_of(at, Vec::new());
        self.fold_all(at, range, (variable, None), init, step)
    }

    fn filter_macro(&mut self, at: usize, range: Expr, mut args: Vec<Expr>) -> Expr {
        let variable = match self.variable(&args[0], "argument is not an identifier") {
            Ok(name) => name,
            Err(failed) => return failed,
        };
        let filter = args.remove(1);
        let step = self.appended(at, args.remove(0));
        let step = self.filtered(at, Some(filter), step);
        let init = self.list_of(at, Vec::new());
        self.fold_all(at, range, (variable, None), init, step)
    }

    fn transform(&mut self, at: usize, range: Expr, function: &str, mut args: Vec<Expr>) -> Expr {
        let filter = if args.len() == 4 { Some(args.remove(2)) } else { None };
        let names = self.variables(&mut args, SIMPLE_NAME);
        let transform = args.remove(0);
        let names = match names {
            Ok(names) => names,
            Err(failed) => return failed,
        };
        let (init, step) = if function == "transformList" {
            (self.list_of(at, Vec::new()), self.appended(at, transform))
        } else {
            let mut inserted = vec![self.accumulated(at)];
            if function == "transformMap" {
                inserted.push(self.ident(at, &names.0));
            }
            inserted.push(transform);
            (self.node(at, Kind::Map(Vec::new())), self.call(at, "cel.@mapInsert", inserted))
        };
        let step = self.filtered(at, filter, step);
        self.fold_all(at, range, names, init, step)
    }

    fn optional_map(&mut self, at: usize, target: Expr, function: &str, mut args: Vec<Expr>) -> Expr {
        let Kind::Ident(name) = args[0].kind.clone() else {
            return self.failed(args[0].at, format!("{function}() variable name must be a simple identifier"));
        };
        let result = args.remove(1);
        let copy = self.copy(&target);
        let has = self.method(at, target, "hasValue", Vec::new());
        let value = self.method(at, copy, "value", Vec::new());
        let mut bound = self.bind(at, &name, value, result);
        if function == "optMap" {
            bound = self.call(at, "optional.of", vec![bound]);
        }
        let none = self.call(at, "optional.none", Vec::new());
        self.call(at, operator::CONDITIONAL, vec![has, bound, none])
    }

    fn sort_by(&mut self, at: usize, target: Expr, args: Vec<Expr>) -> Expr {
        if matches!(target.kind, Kind::Literal(_) | Kind::Map(_) | Kind::Struct { .. }) {
            let message = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return self.failed(target.at, message);
        }
        let input = self.ident(at, SORT_INPUT);
        let keys = self.map_macro(at, input, args);
        let input = self.ident(at, SORT_INPUT);
        let sorted = self.method(at, input, "@sortByAssociatedKeys", vec![keys]);
        self.bind(at, SORT_INPUT, target, sorted)
    }

    fn method(&mut self, at: usize, target: Expr, function: &str, args: Vec<Expr>) -> Expr {
        self.node(at, Kind::Call { target: Some(Box::new(target)), function: function.to_owned(), args })
    }

    /// Takes the loop variables off the arguments: two where two more arguments follow, else one.
    fn variables(&mut self, args: &mut Vec<Expr>, message: &str) -> Result<Variables, Expr> {
        let first = args.remove(0);
        let second = if args.len() == 2 { Some(args.remove(0)) } else { None };
        let name = self.variable(&first, message)?;
        let Some(second) = second else { return Ok((name, None)) };
        let other = self.variable(&second, message)?;
        if other == name {
            return Err(self.failed(second.at, format!("duplicate variable name: {name}")));
        }
        Ok((name, Some(other)))
    }

    fn variable(&mut self, expr: &Expr, message: &str) -> Result<String, Expr> {
        match &expr.kind {
            Kind::Ident(name) if name == ACCUMULATOR || name == "__result__" => {
                Err(self.failed(expr.at, "iteration variable overwrites accumulator variable"))
            }
            Kind::Ident(name) => Ok(name.clone()),
            _ => Err(self.failed(expr.at, message)),
        }
    }

    /// The same tree with numbers of its own.
    fn copy(&mut self, expr: &Expr) -> Expr {
        let mut copy = expr.clone();
        self.renumber(&mut copy);
        copy
    }

    fn renumber(&mut self, expr: &mut Expr) {
        expr.id = self.node(0, Kind::Literal(Literal::Null)).id;
        expr.for_each_child(&mut |child| self.renumber(child));
    }
}

const SIMPLE_NAME: &str = "argument must be a simple name";

impl Expr {
    /// Visits the nodes directly below.
    pub(crate) fn for_each_child(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        match &mut self.kind {
            Kind::Literal(_) | Kind::Ident(_) => {}
            Kind::Select { operand, .. } => visit(operand),
            Kind::Call { target, args, .. } => {
                if let Some(target) = target {
                    visit(target);
                }
                args.iter_mut().for_each(visit);
            }
            Kind::List(items) => items.iter_mut().for_each(|item| visit(&mut item.value)),
            Kind::Map(entries) => entries.iter_mut().for_each(|entry| {
                visit(&mut entry.key);
                visit(&mut entry.value);
            }),
            Kind::Struct { fields, .. } => fields.iter_mut().for_each(|field| visit(&mut field.value)),
            Kind::Fold(fold) => {
                for child in [&mut fold.range, &mut fold.init, &mut fold.condition, &mut fold.step, &mut fold.result] {
                    visit(child);
                }
            }
        }
    }
}
