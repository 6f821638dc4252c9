//! The group storagemigration.k8s.io: StorageVersionMigrations, the wish that objects be written again in today's version.
//! Upstream: pkg/apis/storagemigration/validation.

use api::field::{Error, ErrorList};
use api::names;
use json::{Value, json};

use super::fields::{At, items, set, text};
use super::strategy::Strategy;
use super::validation::conditions::conditions;
use super::validation::{FIELD_IMMUTABLE, immutable};
use crate::context::RequestContext;

/// The semantics of migrations.
#[derive(Debug, Clone, Copy)]
pub struct StorageVersionMigration;

impl Strategy for StorageVersionMigration {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let target = At::root(new).field("spec").field("resource");
        let (resource, group) = (target.field("resource"), target.field("group"));
        // All complaints about a text are one error here.
        let mut refuse = |at: &At<'_>, complaints: Vec<String>| {
            if !complaints.is_empty() {
                errors.push(at.invalid_str(complaints.join(",")));
            }
        };
        if !resource.str().is_empty() {
            refuse(&resource, names::is_dns1035_label(resource.str()));
        }
        if !group.str().is_empty() {
            refuse(&group, names::is_dns1123_subdomain(group.str()));
        }
        if resource.str().is_empty() {
            errors.push(resource.required("resource is required to be set"));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        immutable(&At::root(new).field("spec"), &old["spec"], &mut errors);
        errors
    }

    fn validate_status(&self, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let status = At::root(new).field("status");
        let (version, before) = (status.field("resourceVersion"), text(&old["status"], "resourceVersion"));
        if !version.str().is_empty() && !is_well_formed(version.str()) {
            errors.push(version.invalid_str(format!("resource version is not well formed: {}", version.str())));
        }
        if !before.is_empty() && before != version.str() {
            errors.push(version.invalid_str(FIELD_IMMUTABLE));
        }
        let list = status.field("conditions");
        conditions(&list, &mut errors);
        let mut refuse = |detail: &str| errors.push(Error::invalid(&list.path, list.bad(), detail));
        if has(new, "Succeeded") && has(new, "Failed") {
            refuse("Both success and failed conditions cannot be true at the same time");
        }
        for (kind, shown) in [("Succeeded", "Success"), ("Failed", "Failed")] {
            if has(old, kind) && !has(new, kind) {
                refuse(&format!("{shown} condition cannot be set to false once it is true"));
            }
        }
        errors
    }
}

/// A number of any length, without sign or leading zero. Upstream: resourceversion.CompareResourceVersion.
fn is_well_formed(version: &str) -> bool {
    !version.starts_with('0') && version.bytes().all(|byte| byte.is_ascii_digit())
}

fn has(migration: &Value, kind: &str) -> bool {
    let mut conditions = items(&migration["status"], "conditions").iter();
    conditions.any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
}
