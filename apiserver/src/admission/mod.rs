//! Admission: plugins that change ([`Mutating`]) or refuse ([`Validating`]) a write after decoding and before the commit.
//!
//! One file or folder a plugin; the order is the list given to [`Chain`]. A plugin sees the object in the version of the
//! request, is told of dry runs, and must have no side effects outside the answer when it is one.
//! Upstream: k8s.io/apiserver/pkg/admission.

mod always;
mod always_pull_images;
mod anti_affinity;
mod certificates;
mod configuration;
mod default_class;
mod default_toleration_seconds;
mod event_rate_limit;
mod extended_resource_toleration;
mod external_ips;
mod image_policy;
mod limit_ranger;
pub(crate) mod metrics;
mod namespace_auto_provision;
mod namespace_exists;
mod namespace_lifecycle;
mod node_declared_features;
mod node_restriction;
mod owner_references;
mod plugins;
mod pod_node_selector;
mod pod_resize;
mod pod_security;
mod pod_toleration_restriction;
mod pod_topology_labels;
pub(crate) mod policy;
mod priority;
mod resource_quota;
mod round;
mod runtime_class;
mod selection;
mod service_account;
mod storage;
mod taint_nodes_by_condition;
#[cfg(test)]
mod tests;
mod tolerations;
pub(crate) mod webhook;

pub use configuration::{Configurations, Error as ConfigurationError};
pub use namespace_auto_provision::Loopback;
pub use plugins::{Surroundings, chain};
pub use round::Round;
pub use selection::{Error as SelectionError, Selection};

use api::status::Status;
use futures::future::BoxFuture;
use json::Value;
use std::sync::Arc;
use std::time::Instant;

use self::metrics::{Durations, Metrics, Step};
use crate::context::RequestContext;

/// What is done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// POST, or PUT/apply of an object that is not there.
    Create,
    /// PUT and PATCH.
    Update,
    /// DELETE, once per object for a collection.
    Delete,
    /// exec, attach, portforward, proxy.
    Connect,
}

impl Operation {
    /// As in AdmissionReview: `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// One write being admitted. The resource is `ctx.target`; for a create, `ctx.target.name` is the object's name
/// (generated already) where it has one.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// User, target, time, dry run, other objects, warnings.
    pub ctx: &'a RequestContext,
    /// What is done.
    pub operation: Operation,
    /// Kind of the object in the request (`Pod`; for pods/eviction `Eviction`).
    pub kind: &'a str,
    /// CreateOptions, UpdateOptions, PatchOptions or DeleteOptions as JSON; Null when absent.
    pub options: &'a Value,
    /// The stored object; None for create (and for a delete of many it is each object in turn).
    pub old: Option<&'a Value>,
}

impl Attributes<'_> {
    /// Is this `resource` of `group`, with no subresource?
    pub fn is_resource(&self, group: &str, resource: &str) -> bool {
        self.is_subresource(group, resource, "")
    }

    /// Is this `resource/subresource` of `group`?
    pub fn is_subresource(&self, group: &str, resource: &str, subresource: &str) -> bool {
        let target = &self.ctx.target;
        target.group == group && target.resource == resource && target.subresource == subresource
    }
}

/// A plugin that may change the object. `object` is Null for deletes, the options object for connects.
pub trait Mutating: Send + Sync {
    /// Asked before [`Mutating::admit`].
    fn handles(&self, operation: Operation) -> bool;
    /// Changes `object`, or refuses. What depends on the user's rights comes before any change: it may be asked for again.
    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status>;
}

/// A plugin that may only refuse. Runs after defaulting and validation.
pub trait Validating: Send + Sync {
    /// Asked before [`Validating::validate`].
    fn handles(&self, operation: Operation) -> bool;
    /// Accepts or refuses.
    fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status>;
}

/// As [`Mutating`], of those few that wait for others, or ask for a second round.
pub trait AsyncMutating: Send + Sync {
    /// Asked before [`AsyncMutating::admit`].
    fn handles(&self, operation: Operation) -> bool;
    /// Changes `object`, or refuses.
    fn admit<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: &'a mut Value,
        round: &'a mut Round,
    ) -> BoxFuture<'a, Result<(), Status>>;
}

/// As [`Validating`], of those few that wait for others.
pub trait AsyncValidating: Send + Sync {
    /// Asked before [`AsyncValidating::validate`].
    fn handles(&self, operation: Operation) -> bool;
    /// Accepts or refuses.
    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>>;
}

/// A plugin of the first half.
#[derive(Clone)]
pub enum Admits {
    /// Answers at once.
    Now(Arc<dyn Mutating>),
    /// Has to wait.
    Later(Arc<dyn AsyncMutating>),
}

impl std::fmt::Debug for Admits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Admits::Now(_) => "Now",
            Admits::Later(_) => "Later",
        })
    }
}

impl Admits {
    fn handles(&self, operation: Operation) -> bool {
        match self {
            Admits::Now(plugin) => plugin.handles(operation),
            Admits::Later(plugin) => plugin.handles(operation),
        }
    }

    async fn admit(&self, attributes: Attributes<'_>, object: &mut Value, round: &mut Round) -> Result<(), Status> {
        match self {
            Admits::Now(plugin) => loop {
                let admitted = plugin.admit(attributes, object);
                if !attributes.ctx.learns_more().await {
                    break admitted;
                }
            },
            Admits::Later(plugin) => plugin.admit(attributes, object, round).await,
        }
    }
}

/// A plugin of the second half.
#[derive(Clone)]
pub enum Validates {
    /// Answers at once.
    Now(Arc<dyn Validating>),
    /// Has to wait.
    Later(Arc<dyn AsyncValidating>),
}

impl std::fmt::Debug for Validates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Validates::Now(_) => "Now",
            Validates::Later(_) => "Later",
        })
    }
}

impl Validates {
    fn handles(&self, operation: Operation) -> bool {
        match self {
            Validates::Now(plugin) => plugin.handles(operation),
            Validates::Later(plugin) => plugin.handles(operation),
        }
    }

    async fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        match self {
            Validates::Now(plugin) => attributes.ctx.settled(|| plugin.validate(attributes, object)).await,
            Validates::Later(plugin) => plugin.validate(attributes, object).await,
        }
    }
}

/// All plugins, in order.
#[derive(Clone)]
pub struct Chain {
    /// Run one after the other on the decoded object.
    mutating: Vec<Counted<Admits>>,
    /// Run one after the other on the final object.
    validating: Vec<Counted<Validates>>,
    metrics: Arc<Metrics>,
    steps: Arc<[Durations; 2]>,
}

/// A plugin, upstream's name of it, and what is counted of it.
#[derive(Clone)]
struct Counted<P> {
    name: &'static str,
    plugin: P,
    durations: Arc<Durations>,
}

/// What one step of one request takes, plugin by plugin.
struct Stopwatch {
    operation: Operation,
    began: Instant,
    last: Instant,
}

impl Stopwatch {
    fn start(operation: Operation) -> Stopwatch {
        let now = Instant::now();
        Stopwatch { operation, began: now, last: now }
    }

    /// A plugin is done.
    fn lap(&mut self, durations: &Durations, rejected: bool) {
        let now = Instant::now();
        durations.observe(self.operation, rejected, now - self.last);
        self.last = now;
    }
}

impl Chain {
    /// No plugins, counting in `metrics`, which those who call others count in as well.
    pub fn counting(metrics: Arc<Metrics>) -> Chain {
        let steps = [Step::Admit, Step::Validate].map(|step| metrics.step(step));
        Chain { mutating: Vec::new(), validating: Vec::new(), metrics, steps: Arc::new(steps) }
    }

    /// Adds a plugin at the end of the first half.
    pub fn then_admit(&mut self, name: &'static str, plugin: Admits) {
        let durations = Arc::new(self.metrics.plugin(name, Step::Admit));
        self.mutating.push(Counted { name, plugin, durations });
    }

    /// Adds a plugin at the end of the second half.
    pub fn then_validate(&mut self, name: &'static str, plugin: Validates) {
        let durations = Arc::new(self.metrics.plugin(name, Step::Validate));
        self.validating.push(Counted { name, plugin, durations });
    }

    /// What the plugins count.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Runs the mutating plugins, twice if one asks for it.
    pub async fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        let mut stopwatch = Stopwatch::start(attributes.operation);
        let admitted = self.admit_counted(attributes, object, &mut stopwatch).await;
        self.ended(Step::Admit, &stopwatch, admitted.is_err());
        admitted
    }

    async fn admit_counted(
        &self,
        attributes: Attributes<'_>,
        object: &mut Value,
        stopwatch: &mut Stopwatch,
    ) -> Result<(), Status> {
        let mut round = Round::default();
        loop {
            for Counted { plugin, durations, .. } in &self.mutating {
                if plugin.handles(attributes.operation) {
                    let admitted = plugin.admit(attributes, object, &mut round).await;
                    stopwatch.lap(durations, admitted.is_err());
                    admitted?;
                }
            }
            if !round.next() {
                return Ok(());
            }
        }
    }

    /// Runs the validating plugins.
    pub async fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let mut stopwatch = Stopwatch::start(attributes.operation);
        let mut validated = Ok(());
        for Counted { plugin, durations, .. } in &self.validating {
            if plugin.handles(attributes.operation) {
                validated = plugin.validate(attributes, object).await;
                stopwatch.lap(durations, validated.is_err());
                if validated.is_err() {
                    break;
                }
            }
        }
        self.ended(Step::Validate, &stopwatch, validated.is_err());
        validated
    }

    fn ended(&self, step: Step, stopwatch: &Stopwatch, rejected: bool) {
        self.steps[step as usize].observe(stopwatch.operation, rejected, stopwatch.last - stopwatch.began);
    }
}

impl Default for Chain {
    fn default() -> Chain {
        Chain::counting(Arc::default())
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("mutating", &self.mutating.iter().map(|own| own.name).collect::<Vec<_>>())
            .field("validating", &self.validating.iter().map(|own| own.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
