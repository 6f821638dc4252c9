//! What objects are found by without looking at all of them: every label, and the node of a pod.
//!
//! [`of`] reads them from an object's served bytes once, when it enters the store's view; [`wanted`] says which of them a selection
//! needs. Most selective lists and watches ask for one value of one label, or are a kubelet's.
//! Upstream: `registry/core/pod.Indexers` and the indexers of storage/cacher, which know fields only.

use std::collections::BTreeMap;

use api::selector::{field, label};
use json::Value;
use serde::Deserialize;
use store::Term;

use super::resource::Resource;

const PODS: &str = "/registry/pods/";
const NODE_NAME: &str = "spec.nodeName";

fn label_term(name: &str, value: &str) -> Term {
    Term::new(("label", name, value))
}

fn field_term(name: &str, value: &str) -> Term {
    Term::new(("field", name, value))
}

/// What the pods of a node are found by.
pub(super) fn bound_to(node: &str) -> Term {
    field_term(NODE_NAME, node)
}

/// The terms of an object.
pub(super) fn of_object(object: &Value) -> Box<[Term]> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some(label_term(name, value.as_str()?)));
    let node = if object["kind"] == "Pod" { object["spec"]["nodeName"].as_str() } else { None };
    labels.chain(node.map(|node| field_term(NODE_NAME, node))).collect()
}

/// The terms of the object under `key`, whose metadata begin at `metadata` in its bytes.
pub(super) fn of(key: &str, served: &[u8], metadata: usize) -> Box<[Term]> {
    let (labels, node) = if key.starts_with(PODS) {
        json::from_slice::<Pod>(served).map(|pod| (pod.metadata.labels, pod.spec.node_name)).unwrap_or_default()
    } else {
        // The rest of the object may be large, and is not looked at.
        let mut reader = json::Deserializer::from_slice(served.get(metadata..).unwrap_or_default());
        (Metadata::deserialize(&mut reader).map(|metadata| metadata.labels).unwrap_or_default(), None)
    };
    let labels = labels.iter().flatten().map(|(name, value)| label_term(name, value));
    labels.chain(node.map(|node| field_term(NODE_NAME, &node))).collect()
}

/// A term that every selected object has, one that is likely to leave few; None if the selectors insist on no value.
pub(super) fn wanted(resource: &Resource, labels: &label::Selector, fields: &field::Selector) -> Option<Term> {
    let node = fields.requires_exact_match(NODE_NAME).filter(|node| !node.is_empty() && resource.prefix == PODS);
    if let Some(node) = node {
        return Some(field_term(NODE_NAME, node));
    }
    labels.requirements().iter().find_map(|requirement| {
        let value = labels.requires_exact_match(requirement.key())?;
        Some(label_term(requirement.key(), value))
    })
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: PodSpec,
}

#[derive(Default, Deserialize)]
struct PodSpec {
    #[serde(rename = "nodeName")]
    node_name: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    labels: Option<BTreeMap<String, String>>,
}
