//! CertificateApproval, CertificateSigning, CertificateSubjectRestriction and ClusterTrustBundleAttest: who may speak for which signer.
//! Upstream: plugin/pkg/admission/certificates.

use api::go_text::quote;
use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::authorization::rbac::escalation::only_collectable_fields_change;
use crate::registry::certificates::{self, GROUP, signer};
use crate::registry::fields::{at, text};
use crate::registry::validation::same;

const REQUESTS: &str = "certificatesigningrequests";
const BUNDLES: &str = "clustertrustbundles";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Approving needs `approve` on the signer.
#[derive(Debug)]
pub(super) struct Approval;

/// Writing a certificate needs `sign` on the signer.
#[derive(Debug)]
pub(super) struct Signing;

/// Nobody asks for membership of system:masters.
#[derive(Debug)]
pub(super) struct SubjectRestriction;

/// Anchors of a signer need `attest` on it.
#[derive(Debug)]
pub(super) struct Attest;

impl Validating for Approval {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, attributes: Attributes<'_>, new: &Value) -> Result<(), Status> {
        let concerned = attributes.is_subresource(GROUP, REQUESTS, "approval");
        if concerned { may(attributes, new, "approve") } else { Ok(()) }
    }
}

impl Validating for Signing {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, attributes: Attributes<'_>, new: &Value) -> Result<(), Status> {
        let changes = |field| {
            !same(at(new, &["status", field]), attributes.old.map_or(&Value::Null, |old| at(old, &["status", field])))
        };
        let concerned =
            attributes.is_subresource(GROUP, REQUESTS, "status") && (changes("certificate") || changes("conditions"));
        if concerned { may(attributes, new, "sign") } else { Ok(()) }
    }
}

impl Validating for SubjectRestriction {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn validate(&self, attributes: Attributes<'_>, new: &Value) -> Result<(), Status> {
        let concerned = attributes.is_resource(GROUP, REQUESTS) && at(new, &["spec", "signerName"]) == CLIENT_SIGNER;
        if concerned { check_subject(attributes, new) } else { Ok(()) }
    }
}

impl Validating for Attest {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, new: &Value) -> Result<(), Status> {
        check_attest(attributes, new)
    }
}

fn may(attributes: Attributes<'_>, new: &Value, verb: &str) -> Result<(), Status> {
    let signer = attributes.old.map_or("", |old| text(&old["spec"], "signerName"));
    if signer::may(attributes.ctx, verb, signer) {
        return Ok(());
    }
    Err(forbidden(attributes, new, format!("user not permitted to {verb} requests with signerName {}", quote(signer))))
}

fn check_attest(attributes: Attributes<'_>, new: &Value) -> Result<(), Status> {
    let target = &attributes.ctx.target;
    let signer = text(&new["spec"], "signerName");
    if (target.group.as_str(), target.resource.as_str()) != (GROUP, BUNDLES) || signer.is_empty() {
        return Ok(());
    }
    let is_collection_only = attributes.old.is_some_and(|old| only_collectable_fields_change(old, new));
    if is_collection_only || signer::may(attributes.ctx, "attest", signer) {
        return Ok(());
    }
    Err(forbidden(attributes, new, format!("user not permitted to attest for signerName {}", quote(signer))))
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
