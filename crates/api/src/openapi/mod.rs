//! The published OpenAPI documents, made from the schema table: v3 (one a group-version) and v2 (one for all).
//!
//! [`v3`] and [`v2`] write JSON into a buffer model by model and path by path, so that making a document needs little
//! more memory than the document. Nothing is kept here: the apiserver makes them on the first request and keeps what
//! it wants. Texts for people come from outside ([`Descriptions`]).
//! Upstream: `k8s.io/kube-openapi/pkg/builder{,3}` over `k8s.io/apiserver/pkg/endpoints/installer.go`.

mod custom;
mod model;
mod operation;
mod options;
mod path;
mod shared;
mod write;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::schema::Schema;
use crate::scheme::{ResourceInfo, Scheme};
pub use custom::CustomKind;
use write::Writer;

/// Where the texts of `kubectl explain` come from.
pub trait Descriptions {
    /// What a model is. `model` is its OpenAPI name.
    fn model(&self, model: &str) -> Option<Cow<'_, str>>;
    /// What a field of a model is.
    fn field(&self, model: &str, field: &str) -> Option<Cow<'_, str>>;
}

/// No texts at all.
#[derive(Clone, Copy, Debug)]
pub struct NoDescriptions;

impl Descriptions for NoDescriptions {
    fn model(&self, _model: &str) -> Option<Cow<'_, str>> {
        None
    }

    fn field(&self, _model: &str, _field: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Which of the two document formats is written. They differ in how they refer, in parameters and in defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// Reference to a model.
    fn reference(self, model: &str) -> String {
        match self {
            Dialect::V2 => format!("#/definitions/{model}"),
            Dialect::V3 => format!("#/components/schemas/{model}"),
        }
    }
}

/// Paths of the v3 documents, as `/openapi/v3` lists them: `api/v1`, `apis/apps`, `version`.
pub fn v3_paths(scheme: &Scheme) -> Vec<String> {
    let mut paths: Vec<String> = path::SINGLE.iter().map(|single| single.document.to_owned()).collect();
    for gv in scheme.group_versions() {
        let group = path::group(&gv.group);
        paths.push(path::base(&gv.group, &gv.version)[1..].to_owned());
        if !gv.group.is_empty() && !paths.contains(&group) {
            paths.push(group);
        }
    }
    paths.sort();
    paths
}

/// The v3 document of one of [`v3_paths`], as JSON. None for another path.
pub fn v3(scheme: &Scheme, document: &str, descriptions: &dyn Descriptions) -> Option<Vec<u8>> {
    let gv = scheme.group_versions().iter().find(|gv| &path::base(&gv.group, &gv.version)[1..] == document);
    let (paths, own) = match gv {
        Some(gv) => {
            let resources = scheme.resources(&gv.group, &gv.version).iter();
            let paths = path::of_group_version(scheme, &gv.group, &gv.version, resources, None);
            (paths, Some((gv.group.as_ref(), gv.version.as_ref())))
        }
        None => (vec![path::of_document(scheme, document)?], None),
    };
    Some(Writer::new(Dialect::V3, scheme, descriptions, &[]).v3(&paths, own))
}

/// The v3 document of a group-version of custom resources, as JSON.
pub fn v3_custom(scheme: &Scheme, kinds: &[CustomKind<'_>], descriptions: &dyn Descriptions) -> Option<Vec<u8>> {
    let first = kinds.first()?.info;
    let resources = kinds.iter().map(|kind| kind.info);
    let paths = path::of_group_version(scheme, &first.group, &first.version, resources, Some(kinds));
    Some(Writer::new(Dialect::V3, scheme, descriptions, kinds).v3_custom(&paths))
}

/// The v2 document of everything built in and of custom resources, as JSON.
pub fn v2(scheme: &Scheme, custom: &[CustomKind<'_>], descriptions: &dyn Descriptions) -> Vec<u8> {
    let mut paths: Vec<path::PathItem> =
        v3_paths(scheme).iter().filter_map(|document| path::of_document(scheme, document)).collect();
    for gv in scheme.group_versions() {
        let resources = scheme.resources(&gv.group, &gv.version).iter();
        paths.extend(path::of_group_version(scheme, &gv.group, &gv.version, resources, None));
    }
    for kind in custom {
        let (group, version) = (&kind.info.group, &kind.info.version);
        paths.extend(path::of_group_version(scheme, group, version, std::iter::once(kind.info), Some(custom)));
    }
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    Writer::new(Dialect::V2, scheme, descriptions, custom).v2(&paths)
}

/// Model name of a kind: the built-in one, or that of a custom resource.
fn model_of(scheme: &Scheme, group: &str, version: &str, kind: &str) -> String {
    let built_in = scheme.kind(group, version, kind).map(|schema| schema.object().name.to_string());
    built_in.unwrap_or_else(|| custom::model_name(group, version, kind))
}

/// The options of a connection or a log, as query parameters.
fn options_of<'a>(scheme: &'a Scheme, resource: &ResourceInfo, kind: &str) -> Option<Schema<'a>> {
    scheme.kind(&resource.group, &resource.version, kind)
}
