//! The plugins: upstream's, in upstream's order, and the words they refuse with.
//!
//! Each is a file of its own. A plugin is added to [`PLUGINS`] and nowhere else.
//! Upstream: pkg/kubeapiserver/options.AllOrderedPlugins, DefaultOffAdmissionPlugins.

use std::sync::Arc;

use api::meta::{self, GroupResource};
use api::status::Status;
use json::Value;
use store::Store;

use super::always::AlwaysDeny;
use super::always_pull_images::AlwaysPullImages;
use super::anti_affinity::LimitPodHardAntiAffinityTopology;
use super::certificates::{Approval, Attest, Signing, SubjectRestriction};
use super::configuration::Configurations;
use super::default_toleration_seconds::DefaultTolerationSeconds;
use super::event_rate_limit::EventRateLimit;
use super::extended_resource_toleration::ExtendedResourceToleration;
use super::external_ips::DenyServiceExternalIps;
use super::image_policy::ImagePolicyWebhook;
use super::limit_ranger::LimitRanger;
use super::metrics::Metrics;
use super::namespace_auto_provision::{Loopback, NamespaceAutoProvision};
use super::namespace_exists::NamespaceExists;
use super::namespace_lifecycle::NamespaceLifecycle;
use super::node_declared_features::NodeDeclaredFeatureValidator;
use super::node_restriction::NodeRestriction;
use super::owner_references::OwnerReferencesPermissionEnforcement;
use super::pod_node_selector::PodNodeSelector;
use super::pod_resize::PodResizeValidator;
use super::pod_security::PodSecurity;
use super::pod_toleration_restriction::PodTolerationRestriction;
use super::pod_topology_labels::PodTopologyLabels;
use super::policy::{MutatingAdmissionPolicy, Policies, ValidatingAdmissionPolicy};
use super::priority::Priority;
use super::resource_quota::ResourceQuota;
use super::runtime_class::RuntimeClass;
use super::selection::{Error, Selection};
use super::service_account::ServiceAccount;
use super::storage::{PersistentVolumeClaimResize, StorageObjectInUseProtection};
use super::taint_nodes_by_condition::TaintNodesByCondition;
use super::webhook::{Hooks, MutatingAdmissionWebhook, Source, ValidatingAdmissionWebhook};
use super::{
    Admits, AsyncMutating, AsyncValidating, Attributes, Chain, Mutating, Validates, Validating, default_class,
};
use crate::authorization::rbac::Rbac;
use crate::authorization::rbac::escalation::EscalationCheck;
use crate::registry::resource::Resources;

/// One of upstream's plugins.
pub(super) struct Plugin {
    pub(super) name: &'static str,
    /// Does it run unless told otherwise?
    pub(super) by_default: bool,
    make: fn(&Parts<'_>) -> Result<Made, String>,
}

/// What plugins are made of.
struct Parts<'a> {
    source: Source,
    loopback: &'a Loopback,
    configurations: &'a Configurations,
    toleration_seconds: [i64; 2],
}

impl Parts<'_> {
    fn hooks(&self, plugin: &str) -> Result<Hooks, String> {
        Hooks::new(self.source.clone(), plugin, self.configurations)
    }
}

/// A plugin in its places. One that is in neither has nothing to do here.
#[derive(Default)]
struct Made {
    mutating: Option<Admits>,
    validating: Option<Validates>,
}

fn mutating(plugin: impl Mutating + 'static) -> Result<Made, String> {
    Ok(Made { mutating: Some(Admits::Now(Arc::new(plugin))), validating: None })
}

fn validating(plugin: impl Validating + 'static) -> Result<Made, String> {
    Ok(Made { mutating: None, validating: Some(Validates::Now(Arc::new(plugin))) })
}

fn both<P: Mutating + Validating + 'static>(plugin: P) -> Result<Made, String> {
    let plugin = Arc::new(plugin);
    Ok(Made { mutating: Some(Admits::Now(plugin.clone())), validating: Some(Validates::Now(plugin)) })
}

fn mutating_later(plugin: impl AsyncMutating + 'static) -> Result<Made, String> {
    Ok(Made { mutating: Some(Admits::Later(Arc::new(plugin))), validating: None })
}

fn validating_later(plugin: impl AsyncValidating + 'static) -> Result<Made, String> {
    Ok(Made { mutating: None, validating: Some(Validates::Later(Arc::new(plugin))) })
}

fn both_later<P: AsyncMutating + AsyncValidating + 'static>(plugin: P) -> Result<Made, String> {
    let plugin = Arc::new(plugin);
    Ok(Made { mutating: Some(Admits::Later(plugin.clone())), validating: Some(Validates::Later(plugin)) })
}

const fn on(name: &'static str, make: fn(&Parts<'_>) -> Result<Made, String>) -> Plugin {
    Plugin { name, by_default: true, make }
}

const fn off(name: &'static str, make: fn(&Parts<'_>) -> Result<Made, String>) -> Plugin {
    Plugin { name, by_default: false, make }
}

/// All, in the order they are asked in.
pub(super) static PLUGINS: [Plugin; 39] = [
    off("AlwaysAdmit", |_| Ok(Made::default())),
    off("NamespaceAutoProvision", |parts| mutating_later(NamespaceAutoProvision(parts.loopback.clone()))),
    on("NamespaceLifecycle", |_| mutating(NamespaceLifecycle)),
    off("NamespaceExists", |_| validating(NamespaceExists)),
    off("LimitPodHardAntiAffinityTopology", |_| validating(LimitPodHardAntiAffinityTopology)),
    on("LimitRanger", |_| both(LimitRanger)),
    on("ServiceAccount", |_| both_later(ServiceAccount)),
    off("NodeRestriction", |_| mutating(NodeRestriction)),
    on("TaintNodesByCondition", |_| mutating(TaintNodesByCondition)),
    off("AlwaysPullImages", |_| both(AlwaysPullImages)),
    off("ImagePolicyWebhook", |parts| validating_later(ImagePolicyWebhook::new(parts.configurations)?)),
    on("PodSecurity", |parts| validating(PodSecurity::new(parts.configurations)?)),
    off("PodNodeSelector", |parts| both(PodNodeSelector::new(parts.configurations))),
    on("Priority", |_| both(Priority)),
    on("DefaultTolerationSeconds", |parts| mutating(DefaultTolerationSeconds(parts.toleration_seconds))),
    off("PodTolerationRestriction", |parts| both(PodTolerationRestriction::new(parts.configurations)?)),
    off("EventRateLimit", |parts| validating(EventRateLimit::new(parts.configurations)?)),
    off("ExtendedResourceToleration", |_| mutating(ExtendedResourceToleration)),
    on("DefaultStorageClass", |_| mutating(default_class::STORAGE)),
    on("StorageObjectInUseProtection", |_| mutating(StorageObjectInUseProtection)),
    // Its feature, GenericWorkload, is off.
    on("PodGroupProtection", |_| Ok(Made::default())),
    off("OwnerReferencesPermissionEnforcement", |_| validating(OwnerReferencesPermissionEnforcement)),
    on("PersistentVolumeClaimResize", |_| validating(PersistentVolumeClaimResize)),
    on("RuntimeClass", |_| both(RuntimeClass)),
    on("CertificateApproval", |_| validating(Approval)),
    on("CertificateSigning", |_| validating(Signing)),
    on("ClusterTrustBundleAttest", |_| validating(Attest)),
    on("CertificateSubjectRestriction", |_| validating(SubjectRestriction)),
    on("DefaultIngressClass", |_| mutating(default_class::INGRESS)),
    off("DenyServiceExternalIPs", |_| validating(DenyServiceExternalIps)),
    on("PodTopologyLabels", |_| mutating(PodTopologyLabels)),
    on("NodeDeclaredFeatureValidator", |_| validating(NodeDeclaredFeatureValidator)),
    on("PodResizeValidator", |_| validating(PodResizeValidator)),
    // What others configure comes last.
    on("MutatingAdmissionPolicy", |parts| mutating_later(MutatingAdmissionPolicy(Policies(parts.source.clone())))),
    on("MutatingAdmissionWebhook", |parts| {
        mutating_later(MutatingAdmissionWebhook(parts.hooks("MutatingAdmissionWebhook")?))
    }),
    on("ValidatingAdmissionPolicy", |parts| {
        validating_later(ValidatingAdmissionPolicy(Policies(parts.source.clone())))
    }),
    on("ValidatingAdmissionWebhook", |parts| {
        validating_later(ValidatingAdmissionWebhook(parts.hooks("ValidatingAdmissionWebhook")?))
    }),
    on("ResourceQuota", |parts| validating(ResourceQuota::new(parts.configurations)?)),
    off("AlwaysDeny", |_| mutating(AlwaysDeny)),
];

/// Everything around the plugins.
pub struct Surroundings<'a> {
    /// The authorizer whose rules may not be exceeded; none without RBAC.
    pub rbac: Option<Rbac>,
    /// Where webhooks and policies are configured.
    pub store: &'a Arc<Store>,
    /// What they are for.
    pub resources: &'a Resources,
    /// The server as its own client, once there is one.
    pub loopback: &'a Loopback,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("rbac", &self.rbac).finish_non_exhaustive()
    }
}

/// The chain of an API server with these plugins.
///
/// # Errors
/// A plugin cannot be what its configuration says.
pub fn chain(selection: &Selection, surroundings: Surroundings<'_>) -> Result<Chain, Error> {
    let Surroundings { rbac, store, resources, loopback } = surroundings;
    let metrics = Arc::new(Metrics::default());
    let source = Source { store: Arc::clone(store), resources: resources.clone(), metrics: Arc::clone(&metrics) };
    let parts = Parts {
        source,
        loopback,
        configurations: selection.configurations(),
        toleration_seconds: selection.toleration_seconds(),
    };
    let mut chain = Chain::counting(metrics);
    for plugin in PLUGINS.iter().filter(|plugin| selection.runs(plugin.name)) {
        let made = (plugin.make)(&parts).map_err(|why| Error::Plugin { name: plugin.name, why })?;
        made.mutating.into_iter().for_each(|own| chain.then_admit(plugin.name, own));
        made.validating.into_iter().for_each(|own| chain.then_validate(plugin.name, own));
    }
    if let Some(rbac) = rbac {
        chain.then_admit("RBACEscalationCheck", Admits::Now(Arc::new(EscalationCheck { rbac })));
    }
    Ok(chain)
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

#[cfg(test)]
mod tests;
