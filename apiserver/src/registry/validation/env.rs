//! Environment variables and what they are read from. Upstream: ValidateEnv, ValidateEnvFrom.

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use super::super::fields::At;
use super::mount::no_backsteps;
use super::resources::quantity;
use super::{dns_label, named, required_text};

const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What a downward API volume may show.
pub(super) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const CONTAINER_RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTE_DIVISORS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub(super) fn env(at: &At<'_>, errors: &mut ErrorList) {
    for variable in at.items() {
        let name = variable.field("name");
        if required_text(&name, errors) {
            named(&name, names::is_relaxed_env_var_name(name.str()), errors);
        }
        if variable.has("valueFrom") {
            value_from(&variable, errors);
        }
    }
}

fn value_from(variable: &At<'_>, errors: &mut ErrorList) {
    let from = variable.field("valueFrom");
    let mut sources = 0;
    let mut source = |name: &'static str| {
        let found = from.has(name);
        sources += usize::from(found);
        found.then(|| from.field(name))
    };
    let (field, resource, config_map, secret, file) = (
        source("fieldRef"),
        source("resourceFieldRef"),
        source("configMapKeyRef"),
        source("secretKeyRef"),
        source("fileKeyRef"),
    );
    if let Some(field) = field {
        field_selector(&field, &ENV_FIELDS, errors);
    }
    if let Some(resource) = resource {
        resource_selector(&resource, false, errors);
    }
    for key in [config_map, secret].into_iter().flatten() {
        named(&key.field("name"), names::name_is_dns_subdomain(key.text("name"), false), errors);
        let key = key.field("key");
        if required_text(&key, errors) {
            named(&key, names::is_config_map_key(key.str()), errors);
        }
    }
    if let Some(file) = file {
        file_key(&file, errors);
    }
    let mut bad = |detail: &str| errors.push(Error::invalid(&from.path, "", detail));
    if sources == 0 {
        bad("must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`");
    } else if !variable.text("value").is_empty() {
        bad("may not be specified when `value` is not empty");
    } else if sources > 1 {
        bad("may not have more than one field specified at a time");
    }
}

fn file_key(at: &At<'_>, errors: &mut ErrorList) {
    let (key, volume, path) = (at.field("key"), at.field("volumeName"), at.field("path"));
    if required_text(&key, errors) {
        named(&key, names::is_relaxed_env_var_name(key.str()), errors);
    }
    if required_text(&volume, errors) {
        dns_label(&volume, errors);
    }
    if required_text(&path, errors) {
        no_backsteps(&path, errors);
    }
}

/// `metadata.labels['x']` in its parts.
fn subscripted(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// A field of the pod itself. Upstream: validateObjectFieldSelector.
pub(super) fn field_selector(at: &At<'_>, allowed: &[&str], errors: &mut ErrorList) {
    let (version, path) = (at.field("apiVersion"), at.field("fieldPath"));
    if !required_text(&version, errors) || !required_text(&path, errors) {
        return;
    }
    if version.str() != "v1" {
        let why = format!("error converting fieldPath: unsupported pod version: {}", version.str());
        errors.push(path.invalid_str(why));
        return;
    }
    const LABELS: [&str; 18] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.message",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.reason",
    ];
    match subscripted(path.str()) {
        Some(("metadata.annotations", key)) => {
            let complaints = names::is_qualified_name(&key.to_lowercase());
            errors.extend(
                complaints.into_iter().map(|complaint| Error::invalid(&at.path, key.to_lowercase(), complaint)),
            );
        }
        Some(("metadata.labels", key)) => {
            errors.extend(
                names::is_qualified_name(key).into_iter().map(|complaint| Error::invalid(&at.path, key, complaint)),
            );
        }
        Some(_) => {
            let why = format!("error converting fieldPath: field label does not support subscript: {}", path.str());
            errors.push(path.invalid_str(why));
        }
        None if !LABELS.contains(&path.str()) => {
            errors.push(
                path.invalid_str(format!("error converting fieldPath: field label not supported: {}", path.str())),
            );
        }
        None if !allowed.contains(&path.str()) => errors.push(path.not_supported(allowed)),
        None => {}
    }
}

/// A resource of a container. Upstream: validateContainerResourceFieldSelector.
pub(super) fn resource_selector(at: &At<'_>, in_volume: bool, errors: &mut ErrorList) {
    let resource = at.field("resource");
    let name = resource.str();
    let huge_pages = ["limits.hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
    if in_volume && at.text("containerName").is_empty() {
        errors.push(at.field("containerName").required(""));
    } else if name.is_empty() {
        errors.push(resource.required(""));
    } else if !CONTAINER_RESOURCES.contains(&name) && !huge_pages {
        errors.push(resource.not_supported(&CONTAINER_RESOURCES));
    }
    let divisor_at = at.field("divisor");
    let divisor = quantity(&divisor_at);
    if divisor == api::quantity::Quantity::default() {
        return;
    }
    let (allowed, what): (&[&str], &str) = match name {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"], ""),
        "limits.memory" | "requests.memory" => (&BYTE_DIVISORS, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (&BYTE_DIVISORS, "local ephemeral storage"),
        _ if huge_pages => (&BYTE_DIVISORS, "hugepages"),
        _ => return,
    };
    if !allowed.contains(&divisor.to_string().as_str()) {
        let detail = if what.is_empty() {
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned()
        } else {
            format!("only divisor's values {} are supported with the {what} resource", BYTE_DIVISORS.join(", "))
        };
        errors.push(Error::invalid(&divisor_at.path, name, detail));
    }
}

pub(super) fn env_from(at: &At<'_>, errors: &mut ErrorList) {
    for source in at.items() {
        let prefix = source.field("prefix");
        if !prefix.str().is_empty() {
            named(&prefix, names::is_relaxed_env_var_name(prefix.str()), errors);
        }
        let mut sources = 0;
        for kind in ["configMapRef", "secretRef"] {
            if source.get(kind) != &Value::Null {
                sources += 1;
                let name = source.field(kind).field("name");
                if required_text(&name, errors) {
                    named(&name, names::name_is_dns_subdomain(name.str(), true), errors);
                }
            }
        }
        let mut bad = |detail: &str| errors.push(Error::invalid(&at.path, "", detail));
        match sources {
            0 => bad("must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => bad("may not have more than one field specified at a time"),
        }
    }
}
