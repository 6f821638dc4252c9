//! What upstream's strategies answer with a constant, as tables: one row a resource that differs from the others.

use std::time::Duration;

/// The constants of one resource, looked up once when it begins to be served.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Does metadata.generation start at 1 and count changes outside metadata and status?
    pub counts_generation: bool,
    /// Do empty lists and maps count as a change, which are not stored? Upstream: reflect.DeepEqual in place of Semantic.DeepEqual.
    pub counts_emptied: bool,
    /// Does the first update write what it does not change, too? Upstream stores a new object without what its defaults give back
    /// at each read, and with the first update it stores that.
    pub completed_by_update: bool,
    /// Must a PUT say by metadata.resourceVersion what it is made from? Upstream: AllowUnconditionalUpdate.
    pub updates_are_conditional: bool,
    /// Does a delete answer with the object, gone or not? Otherwise with a Status once it is gone. Upstream: ReturnDeletedObject.
    pub returns_deleted_object: bool,
    /// The fields of metadata that subresources leave as they are. Upstream: ResetObjectMetaForStatus in the strategies.
    pub kept_by_subresources: &'static [&'static str],
    /// How long objects live after their last write; None for ever.
    pub time_to_live: Option<Duration>,
    /// May it own others? Propagation policies mean nothing to what may not. Upstream: rest.Unsupported.
    pub collects_garbage: bool,
}

impl Rules {
    /// Those of a built-in resource. Events disappear after a time, unless that is zero.
    pub fn of(group: &str, resource: &str, event_ttl: Duration) -> Rules {
        let own = (group, resource);
        let is_event = resource == "events" && matches!(group, "" | "events.k8s.io");
        let kept = KEPT_BY_SUBRESOURCES.iter().find(|row| (row.0, row.1) == own);
        Rules {
            counts_generation: COUNTS_GENERATION.contains(&own),
            counts_emptied: COUNTS_EMPTIED.contains(&own),
            completed_by_update: COMPLETED_BY_UPDATE.contains(&own),
            updates_are_conditional: CONDITIONAL_UPDATES.contains(&own),
            returns_deleted_object: RETURNS_DELETED.contains(&own),
            kept_by_subresources: kept.map_or(&[], |row| row.2),
            time_to_live: Some(event_ttl).filter(|ttl| is_event && !ttl.is_zero()),
            collects_garbage: !is_event,
        }
    }
}

impl Rules {
    /// Those of every custom resource.
    pub fn of_custom() -> Rules {
        Rules {
            counts_generation: true,
            counts_emptied: false,
            completed_by_update: false,
            updates_are_conditional: true,
            returns_deleted_object: false,
            kept_by_subresources: &[],
            time_to_live: None,
            collects_garbage: true,
        }
    }
}

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

const COUNTS_EMPTIED: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("networking.k8s.io", "networkpolicies"),
];

const COMPLETED_BY_UPDATE: &[(&str, &str)] = &[("", "persistentvolumeclaims")];

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
    ("resource.k8s.io", "devicetaintrules"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "csistoragecapacities"),
    ("storage.k8s.io", "volumeattachments"),
    ("storagemigration.k8s.io", "storageversionmigrations"),
];

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

const EDITABLE_METADATA: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences"];

/// Elsewhere `/status` takes metadata too.
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

/// Events disappear this long after their last write, if nothing else is said. Upstream: --event-ttl.
pub(crate) const EVENT_TTL: Duration = Duration::from_secs(3600);
