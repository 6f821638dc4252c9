//! Asks the authorizer, and says no in upstream's words.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters.WithAuthorization and responsewriters.Forbidden.

use api::status::{Details, Outcome, Reason, Status};

use crate::authorization::{Attributes, Authorizer, Decision, Reasons};
use crate::endpoints::respond::without_markup;

/// Ok when allowed, the 403 otherwise: for what a request needs beside the right to itself.
pub(crate) async fn check(authorizer: &dyn Authorizer, attributes: &Attributes) -> Result<(), Status> {
    required(authorizer.authorize(attributes, Reasons::OfRefusals).decided().await, attributes)
}

/// The same of a decision that is known. An error is told with the reason.
pub(crate) fn required(decision: Decision, attributes: &Attributes) -> Result<(), Status> {
    if decision.is_allowed() {
        return Ok(());
    }
    let why = match (decision.error, decision.reason) {
        (Some(error), reason) if reason.is_empty() => error,
        (Some(error), reason) => format!("{error}: {reason}"),
        (None, reason) => reason,
    };
    Err(forbidden(attributes, &why))
}

/// The 403 of upstream, for requests and for writes that need a second permission (create on update, impersonation).
pub(crate) fn forbidden(attributes: &Attributes, reason: &str) -> Status {
    let group_resource = if attributes.api_group.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}.{}", attributes.resource, attributes.api_group)
    };
    let mut message = String::new();
    if attributes.is_resource_request && !attributes.resource.is_empty() {
        message.push_str(&group_resource);
        if !attributes.name.is_empty() {
            message.push_str(&format!(" {}", api::go_text::quote(&attributes.name)));
        }
        message.push_str(" is ");
    }
    message.push_str("forbidden: ");
    message.push_str(&without_markup(&what(attributes)));
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Status {
        outcome: Outcome::Failure,
        code: 403,
        reason: Reason::Forbidden,
        message,
        details: Some(Box::new(Details {
            name: attributes.name.clone(),
            group: attributes.api_group.clone(),
            kind: attributes.resource.clone(),
            ..Details::default()
        })),
    }
}

/// `User "x" cannot list resource "pods" in API group "" in the namespace "default"`.
fn what(attributes: &Attributes) -> String {
    let user = api::go_text::quote(&attributes.user.name);
    let verb = &attributes.verb;
    if !attributes.is_resource_request {
        return format!("User {user} cannot {verb} path {}", api::go_text::quote(&attributes.path));
    }
    let mut resource = attributes.resource.clone();
    if !attributes.subresource.is_empty() {
        resource = format!("{resource}/{}", attributes.subresource);
    }
    let group = api::go_text::quote(&attributes.api_group);
    let resource = api::go_text::quote(&resource);
    if attributes.namespace.is_empty() {
        format!("User {user} cannot {verb} resource {resource} in API group {group} at the cluster scope")
    } else {
        let namespace = api::go_text::quote(&attributes.namespace);
        format!("User {user} cannot {verb} resource {resource} in API group {group} in the namespace {namespace}")
    }
}
