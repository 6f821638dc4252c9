//! ResourceQuota: a namespace takes no more than its quotas say.
//!
//! Usage is counted from the objects there, not read from the quota's status: it is right before the quota controller has
//! run, and after anything that controller missed. What was admitted but is not stored yet is remembered for a moment, so
//! that two writes at once cannot both take the last place.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/resourcequota, pkg/quota/v1/evaluator/core.

mod limited;
mod scope;
mod usage;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::meta;
use api::quantity::Quantity;
use api::status::Status;
use json::Value;

use self::limited::Limited;
use self::scope::{has_deadline, in_scope};
use self::usage::{Amounts, add, count_name, hard, missing_amounts, usage};
use super::configuration::Configurations;
use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};

/// How long an admitted write may take to be stored.
const IN_FLIGHT: Duration = Duration::from_secs(10);

pub(super) struct ResourceQuota {
    in_flight: Mutex<Vec<InFlight>>,
    limited: Vec<Limited>,
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
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        self.check(attributes, object)
    }
}

impl ResourceQuota {
    pub(super) fn new(configurations: &Configurations) -> Result<ResourceQuota, String> {
        Ok(ResourceQuota { in_flight: Mutex::default(), limited: limited::read(configurations)? })
    }

    fn check(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let target = &attributes.ctx.target;
        if target.namespace.is_empty() || !concerns(attributes, object) {
            return Ok(());
        }
        let quotas = attributes.ctx.objects.list("", "resourcequotas", &target.namespace);
        let mut held_to = Vec::new();
        for quota in &quotas {
            let hard = hard(quota, object, target);
            if hard.is_empty() {
                continue;
            }
            if let Some(missing) = missing_amounts(&hard, object, &target.resource) {
                let why = format!("failed quota: {}: must specify {missing}", meta::name(quota));
                return Err(forbidden(attributes, object, why));
            }
            held_to.push((quota, hard));
        }
        if held_to.is_empty() && self.limited.is_empty() {
            return Ok(());
        }
        let wanted = usage(target, object);
        let before = attributes.old.map(|old| usage(target, old)).unwrap_or_default();
        if wanted.iter().any(|(name, amount)| before.get(name).is_none_or(|before| amount > before)) {
            limited::check(&self.limited, attributes, object, &wanted, &quotas, held_to.iter().map(|(_, hard)| hard))?;
        }
        if held_to.is_empty() {
            return Ok(());
        }
        let others = self.others(attributes);
        for (quota, hard) in &held_to {
            let mut used = Amounts::new();
            for other in others.iter().filter(|other| in_scope(quota, &target.resource, other)) {
                add(&mut used, &usage(target, other));
            }
            let was_in_scope = attributes.old.is_some_and(|old| in_scope(quota, &target.resource, old));
            let before = if was_in_scope { before.clone() } else { Amounts::new() };
            add(&mut used, &before);
            check_one(quota, hard, &wanted, &before, &used).map_err(|why| forbidden(attributes, object, why))?;
        }
        if attributes.operation == Operation::Create && !attributes.ctx.dry_run {
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
fn concerns(attributes: Attributes<'_>, object: &Value) -> bool {
    let target = &attributes.ctx.target;
    match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
        ("", "events" | "bindings" | "resourcequotas", _) if attributes.operation == Operation::Update => false,
        ("", "events" | "bindings", _) | ("authorization.k8s.io" | "authentication.k8s.io", ..) => false,
        ("", "pods", "resize") => true,
        ("", "services" | "persistentvolumeclaims", "") => true,
        // Once it is there, a pod takes what it takes, but it may come into another scope.
        ("", "pods", "") if attributes.operation == Operation::Update => {
            attributes.old.is_some_and(|old| has_deadline(old) != has_deadline(object))
        }
        (.., "") => attributes.operation == Operation::Create,
        _ => false,
    }
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
