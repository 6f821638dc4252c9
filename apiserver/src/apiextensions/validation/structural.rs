//! Is a schema structural: does it say at each place, outside of all alternatives, what is there?
//! Upstream: apiextensions-apiserver/pkg/apiserver/schema/{validation,complete}.go.

use api::field::{Error, ErrorList, Path};
use json::{Map, Value, json};

use crate::registry::fields::At;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// All faults, in the order of their texts.
pub(super) fn validate(schema: &At<'_>) -> ErrorList {
    let mut errors = ErrorList::new();
    invariants(schema, Level::Root, &mut errors);
    complete(schema, schema, true, &mut errors);
    errors.0.sort_by_cached_key(ToString::to_string);
    errors
}

fn flag(schema: &At<'_>, name: &str) -> bool {
    schema.get(name) == &Value::Bool(true)
}

fn invariants(schema: &At<'_>, level: Level, errors: &mut ErrorList) {
    let r#type = schema.field("type");
    let items = schema.field("items");
    if r#type.str() == "array" && !items.is_set() {
        errors.push(items.required("must be specified"));
    }
    if items.is_set() {
        invariants(&items, Level::Item, errors);
    }
    for (_, property) in schema.field("properties").entries() {
        invariants(&property, Level::Field, errors);
    }
    let additional = schema.field("additionalProperties");
    if additional.is_set() {
        if level == Level::Root {
            errors.push(additional.forbidden("must not be used at the root"));
        }
        if additional.value.is_object() {
            invariants(&additional, Level::Field, errors);
        }
    }
    let embedded = flag(schema, "x-kubernetes-embedded-resource");
    let preserves = flag(schema, "x-kubernetes-preserve-unknown-fields");
    let int_or_string = flag(schema, "x-kubernetes-int-or-string");
    for (field, set) in
        [("x-kubernetes-preserve-unknown-fields", preserves), ("x-kubernetes-embedded-resource", embedded)]
    {
        if int_or_string && set {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            errors.push(Error::invalid(&schema.path.child(field), true, detail));
        }
    }
    junctors(schema, is_int_or_string(schema.get("anyOf")), has_int_or_string(schema), errors);
    if embedded && r#type.str() != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if r#type.is_empty() { r#type.required(detail) } else { r#type.invalid_str(detail) });
    } else if r#type.is_empty() && !int_or_string && !preserves {
        errors.push(r#type.required(match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        }));
    }
    if embedded && additional.is_set() {
        errors.push(additional.forbidden("must not be used if x-kubernetes-embedded-resource is set"));
    }
    if level == Level::Root && !r#type.is_empty() && r#type.str() != "object" {
        errors.push(r#type.invalid_str("must be object at the root"));
    }
    metadata(schema, level, embedded, errors);
    let properties = schema.get("properties").as_object().is_some_and(|all| !all.is_empty());
    if embedded && !preserves && !properties {
        let detail =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(schema.field("properties").required(detail));
    }
}

/// What is said of the fields that every resource has.
fn metadata(schema: &At<'_>, level: Level, embedded: bool, errors: &mut ErrorList) {
    let of_resource = level == Level::Root || embedded;
    let properties = schema.field("properties");
    for name in ["kind", "apiVersion"] {
        let Some(property) = properties.value.get(name).filter(|_| of_resource) else { continue };
        if property["type"] != "string" {
            let place = properties.path.key(name).child("type");
            errors.push(Error::invalid(&place, property["type"].as_str().unwrap_or_default(), "must be string"));
        }
    }
    let Some(metadata) = properties.value.get("metadata") else { return };
    let place = properties.path.key("metadata");
    if of_resource && metadata["type"] != "object" {
        let found = metadata["type"].as_str().unwrap_or_default();
        errors.push(Error::invalid(&place.child("type"), found, "must be object"));
    }
    if level == Level::Root {
        let fields = metadata.as_object().into_iter().flatten();
        let allowed = |(name, value): (&json::Text, &Value)| match name.as_str() {
            "type" | "default" => true,
            "properties" => value.as_object().is_some_and(only_names),
            _ => value.is_null(),
        };
        if !fields.into_iter().all(allowed) {
            let detail =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            errors.push(Error::forbidden(&place, detail));
        }
    }
}

fn only_names(properties: &Map) -> bool {
    properties.keys().all(|name| matches!(name.as_str(), "name" | "generateName"))
}

/// `anyOf: [{type: integer}, {type: string}]`, which integers or strings may say.
fn is_int_or_string(any_of: &Value) -> bool {
    *any_of == json!([{"type": "integer"}, {"type": "string"}])
}

/// The same as the first of `allOf`.
fn has_int_or_string(schema: &At<'_>) -> bool {
    is_int_or_string(&schema.get("allOf")[0]["anyOf"])
}

/// The junctors of a schema, and its pattern.
fn junctors(schema: &At<'_>, skip_any_of: bool, skip_first_all_of: bool, errors: &mut ErrorList) {
    if !skip_any_of {
        schema.field("anyOf").items().for_each(|part| nested(&part, false, errors));
    }
    for (index, part) in schema.field("allOf").items().enumerate() {
        nested(&part, skip_first_all_of && index == 0, errors);
    }
    schema.field("oneOf").items().for_each(|part| nested(&part, false, errors));
    nested(&schema.field("not"), false, errors);
    let pattern = schema.field("pattern");
    if let Err(error) = api::pattern::compile(pattern.str()) {
        errors.push(pattern.invalid_str(format!("must be a valid regular expression, but isn't: {error}")));
    }
}

/// What stands under a junctor only demands.
fn nested(schema: &At<'_>, skip_any_of: bool, errors: &mut ErrorList) {
    if !schema.value.is_object() {
        return;
    }
    junctors(schema, skip_any_of, false, errors);
    nested(&schema.field("items"), false, errors);
    for (_, property) in schema.field("properties").entries() {
        nested(&property, false, errors);
    }
    const MUST_NOT: [(&str, &str); 11] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ];
    for (field, detail) in MUST_NOT {
        let at = schema.field(field);
        if at.is_set() && !at.is_empty() && at.value != &Value::Bool(false) {
            errors.push(at.forbidden(detail));
        }
    }
    for field in ["x-kubernetes-list-type", "x-kubernetes-map-type"] {
        if schema.field(field).is_set() {
            errors.push(schema.field(field).forbidden("must be undefined to be structural"));
        }
    }
    if schema.get("properties").get("metadata").is_some() {
        let place = schema.path.child("properties").key("metadata");
        errors.push(Error::forbidden(&place, "must not be specified in a nested context"));
    }
}

/// What the junctors of the root demand must be of places the schema knows. `structure` is the part of the schema that is
/// meant, null where there is none.
fn complete(demands: &At<'_>, structure: &At<'_>, is_root: bool, errors: &mut ErrorList) {
    if !demands.value.is_object() {
        return;
    }
    if !structure.is_set() {
        errors.push(because(&structure.path, &demands.path));
        return;
    }
    for junctor in ["not", "allOf", "anyOf", "oneOf"] {
        let part = demands.field(junctor);
        if part.value.is_object() {
            complete(&part, structure, false, errors);
        }
        part.items().for_each(|part| complete(&part, structure, false, errors));
    }
    if is_root {
        return;
    }
    complete(&demands.field("items"), &structure.field("items"), false, errors);
    for (name, property) in demands.field("properties").entries() {
        let place = structure.path.child("properties").key(name);
        match structure.get("properties").get(name) {
            Some(known) => complete(&property, &At::new(known, place), false, errors),
            None => errors.push(because(&place, &property.path)),
        }
    }
}

fn because(missing: &Path, demanded: &Path) -> Error {
    Error::required(missing, format!("because it is defined in {demanded}"))
}
