//! The controller manager: the loops that bring the cluster's state to what its objects ask for.
//!
//! Main types: [`Config`], [`run`], [`controllers::LIST`]. Each controller is a folder: `mod.rs` says what it watches and
//! reconciles, `plan.rs` decides with pure functions, `tests.rs` tests the plans. All share one engine ([`engine`]), one
//! watch per kind and one way to write.
//! Never here: any access but through a [`kube::Client`]; it works the same against a stock kube-apiserver.
//! Nothing is kept over a restart: all state is in the API.
//!
//! Upstream counterpart: cmd/kube-controller-manager, pkg/controller.

pub mod controllers;
pub mod engine;

mod claim;
mod cluster_role_aggregation;
mod cronjob;
mod daemonset;
mod deployment;
mod discovery;
mod disruption;
mod disruption_marks;
mod endpoints;
mod endpointslice;
mod endpointslice_mirroring;
mod ephemeral_volume;
mod garbage_collector;
mod identity;
mod job;
mod meta;
mod namespace;
mod node_affinity;
mod node_ipam;
mod node_lifecycle;
mod pod_gc;
mod pods;
mod replicaset;
mod resource_quota;
mod revisions;
mod root_ca;
mod serviceaccount;
mod services;
mod statefulset;
mod taint_eviction;
mod template_hash;
#[cfg(test)]
mod test_support;
mod tolerations;
mod ttl_after_finished;
mod validating_admission_policy_status;
mod volume_protection;

use std::sync::Arc;
use std::time::Duration;

use client::{Informers, QueueMetrics};
use component::Shutdown;
use component::metrics::Registry;
use ipnet::IpNet;

pub use identity::Clients;

/// Settings, under upstream's flag names where there is a flag.
#[derive(Debug, Clone)]
pub struct Config {
    /// `--controllers`: names, `*` for all that are on by default, `-name` to leave one out.
    pub controllers: Vec<String>,
    /// `--cluster-cidr`: the ranges pod CIDRs are taken from, at most one a family.
    pub cluster_cidr: Vec<IpNet>,
    /// `--node-cidr-mask-size-ipv4`.
    pub node_cidr_mask_size_ipv4: u8,
    /// `--node-cidr-mask-size-ipv6`.
    pub node_cidr_mask_size_ipv6: u8,
    /// `--allocate-node-cidrs`.
    pub allocate_node_cidrs: bool,
    /// `--service-cluster-ip-range`: excluded from pod CIDRs.
    pub service_cluster_ip_range: Vec<IpNet>,
    /// Contents of `--root-ca-file`; empty publishes none.
    pub root_ca_pem: String,
    /// `--concurrent-deployment-syncs`.
    pub concurrent_deployment_syncs: usize,
    /// `--concurrent-replicaset-syncs`.
    pub concurrent_replicaset_syncs: usize,
    /// `--concurrent-endpoint-syncs` and `--concurrent-service-endpoint-syncs`.
    pub concurrent_endpoint_syncs: usize,
    /// `--concurrent-namespace-syncs`.
    pub concurrent_namespace_syncs: usize,
    /// `--concurrent-job-syncs`.
    pub concurrent_job_syncs: usize,
    /// `--concurrent-gc-syncs`.
    pub concurrent_gc_syncs: usize,
    /// `--max-endpoints-per-slice`.
    pub max_endpoints_per_slice: usize,
    /// How long a namespace's end is left to spread among API servers before its content is deleted. Upstream: five
    /// seconds; zero is right where there is one API server.
    pub namespace_deletion_grace: Duration,
    /// `--node-monitor-grace-period`: silence of a node before it counts as unreachable.
    pub node_monitor_grace_period: Duration,
    /// `--node-monitor-period`: how often the silence of nodes is measured.
    pub node_monitor_period: Duration,
    /// `--terminated-pod-gc-threshold`: finished pods kept before the oldest are removed; zero keeps all.
    pub terminated_pod_gc_threshold: usize,
    /// Where the controllers register their metrics; the process that runs them serves them.
    pub registry: Registry,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            controllers: vec!["*".to_owned()],
            cluster_cidr: Vec::new(),
            node_cidr_mask_size_ipv4: 24,
            node_cidr_mask_size_ipv6: 64,
            allocate_node_cidrs: false,
            service_cluster_ip_range: Vec::new(),
            root_ca_pem: String::new(),
            concurrent_deployment_syncs: 5,
            concurrent_replicaset_syncs: 5,
            concurrent_endpoint_syncs: 5,
            concurrent_namespace_syncs: 10,
            concurrent_job_syncs: 5,
            concurrent_gc_syncs: 20,
            max_endpoints_per_slice: 100,
            namespace_deletion_grace: Duration::from_secs(5),
            node_monitor_grace_period: Duration::from_secs(40),
            node_monitor_period: Duration::from_secs(5),
            terminated_pod_gc_threshold: 12500,
            registry: Registry::new(),
        }
    }
}

/// Why the controller manager did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--controllers` names something that does not exist.
    #[error("\"{0}\" is not in the list of known controllers")]
    UnknownController(String),
    /// A metric's name is taken in the registry given.
    #[error("cannot register the controllers' metrics")]
    Metrics(#[source] component::metrics::Error),
}

/// Runs the selected controllers until `shutdown` is cancelled. `client` lists and watches for all of them; each writes
/// through the client of its own service account, or through `client` where there are no `clients`.
pub async fn run(
    config: Config,
    client: kube::Client,
    clients: Option<Clients>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let selected = controllers::select(&config.controllers)?;
    let informers = Informers::new(client.clone(), &shutdown);
    let queues = QueueMetrics::register(&config.registry).map_err(Error::Metrics)?;
    let config = Arc::new(config);
    let context = |controller| engine::Context {
        informers: informers.clone(),
        client: match &clients {
            Some(clients) => clients(identity::service_account(controller)),
            None => client.clone(),
        },
        shutdown: shutdown.clone(),
        config: config.clone(),
        queues: queues.clone(),
    };
    let tasks: Vec<_> = selected
        .into_iter()
        .map(|controller| {
            component::spawn(controller.name, (controller.run)(context(controller.name), controller.name))
        })
        .collect();
    shutdown.cancelled().await;
    for task in tasks {
        // A controller that panicked was logged by its supervisor; there is nothing left to stop.
        let _ = task.await;
    }
    Ok(())
}
