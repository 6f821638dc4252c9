//! Models: the schema of one object type, or of one of the types with a form of their own.

use json::{Map, Value, json};

use super::{Descriptions, Dialect};
use crate::schema::{Field, ListType, Schema, Type};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// Models that are no objects of fields, and their schema.
pub(super) fn leaf(model: &str, dialect: Dialect) -> Option<Value> {
    let v3 = dialect == Dialect::V3;
    let name = model.rsplit('.').next().unwrap_or(model);
    Some(match name {
        "Quantity" if v3 => json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
        "Quantity" => json!({ "type": "string" }),
        "IntOrString" if v3 => {
            json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] })
        }
        "IntOrString" => json!({ "type": "string", "format": "int-or-string" }),
        "Time" | "MicroTime" => json!({ "type": "string", "format": "date-time" }),
        "FieldsV1" | "Patch" | "RawExtension" => json!({ "type": "object" }),
        "JSON" | "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrStringArray" => json!({}),
        _ => return None,
    })
}

/// The model a type is written as a reference to.
pub(super) fn reference(schema: Schema<'_>, r#type: &Type) -> Option<String> {
    Some(match r#type {
        Type::Object(id) => schema.resolve(*id).object().name.to_string(),
        Type::Quantity => "io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned(),
        Type::IntOrString => "io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned(),
        Type::RawExtension => "io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned(),
        Type::Time => format!("{META}.Time"),
        Type::MicroTime => format!("{META}.MicroTime"),
        Type::FieldsV1 => format!("{META}.FieldsV1"),
        Type::Any => format!("{EXTENSIONS}.JSON"),
        Type::OrBool(_) => format!("{EXTENSIONS}.JSONSchemaPropsOrBool"),
        Type::OrArray(_) => format!("{EXTENSIONS}.JSONSchemaPropsOrArray"),
        Type::OrStringArray(_) => format!("{EXTENSIONS}.JSONSchemaPropsOrStringArray"),
        _ => return None,
    })
}

/// The models a model refers to.
pub(super) fn references(schema: Schema<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for field in &schema.object().fields {
        let mut r#type = &field.r#type;
        while let Some(element) = r#type.element() {
            r#type = element;
        }
        found.extend(reference(schema, r#type));
    }
    found
}

/// The schema of an object type. `own` is the group-version the document is for: the option kinds name it.
pub(super) fn object(
    schema: Schema<'_>,
    dialect: Dialect,
    own: &[(&str, &str)],
    descriptions: &dyn Descriptions,
) -> Value {
    let object = schema.object();
    let mut model = Map::new();
    if let Some(text) = descriptions.model(&object.name) {
        model.insert("description", text.into());
    }
    model.insert("type", "object".into());
    let required: Vec<&str> =
        object.fields.iter().filter(|field| field.required).map(|field| field.name.as_ref()).collect();
    if !required.is_empty() {
        model.insert("required", json!(required));
    }
    let mut fields: Vec<&Field> = object.fields.iter().collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let properties: Map = fields
        .into_iter()
        .map(|field| {
            let description = descriptions.field(&object.name, &field.name);
            (field.name.to_string(), property(schema, field, dialect, description.as_deref()))
        })
        .collect();
    if !properties.is_empty() {
        model.insert("properties", Value::Object(properties));
    }
    let kinds = kinds(schema, own);
    if !kinds.is_empty() {
        model.insert("x-kubernetes-group-version-kind", kinds.into());
    }
    if object.atomic {
        model.insert("x-kubernetes-map-type", "atomic".into());
    }
    if !object.unions.is_empty() {
        let unions: Vec<Value> = object.unions.iter().map(|union| self::union(union)).collect();
        model.insert("x-kubernetes-unions", unions.into());
    }
    Value::Object(model)
}

fn kinds(schema: Schema<'_>, own: &[(&str, &str)]) -> Vec<Value> {
    let object = schema.object();
    let mut kinds: Vec<[&str; 3]> =
        object.gvks.iter().map(|gvk| [&gvk.group, &gvk.kind, &gvk.version].map(AsRef::as_ref)).collect();
    if object.name.ends_with("meta.v1.DeleteOptions") || object.name.ends_with("meta.v1.WatchEvent") {
        let kind = object.name.rsplit('.').next().unwrap_or_default();
        for (group, version) in own {
            if !kinds.contains(&[group, kind, version]) {
                kinds.push([group, kind, version]);
            }
        }
    }
    kinds.sort_unstable();
    kinds
        .into_iter()
        .map(|[group, kind, version]| json!({ "group": group, "kind": kind, "version": version }))
        .collect()
}

/// `DISCRIMINATOR;JSON-NAME:VALUE;...`
fn union(text: &str) -> Value {
    let mut parts = text.split(';');
    let mut union = Map::new();
    if let Some(discriminator) = parts.next().filter(|name| !name.is_empty()) {
        union.insert("discriminator", discriminator.into());
    }
    let fields: Map =
        parts.filter_map(|part| part.split_once(':')).map(|(name, value)| (name.to_owned(), value.into())).collect();
    union.insert("fields-to-discriminateBy", Value::Object(fields));
    Value::Object(union)
}

fn property(schema: Schema<'_>, field: &Field, dialect: Dialect, description: Option<&str>) -> Value {
    let mut property = Map::new();
    if let Some(text) = description {
        property.insert("description", with_values(text, &field.enumeration).into());
    }
    if dialect == Dialect::V3
        && let Some(Ok(default)) = field.published_default.as_deref().map(json::from_str::<Value>)
    {
        property.insert("default", default);
    }
    match (reference(schema, &field.r#type), value(schema, &field.r#type, dialect)) {
        // Siblings of a reference do not count in v3, so it is wrapped.
        (Some(model), _) if dialect == Dialect::V3 => {
            property.insert("allOf", json!([{ "$ref": dialect.reference(&model) }]));
        }
        (_, Value::Object(shape)) => property.extend(shape),
        _ => {}
    }
    if !field.enumeration.is_empty() {
        let values = json!(field.enumeration);
        let inner = if property.contains_key("items") { "items" } else { "additionalProperties" };
        match property.get_mut(inner).and_then(Value::as_object_mut) {
            Some(elements) => elements.insert("enum", values),
            None => property.insert("enum", values),
        };
    }
    let mut extension = |key: &str, value: Value| property.insert(format!("x-kubernetes-{key}"), value);
    if !field.map_keys.is_empty() {
        extension("list-map-keys", json!(field.map_keys));
    }
    let list_type = match field.list_type {
        ListType::Unset => None,
        ListType::Atomic => Some("atomic"),
        ListType::Set => Some("set"),
        ListType::Map => Some("map"),
        ListType::Granular => Some("granular"),
    };
    if let Some(list_type) = list_type {
        extension(if is_list(&field.r#type) { "list-type" } else { "map-type" }, list_type.into());
    }
    if let Some(key) = &field.merge_key {
        extension("patch-merge-key", key.as_ref().into());
    }
    let strategies: Vec<&str> =
        [(field.patch_merge, "merge"), (field.retain_keys, "retainKeys"), (field.patch_replace, "replace")]
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| *name)
            .collect();
    if !strategies.is_empty() {
        extension("patch-strategy", strategies.join(",").into());
    }
    match property.get_mut("allOf").map(Value::take) {
        // Nothing stands beside the reference.
        Some(Value::Array(mut only)) if property.len() == 1 => only.pop().unwrap_or_default(),
        Some(wrapped) => {
            property.insert("allOf".to_owned(), wrapped);
            Value::Object(property)
        }
        None => Value::Object(property),
    }
}

/// A text and the values there are, as upstream adds them, without the sentences on what each means: they are its prose.
fn with_values(text: &str, values: &[impl AsRef<str>]) -> String {
    if values.is_empty() || text.contains("Possible enum values") {
        return text.to_owned();
    }
    let mut values: Vec<String> = values.iter().map(|value| format!(" - `{:?}`", value.as_ref())).collect();
    values.sort_unstable();
    format!("{text}\n\nPossible enum values:\n{}", values.join("\n"))
}

/// Bytes count as a list in the tags.
fn is_list(r#type: &Type) -> bool {
    matches!(r#type, Type::List(_) | Type::Bytes)
}

fn value(schema: Schema<'_>, r#type: &Type, dialect: Dialect) -> Value {
    if let Some(model) = reference(schema, r#type) {
        return json!({ "$ref": dialect.reference(&model) });
    }
    match r#type {
        Type::Bool => json!({ "type": "boolean" }),
        Type::Int32 | Type::Uint32 => json!({ "type": "integer", "format": "int32" }),
        Type::Int64 | Type::Uint64 => json!({ "type": "integer", "format": "int64" }),
        Type::Float64 => json!({ "type": "number", "format": "double" }),
        Type::Bytes => json!({ "type": "string", "format": "byte" }),
        Type::List(element) => json!({ "type": "array", "items": value(schema, element, dialect) }),
        Type::Map(element) => json!({ "type": "object", "additionalProperties": value(schema, element, dialect) }),
        _ => json!({ "type": "string" }),
    }
}
