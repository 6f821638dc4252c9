//! Scopes: which objects a quota is about. Upstream: podMatchesScopeFunc, pvcMatchesScopeFunc.

use json::Value;

use crate::registry::core::qos;
use crate::registry::fields::{items, text};

/// Is the object one of those the quota's scopes select?
pub(super) fn in_scope(quota: &Value, resource: &str, object: &Value) -> bool {
    scopes(quota).iter().all(|scope| scope.selects(resource, object))
}

/// A scope, and which values of it.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) name: String,
    /// A ScopedResourceSelectorRequirement; null for any value.
    selector: Value,
}

/// Those of a quota.
pub(super) fn scopes(quota: &Value) -> Vec<Scope> {
    let spec = &quota["spec"];
    let plain = items(spec, "scopes").iter().filter_map(Value::as_str);
    let plain = plain.map(|name| Scope { name: name.to_owned(), selector: Value::Null });
    plain.chain(items(&spec["scopeSelector"], "matchExpressions").iter().map(Scope::of)).collect()
}

impl Scope {
    /// Of a ScopedResourceSelectorRequirement.
    pub(super) fn of(selector: &Value) -> Scope {
        Scope { name: text(selector, "scopeName").to_owned(), selector: selector.clone() }
    }

    /// Is an object of this resource one of those?
    pub(super) fn selects(&self, resource: &str, object: &Value) -> bool {
        match (resource, self.name.as_str()) {
            ("pods", scope) => pod_in_scope(scope, &self.selector, &object["spec"]),
            ("persistentvolumeclaims", "VolumeAttributesClass") => {
                selects(&self.selector, text(&object["spec"], "volumeAttributesClassName"))
            }
            _ => false,
        }
    }

    /// As Go prints one.
    pub(super) fn shown(&self) -> String {
        let values: Vec<&str> = items(&self.selector, "values").iter().filter_map(Value::as_str).collect();
        format!("{{{} {} [{}]}}", self.name, text(&self.selector, "operator"), values.join(" "))
    }
}

fn pod_in_scope(scope: &str, selector: &Value, spec: &Value) -> bool {
    let terminating = spec["activeDeadlineSeconds"].as_i64().is_some();
    match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => qos::class(spec) == "BestEffort",
        "NotBestEffort" => qos::class(spec) != "BestEffort",
        "PriorityClass" => selects(selector, text(spec, "priorityClassName")),
        "CrossNamespacePodAffinity" => crosses_namespaces(&spec["affinity"]),
        _ => false,
    }
}

fn selects(selector: &Value, value: &str) -> bool {
    let listed = items(selector, "values").iter().any(|one| one == value);
    match text(selector, "operator") {
        "In" => !value.is_empty() && listed,
        "NotIn" => value.is_empty() || !listed,
        "DoesNotExist" => value.is_empty(),
        _ => !value.is_empty(),
    }
}

fn crosses_namespaces(affinity: &Value) -> bool {
    let crosses = |term: &Value| !items(term, "namespaces").is_empty() || !term["namespaceSelector"].is_null();
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let kind = &affinity[*kind];
        items(kind, "requiredDuringSchedulingIgnoredDuringExecution").iter().any(crosses)
            || items(kind, "preferredDuringSchedulingIgnoredDuringExecution")
                .iter()
                .any(|term| crosses(&term["podAffinityTerm"]))
    })
}

/// Is this a pod that ends by itself (scope Terminating)?
pub(super) fn has_deadline(pod: &Value) -> bool {
    pod["spec"]["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0)
}
