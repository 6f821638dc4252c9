//! Which fields each kind can be selected by, and where their values are.

use super::Error;
use crate::decode;
use crate::go_text::quote;
use crate::meta;
use json::Value;

/// The fields a kind supports beyond name and namespace.
#[derive(Clone, Debug)]
pub struct Supported {
    refusal: Refusal,
    namespaced: bool,
    /// Name in the selector, name it stands for.
    fields: Vec<(String, String)>,
}

/// How an unknown field is refused.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// `field label not supported: x`
    Plain,
    /// `field label "x" not supported for Job`
    Job,
    /// `field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: x`
    ResourceSlice(&'static str),
    /// `"x" is not a known field selector: only "metadata.name", "metadata.namespace"`
    Default,
}

/// A kind's own fields. A source is a path, `path[0].rest` steps into a list; `a|b` is the first that is not empty.
struct Kind {
    group: &'static str,
    kind: &'static str,
    refusal: Refusal,
    namespaced: bool,
    fields: &'static [Field],
}

/// Name, where the value lies, how an absent one reads.
type Field = (&'static str, &'static str, &'static str);

const EVENT: &[Field] = &[
    ("involvedObject.kind", "involvedObject.kind|regarding.kind", ""),
    ("involvedObject.namespace", "involvedObject.namespace|regarding.namespace", ""),
    ("involvedObject.name", "involvedObject.name|regarding.name", ""),
    ("involvedObject.uid", "involvedObject.uid|regarding.uid", ""),
    ("involvedObject.apiVersion", "involvedObject.apiVersion|regarding.apiVersion", ""),
    ("involvedObject.resourceVersion", "involvedObject.resourceVersion|regarding.resourceVersion", ""),
    ("involvedObject.fieldPath", "involvedObject.fieldPath|regarding.fieldPath", ""),
    ("reason", "reason", ""),
    ("reportingComponent", "reportingComponent|reportingController", ""),
    ("source", "source.component|deprecatedSource.component|reportingComponent|reportingController", ""),
    ("type", "type", ""),
];

const KINDS: &[Kind] = &[
    Kind {
        group: "",
        kind: "Pod",
        refusal: Refusal::Plain,
        namespaced: true,
        fields: &[
            ("spec.nodeName", "spec.nodeName", ""),
            ("spec.restartPolicy", "spec.restartPolicy", ""),
            ("spec.schedulerName", "spec.schedulerName", ""),
            ("spec.serviceAccountName", "spec.serviceAccountName", ""),
            ("spec.hostNetwork", "spec.hostNetwork", "false"),
            ("status.phase", "status.phase", ""),
            ("status.podIP", "status.podIPs[0].ip|status.podIP", ""),
            ("status.podIPs", "", ""),
            ("status.nominatedNodeName", "status.nominatedNodeName", ""),
        ],
    },
    Kind {
        group: "",
        kind: "Node",
        refusal: Refusal::Plain,
        namespaced: false,
        fields: &[("spec.unschedulable", "spec.unschedulable", "false")],
    },
    Kind {
        group: "",
        kind: "ReplicationController",
        refusal: Refusal::Plain,
        namespaced: true,
        fields: &[("status.replicas", "status.replicas", "0")],
    },
    Kind { group: "", kind: "Event", refusal: Refusal::Plain, namespaced: true, fields: EVENT },
    Kind { group: "events.k8s.io", kind: "Event", refusal: Refusal::Plain, namespaced: true, fields: EVENT },
    Kind {
        group: "",
        kind: "Namespace",
        refusal: Refusal::Plain,
        namespaced: false,
        fields: &[("status.phase", "status.phase", "")],
    },
    Kind { group: "", kind: "Secret", refusal: Refusal::Plain, namespaced: true, fields: &[("type", "type", "")] },
    Kind {
        group: "",
        kind: "Service",
        refusal: Refusal::Plain,
        namespaced: true,
        fields: &[("spec.clusterIP", "spec.clusterIP", ""), ("spec.type", "spec.type", "")],
    },
    Kind {
        group: "batch",
        kind: "Job",
        refusal: Refusal::Job,
        namespaced: true,
        fields: &[("status.successful", "status.succeeded", "0")],
    },
    Kind {
        group: "certificates.k8s.io",
        kind: "CertificateSigningRequest",
        refusal: Refusal::Plain,
        namespaced: false,
        fields: &[("spec.signerName", "spec.signerName", "")],
    },
    Kind {
        group: "certificates.k8s.io",
        kind: "ClusterTrustBundle",
        refusal: Refusal::Plain,
        namespaced: false,
        fields: &[("spec.signerName", "spec.signerName", "")],
    },
    Kind {
        group: "certificates.k8s.io",
        kind: "PodCertificateRequest",
        refusal: Refusal::Plain,
        namespaced: false,
        fields: &[
            ("spec.signerName", "spec.signerName", ""),
            ("spec.podName", "spec.podName", ""),
            ("spec.nodeName", "spec.nodeName", ""),
        ],
    },
    Kind {
        group: "resource.k8s.io",
        kind: "ResourceSlice",
        refusal: Refusal::ResourceSlice("v1"),
        namespaced: false,
        fields: &[
            ("spec.nodeName", "spec.nodeName", ""),
            ("spec.driver", "spec.driver", ""),
            ("spec.pool.name", "spec.pool.name", ""),
        ],
    },
];

/// Names in the selector that stand for another field.
const RENAMED: &[(&str, &str, &str, &str)] = &[
    ("", "Pod", "spec.host", "spec.nodeName"),
    ("events.k8s.io", "Event", "regarding.kind", "involvedObject.kind"),
    ("events.k8s.io", "Event", "regarding.namespace", "involvedObject.namespace"),
    ("events.k8s.io", "Event", "regarding.name", "involvedObject.name"),
    ("events.k8s.io", "Event", "regarding.uid", "involvedObject.uid"),
    ("events.k8s.io", "Event", "regarding.apiVersion", "involvedObject.apiVersion"),
    ("events.k8s.io", "Event", "regarding.resourceVersion", "involvedObject.resourceVersion"),
    ("events.k8s.io", "Event", "regarding.fieldPath", "involvedObject.fieldPath"),
    ("events.k8s.io", "Event", "reportingController", "reportingComponent"),
];

/// Fields of core events that events.k8s.io knows under its own names only.
const CORE_ONLY: &[&str] = &["reportingComponent", "source"];

impl Supported {
    /// What a built-in kind supports.
    pub fn of(group: &str, version: &str, kind: &str) -> Supported {
        let Some(found) = KINDS.iter().find(|k| k.group == group && k.kind == kind) else {
            return Supported { refusal: Refusal::Default, namespaced: true, fields: Vec::new() };
        };
        let refusal = match found.refusal {
            Refusal::ResourceSlice(_) => Refusal::ResourceSlice(match version {
                "v1beta1" => "v1beta1",
                "v1beta2" => "v1beta2",
                _ => "v1",
            }),
            refusal => refusal,
        };
        let hidden =
            |name: &str| group == "events.k8s.io" && (name.starts_with("involvedObject.") || CORE_ONLY.contains(&name));
        let own = found.fields.iter().filter(|(name, ..)| !hidden(name)).map(|(name, ..)| (*name, *name));
        let renamed = RENAMED.iter().filter(|r| r.0 == group && r.1 == kind).map(|r| (r.2, r.3));
        let fields = own.chain(renamed).map(|(name, field)| (name.to_owned(), field.to_owned())).collect();
        Supported { refusal, namespaced: found.namespaced, fields }
    }

    /// What a custom resource supports: its `selectableFields`, without the leading dot.
    pub fn custom<'a>(namespaced: bool, fields: impl IntoIterator<Item = &'a str>) -> Supported {
        let fields = fields.into_iter().map(|name| (name.to_owned(), name.to_owned())).collect();
        Supported { refusal: Refusal::Plain, namespaced, fields }
    }

    /// The field a name stands for.
    pub fn convert<'a>(&'a self, name: &'a str) -> Result<&'a str, Error> {
        if name == "metadata.name" || (name == "metadata.namespace" && self.namespaced) {
            return Ok(name);
        }
        if let Some((_, field)) = self.fields.iter().find(|(known, _)| known == name) {
            return Ok(field);
        }
        Err(Error::NotSupported(match self.refusal {
            Refusal::Plain => format!("field label not supported: {name}"),
            Refusal::Job => format!("field label {} not supported for Job", quote(name)),
            Refusal::ResourceSlice(version) => {
                format!("field label not supported for resource.k8s.io/{version}, Kind=ResourceSlice: {name}")
            }
            Refusal::Default => {
                let name = quote(name);
                format!(r#"{name} is not a known field selector: only "metadata.name", "metadata.namespace""#)
            }
        }))
    }
}

/// The values of every field an object of a built-in kind can be selected by, name and namespace included.
pub fn fields_of(group: &str, kind: &str, object: &Value) -> Vec<(&'static str, String)> {
    values(own_fields(group, kind), object)
}

/// As [`fields_of`], for the JSON of an object as it is stored; the rest of it is not decoded. What is no JSON has empty values.
pub fn fields_in(group: &str, kind: &str, object: &[u8]) -> Vec<(&'static str, String)> {
    let own = own_fields(group, kind);
    let sources = own.iter().flat_map(|(_, source, _)| source.split('|'));
    let paths: Vec<&str> = ["metadata.name", "metadata.namespace"].into_iter().chain(sources).collect();
    values(own, &decode::sparse(object, &paths).unwrap_or_default())
}

fn own_fields(group: &str, kind: &str) -> &'static [Field] {
    KINDS.iter().find(|k| k.group == group && k.kind == kind).map_or(&[][..], |k| k.fields)
}

fn values(own: &[Field], object: &Value) -> Vec<(&'static str, String)> {
    let metadata =
        [("metadata.name", meta::name(object).to_owned()), ("metadata.namespace", meta::namespace(object).to_owned())];
    metadata
        .into_iter()
        .chain(own.iter().map(|(name, source, absent)| (*name, value(object, source, absent))))
        .collect()
}

fn value(object: &Value, source: &str, absent: &str) -> String {
    let found = source.split('|').filter_map(|path| at(object, path)).find_map(|value| match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string().into()),
    });
    found.unwrap_or_else(|| absent.to_owned().into()).to_string()
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, step| match step.strip_suffix("[0]") {
        Some(list) => value.get(list)?.get(0),
        None => value.get(step),
    })
}
