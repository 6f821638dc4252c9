//! Pods. Upstream: pkg/registry/core/pod/strategy.go, ValidatePodCreate, ValidatePodUpdate, ValidatePodStatusUpdate.

use api::field::{Error, ErrorList, Path};
use api::meta;
use json::{Value, json};

use super::super::fields::{At, at, items, items_mut, object_mut, remove, set, text};
use super::super::strategy::Strategy;
use super::super::validation::{address_warnings, affinity, pod_spec, same};
use super::pod_update;
use super::qos;
use crate::context::RequestContext;

pub(crate) const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// The semantics of pods.
#[derive(Debug, Clone, Copy)]
pub struct Pod;

impl Strategy for Pod {
    fn prepare_for_create(&self, ctx: &RequestContext, new: &mut Value) {
        for key in meta::annotations(new).into_iter().flatten().map(|(key, _)| key) {
            if key.starts_with(pod_spec::APP_ARMOR_ANNOTATION) {
                let instead = "use the \"appArmorProfile\" field instead";
                ctx.warn(format!("metadata.annotations[{key}]: deprecated since v1.30; {instead}"));
            }
        }
        merge_match_label_keys(new);
        pod_spec::drop_disabled(object_mut(new, "spec"));
        let mut status = json!({"phase": "Pending", "qosClass": qos::class(&new["spec"])});
        if !items(&new["spec"], "schedulingGates").is_empty() {
            status["conditions"] = json!([{
                "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }]);
        }
        set(new, "status", status);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = metadata_and_spec(new);
        let spec = At::root(new).field("spec");
        if !spec.field("ephemeralContainers").is_empty() {
            errors.push(spec.field("ephemeralContainers").forbidden("cannot be set on create"));
        }
        if !spec.text("nodeName").is_empty() && !spec.field("schedulingGates").is_empty() {
            errors.push(spec.field("nodeName").forbidden("cannot be set until all schedulingGates have been cleared"));
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let mut warnings = super::pod_warnings::of_name(new, "the Pod's hostname");
        warnings.extend(super::pod_warnings::of_pod(new));
        warnings
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        let kept = at(old, &["spec", "resources"]);
        if at(new, &["spec", "resources"]).is_null() && !kept.is_null() {
            set(object_mut(new, "spec"), "resources", kept.clone());
        }
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = metadata_and_spec(new);
        pod_update::annotations(new, old, &mut errors);
        pod_update::spec(new, old, &mut errors);
        errors
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, _new: &Value, _old: &Value) -> Vec<String> {
        Vec::new()
    }

    fn warnings_on_status_update(&self, new: &Value) -> Vec<String> {
        let status = At::root(new).field("status");
        let addresses = ["podIPs", "hostIPs"].map(|list| status.field(list).items()).into_iter().flatten();
        addresses.filter_map(|address| address_warnings::of_ip(&address.field("ip"))).collect()
    }

    fn prepare_for_subresource_update(&self, _ctx: &RequestContext, subresource: &str, new: &mut Value, old: &Value) {
        match subresource {
            "status" => prepare_status(new, old),
            "ephemeralcontainers" => {
                let wanted = remove(object_mut(new, "spec"), "ephemeralContainers");
                keep_all_but_metadata(new, old);
                match wanted {
                    Some(wanted) => set(object_mut(new, "spec"), "ephemeralContainers", wanted),
                    None => drop(remove(object_mut(new, "spec"), "ephemeralContainers")),
                }
            }
            "resize" => keep_only_resize(new, old),
            _ => super::super::strategy::take_only_status(new, old),
        }
    }

    fn validate_subresource_update(
        &self,
        _ctx: &RequestContext,
        subresource: &str,
        new: &Value,
        old: &Value,
    ) -> ErrorList {
        let mut errors = ErrorList::new();
        match subresource {
            "status" => {
                pod_update::annotations(new, old, &mut errors);
                pod_update::status(new, old, &mut errors);
            }
            "ephemeralcontainers" => {
                if meta::annotation(old, MIRROR_ANNOTATION).is_some() {
                    return Error::forbidden(&Path::new(""), "static pods do not support ephemeral containers").into();
                }
                errors = metadata_and_spec(new);
                pod_update::annotations(new, old, &mut errors);
                pod_update::ephemeral_containers(new, old, &mut errors);
            }
            "resize" => {
                errors = metadata_and_spec(new);
                pod_update::resize(new, old, &mut errors);
            }
            _ => {}
        }
        errors
    }

    fn grace_period(&self, _ctx: &RequestContext, old: &Value, requested: Option<i64>) -> Option<i64> {
        let own = at(old, &["spec", "terminationGracePeriodSeconds"]).as_i64();
        let unscheduled = text(&old["spec"], "nodeName").is_empty();
        let finished = matches!(text(&old["status"], "phase"), "Failed" | "Succeeded");
        let period = if unscheduled || finished { 0 } else { requested.or(own).unwrap_or(0) };
        Some(if period < 0 { 1 } else { period })
    }
}

/// Upstream: validatePodMetadataAndSpec, without the metadata every object has.
fn metadata_and_spec(pod: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let root = At::root(pod);
    let spec = root.field("spec");
    let annotations = root.field("metadata").field("annotations");
    pod_spec::pod_annotations(&annotations, &spec, &mut errors);
    pod_spec::pod_spec(&spec, meta::name(pod), annotations.has(MIRROR_ANNOTATION), &mut errors);
    if spec.text("serviceAccountName").is_empty() {
        for volume in spec.field("volumes").items() {
            for source in
                volume.field("projected").field("sources").items().filter(|source| source.has("serviceAccountToken"))
            {
                let token = source.field("serviceAccountToken");
                errors.push(token.forbidden("must not be specified when serviceAccountName is not set"));
            }
        }
    }
    let grace = spec.field("terminationGracePeriodSeconds");
    if grace.is_set() {
        super::super::validation::nonnegative(&grace, &mut errors);
    }
    for list in ["containers", "initContainers"] {
        for image in spec.field(list).items().map(|container| container.field("image")) {
            if image.str().trim() != image.str() {
                errors.push(image.invalid_str("must not have leading or trailing whitespace"));
            }
        }
    }
    errors
}

/// `matchLabelKeys` of affinity and spreading become requirements of the selector, with the pod's own values.
/// Upstream: mutatePodAffinity, mutateTopologySpreadConstraints.
fn merge_match_label_keys(pod: &mut Value) {
    let labels = meta::labels(pod).cloned().unwrap_or_default();
    let merge = |term: &mut Value| {
        if !term["labelSelector"].is_object() {
            return;
        }
        for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
            let keys: Vec<String> = items(term, list).iter().filter_map(Value::as_str).map(str::to_owned).collect();
            for key in keys {
                if let Some(value) = labels.get(&key) {
                    let selector = object_mut(term, "labelSelector");
                    if !selector["matchExpressions"].is_array() {
                        selector["matchExpressions"] = json!([]);
                    }
                    if let Some(expressions) = selector["matchExpressions"].as_array_mut() {
                        expressions.push(json!({"key": key, "operator": operator, "values": [value]}));
                    }
                }
            }
        }
    };
    let Some(spec) = pod.get_mut("spec") else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(terms) = spec.get_mut("affinity").and_then(|affinity| affinity.get_mut(kind)) else { continue };
        items_mut(terms, "requiredDuringSchedulingIgnoredDuringExecution").for_each(merge);
        items_mut(terms, "preferredDuringSchedulingIgnoredDuringExecution")
            .filter_map(|term| term.get_mut("podAffinityTerm"))
            .for_each(merge);
    }
    items_mut(spec, "topologySpreadConstraints").for_each(merge);
}

/// Everything from `old` but metadata, of which labels, annotations and the like are old's too.
fn keep_all_but_metadata(new: &mut Value, old: &Value) {
    let status = old.get("status").cloned();
    super::super::strategy::take_only_status(new, old);
    match status {
        Some(status) => set(new, "status", status),
        None => {
            remove(new, "status");
        }
    }
}

fn prepare_status(new: &mut Value, old: &Value) {
    set(new, "spec", old["spec"].clone());
    let metadata = object_mut(new, "metadata");
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences"] {
        match old["metadata"].get(key) {
            Some(value) => set(metadata, key, value.clone()),
            None => {
                remove(metadata, key);
            }
        }
    }
    let status = object_mut(new, "status");
    for key in ["qosClass", "resourceClaimStatuses", "extendedResourceClaimStatus", "observedGeneration"] {
        let kept = at(old, &["status", key]);
        if same(&status[key], &Value::Null) && !kept.is_null() {
            set(status, key, kept.clone());
        } else if status[key].is_null() {
            remove(status, key);
        }
    }
    let before = items(&old["status"], "conditions");
    for condition in items_mut(status, "conditions") {
        let kind = text(condition, "type");
        let generation =
            before.iter().find(|old| text(old, "type") == kind).map(|old| at(old, &["observedGeneration"]).clone());
        if let Some(generation) = generation.filter(|generation| !generation.is_null())
            && at(condition, &["observedGeneration"]).as_i64().unwrap_or(0) == 0
        {
            set(condition, "observedGeneration", generation);
        }
    }
}

/// Of a resize only resources and resize policies of the same containers count. Upstream: dropNonResizeUpdates.
fn keep_only_resize(new: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let same_containers = lists.iter().all(|list| {
        let names = |pod: &Value| {
            items(&pod["spec"], list).iter().map(|container| text(container, "name").to_owned()).collect::<Vec<_>>()
        };
        names(new) == names(old)
    });
    if !same_containers {
        return;
    }
    let wanted = new["spec"].clone();
    keep_all_but_metadata(new, old);
    let Some(spec) = new.get_mut("spec") else { return };
    for list in lists {
        for (container, wanted) in items_mut(spec, list).zip(items(&wanted, list)) {
            for key in ["resources", "resizePolicy"] {
                match wanted.get(key) {
                    Some(value) => set(container, key, value.clone()),
                    None => {
                        remove(container, key);
                    }
                }
            }
        }
    }
    if let Some(resources) = wanted.get("resources") {
        set(spec, "resources", resources.clone());
    }
}

/// Added tolerations are allowed, and other seconds for those there. Upstream: validateOnlyAddedTolerations.
pub(super) fn only_added_tolerations(new: &At<'_>, old: &[Value], errors: &mut ErrorList) {
    let without_seconds = |toleration: &Value| {
        let mut toleration = toleration.clone();
        remove(&mut toleration, "tolerationSeconds");
        toleration
    };
    for toleration in old {
        let kept = without_seconds(toleration);
        if !new.slice().iter().any(|own| same(&without_seconds(own), &kept)) {
            errors.push(new.forbidden("existing toleration can not be modified except its tolerationSeconds"));
            return;
        }
    }
    affinity::tolerations(new, errors);
}
