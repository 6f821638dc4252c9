//! The order in which the pods of a set are made, removed and replaced.
//!
//! With `OrderedReady` one thing happens at a time: the first pod that is not as it should be is worked on, and the
//! others wait. With `Parallel` pods are made and removed all at once; updates still go down from the highest number.
//!
//! Upstream: statefulset.updateStatefulSet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{claims, identity};
use crate::engine::{DeleteOptions, Operation, Write};
use crate::{meta, pods, revisions, template_hash};

const HASH_LABEL: &str = "controller.kubernetes.io/hash";

#[derive(Debug, Clone)]
pub(super) struct Revisions {
    pub current: ControllerRevision,
    pub update: ControllerRevision,
    pub collision_count: i32,
}

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub set: Arc<StatefulSet>,
    /// Claimed pods.
    pub pods: Vec<Arc<Pod>>,
    /// All claims of the namespace, by name.
    pub claims: HashMap<String, Arc<PersistentVolumeClaim>>,
    pub revisions: Revisions,
    pub now: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Writes of one pod and its claims, in order; groups are independent of each other.
    pub groups: Vec<Vec<Operation>>,
    pub status: StatefulSetStatus,
    /// Why something cannot be done yet.
    pub blocked: Vec<String>,
    pub requeue_after: Option<Duration>,
}

/// A place in the set.
#[derive(Clone)]
struct Replica {
    pod: Arc<Pod>,
    ordinal: i32,
    created: bool,
}

fn template(revision: &ControllerRevision) -> PodTemplateSpec {
    let mut template = revision.data.0["spec"]["template"].clone();
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    serde_json::from_value(template).unwrap_or_default()
}

pub(super) fn next_number(revisions: &[Arc<ControllerRevision>]) -> i64 {
    revisions.last().map_or(1, |newest| newest.revision.unwrap_or(0) + 1)
}

pub(super) fn new_revision(set: &StatefulSet, number: i64, data: &Value, collision_count: i32) -> ControllerRevision {
    let hash = template_hash::compute(data, Some(collision_count));
    let mut labels =
        set.spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let stem: String = meta::name(&set.metadata).chars().take(223).collect();
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{stem}-{hash}")),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: set.metadata.annotations.clone(),
            owner_references: Some(vec![meta::controller_ref::<StatefulSet>(&set.metadata)]),
            ..ObjectMeta::default()
        },
        data: revisions::raw(data.clone()),
        revision: Some(number),
    }
}

/// Revisions beyond the limit that nothing uses.
pub(super) fn superfluous(snapshot: &Snapshot, all: &[Arc<ControllerRevision>]) -> Vec<Arc<ControllerRevision>> {
    let used = |name: &str| {
        name == meta::name(&snapshot.revisions.current.metadata)
            || name == meta::name(&snapshot.revisions.update.metadata)
            || snapshot.pods.iter().any(|pod| identity::revision(pod) == name)
    };
    let unused: Vec<_> = all.iter().filter(|revision| !used(meta::name(&revision.metadata))).cloned().collect();
    let keep = usize::try_from(snapshot.set.spec.revision_history_limit.unwrap_or(10)).unwrap_or(usize::MAX);
    let surplus = unused.len().saturating_sub(keep);
    unused.into_iter().take(surplus).collect()
}

struct Planner<'a> {
    snapshot: &'a Snapshot,
    set: &'a StatefulSet,
    monotonic: bool,
    replicas: Vec<Replica>,
    /// Pods beyond the wanted number, highest first.
    condemned: Vec<Replica>,
    outcome: Outcome,
}

pub(super) fn plan(snapshot: &Snapshot) -> Outcome {
    let mut planner = Planner::new(snapshot);
    if !meta::is_deleting(&snapshot.set.metadata) {
        let stopped = planner.process_replicas() || planner.fix_condemned_claims() || planner.process_condemned();
        planner.count();
        if !stopped && planner.strategy() != "OnDelete" {
            planner.update();
        }
    }
    let min_ready = planner.min_ready();
    if min_ready > 0 {
        planner.outcome.requeue_after =
            pods::next_availability_check(snapshot.pods.iter().map(|pod| &**pod), min_ready, snapshot.now);
    }
    planner.outcome
}

impl<'a> Planner<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let set = &*snapshot.set;
        let mut planner = Self {
            snapshot,
            set,
            monotonic: set.spec.pod_management_policy.as_deref() != Some("Parallel"),
            replicas: Vec::new(),
            condemned: Vec::new(),
            outcome: Outcome::default(),
        };
        let mut by_ordinal: HashMap<i32, Arc<Pod>> = HashMap::new();
        for pod in &snapshot.pods {
            match identity::ordinal(pod) {
                Some(ordinal) if identity::is_in_range(set, ordinal) => {
                    by_ordinal.insert(ordinal, pod.clone());
                }
                Some(ordinal) => planner.condemned.push(Replica { pod: pod.clone(), ordinal, created: true }),
                None => {}
            }
        }
        planner.condemned.sort_by_key(|replica| std::cmp::Reverse(replica.ordinal));
        let (current, update) = (&snapshot.revisions.current, &snapshot.revisions.update);
        let (current_template, update_template) = (template(current), template(update));
        let start = identity::start(set);
        let old_ones = start + planner.old_replicas();
        for ordinal in start..start + identity::replicas(set) {
            let replica = by_ordinal.remove(&ordinal).map(|pod| Replica { pod, ordinal, created: true });
            planner.replicas.push(replica.unwrap_or_else(|| {
                let (template, revision) =
                    if ordinal < old_ones { (&current_template, current) } else { (&update_template, update) };
                let pod = identity::new_pod(set, template, meta::name(&revision.metadata), ordinal);
                Replica { pod: Arc::new(pod), ordinal, created: false }
            }));
        }
        planner.count();
        planner
    }

    fn strategy(&self) -> &str {
        self.set.spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()).unwrap_or("RollingUpdate")
    }

    fn partition(&self) -> Option<i32> {
        let rolling = self.set.spec.update_strategy.as_ref()?.rolling_update.as_ref()?;
        Some(rolling.partition.unwrap_or(0))
    }

    /// How many pods from the first on are still made from the old template.
    fn old_replicas(&self) -> i32 {
        match self.partition() {
            Some(partition) => partition,
            None if self.strategy() == "RollingUpdate" => {
                self.set.status.as_ref().and_then(|status| status.current_replicas).unwrap_or(0)
            }
            None => 0,
        }
    }

    fn min_ready(&self) -> i32 {
        self.set.spec.min_ready_seconds.unwrap_or(0)
    }

    fn is_available(&self, replica: &Replica) -> bool {
        pods::is_available(&replica.pod, self.min_ready(), self.snapshot.now)
    }

    fn is_unavailable(&self, replica: &Replica) -> bool {
        !self.is_available(replica) || meta::is_deleting(&replica.pod.metadata)
    }

    fn is_updated(&self, replica: &Replica) -> bool {
        identity::revision(&replica.pod) == meta::name(&self.snapshot.revisions.update.metadata)
    }

    /// The status by what there is.
    fn count(&mut self) {
        let revisions = &self.snapshot.revisions;
        let (current, update) = (meta::name(&revisions.current.metadata), meta::name(&revisions.update.metadata));
        let mut status = StatefulSetStatus {
            observed_generation: self.set.metadata.generation,
            current_revision: Some(current.to_owned()),
            update_revision: Some(update.to_owned()),
            collision_count: Some(revisions.collision_count),
            conditions: self.set.status.as_ref().and_then(|status| status.conditions.clone()),
            ..StatefulSetStatus::default()
        };
        let (mut ready, mut available, mut currents, mut updated) = (0, 0, 0, 0);
        for replica in self
            .replicas
            .iter()
            .chain(&self.condemned)
            .filter(|replica| replica.created && !pods::phase(&replica.pod).is_empty())
        {
            status.replicas += 1;
            if pods::phase(&replica.pod) == "Running" && pods::is_ready(&replica.pod) {
                ready += 1;
                available += i32::from(self.is_available(replica));
            }
            if !meta::is_deleting(&replica.pod.metadata) {
                currents += i32::from(identity::revision(&replica.pod) == current);
                updated += i32::from(identity::revision(&replica.pod) == update);
            }
        }
        status.ready_replicas = meta::omit_zero(ready);
        status.available_replicas = Some(available);
        status.current_replicas = meta::omit_zero(currents);
        status.updated_replicas = meta::omit_zero(updated);
        self.outcome.status = status;
    }

    fn delete(&self, replica: &Replica) -> Operation {
        let metadata = &replica.pod.metadata;
        let options = DeleteOptions { uid: metadata.uid.clone(), ..DeleteOptions::default() };
        self.announce(Write::delete_with::<Pod>(metadata, options), "Delete", meta::name(metadata)).into()
    }

    fn announce(&self, write: Write, verb: &str, pod: &str) -> Write {
        let set = meta::name(&self.set.metadata);
        let (success, failure) = match verb {
            "Create" => ("SuccessfulCreate", "FailedCreate"),
            "Delete" => ("SuccessfulDelete", "FailedDelete"),
            _ => ("SuccessfulUpdate", "FailedUpdate"),
        };
        let done = format!("{verb} Pod {pod} in StatefulSet {set} successful");
        let failed = format!("{verb} Pod {pod} in StatefulSet {set} failed error: {{error}}");
        write
            .announce_success(meta::normal::<StatefulSet>(&self.set.metadata, success, done))
            .announce_failure(meta::warning::<StatefulSet>(&self.set.metadata, failure, failed))
    }

    /// The writes that give a pod its claims; `Err` while an old claim of the name is going away.
    fn missing_claims(&self, replica: &Replica) -> Result<Vec<Operation>, String> {
        let (set, pod) = (meta::name(&self.set.metadata), meta::name(&replica.pod.metadata));
        let mut writes = Vec::new();
        for claim in identity::claims(self.set, replica.ordinal) {
            let name = meta::name(&claim.metadata).to_owned();
            match self.snapshot.claims.get(&name) {
                Some(present) if meta::is_deleting(&present.metadata) => {
                    return Err(format!("pvc {name} is being deleted"));
                }
                Some(_) => {}
                None => {
                    let done = format!("Create Claim {name} Pod {pod} in StatefulSet {set} success");
                    let failed =
                        format!("Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {{error}}");
                    let write = Write::create(&claim)
                        .announce_success(meta::normal::<StatefulSet>(&self.set.metadata, "SuccessfulCreate", done))
                        .announce_failure(meta::warning::<StatefulSet>(&self.set.metadata, "FailedCreate", failed));
                    writes.push(write.into());
                }
            }
        }
        Ok(writes)
    }

    /// The writes that put the owners of a pod's claims right.
    fn owner_fixes(&self, replica: &Replica) -> Vec<Operation> {
        let names = identity::claims(self.set, replica.ordinal);
        let present = names.iter().filter_map(|claim| self.snapshot.claims.get(meta::name(&claim.metadata)));
        present
            .filter_map(|claim| claims::corrected(self.set, &replica.pod, claim))
            .map(|claim| Write::update(&claim).into())
            .collect()
    }

    /// Works on the wanted pods; true if the others have to wait.
    fn process_replicas(&mut self) -> bool {
        for replica in self.replicas.clone() {
            if self.process_replica(&replica) && self.monotonic {
                return true;
            }
        }
        false
    }

    fn process_replica(&mut self, replica: &Replica) -> bool {
        let pod = &replica.pod;
        if pods::is_terminal(pod) {
            if !meta::is_deleting(&pod.metadata) {
                let delete = self.delete(replica);
                self.outcome.groups.push(vec![delete]);
            }
            return true;
        }
        if !replica.created {
            self.create(replica);
            return true;
        }
        if pods::phase(pod) == "Pending" {
            match self.missing_claims(replica) {
                Ok(writes) if writes.is_empty() => {}
                Ok(writes) => self.outcome.groups.push(writes),
                Err(message) => self.outcome.blocked.push(message),
            }
        }
        if self.monotonic
            && (meta::is_deleting(&pod.metadata)
                || pods::phase(pod) != "Running"
                || !pods::is_ready(pod)
                || !self.is_available(replica))
        {
            return true;
        }
        let mut group = self.owner_fixes(replica);
        if let Some(corrected) = identity::corrected(self.set, pod, replica.ordinal) {
            group.push(self.announce(Write::update(&corrected), "Update", meta::name(&pod.metadata)).into());
        }
        if !group.is_empty() {
            self.outcome.groups.push(group);
        }
        false
    }

    fn create(&mut self, replica: &Replica) {
        let names = identity::claims(self.set, replica.ordinal);
        let stale = names.iter().filter_map(|claim| self.snapshot.claims.get(meta::name(&claim.metadata)));
        if stale.into_iter().any(|claim| claims::belongs_to_former(self.set, claim, &replica.pod)) {
            self.outcome
                .blocked
                .push(format!("a claim of pod {} still belongs to the one before", meta::name(&replica.pod.metadata)));
            return;
        }
        match self.missing_claims(replica) {
            Ok(mut group) => {
                group.push(
                    self.announce(Write::create(&*replica.pod), "Create", meta::name(&replica.pod.metadata)).into(),
                );
                self.outcome.groups.push(group);
            }
            Err(message) => self.outcome.blocked.push(message),
        }
    }

    fn fix_condemned_claims(&mut self) -> bool {
        let fixes: Vec<Vec<Operation>> =
            self.condemned.iter().map(|replica| self.owner_fixes(replica)).filter(|group| !group.is_empty()).collect();
        self.outcome.groups.extend(fixes);
        false
    }

    /// Removes pods beyond the wanted number; true if the update has to wait.
    fn process_condemned(&mut self) -> bool {
        let lowest = self
            .replicas
            .iter()
            .chain(self.condemned.iter().rev())
            .find(|replica| self.is_unavailable(replica))
            .map(|replica| replica.ordinal);
        let mut stopped = false;
        for replica in self.condemned.clone() {
            let pod = &replica.pod;
            if meta::is_deleting(&pod.metadata) {
                if self.monotonic {
                    return true;
                }
                continue;
            }
            let healthy = pods::phase(pod) == "Running" && pods::is_ready(pod) && self.is_available(&replica);
            if self.monotonic && !healthy && lowest != Some(replica.ordinal) {
                return true;
            }
            let delete = self.delete(&replica);
            self.outcome.groups.push(vec![delete]);
            stopped = true;
            if self.monotonic {
                return true;
            }
        }
        stopped && self.monotonic
    }

    /// RollingUpdate: deletes outdated pods from the highest number down. Upstream: updateStatefulSetAfterInvariantEstablished.
    fn update(&mut self) {
        let first = usize::try_from(self.partition().unwrap_or(0)).unwrap_or(0);
        let rolling = self.set.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let one = IntOrString::Int(1);
        let limit = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&one);
        let limit = meta::scaled(limit, identity::replicas(self.set), false).unwrap_or(1).max(1);
        let limit = usize::try_from(limit).unwrap_or(1);
        let unavailable = self.replicas.iter().filter(|replica| self.is_unavailable(replica)).count();
        let outdated = |planner: &Self, replica: &Replica| {
            replica.created && !planner.is_updated(replica) && !meta::is_deleting(&replica.pod.metadata)
        };
        let candidates: Vec<Replica> =
            self.replicas.iter().skip(first).rev().filter(|replica| outdated(self, replica)).cloned().collect();
        // Pods that are no use anyway cost no availability; with ordered pods they are waited for.
        let (broken, mut healthy): (Vec<Replica>, Vec<Replica>) =
            candidates.into_iter().partition(|replica| !self.monotonic && self.is_unavailable(replica));
        healthy.truncate(limit.saturating_sub(unavailable));
        for replica in broken.into_iter().chain(healthy) {
            let delete = self.delete(&replica);
            self.outcome.groups.push(vec![delete]);
            let current = &mut self.outcome.status.current_replicas;
            *current = meta::omit_zero(current.unwrap_or(0) - 1);
        }
    }
}

/// The status to write: a finished update makes the new revision the current one.
pub(super) fn final_status(snapshot: &Snapshot, mut status: StatefulSetStatus) -> Option<StatefulSetStatus> {
    let wanted = identity::replicas(&snapshot.set);
    let number = |value: Option<i32>| value.unwrap_or(0);
    if number(status.updated_replicas) == wanted && number(status.ready_replicas) == wanted && status.replicas == wanted
    {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
    let old = snapshot.set.status.clone().unwrap_or_default();
    let omit = |value: Option<i32>| value.filter(|number| *number != 0);
    let old = StatefulSetStatus {
        ready_replicas: omit(old.ready_replicas),
        current_replicas: omit(old.current_replicas),
        updated_replicas: omit(old.updated_replicas),
        available_replicas: Some(number(old.available_replicas)),
        collision_count: Some(number(old.collision_count)),
        ..old
    };
    (status != old).then_some(status)
}
