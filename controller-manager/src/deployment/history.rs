//! Revisions: which replica set has the deployment's template, how sets are numbered, how a rollback is done.

use std::cmp::Ordering;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::plan::{Planner, Set};
use super::scale;
use crate::engine::{Plan, Write, to_value};
use crate::{meta, template_hash};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";
const HASH_LABEL: &str = "pod-template-hash";
/// Longest revision history, in characters.
const HISTORY_LIMIT: usize = 2000;

/// Annotations of a deployment that its replica sets do not inherit.
const NOT_INHERITED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    ROLLBACK_TO,
];

/// Oldest first, then by name.
pub(super) fn by_age(a: &ReplicaSet, b: &ReplicaSet) -> Ordering {
    meta::created(&a.metadata).cmp(&meta::created(&b.metadata)).then_with(|| a.metadata.name.cmp(&b.metadata.name))
}

/// Lowest revision first, then by age.
pub(super) fn by_revision(a: &ReplicaSet, b: &ReplicaSet) -> Ordering {
    match (revision(&a.metadata), revision(&b.metadata)) {
        (Some(a_revision), Some(b_revision)) if a_revision != b_revision => a_revision.cmp(&b_revision),
        _ => by_age(a, b),
    }
}

/// The revision annotation; zero if absent, `None` if it is no number.
fn revision(metadata: &ObjectMeta) -> Option<i64> {
    meta::annotation(metadata, REVISION).map_or(Some(0), |text| text.parse().ok())
}

/// True if the set's template is `template` but for the hash label. Upstream: util.EqualIgnoreHash.
pub(super) fn same_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let Some(own) = &set.spec.template else { return false };
    let strip = |template: &PodTemplateSpec| {
        let mut metadata = template.metadata.clone().unwrap_or_default();
        if let Some(labels) = &mut metadata.labels {
            labels.remove(HASH_LABEL);
        }
        metadata
    };
    let (own_metadata, metadata) = (strip(own), strip(template));
    if own_metadata == metadata && own.spec == template.spec {
        return true;
    }
    // Absent and empty lists are the same thing to the API.
    pruned(&own_metadata) == pruned(&metadata) && pruned(&own.spec) == pruned(&template.spec)
}

fn pruned<T: serde::Serialize>(object: &T) -> Value {
    fn prune(value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Array(items) if items.is_empty() => None,
            Value::Array(items) => Some(items.into_iter().filter_map(prune).collect()),
            Value::Object(map) => Some(map.into_iter().filter_map(|(key, value)| Some((key, prune(value)?))).collect()),
            scalar => Some(scalar),
        }
    }
    prune(to_value(object)).unwrap_or_default()
}

/// True if `set` is the deployment's own new replica set, made by an earlier pass.
pub(super) fn is_own_new(deployment: &Deployment, set: &ReplicaSet) -> bool {
    meta::is_controlled_by(&set.metadata, &deployment.metadata) && same_template(set, &deployment.spec.template)
}

/// The revision a rollback was asked to, by the deprecated annotation.
pub(super) fn rollback_to(deployment: &Deployment) -> Option<i64> {
    meta::annotation(&deployment.metadata, ROLLBACK_TO)?.parse().ok()
}

impl Planner {
    /// Numbers the new replica set, making it first if `create`, and copies its revision to the deployment.
    ///
    /// Upstream: deployment.getAllReplicaSetsAndSyncRevision.
    pub(super) fn sync_revision(&mut self, create: bool) {
        let newest_old = self.old.iter().filter_map(|set| revision(&set.set.metadata)).max().unwrap_or(0);
        let new_revision = newest_old.max(0) + 1;
        if let Some(mut new) = self.new.take() {
            if new.before.is_some() {
                self.inherit_annotations(&mut new);
                number(&mut new, new_revision);
                let min_ready = self.spec.min_ready_seconds;
                if new.set.spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0) {
                    new.set.spec.min_ready_seconds = min_ready;
                    new.changed = true;
                }
                let revision = new.annotation(REVISION).unwrap_or_default().to_owned();
                self.set_revision(&revision);
                self.note_new_set("FoundNewReplicaSet", format!("Found new replica set \"{}\"", new.name()), false);
            }
            self.new = Some(new);
        } else if create {
            let new = self.make_new(new_revision);
            self.set_revision(&new_revision.to_string());
            self.note_new_set("NewReplicaSetCreated", format!("Created new replica set \"{}\"", new.name()), true);
            self.new = Some(new);
        }
    }

    fn set_revision(&mut self, revision: &str) {
        if meta::annotation(&self.deployment.metadata, REVISION) != Some(revision) {
            self.deployment
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(REVISION.to_owned(), revision.to_owned());
        }
    }

    fn inherit_annotations(&self, set: &mut Set) {
        for (key, value) in self.deployment.metadata.annotations.iter().flatten() {
            if !NOT_INHERITED.contains(&key.as_str()) {
                set.annotate(key, value);
            }
        }
    }

    fn make_new(&self, new_revision: i64) -> Set {
        let hash = template_hash::compute(&self.spec.template, self.status.collision_count);
        let mut template = self.spec.template.clone();
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector = self.spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
        let longest = 253 - 1 - hash.len();
        let stem: String = self.name().chars().take(longest).collect();
        let set = k8s_openapi::api::apps::v1::ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{stem}-{hash}")),
                namespace: self.deployment.metadata.namespace.clone(),
                owner_references: Some(vec![meta::controller_ref::<Deployment>(&self.deployment.metadata)]),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            spec: ReplicaSetSpec {
                replicas: Some(0),
                min_ready_seconds: self.spec.min_ready_seconds,
                selector,
                template: Some(template),
            },
            status: None,
        };
        let mut new = Set { set, before: None, changed: true };
        let replicas = self.new_set_replicas(&new);
        new.set.spec.replicas = Some(replicas);
        self.inherit_annotations(&mut new);
        number(&mut new, new_revision);
        scale::annotate(&mut new, &self.spec);
        new
    }

    /// Upstream: deployment.rollback.
    pub(super) fn rollback(mut self, revision_asked: i64) -> Plan {
        let mut plan = Plan::default();
        let mut revisions: Vec<i64> = self.all().filter_map(|set| revision(&set.set.metadata)).collect();
        revisions.sort_unstable();
        let target = match revision_asked {
            // The last but one.
            0 => revisions.iter().rev().nth(1).copied().unwrap_or(0),
            other => other,
        };
        let found = if target == 0 {
            None
        } else {
            self.all().find(|set| revision(&set.set.metadata) == Some(target)).map(|set| set.set.clone())
        };
        match found {
            None if target == 0 => {
                self.event(true, "DeploymentRollbackRevisionNotFound", "Unable to find last revision.".to_owned());
            }
            None => {
                self.event(
                    true,
                    "DeploymentRollbackRevisionNotFound",
                    "Unable to find the revision to rollback to.".to_owned(),
                );
            }
            Some(set) if same_template(&set, &self.spec.template) => {
                let message = format!(
                    "The rollback revision contains the same template as current deployment \"{}\"",
                    self.name()
                );
                self.event(true, "DeploymentRollbackTemplateUnchanged", message);
            }
            Some(set) => {
                let message = format!("Rolled back deployment \"{}\" to revision {target}", self.name());
                self.take_template(&set);
                self.event(false, "DeploymentRollback", message);
            }
        }
        if let Some(annotations) = &mut self.deployment.metadata.annotations {
            annotations.remove(ROLLBACK_TO);
        }
        plan.push(Write::update(&self.deployment));
        plan.operations.extend(self.take_events());
        plan
    }

    fn take_template(&mut self, set: &ReplicaSet) {
        let mut template = set.spec.template.clone().unwrap_or_default();
        if let Some(labels) = template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()) {
            labels.remove(HASH_LABEL);
        }
        self.deployment.spec.template = template;
        // The annotations of that time come back too (change-cause above all), but for those that never were the set's.
        let annotations = self.deployment.metadata.annotations.get_or_insert_default();
        annotations.retain(|key, _| NOT_INHERITED.contains(&key.as_str()));
        for (key, value) in set.metadata.annotations.iter().flatten() {
            if !NOT_INHERITED.contains(&key.as_str()) {
                annotations.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Raises the set's revision to `new_revision` and remembers the one it had. Upstream: util.SetNewReplicaSetAnnotations.
fn number(set: &mut Set, new_revision: i64) {
    let present = set.annotation(REVISION).map(str::to_owned);
    let old_revision = match present.as_deref() {
        None | Some("") => 0,
        Some(text) => match text.parse::<i64>() {
            Ok(number) => number,
            // Somebody else's numbering; leave it alone.
            Err(_) => return,
        },
    };
    if old_revision >= new_revision {
        return;
    }
    set.annotate(REVISION, &new_revision.to_string());
    let Some(old) = present else { return };
    let history = set.annotation(REVISION_HISTORY).unwrap_or_default().to_owned();
    if history.is_empty() {
        set.annotate(REVISION_HISTORY, &old);
        return;
    }
    let mut kept: Vec<&str> = history.split(',').collect();
    while !kept.is_empty() && kept.iter().map(|one| one.len() + 1).sum::<usize>() + old.len() > HISTORY_LIMIT {
        kept.remove(0);
    }
    kept.push(&old);
    let joined = kept.join(",");
    set.annotate(REVISION_HISTORY, &joined);
}
