//! What every cluster has from its first moment on: system namespaces, default roles, the Service `kubernetes`, priority classes,
//! flow-control defaults, and the configuration extension API servers read.
//!
//! [`plan`] compares the wanted objects with the store and says what to write; [`apply`] writes it through the API, as
//! any client would. On a store that has everything the plan is empty. Running twice at once is harmless: "already exists" is
//! what was wanted.
//! Upstream: pkg/controlplane (post-start hooks), pkg/registry/{rbac,flowcontrol,scheduling}/rest.

mod apply;
mod authentication;
mod objects;
#[cfg(test)]
mod tests;

use api::meta;
use ipnet::IpNet;
use jiff::Timestamp;
use json::Value;

pub use apply::{Error, apply};
pub(crate) use objects::flow_control;

use crate::authorization::rbac::bootstrap::{Reconciled, policy, reconcile};
use crate::context::Objects;
use crate::controlplane::RequestHeader;
use crate::registry::resource::Resources;

/// What differs from cluster to cluster.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `--service-cluster-ip-range`, one per family, the primary first.
    pub service_ranges: Vec<IpNet>,
    /// The port that the Service leads to.
    pub secure_port: u16,
    /// PEM of `--client-ca-file`.
    pub client_ca: Option<String>,
    /// `--requestheader-*`
    pub request_header: Option<RequestHeader>,
    /// The time of the start.
    pub now: Timestamp,
}

/// One write, addressed by the object's own kind and name.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    Create(Value),
    Update(Value),
    /// The status subresource, applied; of an object created in an earlier round.
    Status(Value),
    /// Deletes the object of this name and creates it as given.
    Recreate(Value),
}

/// Takes out of a plan what this server does not serve. Upstream leaves out the hooks of such groups.
pub fn leave_out_unserved(plan: &mut Vec<Vec<Write>>, resources: &Resources) {
    for round in plan {
        round.retain(|write| {
            let (Write::Create(object) | Write::Update(object) | Write::Status(object) | Write::Recreate(object)) =
                write;
            let (group, plural) = objects::resource_of(object);
            resources.stored(group, plural).is_some()
        });
    }
}

/// What to write, in rounds: a round needs the one before it.
pub fn plan(config: &Config, existing: &dyn Objects) -> Vec<Vec<Write>> {
    let find = |object: &Value| {
        let (group, resource) = objects::resource_of(object);
        existing.get(group, resource, meta::namespace(object), meta::name(object))
    };
    let missing = |wanted: Vec<Value>| {
        wanted.into_iter().filter(|object| find(object).is_none()).map(Write::Create).collect::<Vec<_>>()
    };

    let mut first = missing(objects::namespaces());
    first.extend(missing(objects::service_cidr(&config.service_ranges)));
    let mut second = missing(objects::static_objects(config));
    second.extend(missing(flow_control()));
    for wanted in policy() {
        match find(&wanted).map(|own| reconcile(&own, &wanted)) {
            None => second.push(Write::Create(wanted)),
            Some(Reconciled::Update(repaired)) => second.push(Write::Update(repaired)),
            Some(Reconciled::Recreate) => second.push(Write::Recreate(wanted)),
            Some(Reconciled::Unchanged) => {}
        }
    }
    // These follow the configuration: a port or a certificate may be another one than at the last start.
    for wanted in objects::configured_objects(config) {
        match find(&wanted) {
            None => second.push(Write::Create(wanted)),
            Some(own) => second.extend(objects::follow(&own, &wanted, config.now).map(Write::Update)),
        }
    }
    let third = objects::statuses(config).into_iter().filter(|wanted| {
        find(wanted).is_none_or(|own| own.get("status").and_then(|status| status.get("conditions")).is_none())
    });
    [first, second, third.map(Write::Status).collect()].into_iter().filter(|round| !round.is_empty()).collect()
}
