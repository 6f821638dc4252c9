//! What is wrong with the rules of a definition: expressions that do not compile, and those that cost too much. Their texts are in
//! order: [`super::super::validation`] saw to it, and nothing is checked here behind an error of its.
//!
//! Costs are those of the worst object a request can hold, times how often the place can occur in it.
//! Upstream: apiextensions validation.ValidateCustomResourceDefinitionOpenAPISchema, CELSchemaContext.

use api::field::{BadValue, Error, ErrorList, Path};
use json::{Value, json};

use super::compile::{Place, Rule};

/// Most one rule may cost.
const RULE_LIMIT: u64 = 10_000_000;
/// Most all rules of a schema may cost.
const SCHEMA_LIMIT: u64 = 100_000_000;
/// So many of the most expensive rules are named.
const NAMED: usize = 4;

/// Checks the schema of a version (`openAPIV3Schema`); `path` is that of the schema.
pub(crate) fn check(schema: &Value, path: &Path, stored: bool) -> ErrorList {
    let mut check = Check { errors: ErrorList::new(), costs: Vec::new(), stored };
    check.place(schema, path, true, Some(1), None);
    let total = check.costs.iter().fold(0_u64, |total, (_, cost)| total.saturating_add(*cost));
    if total > SCHEMA_LIMIT {
        check.costs.retain(|(_, cost)| *cost >= SCHEMA_LIMIT / 100);
        check.costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        for (path, _) in check.costs.iter().take(NAMED) {
            let detail = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            check.errors.push(Error::forbidden(path, detail));
        }
        let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        check.errors.push(Error::forbidden(path, too_expensive(name, total, SCHEMA_LIMIT)));
    }
    check.errors
}

/// Checks all versions of a definition. Schemas that are all the same are one, as upstream keeps them. Rules of an update's
/// schema that was so before are stored ones.
pub(crate) fn check_definition(new: &Value, old: Option<&Value>) -> ErrorList {
    let versions = new["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    let is_stored = |own: &Value| {
        let before = old.and_then(|old| old["spec"]["versions"].as_array());
        before.into_iter().flatten().any(|version| schema(version) == *own)
    };
    let spec = Path::new("spec");
    if let Some((first, rest)) = versions.split_first()
        && rest.iter().all(|version| version["schema"] == first["schema"])
    {
        let own = schema(first);
        return check(&own, &spec.child("validation").child("openAPIV3Schema"), is_stored(&own));
    }
    let mut errors = ErrorList::new();
    for (index, version) in versions.iter().enumerate() {
        let own = schema(version);
        let path = spec.child("versions").index(index).child("schema").child("openAPIV3Schema");
        errors.extend(check(&own, &path, is_stored(&own)));
    }
    errors
}

struct Check {
    errors: ErrorList,
    costs: Vec<(Path, u64)>,
    stored: bool,
}

impl Check {
    /// `cardinality` is how often the place can occur, None without bound; `uncorrelated` the list above whose items are not found
    /// again after an update.
    fn place(
        &mut self,
        schema: &Value,
        path: &Path,
        is_root: bool,
        cardinality: Option<u64>,
        uncorrelated: Option<&Path>,
    ) {
        let below = cardinality.and_then(|count| Some(count.saturating_mul(most_elements(schema)?)));
        let additional = path.child("additionalProperties");
        if let Some(inner @ Value::Object(_)) = schema.get("additionalProperties") {
            self.place(inner, &additional, false, below, uncorrelated);
        }
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            self.place(inner, &path.child("properties").key(name.as_str()), false, below, uncorrelated);
        }
        if let Some(inner @ Value::Object(_)) = schema.get("items") {
            let is_map = schema["x-kubernetes-list-type"] == "map";
            let uncorrelated = if is_map { uncorrelated } else { Some(uncorrelated.unwrap_or(path)) };
            self.place(inner, &path.child("items"), false, below, uncorrelated);
        }
        let Some(rules) = schema["x-kubernetes-validations"].as_array() else { return };
        let Some(place) = Place::compile_alone(schema, is_root, self.stored) else { return };
        let count =
            cardinality.or_else(|| place.schema.as_ref().map(expressions::Schema::max_cardinality)).unwrap_or(1);
        for (index, (written, rule)) in rules.iter().zip(&place.rules).enumerate() {
            self.rule(written, rule, &path.child("x-kubernetes-validations").index(index), count, uncorrelated);
        }
    }

    fn rule(&mut self, written: &Value, rule: &Rule, path: &Path, count: u64, uncorrelated: Option<&Path>) {
        let (at, at_message) = (path.child("rule"), path.child("messageExpression"));
        let cost = rule.cost.saturating_mul(count);
        if cost > RULE_LIMIT {
            self.errors.push(Error::forbidden(&at, too_expensive("estimated rule cost", cost, RULE_LIMIT)));
        }
        self.costs.push((at.clone(), cost));
        if let Some(Err(why)) = &rule.program {
            self.errors.push(Error::invalid(&at, shown(written), why.as_str()));
        }
        if let Some(message) = &rule.message_expression {
            if let Err(why) = &message.program {
                self.errors.push(Error::invalid(&at_message, shown(written), why.as_str()));
            } else if message.cost > RULE_LIMIT {
                let detail = too_expensive("estimated messageExpression cost", message.cost, RULE_LIMIT);
                self.errors.push(Error::forbidden(&at_message, detail));
            }
            self.costs.push((at_message, message.cost));
        }
        if rule.uses_old_self {
            if let Some(list) = uncorrelated {
                let detail =
                    format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
                self.errors.push(Error::invalid(&at, rule.text.as_str(), detail));
            }
        } else if let Some(optional) = written.get("optionalOldSelf").filter(|value| !value.is_null()) {
            let detail = "may not be set if oldSelf is not used in rule";
            self.errors.push(Error::invalid(&path.child("optionalOldSelf"), optional.clone(), detail));
        }
    }
}

/// How many values the value of a schema holds at most; None without bound.
fn most_elements(schema: &Value) -> Option<u64> {
    let bound = |key: &str| schema[key].as_i64().map(|bound| bound.max(0).unsigned_abs());
    match schema["type"].as_str() {
        Some("object") if schema.get("additionalProperties").is_some() => bound("maxProperties"),
        Some("array") => bound("maxItems"),
        _ => Some(1),
    }
}

/// A rule as upstream shows it.
fn shown(rule: &Value) -> BadValue {
    let text = |key: &str| rule[key].as_str().unwrap_or_default();
    BadValue::Value(json!({
        "Rule": text("rule"),
        "Message": text("message"),
        "MessageExpression": text("messageExpression"),
        "Reason": rule["reason"],
        "FieldPath": text("fieldPath"),
        "OptionalOldSelf": rule["optionalOldSelf"],
    }))
}

fn too_expensive(name: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        _ if factor > 100.0 => "more than 100x".to_owned(),
        _ if factor < 1.5 => format!("{factor:.6}x"),
        _ => format!("{factor:.1}x"),
    };
    format!(
        "{name} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
