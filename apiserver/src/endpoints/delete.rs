//! DELETE of one object.

use std::sync::Arc;

use api::decode::{self, FieldValidation, Target};
use api::go_text::quote;
use api::meta;
use api::scheme::Scheme;
use api::selector::label;
use api::status::Status;
use bytes::Bytes;
use http::{HeaderMap, Response};
use json::{Value, json};

use super::negotiation::Input;
use super::options::{DeleteOptions, WriteOptions};
use super::query::Query;
use super::{Call, Request, body, negotiation, respond, send};
use crate::authentication::{SYSTEM_PRIVILEGED_GROUP, UserInfo};
use crate::context::RequestContext;
use crate::registry::store::{Engine, Mode, Ownership, Present, Update};
use crate::server::body::Body;

/// Upstream: handlers.DeleteResource.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let bytes = body::read(request.body).await?;
    let options = options(call, &request.parts.headers, &request.query, &bytes)?;
    call.ctx.dry_run = options.dry_run;
    let engine = call.engine().clone();
    let deleted = engine.delete(call.resource, &call.ctx, &options).await?;
    if deleted.gone && !call.resource.rules.returns_deleted_object {
        let object = deleted.served.to_value()?;
        let status = Status::success(&call.resource.group_resource(), &call.ctx.target.name, meta::uid(&object));
        return Ok(respond::value(200, &status.to_value(), &output));
    }
    let accepted = !deleted.gone && options.orphan_dependents == Some(false);
    send(call, if accepted { 202 } else { 200 }, deleted.served, &output)
}

/// DeleteOptions of the body, or of the query when there is no body.
pub(super) fn options(
    call: &Call<'_>,
    headers: &HeaderMap,
    query: &Query,
    bytes: &Bytes,
) -> Result<DeleteOptions, Status> {
    if bytes.is_empty() {
        return DeleteOptions::from_query(query);
    }
    let input = negotiation::input(headers, call.state.formats)?;
    let schema = Scheme::builtin()
        .type_named("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
        .ok_or_else(respond::no_such_resource)?;
    let info = &call.resource.info;
    let decode = |group: &str, version: &str| {
        let target = Target { group, version, kind: "DeleteOptions", schema };
        let decoded = match input {
            Input::Text(syntax) => decode::decode(bytes, syntax, target, FieldValidation::Ignore),
            Input::Protobuf => decode::decode_protobuf(bytes, target, FieldValidation::Ignore),
            Input::Cbor => decode::decode_cbor(bytes, target, FieldValidation::Ignore),
        };
        decoded.map_err(|error| bare(&error))
    };
    let decoded = decode(&info.group, &info.version).or_else(|why| match named(bytes, input) {
        Some((api_version, kind)) if kind != "DeleteOptions" => Err(format!(
            "no kind {} is registered for version {} in scheme \"pkg/apis/meta/internalversion/scheme/register.go:30\"",
            quote(&kind),
            quote(&api_version)
        )),
        // Clients send it as the kind of any group and version: which one is not looked at.
        Some((api_version, _)) => {
            let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
            decode(group, version)
        }
        None => Err(why),
    });
    DeleteOptions::from_value(&decoded.map_err(Status::bad_request)?.object)
}

/// The `apiVersion` and `kind` of a body that names both.
fn named(bytes: &Bytes, input: Input) -> Option<(String, String)> {
    let (api_version, kind) = match input {
        Input::Protobuf => {
            let envelope = api::protobuf::Envelope::read(bytes).ok()?;
            (envelope.api_version.into_owned(), envelope.kind.into_owned())
        }
        text_or_cbor => {
            let object = match text_or_cbor {
                Input::Text(syntax) => decode::decode_untyped(bytes, syntax, FieldValidation::Ignore).ok()?.object,
                _ => api::cbor::decode(bytes).ok()?,
            };
            (meta::api_version(&object).to_owned(), meta::kind(&object).to_owned())
        }
    };
    (!api_version.is_empty() && !kind.is_empty()).then_some((api_version, kind))
}

/// Upstream decodes DeleteOptions apart from objects: its message is the reason alone.
fn bare(error: &api::decode::Error) -> String {
    match error {
        api::decode::Error::Malformed { reason, .. } | api::decode::Error::Unrecognized { reason, .. } => {
            reason.clone()
        }
        other => other.to_string(),
    }
}

/// A pod that may go because it is not ready, and only while it is as it was seen.
pub(super) struct Unready {
    pub(super) version: String,
    budget: String,
}

impl Unready {
    /// What a client is told when the pod has changed meanwhile.
    pub(super) fn changed(&self) -> Status {
        still_processed(&self.budget)
    }
}

/// Refuses an eviction no disruption budget has room for. The controller keeps `status.disruptionsAllowed`; pods that are not
/// ready may not need any of it.
pub(super) async fn ask_budgets(
    engine: &Arc<Engine>,
    call: &Call<'_>,
    options: &DeleteOptions,
) -> Result<Option<Unready>, Status> {
    let target = &call.ctx.target;
    let entry = engine.get(call.resource, &target.namespace, &target.name).await?;
    let pod = crate::registry::store::decode(&entry)?;
    if meta::is_being_deleted(&pod)
        || matches!(pod["status"]["phase"].as_str(), Some("Pending" | "Succeeded" | "Failed"))
    {
        return Ok(None);
    }
    let budgets = call.ctx.objects.list("policy", "poddisruptionbudgets", &target.namespace);
    let covering: Vec<&Arc<Value>> = budgets
        .iter()
        .filter(|budget| {
            label::Selector::from_object(budget["spec"].get("selector"))
                .is_ok_and(|selector| selector.matches_object(&pod))
        })
        .collect();
    match covering.as_slice() {
        [] => Ok(None),
        [budget] if !is_ready(&pod) && lets_unready_go(budget) => {
            let (version, budget) = (meta::resource_version(&pod).to_owned(), meta::name(budget).to_owned());
            Ok(Some(Unready { version, budget }))
        }
        [budget] => take_disruption(engine, call, budget, options).await.map(|()| None),
        _ => Err(Status::internal_error(
            &"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )),
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|own| own["type"] == "Ready" && own["status"] == "True")
}

/// Pods that are not ready count for nothing; without a policy they go while there are enough that count.
fn lets_unready_go(budget: &Value) -> bool {
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        || (number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0)
}

fn no_room(cause: String, retry: u32) -> Status {
    let text = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::too_many_requests(text, retry).with_cause("DisruptionBudget", cause, "")
}

fn still_processed(budget: &str) -> Status {
    no_room(format!("The disruption budget {budget} is still being processed by the server."), 10)
}

/// Takes one of the disruptions a budget allows. Upstream: EvictionREST.checkAndDecrement.
async fn take_disruption(
    engine: &Arc<Engine>,
    call: &Call<'_>,
    budget: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let name = meta::name(budget);
    let status = &budget["status"];
    if status["observedGeneration"].as_i64().unwrap_or(0) < meta::generation(budget) {
        return Err(still_processed(name));
    }
    let allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0);
    if allowed <= 0 {
        let healthy = status["currentHealthy"].as_i64().unwrap_or(0);
        let desired = status["desiredHealthy"].as_i64().unwrap_or(0);
        let cause = format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently");
        return Err(no_room(cause, 0));
    }
    if options.dry_run {
        return Ok(());
    }
    let Some(budgets) = &engine.resources.get("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let pod = call.ctx.target.name.clone();
    let now = call.ctx.timestamp();
    let mut ctx = call.ctx.for_object(&call.ctx.target.namespace, name);
    // The server writes the status: who evicts need not be allowed to.
    ctx.user = UserInfo::new("system:apiserver", &[SYSTEM_PRIVILEGED_GROUP]);
    ctx.field_manager = "kube-apiserver".to_owned();
    ctx.target = crate::context::Target {
        group: budgets.info.group.to_string(),
        version: budgets.info.version.to_string(),
        resource: budgets.info.plural.to_string(),
        subresource: "status".to_owned(),
        ..ctx.target
    };
    let mut change = |_: &RequestContext, budget: Present<'_>| {
        let mut budget = budget.served();
        let left = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) - 1;
        if left < 0 {
            return Err(Status::too_many_requests(
                "Cannot evict pod as it would violate the pod's disruption budget.",
                0,
            ));
        }
        budget["status"]["disruptionsAllowed"] = left.into();
        budget["status"]["disruptedPods"][pod.as_str()] = now.as_str().into();
        note_room(&mut budget["status"], &now);
        Ok(budget)
    };
    let options = WriteOptions::default();
    let update = Update {
        mode: Mode::Subresource("status"),
        ownership: Ownership::Tracked,
        ..Update::direct(budgets, &options, &mut change)
    };
    engine.update(&mut ctx, update).await.map(|_| ())
}

/// The condition that says whether a budget has room. Upstream: pdb.UpdateDisruptionAllowedCondition.
fn note_room(status: &mut Value, now: &str) {
    let has_room = status["disruptionsAllowed"].as_i64().unwrap_or(0) > 0;
    let (state, reason) = if has_room { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let mut condition = json!({
        "type": "DisruptionAllowed", "status": state, "observedGeneration": status["observedGeneration"],
        "lastTransitionTime": now, "reason": reason, "message": "",
    });
    if status["conditions"].is_null() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    match conditions.iter_mut().find(|present| present["type"] == condition["type"]) {
        Some(present) => {
            if present["status"] == state {
                condition["lastTransitionTime"] = present["lastTransitionTime"].clone();
            }
            *present = condition;
        }
        None => conditions.push(condition),
    }
}
