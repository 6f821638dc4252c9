//! Containers, init containers and ephemeral containers.
//! Upstream: validateContainers, validateInitContainers, validateEphemeralContainers.

use std::collections::HashSet;

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;
use super::handler::{self, Probe};
use super::mount::{Volumes, volume_devices, volume_mounts};
use super::{dns_label, env, named, one_of, required_one_of, required_text, resources, security};

/// What the containers of one pod have in common.
#[derive(Debug)]
pub(super) struct PodFacts<'a> {
    /// A pod, not a template.
    pub is_pod: bool,
    pub volumes: Volumes<'a>,
    /// Names in spec.resourceClaims.
    pub claims: Vec<&'a str>,
    pub grace: Option<i64>,
    pub restart_policy: &'a str,
    pub host_users: bool,
}

pub(super) fn containers(spec: &At<'_>, pod: &PodFacts<'_>, errors: &mut ErrorList) {
    let list = spec.field("containers");
    if list.is_empty() {
        errors.push(list.required(""));
        return;
    }
    let mut names = HashSet::new();
    for container in list.items() {
        common(&container, pod, errors);
        if !names.insert(container.text("name")) {
            errors.push(container.field("name").duplicate());
        }
        lifecycle_and_probes(&container, pod, errors);
        restart_rules(&container, errors);
    }
    host_port_conflicts(list.items(), errors);
}

fn lifecycle_and_probes(container: &At<'_>, pod: &PodFacts<'_>, errors: &mut ErrorList) {
    if container.has("lifecycle") {
        handler::lifecycle(&container.field("lifecycle"), pod.grace, errors);
    }
    handler::probe(Probe::Liveness, &container.field("livenessProbe"), pod.grace, errors);
    handler::probe(Probe::Readiness, &container.field("readinessProbe"), pod.grace, errors);
    handler::probe(Probe::Startup, &container.field("startupProbe"), pod.grace, errors);
}

pub(super) fn init_containers(spec: &At<'_>, pod: &PodFacts<'_>, errors: &mut ErrorList) {
    let list = spec.field("initContainers");
    let mut names: HashSet<&str> = spec
        .field("containers")
        .items()
        .map(|container| container.value["name"].as_str().unwrap_or_default())
        .collect();
    for container in list.items() {
        common(&container, pod, errors);
        restart_rules(&container, errors);
        let name = container.value["name"].as_str().unwrap_or_default();
        if names.contains(name) {
            errors.push(container.field("name").duplicate());
        } else if !name.is_empty() {
            names.insert(name);
        }
        // They run one after the other: only conflicts within one matter, and upstream reports them at the first.
        let alone = At::new(container.value, list.path.index(0));
        host_port_conflicts([alone].into_iter(), errors);
        let sidecar = container.text("restartPolicy") == "Always";
        if sidecar {
            lifecycle_and_probes(&container, pod, errors);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if container.has(field) {
                    let detail = "may not be set for init containers without restartPolicy=Always";
                    errors.push(container.field(field).forbidden(detail));
                }
            }
            for policy in container.field("resizePolicy").items() {
                let policy = policy.field("restartPolicy");
                if policy.str() == "RestartContainer" {
                    errors.push(
                        policy.invalid_str("must not be set to 'RestartContainer' for non-sidecar initContainers"),
                    );
                }
            }
        }
    }
}

pub(super) fn ephemeral_containers(spec: &At<'_>, pod: &PodFacts<'_>, errors: &mut ErrorList) {
    const NOT_EPHEMERAL: [&str; 9] = [
        "ports",
        "resources",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
    ];
    let others: HashSet<&str> = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| spec.field(list).items())
        .map(|container| container.value["name"].as_str().unwrap_or_default())
        .collect();
    let mut names = others.clone();
    for container in spec.field("ephemeralContainers").items() {
        common(&container, pod, errors);
        only_for_pod(&container, errors);
        if !names.insert(container.value["name"].as_str().unwrap_or_default()) {
            errors.push(container.field("name").duplicate());
        }
        let target = container.field("targetContainerName");
        if !target.str().is_empty() && !others.contains(target.str()) {
            errors.push(Error::not_found(&target.path, target.str()));
        }
        for field in NOT_EPHEMERAL {
            if !container.field(field).is_empty() {
                errors.push(container.field(field).forbidden("cannot be set for an Ephemeral Container"));
            }
        }
        for mount in container.field("volumeMounts").items() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.text(field).is_empty() {
                    errors.push(mount.field(field).forbidden("cannot be set for an Ephemeral Container"));
                }
            }
        }
    }
}

/// Rules of pods that templates are spared. Upstream: validateContainerOnlyForPod.
pub(super) fn only_for_pod(container: &At<'_>, errors: &mut ErrorList) {
    let image = container.field("image");
    if image.str().trim() != image.str() {
        errors.push(image.invalid_str("must not have leading or trailing whitespace"));
    }
}

fn common(container: &At<'_>, pod: &PodFacts<'_>, errors: &mut ErrorList) {
    let name = container.field("name");
    if required_text(&name, errors) {
        dns_label(&name, errors);
    }
    required_text(&container.field("image"), errors);
    let policy = container.field("terminationMessagePolicy");
    required_one_of(&policy, &["File", "FallbackToLogsOnError"], errors);
    ports(&container.field("ports"), errors);
    env::env(&container.field("env"), errors);
    env::env_from(&container.field("envFrom"), errors);
    volume_mounts(container, &pod.volumes, errors);
    volume_devices(container, &pod.volumes, errors);
    required_one_of(&container.field("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], errors);
    resources::container_requirements(&container.field("resources"), &pod.claims, errors);
    resize_policy(&container.field("resizePolicy"), pod.restart_policy, errors);
    security::container(&container.field("securityContext"), pod.host_users, errors);
}

fn ports(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for port in at.items() {
        let name = port.field("name");
        if !name.str().is_empty() {
            let complaints = names::is_valid_port_name(name.str());
            if !complaints.is_empty() {
                named(&name, complaints, errors);
            } else if !seen.insert(name.str().to_owned()) {
                errors.push(name.duplicate());
            }
        }
        let number = port.field("containerPort");
        if number.int() == 0 {
            errors.push(number.required(""));
        } else {
            port_number(&number, errors);
        }
        if port.field("hostPort").int() != 0 {
            port_number(&port.field("hostPort"), errors);
        }
        required_one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

fn port_number(at: &At<'_>, errors: &mut ErrorList) {
    errors.extend(names::is_valid_port_num(at.int()).into_iter().map(|complaint| at.invalid_int(complaint)));
}

fn host_port_conflicts<'a>(containers: impl Iterator<Item = At<'a>>, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for container in containers {
        for port in container.field("ports").items() {
            let host = port.field("hostPort");
            let key = format!("{}/{}/{}", port.text("protocol"), port.text("hostIP"), host.int());
            if host.int() != 0 && !seen.insert(key.clone()) {
                errors.push(Error::duplicate(&host.path, key));
            }
        }
    }
}

fn resize_policy(at: &At<'_>, pod_restart_policy: &str, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for policy in at.items() {
        // Upstream reports all but repetitions at the list.
        let resource = At::new(policy.get("resourceName"), at.path.clone());
        let restart = At::new(policy.get("restartPolicy"), at.path.clone());
        if !seen.insert(resource.str()) {
            errors.push(Error::duplicate(&policy.path, resource.str()));
        }
        required_one_of(&resource, &["cpu", "memory"], errors);
        required_one_of(&restart, &["NotRequired", "RestartContainer"], errors);
        if pod_restart_policy == "Never" && restart.str() != "NotRequired" {
            errors.push(restart.invalid_str("must be 'NotRequired' when pod `restartPolicy` is 'Never'"));
        }
    }
}

/// A container's own restart policy and its rules. Upstream: validateContainerRestartPolicy.
fn restart_rules(container: &At<'_>, errors: &mut ErrorList) {
    let (policy, rules) = (container.field("restartPolicy"), container.field("restartPolicyRules"));
    if !policy.is_set() {
        if !rules.is_empty() {
            errors.push(policy.required("must specify restartPolicy when restart rules are used"));
        }
    } else {
        one_of(&policy, &["Always", "Never", "OnFailure"], errors);
    }
    let count = rules.slice().len();
    if count > 20 {
        errors.push(Error::too_many(&rules.path, Some(count), 20));
    }
    for rule in rules.items() {
        one_of(&rule.field("action"), &["Restart", "RestartAllContainers"], errors);
        let codes = rule.field("exitCodes");
        if !codes.is_set() {
            errors.push(codes.required("must be specified"));
            continue;
        }
        one_of(&codes.field("operator"), &["In", "NotIn"], errors);
        let values = codes.field("values").slice().len();
        if values > 255 {
            errors.push(Error::too_many(&codes.path.child("values"), Some(values), 255));
        }
    }
}
