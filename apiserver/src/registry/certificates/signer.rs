//! What somebody may do in the name of a signer: `approve`, `sign`, `attest`.
//! Upstream: k8s.io/kubernetes/pkg/certauthorization.

use super::GROUP;
use crate::context::RequestContext;

/// May the user do this for the signer itself, or for all of its domain? Upstream: IsAuthorizedForSignerName.
pub(crate) fn may(ctx: &RequestContext, verb: &str, signer: &str) -> bool {
    let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let mut question = ctx.question(verb, GROUP, "signers");
        question.name = name;
        ctx.may(&question)
    })
}
