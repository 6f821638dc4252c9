//! Workloads: apps, batch, autoscaling, policy.

use super::super::cell::Cell::*;
use super::*;

pub(super) const KINDS: &[Kind] = &[
    kind(
        "apps",
        "Deployment",
        &[
            NAME,
            READY_OF_DESIRED,
            string("Up-to-date", Integer("status.updatedReplicas")),
            string("Available", Integer("status.availableReplicas")),
            AGE,
            CONTAINERS,
            IMAGES,
            wide(string("Selector", Call(cells::deployment_selector))),
        ],
    ),
    kind("apps", "ReplicaSet", &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR]),
    kind("apps", "StatefulSet", &[NAME, READY_OF_DESIRED, AGE, CONTAINERS, IMAGES]),
    kind(
        "apps",
        "DaemonSet",
        &[
            NAME,
            integer("Desired", Integer("status.desiredNumberScheduled")),
            integer("Current", Integer("status.currentNumberScheduled")),
            integer("Ready", Integer("status.numberReady")),
            integer("Up-to-date", Integer("status.updatedNumberScheduled")),
            integer("Available", Integer("status.numberAvailable")),
            string("Node Selector", Labels("spec.template.spec.nodeSelector")),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
    ),
    kind(
        "apps",
        "ControllerRevision",
        &[NAME, string("Controller", Call(cells::revision_controller)), string("Revision", Integer("revision")), AGE],
    ),
    kind(
        "batch",
        "Job",
        &[
            NAME,
            string("Status", Call(cells::job_status)),
            string("Completions", Call(cells::job_completions)),
            string("Duration", Call(cells::job_duration)),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
    ),
    kind(
        "batch",
        "CronJob",
        &[
            NAME,
            string("Schedule", Text("spec.schedule")),
            string("Timezone", TextOr("spec.timeZone", "<none>")),
            boolean("Suspend", BooleanText("spec.suspend")),
            integer("Active", Count(&["status.active"])),
            string("Last Schedule", Since("status.lastScheduleTime", "<none>")),
            AGE,
            wide(string("Containers", JoinField("spec.jobTemplate.spec.template.spec.containers", "name"))),
            wide(string("Images", JoinField("spec.jobTemplate.spec.template.spec.containers", "image"))),
            wide(string("Selector", LabelSelector("spec.jobTemplate.spec.selector"))),
        ],
    ),
    kind(
        "autoscaling",
        "HorizontalPodAutoscaler",
        &[
            NAME,
            string("Reference", Call(cells::hpa_reference)),
            string("Targets", Call(cells::hpa_metrics)),
            string("MinPods", TextOr("spec.minReplicas", "<unset>")),
            string("MaxPods", Integer("spec.maxReplicas")),
            string("Replicas", Integer("status.currentReplicas")),
            AGE,
        ],
    ),
    kind(
        "autoscaling",
        "Scale",
        &[string("Name", Text("metadata.name")), DESIRED, integer("Available", Integer("status.replicas")), AGE],
    ),
    kind(
        "policy",
        "PodDisruptionBudget",
        &[
            NAME,
            string("Min Available", TextOr("spec.minAvailable", "N/A")),
            string("Max Unavailable", TextOr("spec.maxUnavailable", "N/A")),
            integer("Allowed Disruptions", Integer("status.disruptionsAllowed")),
            AGE,
        ],
    ),
];
