//! How components reach the API: shared watch caches, work queues, events and leader election, on top of a [`kube::Client`].
//!
//! Main types: [`Informers`] and [`Informer`] (one list and watch a kind in a process), [`WorkQueue`], [`EventRecorder`].
//! A client is in-process (the API server's own service) or over TLS; nothing here can tell which.
//! Never here: the meaning of any kind. Upstream counterpart: `client-go/tools/cache`, `util/workqueue`, `tools/record`.

mod changes;
mod events;
mod informer;
mod key;
pub mod leader_election;
mod queue;

pub use changes::{Change, Subscription};
pub use events::{EventRecorder, EventType, object_reference};
pub use informer::{Informer, Informers};
pub use key::Key;
pub use leader_election::LeaderElection;
pub use queue::{QueueMetrics, WorkQueue};
