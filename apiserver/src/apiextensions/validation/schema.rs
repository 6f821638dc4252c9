//! `openAPIV3Schema`: which keywords there may be, and what they may say together.
//!
//! That it is structural is checked first ([`super::structural`]), then its defaults ([`super::defaults`]), then the rest
//! here, and last its rules in CEL, if nothing else is wrong.
//! Upstream: validateCustomResourceDefinitionValidation, ValidateCustomResourceDefinitionOpenAPISchema.

use std::collections::BTreeSet;

use api::field::{BadValue, Error, ErrorList, Path};
use api::structural::{Format, Kind, Node};
use json::{Map, Value};

use super::super::rules::field_path;
use super::{defaults, structural};
use crate::registry::fields::At;

/// What the root may say when status is validated by itself.
const ALLOWED_AT_ROOT: [(&str, &str); 22] = [
    ("Description", "description"),
    ("Type", "type"),
    ("Format", "format"),
    ("Title", "title"),
    ("Maximum", "maximum"),
    ("ExclusiveMaximum", "exclusiveMaximum"),
    ("Minimum", "minimum"),
    ("ExclusiveMinimum", "exclusiveMinimum"),
    ("MaxLength", "maxLength"),
    ("MinLength", "minLength"),
    ("Pattern", "pattern"),
    ("MaxItems", "maxItems"),
    ("MinItems", "minItems"),
    ("UniqueItems", "uniqueItems"),
    ("MultipleOf", "multipleOf"),
    ("Required", "required"),
    ("Items", "items"),
    ("Properties", "properties"),
    ("ExternalDocs", "externalDocs"),
    ("Example", "example"),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields"),
    ("XValidations", "x-kubernetes-validations"),
];

/// Keywords of JSON schema that are not supported, in upstream's order.
const FORBIDDEN: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

/// Validates `schema` (which holds `openAPIV3Schema`).
pub(super) fn validate(holder: &At<'_>, has_status: bool, errors: &mut ErrorList) {
    let schema = holder.field("openAPIV3Schema");
    if !schema.is_set() {
        return;
    }
    let before = errors.len();
    if has_status {
        root_of_status(&schema, errors);
    }
    if schema.get("nullable") == &Value::Bool(true) {
        errors.push(Error::forbidden(
            &holder.path.child("openAPIV3Schema.nullable"),
            "nullable cannot be true at the root",
        ));
    }
    let node = Node::compile(schema.value);
    if let Ok(node) = &node {
        let mut found = structural::validate(&schema);
        if found.is_empty() {
            found = defaults::validate(&schema, node);
        }
        errors.extend(found);
    }
    walk(&schema, &Context { root: true, ..Context::default() }, errors);
    if errors.len() == before
        && let Err(error) = &node
    {
        errors.push(Error::invalid(&schema.path, "", error.to_string()));
    }
}

/// Status is validated by its part of the schema: the root must not say more of it.
fn root_of_status(schema: &At<'_>, errors: &mut ErrorList) {
    let path = &schema.path;
    for (field, value) in schema.value.as_object().into_iter().flatten().filter(|(_, value)| !is_zero(value)) {
        if field == "type" {
            if value != "object" {
                let detail = "only \"object\" is allowed as the type at the root of the schema if the status subresource is \
                              enabled";
                errors.push(Error::invalid(&path.child("type"), value.clone(), detail));
                return;
            }
        } else if !ALLOWED_AT_ROOT.iter().any(|(_, allowed)| allowed == field) {
            let names: Vec<&str> = ALLOWED_AT_ROOT.iter().map(|(name, _)| *name).collect();
            let detail = format!(
                "only [{}] fields are allowed at the root of the schema if the status subresource is enabled",
                names.join(" ")
            );
            let bad_value = BadValue::Value(schema.value.clone());
            errors.push(Error { bad_value, ..Error::invalid(path, "", detail) });
            return;
        }
    }
}

/// Where a schema lies.
#[derive(Clone, Default)]
struct Context {
    root: bool,
    /// Inside of kind, apiVersion or metadata of a resource.
    inside_meta: bool,
    /// Why there must be no defaults.
    no_defaults: Option<String>,
}

impl Context {
    fn child(&self) -> Context {
        Context { root: false, ..self.clone() }
    }
}

fn walk(schema: &At<'_>, context: &Context, errors: &mut ErrorList) {
    let Some(fields) = schema.value.as_object() else { return };
    keywords(schema, context, errors);
    let flag = |name: &str| schema.get(name) == &Value::Bool(true);
    if flag("uniqueItems") {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(schema.field("uniqueItems").forbidden(detail));
    }
    let additional = schema.field("additionalProperties");
    if additional.is_set() {
        let properties = fields.get("properties").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
        if properties && additional.value != &Value::Bool(true) {
            errors.push(additional.forbidden("additionalProperties and properties are mutual exclusive"));
        }
        let mut inner = context.child();
        if context.inside_meta {
            inner.no_defaults = Some("inside additionalProperties applying to object metadata".to_owned());
        }
        walk(&additional, &inner, errors);
    }
    for (name, property) in schema.field("properties").entries() {
        let mut inner = context.child();
        if (context.root || flag("x-kubernetes-embedded-resource"))
            && matches!(name, "metadata" | "kind" | "apiVersion")
        {
            inner.inside_meta = true;
            if context.root {
                inner.no_defaults = Some(format!("in top-level {name}"));
            }
        }
        walk(&property, &inner, errors);
    }
    walk(&schema.field("not"), &context.child(), errors);
    for junctor in ["allOf", "oneOf", "anyOf"] {
        schema.field(junctor).items().for_each(|part| walk(&part, &context.child(), errors));
    }
    let items = schema.field("items");
    if items.value.is_object() {
        walk(&items, &context.child(), errors);
    }
    let preserve = schema.field("x-kubernetes-preserve-unknown-fields");
    if preserve.value == &Value::Bool(false) {
        errors.push(preserve.invalid("must be true or undefined"));
    }
    map_and_list_types(schema, errors);
    rules(schema, errors);
}

/// Upstream: specStandardValidatorV3.validate.
fn keywords(schema: &At<'_>, context: &Context, errors: &mut ErrorList) {
    let r#type = schema.field("type");
    if !r#type.is_empty() && Kind::of(r#type.str()).is_none() {
        let all = ["array", "boolean", "integer", "number", "object", "string"];
        errors.push(r#type.not_supported(&all));
    }
    let default = schema.field("default");
    if let Some(reason) = context.no_defaults.as_ref().filter(|_| default.is_set()) {
        errors.push(default.forbidden(format!("must not be set {reason}")));
    }
    for field in FORBIDDEN {
        let at = schema.field(field);
        if at.is_set() && !(at.is_empty() && matches!(field, "id" | "patternProperties" | "definitions")) {
            errors.push(at.forbidden(format!("{field} is not supported")));
        }
    }
    if r#type.str() == "null" {
        errors.push(r#type.forbidden("type cannot be set to null, use nullable as an alternative"));
    }
    let items = schema.field("items");
    if !items.slice().is_empty() {
        errors.push(items.forbidden("items must be a schema object and not an array"));
    }
    let embedded = schema.field("x-kubernetes-embedded-resource");
    if context.inside_meta && embedded.bool() {
        errors.push(embedded.forbidden("must not be used inside of resource meta"));
    }
}

fn map_and_list_types(schema: &At<'_>, errors: &mut ErrorList) {
    let r#type = schema.field("type");
    let wrong_type = |wanted: &str, because: &str, errors: &mut ErrorList| {
        let detail = format!("must be {wanted} if {because} is specified");
        errors.push(if r#type.is_empty() { r#type.required(detail) } else { r#type.invalid_str(detail) });
    };
    let map_type = schema.field("x-kubernetes-map-type");
    if map_type.is_set() {
        if r#type.str() != "object" {
            wrong_type("object", "x-kubernetes-map-type", errors);
        }
        if !matches!(map_type.str(), "atomic" | "granular") {
            errors.push(map_type.not_supported(&["atomic", "granular"]));
        }
    }
    let (list_type, items) = (schema.field("x-kubernetes-list-type"), schema.field("items"));
    if list_type.is_set() {
        if r#type.str() != "array" {
            wrong_type("array", "x-kubernetes-list-type", errors);
        } else if list_type.str() == "set" && items.value.is_object() {
            let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
            let (inner_list, inner_map) = (items.field("x-kubernetes-list-type"), items.field("x-kubernetes-map-type"));
            match items.text("type") {
                "array" if inner_list.is_set() && inner_list.str() != "atomic" => {
                    errors.push(inner_list.invalid(detail))
                }
                // Upstream shows the list type.
                "object" if inner_map.str() != "atomic" => {
                    errors.push(Error::invalid(&inner_map.path, inner_list.value.clone(), detail));
                }
                _ => {}
            }
        }
        if !matches!(list_type.str(), "atomic" | "set" | "map") {
            errors.push(list_type.not_supported(&["atomic", "set", "map"]));
        }
    }
    let keys = schema.field("x-kubernetes-list-map-keys");
    if !keys.slice().is_empty() && list_type.str() != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(if list_type.is_set() { list_type.invalid_str(detail) } else { list_type.required(detail) });
    }
    if list_type.str() == "map" {
        map_keys(&keys, &items, errors);
    }
    not_nullable(&list_type, &keys, &items, errors);
}

fn map_keys(keys: &At<'_>, items: &At<'_>, errors: &mut ErrorList) {
    if keys.slice().is_empty() {
        errors.push(keys.required("must not be empty if x-kubernetes-list-type is map"));
    }
    if !items.is_set() {
        errors.push(items.required("must have a schema if x-kubernetes-list-type is map"));
    } else if !items.value.is_object() {
        errors.push(items.invalid("must only have a single schema if x-kubernetes-list-type is map"));
    } else if items.text("type") != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(items.field("type").invalid_str(detail));
    } else {
        let mut seen = BTreeSet::new();
        for key in keys.slice().iter().filter_map(Value::as_str) {
            match items.get("properties").get(key) {
                Some(property) if matches!(property["type"].as_str(), Some("array" | "object")) => {
                    let place = items.path.child("properties").key(key).child("type");
                    let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                    errors.push(Error::invalid(&place, items.text("type"), detail));
                }
                Some(_) => {}
                None => errors.push(keys.invalid("entries must all be names of item properties")),
            }
            if !seen.insert(key) {
                errors.push(keys.invalid("must not contain duplicate entries"));
            }
        }
    }
}

/// Upstream: validateMapListKeysMapSet.
fn not_nullable(list_type: &At<'_>, keys: &At<'_>, items: &At<'_>, errors: &mut ErrorList) {
    if !items.value.is_object() || !matches!(list_type.str(), "set" | "map") {
        return;
    }
    let nullable = items.field("nullable");
    if nullable.bool() {
        errors
            .push(nullable.forbidden(format!("cannot be nullable when x-kubernetes-list-type is {}", list_type.str())));
    }
    for key in keys.slice().iter().filter_map(Value::as_str).filter(|_| list_type.str() == "map") {
        let Some(property) = items.get("properties").get(key) else { continue };
        let place = items.path.child("properties").key(key);
        let required = items.get("required").as_array().is_some_and(|required| required.iter().any(|name| name == key));
        if !required && property.get("default").is_none_or(Value::is_null) {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(Error::required(&place.child("default"), detail));
        }
        if property["nullable"] == true {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(Error::forbidden(&place.child("nullable"), detail));
        }
    }
}

/// The texts of rules; whether they compile is for `rules::check`.
fn rules(schema: &At<'_>, errors: &mut ErrorList) {
    const REASONS: [&str; 4] =
        ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
    let breaks = |text: &str| text.contains(['\n', '\r']);
    for rule in schema.field("x-kubernetes-validations").items() {
        let (text, message) = (rule.field("rule"), rule.field("message"));
        if text.str().trim().is_empty() {
            errors.push(text.required("rule is not specified"));
        } else if !message.is_empty() && message.str().trim().is_empty() {
            errors.push(message.invalid_str("must be non-empty if specified"));
        } else if breaks(message.str().trim()) {
            errors.push(message.invalid_str("must not contain line breaks"));
        } else if breaks(text.str().trim()) && message.str().trim().is_empty() {
            errors.push(message.required("message must be specified if rule contains line breaks"));
        }
        let expression = rule.field("messageExpression");
        if !expression.is_empty() && expression.str().trim().is_empty() {
            errors.push(expression.required("messageExpression must be non-empty if specified"));
        }
        let reason = rule.field("reason");
        if reason.is_set() && !REASONS.contains(&reason.str()) {
            errors.push(reason.not_supported(&REASONS));
        }
        let path = rule.field("fieldPath");
        if !path.is_empty() {
            if path.str().trim().is_empty() {
                errors.push(path.invalid_str("must be non-empty if specified"));
            }
            if breaks(path.str()) {
                errors.push(path.invalid_str("must not contain line breaks"));
            }
            if field_path(path.str(), schema.value).is_none() {
                errors.push(path.invalid_str("must be a valid path"));
            }
        }
    }
}

/// Calls `look` for a schema and every one inside of it.
pub(super) fn each<'a>(schema: &'a Value, look: &mut dyn FnMut(&'a Map)) {
    let Some(fields) = schema.as_object() else { return };
    look(fields);
    for field in ["items", "not", "additionalProperties"] {
        if let Some(inner) = fields.get(field) {
            each(inner, look);
        }
    }
    for junctor in ["allOf", "anyOf", "oneOf"] {
        fields.get(junctor).and_then(Value::as_array).into_iter().flatten().for_each(|part| each(part, look));
    }
    let properties = fields.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.for_each(|(_, property)| each(property, look));
}

/// A format that means nothing at its place.
pub(super) fn unknown_format(schema: &Map) -> Option<&str> {
    let format = schema.get("format")?.as_str().filter(|format| !format.is_empty())?;
    let kind = schema.get("type").and_then(Value::as_str).and_then(Kind::of);
    Format::of(format, kind, false).is_none().then_some(format)
}

/// A set of what no set can be told apart by.
pub(super) fn unsupported_set(schema: &Map) -> Option<String> {
    let of = schema.get("items")?.get("type")?.as_str().filter(|of| matches!(*of, "object" | "array"))?;
    (schema.get("x-kubernetes-list-type")? == "set").then(|| {
        let of = api::go_text::quote(of);
        format!(
            "x-kubernetes-list-type: set for items of type {of} is not supported by server-side apply or CEL validation rules"
        )
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A place under another.
pub(super) fn under(path: &Path, error: Error) -> Error {
    match error.field.as_str() {
        "<nil>" => Error { field: path.to_string(), ..error },
        inner => Error { field: path.child(inner.to_owned()).to_string(), ..error },
    }
}
