//! The texts of `kubectl explain`: those the k8s-openapi crate carries for its own schemas.
//!
//! They are gathered for one document at a time and dropped with it, so that nothing of them stays in memory.
//! Types k8s-openapi does not have (the lists of each kind) go without.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::WatchEvent;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use k8s_openapi::schemars::SchemaGenerator;
use k8s_openapi::schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use api::openapi::Descriptions;

/// Texts by model.
#[derive(Debug)]
pub(super) struct Texts(Map<String, Value>);

impl Texts {
    /// The texts of one v3 document (`apis/apps/v1`), or of all of them.
    pub(super) fn of(document: Option<&str>) -> Texts {
        let mut generator = SchemaSettings::openapi3().into_generator();
        for (path, add) in ROOTS {
            if document.is_none_or(|document| document == *path) {
                add(&mut generator);
            }
        }
        meta(&mut generator);
        let mut texts = generator.take_definitions(false);
        texts.get_mut(WATCH_EVENT).and_then(Value::as_object_mut).map(give_object_its_text);
        Texts(texts)
    }
}

const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";

/// The crate says of events, in a paragraph of its own, what upstream says of their field `object`.
fn give_object_its_text(event: &mut Map<String, Value>) {
    let Some(text) = event["description"].as_str() else { return };
    let Some((own, of_object)) = text.split_once("\n\n") else { return };
    let (own, of_object) = (Value::from(own), Value::from(of_object.trim_end()));
    event["properties"]["object"]["description"] = of_object;
    event["description"] = own;
}

impl Descriptions for Texts {
    fn model(&self, model: &str) -> Option<Cow<'_, str>> {
        self.0.get(model)?.get("description")?.as_str().map(Cow::Borrowed)
    }

    fn field(&self, model: &str, field: &str) -> Option<Cow<'_, str>> {
        self.0.get(model)?.get("properties")?.get(field)?.get("description")?.as_str().map(Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests;

type Add = fn(&mut SchemaGenerator);

/// Adds types, and with them all they are made of.
macro_rules! add {
    ($($segment:ident)::+: $($kind:ident)+) => {
        |generator| {
            use $($segment)::+ as module;
            $(generator.subschema_for::<module::$kind>();)+
        }
    };
}

/// What each document is about. A kind that is missing here is explained without words, nothing else.
const ROOTS: &[(&str, Add)] = &[
    (
        "api/v1",
        add!(k8s_openapi::api::core::v1:
        Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount),
    ),
    ("api/v1", add!(k8s_openapi::api::authentication::v1: TokenRequest)),
    ("api/v1", add!(k8s_openapi::api::autoscaling::v1: Scale)),
    ("api/v1", add!(k8s_openapi::api::policy::v1: Eviction)),
    (
        "apis/apiregistration.k8s.io/v1",
        add!(k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1:
        APIService),
    ),
    (
        "apis/apps/v1",
        add!(k8s_openapi::api::apps::v1:
        ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet),
    ),
    ("apis/apps/v1", add!(k8s_openapi::api::autoscaling::v1: Scale)),
    (
        "apis/events.k8s.io/v1",
        add!(k8s_openapi::api::events::v1:
        Event),
    ),
    (
        "apis/authentication.k8s.io/v1",
        add!(k8s_openapi::api::authentication::v1:
        SelfSubjectReview TokenReview),
    ),
    (
        "apis/authorization.k8s.io/v1",
        add!(k8s_openapi::api::authorization::v1:
        LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview),
    ),
    (
        "apis/autoscaling/v2",
        add!(k8s_openapi::api::autoscaling::v2:
        HorizontalPodAutoscaler),
    ),
    (
        "apis/autoscaling/v1",
        add!(k8s_openapi::api::autoscaling::v1:
        HorizontalPodAutoscaler),
    ),
    (
        "apis/batch/v1",
        add!(k8s_openapi::api::batch::v1:
        CronJob Job),
    ),
    (
        "apis/certificates.k8s.io/v1",
        add!(k8s_openapi::api::certificates::v1:
        CertificateSigningRequest ClusterTrustBundle PodCertificateRequest),
    ),
    (
        "apis/networking.k8s.io/v1",
        add!(k8s_openapi::api::networking::v1:
        IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR),
    ),
    (
        "apis/policy/v1",
        add!(k8s_openapi::api::policy::v1:
        PodDisruptionBudget),
    ),
    (
        "apis/rbac.authorization.k8s.io/v1",
        add!(k8s_openapi::api::rbac::v1:
        ClusterRole ClusterRoleBinding Role RoleBinding),
    ),
    (
        "apis/storage.k8s.io/v1",
        add!(k8s_openapi::api::storage::v1:
        CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass),
    ),
    (
        "apis/admissionregistration.k8s.io/v1",
        add!(k8s_openapi::api::admissionregistration::v1:
        MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration),
    ),
    (
        "apis/apiextensions.k8s.io/v1",
        add!(k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1:
        CustomResourceDefinition),
    ),
    (
        "apis/scheduling.k8s.io/v1",
        add!(k8s_openapi::api::scheduling::v1:
        PriorityClass),
    ),
    (
        "apis/coordination.k8s.io/v1",
        add!(k8s_openapi::api::coordination::v1:
        Lease),
    ),
    (
        "apis/node.k8s.io/v1",
        add!(k8s_openapi::api::node::v1:
        RuntimeClass),
    ),
    (
        "apis/discovery.k8s.io/v1",
        add!(k8s_openapi::api::discovery::v1:
        EndpointSlice),
    ),
    (
        "apis/resource.k8s.io/v1",
        add!(k8s_openapi::api::resource::v1:
        DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice),
    ),
    (
        "apis/flowcontrol.apiserver.k8s.io/v1",
        add!(k8s_openapi::api::flowcontrol::v1:
        FlowSchema PriorityLevelConfiguration),
    ),
    (
        "apis/storagemigration.k8s.io/v1",
        add!(k8s_openapi::api::storagemigration::v1:
        StorageVersionMigration),
    ),
];

fn meta(generator: &mut SchemaGenerator) {
    let add: Add = add!(k8s_openapi::apimachinery::pkg::apis::meta::v1:
        APIGroup APIGroupList APIResourceList APIVersions DeleteOptions Patch Status);
    add(generator);
    let add: Add = add!(k8s_openapi::apimachinery::pkg::version: Info);
    add(generator);
    generator.subschema_for::<WatchEvent<RawExtension>>();
}
