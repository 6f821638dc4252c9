//! What the scheduler watches, as one stream of changes.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{Change, Informer, Informers, Subscription};
use futures::FutureExt;

use crate::objects::{
    CsiNode, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, ReplicaSet,
    ReplicationController, Service, StatefulSet, StorageClass,
};

/// Finished pods hold nothing any more. Upstream: `NewInformerFactory`.
const NOT_FINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// One change of a watched kind.
#[derive(Debug)]
pub(crate) enum Input {
    Pod(Change<Pod>),
    Node(Change<Node>),
    Namespace(Change<Namespace>),
    Service(Change<Service>),
    ReplicationController(Change<ReplicationController>),
    ReplicaSet(Change<ReplicaSet>),
    StatefulSet(Change<StatefulSet>),
    DisruptionBudget(Change<PodDisruptionBudget>),
    Claim(Change<PersistentVolumeClaim>),
    Volume(Change<PersistentVolume>),
    StorageClass(Change<StorageClass>),
    CsiNode(Change<CsiNode>),
}

/// The subscriptions, and what was there when they began.
#[derive(Debug)]
pub(crate) struct Watches {
    /// The state of pods at this moment, newer than the changes not yet taken.
    pub(crate) pods: Informer<Pod>,
    pod: Subscription<Pod>,
    node: Subscription<Node>,
    namespace: Subscription<Namespace>,
    service: Subscription<Service>,
    replication_controller: Subscription<ReplicationController>,
    replica_set: Subscription<ReplicaSet>,
    stateful_set: Subscription<StatefulSet>,
    disruption_budget: Subscription<PodDisruptionBudget>,
    claim: Subscription<PersistentVolumeClaim>,
    volume: Subscription<PersistentVolume>,
    storage_class: Subscription<StorageClass>,
    csi_node: Subscription<CsiNode>,
    /// Nodes before pods, so that the first pods meet all nodes.
    first: VecDeque<Input>,
}

impl Watches {
    /// Begins to watch and returns when everything was listed once.
    pub(crate) async fn start(informers: &Informers) -> Self {
        let pods = informers.selected::<Pod>(NOT_FINISHED);
        let node = informers.of::<Node>();
        let namespace = informers.of::<Namespace>();
        let service = informers.of::<Service>();
        let replication_controller = informers.of::<ReplicationController>();
        let replica_set = informers.of::<ReplicaSet>();
        let stateful_set = informers.of::<StatefulSet>();
        let disruption_budget = informers.of::<PodDisruptionBudget>();
        let claim = informers.of::<PersistentVolumeClaim>();
        let volume = informers.of::<PersistentVolume>();
        let storage_class = informers.of::<StorageClass>();
        let csi_node = informers.of::<CsiNode>();
        tokio::join!(
            pods.synced(),
            node.synced(),
            namespace.synced(),
            service.synced(),
            replication_controller.synced(),
            replica_set.synced(),
            stateful_set.synced(),
            disruption_budget.synced(),
            claim.synced(),
            volume.synced(),
            storage_class.synced(),
            csi_node.synced(),
        );
        let mut watches = Self {
            pod: pods.subscribe(),
            node: node.subscribe(),
            namespace: namespace.subscribe(),
            service: service.subscribe(),
            replication_controller: replication_controller.subscribe(),
            replica_set: replica_set.subscribe(),
            stateful_set: stateful_set.subscribe(),
            disruption_budget: disruption_budget.subscribe(),
            claim: claim.subscribe(),
            volume: volume.subscribe(),
            storage_class: storage_class.subscribe(),
            csi_node: csi_node.subscribe(),
            first: VecDeque::new(),
            pods,
        };
        watches.order_first();
        watches
    }

    /// Everything but pods, then pods that run, then pods that wait.
    fn order_first(&mut self) {
        let (mut others, mut assigned, mut waiting) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        while let Some(Some(input)) = self.next_change().now_or_never() {
            match &input {
                Input::Pod(change) if change.object().node_name.is_empty() => waiting.push_back(input),
                Input::Pod(_) => assigned.push_back(input),
                _ => others.push_back(input),
            }
        }
        others.extend(assigned);
        others.extend(waiting);
        self.first = others;
    }

    /// The next change, waiting for it; none once the informers have stopped. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Input> {
        match self.first.pop_front() {
            Some(input) => Some(input),
            None => self.next_change().await,
        }
    }

    /// A change that is already there.
    pub(crate) fn try_next(&mut self) -> Option<Input> {
        self.next().now_or_never().flatten()
    }

    /// The newest state of a pod.
    pub(crate) fn newest(&self, pod: &Pod) -> Option<Arc<Pod>> {
        self.pods.get(pod.namespace(), pod.name())
    }

    async fn next_change(&mut self) -> Option<Input> {
        tokio::select! {
            biased;
            change = self.node.next() => change.map(Input::Node),
            change = self.pod.next() => change.map(Input::Pod),
            change = self.namespace.next() => change.map(Input::Namespace),
            change = self.service.next() => change.map(Input::Service),
            change = self.replication_controller.next() => change.map(Input::ReplicationController),
            change = self.replica_set.next() => change.map(Input::ReplicaSet),
            change = self.stateful_set.next() => change.map(Input::StatefulSet),
            change = self.disruption_budget.next() => change.map(Input::DisruptionBudget),
            change = self.claim.next() => change.map(Input::Claim),
            change = self.volume.next() => change.map(Input::Volume),
            change = self.storage_class.next() => change.map(Input::StorageClass),
            change = self.csi_node.next() => change.map(Input::CsiNode),
        }
    }
}
