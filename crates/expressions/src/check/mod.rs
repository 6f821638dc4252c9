//! Finds the type of each node and what each name means; afterwards an expression can only fail for its values.
//!
//! [`check`] also rewrites names: `a.b` that is one name becomes one, `strings.quote(x)` a call without a target.
//! Upstream: cel-go checker, cel/validator.go.

mod estimate;
mod literals;
mod sizes;

use std::sync::Arc;

pub(crate) use estimate::{compares_by_size, estimate, is_nominal};
pub use sizes::{SchemaSizes, SizeEstimate, Sizes, UnknownSizes};

use crate::environment::Environment;
use crate::library::{self, Overload};
use crate::source::Issue;
use crate::syntax::{Expr, Fold, Item, Kind, Literal, MapEntry, operator};
use crate::types::{Substitution, Type, most_general};

/// What a name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Reference {
    /// A variable of the environment, by its index.
    Variable(usize),
    /// The variable of a macro.
    Local(String),
    /// A type.
    Type(Arc<str>),
    /// The overloads that may be meant.
    Overloads(Vec<&'static Overload>),
    /// `a.?b`
    OptionalField,
}

/// Types and meanings, by the numbers of the nodes.
type Findings = (Vec<Type>, Vec<Option<Reference>>);

/// Checks a tree of so many nodes.
pub(crate) fn check(environment: &Environment, expr: &mut Expr, nodes: usize) -> Result<Findings, Vec<Issue>> {
    let mut checker = Checker {
        environment,
        types: vec![Type::Error; nodes],
        references: vec![None; nodes],
        substitution: Substitution::default(),
        locals: Vec::new(),
        variables: 0,
        issues: Vec::new(),
    };
    checker.check(expr);
    if checker.issues.is_empty() {
        let Checker { mut types, references, substitution, .. } = checker;
        for of in &mut types {
            *of = substitution.apply(of, true);
        }
        let issues = literals::validate(expr, &types);
        return if issues.is_empty() { Ok((types, references)) } else { Err(issues) };
    }
    Err(checker.issues)
}

struct Checker<'e> {
    environment: &'e Environment,
    types: Vec<Type>,
    references: Vec<Option<Reference>>,
    substitution: Substitution,
    /// Variables of macros, the innermost last.
    locals: Vec<(String, Type)>,
    /// Counts the type variables made so far.
    variables: usize,
    issues: Vec<Issue>,
}

impl Checker<'_> {
    fn report(&mut self, at: usize, message: String) {
        self.issues.push(Issue::new(at, message));
    }

    fn undeclared(&mut self, at: usize, name: &str) {
        self.report(at, format!("undeclared reference to '{name}' (in container '')"));
    }

    fn mismatch(&mut self, at: usize, expected: &Type, actual: &Type) {
        self.report(at, format!("expected type '{expected}' but found '{actual}'"));
    }

    fn fresh(&mut self) -> Type {
        self.variables += 1;
        Type::Param(format!("_var{}", self.variables - 1).into())
    }

    /// Checks a node and returns its type.
    fn check(&mut self, expr: &mut Expr) -> Type {
        let found = match &mut expr.kind {
            Kind::Literal(literal) => literal_type(literal),
            Kind::Ident(_) => self.ident(expr),
            Kind::Select { .. } => self.select(expr),
            Kind::Call { function, .. } if function == operator::OPTIONAL_SELECT => self.optional_select(expr),
            Kind::Call { .. } => self.call(expr),
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Struct { .. } => self.message(expr),
            Kind::Fold(fold) => self.fold(fold),
        };
        self.types[expr.id] = found.clone();
        found
    }

    /// What a name means that is no macro's variable: a variable of the environment or a type.
    fn resolve(&self, name: &str) -> Option<(Type, Reference)> {
        if let Some((index, of)) = self.environment.find_variable(name) {
            return Some((of.clone(), Reference::Variable(index)));
        }
        let of = match library::named_type(name) {
            Some(of) => of,
            None if self.environment.has_object(name) => Type::Object(name.into()),
            None => return None,
        };
        Some((Type::Type(Some(Arc::new(of))), Reference::Type(name.into())))
    }

    fn ident(&mut self, expr: &mut Expr) -> Type {
        let Kind::Ident(name) = &mut expr.kind else { return Type::Error };
        let rooted = name.starts_with('.');
        let plain = name.trim_start_matches('.').to_owned();
        if !rooted && let Some((_, of)) = self.locals.iter().rev().find(|(local, _)| *local == plain) {
            self.references[expr.id] = Some(Reference::Local(plain));
            return of.clone();
        }
        match self.resolve(&plain) {
            Some((of, reference)) => {
                self.references[expr.id] = Some(reference);
                of
            }
            None => {
                let name = name.clone();
                self.undeclared(expr.at, &name);
                Type::Error
            }
        }
    }

    fn select(&mut self, expr: &mut Expr) -> Type {
        // a.b.c may be one name.
        let first_is_local = |name: &str| self.locals.iter().any(|(local, _)| local == first_segment(name));
        if let Some(name) = qualified(expr).filter(|name| !first_is_local(name))
            && let Some((of, reference)) = self.resolve(name.trim_start_matches('.'))
        {
            self.references[expr.id] = Some(reference);
            expr.kind = Kind::Ident(name);
            return of;
        }
        let at = expr.at;
        let Kind::Select { operand, field, test_only } = &mut expr.kind else { return Type::Error };
        let (field, test_only) = (field.clone(), *test_only);
        let result = self.field(at, operand, &field, false);
        if test_only { Type::Bool } else { self.substitution.apply(&result, false) }
    }

    /// The type of a field of the operand.
    fn field(&mut self, at: usize, operand: &mut Expr, field: &str, optional: bool) -> Type {
        let operand = self.check(operand);
        let operand = self.substitution.apply(&operand, false);
        let (target, is_optional) = match operand.as_optional() {
            Some(inner) => (inner.clone(), true),
            None => (operand, false),
        };
        let result = match &target {
            Type::Map(_, value) => (**value).clone(),
            Type::Object(name) => self.object_field(at, name, field),
            Type::Param(_) => {
                self.substitution.assign(&Type::Dyn, &target);
                Type::Dyn
            }
            Type::Dyn | Type::Error => Type::Dyn,
            _ => {
                self.report(at, format!("type '{target}' does not support field selection"));
                Type::Dyn
            }
        };
        if is_optional || optional { Type::optional(result) } else { result }
    }

    fn object_field(&mut self, at: usize, object: &str, field: &str) -> Type {
        match self.environment.field(object, field) {
            Some(Some(of)) => of,
            Some(None) => {
                self.report(at, format!("undefined field '{field}'"));
                Type::Error
            }
            None => {
                self.report(at, format!("unexpected failed resolution of '{object}'"));
                Type::Error
            }
        }
    }

    fn optional_select(&mut self, expr: &mut Expr) -> Type {
        let at = expr.at;
        self.references[expr.id] = Some(Reference::OptionalField);
        let Kind::Call { args, .. } = &mut expr.kind else { return Type::Error };
        let [operand, Expr { kind: Kind::Literal(Literal::String(field)), .. }] = args.as_mut_slice() else {
            return Type::Error;
        };
        let field = field.clone();
        let result = self.field(at, operand, &field, true);
        self.substitution.apply(&result, false)
    }

    fn call(&mut self, expr: &mut Expr) -> Type {
        let (at, id) = (expr.at, expr.id);
        let Kind::Call { target, function, args } = &mut expr.kind else { return Type::Error };
        for arg in args.iter_mut() {
            self.check(arg);
        }
        // a.b.c() is a function of that name, or the function c of a.b.
        if let Some(prefix) = target.as_deref().and_then(qualified) {
            let name = format!("{}.{function}", prefix.trim_start_matches('.'));
            if self.overloads(&name).is_some() {
                *target = None;
                *function = name;
            }
        }
        if let Some(target) = target {
            self.check(target);
        }
        let name = function.trim_start_matches('.').to_owned();
        let Some(overloads) = self.overloads(&name) else {
            let written = function.clone();
            self.undeclared(at, &written);
            return Type::Error;
        };
        *function = name;
        let arguments: Vec<(usize, usize)> =
            target.as_deref().into_iter().chain(args.iter()).map(|arg| (arg.id, arg.at)).collect();
        let (name, member) = (function.clone(), target.is_some());
        match name.as_str() {
            operator::AND | operator::OR => self.logical(id, overloads, &arguments),
            _ => self.resolve_overload((at, id), &name, member, overloads, &arguments),
        }
    }

    fn overloads(&self, name: &str) -> Option<&'static [Overload]> {
        if self.environment.has_function(name) { library::overloads(name) } else { None }
    }

    fn logical(&mut self, id: usize, overloads: &'static [Overload], arguments: &[(usize, usize)]) -> Type {
        self.references[id] = Some(Reference::Overloads(overloads.iter().collect()));
        let mut result = Type::Bool;
        for (arg, at) in arguments {
            let of = self.types[*arg].clone();
            if !self.substitution.assign(&of, &Type::Bool) {
                self.mismatch(*at, &Type::Bool, &of);
                result = Type::Error;
            }
        }
        result
    }

    /// The type of a call by the overloads its arguments fit. Upstream: checker.resolveOverload.
    fn resolve_overload(
        &mut self,
        (at, id): (usize, usize),
        name: &str,
        member: bool,
        overloads: &'static [Overload],
        arguments: &[(usize, usize)],
    ) -> Type {
        let arguments: Vec<Type> = arguments.iter().map(|(arg, _)| self.types[*arg].clone()).collect();
        let mut result: Option<Type> = None;
        let mut fitting = Vec::new();
        for overload in overloads.iter().filter(|overload| overload.member == member) {
            if overload.params.len() != arguments.len() {
                continue;
            }
            let mut fresh = Substitution::default();
            for param in &overload.type_params {
                let variable = self.fresh();
                fresh.bind(param.clone(), variable);
            }
            let params: Vec<Type> = overload.params.iter().map(|param| fresh.apply(param, false)).collect();
            let pairs: Vec<(&Type, &Type)> = arguments.iter().zip(&params).collect();
            if !self.substitution.assign_all(&pairs) {
                continue;
            }
            fitting.push(overload);
            let of = self.substitution.apply(&fresh.apply(&overload.result, false), false);
            result = Some(match result {
                None => of,
                Some(Type::Dyn) => Type::Dyn,
                Some(previous) if previous == of => previous,
                Some(_) => Type::Dyn,
            });
        }
        let Some(result) = result else {
            let arguments: Vec<String> =
                arguments.iter().map(|of| self.substitution.apply(of, true).to_string()).collect();
            let signature = match arguments.split_first() {
                Some((target, rest)) if member => format!("{target}.({})", rest.join(", ")),
                _ => format!("({})", arguments.join(", ")),
            };
            self.report(at, format!("found no matching overload for '{name}' applied to '{signature}'"));
            return Type::Error;
        };
        self.references[id] = Some(Reference::Overloads(fitting));
        result
    }

    /// The type of both; where there is none, `literals` says so, except for the arguments of a format.
    fn join(&mut self, previous: Option<Type>, current: Type) -> Type {
        let Some(previous) = previous else { return current };
        if self.substitution.assign(&previous, &current) {
            return most_general(&previous, &current).clone();
        }
        Type::Dyn
    }

    /// The type inside an optional where one is due.
    fn unwrapped(&mut self, at: usize, of: Type) -> Type {
        if let Some(inner) = of.as_optional() {
            return inner.clone();
        }
        if of != Type::Dyn {
            self.mismatch(at, &Type::optional(of.clone()), &of);
        }
        of
    }

    fn list(&mut self, items: &mut [Item]) -> Type {
        let mut element = None;
        for item in items {
            let mut of = self.check(&mut item.value);
            if item.optional {
                of = self.unwrapped(item.value.at, of);
            }
            element = Some(self.join(element, of));
        }
        Type::list(element.unwrap_or_else(|| self.fresh()))
    }

    fn map(&mut self, entries: &mut [MapEntry]) -> Type {
        let (mut key, mut value) = (None, None);
        for entry in entries {
            let of = self.check(&mut entry.key);
            key = Some(self.join(key, of));
            let mut of = self.check(&mut entry.value);
            if entry.optional {
                of = self.unwrapped(entry.value.at, of);
            }
            value = Some(self.join(value, of));
        }
        match (key, value) {
            (Some(key), Some(value)) => Type::map(key, value),
            _ => Type::map(self.fresh(), self.fresh()),
        }
    }

    fn message(&mut self, expr: &mut Expr) -> Type {
        let at = expr.at;
        let Kind::Struct { name, fields } = &mut expr.kind else { return Type::Error };
        let plain = name.trim_start_matches('.').to_owned();
        if !self.environment.has_object(&plain) {
            let message = match self.resolve(&plain) {
                Some((Type::Type(Some(of)), _)) => format!("'{of}' is not a message type"),
                Some((of, _)) => format!("'{of}' is not a type"),
                None => format!("undeclared reference to '{name}' (in container '')"),
            };
            self.report(at, message);
            return Type::Error;
        }
        *name = plain.clone();
        for field in fields {
            let mut of = self.check(&mut field.value);
            let declared = self.object_field(field.at, &plain, &field.name);
            if field.optional {
                of = self.unwrapped(field.value.at, of);
            }
            if !self.substitution.assign(&declared, &of) {
                let message =
                    format!("expected type of field '{}' is '{declared}' but provided type is '{of}'", field.name);
                self.report(field.at, message);
            }
        }
        Type::Object(plain.into())
    }

    fn fold(&mut self, fold: &mut Fold) -> Type {
        self.check(&mut fold.range);
        let accumulated = self.check(&mut fold.init);
        let range = self.substitution.apply(&self.types[fold.range.id].clone(), false);
        let (first, second) = match &range {
            Type::List(element) if fold.second.is_some() => (Type::Int, (**element).clone()),
            Type::List(element) => ((**element).clone(), Type::Dyn),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            Type::Dyn | Type::Error | Type::Param(_) => {
                self.substitution.assign(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            _ => {
                let message = format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.report(fold.range.at, message);
                (Type::Error, Type::Error)
            }
        };
        let outer = self.locals.len();
        self.locals.push((fold.accumulator.clone(), accumulated.clone()));
        self.locals.push((fold.variable.clone(), first));
        if let Some(name) = &fold.second {
            self.locals.push((name.clone(), second));
        }
        self.check_as(&mut fold.condition, &Type::Bool);
        self.check_as(&mut fold.step, &accumulated);
        self.locals.truncate(outer + 1);
        let result = self.check(&mut fold.result);
        self.locals.truncate(outer);
        self.substitution.apply(&result, false)
    }

    fn check_as(&mut self, expr: &mut Expr, expected: &Type) {
        let actual = self.check(expr);
        if !self.substitution.assign(expected, &actual) {
            self.mismatch(expr.at, expected, &actual);
        }
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

/// `a.b.c` as one name, where it could be one.
fn qualified(expr: &Expr) -> Option<String> {
    match &expr.kind {
        Kind::Ident(name) => Some(name.clone()),
        Kind::Select { operand, field, test_only: false } => Some(format!("{}.{field}", qualified(operand)?)),
        _ => None,
    }
}

fn first_segment(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}
