//! Kinds that configure a cluster: storage, scheduling, access, certificates, devices, flow control.

use super::super::cell::Cell::*;
use super::*;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        note: Some(cells::effective_default_storage_class),
        ..kind(
            "storage.k8s.io",
            "StorageClass",
            &[
                named(string("Name", Call(cells::storage_class_name))),
                string("Provisioner", Text("provisioner")),
                string("ReclaimPolicy", TextOr("reclaimPolicy", "Delete")),
                string("VolumeBindingMode", TextOr("volumeBindingMode", "Immediate")),
                string("AllowVolumeExpansion", Boolean("allowVolumeExpansion", false)),
                AGE,
            ],
        )
    },
    kind("storage.k8s.io", "VolumeAttributesClass", &[NAME, string("DriverName", Text("driverName")), AGE]),
    kind(
        "storage.k8s.io",
        "VolumeAttachment",
        &[
            NAME,
            named(string("Attacher", Text("spec.attacher"))),
            string("PV", Text("spec.source.persistentVolumeName")),
            string("Node", Text("spec.nodeName")),
            boolean("Attached", Boolean("status.attached", false)),
            AGE,
        ],
    ),
    kind("storage.k8s.io", "CSINode", &[NAME, integer("Drivers", Count(&["spec.drivers"])), AGE]),
    kind(
        "storage.k8s.io",
        "CSIDriver",
        &[
            NAME,
            boolean("AttachRequired", Boolean("spec.attachRequired", true)),
            boolean("PodInfoOnMount", Boolean("spec.podInfoOnMount", false)),
            boolean("StorageCapacity", Boolean("spec.storageCapacity", false)),
            string("TokenRequests", Call(cells::csi_token_requests)),
            boolean("RequiresRepublish", Boolean("spec.requiresRepublish", false)),
            string("Modes", Join("spec.volumeLifecycleModes", "<none>")),
            AGE,
        ],
    ),
    kind(
        "scheduling.k8s.io",
        "PriorityClass",
        &[
            NAME,
            integer("Value", Integer("value")),
            boolean("Global-Default", Boolean("globalDefault", false)),
            AGE,
            string("PreemptionPolicy", Text("preemptionPolicy")),
        ],
    ),
    kind("node.k8s.io", "RuntimeClass", &[NAME, string("Handler", Text("handler")), AGE]),
    kind("coordination.k8s.io", "Lease", &[NAME, string("Holder", Text("spec.holderIdentity")), AGE]),
    kind("rbac.authorization.k8s.io", "RoleBinding", BINDING),
    kind("rbac.authorization.k8s.io", "ClusterRoleBinding", BINDING),
    kind(
        "certificates.k8s.io",
        "CertificateSigningRequest",
        &[
            NAME,
            AGE,
            string("SignerName", TextOr("spec.signerName", "<none>")),
            string("Requestor", Text("spec.username")),
            string("RequestedDuration", Call(cells::csr_duration)),
            string("Condition", Call(cells::csr_condition)),
        ],
    ),
    kind(
        "certificates.k8s.io",
        "ClusterTrustBundle",
        &[NAME, string("SignerName", TextOr("spec.signerName", "<none>"))],
    ),
    kind(
        "certificates.k8s.io",
        "PodCertificateRequest",
        &[
            NAME,
            string("PodName", Text("spec.podName")),
            string("ServiceAccountName", Text("spec.serviceAccountName")),
            string("NodeName", Text("spec.nodeName")),
            string("SignerName", Text("spec.signerName")),
            string("State", Call(cells::pod_certificate_state)),
            string("UnverifiedUserAnnotations", Labels("spec.unverifiedUserAnnotations")),
        ],
    ),
    kind("resource.k8s.io", "DeviceClass", &[NAME, AGE]),
    kind("resource.k8s.io", "ResourceClaim", &[NAME, string("State", Call(cells::resource_claim_state)), AGE]),
    kind("resource.k8s.io", "ResourceClaimTemplate", &[NAME, AGE]),
    kind(
        "resource.k8s.io",
        "ResourceSlice",
        &[
            NAME,
            string("Node", Text("spec.nodeName")),
            string("Driver", Text("spec.driver")),
            string("Pool", Text("spec.pool.name")),
            AGE,
        ],
    ),
    kind(
        "resource.k8s.io",
        "DeviceTaintRule",
        &[
            NAME,
            string("Key", Text("spec.taint.key")),
            string("Value", Text("spec.taint.value")),
            string("Effect", Text("spec.taint.effect")),
            string("TimeAdded", Since("spec.taint.timeAdded", "")),
            AGE,
        ],
    ),
    Kind {
        order: Some(cells::flow_schema_order),
        ..kind(
            "flowcontrol.apiserver.k8s.io",
            "FlowSchema",
            &[
                NAME,
                string("PriorityLevel", Text("spec.priorityLevelConfiguration.name")),
                string("MatchingPrecedence", Integer("spec.matchingPrecedence")),
                string("DistinguisherMethod", TextOr("spec.distinguisherMethod.type", "<none>")),
                AGE,
                string("MissingPL", Call(cells::flow_schema_missing)),
            ],
        )
    },
    kind(
        "flowcontrol.apiserver.k8s.io",
        "PriorityLevelConfiguration",
        &[
            NAME,
            string("Type", Text("spec.type")),
            string("NominalConcurrencyShares", Call(cells::priority_level_shares)),
            string("Queues", Call(cells::priority_level_queues)),
            string("HandSize", Call(cells::priority_level_hand_size)),
            string("QueueLengthLimit", Call(cells::priority_level_queue_length)),
            AGE,
        ],
    ),
    kind(
        "storagemigration.k8s.io",
        "StorageVersionMigration",
        &[
            string("Name", Text("metadata.name")),
            string("Resource", Call(cells::migration_resource)),
            string("Status", Call(cells::migration_status)),
        ],
    ),
];

const BINDING: &[Column] = &[
    NAME,
    string("Role", Call(cells::role_ref)),
    AGE,
    wide(string("Users", Call(cells::subject_users))),
    wide(string("Groups", Call(cells::subject_groups))),
    wide(string("ServiceAccounts", Call(cells::subject_service_accounts))),
];
