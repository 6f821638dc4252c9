//! Holding a value to its schema, with upstream's findings in upstream's words.
//!
//! A finding is told once however many ways lead to it, and where alternatives fail (`anyOf`, `oneOf`) the findings of the
//! one that matched best are told: [`Outcome`] counts what matched. On an update, what is as it was is not complained
//! about ([`validate_update`]), as far as old and new values can be told to belong together.
//! Upstream: kube-openapi/pkg/validation/validate and apiextensions-apiserver/pkg/apiserver/validation.

mod numbers;

use json::{Map, Value};

use super::{Additional, Checks, Kind, Node};
use crate::field::{BadValue, Error, ErrorList, ErrorType, Path};
use crate::go_text;
use crate::schema::{ListType, Name};

/// Validates a value; `place` goes before the paths of what is found.
pub fn validate(value: &Value, node: &Node, place: &Path) -> ErrorList {
    check(node, value, None, "").errors(place)
}

/// As [`validate`], but silent about what is as it was in `old`.
pub fn validate_update(value: &Value, old: &Value, node: &Node, place: &Path) -> ErrorList {
    ratcheted(node, value, Some(old), "").errors(place)
}

/// What one look at a value gave.
#[derive(Debug, Default)]
struct Outcome {
    findings: Vec<Finding>,
    /// How much was as it should be: alternatives are compared by it.
    matched: usize,
}

/// One finding.
#[derive(Clone, Debug)]
struct Finding {
    /// Where; None for findings about a schema as a whole, which name their place in the message.
    path: Option<String>,
    kind: ErrorType,
    value: BadValue,
    message: String,
    /// What is shown behind the value.
    detail: String,
}

impl Finding {
    fn invalid(path: &str, value: impl Into<BadValue>, message: String) -> Finding {
        let (path, detail) = (Some(path.to_owned()), message.clone());
        Finding { path, kind: ErrorType::Invalid, value: value.into(), message, detail }
    }

    /// About the whole.
    fn composite(message: String) -> Finding {
        Finding { path: None, kind: ErrorType::Invalid, value: "".into(), detail: message.clone(), message }
    }

    fn wrong_type(path: &str, wanted: &str, found: &str) -> Finding {
        let message = format!("{path} in body must be of type {wanted}: {}", go_text::quote(found));
        Finding { kind: ErrorType::TypeInvalid, ..Finding::invalid(path, found, message) }
    }

    fn required(path: String) -> Finding {
        let message = format!("{path} in body is required");
        Finding { kind: ErrorType::Required, detail: String::new(), ..Finding::invalid(&path, "", message) }
    }

    fn too_many(path: &str, count: usize, most: i64, what: &str) -> Finding {
        let message = format!("{path} in body should have at most {most} {what}");
        let unit = if most == 1 { "item" } else { "items" };
        let detail = format!("must have at most {most} {unit}");
        Finding { kind: ErrorType::TooMany, detail, ..Finding::invalid(path, count, message) }
    }

    fn error(self, place: &Path) -> Error {
        let path = self.path.unwrap_or_default();
        let path = path.strip_prefix('.').unwrap_or(&path);
        let place = if path.is_empty() { place.clone() } else { place.child(path.to_owned()) };
        Error::new(self.kind, &place, self.value, self.detail)
    }
}

impl Outcome {
    fn add(&mut self, finding: Finding) {
        if !self.findings.iter().any(|known| known.message == finding.message) {
            self.findings.push(finding);
        }
    }

    fn merge(&mut self, other: Outcome) {
        other.findings.into_iter().for_each(|finding| self.add(finding));
        self.matched += other.matched;
    }

    fn is_valid(&self) -> bool {
        self.findings.is_empty()
    }

    fn errors(self, place: &Path) -> ErrorList {
        self.findings.into_iter().map(|finding| finding.error(place)).collect()
    }
}

/// The value of a field or item: what is wrong with it counts only if it is new.
fn ratcheted(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = check(node, value, old, path);
    if !outcome.is_valid() && old.is_some_and(|old| is_as_it_was(node, value, old)) {
        outcome.findings.clear();
    }
    outcome
}

/// Is a value what it was? What has no past is new: an item of a map that lacks a key, a field the schema does not know.
/// Upstream: `CorrelatedObject.CachedDeepEqual`.
fn is_as_it_was(node: &Node, value: &Value, old: &Value) -> bool {
    match (value, old, node.items.as_deref()) {
        (Value::Array(items), Value::Array(before), Some(inner)) if node.list_type == ListType::Map => {
            let as_it_was = |item| earlier_item(node, old, item).is_some_and(|old| is_as_it_was(inner, item, old));
            items.len() == before.len() && items.iter().all(as_it_was)
        }
        (Value::Object(fields), Value::Object(before), _) => {
            let as_it_was = |(name, value): (&json::Text, &Value)| {
                let inner = node.property(name).or(node.additional.values());
                inner.zip(before.get(name)).is_some_and(|(inner, old)| is_as_it_was(inner, value, old))
            };
            fields.len() == before.len() && fields.iter().all(as_it_was)
        }
        _ => value == old,
    }
}

fn check(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let checks = node.checks.as_deref();
    let demands_type = node.kind.is_some() || node.int_or_string;
    if value.is_null() {
        if demands_type && !node.nullable {
            outcome.add(Finding::wrong_type(path, types(node), "null"));
        } else {
            outcome.matched += 1;
        }
        outcome.add_all(checks.and_then(|checks| enumeration(checks, value, path)));
        return outcome;
    }
    if demands_type || checks.is_some_and(|checks| checks.format.is_some()) {
        match wrong_type(node, value, path) {
            Some(finding) => outcome.add(finding),
            None => outcome.matched += 1,
        }
        outcome.matched += 1;
    }
    outcome.merge(alternatives(checks, value, old, path));
    outcome.matched += 1;
    match value {
        Value::String(text) => {
            outcome.add_all(checks.and_then(|checks| string(checks, text, path)));
            outcome.matched += 1;
            if let Some(format) = checks.and_then(|checks| checks.format).filter(|format| format.is_of_strings()) {
                if !format.matches(text) {
                    outcome.add(Finding::wrong_type(path, format.name(), text));
                }
                outcome.matched += 1;
            }
        }
        Value::Number(number) => {
            outcome.merge(numbers::check(node, number, path));
            outcome.matched += 1;
        }
        Value::Array(items) => {
            outcome.merge(list(node, items, old, path));
            outcome.matched += 1;
        }
        _ => {}
    }
    outcome.add_all(checks.and_then(|checks| enumeration(checks, value, path)));
    outcome.matched += 1;
    if let Value::Object(fields) = value {
        outcome.merge(object(node, fields, old, path));
        outcome.matched += 1;
    }
    outcome.matched += 1;
    outcome
}

impl Outcome {
    fn add_all(&mut self, finding: Option<Finding>) {
        finding.into_iter().for_each(|finding| self.add(finding));
    }
}

fn types(node: &Node) -> &'static str {
    if node.int_or_string { "integer,string" } else { node.kind.map_or("", Kind::name) }
}

fn is_of(node: &Node, kind: Kind) -> bool {
    if node.int_or_string { matches!(kind, Kind::Integer | Kind::String) } else { node.kind == Some(kind) }
}

fn wrong_type(node: &Node, value: &Value, path: &str) -> Option<Finding> {
    let found = match value {
        Value::Null => return None,
        Value::Bool(_) => Kind::Boolean,
        Value::String(_) => Kind::String,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
        Value::Number(number) if number.is_i64() => Kind::Integer,
        Value::Number(_) => Kind::Number,
    };
    let whole = found == Kind::Number && is_of(node, Kind::Integer) && value.as_f64().is_some_and(numbers::is_whole);
    let fits = is_of(node, found) || whole || (found == Kind::Integer && is_of(node, Kind::Number));
    let format = node.checks.as_ref().and_then(|checks| checks.format);
    if let Some(format) = format {
        let textual = matches!(found, Kind::String | Kind::Array);
        let numeric = is_of(node, Kind::Number) || is_of(node, Kind::Integer);
        let own = match found {
            Kind::Integer => "int64",
            Kind::Number => "float64",
            _ => "",
        };
        if !textual && !fits && own != format.name() {
            return Some(Finding::wrong_type(path, format.name(), own));
        }
        if textual && !numeric {
            return None;
        }
    }
    (!fits).then(|| Finding::wrong_type(path, types(node), found.name()))
}

/// `anyOf`, `oneOf`, `allOf` and `not`.
fn alternatives(checks: Option<&Checks>, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome { matched: 1, ..Outcome::default() };
    let Some(checks) = checks else { return outcome };
    let of = |node: &Node| check(node, value, old, path);
    let quoted = || go_text::quote(path);
    if !checks.any_of.is_empty() {
        let mut best: Option<Outcome> = None;
        let mut success = None;
        for alternative in &checks.any_of {
            let result = of(alternative);
            if result.is_valid() {
                success = Some(result);
                break;
            }
            if best.as_ref().is_none_or(|best| result.matched > best.matched) {
                best = Some(result);
            }
        }
        if success.is_none() {
            outcome.add(Finding::composite(format!("{} must validate at least one schema (anyOf)", quoted())));
        }
        success.or(best).into_iter().for_each(|result| outcome.merge(result));
    }
    if !checks.one_of.is_empty() {
        let (mut best, mut success): (Option<Outcome>, Option<Outcome>) = (None, None);
        let mut valid = 0;
        for alternative in &checks.one_of {
            let result = of(alternative);
            if result.is_valid() {
                valid += 1;
                success = success.or(Some(result));
            } else if valid == 0 && best.as_ref().is_none_or(|best| result.matched > best.matched) {
                best = Some(result);
            }
        }
        if valid == 1 {
            success.into_iter().for_each(|result| outcome.merge(result));
        } else {
            let found =
                if valid == 0 { "Found none valid".to_owned() } else { format!("Found {valid} valid alternatives") };
            let message = format!("{} must validate one and only one schema (oneOf). {found}", quoted());
            outcome.add(Finding::composite(message));
            best.filter(|_| valid == 0).into_iter().for_each(|best| outcome.merge(best));
        }
    }
    if !checks.all_of.is_empty() {
        let mut valid = 0;
        for part in &checks.all_of {
            let result = of(part);
            valid += usize::from(result.is_valid());
            outcome.merge(result);
        }
        if valid < checks.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            outcome.add(Finding::composite(format!("{} must validate all the schemas (allOf){none}", quoted())));
        }
    }
    if checks.not.as_deref().is_some_and(|not| of(not).is_valid()) {
        outcome.add(Finding::composite(format!("{} must not validate the schema (not)", quoted())));
    }
    outcome
}

/// The first fault of a string.
fn string(checks: &Checks, text: &str, path: &str) -> Option<Finding> {
    let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(most) = checks.max_length.filter(|most| length() > *most) {
        let message = format!("{path} in body should be at most {most} chars long");
        let unit = if most == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {most} {unit}");
        return Some(Finding { kind: ErrorType::TooLong, detail, ..Finding::invalid(path, text, message) });
    }
    if let Some(least) = checks.min_length.filter(|least| length() < *least) {
        return Some(Finding::invalid(path, text, format!("{path} in body should be at least {least} chars long")));
    }
    let pattern = checks.pattern.as_ref()?;
    let message = match pattern.matches(text) {
        Ok(true) => return None,
        Ok(false) => format!("{path} in body should match '{}'", pattern.text()),
        Err(error) => format!("{path} in body should match '{}, but pattern is invalid: {error}'", pattern.text()),
    };
    Some(Finding::invalid(path, text, message))
}

fn enumeration(checks: &Checks, value: &Value, path: &str) -> Option<Finding> {
    let is = |allowed: &&Value| match (value, allowed) {
        (Value::Null, _) => false,
        (Value::Number(value), Value::Number(allowed)) => numbers::equal(value, allowed),
        (value, allowed) => value == *allowed,
    };
    if checks.enumeration.is_empty() || checks.enumeration.iter().any(|allowed| is(&allowed)) {
        return None;
    }
    let text = |value: &Value| value.as_str().map_or_else(|| go_text::json(value), str::to_owned);
    let supported: Vec<String> = checks.enumeration.iter().map(|value| go_text::quote(&text(value))).collect();
    let message = format!("{path} in body should be one of [{}]", supported.join(" "));
    let detail = format!("supported values: {}", supported.join(", "));
    Some(Finding { kind: ErrorType::NotSupported, detail, ..Finding::invalid(path, value.clone(), message) })
}

fn list(node: &Node, items: &[Value], old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome { matched: 1, ..Outcome::default() };
    if let Some(inner) = node.items.as_deref() {
        for (index, item) in items.iter().enumerate() {
            let old = old.and_then(|old| earlier_item(node, old, item));
            outcome.merge(ratcheted(inner, item, old, &format!("{path}[{index}]")));
        }
    }
    let Some(checks) = node.checks.as_deref() else { return outcome };
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if let Some(least) = checks.min_items.filter(|least| count < *least) {
        let message = format!("{path} in body should have at least {least} items");
        outcome.add(Finding::invalid(path, count, message));
    }
    if let Some(most) = checks.max_items.filter(|most| count > *most) {
        outcome.add(Finding::too_many(path, items.len(), most, "items"));
    }
    if checks.unique_items && (1..items.len()).any(|index| items[..index].contains(&items[index])) {
        outcome.add(Finding::invalid(path, "", format!("{path} in body shouldn't contain duplicates")));
    }
    outcome
}

/// The item of the old list that has the new one's keys. Items of other lists have no past.
/// Upstream: `CorrelatedObject.Index`.
fn earlier_item<'o>(node: &Node, old: &'o Value, item: &Value) -> Option<&'o Value> {
    if node.list_type != ListType::Map {
        return None;
    }
    let key = |key: &Name| item.get(key.as_ref());
    let same = |other: &&Value| {
        node.map_keys.iter().all(|name| key(name).is_some_and(|value| other.get(name.as_ref()) == Some(value)))
    };
    old.as_array()?.iter().find(same)
}

fn object(node: &Node, fields: &Map, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let checks = node.checks.as_deref();
    let count = i64::try_from(fields.len()).unwrap_or(i64::MAX);
    if let Some(least) = checks.and_then(|checks| checks.min_properties).filter(|least| count < *least) {
        let message = format!("{path} in body should have at least {least} properties");
        outcome.add(Finding::invalid(path, count, message));
    }
    if let Some(most) = checks.and_then(|checks| checks.max_properties).filter(|most| count > *most) {
        outcome.add(Finding::too_many(path, fields.len(), most, "properties"));
    }
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, value) in fields {
        // What the root is and is called is not seen to change: old and new are of one version.
        let typed = path.is_empty() && matches!(name.as_str(), "kind" | "apiVersion");
        let old = old.filter(|_| node.is_correlatable() && !typed).and_then(|old| old.get(name));
        match (node.property(name), &node.additional) {
            (Some(property), _) => outcome.merge(ratcheted(property, value, old, &within(name))),
            (None, Additional::Values(values)) => {
                outcome.merge(ratcheted(values, value, old, &format!("{path}.{name}")));
            }
            (None, Additional::Nothing) => {
                let message = format!("{path}.{name} in body is a forbidden property");
                outcome.add(Finding::invalid(path, name.as_str(), message));
            }
            (None, Additional::Unset | Additional::Anything) => {}
        }
    }
    for name in checks.into_iter().flat_map(|checks| &checks.required) {
        if !fields.contains_key(name.as_ref()) {
            outcome.add(Finding::required(format!("{path}.{name}")));
        }
    }
    outcome
}
