//! MutatingAdmissionWebhook: webhooks are asked one after the other, each sees what those before made of the object.
//!
//! When one changes the object, those before it that ask for it (reinvocationPolicy IfNeeded) and all plugins of the server look
//! at it again, once. What a patch makes is decoded against the schema and defaulted anew before anybody sees it.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/mutating.

use std::time::Instant;

use api::decode::{FieldValidation, normalize};
use api::go_text::quote;
use api::managed_fields::{Owners, set_managed_fields};
use api::meta::GroupVersionKind;
use api::patch::json::Patch;
use api::scheme::Scheme;
use api::status::Status;
use futures::future::BoxFuture;
use json::{Value, json};

use super::Hooks;
use super::call::{Calling, Stop, ask, denied, failed, unusable};
use super::hook::Hook;
use super::request::Asked;
use super::review::Answer;
use crate::admission::metrics::Step;
use crate::admission::{AsyncMutating, Attributes, Operation, Round};
use crate::apiextensions::stored;
use crate::registry::resource::Resource;
use crate::registry::store::Engine;

const PREFIX: &str = "/registry/mutatingwebhookconfigurations/";
const NAME: &str = "MutatingAdmissionWebhook";

/// See the module header.
#[derive(Debug)]
pub(crate) struct MutatingAdmissionWebhook(pub(crate) Hooks);

impl AsyncMutating for MutatingAdmissionWebhook {
    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn admit<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: &'a mut Value,
        round: &'a mut Round,
    ) -> BoxFuture<'a, Result<(), Status>> {
        let configurations = self.0.configurations(PREFIX, attributes);
        if configurations.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            let Some(asked) = self.0.source.asked(attributes) else { return Ok(()) };
            round.begin(NAME, object);
            let entries = object["metadata"].get("managedFields").cloned();
            let mut dirty = false;
            let hooks = configurations.iter().flat_map(|configuration| &configuration.hooks);
            for (index, hook) in hooks.enumerate() {
                let Some(invocation) = asked.invocation(hook, object, (&self.0.source.metrics, Step::Admit)).await?
                else {
                    continue;
                };
                if !round.is_due(NAME, &hook.id) {
                    continue;
                }
                let place = format!("round_{}_index_{index}", round.number());
                let calling = Calling {
                    asked: &asked,
                    invocation: &invocation,
                    step: Step::Admit,
                    place: &place,
                    began: Instant::now(),
                };
                let asking = one(&calling, object).await;
                let changed = matches!(asking, Ok(true));
                annotate(&calling, changed);
                round.asked(NAME, &hook.id, hook.is_reinvocable, changed);
                dirty |= changed;
                calling.ended(&self.0.source.metrics, asking)?;
            }
            if dirty {
                keep_entries_readable(attributes, object, entries);
            }
            round.end(NAME, object);
            Ok(())
        })
    }
}

/// Asks one webhook and does what it says. Did that change the object?
async fn one(calling: &Calling<'_>, object: &mut Value) -> Result<bool, Stop> {
    let Calling { asked, invocation, .. } = calling;
    let old = asked.attributes.old.unwrap_or(&Value::Null);
    let old = asked.served(old, &invocation.resource).await?;
    let served = asked.served(object, &invocation.resource).await?;
    let answer = ask(asked, invocation, &served, &old, true).await?;
    let Some(patch) = patch(&answer)? else { return Ok(false) };
    let internal = |why: &dyn std::fmt::Display| Stop::Internal(Status::internal_error(why));
    let name = quote(&invocation.hook.name);
    if object.is_null() {
        let why = format!(
            "admission webhook {name} attempted to modify the object, which is not supported for this operation"
        );
        return Err(internal(&why));
    }
    if answer.patch_type != "JSONPatch" {
        let code = denied(&invocation.hook.name, answer.result.as_ref()).code;
        return Err(failed(format!("unsupported patch type {}", quote(&answer.patch_type)), code));
    }
    let patched = patch.apply(served.into_owned()).map_err(|error| internal(&error))?;
    let patched = asked.decoded(patched, &invocation.kind, &invocation.resource).await.map_err(|why| internal(&why))?;
    let changed = patched != *object;
    annotate_patch(calling, &answer.patch);
    *object = patched;
    Ok(changed)
}

/// Says in the audit log whether the webhook changed the object. Upstream: webhookAnnotator.addMutationAnnotation.
fn annotate(calling: &Calling<'_>, mutated: bool) {
    let Hook { name, configuration, .. } = calling.invocation.hook;
    let key = format!("mutation.webhook.admission.k8s.io/{}", calling.place);
    let value = json!({"configuration": configuration, "webhook": name, "mutated": mutated});
    calling.asked.attributes.ctx.audit_annotation(&key, value.to_string());
}

/// And how, where requests are logged. Upstream: webhookAnnotator.addPatchAnnotation.
fn annotate_patch(calling: &Calling<'_>, patch: &[u8]) {
    let Hook { name, configuration, .. } = calling.invocation.hook;
    let key = format!("patch.webhook.admission.k8s.io/{}", calling.place);
    calling.asked.attributes.ctx.audit_annotation_of_request(&key, || {
        let patch: Value = json::from_slice(patch).unwrap_or_default();
        json!({"configuration": configuration, "webhook": name, "patch": patch, "patchType": "JSONPatch"}).to_string()
    });
}

/// The patch of an answer; None for one that does nothing.
fn patch(answer: &Answer) -> Result<Option<Patch>, Stop> {
    if answer.patch.is_empty() {
        return Ok(None);
    }
    let undecodable = |why: String| unusable(format!("received undecodable patch in webhook response: {why}"));
    let decoded = api::decode::decode_untyped(&answer.patch, api::decode::Syntax::Json, FieldValidation::Ignore);
    let operations = decoded.map_err(undecodable)?.object;
    if operations.as_array().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    Patch::decode(operations, false).map(Some).map_err(|error| undecodable(error.to_string()))
}

impl Asked<'_> {
    /// What a patch made, as it would have been had it come with the request: decoded, with defaults, in the version that is worked
    /// on.
    pub(in crate::admission) async fn decoded(
        &self,
        patched: Value,
        kind: &GroupVersionKind,
        resource: &Resource,
    ) -> Result<Value, String> {
        let is_own = self.is_own_kind();
        if let Some(custom) = self.resource.as_custom().filter(|_| is_own) {
            let services = self.attributes.ctx.objects.as_ref();
            return stored::read_one(custom, patched, services).await.map_err(|status| status.message);
        }
        let schema =
            if is_own { resource.schema() } else { Scheme::builtin().kind(&kind.group, &kind.version, &kind.kind) };
        let Some(schema) = schema else { return Ok(patched) };
        let target = api::decode::Target { group: &kind.group, version: &kind.version, kind: &kind.kind, schema };
        let mut decoded = normalize(&patched, target, FieldValidation::Ignore).map_err(|error| reason(&error))?.object;
        if is_own {
            Engine::to_storage(resource, &mut decoded);
            Engine::apply_defaults(resource, &mut decoded);
        } else {
            api::default::apply(&mut decoded, schema);
        }
        Ok(decoded)
    }
}

/// Why an object does not decode, without upstream's words for a request's body around it.
fn reason(error: &api::decode::Error) -> String {
    match error {
        api::decode::Error::Malformed { reason, .. } | api::decode::Error::Unrecognized { reason, .. } => {
            reason.clone()
        }
        other => other.to_string(),
    }
}

/// Entries of managedFields a webhook broke are as they were; the client is told.
/// Upstream: managedfields.NewManagedFieldsValidatingAdmissionController.
pub(in crate::admission) fn keep_entries_readable(
    attributes: Attributes<'_>,
    object: &mut Value,
    before: Option<Value>,
) {
    let Err(error) = Owners::of(object) else { return };
    attributes.ctx.warn(format!(
        ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating \
         admission controller; please fix your requests: {error}"
    ));
    set_managed_fields(object, before);
}
