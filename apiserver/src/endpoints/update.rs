//! PUT.

use api::meta;
use api::status::Status;
use http::Response;
use serde_json::Value;

use super::options::WriteOptions;
use super::{Call, Request, body, created, negotiation, respond, send};
use crate::filters::authorization;
use crate::registry::metadata;
use crate::registry::store::{Mode, Ownership, Update};
use crate::server::body::Body;

/// Upstream: handlers.UpdateResource.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let options = WriteOptions::decode(&request.query, "UpdateOptions")?;
    let syntax = negotiation::input(&request.parts.headers)?;
    call.apply(&options, &request);
    let mut create = request.info.attributes(&request.user);
    create.verb = "create".to_string();
    let bytes = body::read(request.body).await?;
    let schema = call.resource.decode_target().ok_or_else(respond::no_such_resource)?;
    let mut object = body::decode(&call.ctx, &bytes, syntax, schema, options.field_validation)?;
    let namespace = call.ctx.target.namespace.clone();
    metadata::ensure_namespace(&mut object, &namespace)?;
    check_name(&object, &call.ctx.target.name)?;
    let mut change = |_present: Value| Ok(object.clone());
    let authorizer = &call.state.authorizer;
    let update = Update {
        resource: call.resource,
        mode: mode(&request.info.subresource),
        options: &options,
        change: &mut change,
        ownership: Ownership::Tracked,
        authorize_create: &|| authorization::check(authorizer.as_ref(), &create),
    };
    let engine = call.engine().clone();
    let written = engine.update(&mut call.ctx, update).await?;
    send(call, created(written.created), &written.served, &output)
}

/// The rules for what is in the path.
pub(super) fn mode(subresource: &str) -> Mode<'_> {
    if subresource.is_empty() { Mode::Main } else { Mode::Subresource(subresource) }
}

/// The object's name must be that of the path. Upstream: handlers.checkName.
pub(super) fn check_name(object: &Value, name: &str) -> Result<(), Status> {
    let own = meta::name(object);
    if own.is_empty() {
        let why = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(Status::bad_request(why));
    }
    if own != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}
