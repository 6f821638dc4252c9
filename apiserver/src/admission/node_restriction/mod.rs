//! NodeRestriction: what a kubelet writes concerns its own node and its own pods. Upstream: plugin/pkg/admission/noderestriction.

mod certificates;

use std::collections::BTreeSet;

use api::go_text::quote;
use api::meta::{self, GroupResource};
use api::status::Status;
use json::{Map, Value};

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation};
use crate::authorization::node::node_of;
use crate::registry::certificates::GROUP;
use crate::registry::core::pod::MIRROR_ANNOTATION;
use crate::registry::fields::{at, items, remove, text};
use crate::registry::validation::same;

/// Labels of kubernetes.io and k8s.io that a kubelet may set on its node.
const OWN_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

#[derive(Debug)]
pub(super) struct NodeRestriction;

impl Mutating for NodeRestriction {
    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        self.check(attributes, object)
    }
}

/// Why not. `Missing` is a 404 of something that must be there.
enum Refusal {
    Forbidden(String),
    Missing(&'static str, String),
    Other(Status),
}

type Answer = Result<(), Refusal>;

fn refuse(why: impl Into<String>) -> Answer {
    Err(Refusal::Forbidden(why.into()))
}

impl NodeRestriction {
    fn check(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let Some(node) = node_of(&attributes.ctx.user) else { return Ok(()) };
        let answer = if node.is_empty() {
            refuse(format!("could not determine node from user {}", quote(&attributes.ctx.user.name)))
        } else {
            self.decide(node, attributes, object)
        };
        answer.map_err(|refusal| match refusal {
            Refusal::Forbidden(why) => forbidden(attributes, object, why),
            Refusal::Missing(resource, name) => Status::not_found(&GroupResource::new("", resource), &name),
            Refusal::Other(status) => status,
        })
    }

    fn decide(&self, node: &str, attributes: Attributes<'_>, object: &Value) -> Answer {
        let target = &attributes.ctx.target;
        match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
            ("", "pods", "") => pod(node, attributes, object),
            ("", "pods", "status") => pod_status(node, attributes, object),
            ("", "pods", "eviction") => eviction(node, attributes, object),
            ("", "pods", other) => {
                refuse(format!("unexpected pod subresource {}, only 'status' and 'eviction' are allowed", quote(other)))
            }
            ("", "nodes", _) => node_object(node, attributes, object),
            ("", "persistentvolumeclaims", "status") => claim_status(node, attributes, object),
            ("", "persistentvolumeclaims", _) => refuse("may only update PVC status"),
            ("", "serviceaccounts", "token") => self.token(node, attributes, object),
            ("coordination.k8s.io", "leases", _) if target.namespace != "kube-node-lease" => {
                refuse("can only access leases in the \"kube-node-lease\" system namespace")
            }
            ("coordination.k8s.io", "leases", _) => same_name(node, attributes, object, "node lease"),
            ("storage.k8s.io", "csinodes", _) => same_name(node, attributes, object, "CSINode"),
            ("resource.k8s.io", "resourceslices", _) => slice(node, attributes, object),
            (GROUP, "certificatesigningrequests", _) => certificates::signing_request(node, attributes, object),
            (GROUP, "podcertificaterequests", _) => certificates::pod_request(node, attributes, object),
            _ => Ok(()),
        }
    }

    fn token(&self, node: &str, attributes: Attributes<'_>, request: &Value) -> Answer {
        if attributes.operation != Operation::Create {
            return Ok(());
        }
        let reference = at(request, &["spec", "boundObjectRef"]);
        let (name, uid) = (text(reference, "name"), text(reference, "uid"));
        if text(reference, "apiVersion") != "v1" || text(reference, "kind") != "Pod" || name.is_empty() {
            return refuse("node requested token not bound to a pod");
        }
        if uid.is_empty() {
            return refuse("node requested token with a pod binding without a uid");
        }
        let namespace = &attributes.ctx.target.namespace;
        let Some(pod) = attributes.ctx.objects.get("", "pods", namespace, name) else {
            return Err(Refusal::Missing("pods", name.to_owned()));
        };
        if uid != meta::uid(&pod) {
            return refuse(format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            ));
        }
        if text(&pod["spec"], "nodeName") != node {
            return refuse("node requested token bound to a pod scheduled on a different node");
        }
        self.audience(attributes, request, &pod)
    }

    /// A node asks only for audiences its pod's volumes need, or that it is explicitly allowed.
    fn audience(&self, attributes: Attributes<'_>, request: &Value, pod: &Value) -> Answer {
        let audiences = items(&request["spec"], "audiences");
        if audiences.len() > 1 {
            return refuse("node may only request 0 or 1 audiences");
        }
        let audience = audiences.first().and_then(Value::as_str).unwrap_or_default();
        let objects = &attributes.ctx.objects;
        let namespace = &attributes.ctx.target.namespace;
        let driver_of_claim = |claim: &str| {
            let claim = objects.get("", "persistentvolumeclaims", namespace, claim)?;
            let volume = objects.get("", "persistentvolumes", "", text(&claim["spec"], "volumeName"))?;
            volume["spec"]["csi"]["driver"].as_str().map(str::to_owned)
        };
        let wants = |driver: &str| {
            let driver = objects.get("storage.k8s.io", "csidrivers", "", driver);
            driver.is_some_and(|driver| {
                items(&driver["spec"], "tokenRequests").iter().any(|request| text(request, "audience") == audience)
            })
        };
        let needed = items(&pod["spec"], "volumes").iter().any(|volume| {
            let tokens = items(&volume["projected"], "sources").iter().map(|source| &source["serviceAccountToken"]);
            let driver = if !volume["csi"].is_null() {
                Some(text(&volume["csi"], "driver").to_owned())
            } else if !volume["persistentVolumeClaim"].is_null() {
                driver_of_claim(text(&volume["persistentVolumeClaim"], "claimName"))
            } else if !volume["ephemeral"].is_null() {
                driver_of_claim(&format!("{}-{}", meta::name(pod), text(volume, "name")))
            } else {
                None
            };
            tokens.filter(|token| !token.is_null()).any(|token| text(token, "audience") == audience)
                || driver.is_some_and(|driver| wants(&driver))
        });
        // What no volume of the pod names must be allowed by name.
        let ctx = attributes.ctx;
        let mut question = ctx.question("request-serviceaccounts-token-audience", "", audience);
        question.api_version.clone_from(&ctx.target.version);
        question.namespace.clone_from(namespace);
        question.name.clone_from(&ctx.target.name);
        if needed || ctx.may(&question) {
            return Ok(());
        }
        let user = &ctx.user;
        refuse(format!("{} is not authorized to request tokens for audience {}", user.name, quote(audience)))
    }
}

fn pod(node: &str, attributes: Attributes<'_>, object: &Value) -> Answer {
    let quoted = quote(node);
    match attributes.operation {
        Operation::Create => mirror_pod(node, attributes, object),
        Operation::Delete => {
            let old = attributes.old.unwrap_or(object);
            if text(&old["spec"], "nodeName") == node {
                return Ok(());
            }
            refuse(format!("node {quoted} can only delete pods with spec.nodeName set to itself"))
        }
        operation => refuse(format!(
            "unexpected operation {}, node {quoted} can only create and delete mirror pods",
            quote(operation.as_str())
        )),
    }
}

fn mirror_pod(node: &str, attributes: Attributes<'_>, pod: &Value) -> Answer {
    let quoted = quote(node);
    if meta::annotation(pod, MIRROR_ANNOTATION).is_none() {
        return refuse(format!(
            "pod does not have \"{MIRROR_ANNOTATION}\" annotation, node {quoted} can only create mirror pods"
        ));
    }
    if text(&pod["spec"], "nodeName") != node {
        return refuse(format!("node {quoted} can only create pods with spec.nodeName set to itself"));
    }
    let owners: Vec<_> = meta::owner_references(pod).collect();
    let itself = format!("node {quoted} can only create pods with an owner reference set to itself");
    let [owner] = owners[..] else {
        let many = format!("node {quoted} can only create pods with a single owner reference set to itself");
        return refuse(if owners.is_empty() { itself } else { many });
    };
    if owner.api_version != "v1" || owner.kind != "Node" || owner.name != node {
        return refuse(itself);
    }
    if !owner.controller {
        return refuse(format!("node {quoted} can only create pods with a controller owner reference set to itself"));
    }
    if owner.block_owner_deletion {
        return refuse(format!("node {quoted} must not set blockOwnerDeletion on an owner reference"));
    }
    let Some(object) = attributes.ctx.objects.get("", "nodes", "", node) else {
        return Err(Refusal::Missing("nodes", node.to_owned()));
    };
    if owner.uid != meta::uid(&object) {
        return refuse(format!("node {node} UID mismatch: expected {} got {}", owner.uid, meta::uid(&object)));
    }
    for (field, what) in [("serviceAccountName", "serviceaccounts")] {
        if !text(&pod["spec"], field).is_empty() {
            return refuse(format!("node {quoted} can not create pods that reference {what}"));
        }
    }
    let references = [
        ("secret", "secrets (via secret volumes)"),
        ("configMap", "configmaps (via configMap volumes)"),
        ("persistentVolumeClaim", "persistentvolumeclaims (via persistentVolumeClaim volumes)"),
    ];
    for volume in items(&pod["spec"], "volumes") {
        if let Some((_, what)) = references.iter().find(|(source, _)| !volume[*source].is_null()) {
            return refuse(format!("node {quoted} can not create pods that reference {what}"));
        }
    }
    Ok(())
}

fn pod_status(node: &str, attributes: Attributes<'_>, pod: &Value) -> Answer {
    let quoted = quote(node);
    let Some(old) = attributes.old.filter(|_| attributes.operation == Operation::Update) else {
        return refuse(format!("unexpected operation {}", quote(attributes.operation.as_str())));
    };
    if text(&old["spec"], "nodeName") != node {
        return refuse(format!("node {quoted} can only update pod status for pods with spec.nodeName set to itself"));
    }
    if !same(at(old, &["metadata", "labels"]), at(pod, &["metadata", "labels"])) {
        return refuse(format!("node {quoted} cannot update labels through pod status"));
    }
    let claims = ["status", "resourceClaimStatuses"];
    if !at(pod, &claims).is_null() && !same(at(old, &claims), at(pod, &claims)) {
        return refuse(format!("node {quoted} cannot update resource claim statues"));
    }
    Ok(())
}

fn eviction(node: &str, attributes: Attributes<'_>, eviction: &Value) -> Answer {
    let target = &attributes.ctx.target;
    let name = if target.name.is_empty() { meta::name(eviction) } else { &target.name };
    if name.is_empty() {
        return refuse("could not determine pod from request data");
    }
    let Some(pod) = attributes.ctx.objects.get("", "pods", &target.namespace, name) else {
        return Err(Refusal::Missing("pods", name.to_owned()));
    };
    if text(&pod["spec"], "nodeName") != node {
        return refuse(format!("node {node} can only evict pods with spec.nodeName set to itself"));
    }
    Ok(())
}

fn node_object(node: &str, attributes: Attributes<'_>, object: &Value) -> Answer {
    let target = &attributes.ctx.target;
    let requested = if target.name.is_empty() { meta::name(object) } else { &target.name };
    if requested != node {
        return refuse(format!("node {} is not allowed to modify node {}", quote(node), quote(requested)));
    }
    let empty = Map::new();
    let labels = |object: &Value| meta::labels(object).unwrap_or(&empty).clone();
    match (attributes.operation, attributes.old) {
        (Operation::Create, _) => {
            let bad = forbidden_labels(&labels(object), &empty);
            if bad.is_empty() {
                Ok(())
            } else {
                refuse(format!("node {} is not allowed to set the following labels: {bad}", quote(node)))
            }
        }
        (Operation::Update, Some(old)) => {
            let source = ["spec", "configSource"];
            if !at(object, &source).is_null() && !same(at(object, &source), at(old, &source)) {
                let node = quote(node);
                return refuse(format!(
                    "node {node} is not allowed to update configSource to a new non-nil configSource"
                ));
            }
            for (path, what) in [(["spec", "taints"], "taints"), (["metadata", "ownerReferences"], "ownerReferences")] {
                if !same(at(object, &path), at(old, &path)) {
                    return refuse(format!("node {} is not allowed to modify {what}", quote(node)));
                }
            }
            let bad = forbidden_labels(&labels(object), &labels(old));
            if bad.is_empty() { Ok(()) } else { refuse(format!("is not allowed to modify labels: {bad}")) }
        }
        _ => Ok(()),
    }
}

/// Changed labels that are not the kubelet's business, in order.
fn forbidden_labels(new: &Map, old: &Map) -> String {
    let changed = new.keys().chain(old.keys()).filter(|key| new.get(key) != old.get(key));
    let within = |namespace: &str, domain: &str| namespace == domain || namespace.ends_with(&format!(".{domain}"));
    let bad: BTreeSet<&str> = changed
        .filter(|key| {
            let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
            let reserved = within(namespace, "kubernetes.io") || within(namespace, "k8s.io");
            let own = OWN_LABELS.contains(&key.as_str())
                || within(namespace, "kubelet.kubernetes.io")
                || within(namespace, "node.kubernetes.io");
            within(namespace, "node-restriction.kubernetes.io") || (reserved && !own)
        })
        .map(json::Text::as_str)
        .collect();
    bad.into_iter().collect::<Vec<_>>().join(", ")
}

fn claim_status(node: &str, attributes: Attributes<'_>, claim: &Value) -> Answer {
    let Some(old) = attributes.old.filter(|_| attributes.operation == Operation::Update) else {
        return refuse(format!("unexpected operation {}", quote(attributes.operation.as_str())));
    };
    let rest = |claim: &Value| {
        let mut claim = claim.clone();
        if let Some(status) = claim.get_mut("status") {
            for field in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
                remove(status, field);
            }
        }
        if let Some(metadata) = claim.get_mut("metadata") {
            remove(metadata, "resourceVersion");
            remove(metadata, "managedFields");
        }
        claim
    };
    if same(&rest(old), &rest(claim)) {
        return Ok(());
    }
    refuse(format!(
        "node {} is not allowed to update fields other than status.quantity and status.conditions: ",
        quote(node)
    ))
}

fn same_name(node: &str, attributes: Attributes<'_>, object: &Value, what: &str) -> Answer {
    let target = &attributes.ctx.target;
    let name = if attributes.operation == Operation::Create { meta::name(object) } else { &target.name };
    if name == node {
        Ok(())
    } else {
        refuse(format!("can only access {what} with the same name as the requesting node"))
    }
}

fn slice(node: &str, attributes: Attributes<'_>, object: &Value) -> Answer {
    let (verb, subject) = match attributes.operation {
        Operation::Create => ("create", object),
        Operation::Delete => ("delete", attributes.old.unwrap_or(object)),
        _ => return Ok(()),
    };
    if text(&subject["spec"], "nodeName") == node {
        return Ok(());
    }
    refuse(format!("can only {verb} ResourceSlice with the same NodeName as the requesting node"))
}
