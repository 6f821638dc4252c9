//! The scheduler: gives each pod that waits the node that suits it best.
//!
//! One task owns everything ([`queue`], [`cache`], what else is watched) and takes turns between events and scheduling
//! cycles, so no lock is held anywhere and a cycle never sees half a change. A cycle is pure: queue -> snapshot ->
//! filters -> scores -> node. What it decides is written by other tasks (bindings, statuses, deletions of victims,
//! events), whose outcomes come back as messages.
//!
//! ```text
//! informers --changes--> [ cache | cluster | queue ] --pop--> schedule --assume--> bind (task) --outcome--.
//!                                 ^      ^                       '--turned down--> preemption (task) ----.|
//!                                 |      '------------------------- back to the queue                    ||
//!                                 '----------------------------------------------------------------------''
//! ```
//!
//! It speaks to the API only, so it works against any conformant kube-apiserver. After a crash nothing is lost: what
//! was bound is seen as bound, what was not waits again. Upstream counterpart: `pkg/scheduler`.

mod cache;
mod config;
mod events;
#[cfg(test)]
mod fake_api;
mod framework;
mod metrics;
mod objects;
mod plugins;
mod preemption;
mod queue;
mod schedule;
mod scheduler;
mod status_writer;
mod watch;

pub use config::Config;
pub use scheduler::run;

/// Why the scheduler ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A metric's name is taken in the registry given.
    #[error("cannot register the scheduler's metrics")]
    Metrics(#[source] component::metrics::Error),
    /// The task that watches ended first.
    #[error("the watches of the scheduler ended")]
    WatchEnded,
}

/// The text of a failed request as upstream's client words it: the API's own message where there is one.
pub(crate) fn status_text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
