//! What can be set, under the names of upstream's `KubeSchedulerConfiguration`.

use std::time::Duration;

use component::metrics::Registry;
use serde::Deserialize;

/// The scheduler's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Config {
    /// Pods that name this scheduler are scheduled.
    pub scheduler_name: String,
    /// After this share of all nodes was found to fit no more are looked at; 0 chooses by the size of the cluster.
    pub percentage_of_nodes_to_score: u32,
    /// The first back-off of a pod that could not be scheduled.
    pub pod_initial_backoff_seconds: u64,
    /// The longest back-off.
    pub pod_max_backoff_seconds: u64,
    /// How many bindings may be under way at a time.
    pub max_bindings_in_flight: usize,
    /// Where the scheduler registers its metrics; the process that runs it serves them.
    #[serde(skip)]
    pub registry: Registry,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            scheduler_name: "default-scheduler".to_owned(),
            percentage_of_nodes_to_score: 0,
            pod_initial_backoff_seconds: 1,
            pod_max_backoff_seconds: 10,
            max_bindings_in_flight: 64,
            registry: Registry::new(),
        }
    }
}

impl Config {
    pub(crate) fn initial_backoff(&self) -> Duration {
        Duration::from_secs(self.pod_initial_backoff_seconds)
    }

    pub(crate) fn max_backoff(&self) -> Duration {
        Duration::from_secs(self.pod_max_backoff_seconds)
    }
}
