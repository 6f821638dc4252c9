//! ResourceQuota: a namespace takes no more than its quotas say.
//!
//! Usage is counted from the objects there, not read from the quota's status: it is right before the quota controller has
//! run, and after anything that controller missed. What was admitted but is not stored yet is remembered for a moment, so
//! that two writes at once cannot both take the last place.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/resourcequota, pkg/quota/v1/evaluator/core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::meta;
use api::quantity::{Format, Quantity};
use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::Value;

use super::limit_ranger::pod_total;
use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::core::qos;
use crate::registry::fields::{At, at, items, text};
use crate::registry::validation::resources::quantity;

/// How long an admitted write may take to be stored.
const IN_FLIGHT: Duration = Duration::from_secs(10);

type Amounts = BTreeMap<String, Quantity>;

#[derive(Default)]
pub(super) struct ResourceQuota {
    in_flight: Mutex<Vec<InFlight>>,
}

/// Admitted, perhaps not stored.
struct InFlight {
    namespace: String,
    resource: String,
    name: String,
    object: Value,
    since: Instant,
}

impl Validating for ResourceQuota {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(ready(self.check(attributes, object)))
    }
}

impl ResourceQuota {
    fn check(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let target = &attributes.ctx.target;
        if target.namespace.is_empty() || !concerns(attributes) {
            return Ok(());
        }
        let quotas = attributes.ctx.objects.list("", "resourcequotas", &target.namespace);
        let mut counted = None;
        for quota in &quotas {
            let hard = hard(quota, object, target);
            if hard.is_empty() {
                continue;
            }
            if let Some(missing) = missing_amounts(&hard, object, &target.resource) {
                return Err(forbidden(
                    attributes,
                    object,
                    format!("failed quota: {}: must specify {missing}", meta::name(quota)),
                ));
            }
            let wanted = usage(target, object);
            let others = match &mut counted {
                Some(others) => others,
                None => counted.insert(self.others(attributes)),
            };
            let mut used = Amounts::new();
            for other in others.iter().filter(|other| in_scope(quota, &target.resource, other)) {
                add(&mut used, &usage(target, other));
            }
            let before = attributes
                .old
                .filter(|old| in_scope(quota, &target.resource, old))
                .map(|old| usage(target, old))
                .unwrap_or_default();
            add(&mut used, &before);
            check_one(quota, &hard, &wanted, &before, &used).map_err(|why| forbidden(attributes, object, why))?;
        }
        if counted.is_some() && attributes.operation == Operation::Create && !attributes.ctx.dry_run {
            self.remember(attributes, object);
        }
        Ok(())
    }

    /// The namespace's objects of this resource, but for the one being written; with those on their way.
    fn others(&self, attributes: Attributes<'_>) -> Vec<std::sync::Arc<Value>> {
        let target = &attributes.ctx.target;
        let mut others = attributes.ctx.objects.list(&target.group, &target.resource, &target.namespace);
        others.retain(|other| meta::name(other) != target.name);
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        in_flight.retain(|one| one.since.elapsed() < IN_FLIGHT);
        let resource = count_name(target);
        let here =
            |one: &&InFlight| one.namespace == target.namespace && one.resource == resource && one.name != target.name;
        let stored = |name: &str| others.iter().any(|other| meta::name(other) == name);
        let on_their_way: Vec<_> = in_flight.iter().filter(here).filter(|one| !stored(&one.name)).collect();
        let on_their_way: Vec<_> =
            on_their_way.into_iter().map(|one| std::sync::Arc::new(one.object.clone())).collect();
        others.extend(on_their_way);
        others
    }

    fn remember(&self, attributes: Attributes<'_>, object: &Value) {
        let target = &attributes.ctx.target;
        let one = InFlight {
            namespace: target.namespace.clone(),
            resource: count_name(target),
            name: target.name.clone(),
            object: object.clone(),
            since: Instant::now(),
        };
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }
}

/// Could this write change what is used?
fn concerns(attributes: Attributes<'_>) -> bool {
    let target = &attributes.ctx.target;
    match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
        ("", "events" | "bindings" | "resourcequotas", _) if attributes.operation == Operation::Update => false,
        ("", "events" | "bindings", _) | ("authorization.k8s.io" | "authentication.k8s.io", ..) => false,
        ("", "pods", "resize") => true,
        ("", "services" | "persistentvolumeclaims" | "pods", "") => true,
        (.., "") => attributes.operation == Operation::Create,
        _ => false,
    }
}

fn count_name(target: &crate::context::Target) -> String {
    if target.group.is_empty() {
        format!("count/{}", target.resource)
    } else {
        format!("count/{}.{}", target.resource, target.group)
    }
}

/// The limits of a quota that this object is held to.
fn hard(quota: &Value, object: &Value, target: &crate::context::Target) -> Amounts {
    if !in_scope(quota, &target.resource, object) {
        return Amounts::new();
    }
    let count = count_name(target);
    let concerned = |name: &str| {
        name == count
            || target.group.is_empty()
                && match target.resource.as_str() {
                    "pods" => is_pod_resource(name),
                    "services" => matches!(name, "services" | "services.loadbalancers" | "services.nodeports"),
                    "persistentvolumeclaims" => [PVC_COUNT, PVC_STORAGE]
                        .iter()
                        .any(|own| name == *own || name.ends_with(&format!("{CLASS_SUFFIX}{own}"))),
                    "replicationcontrollers" | "secrets" | "configmaps" | "resourcequotas" => name == target.resource,
                    _ => false,
                }
    };
    At::root(at(quota, &["spec", "hard"]))
        .entries()
        .filter(|(name, _)| concerned(name))
        .map(|(name, amount)| (name.to_owned(), quantity(&amount)))
        .collect()
}

const PVC_COUNT: &str = "persistentvolumeclaims";
const PVC_STORAGE: &str = "requests.storage";
const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";
/// Those every container must name when a quota does.
const REQUIRED: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
    ("memory", "requests", "memory"),
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
];

fn is_pod_resource(name: &str) -> bool {
    let bare = name.strip_prefix("requests.").unwrap_or(name);
    matches!(name, "pods" | "limits.cpu" | "limits.memory" | "limits.ephemeral-storage")
        || matches!(bare, "cpu" | "memory" | "ephemeral-storage")
        || bare.starts_with("hugepages-")
        || name.starts_with("requests.") && bare.contains('/')
}

fn missing_amounts(hard: &Amounts, object: &Value, resource: &str) -> Option<String> {
    if resource != "pods" || at(object, &["spec", "resources"]).as_object().is_some_and(|map| !map.is_empty()) {
        return None;
    }
    let mut missing = Vec::new();
    for (name, field, of) in REQUIRED.iter().filter(|(name, ..)| hard.contains_key(*name)) {
        let without: BTreeSet<&str> = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| items(&object["spec"], list))
            .filter(|container| at(container, &["resources", field, of]).is_null())
            .map(|container| text(container, "name"))
            .collect();
        if !without.is_empty() {
            missing.push(format!("{name} for: {}", without.into_iter().collect::<Vec<_>>().join(",")));
        }
    }
    (!missing.is_empty()).then(|| missing.join("; "))
}

fn add(into: &mut Amounts, amounts: &Amounts) {
    for (name, amount) in amounts {
        into.entry(name.clone()).or_default().add(amount);
    }
}

fn one(count: i64) -> Quantity {
    Quantity::new(count, Format::DecimalSI)
}

/// What one object takes.
fn usage(target: &crate::context::Target, object: &Value) -> Amounts {
    let mut usage = Amounts::from([(count_name(target), one(1))]);
    if !target.group.is_empty() {
        return usage;
    }
    match target.resource.as_str() {
        "pods" => pod_usage(object, &mut usage),
        "services" => service_usage(object, &mut usage),
        "persistentvolumeclaims" => claim_usage(object, &mut usage),
        other => drop(usage.insert(other.to_owned(), one(1))),
    }
    usage
}

fn pod_usage(pod: &Value, usage: &mut Amounts) {
    if matches!(at(pod, &["status", "phase"]).as_str(), Some("Failed" | "Succeeded")) {
        return;
    }
    usage.insert("pods".to_string(), one(1));
    for (name, amount) in pod_total(&pod["spec"], "requests") {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            usage.insert(name.clone(), amount.clone());
        }
        usage.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in pod_total(&pod["spec"], "limits") {
        usage.insert(format!("limits.{name}"), amount);
    }
}

fn service_usage(service: &Value, usage: &mut Amounts) {
    let spec = &service["spec"];
    let ports = items(spec, "ports");
    let count = |count: usize| one(i64::try_from(count).unwrap_or(i64::MAX));
    let balanced = text(spec, "type") == "LoadBalancer";
    let node_ports = match text(spec, "type") {
        "LoadBalancer" if spec["allocateLoadBalancerNodePorts"] == false => {
            ports.iter().filter(|port| port["nodePort"].as_i64().is_some_and(|number| number != 0)).count()
        }
        "LoadBalancer" | "NodePort" => ports.len(),
        _ => 0,
    };
    usage.insert("services".to_string(), one(1));
    usage.insert("services.loadbalancers".to_string(), one(i64::from(balanced)));
    usage.insert("services.nodeports".to_string(), count(node_ports));
}

fn claim_usage(claim: &Value, usage: &mut Amounts) {
    let class = text(&claim["spec"], "storageClassName");
    let mut insert = |name: &str, amount: &Quantity| {
        usage.insert(name.to_owned(), amount.clone());
        if !class.is_empty() {
            usage.insert(format!("{class}{CLASS_SUFFIX}{name}"), amount.clone());
        }
    };
    insert(PVC_COUNT, &one(1));
    let size =
        |path: &[&str]| Some(at(claim, path)).filter(|size| !size.is_null()).map(|size| quantity(&At::root(size)));
    let size =
        size(&["spec", "resources", "requests", "storage"]).max(size(&["status", "allocatedResources", "storage"]));
    if let Some(size) = size {
        insert(PVC_STORAGE, &size);
    }
}

/// Is the object one of those the quota's scopes select?
fn in_scope(quota: &Value, resource: &str, object: &Value) -> bool {
    let spec = &quota["spec"];
    let scopes = items(spec, "scopes").iter().map(|scope| (scope.as_str().unwrap_or_default(), &Value::Null));
    let selected = items(&spec["scopeSelector"], "matchExpressions")
        .iter()
        .map(|selector| (text(selector, "scopeName"), selector));
    scopes.chain(selected).all(|(scope, selector)| match (resource, scope) {
        ("pods", _) => pod_in_scope(scope, selector, &object["spec"]),
        ("persistentvolumeclaims", "VolumeAttributesClass") => {
            selects(selector, text(&object["spec"], "volumeAttributesClassName"))
        }
        _ => false,
    })
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

/// What a request wants of a resource that a quota has too little of.
struct Excess<'a> {
    name: &'a str,
    requested: Quantity,
    used: Quantity,
    limit: Quantity,
}

/// `used` has the old object in it, when there is one.
fn check_one(quota: &Value, hard: &Amounts, wanted: &Amounts, before: &Amounts, used: &Amounts) -> Result<(), String> {
    let zero = Quantity::default();
    let mut exceeded = Vec::new();
    for (name, limit) in hard {
        let amount = wanted.get(name).unwrap_or(&zero);
        let was = before.get(name).unwrap_or(&zero);
        if amount <= was {
            continue;
        }
        let mut more = amount.clone();
        more.sub(was);
        let taken = used.get(name).unwrap_or(&zero);
        let mut total = taken.clone();
        total.add(&more);
        if total > *limit {
            exceeded.push(Excess { name, requested: more, used: taken.clone(), limit: limit.clone() });
        }
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    let shown = |of: fn(&Excess<'_>) -> String| {
        exceeded.iter().map(|one| format!("{}={}", one.name, of(one))).collect::<Vec<_>>().join(",")
    };
    let requested = shown(|one| one.requested.to_string());
    let used = shown(|one| one.used.to_string());
    let limited = shown(|one| one.limit.to_string());
    Err(format!("exceeded quota: {}, requested: {requested}, used: {used}, limited: {limited}", meta::name(quota)))
}
