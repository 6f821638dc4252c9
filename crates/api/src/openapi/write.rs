//! Puts a document together: paths, then the models they refer to, directly or through another model.

use std::collections::{BTreeMap, BTreeSet};

use json::{Map, Value, json};

use super::custom::{self, CustomKind};
use super::operation::Parameter;
use super::path::PathItem;
use super::{Descriptions, Dialect, model, options, shared};
use crate::scheme::Scheme;

/// Version of the API the documents tell, as upstream's do: no patch level.
const VERSION: &str = "1.37";

pub(super) struct Writer<'a> {
    dialect: Dialect,
    scheme: &'a Scheme,
    descriptions: &'a dyn Descriptions,
    /// Models of custom resources.
    custom: BTreeMap<String, Value>,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        dialect: Dialect,
        scheme: &'a Scheme,
        descriptions: &'a dyn Descriptions,
        kinds: &[CustomKind<'_>],
    ) -> Self {
        let custom = custom::models(kinds, dialect, descriptions);
        Writer { dialect, scheme, descriptions, custom, out: Vec::new() }
    }

    pub(super) fn v3(mut self, paths: &[PathItem], own: Option<(&str, &str)>) -> Vec<u8> {
        self.text("{\"openapi\":\"3.0.0\",\"info\":");
        self.value(&json!({ "title": "Kubernetes", "version": VERSION }));
        self.paths(paths);
        self.text(",\"components\":{");
        if !self.reachable(paths).is_empty() {
            self.text("\"schemas\":");
            self.models(paths, own.as_slice());
            self.text(",");
        }
        self.text("\"securitySchemes\":");
        self.value(&bearer());
        self.text("}}");
        self.out
    }

    /// A document of custom resources has a name and a version of its own, and says nothing of how clients show who they are.
    pub(super) fn v3_custom(mut self, paths: &[PathItem]) -> Vec<u8> {
        self.text("{\"openapi\":\"3.0.0\",\"info\":");
        self.value(&json!({ "title": "Kubernetes CRD Swagger", "version": "v0.1.0" }));
        self.paths(paths);
        self.text(",\"components\":{\"schemas\":");
        self.models(paths, &options::of_clients());
        self.text("}}");
        self.out
    }

    pub(super) fn v2(mut self, paths: &[PathItem]) -> Vec<u8> {
        self.text("{\"swagger\":\"2.0\",\"info\":");
        self.value(&json!({ "title": "Kubernetes", "version": VERSION }));
        self.paths(paths);
        self.text(",\"definitions\":");
        self.models(paths, &options::of_servers());
        self.text(",\"parameters\":");
        self.value(&Value::Object(self.shared(paths)));
        self.text(",\"securityDefinitions\":");
        self.value(&bearer());
        self.text(",\"security\":[{\"BearerToken\":[]}]}");
        self.out
    }

    /// The parameters that paths refer to.
    fn shared(&self, paths: &[PathItem]) -> Map {
        let in_common = paths.iter().flat_map(|item| item.parameters.iter().map(|own| (own, item.path.clone())));
        let operations = || paths.iter().flat_map(|item| item.operations.iter().map(move |own| (own, item)));
        let own = operations().flat_map(|(operation, item)| {
            let place = format!("{} {}", operation.method, item.path);
            let own = operation.parameters.iter().filter(|parameter| !item.parameters.contains(parameter));
            own.map(move |parameter| (parameter, place.clone()))
        });
        let parameters = in_common
            .chain(own)
            .filter_map(|(parameter, place)| Some((shared::name(parameter, &place)?, parameter.write(self.dialect))));
        let bodies = operations().filter_map(|(operation, _)| {
            let body = operation.body.as_ref()?;
            Some((shared::body_name(body)?, shared::of_body(body, self.dialect)))
        });
        shared::parameters(parameters.chain(bodies))
    }

    fn paths(&mut self, paths: &[PathItem]) {
        self.text(",\"paths\":{");
        for (position, item) in paths.iter().enumerate() {
            self.key(position, &item.path);
            let mut object = Map::new();
            for operation in &item.operations {
                let own: Vec<Parameter> = operation
                    .parameters
                    .iter()
                    .filter(|parameter| !item.parameters.contains(parameter))
                    .cloned()
                    .collect();
                let place = format!("{} {}", operation.method, item.path);
                object.insert(operation.method.to_owned(), operation.write(self.dialect, &own, &place));
            }
            if !item.parameters.is_empty() {
                let common = item.parameters.iter().map(|parameter| parameter.refer(self.dialect, &item.path));
                object.insert("parameters", common.collect());
            }
            self.value(&Value::Object(object));
        }
        self.text("}");
    }

    fn models(&mut self, paths: &[PathItem], own: &[(&str, &str)]) {
        self.text("{");
        for (position, name) in self.reachable(paths).into_iter().enumerate() {
            self.key(position, &name);
            let schema = match (self.custom.remove(&name), model::leaf(&name, self.dialect)) {
                (Some(own), _) => own,
                (None, Some(mut leaf)) => {
                    if let (Some(text), Value::Object(leaf)) = (self.descriptions.model(&name), &mut leaf) {
                        leaf.insert("description", text.into());
                    }
                    leaf
                }
                (None, None) => match self.scheme.type_named(&name) {
                    Some(schema) => model::object(schema, self.dialect, own, self.descriptions),
                    None => json!({ "type": "object" }),
                },
            };
            self.value(&schema);
        }
        self.text("}");
    }

    /// Names of the models the paths need, sorted.
    fn reachable(&self, paths: &[PathItem]) -> BTreeSet<String> {
        let operations = || paths.iter().flat_map(|item| &item.operations);
        let bodies = operations().filter_map(|operation| operation.body.as_ref().map(|body| body.model().to_owned()));
        let answers = operations().filter_map(|operation| operation.answer.model().map(str::to_owned));
        let mut waiting: Vec<String> = bodies.chain(answers).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if found.contains(&name) {
                continue;
            }
            if let Some(schema) = self.custom.get(&name) {
                custom::references(schema, &mut waiting);
            } else if model::leaf(&name, self.dialect).is_none() {
                waiting.extend(self.scheme.type_named(&name).into_iter().flat_map(model::references));
            } else if name.contains(".JSONSchemaPropsOr") {
                waiting.push("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps".to_owned());
            }
            found.insert(name);
        }
        found
    }

    fn key(&mut self, position: usize, key: &str) {
        if position > 0 {
            self.text(",");
        }
        self.value(&Value::from(key));
        self.text(":");
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        json::to_writer(&mut self.out, value).expect("a Vec takes every write and a Value has string keys");
    }
}

fn bearer() -> Value {
    json!({ "BearerToken": { "type": "apiKey", "name": "authorization", "in": "header" } })
}
