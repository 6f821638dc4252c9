//! Rules at work on an object, and what is forgiven because it was so before (ratcheting).
//!
//! Upstream: schema/cel.Validator.Validate.

use api::field::{BadValue, Error, ErrorList, Path};
use expressions::{Evaluation, Failure, PER_CALL_LIMIT, Value as Cel};
use json::Value;

use super::compile::{Place, Rule};

/// Longest text a messageExpression may give.
const MAX_MESSAGE: usize = 5 * 1024;

/// The value before the update, as far as it can be found.
#[derive(Clone, Copy, Default)]
struct Correlated<'v> {
    /// This value and the one it was.
    own: Option<(&'v Value, &'v Value)>,
    /// The same of the nearest value above that could be found again.
    above: Option<(&'v Value, &'v Value)>,
}

impl<'v> Correlated<'v> {
    /// Is this, or what it lies in, as it was?
    fn is_unchanged(self) -> bool {
        self.own.or(self.above).is_some_and(|(new, old)| new == old)
    }

    /// For what lies in it; `old` is what was at the same place.
    fn below(self, new: &'v Value, old: Option<&'v Value>) -> Correlated<'v> {
        match self.own {
            None => self,
            Some(_) => Correlated { own: old.map(|old| (new, old)), above: self.own },
        }
    }
}

/// Evaluates all rules; ends where the budget does.
pub(super) fn evaluate(place: &Place, new: &Value, old: Option<&Value>, budget: u64) -> ErrorList {
    let mut run = Run { errors: ErrorList::new(), remaining: budget };
    let correlated = Correlated { own: old.map(|old| (new, old)), above: None };
    // What is left when it ends early is nobody's business.
    let _ = run.place(place, &Path::nil(), new, old, correlated);
    run.errors
}

struct Run {
    errors: ErrorList,
    remaining: u64,
}

/// The budget is spent.
struct Spent;

impl Run {
    fn place(
        &mut self,
        place: &Place,
        path: &Path,
        new: &Value,
        old: Option<&Value>,
        correlated: Correlated<'_>,
    ) -> Result<(), Spent> {
        if new.is_null() {
            return Ok(());
        }
        self.rules(place, path, new, old, correlated)?;
        for inner in &place.all_of {
            self.place(inner, path, new, old, Correlated { own: None, above: correlated.above })?;
        }
        match new {
            Value::Array(items) => {
                let Some(inner) = &place.items else { return Ok(()) };
                let old_items = old.and_then(Value::as_array);
                for (index, item) in items.iter().enumerate() {
                    let old =
                        place.map_keys.as_ref().zip(old_items).and_then(|(keys, items)| same_key(keys, item, items));
                    self.place(inner, &path.index(index), item, old, correlated.below(item, old))?;
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let old = old.and_then(|old| old.get(name));
                    if let Some(inner) = &place.additional {
                        self.place(inner, &path.key(name.as_str()), value, old, correlated.below(value, old))?;
                    }
                    if let Some(inner) = place.properties.get(name.as_str()) {
                        let is_root = correlated.above.is_none();
                        let below = if is_root && matches!(name.as_str(), "apiVersion" | "kind") {
                            Correlated::default()
                        } else {
                            correlated.below(value, old)
                        };
                        self.place(inner, &path.child(name.to_string()), value, old, below)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn invalid(&mut self, path: &Path, place: &Place, detail: impl Into<String>) {
        self.errors.push(Error::invalid(path, place.kind.as_str(), detail));
    }

    fn rules(
        &mut self,
        place: &Place,
        path: &Path,
        new: &Value,
        old: Option<&Value>,
        correlated: Correlated<'_>,
    ) -> Result<(), Spent> {
        let Some(schema) = &place.schema else { return Ok(()) };
        let values = Cel::from_json(new, Some(schema)).and_then(|own| {
            let old = old.map(|old| Cel::from_json(old, Some(schema))).transpose()?;
            Ok((own, old))
        });
        for rule in &place.rules {
            let program = match &rule.program {
                None => continue,
                Some(Err(why)) => {
                    self.invalid(path, place, format!("rule compile error: {why}"));
                    continue;
                }
                Some(Ok(program)) => program,
            };
            if rule.uses_old_self && old.is_none() && !rule.optional_old_self {
                continue;
            }
            let (own, old) = match &values {
                Ok(values) => values.clone(),
                Err(why) => {
                    self.invalid(path, place, format!("{why} evaluating rule: {}", named(rule)));
                    continue;
                }
            };
            let old = match (rule.optional_old_self, old) {
                (true, Some(old)) => Cel::some(old),
                (true, None) => Cel::NONE,
                (false, old) => old.unwrap_or(Cel::Null),
            };
            let variables = [own, old];
            let Evaluation { result, cost } = program.evaluate_within(&variables, PER_CALL_LIMIT);
            match self.remaining.checked_sub(cost) {
                Some(remaining) => self.remaining = remaining,
                None => {
                    let detail =
                        "validation failed due to running out of cost budget, no further validation rules will be run";
                    self.invalid(path, place, detail);
                    return Err(Spent);
                }
            }
            match result {
                Ok(Cel::Bool(true)) => {}
                Ok(_) => {
                    let error = self.refused(place, path, rule, new, &variables);
                    // What was so before, and is no matter of change, is forgiven.
                    if rule.uses_old_self || !correlated.is_unchanged() {
                        self.errors.push(error);
                    }
                }
                Err(Failure::CostLimit) => {
                    let why = Failure::CostLimit;
                    let detail = format!(
                        "'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                        named(rule)
                    );
                    self.invalid(path, place, detail);
                    return Err(Spent);
                }
                Err(why) if why.to_string().starts_with("no such overload") => {
                    let detail = format!(
                        "'{why}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                        named(rule)
                    );
                    self.invalid(path, place, detail);
                }
                Err(why) => self.invalid(path, place, format!("{why} evaluating rule: {}", named(rule))),
            }
        }
        Ok(())
    }

    /// The error of a rule that does not hold.
    fn refused(&mut self, place: &Place, path: &Path, rule: &Rule, new: &Value, variables: &[Cel<'_>; 2]) -> Error {
        let message = self.message(rule, variables);
        let detail = message.unwrap_or_else(|| match rule.message.is_empty() {
            true => format!("failed rule: {}", rule.text.trim()),
            false => rule.message.trim().to_owned(),
        });
        let path = match &rule.field_path {
            Some(below) => path.child(below.clone()),
            None => path.clone(),
        };
        let is_large = matches!(place.kind.as_str(), "object" | "array");
        let value = if is_large { BadValue::Omitted } else { BadValue::Value(new.clone()) };
        match rule.reason.as_str() {
            "FieldValueForbidden" => Error::forbidden(&path, detail),
            "FieldValueRequired" => Error::required(&path, detail),
            "FieldValueDuplicate" => Error { detail, ..Error::duplicate(&path, value) },
            _ => Error::invalid(&path, value, detail),
        }
    }

    /// What messageExpression gives, if that can be shown.
    fn message(&mut self, rule: &Rule, variables: &[Cel<'_>; 2]) -> Option<String> {
        let program = rule.message_expression.as_ref()?.program.as_ref().ok()?;
        let Evaluation { result, cost } = program.evaluate_within(variables, PER_CALL_LIMIT.min(self.remaining));
        self.remaining = self.remaining.saturating_sub(cost);
        let Ok(Cel::String(text)) = result else { return None };
        let text = text.trim();
        (!text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains(['\n', '\r'])).then(|| text.to_owned())
    }
}

/// A rule in a message: its own, if it has one.
fn named(rule: &Rule) -> &str {
    if rule.message.is_empty() { rule.text.trim() } else { rule.message.trim() }
}

/// The item of the old list with the same keys.
fn same_key<'v>(keys: &[String], item: &Value, old: &'v [Value]) -> Option<&'v Value> {
    if keys.iter().any(|key| item.get(key).is_none_or(|value| value.is_null() || value.is_object() || value.is_array()))
    {
        return None;
    }
    old.iter().find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))
}
