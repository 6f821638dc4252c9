//! What can be said of literals before anything is evaluated: durations, timestamps, patterns, formats, mixed lists.
//!
//! Upstream: cel-go cel/validator.go, ext.ValidateFormatStrings.

use crate::library;
use crate::source::Issue;
use crate::syntax::{Expr, Kind, Literal};
use crate::types::Type;

/// All issues of a tree whose types are known.
pub(super) fn validate(expr: &mut Expr, types: &[Type]) -> Vec<Issue> {
    let mut issues = Vec::new();
    visit(expr, types, false, &mut issues);
    issues
}

fn visit(expr: &mut Expr, types: &[Type], mixed: bool, issues: &mut Vec<Issue>) {
    let mut formats = false;
    match &expr.kind {
        Kind::Call { target, function, args } => {
            formats = function == "format" && target.is_some();
            call(expr.at, target.as_deref(), function, args, types, issues);
        }
        Kind::List(items) if !mixed => {
            let elements = items.iter().map(|item| (&item.value, item.optional));
            homogeneous(elements, types, issues);
        }
        Kind::Map(entries) if !mixed => {
            homogeneous(entries.iter().map(|entry| (&entry.key, false)), types, issues);
            homogeneous(entries.iter().map(|entry| (&entry.value, entry.optional)), types, issues);
        }
        _ => {}
    }
    expr.for_each_child(&mut |child| visit(child, types, mixed || formats, issues));
}

fn call(own: usize, target: Option<&Expr>, function: &str, args: &[Expr], types: &[Type], issues: &mut Vec<Issue>) {
    let last = args.last();
    let literal = |expr: Option<&Expr>| match expr.map(|expr| &expr.kind) {
        Some(Kind::Literal(Literal::String(text))) => Some(text.clone()),
        _ => None,
    };
    let at = last.map_or(0, |arg| arg.at);
    match (function, literal(last)) {
        ("duration", Some(text)) if api::duration::parse(&text).is_err() => {
            issues.push(Issue::new(at, "invalid duration argument"));
        }
        ("timestamp", Some(text)) if library::parse_timestamp(&text).is_none() => {
            issues.push(Issue::new(at, "invalid timestamp argument"));
        }
        ("matches", Some(text)) if library::compile_regex(&text).is_err() => {
            issues.push(Issue::new(at, "invalid matches argument"));
        }
        ("format", _) => {
            if let (Some(text), Some(Expr { kind: Kind::List(items), .. })) = (literal(target), last) {
                let arguments: Vec<(usize, &Type)> =
                    items.iter().map(|item| (item.value.at, &types[item.value.id])).collect();
                issues.extend(library::check_format(&text, own, &arguments));
            }
        }
        _ => {}
    }
}

/// Literals of lists and maps hold one type, also where dyn would allow more.
fn homogeneous<'e>(elements: impl Iterator<Item = (&'e Expr, bool)>, types: &[Type], issues: &mut Vec<Issue>) {
    let mut first: Option<&Type> = None;
    for (element, optional) in elements {
        let of = &types[element.id];
        let of = if optional { of.as_optional().unwrap_or(of) } else { of };
        match first {
            None => first = Some(of),
            Some(expected) if !same(expected, of) => {
                issues.push(Issue::new(element.at, format!("expected type '{expected}' but found '{of}'")));
                return;
            }
            Some(_) => {}
        }
    }
}

/// The same type; of types themselves, all are one.
fn same(left: &Type, right: &Type) -> bool {
    matches!((left, right), (Type::Type(_), Type::Type(_))) || left == right
}
