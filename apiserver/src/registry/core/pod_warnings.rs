//! Warnings about pods and templates that are legal but unwise. Upstream: pkg/api/pod/warnings.go (the common ones).

use api::{meta, names};
use json::Value;

use super::super::fields::{At, items, text};
use super::super::validation::node_labels;

/// Of a name that will be used where only DNS labels work well; `used_in` says where.
pub(crate) fn of_name(object: &Value, used_in: &str) -> Vec<String> {
    let complaints = names::is_dns1123_label(meta::name(object));
    if complaints.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{}]",
        complaints.join(" ")
    )]
}

/// Warnings of a PodSpec at `path`.
pub(crate) fn of_spec(spec: &Value, path: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let at = At::root(spec);
    for (key, _) in at.field("nodeSelector").entries() {
        if let Some(instead) = node_labels::deprecated(key) {
            warnings.push(format!("{path}.nodeSelector[{key}]: {instead}"));
        }
    }
    for (index, secret) in items(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
    for (index, alias) in items(spec, "hostAliases").iter().enumerate() {
        let ip = text(alias, "ip");
        if items(spec, "hostAliases")[..index].iter().any(|other| text(other, "ip") == ip) {
            warnings.push(format!("{path}.hostAliases[{index}].ip: duplicate ip \"{ip}\""));
        }
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, list).iter().enumerate() {
            duplicate_environment(container, &format!("{path}.{list}[{index}]"), &mut warnings);
        }
    }
    if at.get("terminationGracePeriodSeconds").as_i64().is_some_and(|grace| grace < 0) {
        warnings.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    warnings
}

fn duplicate_environment(container: &Value, path: &str, warnings: &mut Vec<String>) {
    let variables = items(container, "env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        if variables[..index].iter().any(|other| text(other, "name") == name) {
            warnings.push(format!(
                "{path}.env[{index}]: hides previous definition of \"{name}\", which may be dropped when using apply"
            ));
        }
    }
}
