//! Admission: plugins that change ([`Mutating`]) or refuse ([`Validating`]) a write after decoding and before the commit.
//!
//! One file or folder a plugin; the order is the list given to [`Chain`]. A plugin sees the object in the version of the
//! request, is told of dry runs, and must have no side effects outside the answer when it is one.
//! Upstream: k8s.io/apiserver/pkg/admission.

mod certificates;
mod default_ingress_class;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod plugins;
mod pod_security;
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
pub(crate) mod webhook;

pub use plugins::default_chain;
pub use round::Round;
pub use selection::{Error as SelectionError, Selection};

use api::status::Status;
use futures::future::BoxFuture;
use json::Value;
use std::sync::Arc;

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
    /// Upstream's plugin name.
    fn name(&self) -> &'static str;
    /// Asked before [`Mutating::admit`].
    fn handles(&self, operation: Operation) -> bool;
    /// Changes `object`, or refuses.
    fn admit<'a>(&'a self, attributes: Attributes<'a>, object: &'a mut Value) -> BoxFuture<'a, Result<(), Status>>;
    /// As [`Mutating::admit`], for those who may ask for a second round, or who do not take part in it as in the first.
    fn admit_in<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: &'a mut Value,
        round: &'a mut Round,
    ) -> BoxFuture<'a, Result<(), Status>> {
        let _ = round;
        self.admit(attributes, object)
    }
}

/// A plugin that may only refuse. Runs after defaulting and validation.
pub trait Validating: Send + Sync {
    /// Upstream's plugin name.
    fn name(&self) -> &'static str;
    /// Asked before [`Validating::validate`].
    fn handles(&self, operation: Operation) -> bool;
    /// Accepts or refuses.
    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>>;
}

/// All plugins, in order.
#[derive(Clone, Default)]
pub struct Chain {
    /// Run one after the other on the decoded object.
    pub mutating: Vec<Arc<dyn Mutating>>,
    /// Run one after the other on the final object.
    pub validating: Vec<Arc<dyn Validating>>,
}

impl Chain {
    /// Runs the mutating plugins, twice if one asks for it.
    pub async fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        let mut round = Round::default();
        loop {
            for plugin in self.mutating.iter().filter(|plugin| plugin.handles(attributes.operation)) {
                plugin.admit_in(attributes, object, &mut round).await?;
            }
            if !round.next() {
                return Ok(());
            }
        }
    }

    /// Runs the validating plugins.
    pub async fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        for plugin in self.validating.iter().filter(|plugin| plugin.handles(attributes.operation)) {
            plugin.validate(attributes, object).await?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("mutating", &self.mutating.iter().map(|plugin| plugin.name()).collect::<Vec<_>>())
            .field("validating", &self.validating.iter().map(|plugin| plugin.name()).collect::<Vec<_>>())
            .finish()
    }
}
