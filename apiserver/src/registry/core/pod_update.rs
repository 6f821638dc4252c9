//! What may change in a pod that exists. Upstream: ValidatePodUpdate and its siblings.

use api::field::{Error, ErrorList};
use api::meta;
use api::names;
use json::Value;

use super::super::fields::{At, at, items, remove, set, text};
use super::super::internal::{Kind, difference};
use super::super::validation::{immutable, ip, named, nonnegative, qualified_name, same};
use super::pod::{MIRROR_ANNOTATION, only_added_tolerations};
use super::qos;

const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const APP_ARMOR_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Upstream: ValidatePodSpecificAnnotationUpdates.
pub(super) fn annotations(new: &Value, old: &Value, errors: &mut ErrorList) {
    let path = At::root(new).field("metadata").field("annotations").path;
    let (now, before) = (meta::annotations(new), meta::annotations(old));
    let keys = |map: Option<&json::Map>| map.into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let get = |map: Option<&json::Map>, key: &str| map.and_then(|map| map.get(key)).cloned();
    let mut forbid = |key: &str, verb: &str| {
        if key.starts_with(APP_ARMOR_PREFIX) {
            errors.push(Error::forbidden(&path.key(key), format!("may not {verb} AppArmor annotations")));
        }
        if key == MIRROR_ANNOTATION {
            errors.push(Error::forbidden(&path.key(key), format!("may not {verb} mirror pod annotation")));
        }
    };
    for key in keys(before) {
        if get(now, &key) != get(before, &key) {
            forbid(&key, "remove or update");
        }
    }
    for key in keys(now) {
        if get(before, &key).is_none() {
            forbid(&key, "add");
        }
    }
}

pub(super) fn spec(new: &Value, old: &Value, errors: &mut ErrorList) {
    let (spec, before) = (At::root(new).field("spec"), &old["spec"]);
    for list in ["containers", "initContainers"] {
        let own = spec.field(list);
        if own.slice().len() != items(before, list).len() {
            errors.push(own.forbidden("pod updates may not add or remove containers"));
            return;
        }
        for image in own.items().map(|container| container.field("image")) {
            if image.str().is_empty() {
                errors.push(image.required(""));
            }
            if image.str().trim() != image.str() {
                errors.push(image.invalid_str("must not have leading or trailing whitespace"));
            }
        }
    }
    let deadline = spec.field("activeDeadlineSeconds");
    let old_deadline = before.get("activeDeadlineSeconds").and_then(Value::as_i64);
    match (deadline.value.as_i64(), old_deadline) {
        (Some(value), _) if !(0..=i64::from(i32::MAX)).contains(&value) => {
            errors.push(deadline.invalid_int(names::inclusive_range_error(0, i64::from(i32::MAX))));
            return;
        }
        (Some(value), Some(old)) if old < value => {
            errors.push(deadline.invalid_int("must be less than or equal to previous value"));
            return;
        }
        (None, Some(_)) => errors.push(deadline.invalid("must not update from a positive integer to nil value")),
        _ => {}
    }
    only_added_tolerations(&spec.field("tolerations"), items(before, "tolerations"), errors);
    let old_gates = items(before, "schedulingGates");
    for gate in spec.field("schedulingGates").items() {
        let name = gate.text("name");
        if !old_gates.iter().any(|old| text(old, "name") == name) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(gate.field("name").forbidden(detail));
        }
    }
    if same(spec.value, before) {
        return;
    }
    let mut munged = with_updatable_fields_of(spec.value, before);
    if !old_gates.is_empty() {
        gated(&spec, before, &mut munged, errors);
    }
    if !same(&munged, before) {
        errors.push(spec.forbidden(format!("{UPDATABLE}\n{}", difference(Kind::PodSpec, before, &munged))));
    }
}

/// The new spec with everything that may change taken from the old one.
fn with_updatable_fields_of(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        for (container, old) in super::super::fields::items_mut(&mut munged, list).zip(items(old, list)) {
            set(container, "image", old["image"].clone());
        }
    }
    let negative = at(old, &["terminationGracePeriodSeconds"]).as_i64().is_some_and(|grace| grace < 0);
    let repaired = at(new, &["terminationGracePeriodSeconds"]).as_i64() == Some(1);
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations", "terminationGracePeriodSeconds"] {
        if key == "terminationGracePeriodSeconds" && !(negative && repaired) {
            continue;
        }
        match old.get(key) {
            Some(value) => set(&mut munged, key, value.clone()),
            None => {
                remove(&mut munged, key);
            }
        }
    }
    munged
}

/// A gated pod may still become choosier about nodes. Upstream: validateNodeSelectorMutation, validateNodeAffinityMutation.
fn gated(spec: &At<'_>, old: &Value, munged: &mut Value, errors: &mut ErrorList) {
    let selector = spec.field("nodeSelector");
    if !same(selector.value, at(old, &["nodeSelector"])) {
        for (key, value) in old["nodeSelector"].as_object().into_iter().flatten() {
            if selector.value.get(key) != Some(value) {
                errors.push(
                    selector.invalid("only additions to spec.nodeSelector are allowed (no mutations or deletions)"),
                );
                break;
            }
        }
        set(munged, "nodeSelector", old["nodeSelector"].clone());
    }
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let node = spec.field("affinity").field("nodeAffinity");
    let before = at(old, &["affinity", "nodeAffinity"]);
    if same(node.value, before) {
        return;
    }
    let terms = node.field(REQUIRED).field("nodeSelectorTerms");
    let old_terms = items(at(before, &[REQUIRED]), "nodeSelectorTerms");
    if !old_terms.is_empty() {
        if terms.slice().len() != old_terms.len() {
            errors.push(terms.invalid("no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
        }
        for (term, old) in terms.items().zip(old_terms) {
            let only_adds = ["matchExpressions", "matchFields"].iter().all(|list| {
                let (new, old) = (items(term.value, list), items(old, list));
                new.len() >= old.len() && new.iter().zip(old).all(|(new, old)| same(new, old))
            });
            if !only_adds {
                errors.push(term.invalid("only additions are allowed (no mutations or deletions)"));
            }
        }
    }
    if let Some(affinity) = munged.get_mut("affinity") {
        set(affinity, "nodeAffinity", before.clone());
    } else {
        set(munged, "affinity", old["affinity"].clone());
    }
    if at(old, &["affinity"]).is_null() && same(at(munged, &["affinity"]), &Value::Null) {
        remove(munged, "affinity");
    }
}

pub(super) fn ephemeral_containers(new: &Value, old: &Value, errors: &mut ErrorList) {
    let list = At::root(new).field("spec").field("ephemeralContainers");
    for before in items(&old["spec"], "ephemeralContainers") {
        let name = text(before, "name");
        match list.slice().iter().find(|own| text(own, "name") == name) {
            None => {
                errors.push(list.forbidden(format!("existing ephemeral containers \"{name}\" may not be removed\n")))
            }
            Some(own) if !same(own, before) => {
                let changes = difference(Kind::EphemeralContainer, before, own);
                let detail = format!("existing ephemeral containers \"{name}\" may not be changed\n{changes}");
                errors.push(list.forbidden(detail));
            }
            Some(_) => {}
        }
    }
}

/// Upstream: ValidatePodResize, for what a resize leaves of an update.
pub(super) fn resize(new: &Value, old: &Value, errors: &mut ErrorList) {
    let spec = At::root(new).field("spec");
    if meta::annotation(old, MIRROR_ANNOTATION).is_some() {
        errors.push(Error::forbidden(&api::field::Path::new(""), "static pods cannot be resized"));
        return;
    }
    if qos::class(&new["spec"]) != text(&old["status"], "qosClass") {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.push(Error::invalid(&spec.path, text(&old["status"], "qosClass"), detail));
    }
    let running = |status: &&Value| !at(status, &["state", "running"]).is_null();
    if items(&old["status"], "containerStatuses").iter().filter(running).any(|status| status["resources"].is_null()) {
        errors.push(spec.forbidden("Pod running on node without support for resize"));
    }
    for list in ["containers", "initContainers"] {
        let own = spec.field(list);
        if own.slice().len() != items(&old["spec"], list).len() {
            errors.push(own.forbidden("containers may not be added or removed on resize"));
            continue;
        }
        for (container, before) in own.items().zip(items(&old["spec"], list)) {
            for kind in ["requests", "limits"] {
                let resources = container.field("resources").field(kind);
                for key in at(before, &["resources", kind]).as_object().into_iter().flatten().map(|(key, _)| key) {
                    if resources.value.get(key).is_none() {
                        errors.push(resources.forbidden(format!("resource {kind} cannot be removed")));
                        break;
                    }
                }
            }
        }
    }
}

/// Upstream: ValidatePodStatusUpdate.
pub(super) fn status(new: &Value, old: &Value, errors: &mut ErrorList) {
    let status = At::root(new).field("status");
    for condition in status.field("conditions").items() {
        nonnegative_generation(&condition.field("observedGeneration"), errors);
        let kind = At::new(condition.get("type"), condition.path.child("Type"));
        if !matches!(kind.str(), "PodScheduled" | "Ready" | "Initialized") {
            qualified_name(&kind, errors);
        }
    }
    let nominated = status.field("nominatedNodeName");
    if !nominated.str().is_empty() && nominated.str() != text(&old["status"], "nominatedNodeName") {
        named(&nominated, names::name_is_dns_subdomain(nominated.str(), false), errors);
        if !text(&old["spec"], "nodeName").is_empty() {
            errors.push(nominated.forbidden("may not be set on pods that are already bound to a node"));
        }
    }
    nonnegative_generation(&status.field("observedGeneration"), errors);
    immutable(&status.field("qosClass"), at(old, &["status", "qosClass"]), errors);
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        transitions(list, &status.field(list), old, errors);
    }
    addresses(&status, "podIP", "podIPs", errors);
    let host = status.field("hostIPs");
    if !host.is_empty() && host.value[0]["ip"] != *status.get("hostIP") {
        errors.push(
            host.items()
                .next()
                .map_or_else(|| host.required(""), |first| first.field("ip").invalid_str("must be equal to `hostIP`")),
        );
    }
}

fn nonnegative_generation(at: &At<'_>, errors: &mut ErrorList) {
    if at.int() < 0 {
        errors.push(at.invalid_int("must be a non-negative integer"));
    } else {
        nonnegative(at, errors);
    }
}

fn addresses(status: &At<'_>, one: &'static str, many: &'static str, errors: &mut ErrorList) {
    let (single, list) = (status.field(one), status.field(many));
    let mut families = Vec::new();
    for entry in list.items() {
        let text = At::new(entry.get("ip"), entry.path.clone());
        families.extend(ip(&text, errors).map(|ip| ip.is_ipv4()));
    }
    if list.slice().len() > 1 && (families.len() > 2 || families.first() == families.get(1)) {
        errors.push(list.invalid("may specify no more than one IP for each IP family"));
    }
    if single.str().is_empty() != list.is_empty() {
        errors.push(list.invalid(format!("{one} and {many} must either both be set or both be unset")));
    } else if let Some(first) = list.items().next()
        && first.text("ip") != single.str()
    {
        errors.push(first.field("ip").invalid_str(format!("must be equal to `{one}`")));
    }
}

/// What has ended for good may not run again. Upstream: ValidateContainerStateTransition.
fn transitions(list: &str, new: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let policy = text(&old["spec"], "restartPolicy");
    let ephemeral = list == "ephemeralContainerStatuses";
    if policy == "Always" && !ephemeral {
        return;
    }
    for before in items(&old["status"], list) {
        let ended = at(before, &["state", "terminated"]);
        if ended.is_null() {
            continue;
        }
        let name = text(before, "name");
        let own_policy = ["containers", "initContainers"].iter().find_map(|list| {
            let container = items(&old["spec"], list).iter().find(|container| text(container, "name") == name)?;
            Some((text(container, "restartPolicy"), !items(container, "restartPolicyRules").is_empty()))
        });
        let (own, rules) = own_policy.unwrap_or(("", false));
        let effective = if own.is_empty() { policy } else { own };
        let failed = ended["exitCode"].as_i64().unwrap_or(0) != 0;
        if !ephemeral && (effective == "Always" || rules || (failed && effective == "OnFailure")) {
            continue;
        }
        let path =
            new.items().find(|status| status.text("name") == name && status.field("state").get("terminated").is_null());
        if let Some(status) = path {
            errors.push(status.field("state").forbidden("may not be transitioned to non-terminated state"));
        }
    }
}
