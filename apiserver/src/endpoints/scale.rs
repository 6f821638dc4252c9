//! The scale subresource: a view of a few fields of an object as autoscaling/v1 Scale, by one table of where they are.
//! Upstream: pkg/registry/{apps,core}/*/storage.ScaleREST.

use api::decode::Target;
use api::meta;
use api::scheme::Scheme;
use api::selector::label;
use api::status::Status;
use http::{Method, Response};
use json::{Value, json};

use super::apply::Configuration;
use super::options::WriteOptions;
use super::patch::{MediaType, Patch, media_type};
use super::update::check_name;
use super::{Call, Request, body, respond, shape};
use crate::apiextensions::Scale;
use crate::context::{self, RequestContext};
use crate::registry::managed_fields::{self, scale::Write};
use crate::registry::metadata;
use crate::registry::resource::Resource;
use crate::registry::store::{Engine, Mode, Ownership, Present, Shown, Update};
use crate::server::body::Body;

/// What the selector of a scale is made of.
enum SelectorKind {
    /// A metav1.LabelSelector.
    Selector,
    /// A plain map.
    Map,
}

/// Resource, how it selects. `spec.replicas` and `status.replicas` are the same for all.
const SCALED: [(&str, SelectorKind); 4] = [
    ("deployments", SelectorKind::Selector),
    ("replicasets", SelectorKind::Selector),
    ("statefulsets", SelectorKind::Selector),
    ("replicationcontrollers", SelectorKind::Map),
];

/// Serves GET, PUT and PATCH of a scale.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let table = shape::TableOptions::of(&request.query)?;
    let target = call.ctx.target.clone();
    if request.parts.method == Method::GET {
        let entry = call.engine().get(call.resource, &target.namespace, &target.name).await?;
        let object = call.engine().read(call.resource, &entry).await?;
        let scale = shape::scale(shown(call.resource, &object)?, &output, &table)?;
        return Ok(respond::value(200, &scale, &output));
    }
    let patching = request.parts.method == Method::PATCH;
    let patch_type = if patching { Some(media_type(&request)?) } else { None };
    let options = match patch_type {
        Some(MediaType::Apply) => WriteOptions::decode_apply(&request.query)?,
        Some(_) => WriteOptions::decode(&request.query, "PatchOptions")?,
        None => WriteOptions::decode(&request.query, "UpdateOptions")?,
    };
    let syntax = request.input();
    call.apply(&options, &request);
    let bytes = body::read(request.body).await?;
    let schema = Scheme::builtin().kind("autoscaling", "v1", "Scale").ok_or_else(respond::no_such_resource)?;
    let scale_target = Target { group: "autoscaling", version: "v1", kind: "Scale", schema };
    let sent = match patch_type {
        Some(MediaType::Apply) => Sent::Apply(Configuration::decode(&bytes)?),
        Some(patch_type) => Sent::Patch(Patch::decode(patch_type, &bytes, options.field_validation, &call.ctx)?),
        None => Sent::Scale(body::decode(&call.ctx, &bytes, syntax?, scale_target, options.field_validation)?),
    };
    let resource = call.resource;
    let replicas = replicas_path(resource);
    let mut change = |ctx: &RequestContext, present: Present<'_>| {
        if present.is_absent() {
            return Err(Status::not_found(&resource.group_resource(), &target.name));
        }
        let mut present = present.served();
        let old = scale_of(resource, &present);
        let scale = match &sent {
            Sent::Apply(configuration) => {
                let write = Write::Apply { configuration: &configuration.object, force: options.force };
                let applied =
                    managed_fields::scale::write(schema, resource, ctx, &mut present, &old, write, &replicas)?;
                configuration.check_repeats(ctx, options.field_validation)?;
                applied.unwrap_or(old)
            }
            sent => {
                let scale = match sent {
                    Sent::Patch(Patch::Strategic(patch)) => {
                        api::patch::strategic::apply(old.clone(), patch.clone(), schema)?
                    }
                    Sent::Patch(patch) => patch.apply(old.clone(), resource, options.field_validation)?,
                    Sent::Scale(scale) => scale.clone(),
                    Sent::Apply(_) => Value::Null,
                };
                managed_fields::scale::write(
                    schema,
                    resource,
                    ctx,
                    &mut present,
                    &old,
                    Write::Update(&scale),
                    &replicas,
                )?;
                scale
            }
        };
        apply_scale(resource, present, scale, &replicas, &target)
    };
    let as_scale = Shown {
        kind: "Scale",
        of: &|object| scale_of(resource, object),
        put: &|scale, object| put_replicas(object, scale, &replicas),
    };
    let update = Update {
        resource,
        mode: Mode::Main,
        options: &options,
        change: &mut change,
        shown: Some(as_scale),
        ownership: Ownership::Kept,
        authorize_create: &|_| Ok(()),
    };
    let engine = call.engine().clone();
    let written = engine.update(&mut call.ctx, update).await?;
    let mut object = written.served.to_value()?;
    Engine::from_storage(resource, &mut object);
    let scale = shape::scale(shown(resource, &object)?, &output, &table)?;
    Ok(respond::value(200, &scale, &output))
}

/// Where the wanted number is.
fn replicas_path(resource: &Resource) -> Vec<&str> {
    let custom = resource.as_custom().and_then(|custom| custom.version().scale.as_ref());
    custom.map_or_else(|| vec!["spec", "replicas"], |scale| scale.spec.iter().map(String::as_str).collect())
}

/// The scale of an object that has one: a custom resource without a number has none to show.
fn shown(resource: &Resource, object: &Value) -> Result<Value, Status> {
    if let Some(scale) = resource.as_custom().and_then(|custom| custom.version().scale.as_ref()) {
        let found = Scale::number(object, &scale.spec).map_err(|why| Status::internal_error(&why))?;
        if found.is_none() {
            let path = api::go_text::quote(&format!(".{}", scale.spec.join(".")));
            return Err(Status::internal_error(&format!("the spec replicas field {path} does not exist")));
        }
    }
    Ok(scale_of(resource, object))
}

/// What a request says about a scale.
enum Sent {
    Scale(Value),
    Patch(Patch),
    Apply(Configuration),
}

/// The scale of an object.
fn scale_of(resource: &Resource, object: &Value) -> Value {
    if let Some(scale) = resource.as_custom().and_then(|custom| custom.version().scale.as_ref()) {
        let number = |path: &[String]| Scale::number(object, path).ok().flatten();
        let selector = scale.selector.as_ref().and_then(|path| Scale::text(object, path).ok().flatten());
        let mut shown = scale_object(object, number(&scale.spec), number(&scale.status), selector.unwrap_or_default());
        if let Some(status) = shown["status"].as_object_mut().filter(|_| selector.unwrap_or_default().is_empty()) {
            status.shift_remove("selector");
        }
        return shown;
    }
    let kind = SCALED.iter().find(|(plural, _)| *plural == resource.info.plural).map(|(_, kind)| kind);
    let selector = &object["spec"]["selector"];
    let selector = match kind {
        Some(SelectorKind::Map) => {
            let pairs = selector.as_object().into_iter().flatten();
            label::Selector::from_map(pairs.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())))
        }
        _ => label::Selector::from_object(Some(selector)).unwrap_or_default(),
    };
    let (spec, status) = (object["spec"]["replicas"].as_i64(), object["status"]["replicas"].as_i64());
    scale_object(object, spec, status, &selector.to_string())
}

/// A scale with the names of an object.
fn scale_object(object: &Value, wanted: Option<i64>, present: Option<i64>, selector: &str) -> Value {
    let mut own = json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            own.insert(field, value.clone());
        }
    }
    let mut spec = json::Map::new();
    if let Some(replicas) = wanted.filter(|replicas| *replicas != 0) {
        spec.insert("replicas", replicas.into());
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": own,
        "spec": spec,
        "status": {
            "replicas": present.unwrap_or(0),
            "selector": selector,
        },
    })
}

/// Gives an object the replicas of a scale.
fn put_replicas(object: &mut Value, scale: &Value, path: &[&str]) -> Result<(), Status> {
    let place = path.iter().try_fold(object, |place, field| match place {
        Value::Object(_) | Value::Null => Some(&mut place[*field]),
        _ => None,
    });
    let place = place.ok_or_else(|| Status::internal_error(&format!(".{} is no field", path.join("."))))?;
    *place = scale["spec"]["replicas"].as_i64().unwrap_or(0).into();
    Ok(())
}

/// The object with the replicas of a scale.
fn apply_scale(
    resource: &Resource,
    mut object: Value,
    mut scale: Value,
    path: &[&str],
    target: &context::Target,
) -> Result<Value, Status> {
    let is_custom = resource.is_custom();
    metadata::ensure_namespace(&mut scale, &target.namespace)?;
    check_name(&scale, &target.name)?;
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    // Custom resources have a word for it themselves.
    if replicas < 0 && !is_custom {
        let mut errors = api::field::ErrorList::new();
        let wanted = api::field::Path::new("spec").child("replicas");
        errors.push(api::field::Error::invalid(&wanted, replicas, "must be greater than or equal to 0"));
        return Err(Status::invalid(&meta::GroupKind::new("autoscaling", "Scale"), &target.name, &errors));
    }
    put_replicas(&mut object, &scale, path)?;
    let version = meta::resource_version(&scale).to_string();
    if !version.is_empty() {
        meta::set_resource_version(&mut object, &version);
    }
    let uid = meta::uid(&scale).to_string();
    if !uid.is_empty() {
        meta::set_uid(&mut object, &uid);
    }
    Ok(object)
}
