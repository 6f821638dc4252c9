//! TaintNodesByCondition: a new node takes no pods before it has been seen ready. Upstream: plugin/pkg/admission/nodetaint.

use api::status::Status;
use json::{Value, json};

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::{items, object_mut, set, text};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

#[derive(Debug)]
pub(super) struct TaintNodesByCondition;

impl Mutating for TaintNodesByCondition {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, attributes: Attributes<'_>, node: &mut Value) -> Result<(), Status> {
        if attributes.is_resource("", "nodes") {
            let spec = object_mut(node, "spec");
            let there = |taint: &Value| text(taint, "key") == NOT_READY && text(taint, "effect") == "NoSchedule";
            if !items(spec, "taints").iter().any(there) {
                let mut taints = items(spec, "taints").to_vec();
                taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
                set(spec, "taints", taints);
            }
        }
        Ok(())
    }
}
