//! A PodSpec, in a pod or in a template. Upstream: ValidatePodSpec, ValidatePodTemplateSpec.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::{At, items, items_mut, remove};
use super::container::{self, PodFacts};
use super::{
    affinity, annotations, dns_label, dns_subdomain, ip, named, one_of, optional_one_of, qualified_name,
    required_one_of, required_text, resources, security, selector, volume,
};

const MAX_DEADLINE: i64 = i32::MAX as i64;

/// `spec` of a pod named `pod_name` with these annotations.
pub(crate) fn pod_spec(spec: &At<'_>, pod_name: &str, mirror: bool, errors: &mut ErrorList) {
    spec_rules(spec, Some((pod_name, mirror)), errors);
}

/// A PodTemplateSpec. Upstream: ValidatePodTemplateSpec.
pub(crate) fn template(at: &At<'_>, errors: &mut ErrorList) {
    // metadata is inlined in upstream's paths.
    selector::labels(&At::new(at.field("metadata").get("labels"), at.path.child("labels")), errors);
    let own = At::new(at.field("metadata").get("annotations"), at.path.child("annotations"));
    annotations(&own, errors);
    let spec = at.field("spec");
    pod_annotations(&own, &spec, errors);
    spec_rules(&spec, None, errors);
    if !spec.field("ephemeralContainers").is_empty() {
        errors.push(spec.field("ephemeralContainers").forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// Annotations that mean something to pods. Upstream: ValidatePodSpecificAnnotations.
/// Takes away fields of features that are off: stop signals. Upstream: dropDisabledFields.
pub(crate) fn drop_disabled(spec: &mut json::Value) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            let Some(lifecycle) = container.get_mut("lifecycle").and_then(json::Value::as_object_mut) else {
                continue;
            };
            if lifecycle.shift_remove("stopSignal").is_some() && lifecycle.is_empty() {
                remove(container, "lifecycle");
            }
        }
    }
}

/// Followed by a container's name.
pub(crate) const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(crate) fn pod_annotations(at: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    if at.has(MIRROR) && spec.text("nodeName").is_empty() {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(Error::invalid(&at.path.key(MIRROR), at.text(MIRROR), detail));
    }
    let cost = at.text(DELETION_COST);
    let bad = cost.parse::<i32>().is_err() || cost.starts_with('+') || (cost.starts_with('0') && cost != "0");
    if at.has(DELETION_COST) && bad {
        errors.push(Error::invalid(&at.path.key(DELETION_COST), cost, "must be a 32bit integer"));
    }
    app_armor_annotations(at, spec, errors);
}

/// The form of before v1.30. Upstream: ValidateAppArmorPodAnnotations.
fn app_armor_annotations(at: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    for (key, profile) in at.entries() {
        let Some(container) = key.strip_prefix(APP_ARMOR_ANNOTATION) else { continue };
        let own = |list: &&str| items(spec.value, list).iter().any(|one| one["name"] == container);
        if !["initContainers", "containers", "ephemeralContainers"].iter().any(own) {
            errors.push(Error::invalid(&at.path.key(key), container, "container not found"));
        }
        let value = profile.str();
        if !matches!(value, "" | "runtime/default" | "unconfined") && !value.starts_with("localhost/") {
            let detail = format!("invalid AppArmor profile name: {}", api::go_text::quote(value));
            errors.push(Error::invalid(&at.path.key(key), value, detail));
        }
    }
}

fn spec_rules(spec: &At<'_>, pod: Option<(&str, bool)>, errors: &mut ErrorList) {
    let grace = spec.field("terminationGracePeriodSeconds");
    if !grace.is_set() {
        errors.push(grace.required(""));
    }
    let volumes = volume::volumes(&spec.field("volumes"), pod.map_or("", |(name, _)| name), errors);
    let claims = spec.field("resourceClaims");
    resource_claims(&claims, pod.is_some_and(|(_, mirror)| mirror), errors);
    let facts = PodFacts {
        is_pod: pod.is_some(),
        volumes,
        claims: claims
            .slice()
            .iter()
            .filter_map(|claim| claim["name"].as_str())
            .filter(|name| !name.is_empty())
            .collect(),
        grace: grace.value.as_i64(),
        restart_policy: spec.value["restartPolicy"].as_str().unwrap_or_default(),
        host_users: spec.get("hostUsers").as_bool() != Some(false),
    };
    container::containers(spec, &facts, errors);
    container::init_containers(spec, &facts, errors);
    container::ephemeral_containers(spec, &facts, errors);
    resources::pod_requirements(&spec.field("resources"), errors);
    host_network_ports(spec, facts.is_pod, errors);
    required_one_of(&spec.field("restartPolicy"), &["Always", "OnFailure", "Never"], errors);
    let dns_policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    required_one_of(&spec.field("dnsPolicy"), &dns_policies, errors);
    selector::labels(&spec.field("nodeSelector"), errors);
    security::pod(spec, errors);
    if spec.field("shareProcessNamespace").bool() && spec.field("hostPID").bool() {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(spec.field("shareProcessNamespace").invalid(detail));
    }
    affinity::affinity(&spec.field("affinity"), errors);
    dns_config(spec, errors);
    for gate in spec.field("readinessGates").items() {
        qualified_name(&gate.field("conditionType"), errors);
    }
    scheduling_gates(&spec.field("schedulingGates"), errors);
    affinity::spread_constraints(&spec.field("topologySpreadConstraints"), errors);
    host_users(spec, errors);
    host_names(spec, errors);
    names_of_others(spec, errors);
    affinity::tolerations(&spec.field("tolerations"), errors);
    for alias in spec.field("hostAliases").items() {
        ip(&alias.field("ip"), errors);
        alias.field("hostnames").items().for_each(|name| dns_subdomain(&name, errors));
    }
    optional_one_of(&spec.field("preemptionPolicy"), &["PreemptLowerPriority", "Never"], errors);
    overhead(&spec.field("overhead"), errors);
    operating_system(spec, errors);
}

fn resource_claims(at: &At<'_>, mirror: bool, errors: &mut ErrorList) {
    let mut seen: Vec<&str> = Vec::new();
    for claim in at.items() {
        if mirror {
            errors.push(Error::forbidden(&api::field::Path::new(""), "static pods do not support resource claims"));
            continue;
        }
        let name = claim.field("name");
        if required_text(&name, errors) {
            if seen.contains(&name.str()) {
                errors.push(name.duplicate());
            } else {
                dns_label(&name, errors);
                seen.push(claim.value["name"].as_str().unwrap_or_default());
            }
        }
        match (claim.has("resourceClaimName"), claim.has("resourceClaimTemplateName")) {
            (true, true) => {
                errors.push(
                    claim.invalid("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
                );
            }
            (false, false) => {
                errors.push(claim.invalid("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
            }
            _ => {}
        }
        for field in ["resourceClaimName", "resourceClaimTemplateName"].into_iter().filter(|field| claim.has(field)) {
            named(&claim.field(field), names::name_is_dns_subdomain(claim.text(field), false), errors);
        }
    }
}

/// On the host's network a container's port is the host's. Upstream: validatePodHostNetworkDeps.
fn host_network_ports(spec: &At<'_>, is_pod: bool, errors: &mut ErrorList) {
    if !spec.field("hostNetwork").bool() {
        return;
    }
    for port in spec.field("containers").items().flat_map(|container| container.field("ports").items()) {
        let (host, own) = (port.field("hostPort"), port.field("containerPort").int());
        if (is_pod || host.int() != 0) && host.int() != own {
            errors.push(host.invalid_int("must match `containerPort` when `hostNetwork` is true"));
        }
    }
}

fn dns_config(spec: &At<'_>, errors: &mut ErrorList) {
    let at = spec.field("dnsConfig");
    let servers = at.field("nameservers");
    if spec.text("dnsPolicy") == "None" {
        if !at.is_set() {
            errors.push(at.required("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            errors.push(servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None"));
            return;
        }
    }
    if servers.slice().len() > 3 {
        errors.push(servers.invalid("must not have more than 3 nameservers"));
    }
    servers.items().for_each(|server| {
        ip(&server, errors);
    });
    let searches = at.field("searches");
    if searches.slice().len() > 32 {
        errors.push(searches.invalid("must not have more than 32 search paths"));
    }
    let length: usize = searches.items().map(|search| search.str().len() + 1).sum();
    if length > 2049 {
        errors.push(searches.invalid("must not have more than 2048 characters (including spaces) in the search list"));
    }
    for search in searches.items().filter(|search| search.str() != ".") {
        let name = search.str().strip_suffix('.').unwrap_or(search.str());
        let complaints = names::is_dns1123_subdomain_with_underscore(name).into_iter();
        errors.extend(complaints.map(|complaint| Error::invalid(&search.path, name, complaint)));
    }
    for option in at.field("options").items().filter(|option| option.text("name").is_empty()) {
        errors.push(option.required("must not be empty"));
    }
}

fn scheduling_gates(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen: Vec<String> = Vec::new();
    for gate in at.items() {
        let name = gate.text("name");
        errors.extend(
            names::is_qualified_name(name).into_iter().map(|complaint| Error::invalid(&gate.path, name, complaint)),
        );
        if seen.iter().any(|own| own == name) {
            errors.push(Error::duplicate(&gate.path, name));
        }
        seen.push(name.to_owned());
    }
}

fn host_users(spec: &At<'_>, errors: &mut ErrorList) {
    if spec.get("hostUsers").as_bool() != Some(false) {
        return;
    }
    // The spelling of the last two is upstream's.
    for (field, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.field(field).bool() {
            errors.push(Error::forbidden(&spec.path.child(shown), "when `hostUsers` is false"));
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.field(list).items().filter(|container| !container.field("volumeDevices").is_empty()) {
            errors.push(container.field("volumeDevices").forbidden("when `hostUsers` is false"));
        }
    }
}

fn host_names(spec: &At<'_>, errors: &mut ErrorList) {
    let over = spec.field("hostnameOverride");
    if over.is_set() {
        if spec.field("setHostnameAsFQDN").bool() {
            errors.push(over.forbidden("may not be specified when setHostnameAsFQDN is true"));
        }
        if spec.field("hostNetwork").bool() {
            errors.push(over.forbidden("may not be specified when hostNetwork is true"));
        }
        if over.str().len() > 64 {
            errors.push(Error::too_long(&over.path, 64));
        }
        dns_subdomain(&over, errors);
    }
}

/// Names of objects the pod refers to, and plain fields. In upstream's order.
fn names_of_others(spec: &At<'_>, errors: &mut ErrorList) {
    let mut subdomain = |field: &'static str| {
        let at = spec.field(field);
        if !at.str().is_empty() {
            named(&at, names::name_is_dns_subdomain(at.str(), false), errors);
        }
    };
    subdomain("serviceAccountName");
    subdomain("nodeName");
    let deadline = spec.field("activeDeadlineSeconds");
    if deadline.is_set() && !(1..=MAX_DEADLINE).contains(&deadline.int()) {
        errors.push(deadline.invalid_int(names::inclusive_range_error(1, MAX_DEADLINE)));
    }
    for field in ["hostname", "subdomain"] {
        let at = spec.field(field);
        if !at.str().is_empty() {
            dns_label(&at, errors);
        }
    }
    let mut subdomain = |field: &'static str| {
        let at = spec.field(field);
        if !at.str().is_empty() || (field == "runtimeClassName" && at.is_set()) {
            named(&at, names::name_is_dns_subdomain(at.str(), false), errors);
        }
    };
    subdomain("priorityClassName");
    subdomain("runtimeClassName");
}

fn overhead(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() {
        // Upstream validates it as the limits of a container, path included.
        let limits = json::json!({ "limits": at.value });
        resources::container_requirements(&At::new(&limits, at.path.clone()), &[], errors);
    }
}

fn operating_system(spec: &At<'_>, errors: &mut ErrorList) {
    let os = spec.field("os");
    if !os.is_set() {
        return;
    }
    let name = os.text("name");
    if name.is_empty() {
        errors.push(os.field("name").required(""));
        return;
    }
    if !matches!(name, "linux" | "windows") {
        one_of(&At::new(os.get("name"), os.path.clone()), &["linux", "windows"], errors);
        return;
    }
    const POD: [&str; 11] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    const CONTAINER: [&str; 10] = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    let (pod_fields, container_fields, detail): (&[&'static str], &[&'static str], &str) = match name {
        "windows" => (&POD, &CONTAINER, "cannot be set for a windows pod"),
        _ => (&["windowsOptions"], &["windowsOptions"], "windows options cannot be set for a linux pod"),
    };
    let mut forbid = |at: At<'_>| {
        if at.is_set() {
            errors.push(at.forbidden(detail));
        }
    };
    pod_fields.iter().for_each(|field| forbid(spec.field("securityContext").field(field)));
    if name == "windows" {
        for field in ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"] {
            let at = spec.field(field);
            if !matches!(field, "hostPID" | "hostIPC") || at.bool() {
                forbid(at);
            }
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.field(list).items() {
            container_fields.iter().for_each(|field| forbid(container.field("securityContext").field(field)));
        }
    }
}
