//! The one list from (group, resource) to its semantics. A resource not named here is served generically from its schema.
//! Whoever adds `registry/<group>/<resource>.rs` adds its line here.

use super::strategy::{Generic, Strategy};
use super::{
    apps, autoscaling, batch, certificates, coordination, core, discovery, networking, node, policy, rbac, scheduling,
    storage,
};

/// The strategy of a resource.
pub fn strategy(group: &str, resource: &str) -> &'static dyn Strategy {
    match (group, resource) {
        ("", "configmaps") => &core::config_map::ConfigMap,
        ("", "endpoints") => &core::endpoints::Endpoints,
        ("" | "events.k8s.io", "events") => &core::event::Event,
        ("", "limitranges") => &core::limit_range::LimitRange,
        ("", "namespaces") => &core::namespace::Namespace,
        ("", "nodes") => &core::node::Node,
        ("", "persistentvolumeclaims") => &core::persistent_volume_claim::PersistentVolumeClaim,
        ("", "persistentvolumes") => &core::persistent_volume::PersistentVolume,
        ("", "pods") => &core::pod::Pod,
        ("", "podtemplates") => &core::pod_template::PodTemplate,
        ("", "replicationcontrollers") => &core::replication_controller::REPLICATION_CONTROLLER,
        ("", "resourcequotas") => &core::resource_quota::ResourceQuota,
        ("", "secrets") => &core::secret::Secret,
        ("", "serviceaccounts") => &core::service_account::ServiceAccount,
        ("", "services") => &core::service::Service,
        ("apps", "controllerrevisions") => &apps::controller_revision::ControllerRevision,
        ("apps", "daemonsets") => &apps::daemon_set::DAEMON_SET,
        ("apps", "deployments") => &apps::deployment::DEPLOYMENT,
        ("apps", "replicasets") => &apps::replica_set::REPLICA_SET,
        ("apps", "statefulsets") => &apps::stateful_set::STATEFUL_SET,
        ("batch", "cronjobs") => &batch::cron_job::CronJob,
        ("batch", "jobs") => &batch::job::Job,
        ("coordination.k8s.io", "leases") => &coordination::Lease,
        ("discovery.k8s.io", "endpointslices") => &discovery::EndpointSlice,
        ("autoscaling", "horizontalpodautoscalers") => &autoscaling::HorizontalPodAutoscaler,
        ("certificates.k8s.io", "certificatesigningrequests") => &certificates::SigningRequest,
        ("certificates.k8s.io", "clustertrustbundles") => &certificates::ClusterTrustBundle,
        ("networking.k8s.io", "ingressclasses") => &networking::IngressClass,
        ("networking.k8s.io", "ingresses") => &networking::Ingress,
        ("networking.k8s.io", "ipaddresses") => &networking::addresses::IpAddress,
        ("networking.k8s.io", "networkpolicies") => &networking::NetworkPolicy,
        ("networking.k8s.io", "servicecidrs") => &networking::addresses::ServiceCidr,
        ("node.k8s.io", "runtimeclasses") => &node::RuntimeClass,
        ("policy", "poddisruptionbudgets") => &policy::PodDisruptionBudget,
        ("rbac.authorization.k8s.io", "clusterrolebindings") => &rbac::Binding { cluster: true },
        ("rbac.authorization.k8s.io", "clusterroles") => &rbac::Role { cluster: true },
        ("rbac.authorization.k8s.io", "rolebindings") => &rbac::Binding { cluster: false },
        ("rbac.authorization.k8s.io", "roles") => &rbac::Role { cluster: false },
        ("scheduling.k8s.io", "priorityclasses") => &scheduling::PriorityClass,
        ("storage.k8s.io", "csidrivers") => &storage::CsiDriver,
        ("storage.k8s.io", "csinodes") => &storage::CsiNode,
        ("storage.k8s.io", "storageclasses") => &storage::StorageClass,
        _ => &Generic,
    }
}

/// Resources whose metadata.generation starts at 1 and counts changes outside metadata and status.
/// Upstream: the strategies that set Generation in PrepareForCreate.
const COUNTS_GENERATION: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "podtemplates"),
    ("", "replicationcontrollers"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("discovery.k8s.io", "endpointslices"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    ("networking.k8s.io", "ingressclasses"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "networkpolicies"),
    ("policy", "poddisruptionbudgets"),
    ("resource.k8s.io", "deviceclasses"),
    ("resource.k8s.io", "devicetaintrules"),
    ("resource.k8s.io", "resourceslices"),
];

/// Is metadata.generation kept for this resource? Custom resources count always.
pub fn counts_generation(group: &str, resource: &str) -> bool {
    COUNTS_GENERATION.contains(&(group, resource))
}

/// Resources of which a PUT must say which version it is made from. Upstream: AllowUnconditionalUpdate.
const CONDITIONAL_UPDATES: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "apiservices"),
    ("certificates.k8s.io", "clustertrustbundles"),
    ("certificates.k8s.io", "podcertificaterequests"),
    ("coordination.k8s.io", "leases"),
    ("internal.apiserver.k8s.io", "storageversions"),
    ("node.k8s.io", "runtimeclasses"),
    ("policy", "poddisruptionbudgets"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "csistoragecapacities"),
    ("storage.k8s.io", "volumeattachments"),
    ("storagemigration.k8s.io", "storageversionmigrations"),
];

/// Must a PUT carry metadata.resourceVersion?
pub(crate) fn updates_are_conditional(group: &str, resource: &str) -> bool {
    CONDITIONAL_UPDATES.contains(&(group, resource))
}

/// Resources whose delete answers with the object, gone or not; the others answer with a Status once it is gone.
/// Upstream: ReturnDeletedObject.
const RETURNS_DELETED: &[(&str, &str)] = &[
    ("", "namespaces"),
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("resource.k8s.io", "deviceclasses"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourceclaimtemplates"),
    ("resource.k8s.io", "resourceslices"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "storageclasses"),
    ("storage.k8s.io", "volumeattachments"),
    ("storage.k8s.io", "volumeattributesclasses"),
];

/// Does a delete answer with the deleted object?
pub(crate) fn returns_deleted_object(group: &str, resource: &str) -> bool {
    RETURNS_DELETED.contains(&(group, resource))
}

const EDITABLE_METADATA: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences"];

/// Resources whose subresources may not change metadata, and the fields that are kept. Elsewhere `/status` takes metadata too.
/// Upstream: ResetObjectMetaForStatus in the strategies.
const KEPT_BY_SUBRESOURCES: &[(&str, &str, &[&str])] = &[
    ("", "pods", &["ownerReferences"]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", EDITABLE_METADATA),
    ("apps", "deployments", &["labels"]),
    ("certificates.k8s.io", "podcertificaterequests", EDITABLE_METADATA),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", EDITABLE_METADATA),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", EDITABLE_METADATA),
    ("internal.apiserver.k8s.io", "storageversions", EDITABLE_METADATA),
    ("networking.k8s.io", "servicecidrs", EDITABLE_METADATA),
    ("resource.k8s.io", "devicetaintrules", EDITABLE_METADATA),
    ("resource.k8s.io", "resourceclaims", EDITABLE_METADATA),
    ("storage.k8s.io", "csinodes", EDITABLE_METADATA),
    ("storage.k8s.io", "volumeattachments", EDITABLE_METADATA),
    ("storagemigration.k8s.io", "storageversionmigrations", EDITABLE_METADATA),
];

/// The fields of metadata that subresources of this resource leave as they are.
pub(crate) fn kept_by_subresources(group: &str, resource: &str) -> &'static [&'static str] {
    let row = KEPT_BY_SUBRESOURCES.iter().find(|row| (row.0, row.1) == (group, resource));
    row.map_or(&[], |row| row.2)
}

/// Events disappear this long after their last write. Upstream: --event-ttl.
const EVENT_TTL: std::time::Duration = std::time::Duration::from_secs(3600);

/// How long objects of a resource live after their last write; None for ever.
pub(crate) fn time_to_live(group: &str, resource: &str) -> Option<std::time::Duration> {
    is_event(group, resource).then_some(EVENT_TTL)
}

/// Events own nothing: propagation policies mean nothing to them. Upstream: rest.Unsupported.
pub(crate) fn collects_garbage(group: &str, resource: &str) -> bool {
    !is_event(group, resource)
}

fn is_event(group: &str, resource: &str) -> bool {
    resource == "events" && matches!(group, "" | "events.k8s.io")
}
