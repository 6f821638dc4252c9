//! Resource names and quantities of containers and pods. Upstream: ValidateContainerResourceRequirements and its parts.

use api::field::{Error, ErrorList};
use api::names;
use api::quantity::Quantity;

use super::super::fields::At;
use super::{NOT_NEGATIVE, dns_label};

const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
const STANDARD_CONTAINER: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const INTEGER: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const HUGE_PAGES: &str = "hugepages-";

/// Zero for what does not parse: decoding refused it before.
pub(crate) fn quantity(at: &At<'_>) -> Quantity {
    match at.value {
        json::Value::String(text) => Quantity::parse(text).unwrap_or_default(),
        json::Value::Number(number) => Quantity::parse(&number.to_string()).unwrap_or_default(),
        _ => Quantity::default(),
    }
}

/// The warning about an amount of `resource` in a list that is no whole number of bytes.
pub(crate) fn fractional(list: &At<'_>, resource: &str) -> Option<String> {
    let (_, own) = list.entries().find(|(name, _)| *name == resource)?;
    let amount = quantity(&own);
    let whole = amount.milli_value() % 1000 == 0;
    (!whole).then(|| format!("{}: fractional byte value \"{amount}\" is invalid, must be an integer", own.path))
}

/// Upstream: ValidateNonnegativeQuantity.
pub(crate) fn nonnegative_quantity(at: &At<'_>, errors: &mut ErrorList) -> Quantity {
    let value = quantity(at);
    if value < Quantity::default() {
        errors.push(Error::invalid(&at.path, value.to_string(), NOT_NEGATIVE));
    }
    value
}

pub(crate) fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// Without a domain, or of kubernetes.io. Upstream: helper.IsNativeResource.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Upstream: helper.IsExtendedResourceName.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::is_qualified_name(&format!("requests.{name}")).is_empty()
}

fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

pub(crate) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-")
}

/// A resource's name, reported at its entry. Upstream: validateResourceName.
pub(crate) fn resource_name(name: &str, at: &At<'_>, errors: &mut ErrorList) -> bool {
    let complaints = names::is_qualified_name(name);
    let mut bad = |detail: String| errors.push(Error::invalid(&at.path, name, detail));
    if !complaints.is_empty() {
        complaints.into_iter().for_each(bad);
        return false;
    }
    if !name.contains('/') && !is_standard(name) {
        bad("must be a standard resource type or fully qualified".to_owned());
        return false;
    }
    true
}

fn container_resource_name(name: &str, at: &At<'_>, errors: &mut ErrorList) {
    resource_name(name, at, errors);
    let mut bad = |detail: &str| errors.push(Error::invalid(&at.path, name, detail));
    if !name.contains('/') {
        if !STANDARD_CONTAINER.contains(&name) && !is_huge_page(name) {
            bad("must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        bad("doesn't follow extended resource name standard");
    }
}

fn pod_resource_name(name: &str, at: &At<'_>, errors: &mut ErrorList) {
    if resource_name(name, at, errors) && !matches!(name, "cpu" | "memory") && !is_huge_page(name) {
        errors.push(Error::not_supported(&at.path, name, ["cpu", "hugepages-", "memory"]));
    }
}

/// Not negative, and whole where the resource is counted. Upstream: ValidateResourceQuantityValue.
pub(crate) fn quantity_value(name: &str, at: &At<'_>, errors: &mut ErrorList) {
    let value = nonnegative_quantity(at, errors);
    if (INTEGER.contains(&name) || is_extended(name)) && value.milli_value() % 1000 != 0 {
        errors.push(Error::invalid(&at.path, value.to_string(), "must be an integer"));
    }
}

fn huge_page_value(name: &str, at: &At<'_>, errors: &mut ErrorList) {
    let (value, page) = (quantity(at), Quantity::parse(&name[HUGE_PAGES.len()..]).unwrap_or_default());
    let (value_bytes, page_bytes) = (value.value(), page.value());
    if page_bytes <= 0 || value_bytes % page_bytes != 0 {
        let detail = format!("{value} is not positive integer multiple of {name}");
        errors.push(Error::invalid(&at.path, value.to_string(), detail));
    }
}

/// `resources` of a container. `claims` are the names in spec.resourceClaims.
pub(crate) fn container_requirements(at: &At<'_>, claims: &[&str], errors: &mut ErrorList) {
    requirements(at, container_resource_name, errors);
    claim_names(&at.field("claims"), claims, errors);
}

/// `spec.resources` of a pod.
pub(crate) fn pod_requirements(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    if at.has("claims") {
        errors.push(at.field("claims").forbidden("claims may not be set for Resources at pod-level"));
    }
    requirements(at, pod_resource_name, errors);
}

fn requirements(at: &At<'_>, name_rule: fn(&str, &At<'_>, &mut ErrorList), errors: &mut ErrorList) {
    let (limits, requests) = (at.field("limits"), at.field("requests"));
    let (mut compute, mut huge_pages) = (false, false);
    for (name, value) in limits.entries().chain(requests.entries()) {
        compute |= matches!(name, "cpu" | "memory");
        huge_pages |= is_huge_page(name);
        let _ = value;
    }
    for (name, value) in limits.entries() {
        name_rule(name, &value, errors);
        quantity_value(name, &value, errors);
        if is_huge_page(name) {
            huge_page_value(name, &value, errors);
        }
    }
    for (name, value) in requests.entries() {
        name_rule(name, &value, errors);
        quantity_value(name, &value, errors);
        let request = quantity(&value);
        if let Some(limit) = limits.entries().find_map(|(own, limit)| (own == name).then(|| quantity(&limit))) {
            if request != limit && !may_overcommit(name) {
                let detail = format!("must be equal to {name} limit of {limit}");
                errors.push(Error::invalid(&requests.path, request.to_string(), detail));
            } else if request > limit {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                errors.push(Error::invalid(&requests.path, request.to_string(), detail));
            }
        } else if !may_overcommit(name) {
            errors.push(limits.required("Limit must be set for non overcommitable resources"));
        }
        if is_huge_page(name) {
            huge_page_value(name, &value, errors);
        }
    }
    if huge_pages && !compute {
        errors.push(at.forbidden("HugePages require cpu or memory"));
    }
}

/// Upstream: validateResourceClaimNames.
fn claim_names(at: &At<'_>, known: &[&str], errors: &mut ErrorList) {
    let mut seen: Vec<String> = Vec::new();
    for claim in at.items() {
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        if seen.iter().any(|own| own == name) {
            errors.push(Error::duplicate(&claim.path, name));
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                dns_label(&claim.field("request"), errors);
                key = format!("{name}/{request}");
            }
            let overlaps = seen.iter().any(|own| own.split_once('/').is_some_and(|(own, _)| own == name));
            if seen.contains(&key) {
                errors.push(Error::duplicate(&claim.path, key.as_str()));
            } else if request.is_empty() && overlaps {
                errors.push(Error::duplicate(&claim.path, name));
            }
            seen.push(key);
        }
        if !known.contains(&name) {
            let mut error = Error::not_found(&claim.path, name);
            let mut sorted = known.to_vec();
            sorted.sort_unstable();
            error.detail = "must be one of the names in pod.spec.resourceClaims".to_owned()
                + &if sorted.is_empty() { " which is empty".to_owned() } else { format!(": {}", sorted.join(", ")) };
            errors.push(error);
        }
    }
}
