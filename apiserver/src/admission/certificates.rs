//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve and sign which requests.
//! Upstream: plugin/pkg/admission/certificates.

use std::sync::Arc;

use api::go_text::quote;
use api::status::Status;
use futures::future::{BoxFuture, ready};
use serde_json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::authorization::{self, Authorizer, Decision};
use crate::registry::certificates;
use crate::registry::fields::{at, text};
use crate::registry::validation::same;

const GROUP: &str = "certificates.k8s.io";
const REQUESTS: &str = "certificatesigningrequests";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Approving needs `approve` on the signer.
pub(super) struct Approval {
    pub(super) authorizer: Arc<dyn Authorizer>,
}

/// Writing a certificate needs `sign` on the signer.
pub(super) struct Signing {
    pub(super) authorizer: Arc<dyn Authorizer>,
}

/// Nobody asks for membership of system:masters.
pub(super) struct SubjectRestriction;

impl Validating for Approval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, new: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let concerned = attributes.is_subresource(GROUP, REQUESTS, "approval");
        let answer = if concerned { may(&*self.authorizer, attributes, new, "approve") } else { Ok(()) };
        Box::pin(ready(answer))
    }
}

impl Validating for Signing {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, new: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let changes = |field| {
            !same(at(new, &["status", field]), attributes.old.map_or(&Value::Null, |old| at(old, &["status", field])))
        };
        let concerned =
            attributes.is_subresource(GROUP, REQUESTS, "status") && (changes("certificate") || changes("conditions"));
        let answer = if concerned { may(&*self.authorizer, attributes, new, "sign") } else { Ok(()) };
        Box::pin(ready(answer))
    }
}

impl Validating for SubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, new: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let concerned = attributes.is_resource(GROUP, REQUESTS) && at(new, &["spec", "signerName"]) == CLIENT_SIGNER;
        let answer = if concerned { check_subject(attributes, new) } else { Ok(()) };
        Box::pin(ready(answer))
    }
}

/// Asks about the signer itself, then about all of its domain. Upstream: certauthorization.IsAuthorizedForSignerName.
fn may(authorizer: &dyn Authorizer, attributes: Attributes<'_>, new: &Value, verb: &str) -> Result<(), Status> {
    let signer = attributes.old.map_or("", |old| text(&old["spec"], "signerName"));
    let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    let allowed = |name: String| {
        let asked = authorization::Attributes {
            user: attributes.ctx.user.clone(),
            verb: verb.to_owned(),
            api_group: GROUP.to_owned(),
            api_version: "*".to_owned(),
            resource: "signers".to_owned(),
            name,
            is_resource_request: true,
            ..authorization::Attributes::default()
        };
        authorizer.authorize(&asked) == Decision::Allow
    };
    if allowed(signer.to_owned()) || allowed(format!("{domain}/*")) {
        return Ok(());
    }
    Err(forbidden(attributes, new, format!("user not permitted to {verb} requests with signerName {}", quote(signer))))
}

fn check_subject(attributes: Attributes<'_>, new: &Value) -> Result<(), Status> {
    let refuse = |why: String| Err(forbidden(attributes, new, why));
    let is_master = certificates::parse(&new["spec"], |request| {
        let mut groups = request.certification_request_info.subject.iter_organization();
        groups.any(|group| group.as_str().is_ok_and(|group| group == "system:masters"))
    });
    match is_master {
        Ok(false) => Ok(()),
        Ok(true) => refuse(format!("use of {CLIENT_SIGNER} signer with system:masters group is not allowed")),
        Err(error) => refuse(format!("failed to parse CSR: {error}")),
    }
}
