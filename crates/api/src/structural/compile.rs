//! From the JSON of `openAPIV3Schema` to nodes. Upstream: `schema.NewStructural`.

use json::{Map, Value};

use super::{Additional, Checks, Format, Kind, Node, prune};
use crate::pattern::Pattern;
use crate::schema::{ListType, Name};

/// What a structural schema cannot say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A keyword that is not supported.
    #[error("OpenAPIV3Schema '{0}' is not supported")]
    Unsupported(&'static str),
    /// A list of schemas as items.
    #[error("OpenAPIV3Schema 'items' must be a schema, but is an array")]
    ItemsList,
    /// `x-kubernetes-preserve-unknown-fields: false`
    #[error("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined")]
    PreserveNot,
}

/// Keywords of JSON schema that a structural one must not have.
const UNSUPPORTED: [&str; 7] =
    ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"];

impl Node {
    /// Compiles a schema. Its defaults are pruned by it.
    ///
    /// # Errors
    /// The first keyword that a structural schema cannot have.
    pub fn compile(schema: &Value) -> Result<Node, Error> {
        let mut node = compile(schema)?;
        prune_defaults(&mut node);
        open(&mut node, false);
        Ok(node)
    }

    /// Unknown fields are kept everywhere: `preserveUnknownFields` of a definition of before v1.
    pub fn keep_unknown(&mut self) {
        self.preserve_unknown = true;
        self.open = true;
        self.properties.iter_mut().for_each(|(_, property)| property.keep_unknown());
        self.items.iter_mut().for_each(|items| items.keep_unknown());
        if let Additional::Values(values) = &mut self.additional {
            values.keep_unknown();
        }
    }
}

/// Notes where a place around keeps unknown fields.
fn open(node: &mut Node, inherited: bool) {
    node.open = inherited || node.preserve_unknown;
    let inherited = node.open;
    node.properties.iter_mut().for_each(|(_, property)| open(property, inherited));
    node.items.iter_mut().for_each(|items| open(items, inherited));
    if let Additional::Values(values) = &mut node.additional {
        open(values, inherited);
    }
}

fn compile(schema: &Value) -> Result<Node, Error> {
    let said = |name: &str| schema.get(name).is_some_and(|value| !is_empty(value));
    if let Some(name) = UNSUPPORTED.into_iter().find(|name| said(name)) {
        // Upstream names the Go field.
        return Err(Error::Unsupported(if name == "$schema" { "schema" } else { name }));
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        return Err(Error::PreserveNot);
    }
    let kind = schema.get("type").and_then(Value::as_str).and_then(Kind::of);
    let int_or_string = flag(schema, "x-kubernetes-int-or-string");
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let properties = properties.map(|(name, property)| Ok((name.as_str().into(), compile(property)?)));
    let mut properties = properties.collect::<Result<Vec<(Box<str>, Node)>, Error>>()?;
    properties.sort_by(|(a, _), (b, _)| a.cmp(b));
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
    Ok(Node {
        kind,
        nullable: flag(schema, "nullable"),
        preserve_unknown: flag(schema, "x-kubernetes-preserve-unknown-fields"),
        open: false,
        embedded: flag(schema, "x-kubernetes-embedded-resource"),
        int_or_string,
        atomic: schema.get("x-kubernetes-map-type").is_some_and(|of| of == "atomic"),
        list_type: match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map,
            Some("atomic") => ListType::Atomic,
            _ => ListType::Unset,
        },
        map_keys: keys.filter_map(Value::as_str).map(|key| Name::Owned(key.to_owned())).collect(),
        properties: properties.into(),
        additional: match schema.get("additionalProperties") {
            None | Some(Value::Null) => Additional::Unset,
            Some(Value::Bool(false)) => Additional::Nothing,
            Some(Value::Bool(true)) => Additional::Anything,
            Some(values) => Additional::Values(Box::new(compile(values)?)),
        },
        items: match schema.get("items") {
            None | Some(Value::Null) => None,
            Some(Value::Array(_)) => return Err(Error::ItemsList),
            Some(items) => Some(Box::new(compile(items)?)),
        },
        default: schema.get("default").filter(|default| !default.is_null()).cloned().map(Box::new),
        checks: checks(schema, if int_or_string { None } else { kind }, int_or_string)?,
    })
}

/// None where nothing is demanded, which is at most places.
fn checks(schema: &Value, kind: Option<Kind>, int_or_string: bool) -> Result<Option<Box<Checks>>, Error> {
    const KEYWORDS: [&str; 21] = [
        "format",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "multipleOf",
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "maxProperties",
        "minProperties",
        "uniqueItems",
        "pattern",
        "enum",
        "required",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "x-kubernetes-validations",
    ];
    let Some(schema) = schema.as_object().filter(|schema| KEYWORDS.iter().any(|word| schema.contains_key(word))) else {
        return Ok(None);
    };
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    let count = |name: &str| schema.get(name).and_then(Value::as_i64);
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
    Ok(Some(Box::new(Checks {
        format: text(schema, "format").and_then(|name| Format::of(name, kind, int_or_string)),
        maximum: number("maximum"),
        exclusive_maximum: flag("exclusiveMaximum"),
        minimum: number("minimum"),
        exclusive_minimum: flag("exclusiveMinimum"),
        multiple_of: number("multipleOf"),
        max_length: count("maxLength"),
        min_length: count("minLength"),
        max_items: count("maxItems"),
        min_items: count("minItems"),
        max_properties: count("maxProperties"),
        min_properties: count("minProperties"),
        unique_items: flag("uniqueItems"),
        pattern: text(schema, "pattern").filter(|pattern| !pattern.is_empty()).map(Pattern::new),
        enumeration: list("enum").cloned().collect(),
        required: list("required").filter_map(Value::as_str).map(Box::from).collect(),
        all_of: list("allOf").map(compile).collect::<Result<_, _>>()?,
        any_of: list("anyOf").map(compile).collect::<Result<_, _>>()?,
        one_of: list("oneOf").map(compile).collect::<Result<_, _>>()?,
        not: schema.get("not").filter(|not| !not.is_null()).map(compile).transpose()?.map(Box::new),
    })))
}

/// Upstream: `defaulting.PruneDefaults`.
fn prune_defaults(node: &mut Node) {
    if let Some(mut default) = node.default.take() {
        prune(&mut default, Some(node), node.embedded, false);
        node.default = Some(default);
    }
    node.properties.iter_mut().for_each(|(_, property)| prune_defaults(property));
    if let Additional::Values(values) = &mut node.additional {
        prune_defaults(values);
    }
    node.items.iter_mut().for_each(|items| prune_defaults(items));
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

fn text<'a>(schema: &'a Map, name: &str) -> Option<&'a str> {
    schema.get(name).and_then(Value::as_str)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
