//! What a pass over a namespace's content means: the conditions to show and whether it may be let go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};

use crate::engine::{Error, Resource};
use crate::meta;

/// Seconds to wait for the finalizers of other controllers when nothing better is known.
const FINALIZER_ESTIMATE: u64 = 15;

/// What is left of one resource.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    pub count: usize,
    pub finalizers: BTreeMap<String, usize>,
    /// Seconds until graceful deletion is over.
    pub estimate: u64,
}

/// What is left of everything.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub remaining: BTreeMap<String, usize>,
    pub finalizers: BTreeMap<String, usize>,
    pub estimate: u64,
    pub discovery_failures: Vec<String>,
    pub content_failures: Vec<String>,
    pub failures: Vec<Error>,
    /// False while only pods were deleted so far.
    pub looked_at_everything: bool,
}

impl Outcome {
    pub(crate) fn add(&mut self, resource: &Resource, remaining: Remaining) {
        if remaining.count == 0 {
            return;
        }
        let estimate = match remaining.estimate {
            0 if !remaining.finalizers.is_empty() => FINALIZER_ESTIMATE,
            0 => {
                let namespace_and_resource =
                    format!("unexpected items still remain for {}.{}", resource.plural, resource.group);
                self.content_failures.push(namespace_and_resource);
                0
            }
            grace => grace,
        };
        self.estimate = self.estimate.max(estimate);
        self.remaining.insert(format!("{}.{}", resource.plural, resource.group), remaining.count);
        for (finalizer, count) in remaining.finalizers {
            *self.finalizers.entry(finalizer).or_insert(0) += count;
        }
    }
}

pub(super) fn is_finalized(namespace: &Namespace) -> bool {
    namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref()).is_none_or(Vec::is_empty)
}

/// Sets the phase; false if it was set already.
pub(super) fn mark_terminating(namespace: &mut Namespace) -> bool {
    let status = namespace.status.get_or_insert_default();
    let changed = status.phase.as_deref() != Some("Terminating");
    status.phase = Some("Terminating".to_owned());
    changed
}

/// Type, reason and message of each condition when all is well, in upstream's order.
const OK: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];

fn trouble(outcome: &Outcome, kind: &str) -> Option<(&'static str, String)> {
    let list = |counts: &BTreeMap<String, usize>, between: &str| {
        let parts: Vec<String> =
            counts.iter().map(|(what, count)| format!("{what} {between} {count} resource instances")).collect();
        parts.join(", ")
    };
    match kind {
        "NamespaceDeletionDiscoveryFailure" if !outcome.discovery_failures.is_empty() => {
            let failures = &outcome.discovery_failures;
            let groups = failures.join(", ");
            let message = format!(
                "Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {groups}",
                failures.len()
            );
            Some(("DiscoveryFailed", message))
        }
        "NamespaceDeletionContentFailure" if !outcome.content_failures.is_empty() => {
            let mut messages = outcome.content_failures.clone();
            messages.sort();
            let message =
                format!("Failed to delete all resource types, {} remaining: {}", messages.len(), messages.join(", "));
            Some(("ContentDeletionFailed", message))
        }
        "NamespaceContentRemaining" if outcome.looked_at_everything && !outcome.remaining.is_empty() => {
            Some(("SomeResourcesRemain", format!("Some resources are remaining: {}", list(&outcome.remaining, "has"))))
        }
        "NamespaceFinalizersRemaining" if outcome.looked_at_everything && !outcome.finalizers.is_empty() => {
            let message =
                format!("Some content in the namespace has finalizers remaining: {}", list(&outcome.finalizers, "in"));
            Some(("SomeFinalizersRemain", message))
        }
        _ => None,
    }
}

/// The conditions to write, or `None` if they say this already.
pub(super) fn conditions(namespace: &Namespace, outcome: &Outcome, now: Timestamp) -> Option<Vec<NamespaceCondition>> {
    let mut conditions = namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let mut changed = false;
    for (kind, ok_reason, ok_message) in OK {
        let (status, reason, message) = match trouble(outcome, kind) {
            Some((reason, message)) => ("True", reason, message),
            None => ("False", ok_reason, ok_message.to_owned()),
        };
        let new = NamespaceCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(meta::time(now)),
        };
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            None => conditions.push(new),
            Some(old) if old.status == new.status && old.reason == new.reason && old.message == new.message => continue,
            Some(old) => {
                let since = if old.status == new.status {
                    old.last_transition_time.clone()
                } else {
                    new.last_transition_time.clone()
                };
                *old = NamespaceCondition { last_transition_time: since, ..new };
            }
        }
        changed = true;
    }
    changed.then_some(conditions)
}
