//! What a kubelet may do: what concerns its own node and the pods bound to it, and nothing else.
//!
//! The relation of a secret, configmap, claim, volume or service account to the node is looked up in the node's own pods, which the
//! store's view finds by their node, at the newest snapshot: there is no graph to keep, and none to lag behind.
//! Upstream: plugin/pkg/auth/authorizer/node.

mod related;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use related::Related;

use super::rbac::Rule;
use super::{Attributes, Decision};
use crate::authentication::UserInfo;
use crate::context::Objects;

const NODE_USER_PREFIX: &str = "system:node:";
/// Group of every kubelet.
pub const NODES_GROUP: &str = "system:nodes";

/// The node a user is the kubelet of: `Some("")` for a member of system:nodes without a name. Upstream: NodeIdentifier.
pub fn node_of(user: &UserInfo) -> Option<&str> {
    let name = user.name.strip_prefix(NODE_USER_PREFIX);
    match name {
        Some(name) if user.in_group(NODES_GROUP) => Some(name),
        _ => None,
    }
}

/// The authorizer.
pub struct NodeAuthorizer {
    objects: Arc<dyn Objects>,
    /// What every node may do: the rules of the ClusterRole system:node.
    rules: Vec<Rule>,
}

impl std::fmt::Debug for NodeAuthorizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeAuthorizer").finish_non_exhaustive()
    }
}

type Answer = Result<(), String>;

fn refuse(reason: impl Into<String>) -> Answer {
    Err(reason.into())
}

fn one_of(verb: &str, verbs: &[&str], reason: &str) -> Answer {
    if verbs.contains(&verb) { Ok(()) } else { refuse(reason) }
}

impl NodeAuthorizer {
    pub fn new(objects: Arc<dyn Objects>, rules: Vec<Rule>) -> NodeAuthorizer {
        NodeAuthorizer { objects, rules }
    }

    /// Decides about kubelets; has no opinion about anybody else.
    pub fn decide(&self, request: &Attributes) -> Decision {
        let Some(node) = node_of(&request.user) else { return Decision::default() };
        let answer = if node.is_empty() {
            refuse(format!("unknown node for user {}", api::go_text::quote(&request.user.name)))
        } else {
            self.about(node, request)
        };
        match answer {
            Ok(()) => Decision::allow(),
            Err(reason) => Decision::no_opinion(reason),
        }
    }

    fn about(&self, node: &str, request: &Attributes) -> Answer {
        if request.is_resource_request {
            let (verb, subresource) = (request.verb.as_str(), request.subresource.as_str());
            match (request.api_group.as_str(), request.resource.as_str()) {
                ("", "secrets") => return self.read_namespaced(node, Related::Secret, request),
                ("", "configmaps") => return self.read_namespaced(node, Related::ConfigMap, request),
                ("", "persistentvolumeclaims") if subresource == "status" => {
                    one_of(verb, &["update", "patch"], "can only get/update/patch this type")?;
                    return self.related(node, Related::Claim, request);
                }
                ("", "persistentvolumeclaims") => return self.get_only(node, Related::Claim, request),
                ("", "persistentvolumes") => return self.get_only(node, Related::Volume, request),
                ("resource.k8s.io", "resourceclaims") => return self.get_only(node, Related::ResourceClaim, request),
                ("storage.k8s.io", "volumeattachments") => return self.get_only(node, Related::Attachment, request),
                ("", "serviceaccounts") if verb == "get" && subresource.is_empty() => {
                    return self.read_namespaced(node, Related::ServiceAccount, request);
                }
                ("", "serviceaccounts") => return self.token(node, request),
                ("coordination.k8s.io", "leases") => return lease(node, request),
                ("storage.k8s.io", "csinodes") => return csi_node(node, request),
                ("resource.k8s.io", "resourceslices") => return self.resource_slice(node, request),
                ("", "nodes") => return node_object(node, request),
                ("", "pods") => return self.pod(node, request),
                ("certificates.k8s.io", "podcertificaterequests") => return self.certificate_request(node, request),
                _ => {}
            }
        }
        if self.rules.iter().any(|rule| rule.allows(request)) { Ok(()) } else { refuse("") }
    }

    fn get_only(&self, node: &str, what: Related, request: &Attributes) -> Answer {
        one_of(&request.verb, &["get"], "can only get individual resources of this type")?;
        one_of(&request.subresource, &[""], "cannot get subresource")?;
        self.related(node, what, request)
    }

    fn read_namespaced(&self, node: &str, what: Related, request: &Attributes) -> Answer {
        one_of(&request.verb, &["get", "list", "watch"], "can only read resources of this type")?;
        one_of(&request.subresource, &[""], "cannot read subresource")?;
        if request.namespace.is_empty() {
            return refuse("can only read namespaced object of this type");
        }
        self.related(node, what, request)
    }

    fn related(&self, node: &str, what: Related, request: &Attributes) -> Answer {
        if request.name.is_empty() {
            return refuse("No Object name found");
        }
        if what.to_node(&*self.objects, node, &request.namespace, &request.name) {
            return Ok(());
        }
        refuse(format!("no relationship found between node '{node}' and this object"))
    }

    fn token(&self, node: &str, request: &Attributes) -> Answer {
        if request.verb != "create" || request.name.is_empty() {
            return refuse("can only create tokens for individual service accounts");
        }
        one_of(&request.subresource, &["token"], "can only create token subresource of serviceaccount")?;
        self.related(node, Related::ServiceAccount, request)
    }

    fn resource_slice(&self, node: &str, request: &Attributes) -> Answer {
        one_of(&request.subresource, &[""], "cannot authorize ResourceSlice subresources")?;
        match request.verb.as_str() {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(node, Related::ResourceSlice, request),
            "watch" | "list" | "deletecollection" if selects_node(request, "spec.nodeName", node) => Ok(()),
            "watch" | "list" | "deletecollection" => {
                refuse("can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            _ => refuse(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
            ),
        }
    }

    fn pod(&self, node: &str, request: &Attributes) -> Answer {
        match (request.subresource.as_str(), request.verb.as_str()) {
            ("", "get") => self.get_only(node, Related::Pod, request),
            ("", "list" | "watch") if selects_node(request, "spec.nodeName", node) => Ok(()),
            ("", "list" | "watch") if !request.name.is_empty() => self.related(node, Related::Pod, request),
            ("", "list" | "watch") => refuse("can only list/watch pods with spec.nodeName field selector"),
            // Which pod is NodeRestriction's business, which sees the object.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => refuse(""),
        }
    }

    fn certificate_request(&self, node: &str, request: &Attributes) -> Answer {
        one_of(&request.subresource, &[""], "nodes may not access the status subresource of PodCertificateRequests")?;
        match request.verb.as_str() {
            "create" => Ok(()),
            "get" => self.related(node, Related::CertificateRequest, request),
            "list" | "watch" if selects_node(request, "spec.nodeName", node) => Ok(()),
            "list" | "watch" => refuse("can only list/watch podcertificaterequests with nodeName field selector"),
            verb => refuse(format!("nodes may not {verb} podcertificaterequests")),
        }
    }
}

fn lease(node: &str, request: &Attributes) -> Answer {
    let verbs = ["get", "create", "update", "patch", "delete"];
    one_of(&request.verb, &verbs, "can only get, create, update, patch, or delete a node lease")?;
    one_of(
        &request.namespace,
        &["kube-node-lease"],
        "can only access leases in the \"kube-node-lease\" system namespace",
    )?;
    if request.verb != "create" && request.name != node {
        return refuse("can only access node lease with the same name as the requesting node");
    }
    Ok(())
}

fn csi_node(node: &str, request: &Attributes) -> Answer {
    one_of(&request.subresource, &[""], "cannot authorize CSINode subresources")?;
    let verbs = ["get", "create", "update", "patch", "delete"];
    one_of(&request.verb, &verbs, "can only get, create, update, patch, or delete a CSINode")?;
    if request.verb != "create" && request.name != node {
        return refuse("can only access CSINode with the same name as the requesting node");
    }
    Ok(())
}

fn node_object(node: &str, request: &Attributes) -> Answer {
    match (request.subresource.as_str(), request.verb.as_str()) {
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
        ("", "get" | "list" | "watch") if request.name == node => Ok(()),
        ("", "get" | "list" | "watch") if request.name.is_empty() => {
            refuse(format!("node '{node}' cannot read all nodes, only its own Node object"))
        }
        ("", "get" | "list" | "watch") => {
            refuse(format!("node '{node}' cannot read '{}', only its own Node object", request.name))
        }
        _ => refuse(""),
    }
}

/// Does the field selector require `field` to be the node?
fn selects_node(request: &Attributes, field: &str, node: &str) -> bool {
    request.field_selector.split(',').any(|term| {
        let term = term.trim();
        term.split_once("==")
            .or_else(|| term.split_once('='))
            .is_some_and(|(key, value)| key.trim() == field && value.trim() == node)
    })
}
