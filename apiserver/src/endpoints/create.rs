//! POST of a new object, and of what only looks like one (reviews, tokens, bindings, evictions).

use std::sync::Arc;

use api::decode::Target;
use api::meta;
use api::scheme::Scheme;
use api::status::{Reason, Status};
use http::Response;
use json::{Value, json};

use super::options::{DeleteOptions, WriteOptions};
use super::{Call, Request, body, respond, send};
use crate::admission::{Attributes, Operation};
use crate::context::RequestContext;
use crate::registry::computed::Computed;
use crate::registry::store::{Engine, Ownership, Present, Update, check_preconditions};
use crate::registry::{managed_fields, metadata};
use crate::server::body::Body;

/// Upstream: handlers.CreateResource.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let target = &call.ctx.target;
    let computed = call.state.computed.get(&target.group, &target.resource, "").cloned();
    if computed.is_some() {
        return self::computed(call, request, computed).await;
    }
    if target.group.is_empty() && target.resource == "bindings" {
        return binding(call, request).await;
    }
    if !call.resource.is_stored() {
        return Err(respond::method_not_allowed());
    }
    let output = request.output()?;
    let syntax = request.input()?;
    let options = WriteOptions::decode(&request.query, "CreateOptions")?;
    call.apply(&options, &request);
    let bytes = body::read(request.body).await?;
    let schema = call.resource.decode_target().ok_or_else(respond::no_such_resource)?;
    let object = body::decode(&call.ctx, &bytes, syntax, schema, options.field_validation)?;
    let engine = call.engine().clone();
    let served = engine.create(call.resource, &mut call.ctx, object, &options, Ownership::Tracked).await?;
    send(call, 201, served, &output)
}

/// A body that is answered, not stored.
pub(super) async fn computed(
    call: &mut Call<'_>,
    request: Request,
    computed: Option<Arc<dyn Computed>>,
) -> Result<Response<Body>, Status> {
    let computed = computed.ok_or_else(respond::method_not_allowed)?;
    let output = request.output_without_table()?;
    let (object, _) = decode_other(call, request).await?;
    let object = computed.create(&call.ctx, object).await?;
    Ok(respond::value(201, &object, &output))
}

/// Decodes, defaults and admits a body that is not the resource's own kind.
async fn decode_other(call: &mut Call<'_>, request: Request) -> Result<(Value, WriteOptions), Status> {
    let syntax = request.input()?;
    let options = WriteOptions::decode(&request.query, "CreateOptions")?;
    call.apply(&options, &request);
    let bytes = body::read(request.body).await?;
    let resource = call.resource;
    let (group, version, kind) = match resource.subresource(&call.ctx.target.subresource) {
        Some(own) => (own.group.as_ref(), own.version.as_ref(), own.kind.as_ref()),
        None => (resource.info.group.as_ref(), resource.info.version.as_ref(), resource.info.kind.as_ref()),
    };
    let schema = Scheme::builtin().kind(group, version, kind).ok_or_else(respond::no_such_resource)?;
    let target = Target { group, version, kind, schema };
    let mut object = body::decode(&call.ctx, &bytes, syntax, target, options.field_validation)?;
    api::default::apply(&mut object, schema);
    if resource.info.namespaced {
        metadata::ensure_namespace(&mut object, &call.ctx.target.namespace)?;
    }
    managed_fields::track_answered(&call.ctx, schema, &mut object);
    let shown = options.to_value();
    let attributes = Attributes { ctx: &call.ctx, operation: Operation::Create, kind, options: &shown, old: None };
    let admission = &call.engine().admission;
    admission.admit(attributes, &mut object).await?;
    admission.validate(attributes, &object).await?;
    Ok((object, options))
}

/// POST pods/NAME/binding and bindings: gives a pod its node. Upstream: pod/storage.BindingREST.
pub(super) async fn binding(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let (binding, options) = decode_other(call, request).await?;
    let pods = call.engine().resources.get("", "v1", "pods").ok_or_else(respond::no_such_resource)?;
    let name = meta::name(&binding);
    if call.ctx.target.name.is_empty() {
        call.ctx.target.name = name.to_string();
    } else if !name.is_empty() && name != call.ctx.target.name {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    let node = binding["target"]["name"].as_str().unwrap_or_default().to_string();
    let target = api::field::Path::new("target");
    let mut errors = api::field::ErrorList::new();
    let kind = binding["target"]["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        errors.push(api::field::Error::not_supported(&target.child("kind"), kind, ["Node", "<empty>"]));
    }
    if node.is_empty() {
        errors.push(api::field::Error::required(&target.child("name"), ""));
    }
    if let Some(faults) = errors.message() {
        return Err(Status::unknown(500, faults));
    }
    let group_resource = meta::GroupResource::new("", "pods/binding");
    let bound = call.ctx.timestamp();
    let mut change =
        |_: &RequestContext, pod: Present<'_>| bind(pod.served(), &binding, &node, &bound, &group_resource);
    let engine = call.engine().clone();
    engine.update(&mut call.ctx, Update::direct(&pods, &options, &mut change)).await?;
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(respond::value(201, &status, &output))
}

async fn evict(engine: &Arc<Engine>, call: &mut Call<'_>, delete: &mut DeleteOptions) -> Result<(), Status> {
    if !delete.dry_run {
        mark_evicted(call, delete).await?;
    }
    engine.delete(call.resource, &call.ctx, delete).await?;
    Ok(())
}

/// Says on the pod that it goes because it was evicted: Jobs count such failures apart.
/// Upstream: addConditionAndDeletePod.
async fn mark_evicted(call: &mut Call<'_>, delete: &mut DeleteOptions) -> Result<(), Status> {
    let now = call.ctx.timestamp();
    let preconditions = delete.clone();
    let resource = call.resource;
    let mut change = |_: &RequestContext, pod: Present<'_>| {
        let mut pod = pod.served();
        check_preconditions(resource, &pod, &preconditions)?;
        let evicted = json!({
            "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        });
        set_condition(&mut pod, evicted);
        Ok(pod)
    };
    let options = WriteOptions { kind: "UpdateOptions", ..WriteOptions::default() };
    let engine = call.engine().clone();
    let written = engine.update(&mut call.ctx, Update::direct(resource, &options, &mut change)).await?;
    // The precondition held; from here on the version is ours.
    if let (Some(version), Some(entry)) = (&mut delete.resource_version, written.served.entry()) {
        *version = entry.mod_revision.0.to_string();
    }
    Ok(())
}

/// Puts a condition among a pod's, in place of one of its type unless that says the same.
fn set_condition(pod: &mut Value, condition: Value) {
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
        match conditions.iter_mut().find(|own| own["type"] == condition["type"]) {
            Some(own) if own["status"] == condition["status"] => {}
            Some(own) => *own = condition,
            None => conditions.push(condition),
        }
    }
}

fn bind(mut pod: Value, binding: &Value, node: &str, now: &str, pods: &meta::GroupResource) -> Result<Value, Status> {
    let name = meta::name(&pod).to_string();
    let conflict = |why: String| Err(Status::conflict(pods, &name, &why));
    let uid = meta::uid(binding);
    if !uid.is_empty() && uid != meta::uid(&pod) {
        return conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            meta::uid(&pod)
        ));
    }
    if meta::is_being_deleted(&pod) {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(present) = pod["spec"]["nodeName"].as_str().filter(|present| !present.is_empty()) {
        return conflict(format!("pod {name} is already assigned to node {}", api::go_text::quote(present)));
    }
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    pod["spec"]["nodeName"] = node.into();
    for (from, set) in
        [("annotations", meta::set_annotation as fn(&mut Value, &str, &str)), ("labels", meta::set_label)]
    {
        for (key, value) in binding["metadata"][from].as_object().into_iter().flatten() {
            set(&mut pod, key, value.as_str().unwrap_or_default());
        }
    }
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    set_condition(&mut pod, scheduled);
    Ok(pod)
}

/// POST pods/NAME/eviction: a delete that asks the disruption budgets first. Upstream: pod/storage.EvictionREST.
pub(super) async fn eviction(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let (eviction, options) = decode_other(call, request).await?;
    let name = meta::name(&eviction);
    if !name.is_empty() && name != call.ctx.target.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut delete = DeleteOptions::from_value(eviction.get("deleteOptions").unwrap_or(&Value::Null))?;
    delete.dry_run |= options.dry_run;
    call.ctx.dry_run = delete.dry_run;
    let engine = call.engine().clone();
    let given = delete.resource_version.is_some();
    let unready = super::delete::ask_budgets(&engine, call, &delete).await?;
    if let Some(unready) = &unready {
        delete.resource_version = Some(unready.version.clone());
    }
    let evicted = evict(&engine, call, &mut delete).await;
    evicted.map_err(|status| match &unready {
        Some(unready) if !given && status.reason == Reason::Conflict => unready.changed(),
        _ => status,
    })?;
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(respond::value(201, &status, &output))
}
