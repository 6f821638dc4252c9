//! The group certificates.k8s.io: CertificateSigningRequests, and a file each for the others.
//! Upstream: pkg/registry/certificates/certificates/strategy.go, pkg/apis/certificates/validation.

mod cluster_trust_bundle;
mod pod_certificate_request;
pub(crate) mod signer;

use api::field::{BadValue, Error, ErrorList, Path};
use api::names::{self, NameRule};
use json::{Value, json};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::fields::{At, at, base64_field, items, items_mut, object_mut, remove, set, text};
use super::strategy::{Strategy, take_only_status};
use crate::context::RequestContext;

pub use cluster_trust_bundle::ClusterTrustBundle;
pub use pod_certificate_request::PodCertificateRequest;

pub(crate) const GROUP: &str = "certificates.k8s.io";
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
/// Conditions that stay once they are there.
const LASTING: [&str; 3] = ["Approved", "Denied", "Failed"];

/// The semantics of certificate signing requests.
#[derive(Debug, Clone, Copy)]
pub struct SigningRequest;

impl Strategy for SigningRequest {
    fn name_rule(&self) -> NameRule {
        |_, _| Vec::new()
    }

    /// Who asks is the server's to say.
    fn prepare_for_create(&self, ctx: &RequestContext, new: &mut Value) {
        let spec = object_mut(new, "spec");
        for field in ["username", "uid", "groups", "extra"] {
            remove(spec, field);
        }
        set(spec, "username", ctx.user.name.as_str());
        if !ctx.user.uid.is_empty() {
            set(spec, "uid", ctx.user.uid.as_str());
        }
        if !ctx.user.groups.is_empty() {
            set(spec, "groups", json!(ctx.user.groups));
        }
        if !ctx.user.extra.is_empty() {
            set(spec, "extra", json!(ctx.user.extra));
        }
        set(new, "status", json!({}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        request_rules(new)
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        set(new, "spec", old["spec"].clone());
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = request_rules(new);
        changes(new, old, "", &mut errors);
        errors
    }

    fn prepare_for_subresource_update(&self, ctx: &RequestContext, subresource: &str, new: &mut Value, old: &Value) {
        take_only_status(new, old);
        let status = object_mut(new, "status");
        if subresource == "approval" {
            remove(status, "certificate");
            if let Some(certificate) = old["status"].get("certificate") {
                set(status, "certificate", certificate.clone());
            }
        }
        let now = ctx.timestamp();
        for condition in items_mut(status, "conditions") {
            if text(condition, "lastUpdateTime").is_empty() {
                set(condition, "lastUpdateTime", now.as_str());
            }
            if text(condition, "lastTransitionTime").is_empty() {
                let same = |other: &&Value| ["type", "status"].iter().all(|field| other[*field] == condition[*field]);
                let before = items(&old["status"], "conditions").iter().find(same);
                let since = before.map(|other| text(other, "lastTransitionTime")).filter(|since| !since.is_empty());
                let since = since.unwrap_or(&now).to_owned();
                set(condition, "lastTransitionTime", since);
            }
        }
    }

    fn validate_subresource_update(
        &self,
        _ctx: &RequestContext,
        subresource: &str,
        new: &Value,
        old: &Value,
    ) -> ErrorList {
        let mut errors = request_rules(new);
        changes(new, old, subresource, &mut errors);
        errors
    }
}

fn request_rules(object: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(object).field("spec");
    let request = spec.field("request");
    if let Err(why) = parse(spec.value, |_| ()) {
        errors.push(request.invalid_str(why));
    }
    let usages = spec.field("usages");
    if usages.is_empty() {
        errors.push(usages.required(""));
    }
    for usage in usages.items().filter(|usage| !USAGES.contains(&usage.str())) {
        errors.push(usage.not_supported(&USAGES));
    }
    for (index, usage) in usages.items().enumerate() {
        if usages.slice()[..index].contains(usage.value) {
            errors.push(usage.duplicate());
        }
    }
    signer_name(&spec.field("signerName"), &mut errors);
    let expiration = spec.field("expirationSeconds");
    if expiration.is_set() && expiration.int() < 600 {
        errors.push(expiration.invalid_int("may not specify a duration less than 600 seconds (10 minutes)"));
    }
    let status = At::root(object).field("status");
    conditions(&status.field("conditions"), &mut errors);
    if let Err(why) = certificate(status.value) {
        errors.push(Error::invalid(&status.field("certificate").path, "<certificate data>", why));
    }
    errors
}

/// Looks at the request in `spec.request`, if it is one.
pub(crate) fn parse<T>(spec: &Value, look: impl FnOnce(&X509CertificationRequest<'_>) -> T) -> Result<T, String> {
    const KIND: &str = "PEM block type must be CERTIFICATE REQUEST";
    let pem = base64_field(spec, "request").ok_or(KIND)?;
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| KIND)?;
    if block.label != "CERTIFICATE REQUEST" {
        return Err(KIND.to_owned());
    }
    let (_, request) = X509CertificationRequest::from_der(&block.contents).map_err(|error| error.to_string())?;
    Ok(look(&request))
}

/// Upstream: validateCertificate.
fn certificate(status: &Value) -> Result<(), String> {
    if text(status, "certificate").is_empty() {
        return Ok(());
    }
    let pem = base64_field(status, "certificate").unwrap_or_default();
    let mut blocks = 0;
    for block in x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).map_while(Result::ok) {
        if block.label != "CERTIFICATE" {
            let label = api::go_text::quote(&block.label);
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {label}"));
        }
        block.parse_x509().map_err(|error| error.to_string())?;
        blocks += 1;
    }
    if blocks == 0 { Err("must contain at least one CERTIFICATE PEM block".to_owned()) } else { Ok(()) }
}

/// A signer of Kubernetes itself. Upstream: IsKubernetesSignerName.
pub(crate) fn is_kubernetes_signer(name: &str) -> bool {
    let host = name.split('/').next().unwrap_or_default();
    host == "kubernetes.io" || host.ends_with(".kubernetes.io")
}

/// Upstream: ValidateSignerName.
pub(crate) fn signer_name(at: &At<'_>, errors: &mut ErrorList) {
    let name = at.str();
    if name.is_empty() {
        errors.push(at.required(""));
        return;
    }
    let segments: Vec<&str> = name.split('/').collect();
    let [domain, path] = segments[..] else {
        errors.push(at.invalid_str("must be a fully qualified domain and path of the form 'example.com/signer-name'"));
        return;
    };
    for complaint in names::is_dns1123_subdomain(domain) {
        let detail = format!("validating segment {}: {complaint}", api::go_text::quote(domain));
        errors.push(at.invalid_str(detail));
    }
    if domain.split('.').count() < 2 {
        errors.push(at.invalid_str("should be a domain with at least two segments separated by dots"));
    }
    for complaint in names::is_dns1123_subdomain(path) {
        let detail = format!("validating label {}: {complaint}", api::go_text::quote(path));
        errors.push(at.invalid_str(detail));
    }
    if name.len() > 253 + 1 + 63 * 5 {
        errors.push(Error::too_long(&at.path, 253 + 1 + 63 * 5));
    }
}

fn conditions(list: &At<'_>, errors: &mut ErrorList) {
    const EXCLUSIVE: &str = "Approved and Denied conditions are mutually exclusive";
    let (mut approved, mut denied) = (false, false);
    for (index, condition) in list.items().enumerate() {
        let (kind, status) = (condition.field("type"), condition.field("status"));
        if kind.str().is_empty() {
            errors.push(kind.required(""));
        }
        let allowed: &[&str] = if LASTING.contains(&kind.str()) { &["True"] } else { &["False", "True", "Unknown"] };
        if status.str().is_empty() {
            errors.push(status.required(""));
        } else if !allowed.contains(&status.str()) {
            errors.push(status.not_supported(allowed));
        }
        approved |= kind.str() == "Approved";
        denied |= kind.str() == "Denied";
        if approved && denied && matches!(kind.str(), "Approved" | "Denied") {
            errors.push(Error::invalid(&list.path, kind.str(), EXCLUSIVE));
        }
        if list.slice()[..index].iter().any(|other| other["type"] == *kind.value) {
            errors.push(kind.duplicate());
        }
    }
}

/// What an update may not do; more is allowed by `subresource`.
fn changes(new: &Value, old: &Value, subresource: &str, errors: &mut ErrorList) {
    let path = Path::new("status").child("conditions");
    let of = |object: &Value, kind: &str| {
        let all = items(&object["status"], "conditions").iter();
        all.filter(|condition| text(condition, "type") == kind).cloned().collect::<Vec<_>>()
    };
    for kind in LASTING {
        let (now, before) = (of(new, kind), of(old, kind));
        let quoted = api::go_text::quote(kind);
        if now.len() < before.len() {
            errors.push(Error::forbidden(&path, format!("updates may not remove a condition of type {quoted}")));
        } else if kind != "Failed" && subresource != "approval" {
            if now.len() > before.len() {
                errors.push(Error::forbidden(&path, format!("updates may not add a condition of type {quoted}")));
            } else if now != before {
                errors.push(Error::forbidden(&path, format!("updates may not modify a condition of type {quoted}")));
            }
        }
    }
    let (now, before) = (at(new, &["status", "certificate"]), text(&old["status"], "certificate"));
    if now.as_str().unwrap_or_default() != before {
        let path = Path::new("status").child("certificate");
        if subresource != "status" {
            errors.push(Error::forbidden(&path, "updates may not set certificate content"));
        } else if !before.is_empty() {
            errors.push(Error::new(
                api::field::ErrorType::Forbidden,
                &path,
                BadValue::Omitted,
                "updates may not modify existing certificate content",
            ));
        }
    }
}
