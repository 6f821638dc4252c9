//! One constructor for each error upstream has, with its code, reason, message and details.

use super::{Cause, Details, Outcome, Reason, Status};
use crate::field::ErrorList;
use crate::go_text::quote;
use crate::meta::{GroupKind, GroupResource};
use std::fmt::Display;

/// What a conflicting update is told. Upstream: registry.OptimisticLockErrorMsg.
pub const OBJECT_MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl Status {
    /// A failure with nothing filled in but these.
    pub fn failure(code: u16, reason: Reason, message: impl Into<String>) -> Status {
        Status { outcome: Outcome::Failure, code, reason, message: message.into(), details: None }
    }

    /// 200: what a deletion that removed the object answers, about this object.
    pub fn success(resource: &GroupResource, name: &str, uid: &str) -> Status {
        let details = Details { uid: uid.to_owned(), ..about(resource, name) };
        let details = Some(Box::new(details));
        Status { outcome: Outcome::Success, code: 0, reason: Reason::Unknown, message: String::new(), details }
    }

    /// 404: `pods "x" not found`. Upstream: apierrors.NewNotFound.
    pub fn not_found(resource: &GroupResource, name: &str) -> Status {
        Status::on(404, Reason::NotFound, format!("{resource} {} not found", quote(name)), about(resource, name))
    }

    /// 409: `pods "x" already exists`. Upstream: apierrors.NewAlreadyExists.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Status {
        let message = format!("{resource} {} already exists", quote(name));
        Status::on(409, Reason::AlreadyExists, message, about(resource, name))
    }

    /// 409: no free name was found for a generateName. Upstream: apierrors.NewGenerateNameConflict.
    pub fn generate_name_conflict(resource: &GroupResource, name: &str, retry_after_seconds: u32) -> Status {
        let message = format!(
            "{resource} {} already exists, the server was not able to generate a unique name for the object",
            quote(name)
        );
        Status::on(409, Reason::AlreadyExists, message, about(resource, name)).with_retry_after(retry_after_seconds)
    }

    /// 409: `Operation cannot be fulfilled on pods "x": WHY`; [`OBJECT_MODIFIED`] is the usual why.
    ///
    /// Upstream: apierrors.NewConflict.
    pub fn conflict(resource: &GroupResource, name: &str, why: &dyn Display) -> Status {
        let message = format!("Operation cannot be fulfilled on {resource} {}: {why}", quote(name));
        Status::on(409, Reason::Conflict, message, about(resource, name))
    }

    /// 409: server-side apply met fields owned by others. Upstream: apierrors.NewApplyConflict.
    pub fn apply_conflict(causes: Vec<Cause>, message: impl Into<String>) -> Status {
        Status::on(409, Reason::Conflict, message.into(), Details { causes, ..Details::default() })
    }

    /// 422: `Pod "x" is invalid: ERRORS`, each error a cause. Upstream: apierrors.NewInvalid.
    pub fn invalid(kind: &GroupKind, name: &str, errors: &ErrorList) -> Status {
        let cause = |error: &crate::field::Error| Cause {
            reason: error.kind.reason().to_owned(),
            message: error.body(),
            field: error.field.clone(),
        };
        let mut message = format!("{kind} {} is invalid", quote(name));
        if let Some(errors) = errors.message() {
            message.push_str(": ");
            message.push_str(&errors);
        }
        let details = Details {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            name: name.to_owned(),
            causes: errors.iter().map(cause).collect(),
            ..Details::default()
        };
        Status::on(422, Reason::Invalid, message, details)
    }

    /// 400. Upstream: apierrors.NewBadRequest.
    pub fn bad_request(message: impl Into<String>) -> Status {
        Status::failure(400, Reason::BadRequest, message)
    }

    /// 403: `pods "x" is forbidden: WHY`, shorter without a name, `forbidden: WHY` without a resource.
    ///
    /// Upstream: apierrors.NewForbidden.
    pub fn forbidden(resource: &GroupResource, name: &str, why: &dyn Display) -> Status {
        let message = if resource.is_empty() {
            format!("forbidden: {why}")
        } else if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {} is forbidden: {why}", quote(name))
        };
        Status::on(403, Reason::Forbidden, message, about(resource, name))
    }

    /// 401; an empty text reads `not authorized`. The authentication filter says `Unauthorized`.
    ///
    /// Upstream: apierrors.NewUnauthorized.
    pub fn unauthorized(message: &str) -> Status {
        Status::failure(401, Reason::Unauthorized, if message.is_empty() { "not authorized" } else { message })
    }

    /// 405: `update is not supported on resources of kind "pods"`. Upstream: apierrors.NewMethodNotSupported.
    pub fn method_not_supported(resource: &GroupResource, action: &str) -> Status {
        let message = format!("{action} is not supported on resources of kind {}", quote(&resource.to_string()));
        Status::on(405, Reason::MethodNotAllowed, message, about(resource, ""))
    }

    /// 406. Upstream: negotiation.NewNotAcceptableError.
    pub fn not_acceptable(accepted: &[&str]) -> Status {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Status::failure(406, Reason::NotAcceptable, message)
    }

    /// 406 for a conversion, as to Table. Upstream: negotiation.NewNotAcceptableConversionError.
    pub fn not_acceptable_conversion(target: &str, accepted: &[&str]) -> Status {
        let accepted = accepted.join(", ");
        let message = format!("only the following media types are accepted when converting to {target}: {accepted}");
        Status::failure(406, Reason::NotAcceptable, message)
    }

    /// 415. Upstream: negotiation.NewUnsupportedMediaTypeError.
    pub fn unsupported_media_type(accepted: &[&str]) -> Status {
        let accepted = accepted.join(", ");
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Status::failure(415, Reason::UnsupportedMediaType, message)
    }

    /// 413: `Request entity too large: WHY`. Upstream: apierrors.NewRequestEntityTooLargeError.
    pub fn request_entity_too_large(why: &str) -> Status {
        Status::failure(413, Reason::RequestEntityTooLarge, format!("Request entity too large: {why}"))
    }

    /// 410 Expired: a resource version or continue token is too old. Upstream: apierrors.NewResourceExpired.
    pub fn resource_expired(message: impl Into<String>) -> Status {
        Status::failure(410, Reason::Expired, message)
    }

    /// 410 Gone. Upstream: apierrors.NewGone.
    pub fn gone(message: impl Into<String>) -> Status {
        Status::failure(410, Reason::Gone, message)
    }

    /// 500: `Internal error occurred: WHY`. Upstream: apierrors.NewInternalError.
    pub fn internal_error(why: &dyn Display) -> Status {
        let why = why.to_string();
        Status::failure(500, Reason::InternalError, format!("Internal error occurred: {why}")).with_cause("", why, "")
    }

    /// 500 ServerTimeout: the operation should be tried again. Upstream: apierrors.NewServerTimeout.
    pub fn server_timeout(resource: &GroupResource, operation: &str, retry_after_seconds: u32) -> Status {
        let message = format!(
            "The {operation} operation against {resource} could not be completed at this time, please try again."
        );
        Status::on(500, Reason::ServerTimeout, message, about(resource, operation))
            .with_retry_after(retry_after_seconds)
    }

    /// 503. Upstream: apierrors.NewServiceUnavailable.
    pub fn service_unavailable(message: impl Into<String>) -> Status {
        Status::failure(503, Reason::ServiceUnavailable, message)
    }

    /// 504: `Timeout: WHY`. Upstream: apierrors.NewTimeoutError.
    pub fn timeout(why: &str, retry_after_seconds: u32) -> Status {
        Status::failure(504, Reason::Timeout, format!("Timeout: {why}")).with_retry_after(retry_after_seconds)
    }

    /// 504: a list asked for a revision the store has not reached.
    ///
    /// Upstream: storage.NewTooLargeResourceVersionError.
    pub fn too_large_resource_version(wanted: u64, current: u64, retry_after_seconds: u32) -> Status {
        Status::timeout(&format!("Too large resource version: {wanted}, current: {current}"), retry_after_seconds)
            .with_cause("ResourceVersionTooLarge", "Too large resource version", "")
    }

    /// 429 with a time to wait. Upstream: apierrors.NewTooManyRequests.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Status {
        Status::failure(429, Reason::TooManyRequests, message).with_retry_after(retry_after_seconds)
    }

    /// What an error that carries no reason of its own becomes: the code, an empty reason, the text.
    ///
    /// Upstream: responsewriters.ErrorToAPIStatus.
    pub fn unknown(code: u16, message: impl Into<String>) -> Status {
        Status::failure(code, Reason::Unknown, message)
    }

    /// What is said when only an HTTP code is known, and where a path leads to no resource.
    ///
    /// Upstream: apierrors.NewGenericServerResponse.
    pub fn generic(code: u16, verb: &str, resource: &GroupResource, name: &str, server_message: &str) -> Status {
        let fallback =
            || format!("the server responded with the status code {code} but did not return more information");
        let (reason, mut message) = match code {
            409 if verb.eq_ignore_ascii_case("POST") => (Reason::AlreadyExists, "the server reported a conflict".into()),
            409 => (Reason::Conflict, "the server reported a conflict".into()),
            404 => (Reason::NotFound, "the server could not find the requested resource".into()),
            400 => (Reason::BadRequest, "the server rejected our request for an unknown reason".into()),
            401 => (Reason::Unauthorized, "the server has asked for the client to provide credentials".into()),
            403 => (Reason::Forbidden, server_message.to_owned()),
            406 if matches!(server_message, "" | "unknown") => (
                Reason::NotAcceptable,
                "the server was unable to respond with a content type that the client supports".into(),
            ),
            406 => (Reason::NotAcceptable, server_message.to_owned()),
            415 => (Reason::UnsupportedMediaType, server_message.to_owned()),
            405 => (Reason::MethodNotAllowed, "the server does not allow this method on the requested resource".into()),
            422 => (Reason::Invalid, "the server rejected our request due to an error in our request".into()),
            503 => (Reason::ServiceUnavailable, "the server is currently unable to handle the request".into()),
            504 => (
                Reason::Timeout,
                "the server was unable to return a response in the time allotted, but may still be processing the request"
                    .into(),
            ),
            429 => (
                Reason::TooManyRequests,
                "the server has received too many requests and has asked us to try again later".into(),
            ),
            500.. => {
                let said = quote(server_message);
                (Reason::InternalError, format!("an error on the server ({said}) has prevented the request from succeeding"))
            }
            _ => (Reason::Unknown, fallback()),
        };
        if !resource.is_empty() {
            let object = if name.is_empty() { String::new() } else { format!(" {name}") };
            message = format!("{message} ({} {resource}{object})", verb.to_lowercase());
        }
        Status::on(code, reason, message, about(resource, name))
    }

    fn on(code: u16, reason: Reason, message: String, details: Details) -> Status {
        Status { details: Some(Box::new(details)), ..Status::failure(code, reason, message) }
    }
}

fn about(resource: &GroupResource, name: &str) -> Details {
    Details {
        group: resource.group.clone(),
        kind: resource.resource.clone(),
        name: name.to_owned(),
        ..Details::default()
    }
}
