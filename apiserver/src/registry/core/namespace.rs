//! Namespaces: gone only when everything in them is. Upstream: pkg/registry/core/namespace.

use api::field::{Error, ErrorList, Path};
use api::meta;
use api::names::{self, NameRule};
use json::{Value, json};

use super::super::fields::{At, items, object_mut, set, set_default, text};
use super::super::strategy::{Strategy, take_only_status};
use crate::context::RequestContext;

const KUBERNETES: &str = "kubernetes";

/// The semantics of namespaces.
#[derive(Debug, Clone, Copy)]
pub struct Namespace;

impl Strategy for Namespace {
    fn name_rule(&self) -> NameRule {
        names::name_is_dns_label
    }

    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({"phase": "Active"}));
        let spec = object_mut(new, "spec");
        let mut finalizers = items(spec, "finalizers").to_vec();
        if !finalizers.iter().any(|finalizer| finalizer == KUBERNETES) {
            finalizers.push(KUBERNETES.into());
        }
        set(spec, "finalizers", finalizers);
        label_with_name(new);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let finalizers = At::root(new).field("spec").field("finalizers");
        for finalizer in finalizers.items() {
            finalizer_name(&At::new(finalizer.value, finalizers.path.clone()), &mut errors);
        }
        errors
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        set(object_mut(new, "spec"), "finalizers", old["spec"]["finalizers"].clone());
        set(new, "status", old["status"].clone());
        label_with_name(new);
    }

    fn validate_update(&self, _ctx: &RequestContext, _new: &Value, _old: &Value) -> ErrorList {
        ErrorList::new()
    }

    fn prepare_for_subresource_update(&self, _ctx: &RequestContext, subresource: &str, new: &mut Value, old: &Value) {
        match subresource {
            "finalize" => set(new, "status", old["status"].clone()),
            _ => take_only_status(new, old),
        }
        set_default(object_mut(new, "status"), "phase", "Active");
    }

    fn validate_subresource_update(
        &self,
        _ctx: &RequestContext,
        subresource: &str,
        new: &Value,
        _old: &Value,
    ) -> ErrorList {
        let mut errors = ErrorList::new();
        if subresource == "finalize" {
            let finalizers = At::root(new).field("spec").field("finalizers");
            finalizers.items().for_each(|finalizer| finalizer_name(&finalizer, &mut errors));
            return errors;
        }
        let (phase, path) = (text(&new["status"], "phase"), Path::new("status").child("Phase"));
        let detail = match meta::is_being_deleted(new) {
            false if phase != "Active" => "may only be 'Active' if `deletionTimestamp` is empty",
            true if phase != "Terminating" => "may only be 'Terminating' if `deletionTimestamp` is not empty",
            _ => return errors,
        };
        errors.push(Error::invalid(&path, phase, detail));
        errors
    }

    fn prepare_for_deletion(&self, _ctx: &RequestContext, new: &mut Value) {
        set(object_mut(new, "status"), "phase", "Terminating");
    }

    fn is_removable(&self, object: &Value) -> bool {
        items(&object["spec"], "finalizers").is_empty()
    }
}

/// Upstream: the label NamespaceDefaultLabelName.
fn label_with_name(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    if !name.is_empty() {
        meta::set_label(namespace, "kubernetes.io/metadata.name", &name);
    }
}

fn finalizer_name(at: &At<'_>, errors: &mut ErrorList) {
    super::super::validation::qualified_name(at, errors);
    if !at.str().contains('/') && !matches!(at.str(), KUBERNETES | "orphan" | "foregroundDeletion") {
        errors.push(at.invalid_str("name is neither a standard finalizer name nor is it fully qualified"));
    }
}
