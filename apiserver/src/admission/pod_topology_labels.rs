//! PodTopologyLabels: a pod says in which zone and region it runs, as the node it is bound to does.
//! Upstream: plugin/pkg/admission/podtopologylabels.

use api::meta;
use api::status::Status;
use json::Value;

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::text;

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

#[derive(Debug)]
pub(super) struct PodTopologyLabels;

impl Mutating for PodTopologyLabels {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    /// A binding's labels become those of its pod.
    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        let node = if attributes.is_resource("", "pods") {
            text(&object["spec"], "nodeName")
        } else if attributes.is_subresource("", "pods", "binding") && object["target"]["kind"] == "Node" {
            text(&object["target"], "name")
        } else {
            ""
        };
        if !node.is_empty()
            && let Some(node) = attributes.ctx.objects.get("", "nodes", "", node)
        {
            for label in LABELS {
                if let Some(value) = meta::labels(&node).and_then(|labels| labels.get(label)).and_then(Value::as_str) {
                    meta::set_label(object, label, value);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;
    use crate::registry::testing::context;

    #[test]
    fn a_pod_gets_the_labels_of_the_node_it_is_bound_to() {
        let node = json!({"kind": "Node", "metadata": {"name": "n", "labels": {LABELS[0]: "z", "other": "x"}}});
        let bound = |kind: &str, name: &str| {
            let ctx = context("pods/binding", "ns", "p", [node.clone()]);
            let mut binding = json!({"metadata": {"labels": {"own": "y"}}, "target": {"kind": kind, "name": name}});
            let options = Value::Null;
            let operation = Operation::Create;
            let attributes = Attributes { ctx: &ctx, operation, kind: "Binding", options: &options, old: None };
            PodTopologyLabels.admit(attributes, &mut binding).unwrap();
            binding["metadata"]["labels"].clone()
        };
        assert_eq!(bound("Node", "n"), json!({"own": "y", LABELS[0]: "z"}));
        assert_eq!(bound("Node", "missing"), json!({"own": "y"}));
        assert_eq!(bound("Other", "n"), json!({"own": "y"}));
    }
}
