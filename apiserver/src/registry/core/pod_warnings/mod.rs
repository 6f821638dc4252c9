//! Warnings about pods and templates of pods that are legal but unwise. Upstream: pkg/api/pod/warnings.go.
//!
//! What they say of volumes is in `volumes`, of ports in `ports`. Nothing here refuses anything.

use api::field::Path;
use api::{meta, names};
use json::Value;

use super::super::fields::{At, at};
use super::super::validation::resources::fractional;
use super::super::validation::{address_warnings, node_labels, pod_spec, same};

mod ports;
mod volumes;

const NULL_SELECTOR: &str = "a null labelSelector results in matching no pod";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SECCOMP_GONE: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

/// Annotations without effect.
const GONE: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

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

/// Of a pod. Upstream: GetWarningsForPod.
pub(crate) fn of_pod(pod: &Value) -> Vec<String> {
    of(&At::root(pod), false)
}

/// Of the template at `path` of an object; nothing if there is none. Upstream: GetWarningsForPodTemplate.
pub(crate) fn of_template(object: &Value, path: &[&'static str]) -> Vec<String> {
    let place = path[1..].iter().fold(Path::new(path[0]), |place, name| place.child(*name));
    let template = At::new(at(object, path), place);
    if template.is_set() { of(&template, true) } else { Vec::new() }
}

/// What is warned of in this order.
fn of(pod: &At<'_>, is_template: bool) -> Vec<String> {
    let (spec, annotations) = (pod.field("spec"), pod.field("metadata").field("annotations"));
    let mut warnings = Vec::new();
    node_choice(&spec, &mut warnings);
    let annotated = |key: &str| annotations.has(key).then(|| annotations.path.key(key));
    warnings.extend(GONE.iter().filter_map(|(key, instead)| Some(format!("{}: {instead}", annotated(key)?))));
    volumes::warn(&spec.field("volumes"), &mut warnings);
    repeated(&spec.field("hostAliases"), "ip", &mut warnings);
    let secrets = spec.field("imagePullSecrets");
    repeated(&secrets, "name", &mut warnings);
    for name in secrets.items().map(|secret| secret.field("name")).filter(At::is_empty) {
        warnings.push(format!("{}: invalid empty name \"\"", name.path));
    }
    for resource in ["memory", "ephemeral-storage"] {
        warnings.extend(fractional(&spec.field("overhead"), resource));
    }
    let security = spec.field("securityContext");
    if !security.has("seccompProfile") {
        warnings.extend(annotated(SECCOMP_POD).map(|path| format!("{path}: {SECCOMP_GONE}")));
    }
    let containers: Vec<At<'_>> = containers(&spec).collect();
    for container in &containers {
        let (own, name) = (container.field("securityContext"), container.text("name"));
        if !own.has("seccompProfile") {
            let path = annotated(&format!("{SECCOMP_CONTAINER}{name}"));
            warnings.extend(path.map(|path| format!("{path}: {SECCOMP_GONE}")));
        }
        let key = format!("{}{name}", pod_spec::APP_ARMOR_ANNOTATION);
        // Those of pods are warned of where they become fields.
        if is_template
            && !own.has("appArmorProfile")
            && let Some(path) = annotated(&key)
            && !says_the_same(annotations.text(&key), security.get("appArmorProfile"))
        {
            let instead = "use the \"appArmorProfile\" field instead";
            warnings.push(format!("{path}: deprecated since v1.30; {instead}"));
        }
        for resource in ["memory", "ephemeral-storage"] {
            for list in ["limits", "requests"] {
                warnings.extend(fractional(&container.field("resources").field(list), resource));
            }
        }
        hidden_variables(&container.field("env"), &mut warnings);
    }
    ports::warn(&containers, &mut warnings);
    let grace = spec.field("terminationGracePeriodSeconds");
    if grace.int() < 0 {
        warnings.push(format!("{}: must be >= 0; negative values are invalid and will be treated as 1", grace.path));
    }
    affinity(&spec.field("affinity"), &mut warnings);
    let nameservers = spec.field("dnsConfig").field("nameservers");
    warnings.extend(nameservers.items().filter_map(|server| address_warnings::of_ip(&server)));
    let aliases = spec.field("hostAliases");
    warnings.extend(aliases.items().filter_map(|alias| address_warnings::of_ip(&alias.field("ip"))));
    warnings
}

/// All containers in the order in which upstream visits them.
fn containers<'a>(spec: &At<'a>) -> impl Iterator<Item = At<'a>> + use<'a> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].map(|list| spec.field(list));
    lists.into_iter().flat_map(|list| list.items())
}

/// Labels of nodes that have another name by now, and spreading without a selector.
fn node_choice(spec: &At<'_>, warnings: &mut Vec<String>) {
    let labels = spec.field("nodeSelector");
    let old =
        labels.entries().filter_map(|(key, own)| Some(format!("{}: {}", own.path, node_labels::deprecated(key)?)));
    warnings.extend(old);
    let nodes = spec.field("affinity").field("nodeAffinity");
    let required = nodes.field("requiredDuringSchedulingIgnoredDuringExecution").field("nodeSelectorTerms");
    warnings.extend(required.items().flat_map(|term| node_labels::term_warnings(&term, false)));
    let preferred = nodes.field("preferredDuringSchedulingIgnoredDuringExecution");
    warnings.extend(preferred.items().flat_map(|term| node_labels::term_warnings(&term.field("preference"), true)));
    for constraint in spec.field("topologySpreadConstraints").items() {
        let (key, selector) = (constraint.field("topologyKey"), constraint.field("labelSelector"));
        if let Some(instead) = node_labels::deprecated(key.str()) {
            warnings.push(format!("{}: {} is {instead}", key.path, key.str()));
        }
        if !selector.is_set() {
            warnings.push(format!("{}: {NULL_SELECTOR}", selector.path));
        }
    }
}

fn affinity(affinity: &At<'_>, warnings: &mut Vec<String>) {
    for own in ["podAffinity", "podAntiAffinity"].map(|field| affinity.field(field)) {
        let required = own.field("requiredDuringSchedulingIgnoredDuringExecution");
        let preferred = own.field("preferredDuringSchedulingIgnoredDuringExecution");
        let terms = required.items().chain(preferred.items().map(|term| term.field("podAffinityTerm")));
        let selectors = terms.map(|term| term.field("labelSelector")).filter(|selector| !selector.is_set());
        warnings.extend(selectors.map(|selector| format!("{}: {NULL_SELECTOR}", selector.path)));
    }
}

/// Items with the same `field` as one before.
fn repeated(list: &At<'_>, field: &'static str, warnings: &mut Vec<String>) {
    for (index, item) in list.items().enumerate() {
        let own = item.field(field);
        if list.slice()[..index].iter().any(|earlier| At::root(earlier).text(field) == own.str()) {
            warnings.push(format!("{}: duplicate {field} {:?}", own.path, own.str()));
        }
    }
}

/// A variable of the same name as one before, unless it is made from that.
fn hidden_variables(env: &At<'_>, warnings: &mut Vec<String>) {
    for (index, variable) in env.items().enumerate() {
        let name = variable.text("name");
        if !env.slice()[..index].iter().any(|earlier| At::root(earlier).text("name") == name) {
            continue;
        }
        let (value, reference) = (variable.text("value"), format!("$({name})"));
        if variable.has("valueFrom") || value == reference || !value.contains(&reference) {
            warnings.push(format!(
                "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                variable.path
            ));
        }
    }
}

/// Does the annotation ask for the profile? Upstream: ApparmorFieldForAnnotation.
fn says_the_same(annotation: &str, profile: &Value) -> bool {
    let asked = match (annotation, annotation.strip_prefix("localhost/")) {
        ("unconfined", _) => json::json!({"type": "Unconfined"}),
        ("runtime/default", _) => json::json!({"type": "RuntimeDefault"}),
        (_, Some(name)) if !name.is_empty() => json::json!({"type": "Localhost", "localhostProfile": name}),
        _ => return false,
    };
    same(&asked, profile)
}
