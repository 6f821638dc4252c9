//! The kubelet: runs the pods that the API assigns to this node, on a container runtime over CRI.
//!
//! ```text
//!   API (watch) ──> pod_workers ──plan: kuberuntime::actions──> CRI, volumes, cgroups
//!   runtime ──> pleg ─wakes─┘   └──> status ──> API (patch)
//!   probes ────────────wake─┘
//! ```
//! Main types: [`Config`], [`run`]; inside, `Kubelet` (what the parts share) and one worker a pod.
//!
//! It keeps no state of its own: after a crash everything is found again in the API and in the labels of CRI objects, and running
//! containers are adopted. It never touches a container but by CRI, and never stops one because it itself stops.
//! Upstream counterpart: `pkg/kubelet`.

mod config;
mod container_manager;
mod events;
mod eviction;
mod host;
mod images;
mod kubelet;
mod kuberuntime;
mod logs;
mod metrics;
mod node;
mod pleg;
mod pod;
mod pod_workers;
mod prober;
mod resources;
mod running;
mod server;
mod stats;
mod status;
mod sys;
mod volume;

use std::path::PathBuf;

use component::Shutdown;

pub use config::{Config, Threshold};
pub use server::ServerError;

/// Why a kubelet cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root directory cannot be made.
    #[error("cannot use {path} as the kubelet's directory: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The HTTPS API cannot be served.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The container runtime refused something that has to work.
    #[error(transparent)]
    Runtime(#[from] cri::Error),
    /// Its metrics cannot be registered.
    #[error("cannot register the kubelet's metrics: {0}")]
    Metrics(#[from] component::metrics::Error),
    /// No name was given.
    #[error("the node has no name: set node_name")]
    NoName,
}

/// Runs a kubelet until `shutdown`. A container runtime that is missing or restarting is waited for; so is the API server.
pub async fn run(config: Config, client: kube::Client, shutdown: Shutdown) -> Result<(), Error> {
    let cri = cri::Client::new(&config.container_runtime_endpoint);
    run_with(config, client, cri, shutdown).await
}

/// As [`run`], on a runtime of one's own: the fake one in tests.
pub async fn run_with(config: Config, client: kube::Client, cri: cri::Client, shutdown: Shutdown) -> Result<(), Error> {
    if config.node_name.is_empty() {
        return Err(Error::NoName);
    }
    let (kubelet, changes) = kubelet::Kubelet::new(config, client, cri, shutdown);
    kubelet.run(changes).await
}
