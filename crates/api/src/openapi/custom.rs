//! Custom resources in the documents: their schemas as they are published, and their paths.
//!
//! What v2 cannot say is left out of it, as clients that read v2 need it.
//! Upstream: apiextensions-apiserver/pkg/controller/openapi/{builder,v2}.

use std::collections::BTreeMap;

use json::{Map, Value, json};

use super::{Descriptions, Dialect};
use crate::scheme::ResourceInfo;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
/// A built-in kind and its list: what is said of the fields that all kinds have is the same everywhere.
const LIKE: (&str, &str) = ("io.k8s.api.apps.v1.ControllerRevision", "io.k8s.apimachinery.pkg.apis.meta.v1.Status");

/// One version of a custom resource.
#[derive(Clone, Copy, Debug)]
pub struct CustomKind<'a> {
    /// Names, scope and verbs.
    pub info: &'a ResourceInfo,
    /// Kind of its lists.
    pub list_kind: &'a str,
    /// `openAPIV3Schema`
    pub schema: Option<&'a Value>,
    /// Fields that selectors may name, without the leading dot.
    pub selectable: &'a [String],
}

/// Model of a kind that is not built in: the group backwards.
pub(super) fn model_name(group: &str, version: &str, kind: &str) -> String {
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.extend([version, kind]);
    parts.join(".")
}

/// The models of kinds, by name.
pub(super) fn models(
    kinds: &[CustomKind<'_>],
    dialect: Dialect,
    descriptions: &dyn Descriptions,
) -> BTreeMap<String, Value> {
    let mut models = BTreeMap::new();
    for kind in kinds {
        let info = kind.info;
        let name = model_name(&info.group, &info.version, &info.kind);
        let meta = Meta { dialect, descriptions };
        let list = list(kind, &name, &meta);
        models.insert(model_name(&info.group, &info.version, kind.list_kind), list);
        models.insert(name, object(kind, &meta));
    }
    models
}

/// What is added to schemas that do not say it themselves.
struct Meta<'a> {
    dialect: Dialect,
    descriptions: &'a dyn Descriptions,
}

impl Meta<'_> {
    fn text(&self, model: &str, field: &str) -> Option<String> {
        self.descriptions.field(model, field).map(|text| text.into_owned())
    }

    fn string(&self, field: &str) -> Value {
        let mut schema = json!({});
        if let Some(text) = self.text(LIKE.0, field) {
            schema["description"] = text.into();
        }
        schema["type"] = "string".into();
        schema
    }

    fn reference(&self, model: &str, like: &str) -> Value {
        let mut schema = json!({});
        if let Some(text) = self.text(like, "metadata") {
            schema["description"] = text.into();
        }
        let reference = self.dialect.reference(model);
        match self.dialect {
            Dialect::V2 => schema["$ref"] = reference.into(),
            Dialect::V3 => schema["allOf"] = json!([{ "$ref": reference }]),
        }
        schema
    }

    fn add_to(&self, properties: &mut Value) {
        properties["apiVersion"] = self.string("apiVersion");
        properties["kind"] = self.string("kind");
        properties["metadata"] = self.reference(OBJECT_META, LIKE.0);
    }
}

fn extensions(schema: &mut Value, kind: &CustomKind<'_>, name: &str) {
    let info = kind.info;
    schema["x-kubernetes-group-version-kind"] = json!([{ "group": info.group, "kind": name, "version": info.version }]);
    if !kind.selectable.is_empty() {
        let fields: Vec<Value> = kind.selectable.iter().map(|path| json!({ "fieldPath": path })).collect();
        schema["x-kubernetes-selectable-fields"] = fields.into();
    }
}

fn object(kind: &CustomKind<'_>, meta: &Meta<'_>) -> Value {
    let preserves = |schema: &Value| schema["x-kubernetes-preserve-unknown-fields"] == true;
    let mut published = match kind.schema {
        // More would make clients refuse what is unknown.
        None => json!({ "type": "object" }),
        Some(schema) if meta.dialect == Dialect::V2 && preserves(schema) => json!({ "type": "object" }),
        Some(schema) => {
            let mut schema = schema.clone();
            match meta.dialect {
                Dialect::V2 => simplify(&mut schema),
                Dialect::V3 => say_int_or_string(&mut schema),
            }
            add_embedded(&mut schema, meta);
            meta.add_to(&mut schema["properties"]);
            schema
        }
    };
    extensions(&mut published, kind, &kind.info.kind);
    published
}

fn list(kind: &CustomKind<'_>, item: &str, meta: &Meta<'_>) -> Value {
    let mut schema = json!({
        "description": format!("{} is a list of {}", kind.list_kind, kind.info.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": meta.string("apiVersion"),
            "items": {
                "description": format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", kind.info.plural),
                "type": "array",
                "items": { "$ref": meta.dialect.reference(item) },
            },
            "kind": meta.string("kind"),
            "metadata": meta.reference(LIST_META, LIKE.1),
        },
    });
    extensions(&mut schema, kind, kind.list_kind);
    schema
}

/// Calls `change` for every schema that says what is there, the inner ones first.
fn each(schema: &mut Value, change: &mut dyn FnMut(&mut Map)) {
    let Some(fields) = schema.as_object_mut() else { return };
    for (_, property) in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        each(property, change);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(inner) {
            each(inner, change);
        }
    }
    change(fields);
}

fn is(fields: &Map, name: &str) -> bool {
    fields.get(name) == Some(&Value::Bool(true))
}

/// What is an integer or a string says so in words of v3.
fn say_int_or_string(schema: &mut Value) {
    each(schema, &mut |fields| {
        if is(fields, "x-kubernetes-int-or-string") && !fields.contains_key("anyOf") {
            fields.insert("anyOf".to_owned(), json!([{ "type": "integer" }, { "type": "string" }]));
        }
    });
}

/// Leaves out what v2 has no words for.
fn simplify(schema: &mut Value) {
    each(schema, &mut |fields| {
        // Those of the properties go with the properties' own visit: what is required must not be nullable.
        let nullable = |value: &Value| value["nullable"] == true || value["x-nullable-before"] == true;
        let optional: Vec<json::Text> = (fields.get("properties").and_then(Value::as_object).into_iter().flatten())
            .filter(|(_, property)| nullable(property))
            .map(|(name, _)| name.clone())
            .collect();
        if let Some(required) = fields.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !optional.iter().any(|optional| name == optional));
        }
        for junctor in ["allOf", "oneOf", "anyOf", "not", "default"] {
            fields.shift_remove(junctor);
        }
        let preserves = is(fields, "x-kubernetes-preserve-unknown-fields");
        if is(fields, "nullable") || preserves {
            fields.shift_remove("items");
            fields.shift_remove("properties");
        }
        let no_items = fields.get("type").is_some_and(|of| of == "array") && !fields.contains_key("items");
        let free = preserves && fields.get("type").is_some_and(|of| of == "object");
        if is(fields, "nullable") || no_items || free {
            fields.shift_remove("type");
        }
        if fields.shift_remove("nullable").is_some_and(|nullable| nullable == true) {
            fields.insert("x-nullable-before", true.into());
        }
    });
    each(schema, &mut |fields| {
        fields.shift_remove("x-nullable-before");
    });
}

/// Embedded resources have what all have.
fn add_embedded(schema: &mut Value, meta: &Meta<'_>) {
    each(schema, &mut |fields| {
        let preserves = is(fields, "x-kubernetes-preserve-unknown-fields");
        if !is(fields, "x-kubernetes-embedded-resource") || (preserves && meta.dialect == Dialect::V2) {
            return;
        }
        meta.add_to(fields.entry("properties").or_insert_with(|| json!({})));
        let required = fields.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            for name in ["kind", "apiVersion"] {
                if !required.iter().any(|own| own == name) {
                    required.push(name.into());
                }
            }
        }
    });
}

/// The models a schema refers to.
pub(super) fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(reference) => found.extend(reference.rsplit('/').next().map(str::to_owned)),
                    None => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
