//! AdmissionReview: what is sent, and what may come back.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/request.

use std::collections::BTreeMap;

use api::go_text::quote;
use api::meta::{self, GroupVersionKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;
use serde::Serialize;

use super::request::{Asked, Invocation};
use crate::registry::resource::Resource;
use crate::webhook::review::{Fields, Malformed, read};

/// What is sent. Field order and omissions are those of upstream's struct.
#[derive(Serialize)]
pub(super) struct Review<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: String,
    request: Request<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: &'a str,
    kind: Kind<'a>,
    resource: Plural<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub_resource: &'a str,
    request_kind: Kind<'a>,
    request_resource: Plural<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_sub_resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    operation: &'static str,
    user_info: User<'a>,
    object: &'a Value,
    old_object: &'a Value,
    dry_run: bool,
    options: &'a Value,
}

#[derive(Serialize)]
struct Kind<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

#[derive(Serialize)]
struct Plural<'a> {
    group: &'a str,
    version: &'a str,
    resource: &'a str,
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, Vec<String>>,
}

impl<'a> Review<'a> {
    /// `object` and `old` are in the version of the invocation, or null.
    pub(super) fn new(
        uid: &'a str,
        version: &str,
        asked: &'a Asked<'_>,
        invocation: &'a Invocation<'_>,
        object: &'a Value,
        old: &'a Value,
    ) -> Review<'a> {
        let ctx = asked.attributes.ctx;
        let request = Request {
            uid,
            kind: kind(&invocation.kind),
            resource: plural(&invocation.resource),
            sub_resource: &ctx.target.subresource,
            request_kind: kind(&asked.kind),
            request_resource: plural(&asked.resource),
            request_sub_resource: &ctx.target.subresource,
            name: if ctx.target.name.is_empty() { meta::name(object) } else { &ctx.target.name },
            namespace: asked.namespace(),
            operation: asked.attributes.operation.as_str(),
            user_info: User {
                username: &ctx.user.name,
                uid: &ctx.user.uid,
                groups: &ctx.user.groups,
                extra: &ctx.user.extra,
            },
            object,
            old_object: old,
            dry_run: ctx.dry_run,
            options: asked.attributes.options,
        };
        Review { kind: "AdmissionReview", api_version: format!("admission.k8s.io/{version}"), request }
    }
}

fn kind(kind: &GroupVersionKind) -> Kind<'_> {
    Kind { group: &kind.group, version: &kind.version, kind: &kind.kind }
}

fn plural(resource: &Resource) -> Plural<'_> {
    Plural { group: &resource.info.group, version: &resource.info.version, resource: &resource.info.plural }
}

/// What a webhook says.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    /// `status`, as it came.
    pub(super) result: Option<Value>,
    /// A JSON patch, unread.
    pub(super) patch: Vec<u8>,
    pub(super) patch_type: String,
    pub(super) warnings: Vec<String>,
    pub(super) audit_annotations: Vec<(String, String)>,
}

/// Why an answer does not count.
#[derive(Debug)]
pub(super) enum Unacceptable {
    /// It cannot be read.
    Malformed(String),
    /// It is no answer to what was asked.
    Invalid(String),
}

impl From<Malformed> for Unacceptable {
    fn from(Malformed(why): Malformed) -> Unacceptable {
        Unacceptable::Malformed(why)
    }
}

impl Answer {
    /// Reads and checks an answer to the review `uid` of `version`.
    pub(super) fn read(bytes: &[u8], uid: &str, version: &str, is_mutating: bool) -> Result<Answer, Unacceptable> {
        let invalid = |why: String| Err(Unacceptable::Invalid(why));
        let review = read(bytes, "admission.k8s.io", version, "AdmissionReview")?;
        let response = Fields::of(&review, "response", "AdmissionResponse.response")?;
        let Some(response) = response else { return invalid("webhook response was absent".to_owned()) };
        let allowed = response.bool("allowed")?;
        let answered = response.text("uid")?.unwrap_or_default();
        let patch = match response.text("patch")? {
            Some(text) => STANDARD.decode(text).map_err(|error| Malformed(not_base64(&error)))?,
            None => Vec::new(),
        };
        let patch_type = response.text("patchType")?;
        let warnings = response.list("warnings", "[]string")?.iter().filter_map(Value::as_str);
        let mut answer = Answer {
            allowed,
            result: response.get("status").cloned(),
            patch,
            patch_type: patch_type.unwrap_or_default().to_owned(),
            warnings: warnings.map(str::to_owned).collect(),
            audit_annotations: response.texts("auditAnnotations")?,
        };
        if version == "v1beta1" {
            // Neither was checked of old, and the type of a patch is taken for granted.
            if is_mutating && !answer.patch.is_empty() {
                answer.patch_type = "JSONPatch".to_owned();
            }
            return Ok(answer);
        }
        if answered != uid {
            return invalid(format!("expected response.uid={}, got {}", quote(uid), quote(answered)));
        }
        if meta::kind(&review).is_empty() {
            return invalid(
                "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=".to_owned(),
            );
        }
        let fault = match (is_mutating, !answer.patch.is_empty(), patch_type) {
            (true, true, None) => "webhook returned response.patch but not response.patchType",
            (true, false, Some(_)) => "webhook returned response.patchType but not response.patch",
            (true, true, Some("")) => "webhook returned invalid response.patchType of \"\"",
            (false, true, _) => "validating webhook may not return response.patch",
            (false, false, Some(_)) => "validating webhook may not return response.patchType",
            _ => return Ok(answer),
        };
        invalid(fault.to_owned())
    }
}

/// Upstream: base64.CorruptInputError.
fn not_base64(error: &base64::DecodeError) -> String {
    let at = if let base64::DecodeError::InvalidByte(at, _) = error { *at } else { 0 };
    format!("illegal base64 data at input byte {at}")
}
