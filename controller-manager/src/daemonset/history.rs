//! Revisions of a daemon set's template.
//!
//! Upstream: daemon.constructHistory, cleanupHistory.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::plan::{HASH_LABEL, Snapshot};
use crate::engine::{PatchKind, Write};
use crate::{meta, revisions, template_hash};

/// A write the history needs.
#[derive(Debug)]
pub(super) enum Step {
    Write(Write),
    /// The revision of a new template; its name may be taken by another template's.
    Create {
        write: Write,
        data: Value,
    },
}

#[derive(Debug)]
pub(super) struct History {
    /// Of the present template.
    pub hash: String,
    /// Revisions of other templates, oldest first.
    pub old: Vec<Arc<ControllerRevision>>,
    pub steps: Vec<Step>,
}

pub(super) fn plan(set: &DaemonSet, revisions: Vec<Arc<ControllerRevision>>, pods: &[Arc<Pod>]) -> History {
    let data = revisions::data(&set.spec.template);
    let (mut current, mut old): (Vec<_>, Vec<_>) =
        revisions.into_iter().partition(|revision| revisions::matches(revision, &data));
    revisions::sort(&mut current);
    revisions::sort(&mut old);
    let number = revisions::max(&old) + 1;
    let mut steps = Vec::new();
    let Some(keep) = current.pop() else {
        let hash =
            template_hash::compute(&set.spec.template, set.status.as_ref().and_then(|status| status.collision_count));
        let write = Write::create(&snapshot(set, &hash, number, &data));
        steps.push(Step::Create { write, data });
        return History { hash, old, steps };
    };
    let hash =
        meta::labels(&keep.metadata).get(HASH_LABEL).cloned().unwrap_or_else(|| meta::name(&keep.metadata).to_owned());
    // Two revisions of one template: pods are moved to the one that stays.
    if !current.is_empty() {
        for pod in pods.iter().filter(|pod| meta::labels(&pod.metadata).get(HASH_LABEL) != Some(&hash)) {
            let body = json!({"metadata": {"labels": {HASH_LABEL: hash}}});
            steps.push(Step::Write(Write::patch::<Pod>(&pod.metadata, PatchKind::Merge, body)));
        }
        steps.extend(
            current.iter().map(|revision| Step::Write(Write::delete::<ControllerRevision>(&revision.metadata))),
        );
    }
    if keep.revision.unwrap_or(0) < number {
        let revision = ControllerRevision { revision: Some(number), ..(*keep).clone() };
        steps.push(Step::Write(Write::update(&revision)));
    }
    History { hash, old, steps }
}

fn snapshot(set: &DaemonSet, hash: &str, number: i64, data: &Value) -> ControllerRevision {
    let mut labels =
        set.spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    labels.insert(HASH_LABEL.to_owned(), hash.to_owned());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", meta::name(&set.metadata))),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: set.metadata.annotations.clone(),
            owner_references: Some(vec![meta::controller_ref::<DaemonSet>(&set.metadata)]),
            ..ObjectMeta::default()
        },
        data: revisions::raw(data.clone()),
        revision: Some(number),
    }
}

/// Old revisions beyond the limit that no pod was made from.
pub(super) fn superfluous(
    set: &DaemonSet,
    old: &[Arc<ControllerRevision>],
    snapshot: &Snapshot,
) -> Vec<Arc<ControllerRevision>> {
    let keep = usize::try_from(set.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
    let surplus = old.len().saturating_sub(keep);
    let dead = |revision: &&Arc<ControllerRevision>| {
        meta::labels(&revision.metadata).get(HASH_LABEL).is_none_or(|hash| !snapshot.live_hashes.contains(hash))
    };
    old.iter().filter(dead).take(surplus).cloned().collect()
}
