//! Core: pods, services, nodes, volumes, events and the rest of `v1`.

use super::super::cell::Cell::*;
use super::*;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        conditions: Some(pods::conditions),
        ..kind(
            "",
            "Pod",
            &[
                NAME,
                string("Ready", Call(pods::ready)),
                string("Status", Call(pods::status)),
                string("Restarts", Call(pods::restarts)),
                AGE,
                wide(string("IP", Call(pods::ip))),
                wide(string("Node", TextOr("spec.nodeName", "<none>"))),
                wide(string("Nominated Node", TextOr("status.nominatedNodeName", "<none>"))),
                wide(string("Readiness Gates", Call(pods::readiness_gates))),
            ],
        )
    },
    kind(
        "",
        "PodTemplate",
        &[
            NAME,
            string("Containers", JoinField("template.spec.containers", "name")),
            string("Images", JoinField("template.spec.containers", "image")),
            string("Pod Labels", Labels("template.metadata.labels")),
        ],
    ),
    kind("", "ReplicationController", &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTED_LABELS]),
    kind(
        "",
        "Service",
        &[
            NAME,
            string("Type", Text("spec.type")),
            string("Cluster-IP", Call(cells::service_cluster_ip)),
            string("External-IP", Call(cells::service_external_ip)),
            string("Port(s)", Call(cells::service_ports)),
            AGE,
            SELECTED_LABELS,
        ],
    ),
    kind("", "Endpoints", &[NAME, string("Endpoints", Call(cells::endpoints)), AGE]),
    kind(
        "",
        "Node",
        &[
            NAME,
            string("Status", Call(cells::node_status)),
            string("Roles", Call(cells::node_roles)),
            AGE,
            string("Version", Text("status.nodeInfo.kubeletVersion")),
            wide(string("Internal-IP", Call(cells::node_internal_ip))),
            wide(string("External-IP", Call(cells::node_external_ip))),
            wide(string("OS-Image", TextOr("status.nodeInfo.osImage", "<unknown>"))),
            wide(string("Kernel-Version", Call(cells::node_kernel))),
            wide(string("Container-Runtime", TextOr("status.nodeInfo.containerRuntimeVersion", "<unknown>"))),
        ],
    ),
    kind("", "Event", EVENT),
    kind("events.k8s.io", "Event", EVENT),
    kind("", "Namespace", &[NAME, string("Status", Text("status.phase")), AGE]),
    kind("", "Secret", &[NAME, string("Type", Text("type")), string("Data", Count(&["data"])), AGE]),
    kind("", "ConfigMap", &[NAME, string("Data", Count(&["data", "binaryData"])), AGE]),
    kind("", "ServiceAccount", &[NAME, AGE]),
    kind(
        "",
        "PersistentVolume",
        &[
            NAME,
            string("Capacity", TextOr("spec.capacity.storage", "0")),
            string("Access Modes", Call(cells::pv_access_modes)),
            string("Reclaim Policy", Text("spec.persistentVolumeReclaimPolicy")),
            VOLUME_STATUS,
            string("Claim", Call(cells::pv_claim)),
            STORAGE_CLASS,
            VOLUME_ATTRIBUTES_CLASS,
            string("Reason", Text("status.reason")),
            AGE,
            VOLUME_MODE,
        ],
    ),
    kind(
        "",
        "PersistentVolumeClaim",
        &[
            NAME,
            VOLUME_STATUS,
            string("Volume", Text("spec.volumeName")),
            string("Capacity", Call(cells::pvc_capacity)),
            string("Access Modes", Call(cells::pvc_access_modes)),
            STORAGE_CLASS,
            VOLUME_ATTRIBUTES_CLASS,
            AGE,
            VOLUME_MODE,
        ],
    ),
    kind(
        "",
        "ComponentStatus",
        &[
            NAME,
            string("Status", Call(cells::component_status)),
            string("Message", Call(cells::component_message)),
            string("Error", Call(cells::component_error)),
        ],
    ),
    kind(
        "",
        "ResourceQuota",
        &[NAME, string("Request", Call(cells::quota_requests)), string("Limit", Call(cells::quota_limits)), AGE],
    ),
];

const EVENT: &[Column] = &[
    string("Last Seen", Call(cells::event_last_seen)),
    string("Type", Text("type")),
    string("Reason", Text("reason")),
    string("Object", Call(cells::event_object)),
    wide(string("Subobject", Call(cells::event_subobject))),
    wide(string("Source", Call(cells::event_source))),
    string("Message", Call(cells::event_message)),
    wide(string("First Seen", Call(cells::event_first_seen))),
    wide(string("Count", Call(cells::event_count))),
    wide(NAME),
];
