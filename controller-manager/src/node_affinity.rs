//! Whether a pod's node selector and required node affinity let it run on a node.
//!
//! Upstream: component-helpers/scheduling/corev1/nodeaffinity.RequiredNodeAffinity.

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

use crate::meta;

/// Both the node selector and one of the required terms fit.
pub(crate) fn fits(spec: &PodSpec, node: &Node) -> bool {
    let labels = meta::labels(&node.metadata);
    if spec.node_selector.as_ref().is_some_and(|selector| !meta::contains_all(labels, selector)) {
        return false;
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| required.node_selector_terms.iter().any(|term| term_fits(term, node)))
}

fn term_fits(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    // A term without requirements selects nothing.
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let labels = meta::labels(&node.metadata);
    let name = meta::name(&node.metadata);
    expressions
        .iter()
        .all(|requirement| requirement_fits(requirement, labels.get(&requirement.key).map(String::as_str)))
        && fields
            .iter()
            .all(|requirement| requirement.key == "metadata.name" && requirement_fits(requirement, Some(name)))
}

fn requirement_fits(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = || value.is_some_and(|value| values.iter().any(|one| one == value));
    let compare = |larger: bool| match (value.and_then(|value| value.parse::<i64>().ok()), values) {
        (Some(value), [bound]) => {
            bound.parse::<i64>().is_ok_and(|bound| if larger { value > bound } else { value < bound })
        }
        _ => false,
    };
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(true),
        "Lt" => compare(false),
        _ => false,
    }
}
