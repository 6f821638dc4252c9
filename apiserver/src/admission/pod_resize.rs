//! PodResizeValidator: a pod that runs grows no larger than its node. Upstream: plugin/pkg/admission/podresize.

use api::go_text::quote;
use api::meta;
use api::status::{Cause, Status};
use json::Value;

use super::limit_ranger::pod_total;
use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::fields::{At, at, text};
use crate::registry::validation::resources::quantity;

#[derive(Debug)]
pub(super) struct PodResizeValidator;

impl Validating for PodResizeValidator {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        let is_resized = attributes.is_subresource("", "pods", "resize")
            && attributes.old.is_some_and(|old| meta::generation(old) != meta::generation(pod));
        let node = text(&pod["spec"], "nodeName");
        if is_resized && !node.is_empty() { check(attributes, pod, node) } else { Ok(()) }
    }
}

fn check(attributes: Attributes<'_>, pod: &Value, name: &str) -> Result<(), Status> {
    let refuse = |why: String, reason: &str| {
        let mut status = forbidden(attributes, pod, why);
        if !reason.is_empty() {
            let cause = Cause { reason: reason.to_owned(), ..Cause::default() };
            status.details.get_or_insert_default().causes.push(cause);
        }
        Err(status)
    };
    let Some(node) = attributes.ctx.objects.get("", "nodes", "", name) else {
        return refuse(format!("node {} not found", quote(name)), "");
    };
    let system = meta::labels(&node).and_then(|labels| labels.get("kubernetes.io/os")).and_then(Value::as_str);
    if let Some(system) = system.filter(|system| *system != "linux") {
        let why = format!("pod resize is only supported on linux nodes, node {} is {}", quote(name), quote(system));
        return refuse(why, "UnsupportedPlatform");
    }
    let requests = pod_total(&pod["spec"], "requests");
    let lacking: Vec<String> = ["cpu", "memory"]
        .into_iter()
        .filter_map(|resource| {
            let allocatable = quantity(&At::root(at(&node, &["status", "allocatable", resource])));
            let requested = requests.get(resource).filter(|requested| **requested > allocatable)?;
            let shown = |amount: &api::quantity::Quantity| {
                if resource == "cpu" { amount.milli_value() } else { amount.value() }
            };
            let (requested, allocatable) = (shown(requested), shown(&allocatable));
            Some(format!("{resource}, requested: {requested}, allocatable: {allocatable}"))
        })
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    refuse(format!("node didn't have enough allocatable resources: {}", lacking.join("; ")), "NodeCapacity")
}
