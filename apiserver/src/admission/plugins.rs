//! The plugins that run by default, in upstream's order, and the words they refuse with.
//!
//! Each is a file of its own. A plugin is added here and nowhere else.
//! Upstream: pkg/kubeapiserver/options.AllOrderedPlugins, DefaultOffAdmissionPlugins.

use std::sync::Arc;

use api::meta::{self, GroupResource};
use api::status::Status;
use json::Value;
use store::Store;

use super::policy::{MutatingAdmissionPolicy, Policies, ValidatingAdmissionPolicy};
use super::webhook::{MutatingAdmissionWebhook, Source, ValidatingAdmissionWebhook};
use super::{Attributes, Chain, Mutating, Validating};
use super::{
    certificates, default_toleration_seconds, limit_ranger, node_restriction, pod_security, priority, resource_quota,
    runtime_class, service_account, storage, taint_nodes_by_condition,
};
use crate::authorization::rbac::Rbac;
use crate::authorization::rbac::escalation::EscalationCheck;
use crate::registry::resource::Resources;

/// The chain of a default API server. `rbac` is the authorizer whose rules may not be exceeded; none without RBAC. Webhooks and
/// policies are configured in `store`, for what `resources` serve.
pub fn default_chain(rbac: Option<Rbac>, store: &Arc<Store>, resources: &Resources) -> Chain {
    let webhooks = Source { store: Arc::clone(store), resources: resources.clone() };
    let policies = Policies(webhooks.clone());
    let mut mutating: Vec<Arc<dyn Mutating>> = vec![
        Arc::new(super::namespace_lifecycle::NamespaceLifecycle),
        Arc::new(limit_ranger::LimitRanger),
        Arc::new(service_account::ServiceAccount),
        Arc::new(node_restriction::NodeRestriction),
        Arc::new(taint_nodes_by_condition::TaintNodesByCondition),
        Arc::new(priority::Priority),
        Arc::new(default_toleration_seconds::DefaultTolerationSeconds),
        Arc::new(storage::DefaultStorageClass),
        Arc::new(storage::StorageObjectInUseProtection),
        Arc::new(runtime_class::RuntimeClass),
        Arc::new(super::default_ingress_class::DefaultIngressClass),
        Arc::new(MutatingAdmissionPolicy(policies.clone())),
        Arc::new(MutatingAdmissionWebhook(webhooks.clone())),
    ];
    if let Some(rbac) = rbac {
        mutating.push(Arc::new(EscalationCheck { rbac }));
    }
    let validating: Vec<Arc<dyn Validating>> = vec![
        Arc::new(limit_ranger::LimitRanger),
        Arc::new(service_account::ServiceAccount),
        Arc::new(pod_security::PodSecurity),
        Arc::new(priority::Priority),
        Arc::new(storage::PersistentVolumeClaimResize),
        Arc::new(runtime_class::RuntimeClass),
        Arc::new(certificates::Approval),
        Arc::new(certificates::Signing),
        Arc::new(certificates::Attest),
        Arc::new(certificates::SubjectRestriction),
        Arc::new(ValidatingAdmissionPolicy(policies)),
        Arc::new(ValidatingAdmissionWebhook(webhooks)),
        Arc::new(resource_quota::ResourceQuota::default()),
    ];
    Chain { mutating, validating }
}

/// The 403 of a plugin: `pods "x" is forbidden: WHY`. Upstream: admission.NewForbidden.
pub(super) fn forbidden(attributes: Attributes<'_>, object: &Value, why: impl AsRef<str>) -> Status {
    let target = &attributes.ctx.target;
    let own = meta::name(object);
    let name = if !target.name.is_empty() {
        &target.name
    } else if !own.is_empty() {
        own
    } else {
        meta::generate_name(object)
    };
    Status::forbidden(&GroupResource::new(&target.group, &target.resource), name, &why.as_ref())
}
