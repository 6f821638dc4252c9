//! CSIStorageCapacities: how much a driver has left for a class on some nodes. Upstream: ValidateCSIStorageCapacity.

use api::field::ErrorList;
use api::names;
use json::Value;

use crate::context::RequestContext;
use crate::registry::fields::At;
use crate::registry::strategy::Strategy;
use crate::registry::validation::resources::nonnegative_quantity;
use crate::registry::validation::selector::label_selector;
use crate::registry::validation::{immutable, named, node_labels};

/// The semantics of storage capacities.
#[derive(Debug, Clone, Copy)]
pub struct CsiStorageCapacity;

impl Strategy for CsiStorageCapacity {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        label_selector(&root.field("nodeTopology"), &mut errors);
        let class = root.field("storageClassName");
        named(&class, names::name_is_dns_subdomain(class.str(), false), &mut errors);
        nonnegative_quantity(&root.field("capacity"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        node_labels::selector_warnings(&At::root(new).field("nodeTopology"))
    }

    /// What a driver is asked with stays.
    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        for field in ["nodeTopology", "storageClassName"] {
            immutable(&At::root(new).field(field), &old[field], &mut errors);
        }
        errors
    }
}
