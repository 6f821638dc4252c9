//! The authorizers in order: system:masters, then the node authorizer, then RBAC; and what a refusal tells the client.
//! Upstream: authorization/union, authorizerfactory.NewPrivilegedGroups, responsewriters.Forbidden.

use api::go_text::quote;
use api::meta::GroupResource;
use api::status::Status;

use super::node::NodeAuthorizer;
use super::rbac::Rbac;
use super::{Attributes, Authorizer, Decision, Review};
use crate::authentication::SYSTEM_PRIVILEGED_GROUP;

/// `--authorization-mode=Node,RBAC`; without both (`AlwaysDeny`), only system:masters may do anything.
#[derive(Debug, Default)]
pub struct Authorization {
    /// Replaces every other decision: `--authorization-mode=AlwaysAllow`.
    pub always_allow: bool,
    pub node: Option<NodeAuthorizer>,
    pub rbac: Option<Rbac>,
}

impl Authorization {
    /// Decides with a reason. Slower than [`Authorizer::authorize`] where the answer is yes.
    pub fn review(&self, request: &Attributes) -> Review {
        if self.always_allow || request.user.in_group(SYSTEM_PRIVILEGED_GROUP) {
            return Review { allowed: true, ..Review::default() };
        }
        let reviews = [
            ("node", self.node.as_ref().map(|node| node.review(request))),
            ("rbac", self.rbac.as_ref().map(|rbac| rbac.review(request))),
        ];
        let mut reasons: Vec<String> = Vec::new();
        for (authorizer, review) in reviews {
            let Some(review) = review else { continue };
            if review.allowed || review.denied {
                return review;
            }
            if !review.reason.is_empty() {
                reasons.push(format!("{authorizer}: {}", review.reason));
            }
        }
        Review { reason: reasons.join("\n"), ..Review::default() }
    }
}

impl Authorizer for Authorization {
    fn authorize(&self, request: &Attributes) -> Decision {
        if self.always_allow || request.user.in_group(SYSTEM_PRIVILEGED_GROUP) {
            return Decision::Allow;
        }
        // The reason is made only for those who are refused.
        let node = self.node.as_ref().map(|node| node.review(request)).unwrap_or_default();
        if node.allowed || self.rbac.as_ref().is_some_and(|rbac| rbac.allows(request)) {
            return Decision::Allow;
        }
        Decision::NoOpinion(self.review(request).reason)
    }

    fn reason(&self, request: &Attributes) -> String {
        self.review(request).reason
    }
}

/// The 403 of a request that nobody allows. Upstream: responsewriters.ForbiddenStatusError.
pub fn denied(request: &Attributes, reason: &str) -> Status {
    let user = quote(&request.user.name);
    let mut message = if request.is_resource_request {
        let resource = if request.subresource.is_empty() {
            request.resource.clone()
        } else {
            format!("{}/{}", request.resource, request.subresource)
        };
        let scope = if request.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {}", quote(&request.namespace))
        };
        format!(
            "User {user} cannot {} resource {} in API group {} {scope}",
            request.verb,
            quote(&resource),
            quote(&request.api_group)
        )
    } else {
        format!("User {user} cannot {} path {}", request.verb, quote(&request.path))
    };
    // Upstream's guard against text that a browser would take for HTML; the reason is not under it.
    message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    let resource = if request.is_resource_request {
        GroupResource::new(&request.api_group, &request.resource)
    } else {
        GroupResource::new("", "")
    };
    Status::forbidden(&resource, &request.name, &message)
}
