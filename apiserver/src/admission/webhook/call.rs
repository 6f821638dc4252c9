//! Asking one webhook, and what its silence or refusal means for the request.
//! Upstream: webhook/{mutating,validating}.callHook, webhook/errors, util/webhook.ErrCallingWebhook.

use api::go_text::quote;
use api::status::{Outcome, Reason, Status};
use json::Value;

use super::request::{Asked, Invocation};
use super::review::{Answer, Review, Unacceptable};

/// Why a request does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// The webhook could not be asked, or did not answer in a way that counts: its failurePolicy decides.
    Failed(String),
    /// It said no, or cannot be asked in principle.
    Refused(Status),
}

impl Stop {
    /// What the failurePolicy makes of it: nothing, or the answer of the request.
    pub(super) fn decided(self, invocation: &Invocation<'_>) -> Result<(), Status> {
        let hook = invocation.hook;
        match self {
            Stop::Refused(status) => Err(status),
            Stop::Failed(why) => {
                let text = format!("failed calling webhook {}: {why}", quote(&hook.name));
                if hook.ignores_failures {
                    tracing::warn!(webhook = hook.name, %why, "a webhook failed and is ignored, as its failurePolicy says");
                    return Ok(());
                }
                tracing::warn!(webhook = hook.name, %why, "a webhook failed: the request is refused");
                Err(Status::internal_error(&text))
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
            None => return Err(Stop::Failed("Webhook SideEffects is nil".to_owned())),
            Some("None" | "NoneOnDryRun") => {}
            Some(_) => {
                let why = format!("admission webhook {} does not support dry run", quote(&hook.name));
                return Err(Stop::Refused(Status::bad_request(why)));
            }
        }
    }
    let Some(version) = hook.review_version else {
        let why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)";
        return Err(Stop::Failed(format!("could not create admission objects: {why}")));
    };
    let webhook = hook.webhook.as_ref().map_err(|error| Stop::Failed(format!("could not get REST client: {error}")))?;
    let uid = uuid::Uuid::new_v4().to_string();
    let review = Review::new(&uid, version, asked, invocation, object, old);
    let body =
        json::to_vec(&review).map_err(|error| Stop::Failed(format!("could not create admission objects: {error}")))?;
    let failed = |why: String| Stop::Failed(format!("failed to call webhook: {why}"));
    let bytes = webhook
        .post(ctx.objects.as_ref(), body.into(), hook.timeout)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let answer = Answer::read(&bytes, &uid, version, is_mutating).map_err(|unacceptable| match unacceptable {
        Unacceptable::Malformed(why) => failed(why),
        Unacceptable::Invalid(why) => Stop::Failed(format!("received invalid webhook response: {why}")),
    })?;
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
