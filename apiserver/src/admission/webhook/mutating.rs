//! MutatingAdmissionWebhook: webhooks are asked one after the other, each sees what those before made of the object.
//!
//! When one changes the object, those before it that ask for it (reinvocationPolicy IfNeeded) and all plugins of the server look
//! at it again, once. What a patch makes is decoded against the schema and defaulted anew before anybody sees it.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/mutating.

use api::decode::{FieldValidation, normalize};
use api::go_text::quote;
use api::managed_fields::{Owners, set_managed_fields};
use api::meta::GroupVersionKind;
use api::patch::json::Patch;
use api::scheme::Scheme;
use api::status::Status;
use futures::future::BoxFuture;
use json::Value;

use super::Source;
use super::call::{Stop, ask};
use super::request::{Asked, Invocation};
use super::review::Answer;
use crate::admission::{Attributes, Mutating, Operation, Round};
use crate::apiextensions::stored;
use crate::registry::resource::Resource;
use crate::registry::store::Engine;

const PREFIX: &str = "/registry/mutatingwebhookconfigurations/";

/// See the module header.
#[derive(Debug)]
pub(crate) struct MutatingAdmissionWebhook(pub(crate) Source);

impl Mutating for MutatingAdmissionWebhook {
    fn name(&self) -> &'static str {
        "MutatingAdmissionWebhook"
    }

    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn admit<'a>(&'a self, attributes: Attributes<'a>, object: &'a mut Value) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(async move { self.admit_in(attributes, object, &mut Round::default()).await })
    }

    fn admit_in<'a>(
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
            let Some(asked) = self.0.asked(attributes) else { return Ok(()) };
            round.begin(self.name(), object);
            let entries = object["metadata"].get("managedFields").cloned();
            let mut dirty = false;
            for hook in configurations.iter().flat_map(|configuration| &configuration.hooks) {
                let Some(invocation) = asked.invocation(hook, object).await? else { continue };
                if !round.is_due(self.name(), &hook.id) {
                    continue;
                }
                let asking = one(&asked, &invocation, object).await;
                let changed = matches!(asking, Ok(true));
                round.asked(self.name(), &hook.id, hook.is_reinvocable, changed);
                dirty |= changed;
                if let Err(stop) = asking {
                    stop.decided(&invocation)?;
                }
            }
            if dirty {
                keep_entries_readable(attributes, object, entries);
            }
            round.end(self.name(), object);
            Ok(())
        })
    }
}

/// Asks one webhook and does what it says. Did that change the object?
async fn one(asked: &Asked<'_>, invocation: &Invocation<'_>, object: &mut Value) -> Result<bool, Stop> {
    let old = asked.attributes.old.unwrap_or(&Value::Null);
    let old = asked.served(old, &invocation.resource).await.map_err(Stop::Refused)?;
    let served = asked.served(object, &invocation.resource).await.map_err(Stop::Refused)?;
    let answer = ask(asked, invocation, &served, &old, true).await?;
    let Some(patch) = patch(&answer)? else { return Ok(false) };
    let internal = |why: &dyn std::fmt::Display| Stop::Refused(Status::internal_error(why));
    let name = quote(&invocation.hook.name);
    if object.is_null() {
        let why = format!(
            "admission webhook {name} attempted to modify the object, which is not supported for this operation"
        );
        return Err(internal(&why));
    }
    if answer.patch_type != "JSONPatch" {
        return Err(Stop::Failed(format!("unsupported patch type {}", quote(&answer.patch_type))));
    }
    let patched = patch.apply(served.into_owned()).map_err(|error| internal(&error))?;
    let patched = asked.decoded(patched, &invocation.kind, &invocation.resource).await.map_err(|why| internal(&why))?;
    let changed = patched != *object;
    *object = patched;
    Ok(changed)
}

/// The patch of an answer; None for one that does nothing.
fn patch(answer: &Answer) -> Result<Option<Patch>, Stop> {
    if answer.patch.is_empty() {
        return Ok(None);
    }
    let undecodable = |why: String| Stop::Failed(format!("received undecodable patch in webhook response: {why}"));
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
