//! Defaults that depend on something: one function a type, run before the constants of that type.
//!
//! The order is upstream's: an object's own rule first, then what is nested in it. [`RULES`] is the whole list.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use json::{Map, Value, json};

use super::{image, insert};
use crate::schema::Schema;

type Members = Map;
/// Fills in one object; nested ones come later.
pub(crate) type Rule = fn(&mut Members, Schema<'_>, Timestamp);

/// Model (`io.k8s.api.` left out) and its rule.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("apps.v1.DaemonSet", daemon_set),
    ("apps.v1.Deployment", deployment),
    ("apps.v1.StatefulSet", stateful_set),
    ("autoscaling.v1.HorizontalPodAutoscaler", horizontal_pod_autoscaler_v1),
    ("autoscaling.v2.HorizontalPodAutoscaler", horizontal_pod_autoscaler),
    ("batch.v1.Job", job),
    ("core.v1.Container", container),
    ("core.v1.EphemeralContainer", container),
    ("core.v1.LimitRangeItem", limit_range_item),
    ("core.v1.Namespace", namespace),
    ("core.v1.NodeStatus", node_status),
    ("core.v1.Pod", pod),
    ("core.v1.PodSpec", pod_spec),
    ("core.v1.PodStatus", pod_status),
    ("core.v1.ReplicationController", replication_controller),
    ("core.v1.Secret", secret),
    ("core.v1.Service", service),
    ("core.v1.Volume", volume),
    ("networking.v1.NetworkPolicy", network_policy),
    ("rbac.v1.Subject", subject),
    ("resource.v1.DeviceSubRequest", device_request),
    ("resource.v1.DeviceTaint", device_taint),
    ("resource.v1.ExactDeviceRequest", device_request),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition", custom_resource_definition),
];

/// The rule of a model.
pub(super) fn rule(model: &str) -> Option<Rule> {
    let short = model.strip_prefix("io.k8s.api.").unwrap_or(model);
    RULES.iter().find(|(name, _)| *name == short).map(|(_, rule)| *rule)
}

pub(super) fn apply(members: &mut Members, schema: Schema<'_>, now: Timestamp) {
    if let Some(rule) = schema.object().rule {
        rule(members, schema, now);
    }
}

fn text<'a>(members: &'a Members, key: &str) -> &'a str {
    members.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Absent, null, or empty.
fn lacks(members: &Members, key: &str) -> bool {
    match members.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(entries)) => entries.is_empty(),
        Some(_) => false,
    }
}

fn absent(members: &Members, key: &str) -> bool {
    members.get(key).is_none_or(Value::is_null)
}

fn object<'a>(members: &'a mut Members, key: &str) -> Option<&'a mut Members> {
    members.get_mut(key).and_then(Value::as_object_mut)
}

fn objects<'a>(members: &'a mut Members, key: &str) -> impl Iterator<Item = &'a mut Members> {
    members.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The nested object of a field with its schema, which always go together.
fn nested<'a, 's>(members: &'a mut Members, schema: Schema<'s>, key: &str) -> Option<(&'a mut Members, Schema<'s>)> {
    Some((object(members, key)?, schema.at(&[key])?))
}

/// Sets a field that has no value yet.
fn set(members: &mut Members, schema: Schema<'_>, key: &str, value: impl Into<Value>) {
    if absent(members, key) {
        insert(members, schema.object(), key, value.into());
    }
}

fn pull_policy(image: &str) -> &'static str {
    if image::is_latest(image) { "Always" } else { "IfNotPresent" }
}

fn container(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    if lacks(members, "imagePullPolicy") {
        let policy = pull_policy(text(members, "image"));
        insert(members, schema.object(), "imagePullPolicy", policy.into());
    }
}

fn volume(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    if members.iter().all(|(key, value)| key == "name" || value.is_null()) {
        insert(members, schema.object(), "emptyDir", json!({}));
    }
    if let Some((source, schema)) = nested(members, schema, "image")
        && lacks(source, "pullPolicy")
    {
        let policy = pull_policy(text(source, "reference"));
        insert(source, schema.object(), "pullPolicy", policy.into());
    }
}

fn pod(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let Some((spec, schema)) = nested(members, schema, "spec") else { return };
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds", 1.into());
    }
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    let (Some(container_schema), Some(port_schema)) = (schema.at(&["containers"]), schema.at(&["containers", "ports"]))
    else {
        return;
    };
    for key in ["containers", "initContainers"] {
        for container in objects(spec, key) {
            if let Some((resources, schema)) = nested(container, container_schema, "resources") {
                copy_missing(resources, schema, "limits", "requests");
            }
            if !host_network {
                continue;
            }
            for port in objects(container, "ports") {
                let number = port.get("containerPort").cloned().filter(|number| *number != 0);
                if let Some(number) = number.filter(|_| port.get("hostPort").is_none_or(|port| *port == 0)) {
                    insert(port, port_schema.object(), "hostPort", number);
                }
            }
        }
    }
}

/// Adds to one map what another has and it has not. Nothing happens without the other.
fn copy_missing(members: &mut Members, schema: Schema<'_>, from: &str, to: &str) {
    let Some(source) = members.get(from).and_then(Value::as_object).filter(|source| !source.is_empty()).cloned() else {
        return;
    };
    let mut target = members.get(to).and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in source {
        target.entry(key).or_insert(value);
    }
    target.sort_keys();
    insert(members, schema.object(), to, Value::Object(target));
}

fn pod_spec(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    // The old name of the field follows the new one.
    if lacks(members, "serviceAccountName") && !lacks(members, "serviceAccount") {
        let name = text(members, "serviceAccount").to_owned();
        insert(members, schema.object(), "serviceAccountName", name.into());
    }
    if !lacks(members, "serviceAccountName") {
        let name = text(members, "serviceAccountName").to_owned();
        insert(members, schema.object(), "serviceAccount", name.into());
    }
}

fn pod_status(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let first = members.get("podIPs").and_then(|list| list.get(0)).and_then(|entry| entry.get("ip"));
    let first = first.and_then(Value::as_str).unwrap_or_default().to_owned();
    let single = text(members, "podIP").to_owned();
    if !single.is_empty() && single != first {
        insert(members, schema.object(), "podIPs", json!([{ "ip": single }]));
    } else if single.is_empty() && !first.is_empty() {
        insert(members, schema.object(), "podIP", first.into());
    }
}

fn namespace(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let Some((metadata, schema)) = nested(members, schema, "metadata") else { return };
    let name = text(metadata, "name").to_owned();
    if name.is_empty() {
        return;
    }
    set(metadata, schema, "labels", json!({}));
    if let Some(labels) = object(metadata, "labels") {
        labels.insert("kubernetes.io/metadata.name", name.into());
        labels.sort_keys();
    }
}

fn node_status(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    if let Some(capacity) = members.get("capacity").filter(|capacity| !capacity.is_null()).cloned() {
        set(members, schema, "allocatable", capacity);
    }
}

fn limit_range_item(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    if text(members, "type") == "Container" {
        copy_missing(members, schema, "max", "default");
        copy_missing(members, schema, "default", "defaultRequest");
        copy_missing(members, schema, "min", "defaultRequest");
    }
}

fn replication_controller(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let labels = members.get("spec").and_then(|spec| spec.pointer("/template/metadata/labels")).cloned();
    let Some(labels) = labels.filter(Value::is_object) else { return };
    if let Some((spec, schema)) = nested(members, schema, "spec")
        && lacks(spec, "selector")
    {
        insert(spec, schema.object(), "selector", labels.clone());
    }
    labels_from(members, schema, labels);
}

fn labels_from(members: &mut Members, schema: Schema<'_>, labels: Value) {
    if let Some((metadata, schema)) = nested(members, schema, "metadata")
        && lacks(metadata, "labels")
    {
        insert(metadata, schema.object(), "labels", labels);
    }
}

fn service(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let mut load_balancer = false;
    if let Some((spec, schema)) = nested(members, schema, "spec") {
        load_balancer = text(spec, "type") == "LoadBalancer";
        service_spec(spec, schema);
    }
    if !load_balancer {
        return;
    }
    let ingress_schema = schema.at(&["status", "loadBalancer", "ingress"]);
    let ingress = object(members, "status").and_then(|status| object(status, "loadBalancer"));
    if let (Some(balancer), Some(schema)) = (ingress, ingress_schema) {
        for ingress in objects(balancer, "ingress").filter(|ingress| !lacks(ingress, "ip")) {
            set(ingress, schema, "ipMode", "VIP");
        }
    }
}

fn service_spec(spec: &mut Members, schema: Schema<'_>) {
    match text(spec, "sessionAffinity") {
        "" | "None" => {
            spec.shift_remove("sessionAffinityConfig");
        }
        "ClientIP" => {
            let timeout =
                spec.get("sessionAffinityConfig").and_then(|config| config.pointer("/clientIP/timeoutSeconds"));
            if timeout.is_none_or(Value::is_null) {
                let config = json!({ "clientIP": { "timeoutSeconds": 10800 } });
                insert(spec, schema.object(), "sessionAffinityConfig", config);
            }
        }
        _ => {}
    }
    if let Some(schema) = schema.at(&["ports"]) {
        for port in objects(spec, "ports") {
            let target = port.get("targetPort");
            if target.is_none_or(|target| target.is_null() || *target == 0 || *target == "") {
                let number = port.get("port").cloned().unwrap_or_else(|| 0.into());
                insert(port, schema.object(), "targetPort", number);
            }
        }
    }
    let kind = match text(spec, "type") {
        "" => "ClusterIP".to_owned(),
        kind => kind.to_owned(),
    };
    let external = match kind.as_str() {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !lacks(spec, "externalIPs"),
        _ => false,
    };
    if external && lacks(spec, "externalTrafficPolicy") {
        insert(spec, schema.object(), "externalTrafficPolicy", "Cluster".into());
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        set(spec, schema, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, schema, "allocateLoadBalancerNodePorts", true);
    }
}

/// Fills `rollingUpdate` of an update strategy that is one, or that names no type.
fn rolling_update(members: &mut Members, schema: Schema<'_>, key: &str, defaults: &[(&str, Value)]) {
    let Some((spec, schema)) = nested(members, schema, "spec") else { return };
    let Some((strategy, schema)) = nested(spec, schema, key) else { return };
    if !matches!(text(strategy, "type"), "" | "RollingUpdate") {
        return;
    }
    set(strategy, schema, "rollingUpdate", json!({}));
    if let Some((rolling, schema)) = nested(strategy, schema, "rollingUpdate") {
        for (key, value) in defaults {
            set(rolling, schema, key, value.clone());
        }
    }
}

fn deployment(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    rolling_update(members, schema, "strategy", &[("maxUnavailable", "25%".into()), ("maxSurge", "25%".into())]);
}

fn daemon_set(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    rolling_update(members, schema, "updateStrategy", &[("maxUnavailable", 1.into()), ("maxSurge", 0.into())]);
}

/// A `rollingUpdate` is made only together with the type. The claim templates get their kind, as upstream's
/// conversion gives it.
fn stateful_set(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let Some((spec, schema)) = nested(members, schema, "spec") else { return };
    if let Some(schema) = schema.at(&["volumeClaimTemplates"]) {
        for claim in objects(spec, "volumeClaimTemplates") {
            insert(claim, schema.object(), "kind", "PersistentVolumeClaim".into());
            insert(claim, schema.object(), "apiVersion", "v1".into());
        }
    }
    let Some((strategy, schema)) = nested(spec, schema, "updateStrategy") else { return };
    if lacks(strategy, "type") {
        insert(strategy, schema.object(), "type", "RollingUpdate".into());
        set(strategy, schema, "rollingUpdate", json!({}));
    }
    if text(strategy, "type") != "RollingUpdate" {
        return;
    }
    if let Some((rolling, schema)) = nested(strategy, schema, "rollingUpdate") {
        set(rolling, schema, "partition", 0);
        set(rolling, schema, "maxUnavailable", 1);
    }
}

fn job(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    if let Some((spec, schema)) = nested(members, schema, "spec") {
        if absent(spec, "parallelism") {
            set(spec, schema, "completions", 1);
        }
        let limit = if absent(spec, "backoffLimitPerIndex") { 6 } else { i32::MAX };
        set(spec, schema, "backoffLimit", limit);
        let policy = if absent(spec, "podFailurePolicy") { "TerminatingOrFailed" } else { "Failed" };
        set(spec, schema, "podReplacementPolicy", policy);
    }
    let labels = members.get("spec").and_then(|spec| spec.pointer("/template/metadata/labels")).cloned();
    if let Some(labels) = labels.filter(Value::is_object) {
        labels_from(members, schema, labels);
    }
}

/// The one metric that version 1 shows; others are in annotations. Upstream does this on the way to version 2.
fn horizontal_pod_autoscaler_v1(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let annotations = members.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let other_metrics = annotations.and_then(|all| all.get("autoscaling.alpha.kubernetes.io/metrics")).is_some();
    if let Some((spec, schema)) = nested(members, schema, "spec").filter(|_| !other_metrics) {
        set(spec, schema, "targetCPUUtilizationPercentage", 80);
    }
}

/// `stringData` goes into `data`. Upstream does this in conversion.
fn secret(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let Some(Value::Object(strings)) = members.shift_remove("stringData") else { return };
    let mut data = members.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in strings {
        let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
        data.insert(key, encoded.into());
    }
    data.sort_keys();
    if !data.is_empty() {
        insert(members, schema.object(), "data", Value::Object(data));
    }
}

fn horizontal_pod_autoscaler(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let Some((spec, schema)) = nested(members, schema, "spec") else { return };
    let Some((behavior, schema)) = nested(spec, schema, "behavior") else { return };
    let percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    let pods = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
    for (key, window, policies) in [("scaleUp", Some(0), json!([pods, percent])), ("scaleDown", None, json!([percent]))]
    {
        set(behavior, schema, key, json!({}));
        let Some((rules, schema)) = nested(behavior, schema, key) else { continue };
        if let Some(seconds) = window {
            set(rules, schema, "stabilizationWindowSeconds", seconds);
        }
        set(rules, schema, "selectPolicy", "Max");
        set(rules, schema, "policies", policies);
    }
}

fn network_policy(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let Some((spec, schema)) = nested(members, schema, "spec") else { return };
    if lacks(spec, "policyTypes") {
        let types = if lacks(spec, "egress") { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
        insert(spec, schema.object(), "policyTypes", types);
    }
}

fn subject(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    if matches!(text(members, "kind"), "User" | "Group") && lacks(members, "apiGroup") {
        insert(members, schema.object(), "apiGroup", "rbac.authorization.k8s.io".into());
    }
}

fn device_request(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let exact = matches!(text(members, "allocationMode"), "" | "ExactCount");
    if exact && members.get("count").is_none_or(|count| count.is_null() || *count == 0) {
        insert(members, schema.object(), "count", 1.into());
    }
}

fn device_taint(members: &mut Members, schema: Schema<'_>, now: Timestamp) {
    set(members, schema, "timeAdded", crate::meta::time::format(now));
}

fn custom_resource_definition(members: &mut Members, schema: Schema<'_>, _: Timestamp) {
    let mut stored = None;
    if let Some((spec, schema)) = nested(members, schema, "spec") {
        if let Some((names, schema)) = nested(spec, schema, "names") {
            let kind = text(names, "kind").to_owned();
            if lacks(names, "singular") && !kind.is_empty() {
                insert(names, schema.object(), "singular", kind.to_lowercase().into());
            }
            if lacks(names, "listKind") && !kind.is_empty() {
                insert(names, schema.object(), "listKind", format!("{kind}List").into());
            }
        }
        let storage = objects(spec, "versions").find(|version| version.get("storage") == Some(&Value::Bool(true)));
        stored = storage.map(|version| text(version, "name").to_owned());
    }
    if let (Some((status, schema)), Some(version)) = (nested(members, schema, "status"), stored)
        && lacks(status, "storedVersions")
    {
        insert(status, schema.object(), "storedVersions", json!([version]));
    }
}
