//! Labels of nodes that have another name by now: warnings for whoever still selects by them. Upstream: pkg/api/node/util.go.

use super::super::fields::At;

const DEPRECATED: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// What to say of a label that is going. Upstream: GetNodeLabelDeprecatedMessage.
pub(crate) fn deprecated(key: &str) -> Option<&'static str> {
    DEPRECATED.iter().find(|(label, _)| *label == key).map(|(_, instead)| *instead)
}

/// Of a metav1.LabelSelector over nodes. Upstream: GetWarningsForNodeSelector.
pub(crate) fn selector_warnings(at: &At<'_>) -> Vec<String> {
    let expressions = at.field("matchExpressions").items().filter_map(|requirement| {
        let key = requirement.text("key");
        Some(format!("{}: {key} is {}", requirement.field("key").path, deprecated(key)?))
    });
    let labels = at.field("matchLabels");
    let labels = labels
        .entries()
        .filter_map(|(key, _)| Some(format!("{}: {}", labels.path.child(key.to_owned()), deprecated(key)?)));
    expressions.chain(labels).collect()
}
