//! Nodes. Upstream: pkg/registry/core/node/strategy.go, ValidateNode, ValidateNodeUpdate.

use api::field::{Error, ErrorList, Path};
use api::names;
use json::Value;

use super::super::fields::{At, at, items, object_mut, remove, set, text};
use super::super::strategy::Strategy;
use super::super::validation::{address_warnings, affinity, cidr, qualified_name, resources};
use crate::context::RequestContext;

/// The semantics of nodes.
#[derive(Debug, Clone, Copy)]
pub struct Node;

impl Strategy for Node {
    /// A kubelet registers with capacity and conditions in one request.
    fn reset_status_on_create(&self) -> bool {
        false
    }

    fn default(&self, new: &mut Value) {
        one_pod_cidr(new);
    }

    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        drop_config_source(new);
        if let Some(status) = new.get_mut("status") {
            remove(status, "config");
        }
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        if at(old, &["spec", "configSource"]).is_null() {
            drop_config_source(new);
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        taints(new, &mut errors);
        amounts(new, &mut errors);
        let cidrs = At::root(new).field("spec").field("podCIDRs");
        let families: Vec<bool> =
            cidrs.items().filter_map(|range| cidr(&range, &mut errors)).map(|range| range.addr().is_ipv4()).collect();
        if families.len() > 2 || (families.len() == 2 && families[0] == families[1]) {
            errors.push(cidrs.invalid("may specify no more than one CIDR for each IP family"));
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let spec = At::root(new).field("spec");
        let removed = spec.has("configSource").then_some("spec.configSource: the feature is removed");
        let unused = !spec.text("externalID").is_empty();
        let unused = unused.then_some("spec.externalID: this field is deprecated, and is unused by Kubernetes");
        let ranges = spec.field("podCIDRs");
        let said = removed.into_iter().chain(unused).map(str::to_owned);
        said.chain(ranges.items().flat_map(|range| address_warnings::of_cidr(&range))).collect()
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        update(new, old, &mut errors);
        errors
    }

    fn validate_status(&self, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        update(new, old, &mut errors);
        errors
    }
}

/// Kubelets are not configured from here any more.
fn drop_config_source(node: &mut Value) {
    if let Some(spec) = node.get_mut("spec") {
        remove(spec, "configSource");
    }
}

/// The singular field wins over the plural where they differ. Upstream: Convert_v1_NodeSpec_To_core_NodeSpec.
fn one_pod_cidr(node: &mut Value) {
    let own = text(&node["spec"], "podCIDR").to_owned();
    if !own.is_empty() && at(node, &["spec", "podCIDRs"])[0] != own.as_str() {
        set(object_mut(node, "spec"), "podCIDRs", json::json!([own]));
    }
}

fn update(new: &Value, old: &Value, errors: &mut ErrorList) {
    amounts(new, errors);
    let root = At::root(new);
    let (spec, addresses) = (root.field("spec"), root.field("status").field("addresses"));
    for (index, address) in addresses.items().enumerate() {
        if addresses.slice()[..index].contains(address.value) {
            errors.push(address.duplicate());
        }
    }
    let before = items(&old["spec"], "podCIDRs");
    if !before.is_empty() && before != spec.field("podCIDRs").slice() {
        errors.push(spec.field("podCIDRs").forbidden("node updates may not change podCIDR except from \"\" to valid"));
    }
    let (provider, before) = (spec.text("providerID"), text(&old["spec"], "providerID"));
    if !before.is_empty() && provider != before {
        let what = if provider.is_empty() { "cleared" } else { "modified" };
        let detail = format!("field cannot be {what} once set");
        errors.push(Error::invalid(&Path::new("spec").child("providerID"), Value::Null, detail));
    }
    taints(new, errors);
    if spec.text("externalID") != text(&old["spec"], "externalID") {
        errors.push(spec.field("externalID").forbidden("may not be updated"));
    }
}

fn taints(node: &Value, errors: &mut ErrorList) {
    let list = items(&node["spec"], "taints");
    // The path is upstream's.
    let path = Path::new("metadata").child("taints");
    for (index, taint) in list.iter().enumerate() {
        let taint = At::new(taint, path.index(index));
        qualified_name(&taint.field("key"), errors);
        let complaints = names::is_valid_label_value(taint.text("value"));
        if !complaints.is_empty() {
            errors.push(taint.field("value").invalid_str(complaints.join(";")));
        }
        affinity::taint_effect(&taint.field("effect"), errors);
        let kind = |taint: &Value| (text(taint, "key").to_owned(), text(taint, "effect").to_owned());
        if list[..index].iter().any(|earlier| kind(earlier) == kind(taint.value)) {
            let mut error = taint.duplicate();
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
}

fn amounts(node: &Value, errors: &mut ErrorList) {
    for kind in ["capacity", "allocatable"] {
        let path = Path::new("status").child(kind);
        for (name, amount) in At::new(at(node, &["status", kind]), path.clone()).entries() {
            // Upstream names the resource as a field here.
            resources::quantity_value(name, &At::new(amount.value, path.child(name.to_owned())), errors);
        }
    }
}
