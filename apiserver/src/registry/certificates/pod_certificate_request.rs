//! PodCertificateRequests: a kubelet asks a signer for a certificate of one of its pods.
//!
//! A request is decided once: issued, denied or failed, by somebody who may `sign` for its signer.
//! Curve P-521 cannot be verified and is refused as a bad signature.
//! Upstream: ValidatePodCertificateRequestCreate, ValidatePodCertificateRequestStatusUpdate.

use api::field::{BadValue, Error, ErrorList, ErrorType, Path};
use api::go_text::quote;
use api::names;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use json::{Value, json};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509CertificationRequest};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{is_kubernetes_signer, signer, signer_name};
use crate::context::RequestContext;
use crate::registry::fields::{At, items, set, text};
use crate::registry::strategy::Strategy;
use crate::registry::validation::conditions::conditions;
use crate::registry::validation::{immutable, named, same, user_annotations};

const MAX_UID: usize = 128;
const MAX_REQUEST: usize = 10 * 1024;
const MAX_CHAIN: usize = 100 * 1024;
const HOUR: i64 = 3600;
const SHORTEST: i64 = HOUR;
const LONGEST: i64 = 91 * 24 * HOUR;
/// Of the signers of Kubernetes itself.
const LONGEST_OF_KUBERNETES: i64 = 24 * HOUR;
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
const REFRESH_MARGIN: SignedDuration = SignedDuration::from_mins(10);
const DECISIONS: [&str; 3] = ["Issued", "Denied", "Failed"];
const ED25519: &str = "1.3.101.112";
/// Curves that may be used; of others, what Go calls them.
const CURVES: [(&str, Option<&str>); 4] =
    [("1.2.840.10045.3.1.7", None), ("1.3.132.0.34", None), ("1.3.132.0.35", None), ("1.3.132.0.33", Some("P-224"))];
const NO_REQUEST: &str = "must be a valid PKCS#10 CSR";
const UNKNOWN_KEY: &str = "unknown public key type; supported types are Ed25519, ECDSA, and RSA";

/// The semantics of requests for certificates of pods.
#[derive(Debug, Clone, Copy)]
pub struct PodCertificateRequest;

impl Strategy for PodCertificateRequest {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        signer_name(&spec.field("signerName"), &mut errors);
        user_annotations(&spec.field("unverifiedUserAnnotations"), &mut errors);
        for field in ["podName", "serviceAccountName", "nodeName"].map(|field| spec.field(field)) {
            named(&field, names::name_is_dns_subdomain(field.str(), false), &mut errors);
        }
        for field in ["podUID", "serviceAccountUID", "nodeUID"].map(|field| spec.field(field)) {
            if field.str().is_empty() {
                errors.push(field.invalid_str("must not be empty"));
            } else if field.str().len() > MAX_UID {
                errors.push(Error::too_long(&field.path, MAX_UID));
            }
        }
        let expiration = spec.field("maxExpirationSeconds");
        if !expiration.is_set() {
            errors.push(expiration.required("must be set"));
            return errors;
        }
        let longest = if is_kubernetes_signer(spec.text("signerName")) { LONGEST_OF_KUBERNETES } else { LONGEST };
        if !(SHORTEST..=longest).contains(&expiration.int()) {
            errors.push(expiration.invalid_int(format!("must be in the range [{SHORTEST}, {longest}]")));
        }
        let request = spec.field("stubPKCS10Request");
        if request.is_empty() {
            let detail = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set";
            errors.push(unshown(&spec.path, detail));
        } else {
            errors.extend(stub_request(&request).err().map(|error| *error));
        }
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable(&At::root(new).field("spec"), &old["spec"], &mut errors);
        errors
    }

    fn validate_subresource_update(
        &self,
        ctx: &RequestContext,
        _subresource: &str,
        new: &Value,
        old: &Value,
    ) -> ErrorList {
        let errors = transition(ctx.now, new, old);
        let signer = text(&old["spec"], "signerName");
        if !errors.is_empty() || same(&new["status"], &old["status"]) || signer::may(ctx, "sign", signer) {
            return errors;
        }
        let path = Path::new("spec").child("signerName");
        let user = quote(&ctx.user.name);
        let detail = format!("User {user} is not permitted to \"sign\" for signer {}", quote(signer));
        Error::forbidden(&path, detail).into()
    }
}

/// What a request may become. Upstream: ValidatePodCertificateRequestStatusUpdate.
fn transition(now: Timestamp, new: &Value, old: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let status = At::root(new).field("status");
    decisions(&status.field("conditions"), &mut errors);
    if !errors.is_empty() {
        return errors;
    }
    let unchanged = same(status.value, &old["status"]);
    let mut only_conditions = json!({});
    set(&mut only_conditions, "conditions", status.get("conditions").clone());
    let (fine, detail) = match (decision(old), decision(new)) {
        (Some(_), _) => (unchanged, "immutable after PodCertificateRequest is issued, denied, or failed"),
        (None, Some("Issued")) => return issued(now, new, &old["spec"]),
        (None, Some(_)) => (
            same(status.value, &only_conditions),
            "non-condition status fields must be empty when denying or failing the PodCertificateRequest",
        ),
        (None, None) => {
            (unchanged, "status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\"")
        }
    };
    if !fine {
        errors.push(unshown(&status.path, detail));
    }
    errors
}

fn unshown(path: &Path, detail: &str) -> Error {
    Error::new(ErrorType::Invalid, path, BadValue::Omitted, detail)
}

/// A request, whatever it asks for, signed with a key of a good kind. Upstream: validateStubPKCS10Request.
fn stub_request(at: &At<'_>) -> Result<(), Box<Error>> {
    let der = STANDARD.decode(at.str()).unwrap_or_default();
    if der.len() > MAX_REQUEST {
        return Err(Error::too_long(&at.path, MAX_REQUEST).into());
    }
    let Ok(([], request)) = X509CertificationRequest::from_der(&der) else {
        return Err(unshown(&at.path, NO_REQUEST).into());
    };
    key(&request.certification_request_info.subject_pki, &at.path)?;
    request.verify_signature().map_err(|_| unshown(&at.path, "invalid signature").into())
}

fn key(key: &SubjectPublicKeyInfo<'_>, path: &Path) -> Result<(), Box<Error>> {
    match key.parsed() {
        _ if key.algorithm.algorithm.to_id_string() == ED25519 => Ok(()),
        Ok(PublicKey::RSA(key)) if matches!(key.key_size(), 3072 | 4096) => Ok(()),
        Ok(PublicKey::RSA(key)) => {
            let shown = format!("{}-bit modulus", key.key_size());
            Err(Error::invalid(path, shown, "RSA keys must have modulus size 3072 or 4096").into())
        }
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            let curve = curve.map(|curve| curve.to_id_string()).unwrap_or_default();
            match CURVES.iter().find(|(id, _)| *id == curve) {
                Some((_, None)) => Ok(()),
                Some((_, Some(name))) => {
                    let detail = "elliptic public keys must use curve P256, P384, or P521";
                    Err(Error::invalid(path, format!("curve {name}"), detail).into())
                }
                None => Err(unshown(path, NO_REQUEST).into()),
            }
        }
        _ => Err(unshown(path, UNKNOWN_KEY).into()),
    }
}

/// At most one decision, which is made when it is there.
fn decisions(list: &At<'_>, errors: &mut ErrorList) {
    let mut decided = false;
    for (index, condition) in list.items().enumerate() {
        // The paths are upstream's, with a dot too many.
        let path = |field: &'static str| list.path.child(format!("[{index}]")).child(field);
        let (kind, status) = (condition.text("type"), condition.text("status"));
        if !DECISIONS.contains(&kind) {
            errors.push(Error::not_supported(&path("type"), kind, DECISIONS));
            continue;
        }
        if decided {
            let detail = "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\"";
            errors.push(Error::invalid(&path("type"), kind, detail));
        }
        if status != "True" {
            errors.push(Error::not_supported(&path("status"), status, ["True"]));
        }
        decided = true;
    }
    conditions(list, errors);
}

/// What was decided, if anything was.
fn decision(request: &Value) -> Option<&str> {
    let mut conditions = items(&request["status"], "conditions").iter();
    let made = conditions.find(|own| text(own, "status") == "True" && DECISIONS.contains(&text(own, "type")))?;
    Some(text(made, "type"))
}

/// The certificate is of the requested key, for the time the status says, which is what was asked for at most.
fn issued(now: Timestamp, new: &Value, spec: &Value) -> ErrorList {
    let status = At::root(new).field("status");
    let chain = status.field("certificateChain");
    if chain.str().len() > MAX_CHAIN {
        return Error::too_long(&chain.path, MAX_CHAIN).into();
    }
    let mut blocks = Pem::iter_from_buffer(chain.str().as_bytes()).map_while(Result::ok);
    let Some(leaf) = blocks.next() else {
        return chain.invalid_str("issued certificate chain must contain at least one certificate").into();
    };
    if leaf.label != "CERTIFICATE" {
        return chain.invalid_str("issued certificate chain must consist entirely of CERTIFICATE PEM blocks").into();
    }
    let Ok(leaf) = leaf.parse_x509() else {
        return chain.invalid_str("leaf certificate does not parse as valid X.509").into();
    };
    let mut errors = subject_names(&leaf, &chain);
    let der = STANDARD.decode(text(spec, "stubPKCS10Request")).unwrap_or_default();
    let of_key = X509CertificationRequest::from_der(&der)
        .is_ok_and(|(_, request)| request.certification_request_info.subject_pki.raw == leaf.public_key().raw);
    if !of_key {
        errors.push(chain.invalid_str("leaf certificate was not issued to the requested public key"));
        return errors;
    }
    for (field, detail) in [
        ("notBefore", "must be present and consistent with the issued certificate"),
        ("notAfter", "must be present and consistent with the issued certificate"),
        ("beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]"),
    ] {
        if !status.has(field) {
            errors.push(status.field(field).required(detail));
        }
    }
    if errors.is_empty() {
        errors.extend(times(now, &leaf, &status, spec).err().map(|error| *error));
    }
    if errors.is_empty() {
        errors.extend(blocks.find_map(|block| intermediate(&block).err()).map(|why| chain.invalid_str(why)));
    }
    errors
}

/// Signatures in the chain are not looked at, as upstream does not.
fn intermediate(block: &Pem) -> Result<(), &'static str> {
    if block.label != "CERTIFICATE" {
        // Spelt as upstream spells it.
        return Err("issued certificate chain must consist entirely of CERTFICATE PEM blocks");
    }
    block.parse_x509().map(drop).map_err(|_| "intermediate certificate does not parse as valid X.509")
}

fn subject_names(leaf: &X509Certificate<'_>, chain: &At<'_>) -> ErrorList {
    let mut errors = ErrorList::new();
    let mut refuse = |name: &str, detail: &str| errors.push(Error::invalid(&chain.path, name, detail));
    let names = leaf.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    for name in names.flatten() {
        match *name {
            GeneralName::DNSName(name) => {
                if name.is_empty() {
                    refuse(name, "leaf certificate should not contain empty DNSName");
                }
                if name.contains("..") {
                    refuse(name, "leaf certificate's DNSName should not contain '..'");
                }
                if name.starts_with('.') || name.ends_with('.') {
                    refuse(name, "leaf certificate's DNSName should not start or end with '.'");
                }
            }
            GeneralName::RFC822Name(address) if !address.contains('@') => {
                refuse(address, "leaf certificate should not contain invalid EmailAddress");
            }
            _ => {}
        }
    }
    errors
}

/// The times of the status, all of which are there.
fn times(now: Timestamp, leaf: &X509Certificate<'_>, status: &At<'_>, spec: &Value) -> Result<(), Box<Error>> {
    let at = |name: &'static str| {
        let field = status.field(name);
        let parsed = field.str().parse::<Timestamp>();
        parsed.map(|time| (time, field.clone())).map_err(|_| Box::new(field.invalid_str("must be a time")))
    };
    let ((begin, not_before), (end, not_after)) = (at("notBefore")?, at("notAfter")?);
    let (refresh, refresh_at) = at("beginRefreshAt")?;
    let validity = leaf.validity();
    let is = |time: Timestamp, encoded: i64| time == Timestamp::from_second(encoded).unwrap_or_default();
    if !is(begin, validity.not_before.timestamp()) {
        return Err(not_before.invalid_str("must be set to the NotBefore time encoded in the leaf certificate").into());
    }
    if begin.duration_since(now).abs() >= CLOCK_SKEW {
        return Err(not_before.invalid_str("must be set to within 5 minutes of kube-apiserver's current time").into());
    }
    if !is(end, validity.not_after.timestamp()) {
        return Err(not_after.invalid_str("must be set to the NotAfter time encoded in the leaf certificate").into());
    }
    let lifetime = end.duration_since(begin);
    let longest = spec["maxExpirationSeconds"].as_i64().unwrap_or_default();
    let chain = status.field("certificateChain").path;
    let nanoseconds = i64::try_from(lifetime.as_nanos()).unwrap_or(i64::MAX);
    if lifetime.as_secs() < HOUR {
        return Err(Error::invalid(&chain, nanoseconds, "leaf certificate lifetime must be >= 1 hour").into());
    }
    if lifetime.as_secs() > longest {
        let detail = format!("leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})");
        return Err(Error::invalid(&chain, nanoseconds, detail).into());
    }
    if refresh.duration_since(begin) < REFRESH_MARGIN {
        return Err(refresh_at.invalid_str("must be at least 10 minutes after status.notBefore").into());
    }
    if end.duration_since(refresh) < REFRESH_MARGIN {
        return Err(refresh_at.invalid_str("must be at least 10 minutes before status.notAfter").into());
    }
    Ok(())
}
