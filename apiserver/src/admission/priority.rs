//! Priority: a pod's number from its class, and one default class at most. Upstream: plugin/pkg/admission/priority.

use std::sync::Arc;

use api::meta;
use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{at, object_mut, set, text};

const GROUP: &str = "scheduling.k8s.io";

#[derive(Debug)]
pub(super) struct Priority;

impl Mutating for Priority {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") { admit_pod(attributes, pod) } else { Ok(()) }
    }
}

impl Validating for Priority {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, class: &Value) -> Result<(), Status> {
        let mut result = Ok(());
        if attributes.is_resource(GROUP, "priorityclasses")
            && class["globalDefault"] == true
            && let Some(other) = default_class(attributes)
            && (attributes.operation == Operation::Create || meta::name(&other) != meta::name(class))
        {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                meta::name(&other)
            );
            result = Err(forbidden(attributes, class, why));
        }
        result
    }
}

/// The least of those marked as default.
fn default_class(attributes: Attributes<'_>) -> Option<Arc<Value>> {
    let classes = attributes.ctx.objects.list(GROUP, "priorityclasses", "");
    classes
        .into_iter()
        .filter(|class| class["globalDefault"] == true)
        .min_by_key(|class| class["value"].as_i64().unwrap_or(0))
}

fn admit_pod(attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
    if attributes.operation == Operation::Update {
        let Some(old) = attributes.old else { return Ok(()) };
        for field in ["priority", "preemptionPolicy"] {
            let kept = at(old, &["spec", field]);
            if at(pod, &["spec", field]).is_null() && !kept.is_null() {
                set(object_mut(pod, "spec"), field, kept.clone());
            }
        }
        return Ok(());
    }
    let asked = text(&pod["spec"], "priorityClassName").to_owned();
    let class = if asked.is_empty() {
        default_class(attributes)
    } else {
        let class = attributes.ctx.objects.get(GROUP, "priorityclasses", "", &asked);
        Some(class.ok_or_else(|| forbidden(attributes, pod, format!("no PriorityClass with name {asked} was found")))?)
    };
    let (value, policy) = match &class {
        Some(class) => (class["value"].as_i64().unwrap_or(0), text(class, "preemptionPolicy").to_owned()),
        None => (0, "PreemptLowerPriority".to_owned()),
    };
    let given = at(pod, &["spec", "priority"]).as_i64();
    if let Some(given) = given.filter(|given| *given != value) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(forbidden(attributes, pod, why));
    }
    let given = text(&pod["spec"], "preemptionPolicy");
    if !given.is_empty() && !policy.is_empty() && given != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(forbidden(attributes, pod, why));
    }
    let spec = object_mut(pod, "spec");
    if let Some(class) = &class {
        set(spec, "priorityClassName", meta::name(class));
    }
    set(spec, "priority", value);
    if !policy.is_empty() {
        set(spec, "preemptionPolicy", policy);
    }
    Ok(())
}
