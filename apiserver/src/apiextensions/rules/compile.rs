//! The rules of a schema, compiled, place by place.
//!
//! A place without rules at or below it is not kept. Upstream: schema/cel.Compile, schema/cel.NewValidator.

use std::collections::BTreeMap;

use expressions::{Checked, Environment, Program, Schema, SchemaSizes, Type};
use json::Value;

/// The place of `oldSelf` among the variables; `self` is before it.
const OLD_SELF: usize = 1;

/// A place of a schema that has rules, or places with rules below it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) rules: Vec<Rule>,
    /// As rules see the value; compiled where there are any.
    pub(super) schema: Option<Schema>,
    /// `type`
    pub(super) kind: String,
    pub(super) properties: BTreeMap<String, Place>,
    pub(super) additional: Option<Box<Place>>,
    pub(super) items: Option<Box<Place>>,
    pub(super) all_of: Vec<Place>,
    /// By what items of the old list are found again.
    pub(super) map_keys: Option<Vec<String>>,
}

/// One of `x-kubernetes-validations`.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) text: String,
    pub(super) message: String,
    pub(super) reason: String,
    /// Where an error is to be, below the place.
    pub(super) field_path: Option<String>,
    /// `oldSelf` is optional, and the rule holds on creation, too.
    pub(super) optional_old_self: bool,
    pub(super) uses_old_self: bool,
    /// None where the rule is empty.
    pub(super) program: Option<Result<Program, String>>,
    /// Most it can cost.
    pub(super) cost: u64,
    pub(super) message_expression: Option<MessageExpression>,
}

/// `messageExpression`
#[derive(Debug)]
pub(super) struct MessageExpression {
    pub(super) program: Result<Program, String>,
    pub(super) cost: u64,
}

impl Place {
    /// The places of a schema with rules; None where there are none. Expressions are new or `stored` already.
    pub(super) fn compile(schema: &Value, is_root: bool, stored: bool) -> Option<Place> {
        let rules = schema["x-kubernetes-validations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let compile = |inner: &Value| Place::compile(inner, embedded(inner), stored);
        let boxed = |key: &str| schema.get(key).and_then(compile).map(Box::new);
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut place = Place {
            rules: Vec::new(),
            schema: None,
            kind: schema["type"].as_str().unwrap_or_default().to_owned(),
            properties: properties.filter_map(|(name, inner)| Some((name.to_string(), compile(inner)?))).collect(),
            additional: boxed("additionalProperties"),
            items: boxed("items"),
            all_of: schema["allOf"].as_array().into_iter().flatten().filter_map(compile).collect(),
            map_keys: (schema["x-kubernetes-list-type"] == "map").then(|| {
                let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
                keys.filter_map(Value::as_str).map(str::to_owned).collect()
            }),
        };
        place.add_rules(rules, schema, is_root, stored);
        let is_empty = place.rules.is_empty()
            && place.properties.is_empty()
            && place.additional.is_none()
            && place.items.is_none()
            && place.all_of.is_empty();
        (!is_empty).then_some(place)
    }

    /// As [`Place::compile`], of the rules of this place and not of those below.
    pub(super) fn compile_alone(schema: &Value, is_root: bool, stored: bool) -> Option<Place> {
        let rules = schema["x-kubernetes-validations"].as_array().filter(|rules| !rules.is_empty())?;
        let mut place = Place {
            rules: Vec::new(),
            schema: None,
            kind: schema["type"].as_str().unwrap_or_default().to_owned(),
            properties: BTreeMap::new(),
            additional: None,
            items: None,
            all_of: Vec::new(),
            map_keys: None,
        };
        place.add_rules(rules, schema, is_root, stored);
        Some(place)
    }

    fn add_rules(&mut self, rules: &[Value], schema: &Value, is_root: bool, stored: bool) {
        if rules.is_empty() {
            return;
        }
        let own = Schema::compile(schema, "selfType", is_root || embedded(schema));
        let scope = Scope::new(&own, stored);
        self.rules = rules.iter().map(|rule| scope.rule(rule, schema)).collect();
        self.schema = Some(own);
    }
}

pub(super) fn embedded(schema: &Value) -> bool {
    schema["x-kubernetes-embedded-resource"] == true
}

/// What rules of one place may name.
struct Scope<'s> {
    schema: &'s Schema,
    plain: Environment,
    optional: Environment,
}

impl Scope<'_> {
    fn new(schema: &Schema, stored: bool) -> Scope<'_> {
        let of = schema.cel_type();
        let base = Environment::for_new().stored(stored).schema(schema).variable("self", of.clone());
        Scope {
            schema,
            plain: base.clone().variable("oldSelf", of.clone()),
            optional: base.variable("oldSelf", Type::optional(of)),
        }
    }

    fn rule(&self, rule: &Value, schema: &Value) -> Rule {
        let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        let optional_old_self = rule["optionalOldSelf"] == true;
        let environment = if optional_old_self { &self.optional } else { &self.plain };
        let source = text("rule");
        let mut compiled = Rule {
            message: text("message"),
            reason: text("reason"),
            field_path: field_path(&text("fieldPath"), schema),
            optional_old_self,
            uses_old_self: false,
            program: None,
            cost: 0,
            message_expression: None,
            text: source,
        };
        if compiled.text.trim().is_empty() {
            return compiled;
        }
        let checked = match Self::checked(environment, &compiled.text, "compilation failed") {
            Ok(checked) if *checked.output() != Type::Bool => Err("cel expression must evaluate to a bool".to_owned()),
            other => other,
        };
        match checked {
            Err(why) => compiled.program = Some(Err(why)),
            Ok(checked) => {
                compiled.uses_old_self = checked.reads(OLD_SELF);
                compiled.cost = checked.estimate(&SchemaSizes(self.schema)).max;
                let program = checked.program().map_err(|why| format!("program instantiation failed: {why}"));
                let compiles = program.is_ok();
                compiled.program = Some(program);
                let expression = text("messageExpression");
                if compiles && !expression.is_empty() {
                    compiled.message_expression = Some(self.message_expression(environment, &expression));
                }
            }
        }
        compiled
    }

    fn message_expression(&self, environment: &Environment, text: &str) -> MessageExpression {
        let checked = match Self::checked(environment, text, "messageExpression compilation failed") {
            Ok(checked) if *checked.output() != Type::String => {
                Err("messageExpression must evaluate to a string".to_owned())
            }
            other => other,
        };
        match checked {
            Err(why) => MessageExpression { program: Err(why), cost: 0 },
            Ok(checked) => MessageExpression {
                cost: checked.estimate(&SchemaSizes(self.schema)).max,
                program: checked.program().map_err(|why| format!("messageExpression instantiation failed: {why}")),
            },
        }
    }

    fn checked(environment: &Environment, text: &str, failed: &str) -> Result<Checked, String> {
        environment.check(text).map_err(|why| format!("{failed}: {why}"))
    }
}

/// `.spec['a.b'].c` as errors show it, `spec[a.b].c`, where the schema has such a field. Upstream: ValidFieldPath.
pub(in crate::apiextensions) fn field_path(path: &str, schema: &Value) -> Option<String> {
    let mut rest = path;
    let mut place = schema;
    let mut shown = String::new();
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            let end = quoted.find("']")?;
            (quoted[..end].replace("\\'", "'"), &quoted[end + 2..])
        } else {
            let plain = rest.strip_prefix('.')?;
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            (plain[..end].to_owned(), &plain[end..])
        };
        if name.is_empty() {
            return None;
        }
        if let Some(inner) = place["properties"].get(&name) {
            place = inner;
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(&name);
        } else {
            place = place.get("additionalProperties").filter(|inner| inner.is_object())?;
            shown.push_str(&format!("[{name}]"));
        }
        rest = after;
    }
    (!shown.is_empty()).then_some(shown)
}
