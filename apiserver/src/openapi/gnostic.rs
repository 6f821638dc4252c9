//! The v2 document as the protobuf message kubectl asks for (`openapi.v2.Document` of gnostic), made from its JSON.
//!
//! Which JSON field has which number is a table; one walk writes any of its messages. Free values (enumerations, defaults,
//! extensions) are texts of YAML in that message, and JSON is YAML.
//! Upstream: github.com/google/gnostic-models/openapiv2.

use json::{Map, Value};

/// How a JSON value is written.
enum Kind {
    Text,
    Flag,
    Number,
    /// A `double`.
    Real,
    Texts,
    /// Free values.
    Anys,
    Any,
    One(&'static Message),
    Many(&'static Message),
    /// A message whose fields are entries of a name and a message, under this number.
    Named(u32, &'static Message),
    /// As [`Kind::Named`], each message once more in another, as its first alternative.
    NamedWrapped(u32, &'static Message, u32),
    /// `type`: a message of texts.
    Types,
    /// `items`: a message of schemas.
    Items,
    /// `additionalProperties`: a schema or a boolean.
    SchemaOrFlag,
    /// A schema as the first alternative of a message.
    Wrapped(&'static Message),
    /// Parameters, or references to them.
    Parameters,
    /// Parameters by name.
    NamedParameters,
    /// `security`.
    Requirements,
}

use Kind::{
    Any, Anys, Flag, Items, Many, Named, NamedParameters, NamedWrapped, Number, One, Parameters, Real, Requirements,
    SchemaOrFlag, Text, Texts, Types, Wrapped,
};

/// Fields by number, and the number of `x-` extensions (0: it has none).
struct Message {
    fields: &'static [(u32, &'static str, Kind)],
    extensions: u32,
}

static DOCUMENT: Message = Message {
    fields: &[
        (1, "swagger", Text),
        (2, "info", One(&INFO)),
        (3, "host", Text),
        (4, "basePath", Text),
        (5, "schemes", Texts),
        (6, "consumes", Texts),
        (7, "produces", Texts),
        (8, "paths", Named(2, &PATH)),
        (9, "definitions", Named(1, &SCHEMA)),
        (10, "parameters", NamedParameters),
        (12, "security", Requirements),
        (13, "securityDefinitions", NamedWrapped(1, &API_KEY, 2)),
    ],
    extensions: 16,
};

static INFO: Message =
    Message { fields: &[(1, "title", Text), (2, "version", Text), (3, "description", Text)], extensions: 7 };

static PATH: Message = Message {
    fields: &[
        (1, "$ref", Text),
        (2, "get", One(&OPERATION)),
        (3, "put", One(&OPERATION)),
        (4, "post", One(&OPERATION)),
        (5, "delete", One(&OPERATION)),
        (6, "options", One(&OPERATION)),
        (7, "head", One(&OPERATION)),
        (8, "patch", One(&OPERATION)),
        (9, "parameters", Parameters),
    ],
    extensions: 10,
};

static OPERATION: Message = Message {
    fields: &[
        (1, "tags", Texts),
        (2, "summary", Text),
        (3, "description", Text),
        (5, "operationId", Text),
        (6, "produces", Texts),
        (7, "consumes", Texts),
        (8, "parameters", Parameters),
        (9, "responses", NamedWrapped(1, &RESPONSE, 1)),
        (10, "schemes", Texts),
        (11, "deprecated", Flag),
    ],
    extensions: 13,
};

static RESPONSE: Message =
    Message { fields: &[(1, "description", Text), (2, "schema", Wrapped(&SCHEMA))], extensions: 5 };

static REFERENCE: Message = Message { fields: &[(1, "$ref", Text), (2, "description", Text)], extensions: 0 };

static BODY_PARAMETER: Message = Message {
    fields: &[
        (1, "description", Text),
        (2, "name", Text),
        (3, "in", Text),
        (4, "required", Flag),
        (5, "schema", One(&SCHEMA)),
    ],
    extensions: 6,
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        (1, "required", Flag),
        (2, "in", Text),
        (3, "description", Text),
        (4, "name", Text),
        (6, "type", Text),
        (7, "format", Text),
        (20, "uniqueItems", Flag),
    ],
    extensions: 23,
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        (1, "required", Flag),
        (2, "in", Text),
        (3, "description", Text),
        (4, "name", Text),
        (5, "type", Text),
        (6, "format", Text),
        (19, "uniqueItems", Flag),
    ],
    extensions: 22,
};

static API_KEY: Message = Message {
    fields: &[(1, "type", Text), (2, "name", Text), (3, "in", Text), (4, "description", Text)],
    extensions: 5,
};

static SCHEMA: Message = Message {
    fields: &[
        (1, "$ref", Text),
        (2, "format", Text),
        (3, "title", Text),
        (4, "description", Text),
        (5, "default", Any),
        (6, "multipleOf", Real),
        (7, "maximum", Real),
        (8, "exclusiveMaximum", Flag),
        (9, "minimum", Real),
        (10, "exclusiveMinimum", Flag),
        (11, "maxLength", Number),
        (12, "minLength", Number),
        (13, "pattern", Text),
        (14, "maxItems", Number),
        (15, "minItems", Number),
        (16, "uniqueItems", Flag),
        (17, "maxProperties", Number),
        (18, "minProperties", Number),
        (19, "required", Texts),
        (20, "enum", Anys),
        (21, "additionalProperties", SchemaOrFlag),
        (22, "type", Types),
        (23, "items", Items),
        (24, "allOf", Many(&SCHEMA)),
        (25, "properties", Named(1, &SCHEMA)),
        (30, "example", Any),
    ],
    extensions: 31,
};

/// The message of a v2 document.
pub(super) fn document(document: &Value) -> Vec<u8> {
    message(document, &DOCUMENT)
}

fn message(value: &Value, kind: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(object) = value.as_object() else { return out };
    for (number, name, kind) in kind.fields {
        if let Some(value) = object.get(name) {
            field(&mut out, *number, value, kind);
        }
    }
    if kind.extensions > 0 {
        for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
            bytes(&mut out, kind.extensions, &entry(name, &any(value)));
        }
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, value: &Value, kind: &Kind) {
    let list = || value.as_array().into_iter().flatten();
    let entries = || value.as_object().into_iter().flat_map(Map::iter);
    match kind {
        Text => text(out, number, value.as_str().unwrap_or_default()),
        Flag => integer(out, number, u64::from(value.as_bool().unwrap_or(false))),
        Number => integer(out, number, value.as_u64().unwrap_or(0)),
        Real => {
            let value = value.as_f64().unwrap_or(0.0);
            if value != 0.0 {
                tag(out, number, 1);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        // Empty texts of a list count, other empty texts are not written.
        Texts => list().for_each(|item| bytes(out, number, item.as_str().unwrap_or_default().as_bytes())),
        Any => bytes(out, number, &any(value)),
        Anys => list().for_each(|item| bytes(out, number, &any(item))),
        One(kind) => bytes(out, number, &message(value, kind)),
        Many(kind) => list().for_each(|item| bytes(out, number, &message(item, kind))),
        Named(inner, kind) => {
            let all = entries().map(|(name, item)| entry(name, &message(item, kind)));
            bytes(out, number, &wrap(*inner, all));
        }
        NamedWrapped(inner, kind, alternative) => {
            let all = entries().map(|(name, item)| entry(name, &wrap(*alternative, [message(item, kind)])));
            bytes(out, number, &wrap(*inner, all));
        }
        Types => {
            let names = match value {
                Value::String(name) => vec![name.as_bytes().to_vec()],
                _ => list().map(|name| name.as_str().unwrap_or_default().as_bytes().to_vec()).collect(),
            };
            bytes(out, number, &wrap(1, names));
        }
        Items => {
            let schemas: Vec<Vec<u8>> = match value {
                Value::Array(items) => items.iter().map(|item| message(item, &SCHEMA)).collect(),
                item => vec![message(item, &SCHEMA)],
            };
            bytes(out, number, &wrap(1, schemas));
        }
        SchemaOrFlag => match value {
            Value::Bool(flag) => {
                let mut inner = Vec::new();
                tag(&mut inner, 2, 0);
                varint(&mut inner, u64::from(*flag));
                bytes(out, number, &inner);
            }
            schema => bytes(out, number, &wrap(1, [message(schema, &SCHEMA)])),
        },
        Wrapped(kind) => bytes(out, number, &wrap(1, [message(value, kind)])),
        Parameters => list().for_each(|item| {
            let item = match item.get("$ref") {
                Some(_) => wrap(2, [message(item, &REFERENCE)]),
                None => wrap(1, [parameter(item)]),
            };
            bytes(out, number, &item);
        }),
        NamedParameters => {
            let all = entries().map(|(name, item)| entry(name, &parameter(item)));
            bytes(out, number, &wrap(1, all));
        }
        Requirements => list().for_each(|item| {
            let all = item.as_object().into_iter().flatten().map(|(name, scopes)| {
                let scopes = scopes.as_array().into_iter().flatten();
                let scopes = scopes.map(|scope| scope.as_str().unwrap_or_default().as_bytes().to_vec());
                entry(name, &wrap(1, scopes))
            });
            bytes(out, number, &wrap(1, all));
        }),
    }
}

/// A parameter: of the body, or of one of the other places.
fn parameter(value: &Value) -> Vec<u8> {
    match value.get("in").and_then(Value::as_str).unwrap_or_default() {
        "body" => wrap(1, [message(value, &BODY_PARAMETER)]),
        "path" => wrap(2, [wrap(4, [message(value, &PATH_PARAMETER)])]),
        "header" => wrap(2, [wrap(1, [message(value, &PATH_PARAMETER)])]),
        _ => wrap(2, [wrap(3, [message(value, &QUERY_PARAMETER)])]),
    }
}

/// A free value: its YAML, here JSON.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let plain = match value {
        // A word that no reader of YAML takes for anything else needs no quotes.
        Value::String(word) if !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()) => format!("{word}\n"),
        other => format!("{other}\n"),
    };
    text(&mut out, 2, &plain);
    out
}

/// A name and a message.
fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + value.len() + 8);
    text(&mut out, 1, name);
    bytes(&mut out, 2, value);
    out
}

/// A message of nothing but these parts under one number.
fn wrap(number: u32, parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        bytes(&mut out, number, &part);
    }
    out
}

fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        bytes(out, number, text.as_bytes());
    }
}

fn integer(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        tag(out, number, 0);
        varint(out, value);
    }
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    tag(out, number, 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn tag(out: &mut Vec<u8>, number: u32, wire_type: u64) {
    varint(out, u64::from(number) << 3 | wire_type);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use json::json;

    /// What kube-apiserver v1.37.0 sent for this document's parts.
    #[test]
    fn a_document_is_what_upstream_sends() {
        let operation = json!({"operationId": "get", "produces": ["application/json"], "schemes": ["https"],
            "responses": {"200": {"description": "OK", "schema": {"type": "string"}}, "401": {"description": "Unauthorized"}}});
        let source = json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "1.37"}, "paths": {"/x": {"get": operation}}});
        let expect = b"\x0a\x032.0\x12\x12\x0a\x0aKubernetes\x12\x041.37B\x61\x12\x5f\x0a\x02/x\x12\x59\x12\x57*\x03get2\x10application/json\
            J\x37\x0a\x1c\x0a\x03200\x12\x15\x0a\x13\x0a\x02OK\x12\x0d\x0a\x0b\xb2\x01\x08\x0a\x06string\
            \x0a\x17\x0a\x03401\x12\x10\x0a\x0e\x0a\x0cUnauthorizedR\x05https";
        let made = document(&source);
        assert_eq!(String::from_utf8_lossy(&made), String::from_utf8_lossy(expect));
    }

    #[test]
    fn schemas_hold_their_extensions_as_yaml() {
        let schema = json!({"type": "object", "enum": ["A"], "x-kubernetes-list-type": "map", "additionalProperties": {"type": "string"}});
        let made = message(&schema, &SCHEMA);
        let text = String::from_utf8_lossy(&made);
        assert!(text.contains("A\n") && text.contains("x-kubernetes-list-type") && text.contains("map\n"), "{text}");
    }
}
