//! Asking one webhook, and what its silence or refusal means for the request.
//! Upstream: webhook/{mutating,validating}.callHook, webhook/errors, util/webhook.ErrCallingWebhook.

use std::time::Instant;

use api::go_text::quote;
use api::status::{Outcome, Reason, Status};
use json::Value;

use super::request::{Asked, Invocation};
use super::review::{Answer, Review, Unacceptable};
use crate::admission::metrics::{Called, Metrics, Step};
use crate::webhook::Error;

/// Why a request does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// The webhook could not be asked, or did not answer in a way that counts: its failurePolicy decides. The code is only counted.
    Failed { why: String, code: u16 },
    /// It said no.
    Refused(Status),
    /// It cannot be asked in principle, or what it said cannot be done.
    Internal(Status),
}

/// What is not the webhook's fault is no fault of the request's either.
impl From<Status> for Stop {
    fn from(status: Status) -> Stop {
        Stop::Internal(status)
    }
}

const BAD_REQUEST: u16 = 400;
const INTERNAL: u16 = 500;
const UNAVAILABLE: u16 = 503;

pub(super) fn failed(why: impl Into<String>, code: u16) -> Stop {
    Stop::Failed { why: why.into(), code }
}

/// An answer that cannot be used.
pub(super) fn unusable(why: impl Into<String>) -> Stop {
    failed(why, UNAVAILABLE)
}

/// One call of a webhook, to be counted and audited.
pub(super) struct Calling<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) invocation: &'a Invocation<'a>,
    pub(super) step: Step,
    /// `round_R_index_I`
    pub(super) place: &'a str,
    pub(super) began: Instant,
}

impl Calling<'_> {
    /// Counts what came of it, and does what the failurePolicy makes of it: nothing, or the answer of the request.
    pub(super) fn ended<T>(&self, metrics: &Metrics, outcome: Result<T, Stop>) -> Result<(), Status> {
        let hook = self.invocation.hook;
        let called = match &outcome {
            Ok(_) => Called::Allowed,
            Err(Stop::Refused(status)) => Called::Refused(status.code),
            Err(Stop::Internal(_)) => Called::Internal,
            Err(Stop::Failed { code, .. }) => Called::Failed { code: *code, ignored: hook.ignores_failures },
        };
        metrics.called(&hook.name, self.step, self.asked.attributes.operation, self.began.elapsed(), called);
        match outcome {
            Ok(_) => Ok(()),
            Err(Stop::Refused(status) | Stop::Internal(status)) => Err(status),
            Err(Stop::Failed { why, .. }) if hook.ignores_failures => {
                tracing::warn!(webhook = hook.name, %why, "a webhook failed and is ignored, as its failurePolicy says");
                let half = match self.step {
                    Step::Admit => "mutation",
                    Step::Validate => "validating",
                };
                let key = format!("failed-open.{half}.webhook.admission.k8s.io/{}", self.place);
                self.asked.attributes.ctx.audit_annotation(&key, hook.name.as_str());
                Ok(())
            }
            Err(Stop::Failed { why, .. }) => {
                tracing::warn!(webhook = hook.name, %why, "a webhook failed: the request is refused");
                Err(Status::internal_error(&format!("failed calling webhook {}: {why}", quote(&hook.name))))
            }
        }
    }
}

/// Asks. `object` and `old` are in the version of the invocation, or null. A yes comes back with its patch.
pub(super) async fn ask(
    asked: &Asked<'_>,
    invocation: &Invocation<'_>,
    object: &Value,
    old: &Value,
    is_mutating: bool,
) -> Result<Answer, Stop> {
    let hook = invocation.hook;
    let ctx = asked.attributes.ctx;
    if ctx.dry_run {
        match hook.side_effects.as_deref() {
            None => return Err(failed("Webhook SideEffects is nil", BAD_REQUEST)),
            Some("None" | "NoneOnDryRun") => {}
            Some(_) => {
                let why = format!("admission webhook {} does not support dry run", quote(&hook.name));
                return Err(Stop::Internal(Status::bad_request(why)));
            }
        }
    }
    let Some(version) = hook.review_version else {
        let why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)";
        return Err(failed(format!("could not create admission objects: {why}"), BAD_REQUEST));
    };
    let client = |error: &Error| failed(format!("could not get REST client: {error}"), INTERNAL);
    let webhook = hook.webhook.as_ref().map_err(client)?;
    let uid = uuid::Uuid::new_v4().to_string();
    let review = Review::new(&uid, version, asked, invocation, object, old);
    let body = json::to_vec(&review)
        .map_err(|error| failed(format!("could not create admission objects: {error}"), BAD_REQUEST))?;
    let silent = |error: Error| {
        let code = if let Error::Refused(status) = &error { status.code } else { UNAVAILABLE };
        failed(format!("failed to call webhook: {error}"), code)
    };
    let bytes = webhook.post(ctx.objects.as_ref(), body.into(), hook.timeout).await.map_err(silent)?;
    let answer = Answer::read(&bytes, &uid, version, is_mutating).map_err(|unacceptable| match unacceptable {
        Unacceptable::Malformed(why) => unusable(format!("failed to call webhook: {why}")),
        Unacceptable::Invalid(why) => unusable(format!("received invalid webhook response: {why}")),
    })?;
    for (key, value) in &answer.audit_annotations {
        ctx.audit_annotation(&format!("{}/{key}", hook.name), value.as_str());
    }
    for warning in &answer.warnings {
        ctx.warn(warning.as_str());
    }
    if answer.allowed { Ok(answer) } else { Err(Stop::Refused(denied(&hook.name, answer.result.as_ref()))) }
}

/// The answer of a request that a webhook refused. Upstream: webhookerrors.ToStatusErr.
pub(super) fn denied(webhook: &str, result: Option<&Value>) -> Status {
    let said = result.and_then(Status::from_value);
    let mut status = said.unwrap_or_else(|| Status::unknown(0, ""));
    status.code = status.code.max(400);
    status.outcome = Outcome::Failure;
    let denied = format!("admission webhook {} denied the request", quote(webhook));
    status.message = match (&status.message, &status.reason) {
        (message, _) if !message.is_empty() => format!("{denied}: {message}"),
        (_, Reason::Unknown) => format!("{denied} without explanation"),
        (_, reason) => format!("{denied}: {}", reason.as_str()),
    };
    status
}
