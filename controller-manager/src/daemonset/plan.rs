//! Which nodes need a daemon pod and which pods are too many.
//!
//! Upstream: daemon.podsShouldBeOnNode, nodeShouldRunDaemonPod, updateDaemonSetStatus.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, PodTemplateSpec, Toleration,
};

use crate::engine::{Event, Write};
use crate::{meta, node_affinity, pods, tolerations};

pub(super) const HASH_LABEL: &str = "controller-revision-hash";
const GENERATION_LABEL: &str = "pod-template-generation";
const GENERATION_ANNOTATION: &str = "deprecated.daemonset.template.generation";
const BURST: usize = 250;

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub set: Arc<DaemonSet>,
    pub nodes: Vec<Arc<Node>>,
    /// Claimed pods that are not both finished and being deleted, by the node they run on or are meant for.
    pub by_node: BTreeMap<String, Vec<Arc<Pod>>>,
    /// Hashes of all claimed pods.
    pub live_hashes: Vec<String>,
    pub hash: String,
    pub now: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Nodes that get a pod.
    pub create: Vec<String>,
    pub delete: Vec<Arc<Pod>>,
    pub events: Vec<Event>,
    pub requeue_after: Option<Duration>,
}

/// Back-off of failing pods per node: a second, doubled up to fifteen minutes.
#[derive(Debug, Default)]
pub(super) struct Backoffs(HashMap<String, (Duration, Timestamp)>);

impl Backoffs {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(15 * 60);

    /// `None` if the failed pod may be replaced now, else how long to wait.
    fn take(&mut self, node: &str, now: Timestamp) -> Option<Duration> {
        let entry = self.0.get(node).copied();
        if let Some((delay, since)) = entry {
            let due = since.checked_add(delay).unwrap_or(now);
            if let Some(wait) = meta::until(due, now) {
                return Some(wait);
            }
        }
        let old = entry.filter(|(_, since)| now.duration_since(*since).unsigned_abs() <= Self::LONGEST * 2);
        let delay = old.map_or(Self::FIRST, |(delay, _)| (delay * 2).min(Self::LONGEST));
        self.0.insert(node.to_owned(), (delay, now));
        None
    }
}

impl Snapshot {
    pub(super) fn new(
        set: Arc<DaemonSet>,
        nodes: Vec<Arc<Node>>,
        claimed: Vec<Arc<Pod>>,
        hash: String,
        now: Timestamp,
    ) -> Self {
        let live_hashes =
            claimed.iter().filter_map(|pod| meta::labels(&pod.metadata).get(HASH_LABEL).cloned()).collect();
        let mut by_node: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in claimed {
            if pods::is_terminal(&pod) && meta::is_deleting(&pod.metadata) {
                continue;
            }
            if let Some(node) = target_node(&pod) {
                by_node.entry(node).or_default().push(pod);
            }
        }
        by_node.values_mut().for_each(|pods| pods.sort_by_key(|pod| age_key(pod)));
        Self { set, nodes, by_node, live_hashes, hash, now }
    }

    pub(super) fn min_ready_seconds(&self) -> i32 {
        self.set.spec.min_ready_seconds.unwrap_or(0)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pods::is_available(pod, self.min_ready_seconds(), self.now)
    }

    pub(super) fn pods_on(&self, node: &str) -> &[Arc<Pod>] {
        self.by_node.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    /// Made from the present template.
    pub(super) fn is_updated(&self, pod: &Pod) -> bool {
        let labels = meta::labels(&pod.metadata);
        let generation = meta::annotation(&self.set.metadata, GENERATION_ANNOTATION);
        labels.get(HASH_LABEL) == Some(&self.hash)
            || generation
                .is_some_and(|generation| labels.get(GENERATION_LABEL).is_some_and(|label| label == generation))
    }
}

/// Bound pods first, then the oldest.
fn age_key(pod: &Pod) -> (bool, Timestamp, String) {
    (pods::node_name(pod).is_none(), meta::created(&pod.metadata), meta::name(&pod.metadata).to_owned())
}

/// The node the pod is bound to or asks for.
fn target_node(pod: &Pod) -> Option<String> {
    if let Some(node) = pods::node_name(pod) {
        return Some(node.to_owned());
    }
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut named = fields.filter(|field| field.key == "metadata.name" && field.operator == "In");
    match named.next()?.values.as_deref() {
        Some([node]) => Some(node.clone()),
        _ => None,
    }
}

/// Whether a daemon pod should be on the node, and whether one that is there may stay.
pub(super) fn should_run(set: &DaemonSet, node: &Node) -> (bool, bool) {
    let spec = daemon_spec(set);
    if spec.node_name.as_ref().is_some_and(|name| !name.is_empty() && name != meta::name(&node.metadata))
        || !node_affinity::fits(&spec, node)
    {
        return (false, false);
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let tolerated = spec.tolerations.as_deref().unwrap_or_default();
    if tolerations::has_untolerated(taints, tolerated, &["NoExecute", "NoSchedule"]) {
        return (false, !tolerations::has_untolerated(taints, tolerated, &["NoExecute"]));
    }
    (true, true)
}

/// The template's spec with the tolerations every daemon pod has.
fn daemon_spec(set: &DaemonSet) -> PodSpec {
    let mut spec = set.spec.template.spec.clone().unwrap_or_default();
    let mut wanted = vec![
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ];
    if spec.host_network == Some(true) {
        wanted.push(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    }
    let all = spec.tolerations.get_or_insert_default();
    for (key, effect) in wanted {
        let new = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        let same = |toleration: &&mut Toleration| {
            toleration.key == new.key
                && toleration.operator == new.operator
                && toleration.effect == new.effect
                && toleration.value.is_none()
        };
        match all.iter_mut().find(same) {
            Some(present) => *present = new,
            None => all.push(new),
        }
    }
    spec
}

/// Upstream: daemon.manage.
pub(super) fn manage(snapshot: &Snapshot, backoffs: &mut Backoffs) -> Changes {
    let mut changes = Changes::default();
    for node in &snapshot.nodes {
        manage_node(snapshot, node, backoffs, &mut changes);
    }
    // Meant for a node that is gone before they were bound to it.
    let gone = snapshot
        .by_node
        .iter()
        .filter(|(name, _)| snapshot.nodes.iter().all(|node| meta::name(&node.metadata) != name.as_str()));
    changes.delete.extend(gone.flat_map(|(_, pods)| pods.iter().filter(|pod| pods::node_name(pod).is_none()).cloned()));
    changes
}

fn manage_node(snapshot: &Snapshot, node: &Node, backoffs: &mut Backoffs, changes: &mut Changes) {
    let name = meta::name(&node.metadata);
    let (run, stay) = should_run(&snapshot.set, node);
    let pods = snapshot.pods_on(name);
    if pods.is_empty() {
        if run {
            changes.create.push(name.to_owned());
        }
        return;
    }
    let alive = pods.iter().filter(|pod| !meta::is_deleting(&pod.metadata));
    if !stay {
        changes.delete.extend(alive.cloned());
        return;
    }
    let mut running = Vec::new();
    for pod in alive {
        let (namespace, pod_name) = (meta::namespace(&pod.metadata), meta::name(&pod.metadata));
        let about = &snapshot.set.metadata;
        match pods::phase(pod) {
            "Failed" => {
                if let Some(wait) = backoffs.take(name, snapshot.now) {
                    changes.requeue_after = Some(changes.requeue_after.map_or(wait, |earlier| earlier.min(wait)));
                    continue;
                }
                let message =
                    format!("Found failed daemon pod {namespace}/{pod_name} on node {name}, will try to kill it");
                changes.events.push(meta::warning::<DaemonSet>(about, "FailedDaemonPod", message));
                changes.delete.push(pod.clone());
            }
            "Succeeded" => {
                let message =
                    format!("Found succeeded daemon pod {namespace}/{pod_name} on node {name}, will try to delete it");
                changes.events.push(meta::normal::<DaemonSet>(about, "SucceededDaemonPod", message));
                changes.delete.push(pod.clone());
            }
            _ => running.push(pod),
        }
    }
    if !super::rolling::allows_surge(&snapshot.set) {
        changes.delete.extend(running.into_iter().skip(1).cloned());
        return;
    }
    if running.len() <= 1 {
        if running.is_empty() && run {
            changes.create.push(name.to_owned());
        }
        return;
    }
    // While surging a node may have an old and a new pod.
    let (mut newest, mut old) = (None, None);
    for pod in running {
        let slot =
            if meta::labels(&pod.metadata).get(HASH_LABEL) == Some(&snapshot.hash) { &mut newest } else { &mut old };
        if slot.is_none() {
            *slot = Some(pod);
        } else {
            changes.delete.push(pod.clone());
        }
    }
    if let (Some(new), Some(old)) = (newest, old)
        && (!pods::is_ready(old) || snapshot.is_available(new))
    {
        changes.delete.push(old.clone());
    }
}

/// The pods to create, one a node.
pub(super) fn creations(snapshot: &Snapshot, nodes: &[String]) -> Vec<Write> {
    let about = &snapshot.set.metadata;
    let mut template = PodTemplateSpec { spec: Some(daemon_spec(&snapshot.set)), ..snapshot.set.spec.template.clone() };
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    if let Some(generation) = meta::annotation(about, GENERATION_ANNOTATION) {
        labels.insert(GENERATION_LABEL.to_owned(), generation.to_owned());
    }
    labels.insert(HASH_LABEL.to_owned(), snapshot.hash.clone());
    let base = pods::from_template(&template, meta::namespace(about), meta::controller_ref::<DaemonSet>(about));
    let create = |node: &String| {
        let mut pod = base.clone();
        if let Some(spec) = &mut pod.spec {
            pin(spec.affinity.get_or_insert_default(), node);
        }
        Write::create(&pod)
            .announce_success(meta::normal::<DaemonSet>(about, "SuccessfulCreate", "Created pod: {name}"))
            .announce_failure(meta::warning::<DaemonSet>(about, "FailedCreate", "Error creating: {error}"))
    };
    nodes.iter().take(BURST).map(create).collect()
}

/// Replaces the required node affinity by the node's name.
fn pin(affinity: &mut Affinity, node: &str) {
    let requirement = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![requirement]), match_expressions: None };
    affinity.node_affinity.get_or_insert_default().required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
}

/// Uid and write of each pod to delete.
pub(super) fn deletions(snapshot: &Snapshot, pods: &[Arc<Pod>]) -> Vec<(String, Write)> {
    let about = &snapshot.set.metadata;
    let delete = |pod: &Arc<Pod>| {
        let write = Write::delete::<Pod>(&pod.metadata)
            .announce_success(meta::normal::<DaemonSet>(
                about,
                "SuccessfulDelete",
                format!("Deleted pod: {}", meta::name(&pod.metadata)),
            ))
            .announce_failure(meta::warning::<DaemonSet>(about, "FailedDelete", "Error deleting: {error}"));
        (meta::uid(&pod.metadata).to_owned(), write)
    };
    pods.iter().take(BURST).map(delete).collect()
}

/// The status to write, if it differs, and when a ready pod becomes available.
pub(super) fn status(snapshot: &Snapshot, observe: bool) -> (Option<DaemonSetStatus>, Option<Duration>) {
    let old = snapshot.set.status.clone().unwrap_or_default();
    let mut new = DaemonSetStatus {
        collision_count: old.collision_count,
        conditions: old.conditions.clone(),
        ..DaemonSetStatus::default()
    };
    let (mut available, mut updated) = (0, 0);
    for node in &snapshot.nodes {
        let (run, _) = should_run(&snapshot.set, node);
        let first = snapshot.pods_on(meta::name(&node.metadata)).first();
        match (run, first) {
            (true, None) => new.desired_number_scheduled += 1,
            (true, Some(pod)) => {
                new.desired_number_scheduled += 1;
                new.current_number_scheduled += 1;
                new.number_ready += i32::from(pods::is_ready(pod));
                available += i32::from(snapshot.is_available(pod));
                updated += i32::from(snapshot.is_updated(pod));
            }
            (false, Some(_)) => new.number_misscheduled += 1,
            (false, None) => {}
        }
    }
    new.number_available = meta::omit_zero(available);
    new.updated_number_scheduled = meta::omit_zero(updated);
    new.number_unavailable = meta::omit_zero(new.desired_number_scheduled - available);
    new.observed_generation = if observe { snapshot.set.metadata.generation } else { old.observed_generation };
    let omit = |number: Option<i32>| number.filter(|number| *number != 0);
    let old = DaemonSetStatus {
        number_available: omit(old.number_available),
        updated_number_scheduled: omit(old.updated_number_scheduled),
        number_unavailable: omit(old.number_unavailable),
        ..old
    };
    let all = snapshot.by_node.values().flatten().map(|pod| &**pod);
    let check = if snapshot.min_ready_seconds() > 0 {
        pods::next_availability_check(all, snapshot.min_ready_seconds(), snapshot.now)
    } else {
        None
    };
    ((new != old).then_some(new), check)
}
