//! Labels of nodes that have another name by now: warnings for whoever still selects by them. Upstream: pkg/api/node/util.go.

use api::names;

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

/// Of a term of a pod's node affinity; with values that no label can have, where only the scheduler will look at them.
/// Upstream: GetWarningsForNodeSelectorTerm.
pub(crate) fn term_warnings(term: &At<'_>, check_values: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for requirement in term.field("matchExpressions").items() {
        let key = requirement.field("key");
        warnings.extend(deprecated(key.str()).map(|instead| format!("{}: {} is {instead}", key.path, key.str())));
        for value in requirement.field("values").items().filter(|_| check_values) {
            let complaints = names::is_valid_label_value(value.str()).into_iter();
            warnings.extend(complaints.map(|why| format!("{}: {} is invalid, {why}", value.path, value.str())));
        }
    }
    warnings
}
