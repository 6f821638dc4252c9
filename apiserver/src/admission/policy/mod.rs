//! Admission policies: ValidatingAdmissionPolicy and MutatingAdmissionPolicy, in CEL.
//!
//! A stored policy is compiled once per revision and kept with its entry ([`store::Entry::slot`]), a binding likewise: both act
//! from their commit on, and a request without any costs a look into an empty range. Which of them are for a request is
//! decided as for webhooks; [`params`] finds what a binding hands to its policy; [`conditions`] evaluates. Nothing here waits.
//!
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/policy.

mod compiled;
mod conditions;
mod definition;
mod known;
mod match_conditions;
mod mutating;
mod params;
#[cfg(test)]
mod tests;
mod validating;

pub(crate) use compiled::{Compiled, report};
pub(in crate::admission) use conditions::RequestAuthorizer;
pub(crate) use known::Known;
pub(crate) use match_conditions::{MatchConditions, Verdict};
pub(crate) use mutating::MutatingAdmissionPolicy;
pub(crate) use validating::ValidatingAdmissionPolicy;

use std::sync::Arc;

use api::meta::GroupVersionKind;
use json::Value;
use store::Entry;

use self::conditions::namespace_object;
use self::definition::{Binding, Mutations, Policy, Validations};
use self::params::Params;
use super::Attributes;
use super::webhook::{Asked, Source, is_exempt};
use crate::registry::resource::Resource;

/// Where policies come from.
#[derive(Clone, Debug)]
pub(crate) struct Policies(pub(crate) Source);

/// A kind of policy: its place in the store and what it is compiled to.
trait Kind: Send + Sync + Sized + 'static {
    const POLICIES: &'static str;
    const BINDINGS: &'static str;
    fn compile(spec: &Value) -> Self;
}

impl Kind for Validations {
    const POLICIES: &'static str = "/registry/validatingadmissionpolicies/";
    const BINDINGS: &'static str = "/registry/validatingadmissionpolicybindings/";

    fn compile(spec: &Value) -> Validations {
        Validations::compile(spec, &Known::All)
    }
}

impl Kind for Mutations {
    const POLICIES: &'static str = "/registry/mutatingadmissionpolicies/";
    const BINDINGS: &'static str = "/registry/mutatingadmissionpolicybindings/";

    fn compile(spec: &Value) -> Mutations {
        Mutations::compile(spec, &Known::All)
    }
}

fn stored(entry: &Entry) -> Value {
    json::from_slice(&entry.value).unwrap_or_default()
}

/// A policy and its bindings.
type Bound<K> = (Arc<Policy<K>>, Vec<Arc<Binding>>);

impl Policies {
    /// The policies that have bindings, by name, each with its bindings by name. Nothing for what policies are never asked about.
    fn bound<K: Kind>(&self, attributes: Attributes<'_>) -> Vec<Bound<K>> {
        let snapshot = self.0.store.snapshot();
        let mut entries = snapshot.range(K::POLICIES, None).peekable();
        if entries.peek().is_none() || is_exempt(attributes) {
            return Vec::new();
        }
        let bindings: Vec<Arc<Binding>> =
            snapshot.range(K::BINDINGS, None).map(|entry| entry.slot(|entry| Binding::read(&stored(entry)))).collect();
        let mut bound = Vec::new();
        for entry in entries {
            let policy = entry.slot(|entry| Policy::<K>::compile(&stored(entry)));
            let own: Vec<_> = bindings.iter().filter(|binding| binding.policy == policy.name).cloned().collect();
            if !own.is_empty() {
                bound.push((policy, own));
            }
        }
        bound
    }
}

/// A policy with one of its bindings and what that hands to it, about a request.
struct Invocation<K> {
    policy: Arc<Policy<K>>,
    binding: Arc<Binding>,
    resource: Arc<Resource>,
    kind: GroupVersionKind,
    params: Option<Arc<Value>>,
}

/// A policy or binding that cannot be used. Counts by the policy's failurePolicy.
struct Misconfigured<K> {
    policy: Arc<Policy<K>>,
    binding: Option<Arc<Binding>>,
    why: String,
}

/// All that is to be evaluated for a request.
struct Selected<K> {
    invocations: Vec<Invocation<K>>,
    misconfigured: Vec<Misconfigured<K>>,
}

/// Which policies, bindings and params are for `object`. Upstream: generic.policyDispatcher.Dispatch.
async fn select<K: Kind>(bound: Vec<Bound<K>>, asked: &Asked<'_>, object: &Value) -> Selected<K> {
    let mut selected = Selected { invocations: Vec::new(), misconfigured: Vec::new() };
    for (policy, bindings) in bound {
        let misconfigured = |binding: Option<&Arc<Binding>>, why: String| {
            let what = if binding.is_some() { "binding" } else { "policy" };
            let why = format!("failed to configure {what}: {why}");
            Misconfigured { policy: Arc::clone(&policy), binding: binding.cloned(), why }
        };
        let (resource, kind) = match asked.selected(&policy.matching, object) {
            Ok(Some(chosen)) => chosen,
            Ok(None) => continue,
            Err(status) => {
                selected.misconfigured.push(misconfigured(None, status.message));
                continue;
            }
        };
        let params = match Params::of(policy.param_kind.as_ref(), asked) {
            Ok(params) => params,
            Err(why) => {
                selected.misconfigured.push(misconfigured(None, why));
                continue;
            }
        };
        for binding in &bindings {
            match binding.matching.as_ref().map_or(Ok(true), |matching| Ok(asked.selected(matching, object)?.is_some()))
            {
                Ok(true) => {}
                Ok(false) => continue,
                Err(status) => {
                    let status: api::status::Status = status;
                    selected.misconfigured.push(misconfigured(Some(binding), status.message));
                    continue;
                }
            }
            match params.collect(binding.param_ref.as_ref(), asked).await {
                Ok(found) => selected.invocations.extend(found.into_iter().map(|params| Invocation {
                    policy: Arc::clone(&policy),
                    binding: Arc::clone(binding),
                    resource: Arc::clone(&resource),
                    kind: kind.clone(),
                    params,
                })),
                Err(why) => selected.misconfigured.push(misconfigured(Some(binding), why)),
            }
        }
    }
    selected
}

/// `namespaceObject`: null for what is in none, and for namespaces. None where the namespace is not there.
fn namespace_of(asked: &Asked<'_>) -> Option<Value> {
    let target = &asked.attributes.ctx.target;
    if target.namespace.is_empty() || (target.group.is_empty() && target.resource == "namespaces") {
        return Some(Value::Null);
    }
    let namespace = asked.attributes.ctx.objects.get("", "namespaces", "", &target.namespace)?;
    Some(namespace_object(&namespace))
}
