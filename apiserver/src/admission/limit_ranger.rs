//! LimitRanger: default requests and limits of a namespace, and its bounds. Upstream: plugin/pkg/admission/limitranger.

use std::collections::BTreeMap;

use api::meta;
use api::quantity::Quantity;
use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{At, at, items, items_mut, object_mut, set, text};
use crate::registry::validation::resources::quantity;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

#[derive(Debug)]
pub(super) struct LimitRanger;

/// Amounts by resource.
type Amounts = BTreeMap<String, Quantity>;

fn amounts(value: &Value) -> Amounts {
    At::root(value).entries().map(|(name, amount)| (name.to_owned(), quantity(&amount))).collect()
}

fn concerns(attributes: &Attributes<'_>) -> bool {
    let going = attributes.old.is_some_and(meta::is_being_deleted);
    let pod = attributes.is_resource("", "pods") && attributes.operation == Operation::Create
        || attributes.is_subresource("", "pods", "resize") && attributes.operation == Operation::Update;
    !going && (pod || attributes.is_resource("", "persistentvolumeclaims"))
}

fn ranges(attributes: Attributes<'_>) -> Vec<std::sync::Arc<Value>> {
    attributes.ctx.objects.list("", "limitranges", &attributes.ctx.target.namespace)
}

impl Mutating for LimitRanger {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if concerns(&attributes) && attributes.ctx.target.resource == "pods" {
            for range in ranges(attributes) {
                fill(&range, pod);
            }
        }
        Ok(())
    }
}

impl Validating for LimitRanger {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let mut result = Ok(());
        if concerns(&attributes) {
            for range in ranges(attributes) {
                let errors = violations(&range, object, attributes.ctx.target.resource == "pods");
                if let Some(why) = joined(errors) {
                    result = Err(forbidden(attributes, object, why));
                    break;
                }
            }
        }
        result
    }
}

/// Upstream: utilerrors.NewAggregate.
pub(super) fn joined(mut errors: Vec<String>) -> Option<String> {
    errors.dedup();
    if errors.len() > 1 { Some(format!("[{}]", errors.join(", "))) } else { errors.pop() }
}

fn fill(range: &Value, pod: &mut Value) {
    let (mut requests, mut limits) = (json::Map::new(), json::Map::new());
    for item in items(&range["spec"], "limits").iter().filter(|item| text(item, "type") == "Container") {
        requests.extend(item["defaultRequest"].as_object().cloned().unwrap_or_default());
        limits.extend(item["default"].as_object().cloned().unwrap_or_default());
    }
    if requests.is_empty() && limits.is_empty() {
        return;
    }
    let mut notes = Vec::new();
    let Some(spec) = pod.get_mut("spec") else { return };
    for (list, kind) in [("containers", "container"), ("initContainers", "init container")] {
        for container in items_mut(spec, list) {
            let name = text(container, "name").to_owned();
            for (field, word, defaults) in [("limits", "limit", &limits), ("requests", "request", &requests)] {
                let own = object_mut(object_mut(container, "resources"), field);
                let mut added: Vec<&str> =
                    defaults.keys().filter(|key| own.get(key.as_str()).is_none()).map(json::Text::as_str).collect();
                for key in &added {
                    set(own, key, defaults[*key].clone());
                }
                added.sort_unstable();
                if !added.is_empty() {
                    notes.push((word, format!("{} {word} for {kind} {name}", added.join(", "))));
                }
            }
            // Requests are told before limits.
            let from = notes.len().saturating_sub(2);
            notes[from..].sort_by_key(|(word, _)| *word == "limit");
        }
    }
    if !notes.is_empty() {
        let notes: Vec<String> = notes.into_iter().map(|(_, note)| note).collect();
        meta::set_annotation(pod, ANNOTATION, &format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

fn violations(range: &Value, object: &Value, is_pod: bool) -> Vec<String> {
    let mut errors = Vec::new();
    for item in items(&range["spec"], "limits") {
        let kind = text(item, "type");
        match kind {
            "Container" if is_pod => {
                for list in ["containers", "initContainers"] {
                    for container in items(&object["spec"], list) {
                        let own = |field| amounts(at(container, &["resources", field]));
                        check(kind, item, &own("requests"), &own("limits"), true, &mut errors);
                    }
                }
            }
            "Pod" if is_pod => {
                let own = |field| pod_total(&object["spec"], field);
                check(kind, item, &own("requests"), &own("limits"), true, &mut errors);
            }
            "PersistentVolumeClaim" if !is_pod => {
                let requests = amounts(at(object, &["spec", "resources", "requests"]));
                check(kind, item, &requests, &Amounts::new(), false, &mut errors);
            }
            _ => {}
        }
    }
    errors
}

/// What a whole pod takes: its containers together, or a greater init container. Upstream: podRequests, podLimits.
pub(super) fn pod_total(spec: &Value, field: &str) -> Amounts {
    fn add(into: &mut Amounts, amounts: &Amounts) {
        for (name, amount) in amounts {
            into.entry(name.clone()).or_default().add(amount);
        }
    }
    let of = |container: &Value| amounts(at(container, &["resources", field]));
    let mut total = Amounts::new();
    items(spec, "containers").iter().for_each(|container| add(&mut total, &of(container)));
    let (mut sidecars, mut init) = (Amounts::new(), Amounts::new());
    for container in items(spec, "initContainers") {
        let mut own = of(container);
        if text(container, "restartPolicy") == "Always" {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            own = sidecars.clone();
        } else {
            add(&mut own, &sidecars);
        }
        for (name, amount) in own {
            let most = init.entry(name).or_default();
            if amount > *most {
                *most = amount;
            }
        }
    }
    for (name, amount) in init {
        let most = total.entry(name).or_default();
        if amount > *most {
            *most = amount;
        }
    }
    for (name, amount) in amounts(at(spec, &["resources", field])) {
        total.insert(name, amount);
    }
    total
}

fn check(kind: &str, item: &Value, requests: &Amounts, limits: &Amounts, has_limits: bool, errors: &mut Vec<String>) {
    for (name, bound) in amounts(&item["min"]) {
        let usage = format!("minimum {name} usage per {kind} is {bound}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => errors.push(format!("{usage}.  No request is specified")),
            (Some(request), _) if *request < bound => errors.push(format!("{usage}, but request is {request}")),
            (_, Some(limit)) if *limit < bound => errors.push(format!("{usage}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, bound) in amounts(&item["max"]) {
        let usage = format!("maximum {name} usage per {kind} is {bound}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) if !has_limits => errors.push(format!("{usage}.  No request is specified")),
            (_, None) if has_limits => errors.push(format!("{usage}.  No limit is specified")),
            (_, Some(limit)) if *limit > bound => errors.push(format!("{usage}, but limit is {limit}")),
            (Some(request), _) if *request > bound => errors.push(format!("{usage}, but request is {request}")),
            _ => {}
        }
    }
    for (name, bound) in amounts(&item["maxLimitRequestRatio"]) {
        let usage = format!("{name} max limit to request ratio per {kind} is {bound}");
        let given = |amounts: &Amounts| amounts.get(&name).map(Quantity::to_f64).filter(|amount| *amount != 0.0);
        match (given(requests), given(limits)) {
            (None, _) => errors.push(format!("{usage}, but no request is specified or request is 0")),
            (_, None) => errors.push(format!("{usage}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) if limit / request > bound.to_f64() => {
                errors.push(format!("{usage}, but provided ratio is {:.6}", limit / request));
            }
            _ => {}
        }
    }
}
