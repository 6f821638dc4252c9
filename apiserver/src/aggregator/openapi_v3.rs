//! A document of version 3 made of one of version 2, for servers that only have the latter.
//!
//! As upstream's it loses what version 2 says of parameters besides type, format and uniqueness.
//! Upstream: kube-openapi/pkg/openapiconv.ConvertV2ToV3.

use json::{Map, Value, json};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// What an operation says in both versions.
const KEPT: [&str; 6] = ["description", "externalDocs", "tags", "summary", "deprecated", "operationId"];

type Convert<'a> = &'a dyn Fn(&Value) -> Value;

/// The whole document.
pub(super) fn of_v2(document: &Value) -> Value {
    let mut made = json!({"openapi": "3.0.0"});
    copy(document, &mut made, &["info", "externalDocs"]);
    made["paths"] = mapped(&document["paths"], path);
    let mut components = Map::new();
    let parts: [(&str, &str, Convert<'_>); 3] = [
        ("definitions", "schemas", &schema),
        ("securityDefinitions", "securitySchemes", &security_scheme),
        ("responses", "responses", &|own| response(own, &document["produces"])),
    ];
    for (theirs, ours, convert) in parts {
        if document[theirs].is_object() {
            components.insert(ours.to_owned(), mapped(&document[theirs], convert));
        }
    }
    made["components"] = Value::Object(components);
    made
}

/// Every value of an object, converted.
fn mapped(object: &Value, convert: impl Fn(&Value) -> Value) -> Value {
    let all = object.as_object().into_iter().flatten();
    Value::Object(
        all.map(|(name, own)| (name.clone(), if is_extension(name) { own.clone() } else { convert(own) })).collect(),
    )
}

fn is_extension(name: &str) -> bool {
    name.starts_with("x-")
}

/// Copies these fields, and extensions.
fn copy(from: &Value, to: &mut Value, fields: &[&str]) {
    for (name, value) in from.as_object().into_iter().flatten() {
        if fields.contains(&name.as_str()) || is_extension(name) {
            to[name.as_str()] = value.clone();
        }
    }
}

fn path(item: &Value) -> Value {
    let mut made = json!({});
    copy(item, &mut made, &["$ref"]);
    for method in METHODS.into_iter().filter(|method| item[*method].is_object()) {
        made[method] = operation(&item[method]);
    }
    if let Some(parameters) = item["parameters"].as_array() {
        made["parameters"] = parameters.iter().map(parameter).collect();
    }
    made
}

fn operation(operation: &Value) -> Value {
    let mut made = json!({});
    copy(operation, &mut made, &KEPT);
    let mut parameters = Vec::new();
    for own in operation["parameters"].as_array().into_iter().flatten() {
        if own["name"] == "body" && own["schema"].is_object() {
            made["requestBody"] = json!({});
            if let Some(content) = content(&own["schema"], &operation["consumes"]) {
                made["requestBody"]["content"] = content;
            }
        } else {
            parameters.push(parameter(own));
        }
    }
    if !parameters.is_empty() {
        made["parameters"] = parameters.into();
    }
    made["responses"] = mapped(&operation["responses"], |own| response(own, &operation["produces"]));
    made
}

/// A schema under each media type; nothing where none are named.
fn content(own: &Value, media_types: &Value) -> Option<Value> {
    let names = media_types.as_array()?.iter().filter_map(Value::as_str);
    Some(Value::Object(names.map(|name| (name.to_owned(), json!({"schema": schema(own)}))).collect()))
}

fn parameter(parameter: &Value) -> Value {
    let mut made = json!({});
    copy(parameter, &mut made, &["name", "description", "in", "required", "allowEmptyValue"]);
    reference(parameter, &mut made, "#/parameters/", "#/components/parameters/");
    let mut simple = json!({});
    copy(parameter, &mut simple, &["type", "format", "uniqueItems"]);
    made["schema"] =
        if parameter["schema"].is_object() { schema(&parameter["schema"]) } else { without_extensions(simple) };
    made
}

fn without_extensions(mut own: Value) -> Value {
    if let Some(fields) = own.as_object_mut() {
        fields.retain(|name, _| !is_extension(name));
    }
    own
}

fn response(response: &Value, produces: &Value) -> Value {
    let mut made = json!({});
    copy(response, &mut made, &["description"]);
    reference(response, &mut made, "#/responses/", "#/components/responses/");
    if response["schema"].is_object()
        && let Some(content) = content(&response["schema"], produces)
    {
        made["content"] = content;
    }
    made
}

/// Copies a `$ref`, led to where its target is in version 3.
fn reference(from: &Value, to: &mut Value, theirs: &str, ours: &str) {
    if let Some(own) = from["$ref"].as_str() {
        to["$ref"] = own.replacen(theirs, ours, 1).into();
    }
}

fn security_scheme(scheme: &Value) -> Value {
    let mut made = json!({});
    copy(scheme, &mut made, &["description", "type", "name", "in"]);
    if let Some(flow) = scheme["flow"].as_str() {
        let mut own = json!({});
        copy(scheme, &mut own, &["authorizationUrl", "tokenUrl", "scopes"]);
        made["flows"] = json!({flow: without_extensions(own)});
    }
    made
}

/// A schema; a reference that says something besides is put into an `allOf`, for it may stand alone only.
fn schema(own: &Value) -> Value {
    let Some(fields) = own.as_object() else { return own.clone() };
    let mut made = Map::new();
    for (name, value) in fields {
        let value = match name.as_str() {
            "$ref" => continue,
            "properties" => Value::Object(
                value.as_object().into_iter().flatten().map(|(name, own)| (name.clone(), schema(own))).collect(),
            ),
            "items" if value.is_array() => value.as_array().into_iter().flatten().map(schema).collect(),
            "items" | "additionalProperties" | "additionalItems" => schema(value),
            _ => value.clone(),
        };
        made.insert(name.clone(), value);
    }
    if fields.contains_key("$ref") {
        let mut target = json!({});
        reference(own, &mut target, "#/definitions/", "#/components/schemas/");
        if made.is_empty() {
            return target;
        }
        made.insert("allOf".to_owned(), json!([target]));
    }
    Value::Object(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_version_2_becomes_one_of_version_3() {
        let document = json!({
            "swagger": "2.0",
            "info": {"title": "t", "version": "v"},
            "paths": {"/apis/a/v1/things": {
                "parameters": [{"name": "pretty", "in": "query", "type": "string", "uniqueItems": true, "x-kind": "p"}],
                "post": {
                    "consumes": ["application/json"],
                    "produces": ["application/json", "application/yaml"],
                    "operationId": "create",
                    "schemes": ["https"],
                    "parameters": [
                        {"name": "body", "in": "body", "required": true, "schema": {"$ref": "#/definitions/Thing"}},
                        {"name": "dryRun", "in": "query", "type": "boolean", "description": "d"},
                    ],
                    "responses": {"201": {"description": "Created", "schema": {"$ref": "#/definitions/Thing"}}, "401": {"description": "No"}},
                    "x-kubernetes-action": "post",
                },
            }},
            "definitions": {"Thing": {"type": "object", "properties": {
                "plain": {"$ref": "#/definitions/Other"},
                "told": {"description": "d", "$ref": "#/definitions/Other"},
                "list": {"type": "array", "items": {"$ref": "#/definitions/Other"}},
            }}},
            "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header", "description": "b"}},
            "security": [{"BearerToken": []}],
        });
        let thing = json!({"schema": {"$ref": "#/components/schemas/Thing"}});
        let other = json!({"$ref": "#/components/schemas/Other"});
        let expected = json!({
            "openapi": "3.0.0",
            "info": {"title": "t", "version": "v"},
            "paths": {"/apis/a/v1/things": {
                "parameters": [{"name": "pretty", "in": "query", "x-kind": "p", "schema": {"type": "string", "uniqueItems": true}}],
                "post": {
                    "operationId": "create",
                    "x-kubernetes-action": "post",
                    "requestBody": {"content": {"application/json": thing}},
                    "parameters": [{"name": "dryRun", "in": "query", "description": "d", "schema": {"type": "boolean"}}],
                    "responses": {
                        "201": {"description": "Created", "content": {"application/json": thing, "application/yaml": thing}},
                        "401": {"description": "No"},
                    },
                },
            }},
            "components": {
                "schemas": {"Thing": {"type": "object", "properties": {
                    "plain": other,
                    "told": {"description": "d", "allOf": [other]},
                    "list": {"type": "array", "items": other},
                }}},
                "securitySchemes": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header", "description": "b"}},
            },
        });
        assert_eq!(of_v2(&document), expected);
    }
}
