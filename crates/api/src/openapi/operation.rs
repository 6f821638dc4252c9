//! One operation of a path: its parameters, what it takes and what it answers.

use json::{Map, Value, json};

use super::{Dialect, shared};
use crate::schema::{Schema, Type};

pub(super) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub(super) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(super) const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A parameter of a path or of one operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// In the path (and required), or in the query.
    pub(super) in_path: bool,
    /// `string`, `boolean`, `integer`.
    pub(super) kind: &'static str,
}

impl Parameter {
    pub(super) fn in_path(name: &str) -> Parameter {
        Parameter { name: name.to_owned(), in_path: true, kind: "string" }
    }

    pub(super) fn in_query(name: &str) -> Parameter {
        let kind = match name {
            "allowWatchBookmarks"
            | "force"
            | "ignoreStoreReadErrorWithClusterBreakingPotential"
            | "orphanDependents"
            | "sendInitialEvents"
            | "watch" => "boolean",
            "gracePeriodSeconds" | "limit" | "timeoutSeconds" => "integer",
            _ => "string",
        };
        Parameter { name: name.to_owned(), in_path: false, kind }
    }

    /// The fields of an options kind. Times are no query parameters.
    pub(super) fn of_options(options: Schema<'_>) -> Vec<Parameter> {
        let fields =
            options.object().fields.iter().filter(|field| !matches!(field.name.as_ref(), "kind" | "apiVersion"));
        let parameters = fields.filter_map(|field| {
            let scalar = field.r#type.element().unwrap_or(&field.r#type);
            let kind = match scalar {
                Type::Bool => "boolean",
                Type::Int32 | Type::Int64 => "integer",
                Type::String => "string",
                _ => return None,
            };
            Some(Parameter { name: field.name.to_string(), in_path: false, kind })
        });
        let mut parameters: Vec<Parameter> = parameters.collect();
        parameters.sort();
        parameters
    }

    /// At a place ("METHOD PATH"), where v2 refers to what many places have.
    pub(super) fn refer(&self, dialect: Dialect, place: &str) -> Value {
        let shared = (dialect == Dialect::V2).then(|| shared::name(self, place)).flatten();
        shared.map_or_else(|| self.write(dialect), |name| shared::reference(&name))
    }

    pub(super) fn write(&self, dialect: Dialect) -> Value {
        let mut parameter = Map::new();
        parameter.insert("name", self.name.as_str().into());
        parameter.insert("in", if self.in_path { "path" } else { "query" }.into());
        if self.in_path {
            parameter.insert("required", true.into());
        }
        match dialect {
            Dialect::V2 => {
                parameter.insert("type", self.kind.into());
                parameter.insert("uniqueItems", true.into());
            }
            Dialect::V3 => {
                parameter.insert("schema", json!({ "type": self.kind, "uniqueItems": true }));
            }
        }
        Value::Object(parameter)
    }
}

/// What an operation takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// An object of this model.
    Object(String),
    /// One of the patch formats.
    Patch,
    /// Options of a deletion, which may be left out.
    DeleteOptions,
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An object of this model in every format.
    Model(String),
    /// The same, or a stream of events.
    Watchable(String),
    /// Text in whatever format the other side speaks.
    Anything,
    /// A log.
    Log,
    /// A document in this one format: of a model, or a text without one.
    Only(&'static str, Option<String>),
}

impl Answer {
    pub(super) fn model(&self) -> Option<&str> {
        match self {
            Answer::Model(model) | Answer::Watchable(model) | Answer::Only(_, Some(model)) => Some(model),
            _ => None,
        }
    }

    fn media_types(&self, custom: bool) -> Vec<&'static str> {
        match self {
            Answer::Model(_) | Answer::Watchable(_) if custom => vec![JSON, YAML],
            Answer::Model(_) => vec![JSON, YAML, PROTOBUF],
            Answer::Watchable(_) => vec![
                JSON,
                YAML,
                PROTOBUF,
                "application/json;stream=watch",
                "application/vnd.kubernetes.protobuf;stream=watch",
            ],
            Answer::Anything => vec!["*/*"],
            Answer::Log => vec!["text/plain", JSON, YAML, PROTOBUF],
            Answer::Only(media_type, _) => vec![media_type],
        }
    }

    fn schema(&self, dialect: Dialect) -> Value {
        match self.model() {
            Some(model) => json!({ "$ref": dialect.reference(model) }),
            None => json!({ "type": "string" }),
        }
    }
}

/// One method of a path.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) id: String,
    pub(super) tag: String,
    /// `x-kubernetes-action` and the kind it is about.
    pub(super) action: Option<(&'static str, [String; 3])>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answer: Answer,
    /// Codes of success.
    pub(super) codes: &'static [u16],
    /// Of a custom resource: no protobuf, no strategic patches.
    pub(super) custom: bool,
}

impl Operation {
    /// `place` is "METHOD PATH".
    pub(super) fn write(&self, dialect: Dialect, own_parameters: &[Parameter], place: &str) -> Value {
        let mut operation = Map::new();
        let mut set = |key: &str, value: Value| operation.insert(key.to_owned(), value);
        set("tags", json!([self.tag]));
        set("operationId", self.id.as_str().into());
        let mut parameters: Vec<Value> =
            own_parameters.iter().map(|parameter| parameter.refer(dialect, place)).collect();
        if dialect == Dialect::V2 {
            if let Some(consumed) = self.consumes() {
                set("consumes", json!(consumed));
            }
            set("produces", json!(self.answer.media_types(self.custom)));
            set("schemes", json!(["https"]));
            if let Some(body) = &self.body {
                let shared = shared::body_name(body).map(|name| shared::reference(&name));
                parameters.insert(0, shared.unwrap_or_else(|| shared::of_body(body, dialect)));
            }
        } else if let Some(body) = &self.body {
            let schema = json!({ "schema": { "$ref": dialect.reference(body.model()) } });
            let content = content(body.media_types(self.custom), &schema);
            let mut request = json!({ "content": content });
            if *body != Body::DeleteOptions {
                request["required"] = true.into();
            }
            set("requestBody", request);
        }
        if !parameters.is_empty() {
            set("parameters", parameters.into());
        }
        set("responses", self.responses(dialect));
        if let Some((action, [group, version, kind])) = &self.action {
            set("x-kubernetes-action", (*action).into());
            set("x-kubernetes-group-version-kind", json!({ "group": group, "version": version, "kind": kind }));
        }
        Value::Object(operation)
    }

    fn consumes(&self) -> Option<Vec<&'static str>> {
        Some(match (&self.body, &self.answer) {
            (Some(Body::Patch), _) => Body::Patch.media_types(self.custom),
            _ if self.custom => vec![JSON, YAML],
            (_, Answer::Only(_, None)) => return None,
            (_, Answer::Only(..)) => vec![JSON],
            (_, Answer::Model(_)) if self.action.is_none() => vec![JSON, YAML, PROTOBUF],
            _ => vec!["*/*"],
        })
    }

    fn responses(&self, dialect: Dialect) -> Value {
        let schema = self.answer.schema(dialect);
        let mut responses = Map::new();
        for code in self.codes {
            let description = match code {
                201 => "Created",
                202 => "Accepted",
                _ => "OK",
            };
            let response = match dialect {
                Dialect::V2 => json!({ "description": description, "schema": schema }),
                Dialect::V3 => {
                    let content = content(self.answer.media_types(self.custom), &json!({ "schema": schema }));
                    json!({ "description": description, "content": content })
                }
            };
            responses.insert(code.to_string(), response);
        }
        responses.insert("401", json!({ "description": "Unauthorized" }));
        Value::Object(responses)
    }
}

/// The same for each media type, in their order.
fn content(mut media_types: Vec<&'static str>, schema: &Value) -> Map {
    media_types.sort_unstable();
    media_types.into_iter().map(|media_type| (media_type.to_owned(), schema.clone())).collect()
}

impl Body {
    pub(super) fn model(&self) -> &str {
        match self {
            Body::Object(model) => model,
            Body::Patch => PATCH,
            Body::DeleteOptions => DELETE_OPTIONS,
        }
    }

    fn media_types(&self, custom: bool) -> Vec<&'static str> {
        const JSON_PATCH: &str = "application/json-patch+json";
        const MERGE: &str = "application/merge-patch+json";
        const STRATEGIC: &str = "application/strategic-merge-patch+json";
        const APPLY: &str = "application/apply-patch+yaml";
        match self {
            Body::Patch if custom => vec![JSON_PATCH, MERGE, APPLY],
            Body::Patch => vec![JSON_PATCH, MERGE, STRATEGIC, APPLY],
            _ if custom => vec![JSON, YAML],
            _ => vec!["*/*"],
        }
    }
}
