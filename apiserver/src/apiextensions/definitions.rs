//! CustomResourceDefinitions themselves.
//! Upstream: apiextensions-apiserver/pkg/registry/customresourcedefinition.

use api::field::ErrorList;
use api::meta;
use json::{Value, json};

use super::controller::CLEANUP;
use super::names::set_condition;
use super::{rules, validation};
use crate::context::RequestContext;
use crate::registry::strategy::Strategy;

/// The strategy of definitions.
#[derive(Debug, Clone, Copy, Default)]
pub struct CustomResourceDefinition;

impl Strategy for CustomResourceDefinition {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        note_storage_version(new);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        with_rules(validation::validate(new), new, None)
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        validation::warnings(new, None)
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, _old: &Value) {
        note_storage_version(new);
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        with_rules(validation::validate_update(new, old), new, Some(old))
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        validation::warnings(new, Some(old))
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        validation::validate_status(new)
    }

    /// Its objects go first: the first delete only marks it.
    fn is_removable(&self, object: &Value) -> bool {
        meta::is_being_deleted(object)
    }

    fn prepare_for_deletion(&self, ctx: &RequestContext, new: &mut Value) {
        if !meta::finalizers(new).any(|finalizer| finalizer == CLEANUP) {
            let finalizers = meta::finalizers(new).map(str::to_owned).chain([CLEANUP.to_owned()]).collect();
            meta::set_finalizers(new, finalizers);
        }
        if !new["status"].is_object() {
            new["status"] = json!({});
        }
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        set_condition(&mut new["status"], "Terminating", true, "InstanceDeletionPending", message, &ctx.timestamp());
    }
}

/// Objects may be stored in the storage version from now on, until somebody who knows better says otherwise.
fn note_storage_version(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
    let Some(storage) = versions.into_iter().find(|version| version["storage"] == true) else { return };
    let name = storage["name"].clone();
    if !definition["status"].is_object() {
        definition["status"] = json!({});
    }
    let status = &mut definition["status"];
    if !status["storedVersions"].is_array() {
        status["storedVersions"] = json!([]);
    }
    if let Some(stored) = status["storedVersions"].as_array_mut()
        && !stored.contains(&name)
    {
        stored.push(name);
    }
}

/// Rules in CEL are only looked at where the schemas they stand in are sound.
fn with_rules(mut errors: ErrorList, new: &Value, old: Option<&Value>) -> ErrorList {
    if errors.is_empty() {
        errors.extend(rules::check_definition(new, old));
    }
    errors
}
