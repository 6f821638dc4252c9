//! The group storage.k8s.io. Upstream: pkg/apis/storage/validation.

use api::field::{Error, ErrorList};
use api::names;
use serde_json::Value;

use super::fields::{At, at};
use super::strategy::Strategy;
use super::validation::{FIELD_IMMUTABLE, named, one_of, optional_one_of, required_text, same, volume};
use crate::context::RequestContext;

/// The semantics of storage classes.
#[derive(Debug, Clone, Copy)]
pub struct StorageClass;

impl Strategy for StorageClass {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        let provisioner = root.field("provisioner");
        if required_text(&provisioner, &mut errors) {
            named(&provisioner, names::is_qualified_name(&provisioner.str().to_lowercase()), &mut errors);
        }
        let parameters = root.field("parameters");
        if parameters.entries().count() > 512 {
            errors.push(Error::too_long(&parameters.path, 512));
        }
        if parameters.entries().any(|(key, _)| key.is_empty()) {
            errors.push(Error::invalid(&parameters.path, "", "field can not be empty."));
        }
        optional_one_of(&root.field("reclaimPolicy"), &["Delete", "Retain"], &mut errors);
        let binding = root.field("volumeBindingMode");
        if !binding.is_set() {
            errors.push(binding.required(""));
        } else {
            one_of(&binding, &["Immediate", "WaitForFirstConsumer"], &mut errors);
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let root = At::root(new);
        for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
            if !same(root.get(field), at(old, &[field])) {
                errors.push(Error::invalid(&root.field(field).path, Value::Null, FIELD_IMMUTABLE));
            }
        }
        errors
    }
}

/// The semantics of CSINodes.
#[derive(Debug, Clone, Copy)]
pub struct CsiNode;

impl Strategy for CsiNode {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let drivers = At::root(new).field("spec").field("drivers");
        for (index, driver) in drivers.items().enumerate() {
            volume::driver_name(&driver.field("name"), &mut errors);
            required_text(&driver.field("nodeID"), &mut errors);
            let name = driver.field("name");
            if drivers.slice()[..index].iter().any(|earlier| earlier["name"] == *name.value) {
                errors.push(name.duplicate());
            }
        }
        errors
    }
}

/// The semantics of CSIDrivers.
#[derive(Debug, Clone, Copy)]
pub struct CsiDriver;

impl Strategy for CsiDriver {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        for field in ["attachRequired", "podInfoOnMount", "storageCapacity"] {
            if !spec.has(field) {
                errors.push(spec.field(field).required(""));
            }
        }
        let modes = spec.field("volumeLifecycleModes");
        for mode in modes.items().filter(|mode| !matches!(mode.str(), "Ephemeral" | "Persistent")) {
            errors.push(Error::not_supported(&modes.path, mode.str(), ["Persistent", "Ephemeral"]));
        }
        optional_one_of(&spec.field("fsGroupPolicy"), &["File", "None", "ReadWriteOnceWithFSType"], &mut errors);
        errors
    }
}
