//! The one list from (group, resource) to its semantics. A resource not named here is served generically from its schema.
//! Whoever adds `registry/<group>/<resource>.rs` adds its line here.

use super::strategy::{Generic, Strategy};
use super::{
    admissionregistration, apiregistration, apps, autoscaling, batch, certificates, coordination, core, discovery,
    dynamic_resources, flowcontrol, networking, node, policy, rbac, scheduling, storage, storagemigration,
};
use crate::apiextensions::definitions::CustomResourceDefinition;

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
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies") => {
            &admissionregistration::policy::AdmissionPolicy { mutating: true }
        }
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings") => {
            &admissionregistration::policy_binding::AdmissionPolicyBinding { mutating: true }
        }
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => {
            &admissionregistration::webhook_configuration::WebhookConfiguration { mutating: true }
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => {
            &admissionregistration::policy::AdmissionPolicy { mutating: false }
        }
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings") => {
            &admissionregistration::policy_binding::AdmissionPolicyBinding { mutating: false }
        }
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => {
            &admissionregistration::webhook_configuration::WebhookConfiguration { mutating: false }
        }
        ("apiregistration.k8s.io", "apiservices") => &apiregistration::ApiService,
        ("apiextensions.k8s.io", "customresourcedefinitions") => &CustomResourceDefinition,
        ("apps", "controllerrevisions") => &apps::controller_revision::ControllerRevision,
        ("apps", "daemonsets") => &apps::daemon_set::DAEMON_SET,
        ("apps", "deployments") => &apps::deployment::DEPLOYMENT,
        ("apps", "replicasets") => &apps::replica_set::REPLICA_SET,
        ("apps", "statefulsets") => &apps::stateful_set::STATEFUL_SET,
        ("batch", "cronjobs") => &batch::cron_job::CronJob,
        ("batch", "jobs") => &batch::job::Job,
        ("coordination.k8s.io", "leases") => &coordination::Lease,
        ("discovery.k8s.io", "endpointslices") => &discovery::EndpointSlice,
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => &flowcontrol::FlowSchema,
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => &flowcontrol::PriorityLevelConfiguration,
        ("autoscaling", "horizontalpodautoscalers") => &autoscaling::HorizontalPodAutoscaler,
        ("certificates.k8s.io", "certificatesigningrequests") => &certificates::SigningRequest,
        ("certificates.k8s.io", "clustertrustbundles") => &certificates::ClusterTrustBundle,
        ("certificates.k8s.io", "podcertificaterequests") => &certificates::PodCertificateRequest,
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
        ("resource.k8s.io", "deviceclasses") => &dynamic_resources::DeviceClass,
        ("resource.k8s.io", "devicetaintrules") => &dynamic_resources::DeviceTaintRule,
        ("resource.k8s.io", "resourceclaims") => &dynamic_resources::ResourceClaim,
        ("resource.k8s.io", "resourceclaimtemplates") => &dynamic_resources::ResourceClaimTemplate,
        ("resource.k8s.io", "resourceslices") => &dynamic_resources::ResourceSlice,
        ("scheduling.k8s.io", "priorityclasses") => &scheduling::PriorityClass,
        ("storage.k8s.io", "csidrivers") => &storage::CsiDriver,
        ("storage.k8s.io", "csinodes") => &storage::CsiNode,
        ("storage.k8s.io", "csistoragecapacities") => &storage::CsiStorageCapacity,
        ("storage.k8s.io", "storageclasses") => &storage::StorageClass,
        ("storage.k8s.io", "volumeattachments") => &storage::VolumeAttachment,
        ("storage.k8s.io", "volumeattributesclasses") => &storage::VolumeAttributesClass,
        ("storagemigration.k8s.io", "storageversionmigrations") => &storagemigration::StorageVersionMigration,
        _ => &Generic,
    }
}
