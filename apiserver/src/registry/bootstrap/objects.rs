//! The wanted objects.

use api::meta;
use ipnet::IpNet;
use jiff::Timestamp;
use json::{Value, json};

use super::{Config, authentication};
use crate::registry::fields::set;

/// FlowSchemas and PriorityLevelConfigurations, one per line. Upstream: apis/flowcontrol/bootstrap.
const FLOW_CONTROL: &str = include_str!("flow_control.jsonl");

/// Group and plural of the kinds written here.
pub(super) fn resource_of(object: &Value) -> (&'static str, &'static str) {
    match meta::kind(object) {
        "Namespace" => ("", "namespaces"),
        "Service" => ("", "services"),
        "Endpoints" => ("", "endpoints"),
        "ConfigMap" => ("", "configmaps"),
        "EndpointSlice" => ("discovery.k8s.io", "endpointslices"),
        "ServiceCIDR" => ("networking.k8s.io", "servicecidrs"),
        "PriorityClass" => ("scheduling.k8s.io", "priorityclasses"),
        "FlowSchema" => ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        "PriorityLevelConfiguration" => ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        "ClusterRole" => ("rbac.authorization.k8s.io", "clusterroles"),
        "ClusterRoleBinding" => ("rbac.authorization.k8s.io", "clusterrolebindings"),
        "Role" => ("rbac.authorization.k8s.io", "roles"),
        _ => ("rbac.authorization.k8s.io", "rolebindings"),
    }
}

pub(super) fn namespaces() -> Vec<Value> {
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    ["kube-system", "kube-public", "kube-node-lease", "default"].map(namespace).into()
}

pub(super) fn service_cidr(ranges: &[IpNet]) -> Vec<Value> {
    if ranges.is_empty() {
        return Vec::new();
    }
    let cidrs: Vec<String> = ranges.iter().map(|range| range.trunc().to_string()).collect();
    vec![json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs},
    })]
}

/// As `2026-11-21`.
fn today(config: &Config) -> String {
    config.now.strftime("%Y-%m-%d").to_string()
}

/// Created once, then their owners' to change.
pub(super) fn static_objects(config: &Config) -> Vec<Value> {
    vec![
        priority_class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        priority_class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "kube-apiserver-legacy-service-account-token-tracking", "namespace": "kube-system"},
            "data": {"since": today(config)},
        }),
        // What this server does at kubelets for its clients (logs, exec): the one right of its client certificate.
        // kubeadm makes the certificate a cluster administrator's instead.
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "krab:kube-apiserver-kubelet-client"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:kubelet-api-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kube-apiserver-kubelet-client"}],
        }),
    ]
}

/// The flows and priority levels every cluster has; flow control keeps them up while the server runs.
pub(crate) fn flow_control() -> Vec<Value> {
    let facts = FLOW_CONTROL.lines().filter_map(|line| json::from_str::<Value>(line).ok());
    let object = |fact: Value| {
        json!({
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": fact["kind"],
            "metadata": {"name": fact["name"], "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}},
            "spec": fact["spec"],
        })
    };
    facts.map(object).collect()
}

fn priority_class(name: &str, value: i64, description: &str) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": name}, "value": value, "description": description,
    })
}

/// Objects whose content is the configuration's.
pub(super) fn configured_objects(config: &Config) -> Vec<Value> {
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": authentication::own(config),
    })];
    let first_ip = config.service_ranges.first().and_then(|range| range.hosts().next());
    let Some(first_ip) = first_ip else { return objects };
    let port = config.secure_port;
    objects.push(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "clusterIP": first_ip.to_string(), "type": "ClusterIP", "sessionAffinity": "None", "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    }));
    objects
}

/// The update that makes an existing object follow the configuration, if it does not.
pub(super) fn follow(existing: &Value, wanted: &Value, now: Timestamp) -> Option<Value> {
    let mut result = existing.clone();
    match meta::kind(wanted) {
        // An address once given stays: clients have it. Only the port follows.
        "Service" => {
            let target = wanted["spec"]["ports"][0]["targetPort"].clone();
            if existing["spec"]["ports"][0]["targetPort"] == target {
                return None;
            }
            set(&mut result["spec"], "ports", wanted["spec"]["ports"].clone());
        }
        _ => set(&mut result, "data", authentication::combined(&existing["data"], &wanted["data"], now)),
    }
    (result != *existing).then_some(result)
}

/// Statuses the API server itself applies.
pub(super) fn statuses(config: &Config) -> Vec<Value> {
    let of = |cidr: &Value| {
        json!({
            "apiVersion": cidr["apiVersion"], "kind": cidr["kind"], "metadata": {"name": meta::name(cidr)},
            "status": {"conditions": [{
                "type": "Ready", "status": "True", "message": "Kubernetes default Service CIDR is ready",
                "lastTransitionTime": format!("{}T00:00:00Z", today(config)),
            }]},
        })
    };
    service_cidr(&config.service_ranges).iter().map(of).collect()
}
