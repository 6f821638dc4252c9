//! What a request that passed the filters gets: [`route`] finds the resource and the verb, one file a verb does the rest.
//!
//! An endpoint decodes parameters and body, calls the engine and renders the answer; it decides nothing about kinds.
//! Upstream: k8s.io/apiserver/pkg/endpoints/{installer.go,handlers}.

mod apply;
pub(crate) mod body;
mod connect;
mod create;
mod delete;
mod delete_collection;
mod frames;
mod get;
mod list;
pub mod negotiation;
pub mod options;
mod patch;
mod pieces;
pub mod query;
pub(crate) mod respond;
mod scale;
mod shape;
mod update;
mod watch;

use std::future::Future;
use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use json::Value;

use self::negotiation::{Format, Formats, Input, Offer, Output, Shape};
use self::options::WriteOptions;
use self::query::Query;
use crate::authentication::UserInfo;
use crate::context::{RequestContext, Target};
use crate::filters::request_info::RequestInfo;
use crate::registry::resource::Resource;
use crate::registry::store::{Engine, Served};
use crate::server::body::{Body, RequestBody};
use crate::server::state::State;

/// A request behind the filters.
pub(crate) struct Request {
    pub(crate) info: RequestInfo,
    pub(crate) query: Query,
    pub(crate) user: UserInfo,
    pub(crate) parts: Parts,
    pub(crate) body: RequestBody,
    /// The encodings on offer.
    pub(crate) formats: Formats,
    /// May answers be gzipped for this caller?
    pub(crate) may_gzip: bool,
}

impl Request {
    pub(crate) fn output(&self) -> Result<Output, Status> {
        self.output_among(Offer::Shapes)
    }

    /// As [`Request::output`], for what has no rows.
    pub(crate) fn output_without_table(&self) -> Result<Output, Status> {
        self.output_among(Offer::ShapesWithoutTable)
    }

    /// As [`Request::output`], for what has no shape but its own.
    pub(crate) fn output_unshaped(&self) -> Result<Output, Status> {
        self.output_among(Offer::Object)
    }

    pub(crate) fn output_among(&self, offer: Offer) -> Result<Output, Status> {
        let output = Output::negotiate(&self.parts.headers, &self.query, self.formats, offer)?;
        Ok(Output { gzip: output.gzip && self.may_gzip, ..output })
    }

    /// How the body is encoded.
    pub(crate) fn input(&self) -> Result<Input, Status> {
        match negotiation::input(&self.parts.headers, self.formats)? {
            Input::Protobuf if self.formats.custom => Err(self.formats.unsupported_media_type()),
            input => Ok(input),
        }
    }

    /// Shall a large answer be gzipped?
    pub(crate) fn gzip(&self) -> bool {
        self.may_gzip && negotiation::accepts_gzip(&self.parts.headers)
    }

    fn is(&self, method: &Method) -> bool {
        self.parts.method == *method
    }
}

/// What every verb works with.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) resource: &'a Arc<Resource>,
    pub(crate) ctx: RequestContext,
}

impl Call<'_> {
    fn engine(&self) -> &Arc<Engine> {
        &self.state.engine
    }

    fn warn_if_deprecated(&self) {
        let info = &self.resource.info;
        if let Some(warning) = self.resource.as_custom().and_then(|custom| custom.version().deprecation.as_deref()) {
            self.ctx.warn(warning);
            self.state.metrics.deprecated(&info.group, &info.version, &info.plural);
        }
        let deprecated = DEPRECATED.iter().find(|(plural, _)| *plural == info.plural && info.group.is_empty());
        if let Some((_, warning)) = deprecated {
            self.ctx.warn(*warning);
            self.state.metrics.deprecated(&info.group, &info.version, &info.plural);
        }
    }

    /// Takes what the options say about the request into its context.
    fn apply(&mut self, options: &WriteOptions, request: &Request) {
        self.ctx.dry_run = options.dry_run;
        self.ctx.field_manager = if options.field_manager.is_empty() {
            let agent = request.parts.headers.get(http::header::USER_AGENT).map(|value| value.as_bytes());
            options::manager_of_agent(&String::from_utf8_lossy(agent.unwrap_or_default()))
        } else {
            options.field_manager.clone()
        };
    }
}

/// Resources of the core group that are on their way out, and what each request that is served is told.
const DEPRECATED: [(&str, &str); 2] = [
    ("componentstatuses", "v1 ComponentStatus is deprecated in v1.19+"),
    ("endpoints", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
];

/// Serves a resource request. Errors are rendered by the caller.
pub(crate) async fn serve(state: &Arc<State>, mut request: Request) -> Result<Response<Body>, Status> {
    let info = &request.info;
    let Some(resource) = &state.engine.resources.get(&info.api_group, &info.api_version, &info.resource) else {
        return unknown(state, info);
    };
    if resource.is_custom() && is_elsewhere(info, resource) {
        return Ok(respond::page_not_found());
    }
    check_path(info, resource)?;
    request.formats.custom = resource.is_custom();
    let target = Target {
        group: info.api_group.clone(),
        version: info.api_version.clone(),
        resource: info.resource.clone(),
        subresource: info.subresource.clone(),
        namespace: if resource.info.namespaced { info.namespace.clone() } else { String::new() },
        name: info.name.clone(),
    };
    let mut ctx =
        RequestContext::new(request.user.clone(), target, state.engine.clone()).allowed(&info.verb, &state.authorizer);
    ctx.audit = request.parts.extensions.get().cloned();
    // Upstream's router knows no custom resources, and leaves their media types to who serves them.
    if !connect::is_stream(&info.subresource) && !resource.is_custom() {
        let collection = request.is(&Method::GET) && (info.parts.len() == 1 || info.verb_in_path);
        let route = if collection { negotiation::Route::Collection } else { negotiation::Route::Single };
        route.accepts(&request.parts.headers, request.formats)?;
    }
    let of_error = Output::of_error(&request.parts.headers, &request.query, state.formats);
    let mut call = Call { state, resource, ctx };
    let mut result = dispatch(&mut call, request).await;
    let warnings = call.ctx.take_warnings();
    if !warnings.is_empty() {
        match &mut result {
            Ok(response) => crate::filters::warnings::add(response.headers_mut(), &warnings),
            Err(status) => {
                let mut response = respond::status(status, &of_error);
                crate::filters::warnings::add(response.headers_mut(), &warnings);
                return Ok(response);
            }
        }
    }
    result
}

/// Upstream's answer differs between an unknown group (its router has nothing there) and an unknown resource.
fn unknown(state: &Arc<State>, info: &RequestInfo) -> Result<Response<Body>, Status> {
    if info.api_prefix == "apis" && !state.engine.resources.current().has_builtin_group(&info.api_group) {
        return Ok(respond::page_not_found());
    }
    Err(respond::no_such_resource())
}

/// Is a custom resource not under this path? What is in namespaces is only listed across them.
fn is_elsewhere(info: &RequestInfo, resource: &Resource) -> bool {
    let everywhere = matches!(info.verb.as_str(), "list" | "watch");
    match (resource.info.namespaced, info.namespace.is_empty()) {
        (true, true) => !everywhere,
        (false, false) => true,
        _ => false,
    }
}

/// Refuses paths that parse but are no routes: empty segments, too many of them, the wrong scope.
fn check_path(info: &RequestInfo, resource: &Resource) -> Result<(), Status> {
    let no_such = || Err(respond::no_such_resource());
    let proxied = info.subresource == "proxy";
    if (info.parts.len() > 3 && !proxied) || info.parts.iter().take(3).any(String::is_empty) {
        return no_such();
    }
    let in_path = info.parts.len() > 1;
    let namespaces = resource.info.plural == "namespaces" && info.api_group.is_empty();
    if resource.info.namespaced {
        if info.namespace.is_empty() && in_path {
            return no_such();
        }
    } else if !info.namespace.is_empty() && !namespaces {
        return no_such();
    }
    if !info.subresource.is_empty() && resource.subresource(&info.subresource).is_none() {
        if resource.is_custom() {
            return Err(Status::not_found(&resource.group_resource(), &info.name));
        }
        return no_such();
    }
    if in_path && let Err(why) = crate::registry::name::is_path_segment(&info.parts[1]) {
        let name = api::go_text::quote(&info.parts[1]);
        return Err(Status::bad_request(format!("Name parameter invalid: {name}: {why}")));
    }
    Ok(())
}

async fn dispatch(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let resource = call.resource;
    let named = request.info.parts.len() > 1;
    if !request.info.subresource.is_empty() {
        return subresource(call, request).await;
    }
    if request.info.verb_in_path {
        if !resource.info.has_verb("watch") {
            return Err(respond::no_such_resource());
        }
        return if request.is(&Method::GET) && request.info.verb == "watch" {
            call.warn_if_deprecated();
            boxed(watch::serve(call, request, named)).await
        } else {
            Err(respond::method_not_allowed())
        };
    }
    let verb = match (&request.parts.method, named) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::POST, false) => "create",
        (&Method::PUT, true) => "update",
        (&Method::PATCH, true) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => return Err(respond::method_not_allowed()),
    };
    if !resource.info.has_verb(verb) {
        return Err(respond::method_not_allowed());
    }
    // What is not stored is answered by somebody, or not at all: never looked for in the store.
    let computed = call.state.computed.get(&resource.info.group, &resource.info.plural, "").is_some();
    if !resource.is_stored() && !computed && verb != "create" {
        return Err(respond::method_not_allowed());
    }
    // The cluster-wide path of a namespaced resource only lists and watches.
    if resource.info.namespaced && request.info.namespace.is_empty() && verb != "list" {
        return Err(respond::method_not_allowed());
    }
    call.warn_if_deprecated();
    match verb {
        "get" => boxed(get::serve(call, &request)).await,
        "list" if request.info.verb == "watch" => boxed(watch::serve(call, request, false)).await,
        "list" => boxed(list::serve(call, &request)).await,
        "create" => boxed(create::serve(call, request)).await,
        "update" => boxed(update::serve(call, request)).await,
        "patch" => boxed(patch::serve(call, request)).await,
        "delete" => boxed(delete::serve(call, request)).await,
        _ => boxed(delete_collection::serve(call, request)).await,
    }
}

/// Subresources: `status` and its like show the whole object; the others are named in one place each.
async fn subresource(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let Some(subresource) = call.resource.subresource(&request.info.subresource) else {
        return Err(respond::no_such_resource());
    };
    let verb = match request.parts.method {
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        // What a proxy carries is the backend's to understand.
        Method::HEAD | Method::OPTIONS if subresource.name == "proxy" => "get",
        _ => return Err(respond::method_not_allowed()),
    };
    if !subresource.verbs.iter().any(|own| own == verb) {
        return Err(respond::method_not_allowed());
    }
    if connect::is_stream(&subresource.name) {
        return boxed(connect::serve(call, request)).await;
    }
    let group = call.resource.info.group.clone();
    let computed = call.state.computed.get(&group, &call.resource.info.plural, &subresource.name).cloned();
    match (subresource.name.as_ref(), verb) {
        (_, "create") if computed.is_some() => boxed(create::computed(call, request, computed)).await,
        ("scale", _) => boxed(scale::serve(call, request)).await,
        ("binding", "create") => boxed(create::binding(call, request)).await,
        ("eviction", "create") => boxed(create::eviction(call, request)).await,
        (_, "get") => boxed(get::serve(call, &request)).await,
        (_, "update") => boxed(update::serve(call, request)).await,
        (_, "patch") => boxed(patch::serve(call, request)).await,
        _ => Err(Status::failure(501, api::status::Reason::Unknown, "this subresource is not served yet")),
    }
}

/// Futures of the verbs are large and differ: each has its own place.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(future)
}

/// Sends an object in the served version and the shape asked for.
pub(crate) fn send(call: &Call<'_>, code: u16, served: Served, output: &Output) -> Result<Response<Body>, Status> {
    if let Some(record) = &call.ctx.audit {
        record.response_object(|| {
            let mut object = served.to_value().ok()?;
            Engine::from_storage(call.resource, &mut object);
            Some(object)
        });
    }
    // What was written of a custom resource is in the version of the request already.
    if output.is_plain() && call.resource.conversion.is_none() {
        return Ok(respond::object_bytes(code, served.bytes(), output));
    }
    if (output.format, output.shape) == (Format::Protobuf, Shape::Object) {
        let message = match served {
            Served::Entry(entry) => crate::registry::protobuf::message(call.resource, &entry)?,
            Served::Written(entry, object) => crate::registry::protobuf::message_of(call.resource, &entry, object)?,
            Served::Object(object) => return computed(call, code, object, output),
        };
        let info = &call.resource.info;
        return Ok(respond::protobuf_message(code, &call.resource.api_version, &info.kind, &message, output));
    }
    computed(call, code, served.to_value()?, output)
}

/// An object of the storage version whose answer has to be made.
fn computed(call: &Call<'_>, code: u16, mut object: Value, output: &Output) -> Result<Response<Body>, Status> {
    Engine::from_storage(call.resource, &mut object);
    let shaped = shape::object(call.resource, object, output, &shape::TableOptions::default())?;
    Ok(respond::value(code, &shaped, output))
}

/// 201 for what is new, 200 otherwise.
pub(crate) fn created(is_new: bool) -> u16 {
    if is_new { StatusCode::CREATED.as_u16() } else { StatusCode::OK.as_u16() }
}
