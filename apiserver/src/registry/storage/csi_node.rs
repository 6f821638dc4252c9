//! CSINodes: the drivers on a node. Their status belongs to the feature CSIVolumeHealth, which is off.
//! Upstream: ValidateCSINode, pkg/registry/storage/csinode.

use api::field::ErrorList;
use json::{Value, json};

use crate::context::RequestContext;
use crate::registry::fields::{At, items, remove, set};
use crate::registry::strategy::{Strategy, take_only_status};
use crate::registry::validation::{nonnegative, qualified_name, required_text, same, volume};

const MAX_NODE_ID: usize = 256;

/// The semantics of CSINodes.
#[derive(Debug, Clone, Copy)]
pub struct CsiNode;

impl Strategy for CsiNode {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({}));
    }

    fn prepare_for_subresource_update(&self, _ctx: &RequestContext, _subresource: &str, new: &mut Value, old: &Value) {
        take_only_status(new, old);
        if items(&old["status"], "storageHealth").is_empty()
            && let Some(status) = new.get_mut("status")
        {
            remove(status, "storageHealth");
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let drivers = At::root(new).field("spec").field("drivers");
        for (index, driver) in drivers.items().enumerate() {
            self::driver(&driver, &mut errors);
            let name = driver.field("name");
            if drivers.slice()[..index].iter().any(|earlier| earlier["name"] == *name.value) {
                errors.push(name.duplicate());
            }
        }
        errors
    }

    /// A driver that stays stays as it is, but for how many volumes it has room for.
    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let drivers = At::root(new).field("spec").field("drivers");
        let fixed = |driver: &Value| {
            let mut driver = driver.clone();
            remove(&mut driver, "allocatable");
            driver
        };
        for before in items(&old["spec"], "drivers") {
            for driver in drivers.items().filter(|driver| driver.get("name") == &before["name"]) {
                let now = At::new(driver.value, drivers.path.clone());
                if !same(&fixed(now.value), &fixed(before)) {
                    errors.push(now.invalid(crate::registry::validation::FIELD_IMMUTABLE));
                }
            }
        }
        errors
    }
}

fn driver(at: &At<'_>, errors: &mut ErrorList) {
    volume::driver_name(&at.field("name"), errors);
    let id = at.field("nodeID");
    if required_text(&id, errors) && id.str().len() > MAX_NODE_ID {
        errors.push(id.invalid_str(format!("must be {MAX_NODE_ID} characters or less")));
    }
    nonnegative(&at.field("allocatable").field("count"), errors);
    let keys = at.field("topologyKeys");
    for (index, key) in keys.items().enumerate() {
        // Upstream reports keys at their driver.
        let key = At::new(key.value, at.path.clone());
        if key.str().is_empty() {
            errors.push(key.required(""));
        }
        if keys.slice()[..index].contains(key.value) {
            errors.push(key.duplicate());
        }
        qualified_name(&key, errors);
    }
}
