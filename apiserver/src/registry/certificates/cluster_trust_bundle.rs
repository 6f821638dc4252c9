//! ClusterTrustBundles: trust anchors that anybody may read, optionally kept by the signer whose name they carry.
//! Upstream: pkg/registry/certificates/clustertrustbundle/strategy.go, ValidateClusterTrustBundle.

use api::field::{Error, ErrorList, Path};
use api::names::{self, NameRule};
use json::Value;
use x509_parser::pem::Pem;

use super::signer_name;
use crate::context::RequestContext;
use crate::registry::fields::{At, at};
use crate::registry::strategy::Strategy;

const MAX_SIZE: usize = 1 << 20;

/// The semantics of cluster trust bundles.
#[derive(Debug, Clone, Copy)]
pub struct ClusterTrustBundle;

impl Strategy for ClusterTrustBundle {
    /// The rule depends on the signer; `validate` has it.
    fn name_rule(&self) -> NameRule {
        |_, _| Vec::new()
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = bundle_rules(new);
        trust_anchors(&At::root(new).field("spec").field("trustBundle"), &mut errors);
        errors
    }

    /// Anchors that stay as they were are not parsed again.
    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = bundle_rules(new);
        let spec = At::root(new).field("spec");
        let anchors = spec.field("trustBundle");
        if anchors.str() != at(old, &["spec", "trustBundle"]).as_str().unwrap_or_default() {
            trust_anchors(&anchors, &mut errors);
        }
        let signer = spec.field("signerName");
        if signer.str() != at(old, &["spec", "signerName"]).as_str().unwrap_or_default() {
            errors.push(signer.invalid_str("field is immutable"));
        }
        errors
    }
}

fn bundle_rules(object: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let signer = At::root(object).field("spec").field("signerName");
    let name = at(object, &["metadata", "name"]).as_str().unwrap_or_default();
    for complaint in name_complaints(name, signer.str()) {
        errors.push(Error::invalid(&Path::new("metadata").child("name"), name, complaint));
    }
    if !signer.str().is_empty() {
        signer_name(&signer, &mut errors);
    }
    errors
}

/// A signer's bundles begin with its name, `/` written as `:`. Upstream: ValidateClusterTrustBundleName.
fn name_complaints(name: &str, signer: &str) -> Vec<String> {
    if signer.is_empty() {
        if name.contains(':') {
            return vec!["ClusterTrustBundle without signer name must not have \":\" in its name".to_owned()];
        }
        return names::name_is_dns_subdomain(name, false);
    }
    let prefix = format!("{}:", signer.replace('/', ":"));
    match name.strip_prefix(&prefix) {
        Some(rest) => names::name_is_dns_subdomain(rest, false),
        None => vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")],
    }
}

/// Upstream: validateTrustBundle.
fn trust_anchors(bundle: &At<'_>, errors: &mut ErrorList) {
    if bundle.str().len() > MAX_SIZE {
        errors.push(Error::too_long(&bundle.path, MAX_SIZE));
        return;
    }
    let mut complaints = Vec::new();
    let mut anchors: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
    for (index, block) in Pem::iter_from_buffer(bundle.str().as_bytes()).map_while(Result::ok).enumerate() {
        match anchor(&block) {
            Err(why) => complaints.push(format!("entry {index} {why}")),
            Ok(()) => match anchors.iter_mut().find(|(known, _)| *known == block.contents) {
                Some((_, indices)) => indices.push(index),
                None => anchors.push((block.contents, vec![index])),
            },
        }
    }
    // What is said of malformed blocks is enough.
    if complaints.is_empty() {
        if anchors.is_empty() {
            complaints.push("at least one trust anchor must be provided".to_owned());
        }
        for (_, indices) in anchors.iter().filter(|(_, indices)| indices.len() > 1) {
            let list: Vec<String> = indices.iter().map(usize::to_string).collect();
            complaints.push(format!("duplicate trust anchor (indices [{}])", list.join(" ")));
        }
    }
    for complaint in complaints {
        errors.push(Error::invalid(&bundle.path, "<value omitted>", complaint));
    }
}

/// Is the block a certificate of an authority? PEM headers were refused by the reader.
fn anchor(block: &Pem) -> Result<(), String> {
    if block.label != "CERTIFICATE" {
        return Err(format!("has bad block type: {}", block.label));
    }
    let certificate = block.parse_x509().map_err(|_| "does not parse as X.509".to_owned())?;
    let constraints = certificate.basic_constraints().map_err(|_| "has invalid basic constraints".to_owned())?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        Ok(())
    } else {
        Err("does not have the CA bit set".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signers_bundle_carries_its_name() {
        assert!(name_complaints("a.b:c:live", "a.b/c").is_empty());
        assert!(name_complaints("live", "").is_empty());
        assert_eq!(
            name_complaints("live", "a.b/c"),
            ["ClusterTrustBundle for signerName a.b/c must be named with prefix a.b:c:"]
        );
        assert!(name_complaints("a.b:c:live", "")[0].contains("must not have"));
        assert!(name_complaints("a.b:c:Live", "a.b/c")[0].contains("RFC 1123"));
    }

    #[test]
    fn only_authorities_are_anchors() {
        let said = |text: &str| {
            let value = Value::from(text);
            let mut errors = ErrorList::new();
            trust_anchors(&At::new(&value, Path::new("spec").child("trustBundle")), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["leaf".to_owned()]).unwrap();
        let leaf = params.self_signed(&key).unwrap().pem();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().pem();
        assert_eq!(said(&authority), "");
        assert!(said("").contains("at least one trust anchor must be provided"));
        assert!(said(&leaf).contains("entry 0 does not have the CA bit set"));
        assert!(said(&format!("{authority}{authority}")).contains("duplicate trust anchor (indices [0 1])"));
    }
}
