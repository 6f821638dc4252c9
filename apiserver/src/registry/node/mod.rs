//! The group node.k8s.io: RuntimeClasses. Upstream: ValidateRuntimeClass.

use api::field::ErrorList;
use json::{Value, json};

use super::fields::{At, at};
use super::strategy::Strategy;
use super::validation::{affinity, dns_label, immutable_declared, node_labels, required_text, resources, selector};
use crate::context::RequestContext;

/// The semantics of runtime classes.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let handler = At::root(new).field("handler");
        if required_text(&handler, &mut errors) {
            dns_label(&handler, &mut errors);
        }
        // Upstream has the rules, and the paths, of a container's limits.
        let overhead = At::root(new).field("overhead");
        let limits = json!({"limits": overhead.get("podFixed")});
        resources::container_requirements(&At::new(&limits, overhead.path), &[], &mut errors);
        let scheduling = At::root(new).field("scheduling");
        selector::labels(&scheduling.field("nodeSelector"), &mut errors);
        tolerations(&scheduling.field("tolerations"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let selector = At::root(new).field("scheduling").field("nodeSelector");
        let warnings = selector.entries().filter_map(|(key, _)| node_labels::deprecated(key));
        warnings.map(|instead| format!("{}: {instead}", selector.path)).collect()
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable_declared(&At::root(new).field("handler"), at(old, &["handler"]), &mut errors);
        errors
    }
}

/// Those of pods, each once, however long they last.
fn tolerations(list: &At<'_>, errors: &mut ErrorList) {
    affinity::tolerations(list, errors);
    let key = |toleration: &At<'_>| ["key", "operator", "value", "effect"].map(|field| toleration.get(field).clone());
    let keys: Vec<_> = list.items().map(|toleration| key(&toleration)).collect();
    for (index, toleration) in list.items().enumerate() {
        if keys[..index].contains(&keys[index]) {
            errors.push(toleration.duplicate());
        }
    }
}
